"""Where a participant of a study stands: all of it is told by their records. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from personal.errors import PersonalError
from personal.study.log import Record
from personal.study.plan import Step, steps
from personal.study.recording import Recorder
from personal.study.schema import Ending, Study

Status = Literal["new", "active", "screened_out", "finished", "withdrawn"]


class Standing:
    """Where the participant `participant_id` stands after `records`, the oldest first; there are none before consent.

    `id` is a keyed hash of the link's identifier: the same link is the same participant, on any browser.
    """

    def __init__(
        self,
        study: Study,
        participant_id: str,
        owner: str,
        recorder: Recorder,
        records: list[Record],
        clock: Callable[[], datetime],
    ) -> None:
        self.study = study
        self.id = participant_id
        self.recorder = recorder
        self.withdrawn = False
        self._owner = owner
        self._records = records
        self._clock = clock
        self._set_steps()

    @property
    def owner(self) -> str:
        """Whose concepts they work on now: one owner, or one for each part where concepts are registered anew."""
        if self.study.concepts.when == "once":
            return self._owner
        so_far = self.steps[: self._place(self.step.id) + 1]
        return f"{self._owner}-{max(1, *(step.part for step in so_far))}"

    @property
    def owners(self) -> list[str]:
        """All owners that they have worked as, or will."""
        if self.study.concepts.when == "once":
            return [self._owner]
        return [f"{self._owner}-{part}" for part in range(1, len(self.study.conditions) + 1)]

    @property
    def records(self) -> list[Record]:
        """All that is recorded of them, oldest first."""
        return list(self._records)

    @property
    def status(self) -> Status:
        """How far they are: `finished` from the debrief on."""
        if self.withdrawn:
            return "withdrawn"
        if not self._records:
            return "new"
        if self._of("screened_out"):
            return "screened_out"
        return "finished" if self.step.kind == "debrief" else "active"

    @property
    def order(self) -> tuple[str, ...]:
        """The conditions in their order; empty before consent."""
        return tuple(self._records[0]["order"]) if self._records else ()

    @property
    def row(self) -> int | None:
        """The row of the balanced square that they were given, if one was."""
        return self._records[0].get("row") if self._records else None

    @property
    def keeps_photos(self) -> bool:
        """Whether their photos may be kept: the study wants that, and they agreed."""
        return bool(self._records) and bool(self._records[0].get("keep_photos"))

    @property
    def step(self) -> Step:
        """The step that they are at: the first that is not done."""
        done = {record["step"] for record in self._of("done")}
        return next((step for step in self.steps if step.id not in done), self.steps[-1])

    @property
    def fraction(self) -> float:
        """How much of the way is done, 0..1, for a progress bar."""
        return self._place(self.step.id) / (len(self.steps) - 1)

    @property
    def ending(self) -> Ending:
        """What the last page says: the completion code is their own where the study has none. Raises PersonalError."""
        if self.status not in ("finished", "screened_out"):
            raise PersonalError("This is not over yet.")
        ending = self.study.completion if self.status == "finished" else self.study.screened_out
        code = ending.code or (self.recorder.hashed(f"code/{self.id}").upper() if self.status == "finished" else None)
        link = ending.link.replace("{code}", code or "") if ending.link else None
        return ending.model_copy(update={"code": code, "link": link})

    def turns(self, step_id: str) -> list[Record]:
        """Return the questions that were asked in a step, with their answers as far as these are kept."""
        return [record for record in self._of("turn") if record["step"] == step_id]

    def votes(self, step_id: str) -> dict[int, Record]:
        """Return the votes of a blind comparison by the number of the question, from 1."""
        return {record["turn"]: record for record in self._of("vote") if record["step"] == step_id}

    def missing(self, step_id: str) -> str:
        """Return in words what is still to do before a task can be left; "" where nothing is."""
        step = self._step(step_id)
        if step.kind == "concepts":
            needed = self.study.concepts.minimum - self._concepts(step_id)
            return f"Please add {needed} more." if needed > 0 else ""
        if step.task is None:
            return ""
        turns, votes = self.turns(step_id), self.votes(step_id)
        if (needed := step.task.minimum_turns - len(turns)) > 0:
            return f"Please ask {needed} more question{'s' if needed > 1 else ''}."
        if step.sides and any(turn["turn"] not in votes for turn in turns):
            return "Please say which answer is better."
        if step.task.type == "rate" and not any(r["step"] == step_id for r in self._of("rating")):
            return "Please rate the answer."
        if (wait := self.seconds_left(step_id)) > 0:
            return f"Please go on for {wait} more seconds."
        return ""

    def seconds_left(self, step_id: str) -> int:
        """Return how long a task must still last, in seconds since it was first shown."""
        step = self._step(step_id)
        shown = next((record["at"] for record in self._of("entered") if record["step"] == step_id), None)
        wanted = step.task.minimum_seconds if step.task else 0
        if not wanted or shown is None:
            return wanted
        return max(0, round(wanted - (self._clock() - datetime.fromisoformat(shown)).total_seconds()))

    # -- inside --------------------------------------------------------------------------------------------------

    def _set_steps(self) -> None:
        self.steps = steps(self.study, self.order or [one.id for one in self.study.conditions], self.id)

    def _of(self, event: str) -> list[Record]:
        return [record for record in self._records if record["event"] == event]

    def _has(self, event: str, step_id: str) -> bool:
        return any(record["step"] == step_id for record in self._of(event))

    def _concepts(self, step_id: str) -> int:
        count = {"concept": 1, "concept_removed": -1}
        return sum(count.get(one["event"], 0) for one in self._records if one.get("step") == step_id)

    def _place(self, step_id: str) -> int:
        return next((n for n, step in enumerate(self.steps) if step.id == step_id), -1)

    def _step(self, step_id: str) -> Step:
        if (place := self._place(step_id)) < 0:
            raise PersonalError("This study has no such page. Reload to go on where you were.")
        return self.steps[place]
