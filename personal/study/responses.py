"""Check what participants answer to the items of a questionnaire, and say by item what is missing or out of range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from personal.errors import PersonalError
from personal.study.items import Item, Questionnaire
from personal.study.scales import items_of
from personal.study.schema import Screening

UNANSWERED = "Please answer this."


class ResponseError(PersonalError):
    """Answers that cannot be taken; `items` says for each such item what to do."""

    def __init__(self, items: Mapping[str, str]) -> None:
        super().__init__("Please look at the marked questions.")
        self.items = dict(items)


def check(questionnaire: Questionnaire, responses: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """Return the answers to a questionnaire, clean; `order` are the conditions as the participant met them.

    A preference, which is given as the number of a part, is returned as the condition. Raises ResponseError.
    """
    return check_items(items_of(questionnaire), responses, order)


def check_items(items: Iterable[Item], responses: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """Return the answers to `items`, clean; those not required and not answered are left out. Raises ResponseError."""
    answers: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for item in items:
        given = responses.get(item.id)
        if isinstance(given, list) and len(given) == 1 and not item.multiple:
            given = given[0]  # as forms send it
        if isinstance(given, str):
            given = given.strip()
        if given in (None, "", []):
            if item.required:
                wrong[item.id] = UNANSWERED
            continue
        try:
            answers[item.id] = _read(item, given, order)
        except (ValueError, TypeError) as error:
            wrong[item.id] = str(error)
    if wrong:
        raise ResponseError(wrong)
    return answers


def check_screening(questions: Iterable[Screening], responses: Mapping[str, Any]) -> dict[str, str]:
    """Return the answers to eligibility questions. Raises ResponseError."""
    items = [Item(id=one.id, kind="choice", text=one.text, options=one.options) for one in questions]
    return check_items(items, responses, ())


def _read(item: Item, given: Any, order: Sequence[str]) -> Any:
    if item.kind == "text":
        if not isinstance(given, str):
            raise ValueError("Please write a text.")
        if len(given) > item.max_length:
            raise ValueError(f"Please use at most {item.max_length} characters.")
        return given
    if item.kind == "preference":
        return order[_number(given, len(order)) - 1]
    if item.kind == "likert" or item.points:
        return _number(given, item.points or 2)
    if not item.multiple:
        return _option(item, given)
    chosen = given if isinstance(given, list) else [given]
    return [option for option in item.options if option in {_option(item, one) for one in chosen}]


def _number(given: Any, highest: int) -> int:
    """Return a whole number from 1 to `highest`, also from a form's text."""
    text = str(given) if isinstance(given, int | str) and not isinstance(given, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= highest):
        raise ValueError(f"Please choose from 1 to {highest}.")
    return int(text)


def _option(item: Item, given: Any) -> str:
    if not isinstance(given, str) or given not in item.options:
        raise ValueError("Please choose one of the options.")
    return given
