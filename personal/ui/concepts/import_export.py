"""Export by a link that works once, and import from a zip after a look at what it would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import gradio as gr

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.remember import import_export
from personal.ui import render
from personal.ui.context import AppContext, Updates, discard, html, show_errors
from personal.ui.exports import DOWNLOAD
from personal.ui.sessions import Session


class ImportExport:
    """The components and handlers; `draw` draws the whole tab."""

    def __init__(self, context: AppContext, draw: Callable[[Session], Updates]) -> None:
        self._context = context
        self._draw = draw

    def build(self, notice: gr.HTML) -> None:
        """Make the form for an import, whose problems take the preview's place; those of an export go to `notice`."""
        self.notice = notice
        self.link = html(elem_id="download", js_on_load=DOWNLOAD)
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="importer", elem_classes="side") as self.column:
            html(
                "<h2>Import concepts</h2><p class='note'>A zip that this app exported, a zip of RAP's database "
                "folder, or a zip with one photo folder per concept. Folders can also be dropped on the cards.</p>"
            )
            self.archive = gr.File(label="Zip file", file_types=[".zip"], height=150, elem_id="archive")
            self.preview = html(elem_id="preview")
            with gr.Row():
                self.apply = gr.Button("Import these", variant="primary", interactive=False, elem_id="apply")
                self.close = gr.Button("Close")
        self.drawn = [self.column]
        """What `draw` may return."""
        self.fields = [self.archive, self.preview, self.apply, self.link]
        """What handlers may return besides."""

    def wire(self, export: gr.Button, begin: gr.Button, quiet: dict[str, Any], loud: dict[str, Any]) -> None:
        """Connect the handlers; `export` and `begin` are the buttons above the cards."""
        export.click(self.export, None, **quiet)
        begin.click(self.begin, None, **quiet)
        self.archive.upload(self.inspect, self.archive, **quiet)
        self.apply.click(self.import_all, None, **loud)

    def draw(self, session: Session) -> Updates:
        """Return whether the form is open."""
        return {self.column: gr.Column(visible=session.side == "import")}

    def blank(self) -> Updates:
        """Return the form emptied."""
        return {self.archive: None, self.preview: "", self.apply: gr.Button(interactive=False)}

    @show_errors
    def export(self, request: gr.Request) -> Updates:
        """Issue a link that works once, for this visitor's concepts; say what is damaged and left out."""
        session = self._context.session(request)
        if not self._context.assistant.concepts(session.owner):
            raise PersonalError("There is nothing to export yet.")
        return self.offer(session)

    def offer(self, session: Session, only: Set[str] = frozenset()) -> Updates:
        """Issue the link for concepts by their ids, or for all."""
        left_out = import_export.list_damage(self._context.library, session.owner, only)
        return {
            self.link: f"personal/export/{self._context.sessions.download(session, only)}",
            self.notice: render.problem(" ".join(left_out)),
        }

    @show_errors
    def begin(self, request: gr.Request) -> Updates:
        """Open the form."""
        session = self._context.session(request)
        session.side = "import"
        return self._draw(session)

    @show_errors
    def inspect(self, file: str | None, request: gr.Request) -> Updates:
        """Read an archive and show what it would change; nothing changes yet."""
        session, settings = self._context.session(request), self._context.settings
        if not file:
            return {}
        try:
            return self._preview(session, lambda: import_export.read(Path(file), settings, guest=settings.shared))
        finally:
            discard(Path(file))

    def review(self, session: Session, files: Sequence[tuple[str, Path]]) -> Updates:
        """Open the form with what folders that were dropped would change; `files` have their paths within these."""
        settings, session.side = self._context.settings, "import"
        shown = self._preview(session, lambda: import_export.read_uploads(files, settings, guest=settings.shared))
        return {**self._draw(session), **shown}

    def _preview(self, session: Session, read: Callable[[], list[import_export.ImportedConcept]]) -> Updates:
        """Return what reading says, or in its place why nothing can be imported."""
        try:
            session.incoming = read()
            changes = import_export.plan(self._context.library, session.owner, session.incoming)
        except PersonalError as error:
            session.incoming = []
            return {**self.blank(), self.preview: render.problem(str(error))}
        notes = [note for concept in session.incoming for note in concept.problems]
        return {
            **self.blank(),
            self.preview: render.import_preview([(c.name, c.words) for c in changes], notes),
            self.apply: gr.Button(interactive=any(change.kind in {"new", "adds"} for change in changes)),
            self.notice: "",
        }

    @show_errors
    def import_all(self, request: gr.Request) -> Iterator[Updates]:
        """Import what was inspected, with progress."""
        session = self._context.session(request)
        incoming, session.incoming, session.side = session.incoming, [], ""
        step = Progress("Importing")
        try:
            for step in import_export.apply(self._context.assistant, session.owner, incoming):
                yield {self.preview: render.busy(step.text, step), self.apply: gr.Button(interactive=False)}
        except PersonalError as error:
            session.side = "import"
            yield {**self._draw(session), **self.blank(), self.preview: render.problem(str(error))}
            return
        said = f"{render.plural(step.total, 'concept')} imported."
        yield {**self._draw(session), **self.blank(), self._context.toast: render.toast(said)}
