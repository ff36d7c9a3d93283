"""Which language model answers, in the Settings tab: what is offered, what fits here, and changing it with progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from html import escape
from typing import Any, cast

import gradio as gr

from personal.compose import LOCAL, SERVER
from personal.errors import PersonalError
from personal.generate.hardware import Hardware, choose, detect_hardware, fits
from personal.generate.models import MODELS, ModelSpec, find_model
from personal.threads import in_thread
from personal.ui import render
from personal.ui.context import AppContext, Updates, html
from personal.ui.sessions import Session

ELSEWHERE = "On the server of PERSONAL_LLM_URL"
BUSY = "Another model is being fetched already; wait for it, or stop it."


class Models:
    """The part of the Settings tab about language models, and its handlers."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._changing = threading.Lock()
        self._stop = threading.Event()

    def build(self) -> None:
        html("<h2>Language model</h2>")
        self.running = html(elem_id="running")
        self.health = gr.Button("Ask the server how it is", size="sm", visible=False, elem_id="server-ask")
        self.said = html(elem_id="server-said")
        with gr.Column(visible=False, elem_id="models") as self.offers:
            self.choice = gr.Dropdown(
                [],
                allow_custom_value=True,
                label="Switch model",
                info="Or type a Hugging Face id, or a folder on this machine.",
                elem_id="model-choice",
            )
            self.about = html(elem_id="model-about")
            with gr.Row(elem_classes="model-actions"):
                self.use = gr.Button("Use this model", size="sm", interactive=False, elem_id="model-use")
                self.halt = gr.Button("Stop", size="sm", visible=False, elem_id="model-stop")
            self.progress = html(elem_id="model-progress")
        self.drawn = [self.running, self.health, self.offers]

    def wire(self, top: list[Any], draw_top: Callable[[], Updates]) -> None:
        """Connect the handlers; a change of the model redraws `top` with `draw_top`."""
        self._draw_top = draw_top
        mine = [*self.drawn, self.choice, self.about, self.use, self.halt, self.progress]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.choice.change(self.describe, self.choice, [self.about, self.use], **quiet)
        self.use.click(self.change, self.choice, [*mine, *top], **quiet)
        self.halt.click(self.stop, None, [self.halt], **quiet)
        self.health.click(self.ask, None, [self.said], **quiet)

    @cached_property
    def _hardware(self) -> Hardware:
        return in_thread(lambda: detect_hardware(self._context.settings.device))

    @cached_property
    def _titles(self) -> list[tuple[str, str]]:
        """Every model on offer with what it means here, the suggested one marked."""
        knobs = self._context.settings
        suggested, _ = choose(self._hardware, knobs.offline)
        offers = [(f"{ELSEWHERE}", SERVER)] if knobs.llm_url else []
        for model in MODELS:
            verdict = fits(model, self._hardware, knobs.quantization)
            mark = "suggested" if model == suggested else "slow here" if verdict.slow else ""
            mark = mark if verdict.fits else "too large"
            size = f"{model.download / 1e9:.1f} GB"
            offers.append((" · ".join(part for part in (model.title, size, mark) if part), model.id))
        return offers

    def draw(self, session: Session) -> Updates:
        mine = session.owner == LOCAL
        return {
            self.running: render.facts(self._facts()),
            self.health: gr.Button(visible=mine and bool(self._context.server)),
            self.offers: gr.Column(visible=mine),
        }

    def offer(self, request: gr.Request) -> Updates:
        """List what is on offer: seconds of work the first time, so only once the tab is opened."""
        if self._context.session(request).owner != LOCAL:
            return {self.choice: gr.skip()}
        return {self.choice: gr.Dropdown(choices=cast(Any, self._titles))}

    def _facts(self) -> list[tuple[str, str]]:
        stage = self._context.assistant.generator
        sight = "It looks at the photos." if stage.sees else "It is told what was recognised and where."
        return [("Answers", stage.name), ("How", f"{stage.description}. {sight}")]

    def describe(self, source: str | None, request: gr.Request) -> Updates:
        """Say what a model is, and whether it fits here."""
        source = (source or "").strip() if self._context.session(request).owner == LOCAL else ""
        return {
            self.about: self._about(source) if source else "",
            self.use: gr.Button(interactive=bool(source)),
        }

    def _about(self, source: str) -> str:
        if source == SERVER:
            return render.facts([("Where", self._context.settings.llm_url), ("Photos", "are sent to that server")])
        found = find_model(source)
        if found is None:
            return '<p class="note">Details load when you choose it.</p>'
        knobs = self._context.settings
        rows = [("Model", found.id), ("Licence", found.licence), ("Download", f"{found.download / 1e9:.1f} GB")]
        rows.append(("Here", self._verdict(found)))
        suggested, reason = choose(self._hardware, knobs.offline)
        if found == suggested:
            rows.append(("Suggested", f"{reason}."))
        if found.images == 1:
            rows.append(("Photos", "learnt on one a question; with several it errs more"))
        if found.note:
            rows.append(("Note", found.note))
        return render.facts(rows)

    def _verdict(self, found: ModelSpec) -> str:
        said = fits(found, self._hardware, self._context.settings.quantization).sentence
        return f"{said[:1].upper()}{said[1:]}."

    def change(self, source: str | None, request: gr.Request) -> Iterator[Updates]:
        """Fetch and load a model, with progress; the present one answers until then."""
        source = (source or "").strip()
        try:
            self._allowed(request, source)
        except PersonalError as error:
            yield {self.progress: render.problem(str(error))}
            return
        try:
            self._stop.clear()
            yield {self.use: gr.Button(interactive=False), self.halt: gr.Button(visible=True)}
            steps = self._context.opening.switch(source)
            for step in steps:
                if self._stop.is_set():
                    steps.close()
                    raise PersonalError("Stopped. Kept the current model.")
                yield {self.progress: render.busy(step.text, step)}
            said = render.toast(f"{self._context.assistant.generator.name} answers from now on.")
            yield {**self._changed(request), self.progress: "", self._context.toast: said}
        except PersonalError as error:
            yield {**self._changed(request), self.progress: render.problem(str(error))}
        finally:
            self._changing.release()

    def _allowed(self, request: gr.Request, source: str) -> None:
        """Take the right to change the model, which is one for all visitors. Raises PersonalError."""
        if self._context.session(request).owner != LOCAL:
            raise PersonalError("Only on one's own machine can the model be changed.")
        if not source:
            raise PersonalError("Choose a model first.")
        if not self._changing.acquire(blocking=False):
            raise PersonalError(BUSY)

    def _changed(self, request: gr.Request) -> Updates:
        return {
            **self.draw(self._context.session(request)),
            **self._draw_top(),
            self.use: gr.Button(interactive=True),
            self.halt: gr.Button(visible=False),
        }

    def ask(self, request: gr.Request) -> Iterator[Updates]:
        """Ask the server that answers how it is."""
        if self._context.session(request).owner != LOCAL or not self._context.server:
            return
        yield {self.said: render.busy("Asking the server …")}
        yield {self.said: f'<p class="note">{escape(self._context.assistant.generator.health())}</p>'}

    def stop(self, request: gr.Request) -> Updates:
        """Stop fetching; what is being loaded is loaded to its end."""
        if self._context.session(request).owner == LOCAL:
            self._stop.set()
        return {self.halt: gr.Button(visible=False)}
