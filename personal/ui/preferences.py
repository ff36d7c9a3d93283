"""The Settings tab: how sure before a name is said, what is running, what is stored, and erasing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from personal.compose import LOCAL
from personal.concepts import Preferences
from personal.errors import PersonalError
from personal.ui import quotas, render
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.models import Models
from personal.ui.sessions import Session

WORD = "erase"


CONFIDENCE = "Lower: more names, more mistakes. Higher: only sure ones. Below it, names are asked about."
WITHIN = """(confidence, top_k) =>
  [Math.min(0.95, Math.max(0.3, confidence)), Math.min(20, Math.max(1, Math.round(top_k)))]"""
"""Clamps partial input of a slider's field to its range."""


class Settings:
    """The tab's components and handlers."""

    def __init__(self, context: AppContext, draw_all: Callable[[Session], Updates]) -> None:
        self._context = context
        self._draw_all = draw_all
        self.models = Models(context)

    def build(self) -> None:
        with gr.Column(elem_classes="settings"):
            self.notice = html(elem_id="settings-notice")
            html("<h2>Recognition</h2>")
            self.confidence = gr.Slider(
                0.3,
                0.95,
                step=0.01,
                label="Confidence needed",
                info=CONFIDENCE,
                elem_id="confidence",
            )
            self.top_k = gr.Slider(1, 20, step=1, label="Maximum names per photo", info="(top-k)", elem_id="top-k")
            self.reset = gr.Button("Reset", size="sm", elem_id="reset")
            self.models.build()
            html("<h2>What else is running</h2>")
            self.running = html(elem_id="parts")
            html("<h2>What is stored</h2>")
            self.stored = html(elem_id="stored")
            self.limits = html(elem_id="limits")
            self.reindex = gr.Button("Rebuild recognition index", size="sm", elem_id="reindex")
            self.progress = html(elem_id="reindex-progress")
            html(
                f"<h2>Erase everything</h2><p class='note'>All concepts, chats, their photos, what was deleted "
                f"lately, and your preferences: deleted immediately and permanently. Type <b>{WORD}</b> to confirm.</p>"
            )
            with gr.Row(elem_classes="erase"):
                self.word = gr.Textbox(
                    show_label=False, label=f"Type {WORD}", placeholder=WORD, container=False, elem_id="erase-word"
                )
                self.erase = gr.Button("Erase everything", variant="stop", interactive=False, elem_id="erase")

        self.drawn = [self.confidence, self.top_k, self.running, self.stored, self.limits, *self.models.drawn]
        """What `draw` may return."""

    def wire(self, whole_screen: list[Any]) -> None:
        """Connect the handlers; erasing redraws `whole_screen`."""
        context = self._context
        mine = [
            self.confidence,
            self.top_k,
            self.running,
            self.stored,
            self.limits,
            self.notice,
            self.progress,
            self.word,
            self.erase,
        ]
        mine += [context.toast, *self.models.drawn]
        quiet: dict[str, Any] = {"outputs": mine, "show_progress": "hidden", "api_visibility": "private"}
        for slider in (self.confidence, self.top_k):
            for change in (slider.release, slider.input):
                change(self.prefer, [self.confidence, self.top_k], **quiet, js=WITHIN)
        self.reset.click(self.defaults, None, **quiet)
        self.reindex.click(self.learn_again, None, **quiet)
        self.word.change(self.arm, self.word, **quiet)
        whole: dict[str, Any] = {**quiet, "outputs": list(dict.fromkeys([*mine, *whole_screen]))}
        self.erase.click(self.erase_all, self.word, **whole)

    def draw(self, session: Session) -> Updates:
        """Everything the tab shows."""
        assistant = self._context.assistant
        wishes = assistant.preferences(session.owner)
        said = f"Default: {assistant.default_confidence:.2f}. {CONFIDENCE}"
        if wishes.threshold is not None:
            said += f" A similarity threshold of {wishes.threshold:.2f} counts until you move this."
        elif not assistant.retriever.calibrated(session.owner):
            said += (
                " It does not count yet: this encoder's similarities become probabilities once several concepts have "
                "two photos or more. Until then a name is said from a similarity of "
                f"{assistant.retriever.threshold:.2f} on."
            )
        return {
            self.confidence: gr.Slider(value=wishes.confidence, info=said),
            self.top_k: gr.Slider(value=wishes.top_k, info=f"Default: {self._context.settings.top_k}. (top-k)"),
            self.running: render.facts(self._running()),
            self.stored: render.facts(self._stored(session)),
            self.limits: self._limits(session),
            **self.models.draw(session),
        }

    def _running(self) -> list[tuple[str, str]]:
        knobs = self._context.settings
        return [
            ("Recognition", f"{knobs.encoder}. Another one: PERSONAL_ENCODER."),
            ("Index", knobs.chroma_url or "in the data folder"),
        ]

    def _limits(self, session: Session) -> str:
        concepts, queue = self._context.assistant.concepts(session.owner), self._context.opening.queue
        knobs, owner = self._context.settings, session.owner
        used = _bytes(knobs.data_dir / "owners" / owner / "concepts") if knobs.max_owner_bytes else 0
        rows = quotas.rows(knobs, owner, concepts, used, queue.asked(owner) if queue else 0)
        return f"<h2>Limits</h2>{render.facts(rows)}" if rows else ""

    def _stored(self, session: Session) -> list[tuple[str, str]]:
        assistant, knobs = self._context.assistant, self._context.settings
        concepts = assistant.concepts(session.owner)
        views = sum(len(concept.views) for concept in concepts)
        talks = len(session.history.all())
        rows = [
            ("Concepts", f"{render.plural(len(concepts), 'concept')}, {render.plural(views, 'photo')}"),
            ("Chats", str(talks) if session.history.keeps else f"{talks}, in memory alone"),
            ("On disk", _megabytes(knobs.data_dir / "owners" / session.owner)),
        ]
        if session.owner == LOCAL:
            rows.append(("Data folder", str(knobs.data_dir)))
        return rows

    @show_errors
    def prefer(self, confidence: float, top_k: float, request: gr.Request) -> Updates:
        session = self._context.session(request)
        if not 0 < confidence < 1 or not 1 <= top_k <= 20:
            raise PersonalError("That is outside what the sliders offer; nothing was changed.")
        self._context.assistant.library.prefer(session.owner, Preferences(None, int(top_k), round(confidence, 4)))
        return {self.notice: ""}

    @show_errors
    def defaults(self, request: gr.Request) -> Updates:
        session = self._context.session(request)
        self._context.assistant.library.prefer(session.owner, Preferences())
        return self.draw(session)

    @show_errors
    def learn_again(self, request: gr.Request) -> Iterator[Updates]:
        """Build the index again from the photos, with progress."""
        session = self._context.session(request)
        yield {self.progress: render.busy("Learning your photos again …")}
        for step in self._context.assistant.reindex(session.owner, afresh=True):
            yield {self.progress: render.busy(step.text, step)}
        yield {
            **self.draw(session),
            self.progress: "",
            self._context.toast: render.toast("All photos were learned again."),
        }

    def arm(self, word: str) -> Updates:
        return {self.erase: gr.Button(interactive=word.strip().casefold() == WORD)}

    @show_errors
    def erase_all(self, word: str, request: gr.Request) -> Updates:
        """Erase everything of this visitor, behind the typed word."""
        session = self._context.session(request)
        if (word or "").strip().casefold() != WORD:
            raise PersonalError(f"Type {WORD} into the field to confirm. Nothing was erased.")
        self._context.sessions.erase(session.owner, self._context.assistant.erase)
        return {
            **self._draw_all(session),
            self.word: "",
            self._context.toast: render.toast("All your data was erased."),
        }


def _megabytes(folder: Path) -> str:
    return f"{_bytes(folder) / 2**20:.1f} MB"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
