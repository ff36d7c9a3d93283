"""Signing in and out: a page of its own and two forms, before and beside the app's page.

A guest may take their concepts along. Requests of other sites' pages do not arrive here (`personal.ui.doors`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from personal.errors import AccountError, PersonalError
from personal.logs import report
from personal.owners import lasts
from personal.remember import import_export
from personal.ui import accounts, provider
from personal.ui.accounts import TooManyAttempts, Who
from personal.ui.context import AppContext
from personal.ui.doors import frame_ancestors
from personal.ui.provider import Provider
from personal.ui.render import plain
from personal.ui.render import sign_in as page
from personal.ui.routes import CALLBACK, PASSWORD, PROVIDER, SIGN_IN, SIGN_OUT
from personal.ui.sessions import COOKIE, Visitor
from personal.ui.visitors import cookie_header

MAX_FORM = 4096
"""Bytes of a form."""
AT_ONCE = 2
"""Passwords that are checked at once: each takes 64 MB and a core. Others wait without a thread."""

log = logging.getLogger(__name__)


class SignInPage:
    """The routes of signing in and out, ASGI endpoints."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._accounts = context.accounts
        self._settings = context.settings
        self._provider = Provider(context.settings)

    @cached_property
    def _checking(self) -> CapacityLimiter:
        return CapacityLimiter(AT_ONCE)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(SIGN_IN, self.show, methods=["GET"]),
            Route(SIGN_IN, self.sign_in, methods=["POST"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
            Route(PASSWORD, self.show_password, methods=["GET"]),
            Route(PASSWORD, self.change_password, methods=["POST"]),
            Route(PROVIDER, self.to_provider, methods=["GET"]),
            Route(CALLBACK, self.from_provider, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Send the page to sign in on; whoever has signed in goes on to the app."""
        if not self._settings.shared or _who(request).owner:
            return RedirectResponse("/", 303)
        return await self._page(request)

    async def sign_in(self, request: Request) -> Response:
        """Sign a browser in by a form's name and password, and go on to the app; or say on the page what is wrong."""
        if not self._settings.shared:
            return RedirectResponse("/", 303)
        form = await _form(request)
        name, address = form.get("name", "").strip(), request.client.host if request.client else ""
        try:
            given = (name, form.get("password", ""), address)
            token = await to_thread.run_sync(self._accounts.sign_in, *given, limiter=self._checking)
        except PersonalError as error:
            report(error)
            status = 429 if isinstance(error, TooManyAttempts) else 401
            return await self._page(request, status, problem=str(error), name=name[:64])
        return await self.welcome(request, token, along=form.get("along") == "1")

    async def show_password(self, request: Request) -> Response:
        """Send the page to change a password on, to who has one."""
        if not self._accounts.has_password(_who(request).owner):
            return RedirectResponse("/", 303)
        return self._plain(page.change_password())

    async def change_password(self, request: Request) -> Response:
        """Change a password; every other browser of its user is signed out."""
        who, form = _who(request), await _form(request)
        if not self._accounts.has_password(who.owner):
            return RedirectResponse("/", 303)
        given = (form.get("old", ""), form.get("new", ""), request.client.host if request.client else "")
        try:
            if form.get("new") != form.get("again"):
                raise AccountError("The two new passwords are not the same. Nothing was changed.")
            token = await to_thread.run_sync(self._accounts.change_password, who.name, *given, limiter=self._checking)
        except PersonalError as error:
            report(error)
            status = 429 if isinstance(error, TooManyAttempts) else 400
            return self._plain(page.change_password(str(error)), status)
        await run_in_threadpool(self._context.sessions.end, set(self._context.sessions.visitors(who.owner)))
        return self._home(request, token, self._context.sessions.new(owner=who.owner, name=who.name))

    async def to_provider(self, request: Request) -> Response:
        """Send a browser to the provider of accounts."""
        if not self._accounts.by_provider:
            return RedirectResponse(SIGN_IN, 303)
        back = f"{request.scope['scheme']}://{request.headers.get('host', '')}{CALLBACK}"
        try:
            where, state = await self._provider.begin(back, along=request.query_params.get("along") == "1")
        except PersonalError as error:
            report(error)
            return await self._page(request, 502, problem=str(error))
        response = RedirectResponse(where, 303, {"cache-control": "no-store"})
        secure = request.scope["scheme"] == "https"
        cookie = cookie_header(provider.COOKIE, state, secure=secure, framed=False, max_age_s=int(provider.LASTS_S))
        response.headers.append("set-cookie", cookie)
        return response

    async def from_provider(self, request: Request) -> Response:
        """Sign a browser in that comes back from the provider."""
        if not self._accounts.by_provider:
            return RedirectResponse(SIGN_IN, 303)
        try:
            cookie = request.cookies.get(provider.COOKIE, "")
            person = await self._provider.finish(request.query_params, cookie)
            token = await run_in_threadpool(self._accounts.sign_in_by_provider, person.subject, person.name)
        except PersonalError as error:
            report(error)
            return await self._page(request, 401, problem=str(error))
        return await self.welcome(request, token, along=person.along)

    async def welcome(self, request: Request, token: str, *, along: bool) -> Response:
        """Send a browser that has just signed in to the app, as who it is now; `along` brings a guest's concepts."""
        signed_in = self._accounts.sign_ins.get(token)
        guest: Visitor | None = request.scope.get("visitor")
        if signed_in and signed_in.owner and guest and not lasts(guest.owner):
            await run_in_threadpool(self._leave, guest, signed_in.owner if along else "")
        owner, name = (signed_in.owner, signed_in.name) if signed_in else ("", "")
        log.info("Signed in.")
        return self._home(request, token, self._context.sessions.new(owner=owner, name=name))

    async def sign_out(self, request: Request) -> Response:
        """Sign this browser out, or all of the owner's, and let go of what their pages hold."""
        form, who = await _form(request), _who(request)
        sessions, sign_ins = self._context.sessions, self._accounts.sign_ins
        visitor: Visitor | None = request.scope.get("visitor")
        gone = {visitor} if visitor and who.owner else set()
        if form.get("everywhere") and who.owner:
            gone |= set(sessions.visitors(who.owner))
            await run_in_threadpool(sign_ins.remove_all, who.owner)
        elif token := request.cookies.get(accounts.COOKIE, ""):
            await run_in_threadpool(sign_ins.remove, token)
        await run_in_threadpool(sessions.end, gone)
        log.info("Signed out.")
        return self._home(request, "", "")

    def _home(self, request: Request, token: str, visitor: str) -> Response:
        """Return a response that sets both cookies, or deletes those that are "", and leads to the app."""
        response = RedirectResponse("/", 303, {"cache-control": "no-store"})
        secure, framed = request.scope.get("scheme") == "https", bool(self._settings.space)
        days = self._settings.sign_in_days if token else 0
        for name, value, age in ((accounts.COOKIE, token, days * 86400), (COOKIE, visitor, None if visitor else 0)):
            header = cookie_header(name, value, secure=secure, framed=framed or name == COOKIE, max_age_s=age)
            response.headers.append("set-cookie", header)
        return response

    async def _page(self, request: Request, status: int = 200, *, problem: str = "", name: str = "") -> Response:
        knobs, known = self._settings, self._accounts
        html = page.sign_in(
            by_password=known.by_password,
            shared_password=bool(knobs.password) and not _who(request).admitted,
            provider=self._provider.host if known.by_provider else "",
            guests=knobs.guests,
            concepts=await run_in_threadpool(self._concepts, request.scope.get("visitor")),
            problem=problem,
            name=name,
            new_tab=bool(knobs.space),
        )
        return self._plain(html, status)

    def _plain(self, html: str, status: int = 200) -> Response:
        policy = f"{plain.policy()}; {frame_ancestors(bool(self._settings.space))}"
        return HTMLResponse(html, status, {"cache-control": "no-store", "content-security-policy": policy})

    def _concepts(self, guest: Visitor | None) -> int:
        """Return how many concepts a guest has."""
        assistant = self._context.opening.assistant
        if assistant is None or guest is None or lasts(guest.owner):
            return 0
        return len(assistant.concepts(guest.owner))

    def _leave(self, guest: Visitor, owner: str) -> None:
        """Give an owner what a guest has, if one is named, and let go of the guest; if it fails nothing is lost."""
        assistant = self._context.opening.assistant
        try:
            if owner and assistant:
                carried = import_export.carried(self._context.library, guest.owner)
                for _ in import_export.apply(assistant, owner, carried):
                    pass
            self._context.sessions.end({guest})
        except PersonalError as error:
            report(error)


async def _form(request: Request) -> Mapping[str, str]:
    """Return a form's fields, the first of each name; {} where it is none."""
    body = await request.body()
    if len(body) > MAX_FORM:
        return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    except ValueError:  # more fields
        return {}
    return {name: values[0] for name, values in fields.items()}


def _who(request: Request) -> Who:
    return request.scope.get("who") or Who()
