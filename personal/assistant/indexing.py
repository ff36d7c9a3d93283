"""Keep the index of views, and that of faces, in step with the library, which is the truth."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress

from personal.concepts import Concept, Entry, Key, Photo, Progress
from personal.errors import ConceptError, StoreError
from personal.parts import Index, Library, People, Retriever, Vectors

log = logging.getLogger(__name__)

BATCH = 8
"""Photos that are embedded between two reports of progress."""

Picture = tuple[str, Photo, bool]
"""A concept's id, one of its pictures, and whether that is a negative."""


class Indexing:
    """Writes to the indexes; what cannot be written now is made up for by `keep_up`."""

    def __init__(self, library: Library, index: Index, retriever: Retriever, people: People | None) -> None:
        self.library = library
        self.index = index
        self.retriever = retriever
        self.people = people
        self._behind: set[str] = set()
        self._updating = threading.RLock()

    def put(self, owner: str, pictures: Sequence[Picture], vectors: Iterable[Vectors] | None = None) -> None:
        """Index pictures, and the faces of views whose concept is recognised by the face. Raises StoreError.

        `vectors` are those of the pictures, if they are known already.
        """
        if vectors is None:
            vectors = self.retriever.embed([photo for _, photo, _ in pictures])
        entries = [
            Entry(concept_id, photo.sha256, of_it, negative)
            for (concept_id, photo, negative), of_it in zip(pictures, vectors, strict=True)
        ]
        self.index.put(owner, entries)
        keys = {(concept_id, photo.sha256, negative) for concept_id, photo, negative in pictures}
        self.index.drop(owner, keys - self._remaining(owner, keys))
        self.put_faces(owner, pictures)

    def put_faces(self, owner: str, pictures: Sequence[Picture]) -> None:
        """Remember the faces of views whose concept is recognised by the face; never those of negatives."""
        if not self.people or not self.people.loaded:
            return
        views = {(concept_id, photo.sha256, False): photo for concept_id, photo, negative in pictures if not negative}
        by_face = self._remaining(owner, views, by_face=True)
        if by_face:
            self.people.put(owner, [(key[0], views[key]) for key in by_face])
            self.people.purge(owner, by_face - self._remaining(owner, by_face, by_face=True))

    def drop(self, owner: str, pictures: Set[Key], faces: Set[Key]) -> None:
        """Drop pictures and faces; what cannot be dropped now is dropped by `keep_up`."""
        with self.catching_up_later(owner):
            self.index.drop(owner, pictures)
        if self.people:
            with self.catching_up_later(owner):
                self.people.purge(owner, faces)

    @contextmanager
    def catching_up_later(self, owner: str) -> Iterator[None]:
        """Go on if the index cannot be written now, for example because the disk is full: it is not the truth."""
        try:
            yield
        except StoreError:
            log.warning("The index is behind what is stored, and follows later.", exc_info=True)
            self._behind.add(owner)

    def keep_up(self, owner: str) -> None:
        """Make the index agree with the disk if it fell behind."""
        with self._updating:
            if owner in self._behind:
                with self.catching_up_later(owner):
                    self._behind.discard(owner)
                    drain(self.reindex(owner))

    def catch_up(self) -> None:
        """Let the index follow for every owner for whom it fell behind."""
        for owner in list(self._behind):
            self.keep_up(owner)

    def reindex(self, owner: str, *, afresh: bool = False) -> Iterator[Progress]:
        """Make the indexes agree with the disk: embed what they lack, drop what they have too much.

        With `afresh` every view is embedded again, each in the place of what there was: whoever stops halfway has lost
        nothing. A view whose file cannot be read is left out.
        """
        present = self._indexed(owner, afresh=afresh)  # first: what is added meanwhile is not too much
        wanted = [key for concept in self.library.concepts(owner) for key in sorted(pictures_of(concept))]
        self.index.drop(owner, present.difference(wanted))
        missing = [key for key in wanted if afresh or key not in present]
        for start in range(0, len(missing), BATCH):
            yield Progress("Learning your photos again", start, len(missing))
            self.put(owner, self.readable(owner, missing[start : start + BATCH]))
        if missing:
            yield Progress("Learning your photos again", len(missing), len(missing))
        self.retriever.calibrate(owner, self.library.concepts(owner))
        if self.people:
            yield from self._reindex_faces(owner, self.people)

    def _indexed(self, owner: str, *, afresh: bool) -> set[Key]:
        """List what is indexed; with `afresh` an index that cannot be read is replaced by an empty one."""
        try:
            return self.index.views(owner)
        except StoreError:
            if not afresh:
                raise
        self.index.reset()
        self._behind.update(other for other in self.library.owners() if other != owner)
        return self.index.views(owner)

    def _reindex_faces(self, owner: str, people: People) -> Iterator[Progress]:
        present = people.known(owner)
        by_face = [concept for concept in self.library.concepts(owner) if concept.by_face]
        wanted = [key for concept in by_face for key in sorted(pictures_of(concept)) if not key[2]]
        people.purge(owner, present.difference(wanted))
        missing = [key for key in wanted if key not in present] if people.loaded else []
        for done, key in enumerate(missing):  # photos without a face among them, each time
            yield Progress("Learning faces again", done, len(missing))
            self.put_faces(owner, self.readable(owner, [key]))

    def _remaining(self, owner: str, keys: Iterable[Key], *, by_face: bool = False) -> set[Key]:
        """Return the pictures that the library still has: embedding, or finding a face, takes a while.

        With `by_face` only those whose concept is recognised by the face.
        """
        remaining: set[Key] = set()
        for concept_id in {concept_id for concept_id, _, _ in keys}:
            with suppress(ConceptError):
                concept = self.library.get(owner, concept_id)
                remaining |= pictures_of(concept) if concept.by_face or not by_face else set()
        return remaining.intersection(keys)

    def readable(self, owner: str, keys: Iterable[Key]) -> list[Picture]:
        """Read pictures, without those that were forgotten meanwhile or are damaged: the library tells of these."""
        readable = []
        for concept_id, view, negative in keys:
            with suppress(ConceptError, StoreError):
                readable.append((concept_id, self.library.photo(owner, concept_id, view), negative))
        return readable


def pictures_of(concept: Concept) -> set[Key]:
    """Return a concept's views and negatives as the index knows them."""
    views = {(concept.id, view.sha256, False) for view in concept.views}
    return views | {(concept.id, view.sha256, True) for view in concept.negatives}


def drain(steps: Iterable[Progress]) -> None:
    """Do the work of a generator without showing its progress."""
    for _ in steps:
        pass
