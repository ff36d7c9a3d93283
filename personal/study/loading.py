"""Read a study from YAML. Everything that is wrong with a file is told at once, each with its line and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from personal.errors import PersonalError
from personal.study.coherence import Place, findings, unreadable
from personal.study.schema import Study

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_PROBLEMS = 20
"""Problems that are listed at most."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a study file: its line from 1, the place as keys and positions, and words."""

    line: int
    place: Place
    words: str

    def __str__(self) -> str:
        where = " › ".join(str(part + 1) if isinstance(part, int) else part for part in self.place)
        return f"line {self.line}: {where}: {self.words}" if where else f"line {self.line}: {self.words}"


class StudyFileError(PersonalError):
    """A file that is no study; `problems` are in the order of lines."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda one: one.line)
        shown = [str(problem) for problem in self.problems[:MAX_PROBLEMS]]
        if more := len(self.problems) - len(shown):
            shown.append(f"and {more} more")
        super().__init__("\n".join([f"{name} cannot be used:", *shown]))


def read_study(path: Path, *, text: str | None = None, photos: bool = True) -> Study:
    """Return the study of a file, or of `text` in its place. Raises StudyFileError with the lines.

    With `photos`, those that it names must be beside it and be pictures.
    """
    if text is None:
        text = _text(path)
    document = _Document(path.name)
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


# -- YAML --------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.2's plain values: `yes`, `12:30`, `0123` and dates are texts, as who writes them expects."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases: a few lines of them stand for gigabytes."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=mark)
        return super().compose_node(parent, index)


_PLAIN = (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("tag:yaml.org,2002:float", r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$|^-?\.[0-9]+$", "-.0123456789"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", "~nN"),
)
for _tag, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), [*_first, *([""] if "null" in _tag else [])])

_SYNTAX = (
    ("\\t", "there is a tab. Indent with blanks."),
    ("mapping values are not allowed", "a text holds ': '. Put it in quotes, or check the indentation."),
    ("could not find expected ':'", "a ':' is missing after the key, or the line is indented too little."),
    ("block mapping", "the indentation is not that of the lines above, or a quote further up is not closed."),
    ("block collection", "the indentation is not that of the list above. Align the '-'."),
    ("while scanning a quoted scalar", "a quote is not closed. Add the missing one."),
    ("end of stream", "a quote or bracket is not closed. Add the missing one."),
    ("flow", "a bracket is not closed, a comma is missing, or a text with '?' or ',' in brackets is not in quotes."),
    ("anchor", "'&' and '*' are not used in study files. Put the text in quotes."),
    ("alias", "'&' and '*' are not used in study files. Put the text in quotes."),
    ("another document", "the file holds two documents. Remove the line '---'."),
    ("special characters are not allowed", "there is a control character. Remove it."),
)


class _Document:
    """A parsed file: its value, and the line of every place in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {(): 1}

    def problem(self, place: Place, words: str) -> Problem:
        """Return a problem with the line of its place, or of what holds it."""
        return Problem(line_of(self.lines, place), place, words)

    def parse(self, text: str) -> Any:
        """Return the value of a YAML text. Raises StudyFileError."""
        if len(text) > MAX_BYTES:
            raise self._error(1, f"it is longer than {MAX_BYTES} characters. Shorten it.")
        loader = None
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
        except yaml.YAMLError as error:
            raise self._syntax(error) from None
        except RecursionError:
            raise self._error(1, "lists are nested too deep. Write them flat.") from None
        finally:
            if loader is not None:
                loader.dispose()
        if node is None:
            raise self._error(1, "it is empty. Begin with an example: python -m personal.study new FILE.yaml.")
        if not isinstance(node, yaml.MappingNode):
            raise self._error(_line(node), "a study is a list of settings such as 'title: …'. Begin with an example.")
        return self._value(node, ())

    def _syntax(self, error: yaml.YAMLError) -> StudyFileError:
        mark = getattr(error, "problem_mark", None)
        said = str(error)
        words = next((words for sign, words in _SYNTAX if sign in said), "")
        return self._error(
            mark.line + 1 if mark else 1, words or f"this is no YAML: {getattr(error, 'problem', said)}."
        )

    def _error(self, line: int, words: str, place: Place = ()) -> StudyFileError:
        return StudyFileError(self.name, [Problem(line, place, words)])

    def _value(self, node: Any, place: Place) -> Any:
        self.lines[place] = _line(node)
        if len(place) > MAX_DEPTH:
            raise self._error(_line(node), "lists are nested too deep. Write them flat.", place)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(one, (*place, number)) for number, one in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(_line(key_node), "a key must be one word, followed by ':'.", place)
            key = key_node.value
            if key in found:
                raise self._error(_line(key_node), f"{key} stands here twice. Keep one.", (*place, key))
            found[key] = self._value(value_node, (*place, key))
            self.lines[*place, key] = _line(key_node)
        return found


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: Any) -> Any:
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return node.value.lower() == "true"
    if kind == "int" and len(node.value) < 20:
        return int(node.value)
    return float(node.value) if kind == "float" and len(node.value) < 40 else node.value


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


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """Return the line of a place, or of the nearest that holds it."""
    while place not in lines:
        place = place[:-1]
    return lines[place]


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
