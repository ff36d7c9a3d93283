"""A conversation as a .zip to read anywhere: conversation.md with its photos, and conversation.json with all of it."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from personal.concepts import Answer, Photo
from personal.conversations import Conversation, Entry
from personal.remember import conversation_record

_SIGNS = re.compile(r"([\\`*_\[\]<>#|])")
_NAME = re.compile(r"<([^<>\n]+)>")
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the zip, so that the same conversation gives the same bytes."""


def export(talk: Conversation, stream: BinaryIO) -> None:
    """Write a conversation as a .zip."""
    files = {photo.sha256: f"photos/{number}.jpg" for number, photo in enumerate(_photos(talk), 1)}
    record = conversation_record.as_json(talk)
    for photo in record["photos"]:
        photo["file"] = files[photo["sha256"]]
    with zipfile.ZipFile(stream, "w") as archive:
        _put(archive, "conversation.md", as_markdown(talk, files).encode())
        _put(archive, "conversation.json", json.dumps(record, ensure_ascii=False, indent=2, default=float).encode())
        for photo in _photos(talk):
            _put(archive, files[photo.sha256], photo.jpeg)


def as_markdown(talk: Conversation, files: dict[str, str]) -> str:
    """Return a conversation as Markdown; `files` are the places of its photos by their sha256."""
    parts = [f"# {_plain(talk.title)}", f"Begun {_time(talk.created)}."]
    for entry in talk.entries:
        parts += _entry(entry, files)
    parts += [_image(photo, files) for photo in talk.draft]
    return "\n\n".join(part for part in parts if part) + "\n"


def _entry(entry: Entry, files: dict[str, str]) -> Iterator[str]:
    yield f"## You, {_time(entry.asked)}"
    for photo in entry.turn.photos:
        yield _image(photo, files)
    yield _plain(entry.turn.question)
    answer = entry.answer
    yield f"## {_plain(answer.model) if answer and answer.model else 'Personal'}"
    if answer:
        yield from _said(answer)
    if entry.error:
        yield f"_{_plain(entry.error)}_"
    rated = {"up": "👍", "down": "👎"}.get(entry.rating, "")
    if rated or entry.remark:
        yield f"> {rated} {_plain(entry.remark)}".rstrip()


def _said(answer: Answer) -> Iterator[str]:
    statement = answer.look.statement
    if statement and statement.text != answer.text:
        yield f"{_named(statement.text)} _(from {'your notes' if statement.source == 'notes' else 'recognition'})_"
    yield _named(answer.text)
    if answer.stopped:
        yield "_Stopped._"


def _photos(talk: Conversation) -> list[Photo]:
    return list({photo.sha256: photo for photo in talk.photos}.values())


def _image(photo: Photo, files: dict[str, str]) -> str:
    return f"![Photo]({files[photo.sha256]})"


def _time(when: str) -> str:
    """Return a time that is written as UTC in words."""
    return f"{when[:10]} {when[11:16]} UTC"


def _plain(text: str) -> str:
    """Return text that a person wrote, so that Markdown makes nothing of its signs."""
    return _SIGNS.sub(r"\\\1", text).strip()


def _named(text: str) -> str:
    """Return an answer's text, names in bold."""
    return _NAME.sub(lambda found: f"**{_plain(found[1])}**", text).strip()


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.external_attr = 0o600 << 16
    archive.writestr(info, data, zipfile.ZIP_STORED if name.endswith(".jpg") else zipfile.ZIP_DEFLATED)
