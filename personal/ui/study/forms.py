"""Forms that are sent: their fields and photos, within bounds, and what is said where a field is wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, BinaryIO

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from personal.concepts import Photo
from personal.errors import ImageError
from personal.images import read_photo
from personal.settings import Settings
from personal.study.responses import ResponseError
from personal.ui.doors import ConcurrencyLimit, Refused

MAX_FILES = 10
MAX_FIELDS = 400
WORDS = 4 * 2**20
"""Bytes of a form without photos at most: a study's file is in one."""
AT_ONCE = 3
"""Photos of the largest size that fit into one form."""
LONGEST_S = 300.0
"""Longest that a form may take to arrive, seconds: photos come from phones."""
PER_ADDRESS, IN_TOTAL = 24, 48
"""Forms with photos that are read at once: of one address (a class may share one), and of all."""
BUSY = "Many photos are being sent at this moment. Try again."

_limit = ConcurrencyLimit(PER_ADDRESS, IN_TOTAL)


@dataclass(frozen=True)
class Form:
    """What was sent: values by the name of the field, and files by theirs: each its name and what to read it from."""

    values: Mapping[str, list[str]] = field(default_factory=dict)
    files: Mapping[str, list[tuple[str, BinaryIO]]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a field's value, stripped; empty where it was not sent."""
        return (self.values.get(name) or [""])[0].strip()

    def responses(self) -> dict[str, Any]:
        """Return the fields as answers to items: a list only where several values were sent."""
        return {name: sent[0] if len(sent) == 1 else sent for name, sent in self.values.items()}

    def photos(self, name: str, settings: Settings) -> list[Photo]:
        """Read the photos of a field, one after the other. Raises ResponseError at that field."""
        limits = {"max_bytes": settings.max_bytes, "max_pixels": settings.max_pixels, "max_side": settings.max_side}
        read = []
        for file, spooled in self.files.get(name, []):
            try:
                read.append(read_photo(spooled.read(), **limits))
            except ImageError as error:
                raise ResponseError({name: f"{PurePath(file).name[:80]}: {error}"}) from error
        return read


async def read_form(request: Request, settings: Settings, *, photos: bool = False) -> Form:
    """Read a form, with photos in it or without. Raises Refused where it is too large, too slow or none.

    Ask for photos only of whom it is known that they may send some.
    """
    most = AT_ONCE * settings.max_bytes + WORDS if photos else WORDS
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise Refused(411, "This cannot be read: its length is not said.")
    if int(length) > most:
        raise Refused(413, f"This is too large together: {most // 2**20} MB are the most. Send less at once.")
    address = (request.client.host if request.client else "") if photos else ""
    try:
        with _limit.hold(address, BUSY) if photos else contextlib.nullcontext():
            async with asyncio.timeout(LONGEST_S):
                form = await request.form(max_files=MAX_FILES if photos else 0, max_fields=MAX_FIELDS)
    except TimeoutError as error:
        raise Refused(408, "This took too long to arrive. Try again.") from error
    except (ClientDisconnect, MultiPartException) as error:
        raise Refused(400, f"This cannot be read. At most {MAX_FILES} photos can be sent at once.") from error
    values: dict[str, list[str]] = {}
    files: dict[str, list[tuple[str, BinaryIO]]] = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            values.setdefault(name, []).append(value)
        elif value.filename:
            files.setdefault(name, []).append((value.filename, value.file))
    return Form(values, files)
