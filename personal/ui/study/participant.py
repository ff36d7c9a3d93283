"""A participant's pages: each shows the step they are at, and takes what its form sends.

A participant is known by the link's parameters until they consent, then by the id in the address, a keyed hash that
nobody can guess. There are no cookies: two people who use one browser stay apart. A page changes nothing when it is
fetched; what is sent twice, or from a page that is out of date, changes nothing either.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from personal.crops import thumbnail
from personal.errors import PersonalError
from personal.logs import report
from personal.study.participant import Participant
from personal.study.responses import ResponseError
from personal.study.store import StudyStore, new_identifier
from personal.ui.doors import Refused
from personal.ui.pictures import LARGEST
from personal.ui.places import hidden
from personal.ui.samples import read_samples
from personal.ui.study import views
from personal.ui.study.access import Access
from personal.ui.study.forms import Form, read_form
from personal.ui.study.pages import fragment, markdown, page
from personal.ui.study.room import QUESTION_MAX, Room
from personal.ui.study.rooms import NotReady, Rooms
from personal.ui.study.views import Sent

LOOK_EVERY_S = 0.15
"""How often a growing answer is sent to its page, seconds."""
NOBODY = "This page belongs to nobody who takes part. Please open the link that you were given."
Act = Callable[[Room, Form], None]


class Participants:
    """The routes of those who take part, ASGI endpoints."""

    def __init__(self, rooms: Rooms, access: Access) -> None:
        self._rooms = rooms
        self._access = access
        self._settings = rooms.settings
        self._space = bool(rooms.settings.space)

    # -- arriving ------------------------------------------------------------------------------------------------

    async def arrive(self, request: Request) -> Response:
        """Show what they agree to; who has agreed goes on where they were."""
        return await run_in_threadpool(self._arrive, request, None)

    async def consent(self, request: Request) -> Response:
        """Take their consent."""
        try:
            form = await read_form(request, self._settings)
        except Refused as refusal:
            return self._said("This did not work", str(refusal), refusal.status)
        return await run_in_threadpool(self._arrive, request, form)

    def _arrive(self, request: Request, form: Form | None) -> Response:
        preview = request.url.path.endswith("/preview")
        try:
            if preview and not self._access.known(request):
                raise PersonalError("A preview is for the researcher who is signed in.")
            store = self._rooms.studies.get(request.path_params["study"])
            query = dict(request.query_params)
            if not query.get(store.study.parameters.participant, "").strip():
                query[store.study.parameters.participant] = new_identifier()
                return RedirectResponse(f"{request.url.path}?{urlencode(query)}", 303)
            participant = store.arrive(query, preview=preview)
            errors = {}
            if form is not None and participant.status == "new":
                if form.text("agree"):
                    participant.consent(keep_photos=bool(form.text("keep_photos")))
                    self._rooms.room(store, participant).prepare_ahead()
                else:
                    errors = {"agree": "Tick this box to take part."}
            if participant.status == "new":
                return self._consent_page(request, participant, errors)
            return RedirectResponse(_place(store, participant), 303)
        except PersonalError as error:
            return self._problem(error)

    def _consent_page(self, request: Request, participant: Participant, errors: dict[str, str]) -> Response:
        consent = participant.study.consent
        keeps = participant.study.log.photos == "kept"
        return page(
            "consent.html",
            status=422 if errors else 200,
            space=self._space,
            here=f"{request.url.path}?{urlencode(request.query_params.multi_items())}",
            text=markdown(consent.text),
            agree=consent.agree,
            keep_photos=consent.keep_photos if keeps else "",
            **views.values(participant, Sent(errors)),
        )

    # -- steps ---------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        """Show the step they are at."""
        return await run_in_threadpool(self._with, request, self._step)

    async def back(self, request: Request) -> Response:
        """Lead from an address that a form was sent to back to the step."""
        return RedirectResponse(request.url.path.rpartition("/")[0], 303)

    async def go_on(self, request: Request) -> Response:
        """Take what the form of a step sends, and go on."""
        return await self._post(request, self._go_on)

    async def concepts(self, request: Request) -> Response:
        """Register a concept of theirs, or remove one."""

        def act(room: Room, form: Form) -> None:
            if form.text("remove"):
                room.remove_concept(form.text("step"), form.text("remove"))
                return
            photos = form.photos("photos", self._settings)
            name, category, info = form.text("name"), form.text("category"), form.text("info")
            room.add_concept(form.text("step"), name, photos, category, info)

        return await self._post(request, act, photos=True)

    async def ask(self, request: Request) -> Response:
        """Ask a question, add a photo for the next, or both."""

        def act(room: Room, form: Form) -> None:
            step, about = room.participant.step, form.text("about")
            _check_page(room, form)
            for photo in form.photos("photo", self._settings):
                room.add_photo(step, photo)
                about = photo.sha256
            if not form.text("only_photo"):
                room.ask(step, form.text("question"), about, edited=bool(form.text("edited")))

        return await self._post(request, act, photos=True)

    async def act(self, request: Request) -> Response:
        """Stop an answer, have it written again, or say if a name is right."""

        def act(room: Room, form: Form) -> None:
            step, do = room.participant.step, form.text("do")
            _check_page(room, form)
            if do == "stop":
                room.stop(step)
            elif do == "retry":
                room.retry(step)
            elif do in ("right", "wrong") and form.text("turn").isdecimal():
                room.judge(step, int(form.text("turn")), form.text("concept"), right=do == "right")

        return await self._post(request, act)

    async def practise(self, request: Request) -> Response:
        """Answer a question of the tutorial, of which nothing is recorded."""
        try:
            form = await read_form(request, self._settings)
        except Refused as refusal:
            return self._said("This did not work", str(refusal), refusal.status)

        def answer(store: StudyStore, participant: Participant) -> Response:
            question = form.text("question")[:QUESTION_MAX]
            if not question or participant.step.kind != "tutorial":
                return RedirectResponse(_place(store, participant), 303)
            try:
                words = self._rooms.practise(question).text
            except PersonalError as error:
                return self._step(store, participant, Sent(notice=self._hide(str(error))))
            return self._step(store, participant, tried=question, answer=views.practised(words))

        return await run_in_threadpool(self._with, request, answer)

    async def vote(self, request: Request) -> Response:
        """Vote on the two answers to a question."""

        def act(room: Room, form: Form) -> None:
            if not form.text("choice"):
                raise ResponseError({"choice": "Choose one of the answers, both or neither."})
            turn = int(form.text("turn")) if form.text("turn").isdecimal() else 0
            room.participant.vote(form.text("step"), turn, form.text("choice"), form.text("reason"))

        return await self._post(request, act)

    async def rate(self, request: Request) -> Response:
        """Rate an answer, and go on."""

        def act(room: Room, form: Form) -> None:
            room.participant.rate(form.text("step"), form.responses())
            room.participant.done(form.text("step"))

        return await self._post(request, act)

    def _go_on(self, room: Room, form: Form) -> None:
        participant, step_id = room.participant, form.text("step")
        step = next((one for one in participant.steps if one.id == step_id), None)
        if step is not None and step.kind in ("eligibility", "questionnaire"):
            participant.submit(step_id, form.responses())
        else:
            participant.done(step_id)

    def _step(self, store: StudyStore, participant: Participant, sent: Sent | None = None, **tried: Any) -> Response:
        """Return the page of the step that somebody is at; `sent` is what could not be taken."""
        sent = sent or Sent()
        if participant.status in ("finished", "screened_out"):
            return self._end(store, participant)
        step, room = participant.step, self._rooms.room(store, participant)
        more: dict[str, Any] = {}
        template = {"eligibility": "questions", "questionnaire": "questions"}.get(step.kind, step.kind)
        if step.kind in ("eligibility", "questionnaire"):
            more = views.questions(participant)
        elif step.kind == "tutorial":
            more = {**views.tutorial(participant), **tried}
        elif step.kind == "concepts":
            more = views.concepts(participant, room)
        elif step.kind == "task":
            more = views.task(participant, room)
        participant.enter(step.id)
        status = 422 if sent.errors else 200
        place = _place(store, participant)
        shown = {**more, **views.values(participant, sent), "here": place}
        return page(f"{template}.html", status=status, space=self._space, **shown)

    def _end(self, store: StudyStore, participant: Participant) -> Response:
        """Return the page of who has finished, or may not take part."""
        ending = participant.ending
        finished = participant.status == "finished"
        if finished:
            participant.enter(participant.step.id)
            self._rooms.finish(participant)
        text = markdown(participant.study.debrief) + markdown(ending.text) if finished else markdown(ending.text)
        return page(
            "end.html",
            space=self._space,
            title=participant.study.title,
            heading="Thank you" if finished else "Thank you for your interest",
            text=text,
            code=ending.code,
            link=ending.link,
            link_text="Finish and return" if finished else "Return",
            withdraw=True,
            here=_place(store, participant),
        )

    # -- what a page fetches -------------------------------------------------------------------------------------

    async def live(self, request: Request) -> Response:
        """Send what changes on the page of a task, until no answer is being written: a JSON object a line."""
        try:
            store, participant = await run_in_threadpool(self._find, request)
            room = await run_in_threadpool(self._rooms.room, store, participant)
        except PersonalError as error:
            return self._problem(error)

        def draw() -> str:
            if participant.step.kind != "task":
                return json.dumps({"gone": True}) + "\n"
            shown = views.live(participant, room)
            html = fragment("live.html", **{**shown, "here": _place(store, participant)})
            return json.dumps({"html": html, "running": shown["running"]}) + "\n"

        async def lines() -> AsyncIterator[str]:
            before = ""
            while True:
                growing = room.growing
                line = await run_in_threadpool(draw)
                if line != before or growing is None:
                    yield line
                before = line
                if growing is None or await request.is_disconnected():
                    return
                await asyncio.sleep(LOOK_EVERY_S)

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)

    async def photo(self, request: Request) -> Response:
        """Send a photo that they may see, longest side `side` pixels."""

        def draw() -> bytes | None:
            store, participant = self._find(request)
            sha256, side = request.path_params["sha256"], request.query_params.get("side", "")
            if not side.isdecimal() or not 1 <= int(side) <= LARGEST:
                return None
            samples = read_samples()
            shipped = [*samples.photos, *(photo for one in samples.concepts for photo in one.photos)]
            found = next((one for one in shipped if one.sha256 == sha256), None)
            found = found or self._rooms.room(store, participant).photo(participant.step, sha256)
            return thumbnail(found, int(side)) if found else None

        try:
            jpeg = await run_in_threadpool(draw)
        except PersonalError:
            jpeg = None
        if jpeg is None:
            return PlainTextResponse("There is no such photo.", status_code=404)
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, no-store"})

    # -- leaving -------------------------------------------------------------------------------------------------

    async def leave(self, request: Request) -> Response:
        """Ask if all that is theirs is to be erased."""

        def ask(store: StudyStore, participant: Participant) -> Response:
            title, here = participant.study.title, _place(store, participant)
            return page("leave.html", space=self._space, title=title, here=here)

        return await run_in_threadpool(self._with, request, ask)

    async def withdraw(self, request: Request) -> Response:
        """Erase all that is theirs."""

        def erase(store: StudyStore, participant: Participant) -> Response:
            self._rooms.withdraw(store, participant)
            return RedirectResponse(f"/study/{store.id}/withdrawn", 303)

        return await run_in_threadpool(self._with, request, erase)

    async def withdrawn(self, request: Request) -> Response:
        """Say that all is erased."""
        return self._said("Your data was erased", "Nothing that you did here is kept. You can close this page.")

    # -- inside --------------------------------------------------------------------------------------------------

    def _find(self, request: Request) -> tuple[StudyStore, Participant]:
        store = self._rooms.studies.get(request.path_params["study"])
        preview = "/preview/" in request.url.path
        participant = store.participant(request.path_params["participant"], preview=preview)
        if participant is None or participant.status == "new":
            raise PersonalError(NOBODY)
        return store, participant

    def _with(self, request: Request, make: Callable[[StudyStore, Participant], Response]) -> Response:
        try:
            return make(*self._find(request))
        except PersonalError as error:
            return self._problem(error)

    async def _post(self, request: Request, act: Act, *, photos: bool = False) -> Response:
        """Do what a form asks for; then show the step they are at, or what is wrong where it is."""
        quiet = request.headers.get("x-study") == "1"
        try:
            if photos:
                await run_in_threadpool(self._find, request)
            form = await read_form(request, self._settings, photos=photos)
        except PersonalError as error:
            return self._problem(error)
        except Refused as refusal:
            return (
                PlainTextResponse(str(refusal), refusal.status)
                if quiet
                else self._said("This did not work", str(refusal), refusal.status)
            )

        def done(store: StudyStore, participant: Participant) -> Response:
            sent = Sent()
            try:
                act(self._rooms.room(store, participant), form)
            except ResponseError as error:
                sent = Sent(error.items, form.values)
            except PersonalError as error:
                sent = Sent({}, form.values, self._hide(str(error)))
            if quiet:
                words = " ".join(sent.errors.values()) or sent.notice
                return PlainTextResponse(words, 422 if words else 200)
            if sent.errors or sent.notice:
                return self._step(store, participant, sent)
            return RedirectResponse(_place(store, participant), 303)

        return await run_in_threadpool(self._with, request, done)

    def _hide(self, words: str) -> str:
        return str(hidden(self._settings)(words))

    def _problem(self, error: PersonalError) -> Response:
        if isinstance(error, NotReady):
            return self._said("Just a moment", str(error), 503, again=True)
        report(error)
        return self._said("This page cannot be shown", self._hide(str(error)), 404)

    def _said(self, heading: str, words: str, status: int = 200, *, again: bool = False) -> Response:
        values = {"title": "Study", "heading": heading, "text": Markup("<p>{}</p>").format(words), "again": again}
        return page("end.html", status=status, space=self._space, **values)


def _place(store: StudyStore, participant: Participant) -> str:
    """Return where a participant's pages are."""
    return f"/study/{store.id}/{'preview' if participant.preview else 'p'}/{participant.id}"


def _check_page(room: Room, form: Form) -> None:
    if form.text("step") != room.participant.step.id:
        raise PersonalError("You have gone on from this page already. Reload to go on where you were.")
