"""What the Evaluate tab says of a check, without a browser."""

from __future__ import annotations

import re

import pytest

from personal.concepts import Concept, Match, View
from personal.evaluate.leave_one_out import CheckedView, CheckResult
from personal.ui.evaluate import PAIRS, TABLE, lacking, summary, verdict
from tests.conftest import RED, picture

PHOTO = picture(RED)


def concept(name, views=2):
    return Concept(
        name.encode().hex(), name, "", "", tuple(View(f"{name}{i}", 64, 64) for i in range(views)), f"{name}0", "", ""
    )


def tried(name, said, similarity=0.9):
    own = Match(concept(name), "seen", 0.5, view=f"{name}1")
    certainty = "sure" if similarity >= 0.7 else "silent"
    return CheckedView(
        concept(name), PHOTO, Match(concept(said), "seen", similarity, view=f"{said}0", certainty=certainty), own
    )


def shown(*tries, single=(), total=None, stopped=False):
    found = CheckResult(tries, tuple(single), len(tries) if total is None else total, stopped)
    return verdict(found, lambda of, view: PHOTO)


@pytest.mark.parametrize(
    ("right", "wrong", "silent", "said"),
    [
        (1, 0, 0, "The photo is recognised correctly."),
        (23, 0, 0, "All 23 recognised correctly."),
        (21, 1, 1, "Of 23 photos 21 get the right name, 1 a wrong one and 1 no name."),
        (1, 2, 0, "Of 3 photos 1 gets the right name and 2 a wrong one."),
        (0, 0, 2, "Of 2 photos none gets the right name and 2 no name."),
        (0, 1, 0, "Of 1 photo none gets the right name and 1 a wrong one."),
    ],
)
def test_the_verdict_is_a_sentence(right, wrong, silent, said):
    tries = [tried("bo", "bo")] * right + [tried("bo", "mo")] * wrong + [tried("bo", "bo", 0.1)] * silent
    assert summary(CheckResult(tuple(tries), (), len(tries))) == said


def test_a_mistake_shows_both_photos_and_leads_to_the_concept_that_needs_one():
    html = shown(tried("bo", "mo"), tried("bo", "mo", 0.8), tried("mo", "mo"), tried("mo", "mo", 0.2))
    first, second = re.findall("<li>.*?</li>", html)
    assert "is taken for" in first
    assert "in 2 photos" in first
    assert first.count("<figure>") == 2
    assert "data-act=\"open\" data-concept='626f'" in first
    assert "is not recognised" in second
    assert 'class="silent"' in html


def test_names_do_nothing_in_the_page():
    evil = "<img src=x onerror=alert(1)>\"'&"
    html = shown(tried(evil, "mo"), tried("mo", evil, 0.1), single=[concept(evil, 1)])
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    assert "<img src=x" not in lacking([concept(evil)])


def test_of_many_concepts_those_that_are_confused_are_in_the_table():
    every = [tried(f"thing {i}", f"thing {i}") for i in range(TABLE + 5)]
    assert "<table>" not in shown(*every)
    html = shown(*every, tried("bo", "thing 3"))
    assert html.count('scope="row"') == 2
    assert f"{TABLE + 4} others always get the right name" in html
    assert shown(*every[:TABLE]).count('scope="row"') == TABLE


def test_the_worst_are_shown_and_the_rest_counted():
    html = shown(*(tried(f"thing {i}", "mo") for i in range(PAIRS + 3)))
    assert html.count("<li>") == PAIRS
    assert "And 3 more" in html


def test_what_was_not_looked_at_is_said():
    assert "Stopped after 1 of 9 photos" in shown(tried("bo", "bo"), total=9, stopped=True)
    assert "2 photos could not be looked at" in shown(tried("bo", "bo"), total=3)
    assert "Stopped before the first photo" in shown(total=9, stopped=True)
    assert "None of your photos" in shown(total=9)


@pytest.mark.parametrize(
    ("concepts", "said"),
    [
        ([], "No concepts yet"),
        ([concept("bo")], "bo is all there is"),
        ([concept("bo", 1), concept("mo", 1)], "one photo only"),
        ([concept("bo", 1), concept("mo", 2)], ""),
    ],
)
def test_what_is_missing_is_said_before_anything_is_checked(concepts, said):
    assert said in lacking(concepts)
    assert bool(said) == bool(lacking(concepts))
