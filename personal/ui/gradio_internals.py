"""Everything that relies on what Gradio keeps to itself. Written for Gradio 6.31.0; a test names the version.

Gradio's own queue is first come, first served for each handler; it draws events that overlap side by side; and it
holds what visitors did long after their pages are gone. Here the next event is of the visitor with the fewest under
way (`FairEvents`), updates reach a page in the order in which they were made and each once (`PageBlocks`), and what
Gradio keeps of a page can be cleared. The parser of uploads is Gradio's (`personal.ui.uploads`).
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from gradio import queueing
from gradio.components.base import _Keywords
from gradio.processing_utils import async_move_files_to_cache
from gradio.route_utils import FnIndexInferError, GradioMultiPartParser, GradioUploadFile
from gradio.routes import file_upload_statuses
from gradio.state_holder import SessionState

from personal.generate.fair_queue import PENDING_MAX, QUEUE_MAX
from personal.ui.sessions import COOKIE

__all__ = [
    "NONSENSE",
    "SLOTS",
    "FairEvents",
    "FnIndexInferError",
    "GradioMultiPartParser",
    "GradioUploadFile",
    "PageBlocks",
    "file_upload_statuses",
    "has_events",
]

VERSION = "6.31.0"
"""The version of Gradio whose code was read for this module."""

SLOTS = QUEUE_MAX + 60
"""Events under way at once, each in a thread that mostly waits: those that wait for the model, and others."""
UNDER_WAY_MAX = PENDING_MAX + 4
"""Events of one visitor that are under way at once."""
SENT_MAX = 64
"""Events of one visitor that are under way or wait for a slot; more are refused."""
IDLE_S = 0.005
"""How long the queue sleeps where it finds nothing to do, seconds."""

NONSENSE = "This request makes no sense to the app. Nothing was changed. Reload the page and try again."


class PageBlocks(gr.Blocks):
    """`gr.Blocks` that sends each page its updates in the order of the handlers' ends, and only what changed.

    Gradio may deliver an older update after a newer one (a form that was just opened closes), and sends a generator's
    last one a second time when it ends (a name that was typed meanwhile is gone). Handlers here return what the tab
    shows *now*, so an older update is never wanted.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hide: Callable[[Any], Any] = lambda value: value
        """Replaces in a value what must not leave."""
        self._turns: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
        self._drawn: dict[tuple[str, str], list[str | None]] = {}

    def queue(self, *args: Any, **kwargs: Any) -> PageBlocks:
        """Queue events fairly among visitors; handlers that set no limit of their own have none."""
        super().queue(*args, **kwargs)
        self._queue = FairEvents(
            live_updates=False,
            concurrency_count=self.max_threads,
            update_intervals=1,
            max_size=None,
            blocks=self,
            default_concurrency_limit=None,
        )
        return self

    def get_config_file(self) -> Any:
        """Return what a page is told of the app: also that it opens Gradio's heartbeat, by which visitors stay.

        Gradio itself opens one only if the app has a State, an unload listener or a streaming input.
        """
        return {**super().get_config_file(), "connect_heartbeat": True}

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False) -> Any:
        """Prepare what a page sent for a handler; what no page of ours sends is refused in words."""
        try:
            given = await super().preprocess_data(block_fn, inputs, _Forgetful(self), explicit_call)
        except (gr.Error, ValueError, TypeError, KeyError, IndexError, AttributeError, OSError) as error:
            raise gr.Error(NONSENSE, print_exception=False) from error
        return [_typed(block, value) for block, value in zip(block_fn.inputs, given, strict=True)]

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> Any:
        """Prepare a handler's updates, a page's one after the other (an asyncio.Lock is first come, first served).

        Gradio's own way makes every component anew, those that stay as they are too, and keeps each page's values: most
        of the app's time, and memory that grows. Here a value is prepared and sent.
        """
        if state is None:
            return self.hide(await self._sent(block_fn, predictions))
        async with self._turns.setdefault(state, asyncio.Lock()):
            return self.hide(await self._sent(block_fn, predictions))

    async def _sent(self, block_fn: Any, predictions: Any) -> list[Any]:
        """Return what a page is sent for each output of a handler."""
        outputs = list(block_fn.outputs)
        if not block_fn.postprocess:  # an endpoint for programs: what it returns is sent
            return [predictions] if len(outputs) == 1 else list(predictions)
        if isinstance(predictions, dict) and predictions != gr.skip():
            drawn = {block._id: value for block, value in predictions.items()}
            values = [drawn.pop(block._id, gr.skip()) for block in outputs]
            if drawn:
                raise ValueError(f"{block_fn.name} drew components that it did not name as outputs: {sorted(drawn)}")
        elif len(outputs) == 1:
            values = [predictions]
        else:
            values = list(predictions or [gr.skip()] * len(outputs))
        return [await _prepared(block, value) for block, value in zip(outputs, values, strict=True)]

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """Send of a generator's updates only the HTML that changed, and nothing when it ends: it is there already."""
        if session_hash and run:
            if final:
                self._drawn.pop((session_hash, run), None)
            else:
                data = self._changed(data, self._drawn.setdefault((session_hash, run), [None] * len(data)))
        data = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        return [gr.skip() for _ in data] if final else data

    def _changed(self, data: list[Any], drawn: list[str | None]) -> list[Any]:
        """Skip the texts that are as this run of the generator sent them last."""
        changed = []
        for number, value in enumerate(data):
            changed.append(gr.skip() if isinstance(value, str) and value == drawn[number] else value)
            drawn[number] = value if isinstance(value, str) else drawn[number]
        return changed

    def clear_events(self, page: str) -> None:
        """Drop the events of a page that is gone, and what they would still send it."""
        queue: Any = self._queue
        waiting = [
            event for of_kind in list(queue.event_queue_per_concurrency_id.values()) for event in list(of_kind.queue)
        ]
        for event in [*waiting, *(event for job in list(queue.active_jobs) for event in job or ())]:
            if event.session_hash == page:
                event.alive = False  # none of its further updates are kept
        for table in (queue.pending_messages_per_session, queue.pending_event_ids_session):
            table.pop(page, None)
        for streams in (self.pending_diff_streams, self.pending_streams):
            streams.pop(page, None)
        self._drawn = {run: drawn for run, drawn in self._drawn.items() if run[0] != page}

    def clear_values(self, page: str) -> None:
        """Drop the last values of a page's components; a page that goes on begins with those it was made with."""
        holder = self.state_holder
        with holder.lock:
            holder.session_data.pop(page, None)
            holder.time_last_used.pop(page, None)

    def clear_uploads(self, uploads: Path, folder: str) -> None:
        """Delete the uploads whose folders' names begin with `folder`, and forget what they were called."""
        for path in uploads.glob(f"{folder}-*"):
            shutil.rmtree(path, ignore_errors=True)
        for names in self.temp_file_sets:
            for name in names.copy():
                if f"{folder}-" in name:
                    names.discard(name)


