"""What a photo surely shows is likelier to be said, where it fits, until it was said."""

from __future__ import annotations

import pytest
import torch

from personal.concepts import Concept, Match, Turn
from personal.generate.biasing import COMPLETION, Bias
from personal.generate.prompt import build_messages, described_photo
from personal.labels import LIKELY_BIAS, SURE_BIAS, Label, Labels
from personal.questions import asks_for_description
from tests.conftest import RED, picture

TEA, POT, A = 3, 4, 5
PROMPT = [9, 9]


def biased(*said):
    """What is added to the logits of six tokens after a prompt and what was said, for "teapot" in two tokens."""
    ids = torch.tensor([[*PROMPT, *said], [*PROMPT, *said]])
    scores = Bias(len(PROMPT), [(((TEA, POT), 4.0),), ()])(ids, torch.zeros(2, 6))
    assert not scores[1].any()
    return {token: value for token, value in enumerate(scores[0].tolist()) if value}


def test_a_word_is_begun_completed_and_then_left_alone():
    assert biased() == biased(A) == {TEA: 4.0}
    assert biased(A, TEA) == {POT: 4.0 + COMPLETION}
    assert biased(A, TEA, POT) == biased(A, TEA, POT, A) == {}
    assert biased(A, TEA, A) == {TEA: 4.0}


def test_what_the_question_holds_was_not_said():
    ids = torch.tensor([[TEA, POT, *PROMPT]])
    assert Bias(4, [(((TEA, POT), 4.0),)])(ids, torch.zeros(1, 6))[0, TEA] == 4.0


@pytest.mark.parametrize(
    ("classes", "words", "expected"),
    [
        ([("teapot", "teapot", 0.8), ("cup", "cup", 0.16)], [], {"teapot": SURE_BIAS}),
        ([("teapot", "teapot", 0.5)], ["table"], {"teapot": LIKELY_BIAS}),
        ([("teapot", "teapot", 0.3)], [], {}),
        ([("canoe", "canoe", 0.9)], ["water", "man"], {}),
        ([("beagle dog", "dog", 0.9)], [], {"dog": SURE_BIAS}),
        ([], ["table"], {}),
    ],
)
def test_the_first_label_is_expected_if_it_is_likely_and_nobody_is_there(classes, words, expected):
    labels = Labels(tuple(Label(*one) for one in classes), tuple(Label(word, word, 0.9) for word in words))
    assert labels.expected() == expected


@pytest.mark.parametrize(
    "question",
    [
        "Give a caption of the photo.",
        "Describe this photo in detail.",
        "What is this?",
        "What’s in this picture?",
        "what do you see",
        "What is happening here?",
        "What does the photo show?",
    ],
)
def test_questions_for_a_description(question):
    assert asks_for_description(question)


@pytest.mark.parametrize(
    "question", ["What colour is it?", "Where is the cup?", "How many are there?", "What is the man holding?", "Hello!"]
)
def test_other_questions(question):
    assert not asks_for_description(question)


def test_only_a_single_photo_without_concepts_is_described():
    photo, bo = picture(RED), Concept("bo", "bo", "dog", "", (), "", "", "")

    def described(*photos, question="What is this?", matches=()):
        turn = Turn(question, photos, matches=matches)
        return described_photo(build_messages([turn], avatars={"bo": photo}, sees=True, single_turn=True))

    assert described(photo) == photo
    assert described(photo, question="What colour is it?") is None
    assert described(photo, picture(RED, dot=9)) is None
    assert described() is None
    assert described(photo, matches=(Match(bo, "seen", 0.9, (0, 0, 1, 1), photo=photo.sha256),)) is None
