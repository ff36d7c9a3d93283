"""The page: what is shown while things are made ready, then the tabs; and the server that shows it."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from personal.compose import Opening
from personal.errors import PersonalError, SettingsError
from personal.memory import give_back
from personal.owners import lasts
from personal.remember.library import Library
from personal.settings import ASSETS, Settings
from personal.study.store import is_participant
from personal.ui import connections, preferences, render, samples, theme
from personal.ui.accounts import Accounts
from personal.ui.api import Api
from personal.ui.chat.tab import Chat
from personal.ui.concepts import Concepts
from personal.ui.context import AppContext, Updates, html
from personal.ui.doors import outermost
from personal.ui.evaluate import Evaluate
from personal.ui.exports import EXPORTS, Exports
from personal.ui.gradio_internals import NONSENSE, SLOTS, FnIndexInferError, PageBlocks
from personal.ui.health import Health
from personal.ui.history import Kept
from personal.ui.metrics import Metrics, free_bytes
from personal.ui.names import NAMES, Names
from personal.ui.operator import OperatorPage
from personal.ui.photo_library import Library as PhotoLibraryTab
from personal.ui.pictures import PICTURES, Pictures
from personal.ui.places import hidden
from personal.ui.policy import PagePolicy
from personal.ui.routes import METRICS, READY, UPLOAD
from personal.ui.sessions import Session, Sessions, ended
from personal.ui.sign_in import SignInPage
from personal.ui.study import Rooms
from personal.ui.study import routes as study_routes
from personal.ui.uploads import Uploads
from personal.ui.visitors import Visitors

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 5.0
CLOSE_S = 8.0
"""How long closing may take; what is not erased by then is at the next start."""


class Page:
    """The whole page: header, banner, opening screen, tabs, toast."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self.concepts = Concepts(context)
        self.chat = Chat(context, self.concepts)
        self.photos = PhotoLibraryTab(context, self.chat)
        self.evaluate = Evaluate(context, self.concepts)
        self.settings = preferences.Settings(context, draw_all=self.draw)
        self._parts: tuple[Any, ...] = (self.chat, self.concepts, self.photos, self.evaluate, self.settings)

    def build(self) -> PageBlocks:
        with PageBlocks(title="Personal", analytics_enabled=False, delete_cache=(300, 600), fill_width=True) as page:
            page.hide = hidden(self._context.settings)
            self.settings.models.build_header()
            self.banner = html(elem_id="banner")
            self.opening = html(render.opening(self._context.opening.progress), elem_id="opening")
            self.timer = gr.Timer(0.4)
            cast(Any, self._context.toast).render()
            with (
                gr.Column(visible=False, elem_id="main") as self.main,
                gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as self.tabs,
            ):
                with gr.Tab("Chat", id="chat") as chat:
                    self.chat.build()
                with gr.Tab("Concepts", id="concepts") as concepts:
                    self.concepts.build()
                with gr.Tab("Library", id="library") as library:
                    self.photos.build()
                with gr.Tab("Evaluate", id="evaluate") as evaluate:
                    self.evaluate.build()
                with gr.Tab("Settings", id="settings") as settings:
                    self.settings.build()
            self.concepts.wire()
            Api(self._context).build()
            self.chat.wire(self.tabs)
            self.photos.wire(self.tabs)
            self.evaluate.wire(self.tabs)
            models = self.settings.models
            drawn = [self.main, self.opening, self.timer, models.header, self.banner, *self._drawn()]
            self.settings.wire(self._drawn())
            models.wire([models.header, self.banner, self._context.toast], self._draw_top)
            quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
            page.load(self.refresh, None, drawn, **quiet)
            self.timer.tick(self.refresh, None, drawn, **quiet)
            for tab, part in zip((chat, concepts, library, evaluate, settings), self._parts, strict=True):
                tab.select(self.redraw(part), None, [*part.drawn, self._context.toast], **quiet)
            settings.select(models.offer, None, models.choice, **quiet)
            self.opening.select(self.retry, None, [self.opening, self.timer], **quiet)
            self._context.toast.select(self.undo, None, [*self._drawn(), self._context.toast], **quiet)
        return cast(PageBlocks, page)

    def _drawn(self) -> list[Any]:
        return [component for part in self._parts for component in part.drawn]

    def draw(self, session: Session) -> Updates:
        """Every tab, from the session."""
        return {component: value for part in self._parts for component, value in part.draw(session).items()}

    def refresh(self, request: gr.Request) -> Updates:
        """The page was loaded, or the opening screen asks how far things are."""
        opening = self._context.opening
        if opening.assistant is None:
            words = str(opening.error) if opening.error else ""
            return {
                self.opening: render.opening(opening.progress, words),
                self.timer: gr.Timer(active=opening.error is None),
                self.main: gr.Column(visible=False),
            }
        session = self._context.session(request)
        if not opening.assistant.concepts(session.owner):
            samples.prepare(opening.assistant)
        return {
            **self.draw(session),
            self.main: gr.Column(visible=True),
            self.opening: "",
            self.timer: gr.Timer(active=False),
            **self._draw_top(request, ended(session.owner) if session.returned else ""),
        }

    def _draw_top(self, request: gr.Request, ended: str = "") -> Updates:
        """What runs, and what a visitor must know of it; `ended` is what is said of an earlier visit."""
        generator, session = self._context.assistant.generator, self._context.session(request)
        return {
            **self.settings.models.draw_header(session),
            self.banner: render.banner(
                guest=not lasts(session.owner),
                sign_in=self._context.accounts.offered,
                sees=generator.sees,
                model=generator.name,
                server=self._context.server,
                ended=ended,
            ),
        }

    def redraw(self, part: Any) -> Callable[[gr.Request], Updates]:
        """Return what draws a tab when it is opened: what was changed in another is seen here."""

        def redraw(request: gr.Request) -> Updates:
            session = self._context.session(request)
            try:
                if part is self.chat:
                    self.chat.photos.look_again(session)
                if part is self.photos:
                    self.photos.wake(session)
                drawn: list[Updates] = []
                session.retry_if_stale(lambda: drawn.append(part.draw(session)))
                return {component: value for updates in drawn for component, value in updates.items()}
            except PersonalError as error:
                return {self._context.toast: render.toast(str(error))}

        return redraw

    def retry(self, request: gr.Request) -> Updates:
        """Start again after a failed start."""
        opening = self._context.opening
        if opening.error:
            opening.start()
        return {self.opening: render.opening(opening.progress), self.timer: gr.Timer(active=True)}

    def undo(self, request: gr.Request) -> Updates:
        """Take the last change back."""
        session = self._context.session(request)
        undo, session.undo = session.undo, None
        if undo is None:
            return {self._context.toast: render.toast("Nothing to undo.")}
        try:
            said = undo()
            self.chat.photos.look_again(session)
        except PersonalError as error:
            said = str(error)
        return {**self.draw(session), self._context.toast: render.toast(said)}


