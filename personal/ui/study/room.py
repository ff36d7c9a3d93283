"""A participant at work: their concepts, the threads of their tasks, and the answers that are being written.

A thread is a conversation of theirs in the library, one for each side of a comparison; it is there after a restart, and
is erased with all that is theirs. An answer is written in a thread of its own: it outlives the request that asked.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from personal.assistant import Assistant
from personal.assistant.indexing import drain
from personal.concepts import Answer, Concept, Look, Match, Photo, TextDelta, Turn, Waiting
from personal.conversations import Conversation, Entry
from personal.errors import PersonalError
from personal.logs import report
from personal.remember.conversations import ConversationStore
from personal.study.answering import Answering, given_concepts, register_given
from personal.study.participant import Participant, condition_of
from personal.study.plan import Step
from personal.study.recording import Side
from personal.study.responses import ResponseError
from personal.study.store import StudyStore

QUESTION_MAX = 4000
"""Characters of a question."""
STILL_ANSWERING = "Still answering. Stop it or wait."
LEAVING_S = 20.0
"""How long an answer under way is waited for before all that is a participant's is erased, seconds."""

log = logging.getLogger(__name__)


@dataclass
class Growing:
    """An answer, or a pair of them, that is being written: what stands there so far, by side."""

    step_id: str
    texts: dict[Side, str] = field(default_factory=dict)
    status: str = "Looking …"
    stop: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Room:
    """What a participant works with while they are one `owner`. Hold `lock` while something of theirs is changed."""

    def __init__(
        self,
        store: StudyStore,
        participant: Participant,
        assistant: Assistant,
        answering: Answering,
        conversations: ConversationStore,
        study_photo: Callable[[str], Photo],
    ) -> None:
        self.store = store
        self.participant = participant
        self.owner = participant.owner
        self.lock = threading.RLock()
        self.growing: Growing | None = None
        self._assistant = assistant
        self._answering = answering
        self._conversations = conversations
        self._study_photo = study_photo
        self._talks: tuple[str, dict[Side, Conversation]] = ("", {})
        self._left = False
        self._prepared = False
        self._preparing = threading.Lock()
        self._earlier: dict[str, Photo] = {}

    # -- concepts ------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Register the concepts that participants are given, and index what is theirs, once for this process."""
        with self._preparing:
            if not self._prepared and not self._left:
                study = self.store.study
                drain(self._answering.load())
                drain(self._assistant.reindex(self.owner))
                photos = {name: self._study_photo(name) for one in given_concepts(study) for name in one.photos}
                register_given(self._assistant, self.owner, study, photos)
                self._prepared = True

    def prepare_ahead(self) -> None:
        """Prepare in the background, so that nobody waits for it later."""

        def work() -> None:
            try:
                self.prepare()
            except PersonalError as error:
                report(error)  # whoever asks first is told

        threading.Thread(target=work, name="preparing", daemon=True).start()

    def concepts(self) -> list[Concept]:
        """List the concepts that are theirs."""
        return self._assistant.concepts(self.owner)

    def add_concept(self, step_id: str, name: str, photos: Sequence[Photo], category: str, info: str) -> Concept:
        """Register a concept. Raises ResponseError by field."""
        self.prepare()
        with self.lock:
            self._check_here(step_id)
            wrong = {} if name else {"name": "Enter a name (up to 64 characters)."}
            if not photos:
                wrong = {"photos": "Add at least one photo.", **wrong}
            if any(concept.name.casefold() == name.casefold() for concept in self.concepts()):
                wrong["name"] = f"“{name}” already exists. Choose another name, or remove it first."
            if wrong:
                raise ResponseError(wrong)
            try:
                concept = self._assistant.remember(self.owner, name, photos, category, info)
            except PersonalError as error:
                raise ResponseError({"name": str(error)}) from error
            self.participant.log(step_id, "concept", name=concept.name, views=len(concept.views))
            for photo in photos:
                self.store.keep(self.participant, photo)
            return concept

    def remove_concept(self, step_id: str, concept_id: str) -> None:
        """Forget a concept; one that is not there is no error."""
        with self.lock:
            self._check_here(step_id)
            concept = next((one for one in self.concepts() if one.id == concept_id), None)
            if concept:
                self._assistant.forget(self.owner, concept.id)
                self.participant.log(step_id, "concept_removed", name=concept.name)

    # -- threads -------------------------------------------------------------------------------------------------

    def talks(self, step: Step) -> Mapping[Side, Conversation]:
        """Return the threads of a task by side."""
        with self.lock:
            if self._talks[0] != step.id:
                sides: tuple[Side, ...] = ("left", "right") if step.sides else ("",)
                found = {side: self._open(f"{step.id}/{side}") for side in sides}
                whole = min(len(talk.entries) for talk in found.values())
                for talk in found.values():  # the app may have been ended between writing the one and the other
                    del talk.entries[whole:]
                self._talks = (step.id, found)
                self._record_answers(step)
            return self._talks[1]

    def _open(self, name: str) -> Conversation:
        talk_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        known = {concept.id: concept for concept in self.concepts()}
        return self._conversations.load(talk_id, known) or Conversation(id=talk_id)

    def photo(self, step: Step, sha256: str) -> Photo | None:
        """Return a photo that they may see in a step: of the task, of their own, or of a concept of theirs."""
        if step.task:
            shown = [*self.task_photos(step), *self.own_photos(step)]
            if found := next((one for one in shown if one.sha256 == sha256), None):
                return found
        for concept in self.concepts():
            if any(view.sha256 == sha256 for view in concept.views):
                return self._assistant.library.photo(self.owner, concept.id, sha256)
        return None

    def task_photos(self, step: Step) -> list[Photo]:
        """List the photos that a task is about; none where they are the participant's own."""
        if step.task is None or step.task.photos == "own":
            return []
        return [self._study_photo(name) for name in step.task.photos]

    def own_photos(self, step: Step) -> list[Photo]:
        """List the photos of their own that a task can be about: of this one and those before, the latest last."""
        if step.task is None or step.task.photos != "own":
            return []
        here = list(next(iter(self.talks(step).values())).photos)
        with self.lock:
            for kept in self._conversations.all():
                for view in kept.photos:
                    if view.sha256 not in self._earlier:
                        self._earlier[view.sha256] = self._conversations.photo(kept.id, view)
        return list({**self._earlier, **{photo.sha256: photo for photo in here}}.values())

    # -- asking --------------------------------------------------------------------------------------------------

    def add_photo(self, step: Step, photo: Photo) -> None:
        """Put a photo of their own beside the next question."""
        with self.lock:
            self._check_here(step.id)
            for talk in self.talks(step).values():
                if talk.photo(photo.sha256) is None:
                    talk.draft.append(photo)
                talk.active = photo.sha256
                self._conversations.save(talk)
            self.store.keep(self.participant, photo)

    def ask(self, step: Step, question: str, about: str = "", *, edited: bool = False) -> Growing:
        """Ask about a photo by its sha256, or the one asked about last. Raises ResponseError by field.

        `edited`: the question takes the place of the last one.
        """
        with self.lock:
            self._check_free(step.id)
            task = step.task
            question = (task.question or "") if task and task.type == "rate" else question.strip()
            if not question:
                raise ResponseError({"question": "Type a question first."})
            if len(question) > QUESTION_MAX:
                raise ResponseError(
                    {"question": f"That is {len(question):,} characters; {QUESTION_MAX:,} are the most."}
                )
            talks = self.talks(step)
            photo = self._about(step, next(iter(talks.values())), about)
            kept = _answered(talks.values())[: -1 if edited else None]
            for talk in talks.values():
                talk.entries = [talk.entries[place] for place in kept]
                shown = [one for entry in talk.entries for one in entry.turn.photos][-1:]
                turn = Turn(question, () if shown == [photo] else (photo,))
                talk.entries.append(Entry(turn, remark=self._asked_after(step)))
                talk.draft, talk.active = [one for one in talk.draft if one != photo], photo.sha256
                self._conversations.save(talk)
            if edited:
                self.participant.log(step.id, "edit", text=question)
            return self._write(step)

    def _about(self, step: Step, talk: Conversation, sha256: str) -> Photo:
        own = step.task is not None and step.task.photos == "own"
        photos = self.own_photos(step)[::-1] if own else self.task_photos(step)
        if not photos:
            raise ResponseError({"photo": "Add a photo first."})
        return next((one for one in photos if one.sha256 == (sha256 or talk.active)), photos[0])

    def _asked_after(self, step: Step) -> str:
        """Return what stands in a question's remark until it is recorded: how many were before it, as -n."""
        return str(-len(self.participant.turns(step.id)))

    def retry(self, step: Step) -> Growing:
        """Answer the last question again."""
        with self.lock:
            self._check_free(step.id)
            entries = [talk.entries[-1] for talk in self.talks(step).values() if talk.entries]
            if not entries:
                raise PersonalError("Ask a question first.")
            if _number(entries[0]) and step.task and step.task.type != "chat":
                raise PersonalError("This answer stands.")
            self.participant.log(step.id, "retry", turn=_number(entries[0]) or None)
            for entry in entries:
                entry.answer, entry.error, entry.remark = None, "", self._asked_after(step)
            return self._write(step)

    def stop(self, step: Step) -> None:
        """End the answer that is being written at its next token."""
        growing = self.growing
        if growing and growing.step_id == step.id:
            self.participant.log(step.id, "stop")
            growing.stop.set()

    def judge(self, step: Step, turn: int, concept_id: str, *, right: bool) -> None:
        """Say that a concept is in the photo of a question, or that it is not: the next answers go by it."""
        with self.lock:
            self._check_here(step.id)
            for talk in self.talks(step).values():
                for entry in talk.entries:
                    match = next((one for one in _seen(entry) if one.concept.id == concept_id), None)
                    photos = talk.about(entry)
                    if _number(entry) != turn or match is None or not photos:
                        continue
                    self.participant.log(step.id, "feedback", turn=turn, name=match.concept.name, right=right)
                    talk.confirmed.discard((photos[0].sha256, concept_id))
                    if right:
                        talk.confirmed.add((photos[0].sha256, concept_id))
                        talk.accept(photos[0], concept_id)
                    else:
                        talk.reject(photos[0], concept_id)
                    self._conversations.save(talk)

    # -- answering -----------------------------------------------------------------------------------------------

    def _write(self, step: Step) -> Growing:
        growing = self.growing = Growing(step.id)
        threading.Thread(target=self._answer, args=(step, growing), name="answering", daemon=True).start()
        return growing

    def _answer(self, step: Step, growing: Growing) -> None:
        talks = self.talks(step)
        try:
            self.prepare()
            for side, talk in talks.items():
                talk.entries[-1].answer = self._answered(step, side, talk, growing)
            if self._left:
                return
            for talk in talks.values():
                self._conversations.save(talk)
            self._record_answers(step)
        except PersonalError as error:
            report(error)
            for talk in talks.values():
                talk.entries[-1].answer, talk.entries[-1].error = None, str(error)
            with suppress(PersonalError):
                self.participant.log(step.id, "error")
        finally:
            self.growing = None
            growing.done.set()

    def _answered(self, step: Step, side: Side, talk: Conversation, growing: Growing) -> Answer:
        """Let one condition answer the last question of a thread; what is known stands before the model's words."""
        entry = talk.entries[-1]
        turns = [one.turn for one in talk.entries]
        known, made = "", None
        for event in self._answering.answer(
            self.owner, condition_of(step, side), turns, stop=growing.stop, findings=dict(talk.findings)
        ):
            if isinstance(event, Look):
                known = f"{event.statement.text}\n\n" if event.statement else ""
                growing.status = "Thinking …"
                for found in event.photos:
                    talk.found(found)
            elif isinstance(event, Waiting):
                growing.status = "Waiting for others …" if event.place > 1 else "Thinking …"
            elif isinstance(event, TextDelta):
                before = "" if event.retracts else growing.texts.get(side, known)
                growing.texts[side] = (before or known) + event.text
            else:
                made = event
        if made is None:
            raise PersonalError("No answer came. Try again.")
        entry.turn = replace(entry.turn, answer=made.text)
        if made.tokens and known.strip() and known.strip() != made.text.strip():
            made = replace(made, text=known + made.text)
        return made

    def _record_answers(self, step: Step) -> None:
        """Record the answers that are not yet: just now, or before the app was ended in between."""
        talks = self._talks[1]
        first = next(iter(talks.values()))
        for place in _answered(talks.values()):
            entry = first.entries[place]
            if _number(entry) or step.id != self.participant.step.id:
                continue
            number = len(self.participant.turns(step.id))
            if number <= -int(entry.remark or 0):
                answers = {side: talk.entries[place].answer for side, talk in talks.items()}
                whole = {side: answer for side, answer in answers.items() if answer}
                number = self.participant.turn(step.id, entry.turn.question, first.about(entry), whole)
            for talk in talks.values():
                talk.entries[place].remark = str(number)
                self._conversations.save(talk)

    # -- leaving -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Stop all that goes on for them, before what is theirs is erased."""
        self._left = True
        growing = self.growing
        if growing:
            growing.stop.set()
            growing.done.wait(LEAVING_S)
        with self.lock:
            for talk in self._talks[1].values():
                talk.deleted = True
            self._conversations.close()

    def _check_here(self, step_id: str) -> None:
        if self._left:
            raise PersonalError("You have left this study.")
        if step_id != self.participant.step.id:
            raise PersonalError("You have gone on from this page already.")

    def _check_free(self, step_id: str) -> None:
        self._check_here(step_id)
        if self.growing is not None:
            raise PersonalError(STILL_ANSWERING)


def _number(entry: Entry) -> int:
    """Return by which number a question is recorded, which its remark holds; 0 for one that is not yet."""
    return max(0, int(entry.remark or 0))


def _answered(talks: Iterable[Conversation]) -> list[int]:
    """List the places of the questions that every side has answered."""
    sides = [talk.entries for talk in talks]
    return [place for place, entries in enumerate(zip(*sides, strict=True)) if all(one.answer for one in entries)]


def _seen(entry: Entry) -> tuple[Match, ...]:
    """Return what was recognised for an answer, by name."""
    return tuple(match for match in entry.answer.matches if match.reason == "seen") if entry.answer else ()
