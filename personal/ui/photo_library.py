"""The Library tab: add folders, follow their scan, search, filter, and open a photo in the chat."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

import gradio as gr

from personal.errors import PersonalError
from personal.owners import LOCAL
from personal.photo_library.library import Found
from personal.photo_library.query import MAX_WORDS
from personal.photo_library.store import Folder
from personal.ui import render
from personal.ui.chat.tab import Chat
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.render import photo_library as parts
from personal.ui.sessions import Session

FOLLOW_S = 1.0


class Library:
    """The tab's components and handlers. Folders of this machine are its owner's business alone."""

    def __init__(self, context: AppContext, chat: Chat) -> None:
        self._context = context
        self._chat = chat

    def build(self) -> None:
        """Make the components."""
        with gr.Column(elem_classes="photo-library"):
            with gr.Row(elem_classes="bar") as self.bar:
                self.search = gr.Textbox(
                    placeholder="Search: bo on the beach", label="Search your photos", show_label=False,
                    container=False, scale=3, max_length=MAX_WORDS, elem_id="find-photos",
                )  # fmt: skip
                self.again = gr.Button("Scan", size="sm", scale=0, min_width=90, elem_id="scan")
            self.notice = html(elem_id="library-notice")
            self.progress = html(elem_id="scan-progress")
            self.filters = html(elem_id="photo-filters")
            self.grid = html(elem_id="photos")
            with gr.Accordion("Folders", open=False, elem_id="folders") as self.place:
                self.folders = html(elem_id="folder-list")
                with gr.Row(elem_classes="bar"):
                    self.path = gr.Textbox(
                        placeholder="/home/you/Pictures", label="Folder of photos", show_label=False, container=False,
                        scale=3, max_length=4096, elem_id="folder-path",
                    )  # fmt: skip
                    self.add = gr.Button(
                        "Add folder", variant="primary", size="sm", scale=0, min_width=110, elem_id="add-folder"
                    )
            self.timer = gr.Timer(FOLLOW_S, active=False)
        self.drawn = [
            self.bar, self.again, self.notice, self.progress, self.filters, self.grid, self.place, self.folders,
            self.timer,
        ]  # fmt: skip
        """What `draw` may return."""

    def wire(self, tabs: gr.Tabs) -> None:
        """Connect the handlers; `tabs` is what opening a photo switches."""
        self._tabs = tabs
        quiet: dict[str, Any] = {"outputs": self.drawn, "show_progress": "hidden", "api_visibility": "private"}
        opening: dict[str, Any] = {**quiet, "outputs": [*self.drawn, tabs, *self._chat.drawn]}
        self.search.submit(self.find, self.search, **quiet)
        self.search.change(self.clear, self.search, **quiet)
        self.again.click(self.scan, None, **quiet)
        self.filters.select(self.filter, None, **quiet)
        self.grid.select(self.on_grid, None, **opening)
        self.folders.select(self.on_folders, None, **quiet)
        for event in (self.add.click, self.path.submit):
            event(self.add_folder, self.path, **{**quiet, "outputs": [*self.drawn, self.path]})
        self.timer.tick(self.follow, None, **quiet)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self, session: Session) -> Updates:
        """Return everything the tab shows."""
        if not self._is_owner(session):
            hidden = {part: gr.update(visible=False) for part in (self.bar, self.place)}
            return {**hidden, self.grid: parts.GUEST_LIBRARY}
        folders = self._context.photos.store(session.owner).folders()
        return {
            self.bar: gr.Row(visible=bool(folders)),
            self.notice: "",
            self.place: gr.Accordion(open=True) if not folders else gr.skip(),
            self.folders: self._draw_folders(session),
            **self._draw_scan(session),
            **self._draw_photos(session),
        }

    def _draw_folders(self, session: Session) -> str:
        store = self._context.photos.store(session.owner)
        return parts.folders(store.folders(), store.errors())

    def wake(self, session: Session) -> None:
        """Look for what is new in the folders when the tab is opened, unless the owner paused."""
        if self._is_owner(session):
            self._context.scans.wake(session.owner)

    def _draw_scan(self, session: Session) -> Updates:
        running, scans = self._context.scans.of(session.owner), self._context.scans
        problem = scans.problems.get(session.owner, "")
        paused = "Paused. Scan goes on where it was." if session.owner in scans.paused else ""
        return {
            self.again: gr.Button("Pause" if running else "Scan", interactive=not (running and running.stop.is_set())),
            self.progress: parts.scanning(running.step, running.left_s())
            if running
            else render.problem(problem) or render.note(paused),
            self.timer: gr.Timer(active=bool(running)),
        }

    def _draw_photos(self, session: Session) -> Updates:
        photos, owner = self._context.photos, session.owner
        every = photos.all(owner)
        if not photos.store(owner).folders():
            return {self.filters: "", self.grid: parts.EMPTY_LIBRARY}
        concepts = self._context.assistant.concepts(owner)
        counts = Counter(one.concept for row in every for one in row.findings)
        wanted = session.photo_filters
        shown, absent = ([one for one, is_in in wanted.items() if is_in is wish] for wish in (True, False))
        found = photos.search(owner, session.photo_search, shown=shown, absent=absent)
        rows = found.photos or found.nearest
        return {
            self.filters: parts.filters(concepts, counts, wanted),
            self.grid: parts.grid(rows, concepts, session.photo_page, _said(found, len(every))),
        }

    def _is_owner(self, session: Session) -> bool:
        """Return whether a visitor is the owner of this machine, whose folders can be read."""
        return not self._context.settings.shared and session.owner == LOCAL

    # -- searching ---------------------------------------------------------------------------------------------------

    @show_errors
    def find(self, words: str, request: gr.Request) -> Updates:
        """Show the photos that are searched for."""
        session = self._context.session(request)
        session.photo_search, session.photo_page = (words or "")[:MAX_WORDS], 0
        return {self.notice: "", **self._draw_photos(session)}

    @show_errors
    def clear(self, words: str, request: gr.Request) -> Updates:
        """Show all photos once the search is emptied."""
        session = self._context.session(request)
        return self.find("", request) if not words and session.photo_search else {}

    @show_errors
    def filter(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Ask for a concept, then for its absence, then for neither."""
        session, concept = self._context.session(request), str(event._data.get("concept"))
        following = {None: True, True: False, False: None}[session.photo_filters.pop(concept, None)]
        if following is not None:
            session.photo_filters[concept] = following
        session.photo_page = 0
        return self._draw_photos(session)

    @show_errors
    def on_grid(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Open a photo in the chat, or another page."""
        session, data = self._context.session(request), event._data
        if data.get("act") == "page" and str(data.get("page", "")).isdigit():
            session.photo_page = int(data["page"])
            return self._draw_photos(session)
        if data.get("act") != "photo":
            return {}
        photo = self._context.photos.photo(session.owner, str(data.get("photo")))
        session.current = session.history.blank().id
        talk = session.conversation
        talk.draft[:] = [photo]
        self._chat.photos.show(session, talk, photo)
        return {self._tabs: gr.Tabs(selected="chat"), **self._chat.draw(session)}

    # -- folders -----------------------------------------------------------------------------------------------------

    @show_errors
    def add_folder(self, path: str, request: gr.Request) -> Updates:
        """Add a folder of this machine, and scan it."""
        session = self._owner(request)
        if not (path or "").strip():
            raise PersonalError("Type the full path of a folder with photos.")
        self._context.photos.add(session.owner, Path(path.strip()))
        self._context.scans.start(session.owner)
        return {**self.draw(session), self.path: ""}

    @show_errors
    def on_folders(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Remove a folder, or switch on or off that dates and places are read from it."""
        session, data = self._owner(request), event._data
        photos, folder = self._context.photos, self._folder(session, data.get("folder"))
        if folder and data.get("act") == "remove":
            photos.remove(session.owner, folder.path)
        elif folder and data.get("act") == "exif":
            photos.store(session.owner).add_folder(folder.path, exif=not folder.exif)
            self._context.scans.wake(session.owner)
        return self.draw(session)

    def _folder(self, session: Session, number: Any) -> Folder | None:
        listed = self._context.photos.store(session.owner).folders()
        return next((one for one in listed if str(one.id) == str(number)), None)

    @show_errors
    def scan(self, request: gr.Request) -> Updates:
        """Start a scan, or pause the one that is under way."""
        session, scans = self._owner(request), self._context.scans
        if scans.of(session.owner):
            scans.pause(session.owner)
        else:
            scans.start(session.owner)
        return {self.notice: "", **self._draw_scan(session)}

    @show_errors
    def follow(self, request: gr.Request) -> Updates:
        """A page asks how far a scan is; the first photos, and what it found in the end, are shown."""
        session = self._context.sessions.of(cast(Any, request))  # nobody asked for anything
        photos, owner = self._context.photos, session.owner
        drawn, revision = self._draw_scan(session), photos.store(owner).revision()
        over = self._context.scans.of(owner) is None
        first = not (session.photo_search or session.photo_filters) and len(photos.all(owner)) <= parts.GRID
        if session.photo_revision != revision and (over or first):
            session.photo_revision = revision
            drawn |= {self.folders: self._draw_folders(session), **self._draw_photos(session)}
        return drawn

    def _owner(self, request: gr.Request) -> Session:
        """Return the page's state. Raises PersonalError if the visitor is not the owner of this machine."""
        session = self._context.session(request)
        if not self._is_owner(session):
            raise PersonalError("Folders of this computer can be added by its owner only.")
        return session


def _said(found: Found, total: int) -> str:
    """Say how much was found."""
    if found.photos:
        count = len(found.photos)
        return render.plural(count, "photo") if found.query.empty else f"{count:,} of {render.plural(total, 'photo')}"
    if found.query.empty:
        return "No photos yet."
    near = " These come closest:" if found.nearest else ""
    return f"Nothing found. {found.note}{near}"
