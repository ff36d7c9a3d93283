"""Export and import: our .zip, RAP's `database.json` folder, and a folder of folders, one concept each.

`import_reader.read` checks everything before anything is written, `plan` says what would change, `apply` does it.
Our .zip: manifest.json {"format": "personal", "version": 1}, concepts/<n>/concept.json, views/<sha256>.jpg and
negatives/<sha256>.jpg.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from personal.concepts import Concept, ConceptEdit, Photo, Progress
from personal.errors import ImportExportError, StoreError
from personal.folding import folded
from personal.remember import disk
from personal.remember.import_reader import FORMAT, VERSION, ImportedConcept, read, read_uploads
from personal.remember.library import Library
from personal.remember.record import MAX_NEGATIVES, MAX_VIEWS

__all__ = [
    "Change",
    "ImportTarget",
    "ImportedConcept",
    "apply",
    "carried",
    "export",
    "list_damage",
    "plan",
    "read",
    "read_uploads",
]


@dataclass(frozen=True, slots=True)
class Change:
    """What importing one concept would do, in a word and in words; `views` is how many it would gain."""

    name: str
    kind: str
    views: int
    words: str


class ImportTarget(Protocol):
    """What `apply` writes with: an Assistant."""

    def concepts(self, owner: str) -> list[Concept]: ...
    def open_faces(self) -> Iterator[Progress]: ...
    def remember(
        self, owner: str, name: str, photos: Sequence[Photo], category: str = "", info: str = ""
    ) -> Concept: ...
    def revise(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept: ...


# -- out -------------------------------------------------------------------------------------------------------------


def export(library: Library, owner: str, target: Path | BinaryIO, only: Set[str] = frozenset()) -> list[str]:
    """Write an owner's concepts as a .zip, the same bytes for the same concepts. Raises ImportExportError.

    `only` are the ids of those to write; all where it is empty. What is damaged is left out; returned is what that was,
    in words. A file appears whole or not at all.
    """
    if not isinstance(target, Path):
        return _write_zip(library, owner, target, only)
    temporary = target.with_name(target.name + disk.TMP)
    try:
        try:
            with temporary.open("wb") as stream:
                left_out = _write_zip(library, owner, stream, only)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ImportExportError(
            f"{target} cannot be written ({error.strerror or error}). Choose another place."
        ) from error
    return left_out


def list_damage(library: Library, owner: str, only: Set[str] = frozenset()) -> list[str]:
    """Return a sentence for each concept and photo that an export leaves out, because it cannot be read."""
    found = [] if only else library.damaged(owner)
    for concept in _chosen(library, owner, only):
        found += _readable(library, owner, concept)[1]
    return found


def _readable(library: Library, owner: str, concept: Concept) -> tuple[Concept | None, list[str]]:
    """Leave out of a concept the pictures that cannot be read, and say so; None where no photo is left."""
    lost: set[str] = set()
    for view in (*concept.views, *concept.negatives):
        try:
            library.photo(owner, concept.id, view.sha256)
        except StoreError:
            lost.add(view.sha256)
    if not lost:
        return concept, []
    views = tuple(view for view in concept.views if view.sha256 not in lost)
    negatives = tuple(view for view in concept.negatives if view.sha256 not in lost)
    if not views:
        return None, [f"{concept.tag} is left out: none of its photos can be read."]
    avatar = views[0].sha256 if concept.avatar in lost else concept.avatar
    words = f"{_count(len(lost))} of {concept.tag} left out: damaged. Remove what is damaged, and add it again."
    return replace(concept, views=views, negatives=negatives, avatar=avatar), [words]


def _chosen(library: Library, owner: str, only: Set[str]) -> list[Concept]:
    return [concept for concept in library.concepts(owner) if not only or concept.id in only]


def _write_zip(library: Library, owner: str, stream: BinaryIO, only: Set[str]) -> list[str]:
    left_out = [] if only else library.damaged(owner)
    with zipfile.ZipFile(stream, "w") as archive:
        _put(archive, "manifest.json", _json({"format": FORMAT, "version": VERSION}))
        for number, kept in enumerate(_chosen(library, owner, only), 1):
            concept, words = _readable(library, owner, kept)
            left_out += words
            if concept is None:
                continue
            record = {
                "name": concept.name,
                "category": concept.category,
                "info": concept.info,
                "avatar": concept.avatar,
                "created": concept.created,
                "updated": concept.updated,
                "views": [view.sha256 for view in concept.views],
                "negatives": [view.sha256 for view in concept.negatives],
                "attributes": list(concept.attributes),
                "by_face": concept.by_face,
            }
            _put(archive, f"concepts/{number}/concept.json", _json(record))
            for folder, pictures in (("views", concept.views), ("negatives", concept.negatives)):
                for view in pictures:
                    photo = library.photo(owner, concept.id, view.sha256)
                    _put(archive, f"concepts/{number}/{folder}/{view.sha256}.jpg", photo.jpeg)
    return left_out


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o600 << 16
    info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
    archive.writestr(info, data)


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


# -- in -----------------------------------------------------------------------------------------------------


def plan(library: Library, owner: str, incoming: Sequence[ImportedConcept]) -> list[Change]:
    """Return for each concept what importing it would do: new, adds, unchanged or refused. Nothing is changed."""
    known = _by_name(library.concepts(owner))
    return [_change(concept, known(concept.name)) for concept in incoming]


def carried(library: Library, owner: str) -> list[ImportedConcept]:
    """Return an owner's concepts as `apply` imports them for another owner; what is damaged is left out."""
    carried = []
    for kept in library.concepts(owner):
        concept, words = _readable(library, owner, kept)
        if concept is None:
            continue
        views, negatives = (
            tuple(library.photo(owner, concept.id, view.sha256) for view in pictures)
            for pictures in (concept.views, concept.negatives)
        )
        carried.append(
            ImportedConcept(
                name=concept.name,
                category=concept.category,
                info=concept.info,
                photos=views,
                avatar=concept.avatar,
                problems=tuple(words),
                negatives=negatives,
                attributes=concept.attributes,
                by_face=concept.by_face,
            )
        )
    return carried


