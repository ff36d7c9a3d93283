"""Gradio's Blocks as this page needs them: screens arrive in the order in which they were drawn, and each once.

Its events are queued by `personal.ui.events`.

Gradio draws events that overlap side by side, so that an older screen may arrive after a newer one (a form that was
just opened closes), and sends a generator's last screen a second time when it ends (a name that was typed meanwhile is
gone). Handlers here return what the tab shows *now*, so an older screen is never wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.components.base import _Keywords
from gradio.processing_utils import async_move_files_to_cache
from gradio.state_holder import SessionState

from personal.ui.events import NONSENSE, FairEvents


class OrderedBlocks(gr.Blocks):
    """`gr.Blocks` that sends each page its screens in the order of the handlers' ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hide: Callable[[Any], Any] = lambda value: value
        """What a value becomes before it leaves."""
        self._turns: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()

    def queue(self, *args: Any, **kwargs: Any) -> OrderedBlocks:
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
        """Prepare a handler's screen, a page's screens one after the other (an asyncio.Lock is first come, first
        served).

        Gradio's own way makes every component of the screen anew, those that stay as they are too, and keeps each
        page's values: most of the app's time, and memory that grows. Here a value is prepared and sent.
        """
        if state is None:
            return self.hide(await self._sent(block_fn, predictions))
        async with self._turns.setdefault(state, asyncio.Lock()):
            return self.hide(await self._sent(block_fn, predictions))

    async def _sent(self, block_fn: Any, predictions: Any) -> list[Any]:
        """Return what a page is sent for each output of a handler."""
        outputs = list(block_fn.outputs)
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
        """Leave the page as it is when a generator ends: what it drew last is there already."""
        data = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        return [gr.skip() for _ in data] if final else data


class _Forgetful(SessionState):
    """What Gradio knows of a page's components: how they were made, and none of their values."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks_config = blocks.default_config

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep nothing."""


async def _prepared(block: Any, value: Any) -> Any:
    """Return a component's new value, or the properties that change, as its page takes them."""
    if value is _Keywords.FINISHED_ITERATING:
        return None
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
