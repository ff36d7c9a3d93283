"""Remember, revise and forget concepts: on disk, then in the indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from personal.assistant.indexing import Indexing, drain, pictures_of
from personal.assistant.merging import Merge, joined, parted
from personal.concepts import Box, Concept, ConceptEdit, Photo, Progress
from personal.errors import ConceptError, StoreError
from personal.parts import Generator, Index, Library, People, Retriever

UNDO_S = 600.0
"""How long a forgotten concept can be brought back, seconds."""


class Memory:
    """The concepts of any number of owners. Every method raises StoreError if the disk or the index cannot be used."""

    def __init__(
        self, library: Library, index: Index, retriever: Retriever, generator: Generator, people: People | None = None
    ) -> None:
        self.library = library
        self.index = index
        self.retriever = retriever
        self.generator = generator
        self.people = people
        self.indexing = Indexing(library, index, retriever, people)

    def concepts(self, owner: str) -> list[Concept]:
        """List an owner's concepts, oldest first."""
        return self.library.concepts(owner)

    def remember(
        self,
        owner: str,
        name: str,
        photos: Sequence[Photo],
        category: str = "",
        info: str = "",
        attributes: Sequence[str] = (),
        by_face: bool | None = None,
    ) -> Concept:
        """Add a concept with its views; a name the owner already has gains the views instead.

        Category, info, attributes and `by_face` (see `revise`) of an existing concept change only if given. Raises
        ConceptError and ModelError.
        """
        self.indexing.keep_up(owner)
        known = self.library.lookup(owner, name)
        if known:
            edit = ConceptEdit(
                category=category or None,
                info=info or None,
                add=photos,
                attributes=attributes or None,
                by_face=by_face,
            )
            return self.revise(owner, known.id, edit)
        self.library.preview(owner, name, photos, category, info, attributes)  # what is refused costs no embedding
        if by_face:
            drain(self.open_faces())
        vectors = self.retriever.embed(photos)
        concept = self.library.add(owner, name, photos, category, info, attributes, bool(by_face))
        with _undone_by(lambda: self.library.discard(owner, concept.id)):
            self.indexing.put(owner, [(concept.id, photo, False) for photo in photos], vectors)
        self.retriever.calibrate(owner, self.library.concepts(owner))
        return concept

    def revise(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept:
        """Apply an edit; the next answer knows. Raises ConceptError.

        With `by_face` the faces of its views are remembered, without it they are erased. The face model is opened first
        unless `open_faces` did that, which may raise ModelError. Where faces are switched off the wish is kept.
        """
        self.indexing.keep_up(owner)
        before = self.library.get(owner, concept_id)
        self.library.preview_edit(owner, concept_id, edit)  # what is refused costs no embedding
        if edit.by_face:
            drain(self.open_faces())
        vectors = self.retriever.embed([*edit.add, *edit.add_negatives])
        concept = self.library.revise(owner, concept_id, edit)
        old, new = pictures_of(before), pictures_of(concept)
        self.indexing.drop(owner, old - new, old - (new if concept.by_face else set()))
        given = [(concept_id, p, False) for p in edit.add] + [(concept_id, p, True) for p in edit.add_negatives]
        kept = [
            (picture, of_it)
            for picture, of_it in zip(given, vectors, strict=True)
            if (picture[0], picture[1].sha256, picture[2]) in new
        ]
        with _undone_by(lambda: self._revert(owner, before, concept)):
            self.indexing.put(owner, [picture for picture, _ in kept], [of_it for _, of_it in kept])
        if concept.by_face and not before.by_face:
            self.indexing.put_faces(owner, self.indexing.readable(owner, old & new))
        if kept:
            self.retriever.calibrate(owner, self.library.concepts(owner))
        return concept

    def _revert(self, owner: str, before: Concept, after: Concept) -> None:
        """Take a revision back, except for pictures that it removed: they are erased."""
        old, new = ({view.sha256 for view in concept.views} for concept in (before, after))
        had, has = ({view.sha256 for view in concept.negatives} for concept in (before, after))
        edit = ConceptEdit(
            name=before.name,
            category=before.category,
            info=before.info,
            remove=[sha256 for sha256 in new - old if old & new],
            avatar=before.avatar if before.avatar in new & old else None,
            remove_negatives=list(has - had),
            attributes=before.attributes,
            by_face=before.by_face,
        )
        self.library.revise(owner, before.id, edit)

    def open_faces(self) -> Iterator[Progress]:
        """Fetch (30 MB, once) and open the face model, if faces are looked at. Raises ModelError."""
        if self.people:
            yield from self.people.load()

    def shows_face(self, photos: Iterable[Photo]) -> bool:
        """Return whether one of some photos shows a face; False until the face model is opened."""
        people = self.people
        return bool(people and people.loaded and any(people.shows_face(photo) for photo in photos))

    def disown(self, owner: str, concept_id: str, photo: Photo, box: Box) -> Concept:
        """Remember that what `box` of a photo shows is not this concept: the crop becomes one of its negatives, once.

        An edit that removes the last of the concept's negatives undoes it. Raises ConceptError, also if the box is one
        of the concept's own photos, and ImageError.
        """
        from personal.crops import crop

        concept, cut = self.library.get(owner, concept_id), crop(photo, box)
        if cut.sha256 in {view.sha256 for view in concept.negatives}:
            return concept
        return self.revise(owner, concept_id, ConceptEdit(add_negatives=[cut]))

    def forget(self, owner: str, concept_id: str) -> str:
        """Forget a concept: it is recognised no more from now on. Return a token for `restore`, valid for UNDO_S."""
        concept = self.library.get(owner, concept_id)
        token = self.library.forget(owner, concept_id)
        self.indexing.drop(owner, pictures_of(concept), pictures_of(concept))
        self.generator.clear()
        return token

    def restore(self, owner: str, token: str) -> Concept:
        """Undo a `forget`. Raises ConceptError once the time is over."""
        self.indexing.keep_up(owner)
        concept = self.library.restore(owner, token)
        with self.indexing.catching_up_later(owner):
            self.indexing.put(owner, self.indexing.readable(owner, pictures_of(concept)))
        return concept

    def merge(self, owner: str, kept_id: str, other_id: str) -> Merge:
        """Give a concept all that another has, and forget the other; `unmerge` undoes it for UNDO_S.

        All is written before the other goes, so that whatever happens no photo is lost. Raises ConceptError, and
        StoreError if a photo of the other is damaged.
        """
        before, other = self.library.get(owner, kept_id), self.library.get(owner, other_id)
        if kept_id == other_id:
            raise ConceptError("Choose two concepts to merge.")
        edit = joined(before, other, lambda view: self.library.photo(owner, other_id, view.sha256))
        coming = self.library.preview_edit(owner, kept_id, edit)
        dropped = {(kept_id, view.sha256, True) for view in before.negatives if view not in coming.negatives}
        lost = tuple(photo for _, photo, _ in self.indexing.readable(owner, dropped))
        after = self.revise(owner, kept_id, edit)
        return Merge(before, after, other, self.forget(owner, other_id), lost)

    def unmerge(self, owner: str, merge: Merge) -> Concept:
        """Undo a `merge`, and return the concept that is there again. Raises ConceptError once the time is over.

        The kept one may be forgotten meanwhile.
        """
        other = self.restore(owner, merge.token)
        for kept in self.concepts(owner):
            if kept.id == merge.before.id:
                self.revise(owner, kept.id, parted(merge, kept))
        return other

    def sweep(self) -> None:
        """Erase for good what was forgotten longer than UNDO_S ago, and let the index follow where it fell behind."""
        for owner in self.library.owners():
            self.library.empty_trash(owner, UNDO_S)
        self.indexing.catch_up()

    def erase(self, owner: str) -> None:
        """Erase everything of an owner: concepts, trash, preferences and vectors. There is no undo."""
        with ExitStack() as whatever_fails:
            whatever_fails.callback(self.generator.clear)
            whatever_fails.callback(self.retriever.clear, owner)
            if self.people:
                whatever_fails.callback(self.people.erase, owner)
            whatever_fails.callback(self.index.erase, owner)
            self.library.erase(owner)

    def reindex(self, owner: str, *, afresh: bool = False) -> Iterator[Progress]:
        """Make the indexes agree with the disk, yielding progress; with `afresh` every view is embedded again."""
        return self.indexing.reindex(owner, afresh=afresh)


@contextmanager
def _undone_by(back: Callable[[], None]) -> Iterator[None]:
    """Take back what was written if the index cannot follow: a call that raises has changed nothing."""
    try:
        yield
    except StoreError:
        with suppress(StoreError):
            back()
        raise
