"""Read a study from YAML. Everything that is wrong with a file is told at once, each with its line and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from personal.errors import PersonalError
from personal.study.coherence import findings, unreadable
from personal.study.document import Document, Place, Problem, StudyFileError, line_of
from personal.study.schema import Study


def read_study(path: Path, *, text: str | None = None, photos: bool = True) -> Study:
    """Return the study of a file, or of `text` in its place. Raises StudyFileError with the lines.

    With `photos`, those that it names must be beside it and be pictures.
    """
    if text is None:
        text = _text(path)
    document = Document(path.name)
    value = document.parse(text)
    try:
        study = Study.model_validate(value)
    except ValidationError as error:
        raise StudyFileError(path.name, _problems(error, document.lines)) from None
    wrong = list(findings(study)) or (list(unreadable(study, path.parent)) if photos else [])
    if wrong:
        raise StudyFileError(path.name, [document.problem(place, words) for place, words in wrong])
    return study


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PersonalError(f"{path} cannot be read ({error.strerror or error}). Check the name.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        words = "this is no UTF-8 text. Save the file as UTF-8."
        raise StudyFileError(path.name, [Problem(line, (), words)]) from None


# -- what pydantic says, in words --------------------------------------------------------------------------------------

_WORDS = {
    "string_type": "must be a text.",
    "int_type": "must be a whole number.",
    "int_parsing": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "float_type": "must be a number.",
    "float_parsing": "must be a number.",
    "bool_type": "must be true or false.",
    "bool_parsing": "must be true or false.",
    "tuple_type": "must be a list: a line '- …' for each, or [in, brackets].",
    "model_type": "must be a group of settings, each on a line of its own below, indented.",
    "date_from_datetime_parsing": "must be a date such as 2030-12-31.",
    "date_parsing": "must be a date such as 2030-12-31.",
    "date_type": "must be a date such as 2030-12-31.",
    "string_too_short": "is empty. Write something, or remove the line.",
}
_PATTERNS = (
    ("{0,39}$", "must begin with a small letter, and have small letters, digits, _ and - only, at most 40."),
    ("^https?", "must be an address that begins with https:// or http://, without blanks."),
    ("{1,64}$", "must be letters, digits, - and _ only, at most 64."),
    ("sample:", "must be the name of a file beside the study file, or sample:NAME."),
    ("\\w{1,40}", "must be the name of a link's parameter: letters, digits and _ only."),
    (")?$", "must be the name of a measure, such as sus.score."),
)


def _problems(error: ValidationError, lines: Mapping[Place, int]) -> list[Problem]:
    found: dict[Place, list[str]] = {}
    unions: set[Place] = set()
    for one in error.errors(include_url=False):
        place = _place(one["loc"], lines, one["type"])
        if len(place) < len(one["loc"]):
            unions.add(place)
        found.setdefault(place, []).append(_words(one, place))
    kept = {
        place: words
        for place, words in found.items()
        if not (place in unions and any(len(other) > len(place) and other[: len(place)] == place for other in found))
    }
    return [Problem(line_of(lines, place), place, _either(words)) for place, words in kept.items()]


def _either(words: list[str]) -> str:
    return " Or it ".join(dict.fromkeys(words))


def _place(loc: tuple[str | int, ...], lines: Mapping[Place, int], kind: str) -> Place:
    """Return a place in the file for one of pydantic's, which also names the members of unions."""
    place: Place = ()
    for number, part in enumerate(loc):
        if (*place, part) in lines or (kind == "missing" and number == len(loc) - 1):
            place = (*place, part)
    return place


def _words(error: Any, place: Place) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing. Add it."
    if kind == "extra_forbidden":
        known = list(_model_at(place[:-1]).model_fields)
        near = difflib.get_close_matches(str(place[-1]), known, 1, 0.5)
        offered = f"Did you mean {near[0]}?" if near else f"There is {', '.join(known)}."
        return f"there is no such setting here. {offered}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be one of {context['expected'].replace(' or ', ', ')}."
    if kind == "string_pattern_mismatch":
        return next(words for sign, words in _PATTERNS if sign in context["pattern"])
    if kind == "too_short":
        return f"needs {context['min_length']} or more."
    if kind in ("too_long", "string_too_long"):
        most = context["max_length"]
        return f"has {'more characters than' if 'string' in kind else 'more than'} {most}. Shorten it."
    return _WORDS.get(kind) or error["msg"].replace("Input should be", "must be") + "."


def _model_at(place: Place) -> type[BaseModel]:
    model: type[BaseModel] = Study
    for part in place:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)
