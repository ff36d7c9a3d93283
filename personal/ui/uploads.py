"""Uploads: where a browser's files arrive, within bounds, each in a folder of its own that nobody can guess.

Takes the place of Gradio's route, whose paths are the content's hash (two visitors with the same photo share a file),
which collects form fields without a bound and leaves half an upload behind. The parser, and with it the progress that
the page shows, is Gradio's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from personal.ui.doors import ConcurrencyLimit, Refused
from personal.ui.gradio_internals import GradioMultiPartParser, GradioUploadFile, file_upload_statuses
from personal.ui.sessions import COOKIE

log = logging.getLogger(__name__)

MAX_FILES = 100
"""Files of one upload at most."""
PER_VISITOR, PER_ADDRESS, IN_TOTAL = 4, 40, 64
"""Uploads at once: of one browser, of one address (a class may share one), and of all."""
PATIENCE_S, SLOWEST = 20.0, 8 * 1024
"""After so many seconds an upload must have brought so many bytes a second on average."""
SILENCE_S, LONGEST_S = 60.0, 1800.0
"""Longest pause within an upload, and longest upload, seconds."""
WINDOW_S = 600.0
"""Within this time, seconds, a visitor can upload as much as one upload may hold: so long is a file kept unused."""
WAITING = 4
"""Uploads that nobody has used yet may take this many times what one may hold."""

MANY = "Too many uploads are under way. Try again when they are done."
MUCH = "Too much has been uploaded in a short time. Try again in ten minutes."
SLOW = "This upload is too slow, or the connection was lost. Try again."
FULL = "The disk is full, nothing was kept. Make room and try again."
LOST = "This upload could not be kept. Try again."


class Uploads:
    """The route of uploads, an ASGI endpoint. `folder` is Gradio's own upload folder; `most` is in bytes."""

    def __init__(self, folder: Path, most: int, *, shared: bool) -> None:
        self._folder = folder
        self._most = most
        self._shared = shared
        self._of_visitors = ConcurrencyLimit(PER_VISITOR, IN_TOTAL)
        self._of_addresses = ConcurrencyLimit(PER_ADDRESS, IN_TOTAL)
        self._recent: deque[tuple[float, str, int]] = deque()

    async def receive(self, request: Request) -> Response:
        """Take the files of a request in and return their paths; whatever is refused leaves nothing behind."""
        address = request.client.host if request.client else ""
        visitor = request.cookies.get(COOKIE) or address
        try:
            with self._of_addresses.hold(address, MANY), self._of_visitors.hold(visitor, MANY):
                length = request.headers.get("content-length", "0")
                self._check(visitor, int(length) if length.isdecimal() else 0)
                return JSONResponse(await self._take(request, visitor))
        except Refused as refusal:
            return PlainTextResponse(str(refusal), status_code=refusal.status)
        except MultiPartException as error:
            return PlainTextResponse(error.message, status_code=400)
        except OSError as error:  # the parser writes as it reads
            log.exception("An upload could not be kept")
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return PlainTextResponse(FULL if full else LOST, status_code=507 if full else 500)

    def _check(self, visitor: str, coming: int) -> None:
        if coming > self._most:
            raise Refused(413, f"This upload is too large: {self._most // 2**20 or 1:,} MB are the most.")
        now = time.monotonic()
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        lately = sum(size for _, owner, size in self._recent if owner == visitor)
        if self._shared and lately + coming > self._most:
            raise Refused(429, MUCH)

    async def _take(self, request: Request, visitor: str) -> list[str]:
        if await run_in_threadpool(_size, self._folder) > WAITING * self._most:
            raise Refused(503, MUCH)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        upload_id = request.query_params.get("upload_id", "")[:64]
        parser = _Parser(request, self._bounded(request, visitor), self._folder, self._most, upload_id)
        try:
            with contextlib.suppress(ClientDisconnect):
                files = await parser.files()
                return await run_in_threadpool(self._store, files, _mark(request))
            raise Refused(400, SLOW)
        finally:
            await run_in_threadpool(parser.clean_up)
            if upload_id:
                file_upload_statuses.set_done(upload_id)

    async def _bounded(self, request: Request, visitor: str) -> AsyncIterator[bytes]:
        """The bytes of a request, as long as they are neither too many nor too slow."""
        began, size = time.monotonic(), 0
        stream = request.stream()
        try:
            while True:
                try:
                    chunk = await asyncio.wait_for(anext(stream), SILENCE_S if size else PATIENCE_S)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise Refused(408, SLOW) from error
                size += len(chunk)
                self._check(visitor, size)
                passed = time.monotonic() - began
                if passed > LONGEST_S or (passed > PATIENCE_S and size < passed * SLOWEST):
                    raise Refused(408, SLOW)
                yield chunk
        finally:
            self._recent.append((began, visitor, size))

    def _store(self, files: list[GradioUploadFile], mark: str) -> list[str]:
        """Give each file a folder of its own, whose name begins with the visitor's mark, and return where they are."""
        paths = []
        for file in files:
            folder = self._folder / f"{mark}-{secrets.token_hex(16)}"
            folder.mkdir(mode=0o700)
            file.file.close()
            paths.append(str(Path(file.file.name).rename(folder / _file_name(file.filename or ""))))
        return paths


class _Parser(GradioMultiPartParser):
    """Gradio's parser, which takes files only, and cleans up whatever happens."""

    def __init__(self, request: Request, stream: Any, folder: Path, most: int, upload_id: str) -> None:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refused(400, "Only files can be uploaded here.")
        super().__init__(
            request.headers,
            stream,
            max_files=MAX_FILES,
            upload_dir=folder,
            max_file_size=most,
            upload_id=upload_id,
            upload_progress=file_upload_statuses if upload_id else None,
        )
        if upload_id:
            file_upload_statuses.track(upload_id)

    async def files(self) -> list[GradioUploadFile]:
        """Read the request to its end."""
        form = await self.parse()
        files = [file for file in form.getlist("files") if isinstance(file, GradioUploadFile)]
        if not files:
            raise Refused(400, "There is no file in this upload.")
        return files

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None or self._current_part.field_name != "files":
            raise MultiPartException("Only files can be uploaded here.")

    def clean_up(self) -> None:
        """Delete whatever was not stored."""
        for file in self._files_to_close_on_error:
            file.close()
            Path(file.name).unlink(missing_ok=True)


def _mark(request: Request) -> str:
    """What names the folders of a visitor's uploads (`personal.ui.visitors` lets nobody else at them)."""
    visitor = request.scope.get("visitor")
    return visitor.folder if visitor else "nobody"


def _file_name(given: str) -> str:
    """What a browser calls a file, made harmless: at most 200 bytes, its end kept."""
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "", given).strip(". ")
    return name.encode()[-200:].decode(errors="ignore") or "file"


def _size(folder: Path) -> int:
    """Bytes of the files in a folder, which may change meanwhile."""
    size = 0
    for place, _, files in os.walk(folder):  # it passes over folders that are gone
        for name in files:
            with contextlib.suppress(OSError):
                size += (Path(place) / name).stat().st_size
    return size
