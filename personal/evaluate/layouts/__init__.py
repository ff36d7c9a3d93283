"""Published datasets in the folders as they are released, read into one `shape.Dataset`.

`folders.py` reads the layouts that are folders of photos, `databases.py` those with a json of concepts, `annotated.py`
those with searches; `preparing.py` draws references and queries; `identified.py` serves the protocols about one concept
a photo. A reader's docstring tells what of its layout was not verified.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from personal.errors import PersonalError
from personal.evaluate.layouts import annotated, databases, folders
from personal.evaluate.layouts.preparing import Deal, deal, photos_of, usable
from personal.evaluate.layouts.shape import Dataset, Query, Question, Search, Subject

__all__ = ["Dataset", "Deal", "Query", "Question", "Search", "Subject", "deal", "detect", "photos_of", "read", "usable"]

_KNOWN: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Dataset], str]] = {
    "repic": (databases.is_repic, databases.repic, "a json of RePIC's query_tot/ beside its database_tot/"),
    "concon-chi": (
        annotated.is_conconchi,
        annotated.conconchi,
        "data/annotations/train.json and test.json, data/images/",
    ),
    "pervl": (annotated.is_pervl, annotated.pervl, "data/deep_fashion2/personalized_…/codes_infer/ and annotations/"),
    "mc-llava": (folders.is_mcllava, folders.mcllava, "two_concept/ or three_concept/, each with concept/ and multi/"),
    "pods": (folders.is_pods, folders.pods, "train/, test/ or test_dense/, and …_info.json or …_masks/"),
    "yollava": (folders.is_yollava, folders.yollava, "train/<concept>/ and test/<concept>/"),
    "rap": (databases.is_rap, databases.rap, "database.json, here or one folder down"),
    "myvlm": (folders.is_myvlm, folders.myvlm, "<concept>/ with photos and captions.json"),
    "dreambooth": (folders.is_dreambooth, folders.dreambooth, "two or more folders of photos, one for each concept"),
}
"""Layouts from the most specific to the plainest: how to detect and read them, and what they need, in words."""


def detect(folder: Path) -> str:
    """Return the layout of a folder, or of RePIC's json. Raises PersonalError, which lists what was looked for."""
    for name, (fits, _, _) in _KNOWN.items():
        if fits(folder):
            return name
    if not folder.exists():
        raise PersonalError(f"{folder} is not a folder: give one that holds a folder of photos for each concept.")
    looked_for = "".join(f"\n- {name}: {needed}" for name, (_, _, needed) in _KNOWN.items())
    raise PersonalError(f"{folder} has none of the layouts that can be read. What was looked for:{looked_for}")


def read(folder: Path) -> Dataset:
    """Read a dataset of any layout without opening its photos. Raises PersonalError."""
    try:
        layout = detect(folder)
    except OSError as error:
        raise PersonalError(f"{folder} cannot be read ({error}).") from error
    try:
        return _KNOWN[layout][1](folder)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise PersonalError(
            f"{folder} looks like {layout}, but cannot be read ({type(error).__name__}: {error}). What is needed: "
            f"{_KNOWN[layout][2]}."
        ) from error
