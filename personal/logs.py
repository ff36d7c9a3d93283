"""Logging, configured once: lines for people or JSON, with numbers as fields, and nothing private.

Exceptions are logged with their types and frames. Their messages are left out, since they may quote a name, a note, a
question or a file; only those of MESSAGE_TYPES, which the libraries write, are kept.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any, Literal

from personal.errors import PersonalError

Kind = Literal["auto", "human", "json"]
ACCESS = "personal.access"
"""The logger of requests, which are written in the JSON form alone: there a program reads them."""

MESSAGE_TYPES = {"RuntimeError", "OutOfMemoryError", "MemoryError", "ImportError", "ModuleNotFoundError"}
"""Names of exception types whose messages say nothing of a user."""

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}

log = logging.getLogger(__name__)


def configure(kind: Kind = "auto", *, verbose: bool) -> None:
    """Send the log to standard error. "auto" means for people, and warnings only unless `verbose`."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _StandardError)]:
        root.removeHandler(handler)
    root.addHandler(_StandardError(kind))
    logging.getLogger("personal").setLevel(logging.INFO if verbose or kind != "auto" else logging.WARNING)


def report(error: PersonalError) -> None:
    """Log an error that is shown to a person, with its traceback."""
    log.info("%s was shown.", type(error).__name__, exc_info=error)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given to a log call as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def describe(error: BaseException) -> str:
    """Return the frames and types of an exception and of what caused it, without private messages."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\nCaused by:\n".join("".join(traceback.format_tb(one.__traceback__)) + _name(one) for one in chain)


def _name(error: BaseException) -> str:
    kind = type(error).__name__
    if kind in MESSAGE_TYPES:
        return f"{kind}: {error}"
    return f"{kind}: errno {error.errno}" if isinstance(error, OSError) and error.errno else kind


class _StandardError(logging.Handler):
    """Writes to what standard error is now."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.setFormatter(_Json() if kind == "json" else _Human())
        if kind != "json":
            self.addFilter(lambda record: record.name != ACCESS)

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr:
            sys.stderr.write(f"{self.format(record)}\n")


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {name}={value}" for name, value in fields(record).items())
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {record.getMessage()}{extra}"
        exception = record.exc_info and record.exc_info[1]
        return f"{line}\n{describe(exception)}" if exception else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **fields(record),
        }
        if record.exc_info and record.exc_info[1]:
            entry["exception"] = describe(record.exc_info[1])
        return json.dumps(entry, ensure_ascii=False, default=str)
