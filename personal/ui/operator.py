"""The operator's page: what a shared app does, the last errors, and each owner's export and erasure, behind a password.

It shows numbers and names, never what anybody keeps. Without PERSONAL_OPERATOR_PASSWORD there is no such page.
"""

from __future__ import annotations

import base64
import hmac
import io
import logging
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qs

import psutil  # type: ignore[import-untyped]
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from personal import __version__
from personal.errors import PersonalError
from personal.logs import report
from personal.owners import LOCAL, lasts
from personal.remember import import_export
from personal.remember.quota import size
from personal.ui.accounts import Attempts, TooManyAttempts
from personal.ui.context import AppContext
from personal.ui.doors import NOTHING
from personal.ui.render import operator as page
from personal.ui.render import plain
from personal.ui.render.operator import OwnerRow
from personal.ui.routes import OPERATOR

ERRORS = 20
"""Errors that are shown, the last ones."""
PER_ADDRESS = 20
"""Wrong passwords of an address (`personal.ui.accounts.WINDOW_S`)."""
WORD = "erase"
Figures = Callable[[], dict[str, tuple[str, float]]]

log = logging.getLogger(__name__)


class LastErrors(logging.Handler):
    """Remembers when which type of error was logged or shown, and where, without its words."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: deque[tuple[str, str, str]] = deque(maxlen=ERRORS)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0]:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
            self.found.appendleft((at, record.exc_info[0].__name__, record.name))


class OperatorPage:
    """The routes of the page, ASGI endpoints. `figures` is what the metrics tell of this moment."""

    def __init__(self, context: AppContext, figures: Figures) -> None:
        self._context = context
        self._figures = figures
        self._password = context.settings.operator_password
        self._attempts = Attempts(PER_ADDRESS)
        self._errors = LastErrors()
        self._began = time.time()
        logging.getLogger("personal").addHandler(self._errors)

    def close(self) -> None:
        """Remember no further errors."""
        logging.getLogger("personal").removeHandler(self._errors)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(OPERATOR, self.show, methods=["GET"]), Route(OPERATOR, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Send the page, or an owner's concepts as a zip."""
        refused = self._refused(request)
        if refused:
            return refused
        try:
            if owner := request.query_params.get("export"):
                return await run_in_threadpool(self._export, owner)
            return await run_in_threadpool(self._page)
        except PersonalError as error:
            report(error)
            return await run_in_threadpool(self._page, str(error))

    async def act(self, request: Request) -> Response:
        """Do what a form asks for, and send the page again."""
        refused = self._refused(request)
        if refused:
            return refused
        fields = parse_qs((await request.body())[:4096].decode("utf-8", "replace"))
        form = {name: values[0] for name, values in fields.items()}
        try:
            told = await run_in_threadpool(self._do, form)
        except PersonalError as error:
            report(error)
            told = str(error)
        return await run_in_threadpool(self._page, told)

    def _do(self, form: dict[str, str]) -> str:
        act, sessions = form.get("act"), self._context.sessions
        if act in ("pause", "resume"):
            sessions.paused = act == "pause"
            return "Nobody new is let in." if sessions.paused else "New visitors are let in."
        if act != "erase":
            return ""
        owner = self._known(form.get("owner", ""))
        if form.get("confirm", "").strip().casefold() != WORD:
            return f"Type {WORD} to confirm. Nothing was erased."
        sessions.erase(owner, self._context.assistant.erase)
        log.info("Erased an owner for the operator.")
        return "Everything of this owner was erased."

    def _known(self, owner: str) -> str:
        if owner not in self._context.library.owners():
            raise PersonalError("This owner is no longer there.")
        return owner

    def _export(self, owner: str) -> Response:
        stream = io.BytesIO()
        import_export.export(self._context.library, self._known(owner), stream)
        headers = {"content-disposition": f'attachment; filename="{owner}.zip"', "cache-control": "no-store"}
        return Response(stream.getvalue(), media_type="application/zip", headers=headers)

    def _page(self, told: str = "") -> Response:
        html = page.operator(
            figures=self._now(),
            errors=list(self._errors.found),
            owners=self._owners(),
            paused=self._context.sessions.paused,
            told=told,
        )
        policy = f"{plain.policy()}; frame-ancestors 'none'"
        return HTMLResponse(html, headers={"cache-control": "no-store", "content-security-policy": policy})

    def _now(self) -> list[tuple[str, str]]:
        figures = {name: value for name, (_, value) in self._figures().items()}
        assistant, memory = self._context.opening.assistant, psutil.Process().memory_info().rss
        return [
            ("Version", f"{__version__}, up for {(time.time() - self._began) / 3600:.1f} hours"),
            ("Language model", assistant.generator.name if assistant else "not ready"),
            ("Recognition", self._context.settings.encoder),
            ("Visitors", f"{figures['visitors']:.0f}, {figures['visitors_connected']:.0f} with a page open"),
            ("Questions", f"{figures['questions_running']:.0f} answered, {figures['questions_waiting']:.0f} waiting"),
            ("Memory", size(memory)),
            ("Disk", f"{size(int(figures['disk_free_bytes']))} free"),
        ]

    def _owners(self) -> list[OwnerRow]:
        assistant, context = self._context.opening.assistant, self._context
        if assistant is None:
            return []
        names = {user.owner: user.name for user in context.accounts.users.all()} | {LOCAL: "the machine’s owner"}
        rows = []
        for owner in context.library.owners():
            home, here = context.settings.data_dir / "owners" / owner, context.sessions.visitors(owner)
            name = names.get(owner) or next((one.name for one in here if one.name), "")
            name = name or (f"{'account' if lasts(owner) else 'guest'} {owner[-6:]}")
            used = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
            rows.append(OwnerRow(owner, name, len(assistant.concepts(owner)), size(used), bool(here)))
        return rows

    def _refused(self, request: Request) -> Response | None:
        """Return what somebody gets who does not know the password, None for the operator."""
        if not self._password:
            return PlainTextResponse(NOTHING, 404)
        address = request.client.host if request.client else ""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic" and given:
            try:
                self._attempts.check(address)
            except TooManyAttempts as error:
                return PlainTextResponse(str(error), 429)
            if hmac.compare_digest(_password_in(given).encode(), self._password.encode()):
                return None
            self._attempts.add(address)
        headers = {"www-authenticate": 'Basic realm="Personal", charset="UTF-8"', "cache-control": "no-store"}
        return PlainTextResponse("The operator’s password is needed.", 401, headers)


def _password_in(given: str) -> str:
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
