"""YAML of a study file, with the line of every place in it; what is no YAML is told by line and in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from personal.errors import PersonalError

Place = tuple[str | int, ...]
"""Where something is in a file: keys, and positions in lists."""
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


class Document:
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


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """Return the line of a place, or of the nearest that holds it."""
    while place not in lines:
        place = place[:-1]
    return lines[place]
