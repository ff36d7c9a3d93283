"""conversation.json: a conversation to readable JSON and back, with nothing taken on trust.

Concepts are kept by their ids, and in answers by the names that they were called by: what is forgotten leaves the text
that was said. Photos are files beside it, by their sha256.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from personal.concepts import Answer, Box, Concept, Look, Match, Photo, PhotoFindings, Statement, Turn
from personal.conversations import Conversation, Entry, name_alone

SCHEMA = 1
"""The form that this version writes; newer ones are skipped."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_OF_MATCH: dict[str, Any] = {
    "similarity": None,
    "box": None,
    "view": None,
    "photo": None,
    "probability": None,
    "confirmed": None,
    "by_face": False,
    "certainty": "sure",
    "evidence_box": None,
}
"""Fields of a match that are written where they are not as usual."""


def as_json(talk: Conversation) -> dict[str, Any]:
    """Return the content of a conversation's conversation.json."""
    photos = {photo.sha256: photo for photo in talk.photos}
    return {
        "schema": SCHEMA,
        "id": talk.id,
        "name": talk.name,
        "created": talk.created,
        "photos": [{"sha256": p.sha256, "width": p.width, "height": p.height} for p in photos.values()],
        "entries": [_entry_as_json(entry) for entry in list(talk.entries)],
        "draft": [photo.sha256 for photo in list(talk.draft)],
        "active": talk.active if talk.active in photos else None,
        "findings": [
            {"photo": sha256, "matches": _matches_as_json(found.matches), "rejected": sorted(found.rejected)}
            for sha256, found in list(talk.findings.items())
            if sha256 in photos
        ],
        "confirmed": sorted(list(pair) for pair in list(talk.confirmed) if pair[0] in photos),
        "colours": dict(talk.colours),
    }


def read(record: Any, photos: Mapping[str, Photo], concepts: Mapping[str, Concept]) -> Conversation:
    """Return the conversation of a record, with its `photos` by sha256 and today's `concepts` by id.

    What is known of a concept that is not among them is left out; the text that was said stays. Raises ValueError with
    a message if the record is damaged.
    """
    try:
        if type(record["schema"]) is not int or record["schema"] != SCHEMA:
            raise ValueError("its schema is not what this version knows")
        reader = _Reader(photos, concepts)
        active = record["active"]
        talk = Conversation(
            id=_text(record["id"]),
            entries=[reader.entry(entry) for entry in record["entries"]],
            draft=[photos[sha256] for sha256 in record["draft"]],
            findings={found["photo"]: reader.findings(found) for found in record["findings"]},
            confirmed={(_text(photo), _text(one)) for photo, one in record["confirmed"]},
            colours={_text(key): _whole(value) for key, value in record["colours"].items()},
            active=active if active in photos else None,
            name=_text(record["name"]),
            created=_time(record["created"]),
        )
        talk.forget_all_but(concepts)
        return talk
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("something in it is missing or of the wrong kind") from error


def sizes(record: Any) -> dict[str, tuple[int, int]]:
    """Return the width and height of a record's photos by their sha256. Raises ValueError if it is damaged."""
    try:
        found = {photo["sha256"]: (_whole(photo["width"]), _whole(photo["height"])) for photo in record["photos"]}
    except (KeyError, TypeError) as error:
        raise ValueError("its list of photos makes no sense") from error
    if not all(_SHA256.fullmatch(_text(sha256)) for sha256 in found):
        raise ValueError("its list of photos makes no sense")
    return found


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    return {
        "asked": entry.asked,
        "question": entry.turn.question,
        "photos": [photo.sha256 for photo in entry.turn.photos],
        "answer": _answer_as_json(entry.answer) if entry.answer else None,
        "error": entry.error,
        "rating": entry.rating,
        "remark": entry.remark,
    }