def has_events(blocks: Any, page: str) -> bool:
    """Tell if anything is on its way to a page: Gradio breaks off the stream of one that waits for nothing."""
    return page in blocks._queue.pending_messages_per_session


class _Forgetful(SessionState):
    """What Gradio knows of a page's components: how they were made, and none of their values."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks_config = blocks.default_config

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep nothing."""


async def _prepared(block: Any, value: Any) -> Any:
    """Return a component's new value, or the properties that change, as its page takes them."""
    if value is _Keywords.FINISHED_ITERATING:  # of a generator, also of one that yielded nothing
        return gr.skip()
    if isinstance(value, gr.blocks.Block):
        value = {**value.constructor_args, "__type__": "update"}
    if not (isinstance(value, dict) and value.get("__type__") == "update"):
        return await async_move_files_to_cache(block.postprocess(value), block, postprocess=True)
    if "value" in value and "choices" not in value:  # a Dropdown complains of values that its first choices lack
        kept = await async_move_files_to_cache(block.postprocess(value["value"]), block, postprocess=True)
        return {**value, "value": kept}
    return value


def _typed(block: Any, value: Any) -> Any:
    """Return what a field of text gives, as a handler expects it: text, or from a list of choices perhaps nothing."""
    if isinstance(block, gr.Textbox):
        return value or ""
    if isinstance(block, gr.Dropdown) and not isinstance(value, str | None):
        raise gr.Error(NONSENSE, print_exception=False)
    return value


class FairEvents(queueing.Queue):
    """Gradio's queue of events with the visitors in turn, and without its statistics of who did what.

    Events that wait for the language model hold a slot each; their order is `personal.generate.fair_queue`'s.
    """

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
        """Do nothing: places in the queue that matter are told by the handlers themselves."""

    def compute_analytics_summary(self, records: Any) -> dict[str, Any]:
        """Return nothing: Gradio would sum up thousands of events after every one."""
        return {}


def _visitor(event: queueing.Event) -> str:
    return event.request.cookies.get(COOKIE) or event.session_hash
