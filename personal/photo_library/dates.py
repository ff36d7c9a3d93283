"""Read dates in a search: "last May", "in 2023", "yesterday", "last summer". Pure text.

A date is a whole period, from its first day to its last. A month without a year is its latest one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""The first month of each, on the northern half of the earth."""
_MONTH = "|".join(f"{month}|{month[:3]}" if month != "may" else month for month in MONTHS) + "|sept"
_YEAR = r"(?:19|20)\d\d"
_SEASON = rf"(?P<season>{'|'.join(SEASONS)})"
_BEFORE = r"(?:(?:from|in|on|of|during|taken)\s+)*"


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` to `last`, both included; `words` say it as it was typed."""

    first: date
    last: date
    words: str

    def holds(self, taken: str | None) -> bool:
        """Return whether a time (ISO 8601) is in it."""
        return taken is not None and self.first.isoformat() <= taken[:10] <= self.last.isoformat()


def read_period(text: str, today: date) -> tuple[Period | None, str]:
    """Return the first period that a text names, and the text without it."""
    for pattern, period_of in _PATTERNS:
        for found in re.finditer(rf"\b{_BEFORE}{pattern}\b", text, re.IGNORECASE):
            try:
                first, last = period_of(found, today)
            except (ValueError, OverflowError):  # there is no 31st of June
                continue
            return Period(first, last, found[0].strip()), f"{text[: found.start()]} {text[found.end() :]}"
    return None, text


def _month_number(word: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(word.lower()[:3]))


def _months(year: int, month: int, count: int) -> tuple[date, date]:
    """Return the first day of a month and the last one of those that follow, `count` in all."""
    end = year * 12 + month - 1 + count
    return date(year, month, 1), date(end // 12, end % 12 + 1, 1) - timedelta(days=1)


def _day(found: re.Match[str], today: date) -> tuple[date, date]:
    year = int(found["year"] or today.year)
    day = date(year, _month_number(found["month"]), int(found["day"]))
    if not found["year"] and day > today:
        day = day.replace(year=year - 1)
    return day, day


def _iso_day(found: re.Match[str], _: date) -> tuple[date, date]:
    day = date.fromisoformat(found["iso"])
    return day, day


def _month(found: re.Match[str], today: date) -> tuple[date, date]:
    month = _month_number(found["month"])
    if found["year"]:
        return _months(int(found["year"]), month, 1)
    over = month < today.month if found["which"].lower() == "last" else month <= today.month
    return _months(today.year if over else today.year - 1, month, 1)


def _season(found: re.Match[str], today: date) -> tuple[date, date]:
    month = SEASONS[found["season"].lower()]
    year = int(found["year"] or today.year)
    first, last = _months(year, month, 3)
    if not found["year"] and (first > today or ((found["which"] or "").lower() == "last" and last >= today)):
        first, last = _months(year - 1, month, 3)
    return first, last


def _year(found: re.Match[str], _: date) -> tuple[date, date]:
    return _months(int(found["year"]), 1, 12)


def _relative(found: re.Match[str], today: date) -> tuple[date, date]:
    last, unit = found["which"].lower() == "last", found["unit"].lower()
    if unit == "year":
        return _months(today.year - last, 1, 12)
    if unit == "month":
        month = today.year * 12 + today.month - 1 - last
        return _months(month // 12, month % 12 + 1, 1)
    monday = today - timedelta(days=today.weekday() + 7 * last)
    return monday + timedelta(days=0 if unit == "week" else 5), monday + timedelta(days=6)


def _near(found: re.Match[str], today: date) -> tuple[date, date]:
    day = today - timedelta(days=found["near"].lower() == "yesterday")
    return day, day


_PATTERNS: tuple[tuple[str, Callable[[re.Match[str], date], tuple[date, date]]], ...] = (
    (r"(?P<iso>\d{4}-\d\d-\d\d)", _iso_day),
    (rf"(?P<day>\d\d?)(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<month>{_MONTH})\.?(?:,?\s+(?P<year>{_YEAR}))?", _day),
    (rf"(?P<month>{_MONTH})\.?\s+(?P<day>\d\d?)(?:st|nd|rd|th)?(?:,?\s+(?P<year>{_YEAR}))?", _day),
    (rf"(?:(?P<which>last|this|in)\s+)?(?P<month>{_MONTH})\.?,?\s+(?P<year>{_YEAR})", _month),
    (rf"(?P<which>last|this|in)\s+(?P<month>{_MONTH})(?P<year>)", _month),
    (rf"(?:(?P<which>last|this|in)\s+(?:the\s+)?)?{_SEASON}\s+(?:of\s+)?(?P<year>{_YEAR})", _season),
    (rf"(?P<which>last|this)\s+{_SEASON}(?P<year>)", _season),
    (r"(?P<which>last|this)\s+(?P<unit>weekend|week|month|year)", _relative),
    (r"(?P<near>today|yesterday)", _near),
    (rf"(?P<year>{_YEAR})", _year),
)  # fmt: skip
"""How dates are written, the longest way first; a season or a month alone may be no date."""
