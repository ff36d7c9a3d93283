"""What Gradio keeps of visitors, and clearing it: the last values of a page's components, its events, its uploads.

Gradio holds them long after a page is gone. Only this module reaches into its tables.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def clear_values(blocks: Any, page: str) -> None:
    """Drop the last values of a page's components; a page that goes on begins with those it was made with."""
    holder = blocks.state_holder
    with holder.lock:
        holder.session_data.pop(page, None)
        holder.time_last_used.pop(page, None)


def has_events(blocks: Any, page: str) -> bool:
    """Tell if anything is on its way to a page: Gradio breaks off the stream of one that waits for nothing."""
    return page in blocks._queue.pending_messages_per_session


def clear_events(blocks: Any, page: str) -> None:
    """Drop the events of a page that is gone, and what they would still tell it."""
    queue = blocks._queue
    waiting = [
        event for of_kind in list(queue.event_queue_per_concurrency_id.values()) for event in list(of_kind.queue)
    ]
    for event in [*waiting, *(event for job in list(queue.active_jobs) for event in job or ())]:
        if event.session_hash == page:
            event.alive = False  # none of its further screens are kept
    for table in (queue.pending_messages_per_session, queue.pending_event_ids_session):
        table.pop(page, None)
    for streams in (blocks.pending_diff_streams, blocks.pending_streams):
        streams.pop(page, None)


def clear_uploads(blocks: Any, uploads: Path, folder: str) -> None:
    """Delete the uploads whose folders' names begin with `folder`, and forget what they were called."""
    for path in uploads.glob(f"{folder}-*"):
        shutil.rmtree(path, ignore_errors=True)
    for names in blocks.temp_file_sets:
        for name in names.copy():
            if f"{folder}-" in name:
                names.discard(name)
