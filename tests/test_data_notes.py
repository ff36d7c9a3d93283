"""Questions on notes are answered from them or said not to be; talk without a photo describes none."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from benchmarks.knowledge import DENIED, holds, named, read_facts
from personal.data import notes, talk

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def drawn(count=150):
    for seed in range(count):
        random = Random(seed)
        one = notes.write_notes(random)
        yield one, notes.note_questions(one, random)


def test_what_is_told_stands_in_the_notes_and_in_the_answer():
    for one, pairs in drawn():
        assert all(value.casefold() in one.info.casefold() for value in one.told.values())
        answers = " ".join(answer for _, answer, _ in pairs).casefold()
        mine = {re.sub(r"\b(my|our)\b", "your", value) for value in one.told.values()}
        assert sum(value.casefold() in answers for value in mine) >= min(3, len(mine))


def test_as_often_something_is_asked_that_nobody_told():
    told, untold = 0, 0
    for one, pairs in drawn():
        for _, answer, kind in pairs:
            if kind == "notes" and answer.startswith("You haven't told me"):
                untold += 1
                assert one.tag in answer or "days" in answer
            elif kind == "notes":
                told += 1
    assert 0.7 < untold / told < 1.3


def test_with_two_concepts_the_others_facts_are_asked_for_first():
    random = Random(0)
    asked = 0
    for _ in range(60):
        one = notes.write_notes(random, kind="thing")
        other = notes.write_notes(random, kind="thing", taken=one.tag)
        wanted = {f"You haven't told me {f.clause.format(s=one.tag)}." for f in notes.FACTS if f.key in other.told}
        asked += any(answer in wanted for _, answer, _ in notes.note_questions(one, random, others=(other,)))
    assert asked > 30


def test_the_notes_of_two_concepts_never_have_one_name():
    random = Random(1)
    for _ in range(200):
        one = notes.write_notes(random)
        assert notes.write_notes(random, taken=one.tag).tag.casefold() != one.tag.casefold()


def test_no_statement_or_question_keeps_a_placeholder():
    for one, pairs in drawn(300):
        for text in (one.info, *(part for pair in pairs for part in pair)):
            assert "{" not in text
            assert "}" not in text


def test_talk_describes_no_photo_and_greets():
    said = dict((question, answer) for question, answer, _ in talk.small_talk(Random(0), "Rex"))
    assert said["Hi"] == talk.HELLO
    assert said["What is in this picture?"] == talk.NO_PHOTO
    assert not any(re.match(r"(A|Two) (man|dog|woman)", answer) for answer in said.values())


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("Paris is the capital of France.", True),
        ("The photo shows a dog.", False),
        ("As an AI, I have no colour.", False),
        ("It breaks off because", False),
        ("so it is so it is so it is so it is.", False),
    ],
)
def test_only_whole_sentences_that_describe_no_photo_are_taken_over(answer, kept):
    assert talk.acceptable(answer) is kept


def test_of_a_long_answer_two_sentences_are_kept():
    assert talk.shortened("It is 3.5 m. It is blue. It is far.\n\nMore.") == "It is 3.5 m. It is blue."


def test_the_questions_that_measure_are_not_those_that_train():
    asked = {question.strip(" .!?").casefold() for question, _, _ in talk.small_talk(Random(0), "Rex")}
    asked |= {question.strip(" .!?").casefold() for question in talk.GENERAL_QUESTIONS}
    measured = [line.partition(" = ")[0].strip(" .!?").casefold() for line in _lines("talk.txt")]
    assert len(measured) == 40
    assert not asked & set(measured)


def test_the_facts_are_read_with_their_notes_and_hold_what_they_accept():
    groups = read_facts((BENCHMARKS / "facts.txt").read_text(encoding="utf-8"))
    asks = [ask for group in groups for ask in group.asks]
    assert (len(asks), sum(accepted is None for _, accepted in asks)) == (288, 138)
    assert sum(len(group.concepts) == 2 for group in groups) == 3
    for group in groups:
        told = " ".join(notes for _, _, notes in group.concepts)
        trained = {pair for fact in notes.FACTS for pair in fact.statements}
        assert told not in trained


@pytest.mark.parametrize(
    ("answer", "right"),
    [("<bo> is 11 years old.", True), ("<bo> is 111.", True), ("<bo> is 2.11.", False), ("", False)],
)
def test_numbers_are_found_as_numbers(answer, right):
    assert holds(answer, [["11"]]) is right


def test_denials_are_known_in_several_wordings():
    assert DENIED.search("You haven't told me how old <bo> is.")
    assert not DENIED.search("<bo> is four years old.")


@pytest.mark.parametrize(
    ("answer", "labels", "right"),
    [
        ("A photo of a chair.", ["windsor chair"], True),
        ("Two apples.", ["apple", "golden delicious"], True),
        ("A pair of sneakers.", ["shoes"], True),
        ("A man with a hat.", ["teapot"], False),
    ],
)
def test_a_label_is_named_by_its_head_a_synonym_or_its_plural(answer, labels, right):
    assert named(answer, labels) is right


def _lines(name):
    return [line for line in (BENCHMARKS / name).read_text(encoding="utf-8").splitlines() if line]
