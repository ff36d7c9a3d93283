"""The Evaluate tab: which of one's own people, pets and things are confused, shown with what helps."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr

from personal.concepts import Concept, Photo, Progress
from personal.errors import PersonalError
from personal.evaluate.leave_one_out import OUTCOMES, CheckedView, CheckResult, check
from personal.ui import render
from personal.ui.concepts import Concepts
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session

PAIRS = 6
"""Mistakes that are shown with their photos."""
FOLLOW_S = 0.5
TABLE = 6
"""Concepts that are all in the table; of more, those that are confused."""

Picture = Callable[[Concept, str], Photo | None]
"""A view of a concept, or None where its file is damaged or gone."""


@dataclass
class Running:
    """A check that is under way: what `stop` ends, and the words of how far it is."""

    stop: threading.Event = field(default_factory=threading.Event)
    words: str = ""


class Evaluate:
    """The tab's components and handlers. An owner has one check at a time, which all of their pages follow."""

    def __init__(self, context: AppContext, concepts: Concepts) -> None:
        self._context = context
        self._concepts = concepts
        self._running: dict[str, Running] = {}

    def build(self) -> None:
        with gr.Column(elem_classes="evaluate"):
            html(INTRO)
            with gr.Row(elem_classes="check-actions"):
                self.begin = gr.Button("Run test", variant="primary", size="sm", interactive=False, elem_id="check")
                self.halt = gr.Button(
                    "Stop", size="sm", visible=False, elem_id="check-stop", elem_classes="stop-writing"
                )
            self.notice = html(elem_id="check-notice")
            self.hint = html(elem_id="check-hint")
            self.progress = html(elem_id="check-progress")
            self.result = html(elem_id="check-result")
            if not self._context.settings.shared or self._context.settings.study_password:
                html(STUDIES)
            self.timer = gr.Timer(FOLLOW_S, active=False)
        self.drawn = [self.begin, self.halt, self.hint, self.progress, self.result, self.timer]
        """What `draw` may return."""

    def wire(self, tabs: gr.Tabs) -> None:
        """Connect the handlers; `tabs` is what "Open" switches."""
        self._tabs = tabs
        outputs = [*self.drawn, self.notice, tabs, *self._concepts.drawn]
        quiet: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "api_visibility": "private"}
        self.begin.click(self.run, None, **quiet)
        self.halt.click(self.stop, None, **quiet)
        self.timer.tick(self.follow, None, **quiet)
        self.hint.select(self.go, None, **quiet)
        self.result.select(self.go, None, **quiet)

    def draw(self, session: Session) -> Updates:
        """The buttons as they are to be now, and what is missing; a verdict goes as soon as what it shows is gone."""
        concepts = self._context.assistant.concepts(session.owner)
        running = self._running.get(session.owner)
        if running and not concepts:
            running.stop.set()
        missing = lacking(concepts)
        if not session.visitor.checked[0] <= _views(concepts):
            session.visitor.checked = (set(), "")
        return {
            self.begin: gr.Button(visible=not running, interactive=not missing),
            self.halt: gr.Button(visible=bool(running and not running.stop.is_set())),
            self.hint: missing,
            self.progress: running.words if running else "",
            self.result: "" if running else session.visitor.checked[1],
            self.timer: gr.Timer(active=bool(running)),
        }

    @show_errors
    def run(self, request: gr.Request) -> Updates:
        """Try every photo of this visitor's concepts; it goes on while pages come and go."""
        session, begun = self._context.session(request), Running(words=render.busy("Looking at your photos …"))
        if self._running.setdefault(session.owner, begun) is not begun:
            raise PersonalError("Your concepts are being checked already, in another window.")
        session.visitor.checked = (set(), "")
        threading.Thread(target=self._check, args=(session, begun), name="check", daemon=True).start()
        return {**self.draw(session), self.notice: ""}

    def _check(self, session: Session, begun: Running) -> None:
        owner = session.owner
        try:
            looked_at = _views(self._context.assistant.concepts(owner))
            for step in check(self._context.assistant, owner, stop=begun.stop):
                if not self._context.sessions.has(owner):
                    begun.stop.set()
                if isinstance(step, Progress):
                    begun.words = render.busy(f"{step.text}: {step.done + 1} of {step.total}", step)
                else:
                    found = verdict(step, lambda of, view: self._context.picture(session, of.id, view))
                    session.visitor.checked = (looked_at, found)
        except PersonalError as error:
            session.visitor.checked = (set(), render.problem(str(error)))
        finally:
            del self._running[owner]

    def follow(self, request: gr.Request) -> Updates:
        """A page asks how far a check is, and what came of it."""
        return self.draw(self._context.session(request))

    def stop(self, request: gr.Request) -> Updates:
        """End the check at its next photo; what was seen until then is told."""
        running = self._running.get(self._context.session(request).owner)
        if running:
            running.stop.set()
        return {self.halt: gr.Button(visible=False)}

    @show_errors
    def go(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Open a concept, or the form for a new one, in the Concepts tab."""
        session, data = self._context.session(request), event._data
        there: Updates = {self._tabs: gr.Tabs(selected="concepts")}
        if data.get("act") == "first":
            return {**there, **self._concepts.new.open(session)}
        if data.get("act") != "open":
            return {}
        session.open(str(data.get("concept")))
        return {**there, **self._concepts.draw(session)}


def _views(concepts: Sequence[Concept]) -> set[tuple[str, str, str]]:
    return {(concept.id, concept.name, view.sha256) for concept in concepts for view in concept.views}


# -- from a check to HTML ----------------------------------------------------------------------------------------------

STUDIES = (
    '<p class="note"><a href="/studies">User studies</a>: compare assistants with people who take part in their '
    "browsers.</p>"
)
INTRO = (
    "<h2>Test recognition</h2><p class='note'>Tests each photo against the rest to find mix-ups, and says which "
    "photo would help. Nothing is changed.</p>"
)


def lacking(concepts: Sequence[Concept]) -> str:
    """Say what there must be before a check can tell anything; nothing where it can."""
    button = f'<p class="row"><button class="primary" {render.act("first")}>Add '
    if not concepts:
        said = "No concepts yet. Give names to two people, pets or things, with two photos or more of each."
        return f'<div class="empty small"><p>{said}</p>{button}your first concept</button></p></div>'
    if len(concepts) == 1:
        said = f"{escape(concepts[0].name)} is all there is, and cannot be taken for anybody else."
        return f'<div class="empty small"><p dir="auto">{said}</p>{button}another</button></p></div>'
    if all(len(concept.views) == 1 for concept in concepts):
        said = "Each of yours has one photo only. To be looked at as if it were new, a photo needs another beside it."
        return f'<div class="empty small"><p>{said}</p></div>'
    return ""


def verdict(found: CheckResult, picture: Picture) -> str:
    """What came of a check, in words and pictures."""
    every = {one.concept.id: one.concept for one in found.views}
    every |= {one.best.concept.id: one.best.concept for one in found.views if one.outcome == "wrong"}
    colours = {concept_id: number % 8 for number, concept_id in enumerate(every)}
    return (
        f'<section class="verdict">{_summary(found)}{_mistakes(found, colours, picture)}'
        f"{_table(found, every, picture)}{_single(found.single, picture)}</section>"
    )


def _summary(found: CheckResult) -> str:
    if not found.views:
        said = "Stopped before the first photo." if found.stopped else "None of your photos could be looked at."
        return f'<p class="sum" role="status">{said}</p>'
    stopped = f'<p class="note">Stopped after {len(found.views)} of {found.total} photos.</p>' if found.stopped else ""
    missed = 0 if found.stopped else found.total - len(found.views)
    if missed:
        stopped = f'<p class="note">{render.plural(missed, "photo")} could not be looked at.</p>'
    outcomes = Counter(one.outcome for one in found.views)
    parts = "".join(f'<i class="{name}" style="flex-grow:{outcomes[name]}"></i>' for name in OUTCOMES if outcomes[name])
    return (
        f'<p class="sum" role="status">{summary(found)}</p><div class="shares" aria-hidden="true">{parts}</div>'
        f"{stopped}"
        '<details class="used"><summary>How sure is sure?</summary><p>A name counts as said here where it is said of a '
        "photo: Settings has it as “Confidence needed”.</p></details>"
    )


def summary(found: CheckResult) -> str:
    """Say in a sentence how many photos get the right name, a wrong one, none."""
    total = len(found.views)
    right, wrong, silent = (found.count(outcome) for outcome in OUTCOMES)
    if right == total:
        return f"All {total} recognised correctly." if total > 1 else "The photo is recognised correctly."
    parts = [f"{right or 'none'} {'get' if right > 1 else 'gets'} the right name"]
    parts += [f"{count} {words}" for count, words in ((wrong, "a wrong one"), (silent, "no name")) if count]
    return f"Of {render.plural(total, 'photo')} {', '.join(parts[:-1])} and {parts[-1]}."


def _mistakes(found: CheckResult, colours: dict[str, int], picture: Picture) -> str:
    mistaken = found.mistakes
    if not mistaken:
        return ""
    rows = "".join(_mistake(one, times, colours, picture) for one, times in mistaken[:PAIRS])
    left = len(mistaken) - PAIRS
    more = f'<p class="note">And {left} more: mend these first, then check again.</p>' if left > 0 else ""
    return f'<h3>What would help</h3><ul class="pairs">{rows}</ul>{more}'


def _mistake(one: CheckedView, times: int, colours: dict[str, int], picture: Picture) -> str:
    """One photo beside the one that it was taken for, or that it was not like enough, and what to do."""
    wrong = one.outcome == "wrong"
    beside = one.best if wrong else one.own
    name = render.chip(one.concept, colours[one.concept.id])
    if wrong:
        other = render.chip(one.best.concept, colours[one.best.concept.id])
        said = f"{name} is taken for {other}"
        advice = "Add a photo from another angle"
    else:
        said = f"{name} is not recognised"
        advice = "Add a photo more like this one"
    often = f" <small>in {times} photos</small>" if times > 1 else ""
    figures = _figure(one.photo, f"A photo of {one.concept.name}")
    nearest = picture(beside.concept, beside.view or "") if beside else None
    if beside and nearest:
        like = "The most similar photo of" if wrong else "The most similar other photo of"
        figures += _figure(nearest, f"{like} {beside.concept.name}")
    doubt = f'<p class="note" dir="auto">Or remove this one, if it is not {escape(one.concept.name)} at all.</p>'
    return (
        f'<li><p>{said}{often}</p><div class="pair">{figures}</div>'
        f"<button {render.act('open', concept=one.concept.id)}>{render.icon('plus')}{advice}</button>{doubt}</li>"
    )


def _figure(photo: Photo, words: str) -> str:
    words = escape(words)
    return f'<figure>{render.picture(photo, 360)}<figcaption dir="auto">{words}</figcaption></figure>'


def _table(found: CheckResult, every: dict[str, Concept], picture: Picture) -> str:
    """Whose photos get which name: a row a concept, a column a name."""
    confusion = found.confusion
    astray = {concept_id for truth, said in confusion if said != truth for concept_id in (truth, said) if concept_id}
    shown = sorted(every.values(), key=lambda concept: concept.id not in astray)
    shown = [concept for concept in shown if len(every) <= TABLE or concept.id in astray]
    if not shown:
        return ""
    tried = Counter(one.concept.id for one in found.views)
    faces = {concept.id: _face(concept, picture) for concept in shown}
    columns: list[tuple[str | None, str, str]] = [(concept.id, faces[concept.id], concept.name) for concept in shown]
    if any(said is None for _, said in confusion):
        columns.append((None, "–", "no name"))
    heads = "".join(f'<th scope="col" title="{escape(name)}" aria-label="{escape(name)}">{face}</th>'
                    for _, face, name in columns)  # fmt: skip
    rows = "".join(
        f'<tr><th scope="row">{faces[c.id]}<span dir="auto">{escape(c.name)}</span></th>'
        + "".join(_cell(confusion[c.id, said], tried[c.id], said, said == c.id) for said, *_ in columns)
        + "</tr>"
        for c in shown
        if tried[c.id]
    )
    left = len(every) - len(shown)
    rest = f" {render.plural(left, 'other')} always {'gets' if left == 1 else 'get'} the right name." if left else ""
    return (
        '<h3>Who gets which name</h3><p class="note">A row for each of yours, a column for each name: how many photos '
        f'get it.{rest}</p><div class="confusion"><table><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(count: int, of: int, said: str | None, right: bool) -> str:
    if not count:
        return "<td></td>"
    outcome = "right" if right else "silent" if said is None else "wrong"
    return f'<td class="{outcome}" style="--share:{100 * count / of:.0f}%">{count}</td>'


def _single(concepts: Sequence[Concept], picture: Picture) -> str:
    if not concepts:
        return ""
    rows = "".join(
        f"<button {render.act('open', concept=concept.id)}>{_face(concept, picture)}"
        f'<span dir="auto">{escape(concept.name)}</span></button>'
        for concept in concepts[: render.PAGE]
    )
    left = len(concepts) - render.PAGE
    more = f'<p class="note">And {left} more.</p>' if left > 0 else ""
    return (
        '<h3>Needs another photo</h3><p class="note">Add a second photo to include these.</p>'
        f'<div class="singles">{rows}</div>{more}'
    )


def _face(concept: Concept, picture: Picture) -> str:
    avatar = picture(concept, concept.avatar)
    return render.picture(avatar, 72, square=True, subject=True, classes="face") if avatar else '<i class="face"></i>'
