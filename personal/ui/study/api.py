"""A participant's steps as calls with JSON, for those who are scripted: they do what the pages' forms do.

Whoever calls names the participant as the link does, by its parameters. Every answer is the state they are in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from personal.errors import PersonalError
from personal.study.participant import Participant
from personal.study.plan import Step
from personal.study.responses import ResponseError
from personal.study.store import StudyStore
from personal.ui.doors import Refused
from personal.ui.study import views
from personal.ui.study.forms import Form, read_form
from personal.ui.study.room import Room
from personal.ui.study.rooms import NotReady, Rooms

LONGEST = 2**20
"""Bytes of a call's JSON at most."""
PATIENCE_S = 600.0
"""How long an answer is waited for, seconds."""

Given = Mapping[str, Any]


class Calls:
    """The routes of calls, ASGI endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._acts: dict[str, Callable[[Room, Given, Form], dict[str, Any] | None]] = {
            "submit": lambda room, given, form: room.participant.submit(_step(given), _responses(given)),
            "done": lambda room, given, form: room.participant.done(_step(given)),
            "vote": self._vote,
            "rate": lambda room, given, form: room.participant.rate(_step(given), _responses(given)),
            "event": self._event,
            "concept": self._concept,
            "ask": self._ask,
        }

    async def state(self, request: Request) -> Response:
        """Send where they are; the step counts as shown."""
        return await run_in_threadpool(self._answer, request, "", {}, Form())

    async def call(self, request: Request) -> Response:
        """Do what is asked for, and send where they are then."""
        name, given, form = request.path_params["name"], {}, Form()
        try:
            if request.headers.get("content-type", "").startswith("multipart/"):
                if not await run_in_threadpool(self._takes_part, request):
                    raise Refused(409, "Consent first.")
                form = await read_form(request, self._rooms.settings, photos=True)
                given = {key: sent[0] for key, sent in form.values.items()}
            else:
                given = await _read(request)
        except Refused as refusal:
            return _refused(str(refusal), refusal.status)
        return await run_in_threadpool(self._answer, request, name, given, form)

    def _takes_part(self, request: Request) -> bool:
        """Tell whether a call is of somebody who has consented: photos are taken of nobody else."""
        try:
            store = self._rooms.studies.get(request.path_params["study"])
            return store.arrive(dict(request.query_params)).status == "active"
        except PersonalError:
            return False

    def _answer(self, request: Request, name: str, given: Given, form: Form) -> Response:
        try:
            store = self._rooms.studies.get(request.path_params["study"])
            participant = store.arrive(dict(request.query_params))
            more: dict[str, Any] = {}
            if name == "consent":
                participant.consent(keep_photos=given.get("keep_photos") is True)
            elif name == "withdraw":
                self._rooms.withdraw(store, participant)
            elif name:
                if name not in self._acts:
                    return _refused("There is no such call.", 404)
                if participant.status == "new":
                    raise PersonalError("Consent first.")
                more = self._acts[name](self._rooms.room(store, participant), given, form) or {}
            return JSONResponse({**self._state(store, participant), **more}, headers={"cache-control": "no-store"})
        except ResponseError as error:
            return _refused(str(error), 422, error.items)
        except NotReady as error:
            return _refused(str(error), 503)
        except PersonalError as error:
            return _refused(str(error), 409)

    def _state(self, store: StudyStore, participant: Participant) -> dict[str, Any]:
        """Return where somebody is: nothing tells which condition answers."""
        state: dict[str, Any] = {"status": participant.status, "fraction": participant.fraction}
        if participant.status in ("finished", "screened_out"):
            state["ending"] = participant.ending.model_dump()
            if participant.status == "finished":
                self._rooms.finish(participant)
        if participant.status != "withdrawn":
            participant.enter(participant.step.id)
            state["step"] = self._shown(store, participant, participant.step)
        return state

    def _shown(self, store: StudyStore, participant: Participant, step: Step) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": step.id, "kind": step.kind, "title": step.task.title if step.task else None}
        items = views.questions(participant)["items"] if step.kind in ("eligibility", "questionnaire") else ()
        if step.task:
            items = step.task.items
            names = () if step.task.photos == "own" else step.task.photos
            shown |= {
                "instructions": step.task.instructions,
                "type": step.task.type,
                "photos": [self._rooms.photo(store, name).sha256 for name in names],
                "own_photos": step.task.photos == "own",
                "starters": step.task.starters,
                "question": step.task.question,
                "turns": len(participant.turns(step.id)),
            }
        shown["items"] = [one if isinstance(one, dict) else _item(one) for one in items]
        missing, left = participant.missing(step.id), participant.seconds_left(step.id)
        return {**shown, "sides": step.sides is not None, "missing": missing, "seconds_left": left}

    def _concept(self, room: Room, given: Given, form: Form) -> None:
        photos = form.photos("photos", self._rooms.settings)
        room.add_concept(form.text("step"), form.text("name"), photos, form.text("category"), form.text("info"))

    def _ask(self, room: Room, given: Given, form: Form) -> dict[str, Any]:
        """Ask, and wait for the answer, or for both; `photo` is a number of the task's photos, or a sha256."""
        step, photo = room.participant.step, given.get("photo", "")
        if _step(given) != step.id:
            raise PersonalError("You are not at this step.")
        for added in form.photos("photo", self._rooms.settings):
            room.add_photo(step, added)
            photo = added.sha256
        shots = [one.sha256 for one in room.task_photos(step)]
        about = shots[photo] if isinstance(photo, int) and 0 <= photo < len(shots) else str(photo)
        room.ask(step, str(given.get("question", "")), about).done.wait(PATIENCE_S)
        entries = {side: talk.entries[-1] for side, talk in room.talks(step).items()}
        answers = {side: entry.answer.text for side, entry in entries.items() if entry.answer}
        if len(answers) < len(entries):
            raise PersonalError(next(iter(entries.values())).error or "No answer came. Try again.")
        return {"turn": len(room.participant.turns(step.id)), "answers": answers}

    def _vote(self, room: Room, given: Given, form: Form) -> None:
        turn = given.get("turn")
        reason = str(given.get("reason") or "")
        room.participant.vote(_step(given), turn if isinstance(turn, int) else 0, str(given.get("choice")), reason)

    def _event(self, room: Room, given: Given, form: Form) -> None:
        """Record that somebody stopped, retried, edited or judged."""
        turn, event = given.get("turn"), str(given.get("event"))
        figures = {
            key: value for key, value in given.items() if isinstance(value, bool | int | float) and key != "turn"
        }
        name, text = str(given.get("name") or ""), str(given.get("text") or "")
        number = turn if isinstance(turn, int) else None
        try:
            room.participant.log(_step(given), event, turn=number, name=name, text=text, **figures)
        except ValueError as error:
            raise PersonalError("There is no such event.") from error


def _step(given: Given) -> str:
    return str(given.get("step", ""))


def _responses(given: Given) -> Mapping[str, Any]:
    responses = given.get("responses")
    return responses if isinstance(responses, dict) else {}


def _item(item: Any) -> dict[str, Any]:
    """Return a question as JSON; what an attention check expects is not told."""
    return {key: value for key, value in item.model_dump().items() if key != "expect"}


async def _read(request: Request) -> dict[str, Any]:
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LONGEST:
        raise Refused(413, f"This is too large to be sent: {LONGEST:,} bytes are the most.")
    try:
        given = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refused(400, "This is no JSON.") from error
    if not isinstance(given, dict):
        raise Refused(400, "This is no JSON object.")
    return given


def _refused(words: str, status: int, items: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": words, "items": dict(items or {})}, status)
