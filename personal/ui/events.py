"""What the pages' events wait for: slots are shared among visitors, whatever one of them sends.

Gradio's own queue is first come, first served for each handler, so that a visitor who sends much keeps all others
waiting. Here the next event is of the visitor with the fewest under way. Events that wait for the language model hold
a slot each; their order is `personal.generate.fair_queue`'s.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gradio import queueing

from personal.generate.fair_queue import PENDING_MAX, QUEUE_MAX
from personal.ui.sessions import COOKIE

SLOTS = QUEUE_MAX + 60
"""Events under way at once, each in a thread that mostly waits: those that wait for the model, and others."""
UNDER_WAY_MAX = PENDING_MAX + 4
"""Events of one visitor that are under way at once."""
SENT_MAX = 64
"""Events of one visitor that are under way or wait for a slot; more are refused."""
IDLE_S = 0.005
"""How long the queue sleeps where it finds nothing to do."""


NONSENSE = "This request makes no sense to the app. Nothing was changed. Reload the page and try again."


class FairEvents(queueing.Queue):
    """Gradio's queue of events with the visitors in turn, and without its statistics of who did what."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sleep_when_free = IDLE_S
        self.ANALYTICS_MAX_EVENTS = 1

    async def push(self, body: Any, request: Any, username: str | None) -> tuple[bool, Any, Any]:
        """Queue an event, unless it is none of this page's, or its visitor has sent too many."""
        function = self.blocks.fns.get(body.fn_index)
        if function is None or function.fn is None or len(body.data) < len(function.inputs):
            return False, NONSENSE, "error"
        if not isinstance(body.event_data, dict):
            body.event_data = {}
        sender = request.cookies.get(COOKIE) or body.session_hash
        if sum(_visitor(event) == sender for event in list(self.event_ids_to_events.values())) >= SENT_MAX:
            return False, "That is too much at once. Wait a moment, then try again.", "error"
        return await super().push(body, request, username)

    def get_events(self) -> tuple[list[queueing.Event], bool, str] | None:
        """Take the event that waited longest among those of the visitors with the fewest events under way."""
        under_way = Counter(_visitor(event) for job in self.active_jobs if job for event in job)
        free = [
            (under_way[_visitor(event)], event.enqueue_time, queue, event)
            for queue in self.event_queue_per_concurrency_id.values()
            if queue.concurrency_limit is None or queue.current_concurrency < queue.concurrency_limit
            for event in queue.queue
            if under_way[_visitor(event)] < UNDER_WAY_MAX
        ]
        if not free:
            return None
        *_, queue, event = min(free, key=lambda one: one[:2])
        queue.queue.remove(event)
        return [event], False, queue.concurrency_id

    def broadcast_estimations(self, concurrency_id: str, after: int | None = None) -> None:
        """Nothing: places in the queue that matters are told by the handlers themselves."""

    def compute_analytics_summary(self, records: Any) -> dict[str, Any]:
        """Nothing: Gradio would sum up thousands of events after every one."""
        return {}


def _visitor(event: queueing.Event) -> str:
    return event.request.cookies.get(COOKIE) or event.session_hash