def apply(keeper: ImportTarget, owner: str, incoming: Sequence[ImportedConcept]) -> Iterator[Progress]:
    """Import what `plan` does not refuse, and yield where it stands; the last `total` is how many concepts changed.

    An existing concept gains views and negatives, and info, category and attributes only where it has none. Whether it
    is recognised by the face stays as it is; a new one brings it along.
    """
    known = _by_name(keeper.concepts(owner))
    todo = []
    for concept in incoming:
        old = known(concept.name)
        if _change(concept, old).kind in {"new", "adds"}:
            todo.append((concept, old))
    if any(concept.by_face and old is None for concept, old in todo):
        yield from keeper.open_faces()
    for done, (concept, old) in enumerate(todo):
        yield Progress(f"Importing <{concept.name}>", done, len(todo))
        if old is None:
            new = keeper.remember(owner, concept.name, concept.photos, concept.category, concept.info)
            avatar = concept.avatar or None
        else:
            category, info = ("" if old.category else concept.category), ("" if old.info else concept.info)
            new = keeper.remember(owner, old.name, _fresh(concept, old), category, info)
            avatar = None
        keeper.revise(
            owner,
            new.id,
            ConceptEdit(
                avatar=avatar,
                add_negatives=_against(concept, new),
                attributes=new.attributes or concept.attributes,
                by_face=True if concept.by_face and old is None else None,
            ),
        )
    yield Progress("Imported", len(todo), len(todo))


def _by_name(concepts: Sequence[Concept]) -> Callable[[str], Concept | None]:
    """Return a function that finds a concept by its exact name, or else by one that counts as the same."""
    exact = {concept.name: concept for concept in concepts}
    by_folded = {folded(concept.name): concept for concept in reversed(concepts)}
    return lambda name: exact.get(name) or by_folded.get(folded(name))


def _fresh(concept: ImportedConcept, old: Concept) -> list[Photo]:
    present = {view.sha256 for view in old.views}
    return [photo for photo in concept.photos if photo.sha256 not in present]


def _against(concept: ImportedConcept, old: Concept) -> list[Photo]:
    present = {view.sha256 for view in (*old.views, *old.negatives)}
    return [photo for photo in concept.negatives if photo.sha256 not in present][-MAX_NEGATIVES:]


def _change(concept: ImportedConcept, old: Concept | None) -> Change:
    if concept.refused:
        return Change(concept.name, "refused", 0, f"refused: {concept.refused}")
    if old is None:
        return Change(concept.name, "new", len(concept.photos), f"new, {_count(len(concept.photos))}")
    fresh = len(_fresh(concept, old))
    if len(old.views) + fresh > MAX_VIEWS:
        return Change(old.name, "refused", 0, f"refused: it would have more than {MAX_VIEWS} photos")
    gains = [f"adds {_count(fresh)}"] if fresh else []
    gains += ["adds its category"] if concept.category and not old.category else []
    gains += ["adds its info"] if concept.info and not old.info else []
    gains += ["adds its attributes"] if concept.attributes and not old.attributes else []
    negatives = len(_against(concept, old))
    gains += [f"adds {negatives} negative{'' if negatives == 1 else 's'}"] if negatives else []
    return Change(old.name, "adds" if gains else "unchanged", fresh, ", ".join(gains) or "unchanged")


def _count(views: int) -> str:
    return f"{views} photo{'' if views == 1 else 's'}"
