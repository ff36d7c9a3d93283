"""Look the installation and the library over, reading only: it works beside a running app."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from personal import compose
from personal.errors import PersonalError
from personal.settings import TINY, Settings

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
INSTALL = "pip install -r requirements.txt (in a checkout) or pip install --upgrade personal-mllm"


def checks(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield `{"name", "ok", "detail"}` for Python, packages, data folder, library, models, recognition and faces."""
    version = platform.python_version()
    yield _row("python", (3, 11) <= sys.version_info[:2] <= (3, 13), f"{version}; 3.11 to 3.13 are supported")
    wrong = list(_wrong_packages())
    yield _row("packages", not wrong, "; ".join(wrong) or "as required")
    yield _data_folder(settings)
    yield _library(settings)
    yield _models(settings)
    yield _recognition(settings)
    yield _faces(settings)
    if settings.model == TINY:
        yield _trained()


def _row(name: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "detail": detail}


def _requirements() -> list[str]:
    """Return the pinned packages of a checkout, or the ranges of an installed wheel."""
    if not REQUIREMENTS.is_file():
        return metadata.requires("personal-mllm") or []
    return [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if line[:1].isalnum()]


def _wrong_packages() -> Iterator[str]:
    for requirement in map(Requirement, _requirements()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"{requirement.name} is missing: {INSTALL}"
            continue
        if found.split("+")[0] not in requirement.specifier:
            yield f"{requirement.name} is {found}, required is {requirement.specifier}"


def _data_folder(settings: Settings) -> dict[str, Any]:
    folder = settings.data_dir
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free / 2**30
    return _row("data folder", free > 0.2, f"{folder}, {free:.1f} GB free")


def _library(settings: Settings) -> dict[str, Any]:
    try:
        with compose.library(settings, read_only=True) as library:
            problems = library.problems()
            count = sum(len(library.concepts(owner)) for owner in library.owners())
    except PersonalError as error:
        return _row("library", False, str(error))
    return _row("library", not problems, "; ".join(problems) or f"{count} concepts, all readable")


def _trained() -> dict[str, Any]:
    from personal.tiny import deltas

    wrong = deltas.problems(deltas.SHIPPED)
    return _row("trained weights", not wrong, " ".join(wrong) or f"{deltas.SHIPPED}, as its manifest says")


def _models(settings: Settings) -> dict[str, Any]:
    if settings.llm_url:
        return _row("models", True, f"answers come from the server {settings.llm_url}; {settings.encoder} recognises")
    if TINY not in (settings.model, settings.encoder):
        return _row("models", True, f"{settings.model} and {settings.encoder}, opened when needed")
    from personal.tiny.assemble import damaged, ready

    if ready(settings.cache_dir):
        wrong = damaged(settings.cache_dir)
        told = f"damaged: {', '.join(wrong)}; delete them and start again" if wrong else "every file as it was made"
        return _row("models", not wrong, f"the embedded default is in {settings.cache_dir}, {told}")
    return _row("models", True, "the embedded default is put together at the first start (or by make setup)")


def _recognition(settings: Settings) -> dict[str, Any]:
    """Return a row on what an encoder comes without; names are then said more cautiously, so it is no fault."""
    from personal.retrieve.encoder import UNFITTED_THRESHOLD, fitted

    if settings.encoder == TINY or fitted(settings.encoder):
        return _row("recognition", True, "matches have probabilities: the encoder's calibration is known")
    cautious = (
        f"{settings.encoder} has neither a calibration nor a cohort: a name is said from a similarity of "
        f"{UNFITTED_THRESHOLD:.2f} on, until concepts with two photos or more, eight in all, teach it probabilities"
    )
    return _row("recognition", True, cautious)


def _faces(settings: Settings) -> dict[str, Any]:
    from personal.tiny.faces import ready

    if not settings.looks_at_faces:
        return _row("faces", True, "nobody is recognised by the face here (PERSONAL_FACES)")
    if importlib.util.find_spec("dlib") is None:
        return _row("faces", False, f"dlib is missing: {INSTALL}, or set PERSONAL_FACES=off")
    where = f"is in {settings.cache_dir}" if ready(settings.cache_dir) else "is fetched when first needed (30 MB)"
    return _row("faces", True, f"who is ticked is recognised by the face; what that takes {where}")
