"""The conditions of a study change what the Assistant does, and nothing that a participant could tell them by."""

from __future__ import annotations

import pytest

from personal.concepts import Answer, Turn
from personal.settings import load
from personal.study.answering import Answering, given_concepts, register_given
from personal.study.loading import read_study
from tests.conftest import GREEN, RED, Scripted, picture
from tests.studies import SMALL, open_store

WHO = Turn("Who is in this photo?", (picture(RED, dot=9),))
OWNER = "study-1"


@pytest.fixture
def ask(assistant, tmp_path):
    assistant.remember(OWNER, "bo", [picture(RED, dot=1)], "dog", "Bo is four.")
    assistant.remember(OWNER, "mug", [picture(GREEN, dot=1)], "mug", "")

    def answered(settings: str, turn: Turn = WHO) -> Answer:
        study = read_study(tmp_path / "s.yaml", text=SMALL.replace("confidence: 0.9", settings))
        *_, last = Answering(assistant, load({}), study).answer(OWNER, "strict", [turn])
        return last

    return answered


def told(generator) -> str:
    return str(generator.asked[-1])


def test_memory_and_retrieval_decide_what_is_known(ask, generator):
    assert [match.concept.name for match in ask("threshold: 0.5").matches] == ["bo"]
    assert "Bo is four." in told(generator)
    for setting in ("memory: false\n    top_k: 3", "retrieval: false"):
        assert ask(setting).matches == ()
        assert "Bo is four." not in told(generator)
    assert [match.reason for match in ask("retrieval: false", Turn("How old is bo?", WHO.photos)).matches] == ["named"]


def test_threshold_decides_when_a_name_is_said(ask):
    similar = Turn("Who is here?", (picture((200, 60, 60)),))
    assert ask("threshold: -1", similar).matches
    assert ask("threshold: 1", similar).matches == ()


def test_without_findings_the_language_model_is_asked(ask, generator):
    generator.single_turn = True  # as the built-in model, which findings speak for
    assert ask("top_k: 2").text == "<bo> is in this photo."
    assert generator.asked == []
    assert ask("findings: false").text == "It is <bo>."
    assert len(generator.asked) == 1


def test_a_prompt_precedes_the_question_that_the_model_reads(ask, generator):
    ask("prompt: Answer in one word.")
    assert "Answer in one word.\nWho is in this photo?" in told(generator).replace("\\n", "\n")


def test_confidence_goes_before_the_settings(assistant, tmp_path):
    asked = []
    look = assistant.retriever.look
    assistant.retriever.look = lambda *given, **more: asked.append(more) or look(*given, **more)
    assistant.threshold = 0.7
    assistant.remember(OWNER, "bo", [picture(RED, dot=1)])
    study = read_study(tmp_path / "s.yaml", text=SMALL)
    for condition in ("strict", "with_memory"):
        list(Answering(assistant, load({}), study).answer(OWNER, condition, [WHO]))
    assert [(one["confidence"], one["threshold"]) for one in asked] == [
        (0.9, None),
        (assistant.default_confidence, 0.7),
    ]


def test_another_model_answers_from_the_same_concepts(assistant, generator):
    assistant.remember(OWNER, "bo", [picture(RED, dot=1)], "dog", "Bo is four.")
    other = Scripted(("Another.",))
    *_, last = assistant.with_generator(other).answer(OWNER, [WHO])
    assert last.text == "Another."
    assert "Bo is four." in str(other.asked)
    *_, last = assistant.answer(OWNER, [WHO])
    assert last.text == "It is <bo>."


def test_given_concepts_are_registered_once(assistant, tmp_path):
    store = open_store(tmp_path / "pets")
    given = given_concepts(store.study)
    photos = {name: store.photo(name) for one in given for name in one.photos}
    for _ in range(2):
        register_given(assistant, OWNER, store.study, photos)
    assert sorted(concept.name for concept in assistant.concepts(OWNER)) == ["bo", "rosie", "sunny-cup"]
    assert all(len(concept.views) == 3 for concept in assistant.concepts(OWNER))
