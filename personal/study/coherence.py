"""What the parts of a study say of each other: names that lead nowhere, ids that stand twice, steps nobody reaches.

Each finding has the place in the file that is wrong, as keys and list positions, and words that say what to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from personal.errors import PersonalError
from personal.images import read_photo
from personal.settings import ASSETS
from personal.study.document import Place
from personal.study.measures import measures
from personal.study.scales import items_of
from personal.study.schema import Condition, Study

Finding = tuple[Place, str]
SAMPLE = "sample:"


def findings(study: Study) -> Iterator[Finding]:
    """Yield what is wrong between the parts of a study; nothing where all is well."""
    yield from _ids(study)
    names = [one.id for one in study.questionnaires]
    for key in ("after_condition", "final"):
        listed: Sequence[str] = getattr(study, key)
        for place, name in enumerate(listed):
            if name not in names:
                known = f"It has {', '.join(names)}." if names else "It has none: list them under questionnaires."
                yield (key, place), f"there is no questionnaire {name}. {known}"
            elif listed.index(name) < place:
                yield (key, place), f"{name} stands here twice. Leave one out."
    for place, name in enumerate(names):
        if name not in (*study.after_condition, *study.final):
            yield ("questionnaires", place), f"nobody is asked {name}. Name it in after_condition or final."
    if any(True for _ in _unnamed(study, names)):
        return
    yield from _conditions(study)
    yield from _tasks(study)
    yield from _items(study)
    yield from _planned(study)


def _unnamed(study: Study, names: Sequence[str]) -> Iterator[str]:
    yield from (one for one in (*study.after_condition, *study.final) if one not in names)


def _ids(study: Study) -> Iterator[Finding]:
    """Ids that stand twice among parts that share columns."""
    for key in ("conditions", "tasks", "questionnaires", "eligibility"):
        yield from _twice(key, [one.id for one in getattr(study, key)])
    tasks = {one.id for one in study.tasks}
    for place, one in enumerate(study.questionnaires):
        if one.id in tasks:
            yield ("questionnaires", place, "id"), f"{one.id} is a task's id too. Give it another."
    for place, name in enumerate(study.concepts.given):
        if name.name.casefold() in [one.name.casefold() for one in study.concepts.given[:place]]:
            yield ("concepts", "given", place, "name"), f"two concepts are called {name.name}. Rename one."


def _twice(key: str, ids: Sequence[str]) -> Iterator[Finding]:
    for place, one in enumerate(ids):
        if one in ids[:place]:
            yield (key, place, "id"), f"{one} stands here twice. Give each its own id."


def _conditions(study: Study) -> Iterator[Finding]:
    seen: list[tuple[Condition, dict[str, Any]]] = []
    for place, one in enumerate(study.conditions):
        if same := next((other for other, settings in seen if settings == one.settings), None):
            yield ("conditions", place), f"{one.id} is set like {same.id}. Let them differ, or leave one out."
        if one.confidence is not None and one.threshold is not None:
            yield ("conditions", place, "threshold"), "confidence and threshold exclude each other. Leave one out."
        seen.append((one, one.settings))


def _tasks(study: Study) -> Iterator[Finding]:
    ids = [one.id for one in study.conditions]
    for place, task in enumerate(study.tasks):
        here: Place = ("tasks", place)
        if task.type == "ab" and task.conditions is None and len(ids) != 2:
            yield here, "it must say which conditions it compares: the study has not exactly two."
        for side, one in enumerate(task.conditions or ()):
            if one not in ids:
                yield (*here, "conditions", side), f"there is no condition {one}. There is {', '.join(ids)}."
        if task.type == "rate" and task.photos == ():
            yield (*here, "photos"), "there is no photo to ask about. List one, or take photos: own."
    if all(task.type == "ab" for task in study.tasks):
        if study.after_condition:
            yield ("after_condition",), "all tasks are blind comparisons, which have no condition. Move it to final."
        if len(ids) < 2:
            yield ("conditions",), "a blind comparison needs two conditions. Add one."
        if study.concepts.when == "each_condition":
            yield (
                ("concepts", "when"),
                "all tasks are blind comparisons: concepts are registered once. Take when: once.",
            )


def _items(study: Study) -> Iterator[Finding]:
    for place, one in enumerate(study.questionnaires):
        ids = [item.id for item in items_of(one)]
        own = len(ids) - len(one.items)
        for number, item in enumerate(one.items):
            here: Place = ("questionnaires", place, "items", number)
            if item.id in ids[: own + number]:
                yield (*here, "id"), f"{item.id} is an item of the scale {one.scale}. Give it another id."
            if item.kind == "preference" and one.id in study.after_condition:
                yield here, "a preference compares all conditions. Ask it in final."
        if one.scale == "preference" and one.id in study.after_condition:
            yield ("questionnaires", place), "a preference compares all conditions. Ask it in final."
        prefers = one.scale == "preference" or any(item.kind == "preference" for item in one.items)
        if prefers and len(study.conditions) < 2:
            yield ("questionnaires", place), "a preference needs two conditions or more."


def _planned(study: Study) -> Iterator[Finding]:
    known, ids = measures(study), [one.id for one in study.conditions]
    for place, one in enumerate(study.analysis.planned):
        here: Place = ("analysis", "planned", place)
        if one.measure not in known:
            yield (*here, "measure"), f"there is no measure {one.measure}. There is {', '.join(known)}."
        elif one.measure == "wins":
            yield (*here, "measure"), "votes are compared by themselves. Plan a comparison of another measure."
        for side, condition in enumerate(one.conditions):
            if condition not in ids:
                yield (*here, "conditions", side), f"there is no condition {condition}. There is {', '.join(ids)}."
        if one in study.analysis.planned[:place]:
            yield here, "this comparison is planned twice. Leave one out."


def photo_path(folder: Path, name: str) -> Path:
    """Return where a study's photo is: beside its file, or among the app's samples."""
    return ASSETS / "samples" / name.removeprefix(SAMPLE) if name.startswith(SAMPLE) else folder / name


def unreadable(study: Study, folder: Path) -> Iterator[Finding]:
    """Yield the photos that a study names and that are not there, or are no pictures."""
    checked: dict[str, str] = {}
    for place, name in _photos(study):
        path = photo_path(folder, name)
        if name not in checked:
            inside = path.resolve().is_relative_to((ASSETS / "samples" if SAMPLE in name else folder).resolve())
            checked[name] = _problem(path) if inside else "is outside of the study's folder"
        if checked[name]:
            yield place, f"the photo {name} {checked[name]}. Put it beside the study file, or correct the name."


def _problem(path: Path) -> str:
    if not path.is_file():
        return "is not there"
    try:
        read_photo(path)
    except PersonalError:
        return "is no picture that can be read"
    return ""


def photos_of(study: Study) -> list[str]:
    """Return the names of all photos of a study, each once."""
    return list(dict.fromkeys(name for _, name in _photos(study)))


def _photos(study: Study) -> Iterable[tuple[Place, str]]:
    for place, task in enumerate(study.tasks):
        if task.photos != "own":
            yield from ((("tasks", place, "photos", n), name) for n, name in enumerate(task.photos))
    for place, one in enumerate(study.concepts.given):
        yield from ((("concepts", "given", place, "photos", n), name) for n, name in enumerate(one.photos))


def digest(text: str) -> str:
    """Return what identifies a version of a study's file, 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