def _answer_as_json(answer: Answer) -> dict[str, Any]:
    look, statement = answer.look, answer.look.statement
    return {
        "text": answer.text,
        "model": answer.model,
        "tokens": answer.tokens,
        "first_token_s": answer.first_token_s,
        "total_s": answer.total_s,
        "stopped": answer.stopped,
        "dropped_turns": answer.dropped_turns,
        "seconds": look.seconds,
        "seen": [{"photo": f.photo.sha256, "matches": _matches_as_json(f.matches, said=True)} for f in look.photos],
        "named": _matches_as_json(look.named, said=True),
        "statement": statement
        and {
            "text": statement.text,
            "source": statement.source,
            "concepts": [{"concept": concept.id, "name": concept.name} for concept in statement.concepts],
        },
    }


def _matches_as_json(matches: tuple[Match, ...], *, said: bool = False) -> list[dict[str, Any]]:
    """Return matches as JSON, with the concepts' names where they were `said`."""
    return [
        {
            "concept": match.concept.id,
            **({"name": match.concept.name} if said else {}),
            "reason": match.reason,
            **{name: value for name, usual in _OF_MATCH.items() if (value := _plain(getattr(match, name))) != usual},
        }
        for match in matches
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON reads it back."""
    return list(value) if isinstance(value, tuple) else value


class _Reader:
    """Reads what names photos and concepts."""

    def __init__(self, photos: Mapping[str, Photo], concepts: Mapping[str, Concept]) -> None:
        self._photos = photos
        self._concepts = concepts

    def findings(self, record: Any) -> PhotoFindings:
        """What is known of a photo today."""
        matches = tuple(self._match(match) for match in record["matches"])
        return PhotoFindings(self._photos[record["photo"]], matches, frozenset(map(_text, record["rejected"])))

    def entry(self, record: Any) -> Entry:
        answer = None if record["answer"] is None else self._answer(record["answer"])
        photos = tuple(self._photos[sha256] for sha256 in record["photos"])
        return Entry(
            Turn(_text(record["question"]), photos, answer=answer.text if answer else ""),
            answer,
            _text(record["error"]),
            _time(record["asked"]),
            _one_of(record["rating"], "", "up", "down"),
            _text(record["remark"]),
        )

    def _answer(self, record: Any) -> Answer:
        first, statement = record["first_token_s"], record["statement"]
        look = Look(
            tuple(
                PhotoFindings(self._photos[one["photo"]], tuple(self._match(match) for match in one["matches"]))
                for one in record["seen"]
                if one["photo"] in self._photos
            ),
            tuple(self._match(match) for match in record["named"]),
            _number(record["seconds"]),
            statement
            and Statement(
                _text(statement["text"]),
                _one_of(statement["source"], "recognition", "notes"),
                tuple(self._concept(one) for one in statement["concepts"]),
            ),
        )
        return Answer(
            _text(record["text"]),
            look,
            _text(record["model"]),
            _whole(record["tokens"]),
            None if first is None else _number(first),
            _number(record["total_s"]),
            _flag(record["stopped"]),
            _whole(record["dropped_turns"]),
        )

    def _concept(self, record: Any) -> Concept:
        """Return a concept as it is today, by the name that was said; of a forgotten one the name alone."""
        now = self._concepts.get(record["concept"])
        said = _text(record.get("name", now.name if now else ""))
        return replace(now, name=said) if now else name_alone(_text(record["concept"]), said)

    def _match(self, record: Any) -> Match:
        return Match(
            self._concept(record),
            _one_of(record["reason"], "seen", "named"),
            _maybe(_number, record.get("similarity")),
            _maybe(_box, record.get("box")),
            _maybe(_text, record.get("view")),
            _maybe(_text, record.get("photo")),
            _maybe(_number, record.get("probability")),
            _maybe(_flag, record.get("confirmed")),
            _flag(record.get("by_face", False)),
            _one_of(record.get("certainty", "sure"), "sure", "maybe", "silent"),
            _maybe(_box, record.get("evidence_box")),
        )


def _maybe(read: Any, value: Any) -> Any:
    return None if value is None else read(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: Any) -> str:
    if not _TIME.fullmatch(_text(value)):
        raise ValueError("a time in it is no time")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _box(value: Any) -> Box:
    x0, y0, x1, y1 = (_number(edge) for edge in value)
    return (x0, y0, x1, y1)


def _one_of(value: Any, *known: str) -> Any:
    if value not in known:
        raise TypeError
    return value