class Server:
    """The page served, with its visitors' sessions and their sweeper."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.uploads = settings.data_dir / "uploads" / str(os.getpid())
        os.environ["GRADIO_TEMP_DIR"] = str(self.uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["FORWARDED_ALLOW_IPS"] = ""  # the web server believes no proxy by itself: `personal.ui.proxies` does
        self.opening = Opening(settings)
        self.sessions = Sessions(
            shared=settings.shared,
            grace_s=settings.session_grace_s,
            erase=self._erase,
            release=self._release,
            keep=lambda owner: Kept(self._library, owner),
        )
        self._metrics = Metrics(self._present, settings.metrics_token)
        self.accounts = Accounts(settings)
        self._context = AppContext(self.opening, self.sessions, self.accounts)
        self.rooms = Rooms(self.opening)
        self._operator = OperatorPage(self._context, self._present)
        self.page = Page(self._context).build()
        self._closed = threading.Event()

    def start(self) -> str:
        """Serve in the background and return the address. Raises SettingsError where it cannot be served at."""
        self.page.queue()
        with _served_at(self.settings):
            url = self._launch(self.settings)
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()
        return url

    def _launch(self, knobs: Settings) -> str:
        connections.bound()
        _, url, _ = self.page.launch(
            server_name="0.0.0.0" if knobs.space else knobs.host,
            server_port=knobs.port,
            share=False,
            prevent_thread_lock=True,
            max_threads=SLOTS,
            quiet=True,
            favicon_path=ASSETS / "logo.png",
            footer_links=[],
            run_history=False,
            max_file_size=knobs.max_upload_bytes,
            app_kwargs={
                "lifespan": outermost(knobs),
                "exception_handlers": {FnIndexInferError: _no_such_endpoint, KeyError: _no_such_endpoint},
                "middleware": self._middleware(),
                "routes": self._routes(),
            },
            ssr_mode=False,
            pwa=False,
            theme=theme.theme(),
            css_paths=[ASSETS / "app.css"],
        )
        return str(url)

    def _middleware(self) -> list[Middleware]:
        knobs = self.settings
        return [
            Middleware(PagePolicy, space=bool(knobs.space), head=theme.head(ASSETS)),
            Middleware(
                Visitors,
                sessions=self.sessions,
                uploads=self.uploads,
                accounts=self.accounts,
                most=knobs.max_visitors,
            ),
        ]

    def _routes(self) -> list[BaseRoute]:
        knobs = self.settings
        return [
            Route(
                UPLOAD,
                Uploads(self.uploads, knobs.max_upload_bytes, shared=knobs.shared).receive,
                methods=["POST"],
            ),
            Route(EXPORTS + "{token}", Exports(self._context).send),
            Route(PICTURES + "{sha256}", Pictures(self._context).send),
            Route(NAMES, Names(self._context).send),
            *SignInPage(self._context).routes(),
            *self._operator.routes(),
            Route(READY, Health(self.opening).send),
            Route(METRICS, self._metrics.send),
            *study_routes(self.rooms),
        ]

    def wait(self, end: threading.Event) -> None:
        """Serve until `end` is set, then close, within CLOSE_S."""
        while not end.wait(1.0):
            pass
        closing = threading.Thread(target=self.close, name="closing", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            log.warning("Something is still at work; what it holds of guests is erased at the next start.")

    def close(self) -> None:
        """Stop serving, erase what was kept for guests, and let go of the data folder."""
        self._closed.set()
        self._metrics.close()
        self._operator.close()
        self.sessions.stop()
        self.rooms.stop()
        self._context.scans.stop()
        if getattr(self.page, "server", None):
            self.page.server.should_exit = True  # nothing new is let in; pages that are open take a while to go
        shutil.rmtree(self.uploads, ignore_errors=True)
        try:
            self._erase_guests()
        except PersonalError as error:
            log.warning("Not everything could be erased: %s", error)
        self.page.close(verbose=False)
        self.opening.close()

    def _present(self) -> dict[str, tuple[str, float]]:
        """Return what the metrics tell of this moment."""
        visitors, connected = self.sessions.count()
        queue = self.opening.queue
        running = queue.running if queue else 0
        return {
            "ready": ("1 once the models are loaded.", float(self.opening.assistant is not None)),
            "visitors": ("Visitors who are remembered.", visitors),
            "visitors_connected": ("Visitors with a page open.", connected),
            "questions_waiting": ("Questions that wait for the model.", (len(queue) if queue else 0) - running),
            "questions_running": ("Questions that the model answers.", running),
            "disk_free_bytes": ("Room on the disk of the data folder.", free_bytes(self.settings.data_dir)),
        }

    def _erase_guests(self) -> None:
        assistant = self.opening.assistant
        for owner in assistant.library.owners() if assistant else []:
            if _is_guest(owner):
                self._erase(owner)

    def _library(self) -> Library | None:
        return cast(Library, self.opening.assistant.library) if self.opening.assistant else None

    def _erase(self, owner: str) -> None:
        if self.opening.assistant:
            self.opening.assistant.erase(owner)

    def _release(self, pages: list[str], folder: str, *, ended: bool) -> None:
        for page in pages:
            self.page.clear_values(page)
            if ended:
                self.page.clear_events(page)
        if folder:
            self.page.clear_uploads(self.uploads, folder)

    def _sweep(self) -> None:
        while self.opening.assistant is None:
            if self._closed.wait(0.2):
                return
        self._erase_leftovers()
        while not self._closed.wait(SWEEP_EVERY_S):
            assistant = self.opening.assistant
            for sweep in (
                self.sessions.sweep,
                *((assistant.sweep, self._context.photos.forget_erased) if assistant else ()),
                self.sessions.forget_erased,
                self.rooms.sweep,
            ):
                try:
                    sweep()
                except PersonalError as error:  # such as a full disk: what could not be erased is tried again
                    log.warning("Not everything could be erased yet: %s", error)
            give_back()

    def _erase_leftovers(self) -> None:
        """Erase what an earlier run left behind of visitors and uploads: this process holds the folder alone now."""
        for owner in self.opening.wait().library.owners():
            if _is_guest(owner) and not self.sessions.has(owner):
                self._erase(owner)
        for folder in self.uploads.parent.glob("*"):
            if folder != self.uploads:
                shutil.rmtree(folder, ignore_errors=True)


def _is_guest(owner: str) -> bool:
    """Tell whether what is an owner's goes with their visit; what is a participant's lasts until they have finished."""
    return not lasts(owner) and not is_participant(owner)


def _no_such_endpoint(request: Request, error: Exception) -> Response:
    """Say in words that an endpoint does not exist, where Gradio itself raises what it finds nothing by."""
    if not request.url.path.startswith("/gradio_api/call/"):
        raise error
    return JSONResponse({"detail": NONSENSE}, status_code=404)


@contextmanager
def _served_at(knobs: Settings) -> Iterator[None]:
    """Turn a refusal of the address that the settings choose into words."""
    try:
        yield
    except OSError as error:
        port = f"GRADIO_SERVER_PORT={knobs.port}" if knobs.port else "any GRADIO_SERVER_PORT from 7860 on"
        raise SettingsError(
            f"The app cannot be served at GRADIO_SERVER_NAME={knobs.host} with {port}: the port is taken, or the "
            "address is not this machine's. Choose another."
        ) from error
