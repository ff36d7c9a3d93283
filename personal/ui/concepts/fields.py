"""The fields of a concept that the forms for a new and for an open one have in common, and reading their photos."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from personal.concepts import Photo
from personal.errors import PersonalError
from personal.ui.context import AppContext

CATEGORIES = ["person", "dog", "cat", "pet", "plush toy", "toy", "mug", "bag", "shoe", "building", "plant", "vehicle"]

MARKS = "white tip of the tail\nred collar with a bell"
MARKS_INFO = "One permanent feature per line."
BY_FACE = "Recognise this person by the face"
BY_FACE_INFO = (
    "Only with their consent (a parent's for a child). A numeric description is stored on this device, and deleted "
    "when you untick this. First use downloads 30 MB."
)


def face_checkbox(context: AppContext, elem_id: str) -> gr.Checkbox:
    """Return the checkbox for recognition by the face, hidden if the settings switch faces off."""
    looks = context.settings.looks_at_faces
    return gr.Checkbox(label=BY_FACE, info=BY_FACE_INFO, value=False, visible=looks, elem_id=elem_id)


def wanted_face(context: AppContext, by_face: bool) -> bool | None:
    """Return what a checkbox says; None where it was hidden, so that nothing changes."""
    return by_face if context.settings.looks_at_faces else None


def read_uploads(context: AppContext, files: Sequence[str], limit: int) -> tuple[list[Photo], list[str]]:
    """Read up to `limit` uploads; return the photos and the problems in words. The others are deleted unread."""
    photos, problems = [], []
    if len(files) > limit:
        problems.append(f"{limit} photos are the most at once; the others were left out.")
        context.drop(files[limit:])
    for file in files[:limit]:
        try:
            photos.append(context.take(file))
        except PersonalError as error:
            problems.append(str(error))
    return photos, problems
