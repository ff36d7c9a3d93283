"""Who is recognised by the face: the faces of those who were ticked, and what they say about a photo.

Is given what finds and describes faces, and an index of its own for them. Faces are compared with faces only. Looks at
no photo, neither to remember nor to recognise, unless somebody was ticked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Concept, Entry, IndexedView, Key, Match, Photo, Progress
from personal.images import open_photo
from personal.recent import Recent
from personal.retrieve.assign import assign_greedily
from personal.retrieve.config import CONFIG
from personal.retrieve.faces import Faces, subject
from personal.retrieve.regions import Regions


class Index(Protocol):
    """Vectors of faces, one a photo (`personal.remember.index`)."""

    def views(self, owner: str) -> set[Key]: ...
    def put(self, owner: str, entries: Sequence[Entry]) -> None: ...
    def drop(self, owner: str, keys: Iterable[Key]) -> None: ...
    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]: ...
    def erase(self, owner: str) -> None: ...


class People:
    """Remembers faces and knows them again; until `load` it only lists and erases."""

    def __init__(self, faces: Faces, index: Index) -> None:
        self._faces = faces
        self._index = index
        self._found: Recent[str, Regions] = Recent(CONFIG.cached_photos)

    @property
    def loaded(self) -> bool:
        return self._faces.loaded

    def load(self) -> Iterator[Progress]:
        """Fetch and open the face model, yielding progress. Raises ModelError."""
        return self._faces.load()

    def clear(self) -> None:
        """Drop everything held of photos seen."""
        self._found.clear()

    def shows_face(self, photo: Photo) -> bool:
        """Return whether a photo shows a face."""
        return bool(self.find_faces(photo).boxes)

    def known(self, owner: str) -> set[Key]:
        """List the views of which a face is remembered."""
        return self._index.views(owner)

    def put(self, owner: str, views: Iterable[tuple[str, Photo]]) -> None:
        """Remember of views, each with its concept's id, the face that they are of, where there is one and no doubt."""
        faces = [(concept_id, photo.sha256, subject(self.find_faces(photo))) for concept_id, photo in views]
        entries = [Entry(concept_id, view, face) for concept_id, view, face in faces if face is not None]
        if entries:
            self._index.put(owner, entries)

    def purge(self, owner: str, views: Iterable[Key]) -> None:
        """Forget the faces of some views, so that not even their bytes are left."""
        gone = self._index.views(owner).intersection(views)
        if gone:
            self._index.drop(owner, gone)
            self.clear()

    def erase(self, owner: str) -> None:
        """Forget every face of an owner."""
        self._index.erase(owner)
        self.clear()

    def fuse_faces(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        matches: Sequence[Match],
        strictness: float,
        without: Set[str] = frozenset(),
    ) -> list[Match]:
        """Let the faces in a photo have their say: who is known by one comes first, then the matches that stand.

        A match of a person whose face is known falls where a face shows in its box that is not theirs. `strictness`
        moves the bar from the faces' threshold (0) to 1 (1), or down where it is negative; `without` are views that do
        not count.
        """
        if not self.loaded:
            return list(matches)
        people = [concept for concept in concepts if concept.by_face]
        every = self._index.vectors(owner, [person.id for person in people]) if people else {}
        stored = {person: [one for one in views if one.view not in without] for person, views in every.items()}
        people = [person for person in people if stored[person.id]]
        found = self.find_faces(photo) if people else None
        if found is None or not found.boxes:
            return list(matches)
        cosine = [found.vectors @ np.concatenate([one.vectors for one in stored[person.id]]).T for person in people]
        similarity: NDArray[np.float32] = np.stack([one.max(axis=1) for one in cosine], axis=1)
        bar = self._faces.threshold + strictness * (1 - self._faces.threshold)
        by_face = []
        for face, column in assign_greedily(similarity, np.eye(len(found.boxes), dtype=bool), bar):
            person = people[column]
            view = stored[person.id][int(cosine[column][face].argmax())].view
            best, box = float(similarity[face, column]), found.boxes[face]
            by_face.append(Match(person, "seen", best, box, view, photo.sha256, by_face=True))
        settled = {match.concept.id for match in by_face}
        known = {person.id for person in people}
        for match in matches:
            stranger = match.concept.id in known and match.box and any(_shows(match.box, face) for face in found.boxes)
            if match.concept.id not in settled and not stranger:
                by_face.append(match)
        return by_face

    def find_faces(self, photo: Photo) -> Regions:
        found = self._found.get(photo.sha256)
        if found is None:
            found = self._faces.find(open_photo(photo))
            self._found.put(photo.sha256, found)
        return found


def _shows(box: Box, face: Box) -> bool:
    """Return whether a face's centre lies in a box."""
    x, y = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
