"""Which language model answers, at the top of the page and in the Settings tab: what is offered, and switching it."""

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
    """The header with its list of models, the part of the Settings tab about them, and the handlers of both."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._changing = threading.Lock()
        self._stop = threading.Event()

    def build_header(self) -> None:
        """Make the line at the top of the page, and below it how far a change of the model is."""
        self.header = html(render.header("", ""), elem_id="header")
        self.switching = html(elem_id="switching")

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

    def wire(self, top: list[Any], draw_top: Callable[[gr.Request], Updates]) -> None:
        """Connect the handlers; a change of the model redraws `top` with `draw_top`."""
        self._draw_top = draw_top
        mine = [*self.drawn, self.choice, self.about, self.use, self.halt, self.progress, self.switching]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.choice.change(self.describe, self.choice, [self.about, self.use], **quiet)
        self.use.click(self.change, self.choice, [*mine, *top], **quiet)
        self.halt.click(self.stop, None, [self.halt], **quiet)
        self.health.click(self.ask, None, [self.said], **quiet)
        self.header.select(self.on_header, None, [*mine, *top], **quiet)
        self.switching.select(self.stop, None, [self.halt], **quiet)

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

    def draw_header(self, session: Session | None = None, *, opened: bool = False, chosen: str = "") -> Updates:
        """Return the line at the top; `opened` with the models on offer, where the owner of the machine asks."""
        stage, menu = self._context.assistant.generator, None
        if session and session.owner == LOCAL:
            about = self._about(chosen) if chosen else ""
            menu = render.model_menu(self._titles if opened else [], stage.name, chosen, about)
        accounts = self._context.accounts
        name = session.visitor.name if session else ""
        account = render.account(
            name,
            sign_in=accounts.offered,
            sign_out=not self._context.settings.user_header,
            password=bool(session and accounts.has_password(session.owner)),
        )
        return {self.header: render.header(stage.name, stage.description, menu, opened=opened, account=account)}

    def on_header(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """List the models, tell of one, or switch to it."""
        session, data = self._context.session(request), event._data
        source = str(data.get("model") or "")
        if data.get("act") == "use":
            yield from self.change(source, request)
        elif data.get("act") in ("models", "model") and session.owner == LOCAL:
            yield self.draw_header(session, opened=True, chosen=source)

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
            yield self._refused(error)
            return
        try:
            self._stop.clear()
            yield {
                self.use: gr.Button(interactive=False),
                self.halt: gr.Button(visible=True),
                **self.draw_header(self._context.session(request)),
            }
            steps = self._context.opening.switch(source)
            for step in steps:
                if self._stop.is_set():
                    steps.close()
                    raise PersonalError("Stopped. Kept the current model.")
                stop = f"<button {render.act('halt')}>Stop</button>"
                yield {self.progress: render.busy(step.text, step), self.switching: render.busy(step.text, step) + stop}
            said = render.toast(f"{self._context.assistant.generator.name} answers from now on.")
            yield {**self._changed(request), self.progress: "", self.switching: "", self._context.toast: said}
        except PersonalError as error:
            yield {**self._changed(request), **self._refused(error)}
        finally:
            self._changing.release()

    def _refused(self, error: PersonalError) -> Updates:
        """Return what is said of a change that came to nothing, in whatever tab it was asked for."""
        said = render.problem(str(error))
        return {self.progress: said, self.switching: "", self._context.toast: render.toast(str(error))}

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
            **self._draw_top(request),
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
