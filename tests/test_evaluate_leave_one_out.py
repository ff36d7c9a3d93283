"""Which of one's own concepts are confused: every view asked about as if it were new."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from personal.concepts import Preferences, Progress
from personal.evaluate.leave_one_out import CheckResult, check
from tests.conftest import BLUE, GREEN, RED, picture

ME = "me"


def checked(assistant, owner=ME, **more):
    *steps, last = check(assistant, owner, **more)
    assert all(isinstance(step, Progress) for step in steps)
    assert isinstance(last, CheckResult)
    return last


def remember(assistant, name, *colours, owner=ME):
    return assistant.remember(owner, name, [picture(colour, dot=i + 1) for i, colour in enumerate(colours)])


def near(colour, by):
    return tuple(c + by for c in colour)


def files(folder):
    return {path: path.read_bytes() for path in (folder / "data" / "owners").rglob("*") if path.is_file()}


def test_concepts_that_tell_apart_all_get_their_right_names(assistant):
    remember(assistant, "cherry", RED, near(RED, 3), near(RED, 6))
    remember(assistant, "leaf", GREEN, near(GREEN, 3))
    found = checked(assistant)
    assert [found.count(outcome) for outcome in ("right", "wrong", "silent")] == [5, 0, 0]
    assert found.mistakes == []
    assert (found.total, found.stopped, found.single) == (5, False, ())
    assert all(one.best.view != one.photo.sha256 for one in found.views)


def test_a_view_that_is_anothers_like_is_told_with_both_and_how_often(assistant):
    cherry = remember(assistant, "cherry", RED, near(RED, 3), BLUE, near(BLUE, 2))
    sea = remember(assistant, "sea", near(BLUE, 1), near(BLUE, 3), near(BLUE, 4))
    assistant.library.prefer(ME, Preferences(threshold=0.9))
    found = checked(assistant)
    assert found.count("wrong") >= 1
    (worst, times), *_ = found.mistakes
    assert worst.outcome == "wrong"
    assert {worst.concept.id, worst.best.concept.id} == {cherry.id, sea.id}
    assert times == found.confusion[worst.concept.id, worst.best.concept.id]
    assert worst.best.view in {view.sha256 for view in worst.best.concept.views}
    assert worst.own is not None
    assert worst.own.similarity <= worst.best.similarity
    assert sum(found.confusion.values()) == len(found.views) == 7


def test_a_view_unlike_everything_gets_no_name_at_the_owners_own_threshold(assistant):
    cherry = remember(assistant, "cherry", RED, near(RED, 2), (120, 120, 10))
    remember(assistant, "leaf", GREEN, near(GREEN, 3))
    found = checked(assistant)
    assert found.confusion[cherry.id, None] == 1
    ((silent, times),) = found.mistakes
    assert (silent.outcome, times) == ("silent", 1)
    assistant.library.prefer(ME, Preferences(threshold=-1.0))
    assert checked(assistant).count("silent") == 0


def test_what_has_one_photo_only_is_not_tried_but_can_be_mistaken_for(assistant):
    remember(assistant, "cherry", RED, BLUE)
    lone = remember(assistant, "sea", near(BLUE, 1))
    found = checked(assistant)
    assert [concept.name for concept in found.single] == ["sea"]
    assert found.total == 2
    assert found.mistakes[0][0].best.concept.id == lone.id


def test_nothing_is_written_and_nobody_elses_counts(assistant, tmp_path):
    remember(assistant, "cherry", RED, near(RED, 3))
    remember(assistant, "crimson", RED, near(RED, 3), owner="another")
    before, vectors = files(tmp_path), assistant.index.views(ME)
    found = checked(assistant)
    assert {one.best.concept.name for one in found.views} == {"cherry"}
    assert before
    assert (files(tmp_path), assistant.index.views(ME)) == (before, vectors)
    assert checked(assistant, "nobody") == CheckResult((), (), 0)


def test_it_stops_when_told_to_and_tells_of_each_concept_first(assistant):
    names = ["cherry", "leaf", "sea"]
    for name, colour in zip(names, (RED, GREEN, BLUE), strict=True):
        remember(assistant, name, colour, near(colour, 3), near(colour, 6))
    stop = threading.Event()
    steps = check(assistant, ME, stop=stop)
    for _ in range(3):
        next(steps)
    assert next(steps) == Progress("Looking at your photos, each as if it were new", 3, 9)
    stop.set()
    *_, found = steps
    assert found.stopped
    assert [one.concept.name for one in found.views] == [*names, "cherry"]
    assert found.total == 9


@pytest.mark.parametrize("harm", ["torn", "forgotten"])
def test_what_is_damaged_or_forgotten_meanwhile_is_passed_over(assistant, tmp_path, harm):
    cherry = remember(assistant, "cherry", RED, near(RED, 3))
    remember(assistant, "leaf", GREEN, near(GREEN, 3))
    steps = check(assistant, ME)
    next(steps)
    if harm == "forgotten":
        assistant.forget(ME, cherry.id)
    else:
        (view,) = (tmp_path / "data").rglob(f"{cherry.views[1].sha256}.jpg")
        view.write_bytes(b"torn")
    *_, found = steps
    assert found.count("right") == len(found.views) == (2 if harm == "forgotten" else 3)
    assert found.total == 4


def test_a_photo_whose_name_would_only_be_asked_about_counts_as_silent(assistant, monkeypatch):
    remember(assistant, "cherry", RED, near(RED, 3))
    remember(assistant, "leaf", GREEN, near(GREEN, 3))
    rank = assistant.retriever.rank

    def unsure(*a, **o):
        return [replace(m, certainty="maybe") if m.concept.name == "cherry" else m for m in rank(*a, **o)]

    monkeypatch.setattr(assistant.retriever, "rank", unsure)
    found = checked(assistant)
    assert {one.concept.name: one.outcome for one in found.views} == {"cherry": "silent", "leaf": "right"}
