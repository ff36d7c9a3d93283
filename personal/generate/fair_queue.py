"""Share the turns at a model among its visitors: each owner's questions in their order, the owners in rotation.

Start-time fair queueing with equal costs (Goyal, Vin and Cheng, 1996): an owner's next question belongs to the round
after that of their last turn, and rounds are served one after the other. Whoever asks much waits behind their own
questions, and keeps nobody else waiting. Who comes new joins the round under way as long as its first turn lasts, and
the next one after that, so that newcomers without end keep nobody waiting either. Knows nothing of models or questions.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from personal.concepts import Waiting
from personal.errors import ModelError

PENDING_MAX = 8
"""Questions that an owner may have in the queue."""
QUEUE_MAX = 100
"""Questions that may be in the queue altogether: each keeps a thread."""
POLL_S = 0.1
"""How long a waiting question may take to notice that it was stopped."""
TELL_EVERY_S = 2.0
"""How often a place is told that has not changed; between two of these a page that left is noticed."""
HOUR_S = 3600.0
RECENT = 0.2
"""Weight of the last turn in the mean duration of turns."""


@dataclass(eq=False)
class Ticket:
    """A place in the queue. `alone` needs the whole model; `started_at` is when its turn began, else None."""

    owner: str
    number: int
    alone: bool = False
    started_at: float | None = None


class FairQueue:
    """A queue for a model that gives `places` answers at once, and `per_hour` to an owner within an hour (0: any)."""

    def __init__(self, places: int = 1, *, per_hour: int = 0) -> None:
        self.places = places
        self.per_hour = per_hour
        self._asked: dict[str, deque[float]] = {}
        self._tickets: list[Ticket] = []
        self._numbers = count()
        self._round = self._turns = 0
        self.last_round: dict[str, int] = {}
        """Owner → the round of their last turn, or that before their first."""
        self._mean_s: float | None = None
        self._moved = threading.Condition()

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def running(self) -> int:
        """How many turns are under way."""
        return len(self._running())

    def asked(self, owner: str) -> int:
        """Return how many questions of an owner count against `per_hour`."""
        with self._moved:
            return len(self._lately(owner))

    def join(self, owner: str = "", *, alone: bool = False) -> Ticket:
        """Queue a question of an owner; give the ticket back with `leave`.

        `alone` is for work during which nothing else may run. Raises ModelError where too many are queued.
        """
        with self._moved:
            if sum(ticket.owner == owner for ticket in self._tickets) >= PENDING_MAX:
                raise ModelError(f"You have {PENDING_MAX} questions waiting. Wait for an answer, or stop one.")
            if len(self._tickets) >= QUEUE_MAX:
                raise ModelError(f"{QUEUE_MAX} questions are waiting. Try again in a few minutes.")
            if self.per_hour and owner and not alone:
                self._count(owner)
            if all(waiting.owner != owner for _, waiting in self._order()):
                before = self._round if self._turns > 1 else self._round - 1
                self.last_round[owner] = max(before, self.last_round.get(owner, before))
            ticket = Ticket(owner, next(self._numbers), alone)
            self._tickets.append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up a place or end a turn: the next one moves up."""
        with self._moved:
            self._tickets.remove(ticket)
            if ticket.started_at is not None and not ticket.alone:
                took_s = time.monotonic() - ticket.started_at
                self._mean_s = took_s if self._mean_s is None else self._mean_s + RECENT * (took_s - self._mean_s)
            if not self._tickets:
                self._round = self._turns = 0
                self.last_round.clear()
            self._moved.notify_all()

    def wait(self, ticket: Ticket, stop: threading.Event) -> Iterator[Waiting]:
        """Yield the ticket's place until its turn begins or `stop` is set.

        A place is told when it changes, and again every TELL_EVERY_S, since the expected wait becomes shorter.
        """
        told, told_at = 0, 0.0
        while not stop.is_set():
            with self._moved:
                if self._start(ticket):
                    return
                place = self._place(ticket)
                if place == told and time.monotonic() < told_at + TELL_EVERY_S:
                    self._moved.wait(POLL_S)
                    continue
                waiting = Waiting(place, self._expected_s(place))
            told, told_at = place, time.monotonic()
            yield waiting

    def _lately(self, owner: str) -> deque[float]:
        """Return when an owner asked within the last hour, and forget what is longer ago, also of others."""
        since = time.monotonic() - HOUR_S
        self._asked = {one: times for one, times in self._asked.items() if times and times[-1] > since}
        times = self._asked.get(owner, deque[float]())
        while times and times[0] <= since:
            times.popleft()
        return times

    def _count(self, owner: str) -> None:
        """Count a question of an owner. Raises ModelError where there were too many, with the time that must pass."""
        times = self._lately(owner)
        if len(times) >= self.per_hour:
            minutes = math.ceil((times[0] + HOUR_S - time.monotonic()) / 60)
            raise ModelError(
                f"You have asked {len(times)} questions within an hour, the most here. Ask again in "
                f"{minutes} minute{'s' if minutes > 1 else ''}."
            )
        times.append(time.monotonic())
        self._asked[owner] = times

    def _start(self, ticket: Ticket) -> bool:
        """Begin the ticket's turn if it is the next one and there is room."""
        running = self._running()
        room = not running if ticket.alone else len(running) < self.places and not any(one.alone for one in running)
        order = self._order()
        if not room or order[0][1] is not ticket:
            return False
        self._turns = 1 if order[0][0] > self._round else self._turns + 1
        self._round = self.last_round[ticket.owner] = order[0][0]
        waiting = {one.owner for _, one in order}
        self.last_round = {o: last for o, last in self.last_round.items() if last >= self._round or o in waiting}
        ticket.started_at = time.monotonic()
        self._moved.notify_all()
        return True

    def _running(self) -> list[Ticket]:
        return [ticket for ticket in self._tickets if ticket.started_at is not None]

    def _order(self) -> list[tuple[int, Ticket]]:
        """List the waiting tickets with their rounds, the next one first."""
        following: dict[str, int] = {}
        rounds = []
        for ticket in self._tickets:
            if ticket.started_at is None:
                rounds.append((following.setdefault(ticket.owner, self.last_round[ticket.owner] + 1), ticket))
                following[ticket.owner] += 1
        return sorted(rounds, key=lambda one: (one[0], one[1].number))

    def _place(self, ticket: Ticket) -> int:
        """Return the ticket's place, 1 for the next one."""
        return 1 + [waiting for _, waiting in self._order()].index(ticket)

    def _expected_s(self, place: int) -> float | None:
        """Return the seconds until a place's turn, from the mean duration of turns; None before the first has ended."""
        if self._mean_s is None:
            return None
        now = time.monotonic()
        left = [max(0.0, self._mean_s - (now - (one.started_at or now))) for one in self._running()]
        left = sorted(left + [0.0] * (self.places - len(left)))
        for _ in range(place - 1):
            left = sorted([*left[1:], left[0] + self._mean_s])
        return left[0]
