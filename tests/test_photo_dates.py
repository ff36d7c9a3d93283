"""Dates in a search, and what else is read out of it."""

from __future__ import annotations

from datetime import date

import pytest

from personal.concepts import Concept
from personal.photo_library.dates import read_period
from personal.photo_library.query import read_query
from personal.retrieve.names import bracketed

TODAY = date(2026, 6, 10)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "first", "last", "rest"),
    [
        ("bo on the beach last May", "2026-05-01", "2026-05-31", "bo on the beach"),
        ("last june", "2025-06-01", "2025-06-30", ""),
        ("in June", "2026-06-01", "2026-06-30", ""),
        ("this July", "2025-07-01", "2025-07-31", ""),
        ("snow in Feb 2024", "2024-02-01", "2024-02-29", "snow"),
        ("December 2023", "2023-12-01", "2023-12-31", ""),
        ("2019", "2019-01-01", "2019-12-31", ""),
        ("photos from 2019", "2019-01-01", "2019-12-31", "photos"),
        ("last year", "2025-01-01", "2025-12-31", ""),
        ("this month", "2026-06-01", "2026-06-30", ""),
        ("last month", "2026-05-01", "2026-05-31", ""),
        ("last week", "2026-06-01", "2026-06-07", ""),
        ("last weekend", "2026-06-06", "2026-06-07", ""),
        ("yesterday", "2026-06-09", "2026-06-09", ""),
        ("taken on 3 May", "2026-05-03", "2026-05-03", ""),
        ("on August 24th", "2025-08-24", "2025-08-24", ""),
        ("24th of August, 2021", "2021-08-24", "2021-08-24", ""),
        ("2021-08-24 at home", "2021-08-24", "2021-08-24", "at home"),
        ("last summer", "2025-06-01", "2025-08-31", ""),
        ("the beach in the summer of 2020", "2020-06-01", "2020-08-31", "the beach"),
        ("last winter", "2025-12-01", "2026-02-28", ""),
        ("winter 2020", "2020-12-01", "2021-02-28", ""),
    ],
)
def test_dates_are_read_as_people_mean_them(text, first, last, rest):
    period, left = read_period(text, TODAY)
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)
    assert " ".join(left.split()) == rest


@pytest.mark.parametrize("text", ["a may pole", "31 June", "bo", "", "1 of 2", "marching", "a summer dress", "12345"])
def test_what_is_no_date_is_left_alone(text):
    assert read_period(text, TODAY) == (None, text)


def concept(number: int, name: str, category: str) -> Concept:
    return Concept(f"{number:032x}", name, category, "", (), "", "", "")


BO, REX, MAY = concept(1, "bo", "dog"), concept(2, "rex", "cat"), concept(3, "May", "")


@pytest.mark.parametrize(
    ("words", "shown", "absent", "lacking", "text"),
    [
        ("<bo> on the beach", ["bo"], [], [], "dog on the beach"),
        ("show me photos of bo and rex", ["bo", "rex"], [], [], ""),
        ("bo or rex in snow", ["bo/rex"], [], [], "dog or cat in snow"),
        ("either bo or rex", ["bo/rex"], [], [], ""),
        ("bo without a leash on the beach", ["bo"], [], ["leash"], "dog on the beach"),
        ("the beach, no people", [], [], ["people"], "beach"),
        ("without people or dogs", [], [], ["people", "dogs"], ""),
        ("bo without rex and a ball", ["bo"], ["rex"], [], "dog and a ball"),
        ("not bo and rex", [], ["bo", "rex"], [], ""),
        ("May last May", ["May"], [], [], ""),
        ("pictures with a red car", [], [], [], "a red car"),
        ("<nobody> asleep", [], [], [], "nobody asleep"),
        ("", [], [], [], ""),
    ],
)
def test_names_and_filters_are_read_out_of_a_search(words, shown, absent, lacking, text):
    every = [BO, REX, MAY]
    query = read_query(words, lambda text: bracketed(text, [one.name for one in every]), every, TODAY)
    assert ["/".join(one.name for one in group) for group in query.shown] == shown
    assert [one.name for one in query.absent] == absent
    assert list(query.lacking) == lacking
    assert query.text == text
