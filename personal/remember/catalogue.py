"""One owner's concepts as they are read from disk: the catalogue in memory, and the trash.

Reads only; `personal.remember.library` does the writing.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from personal.concepts import Concept
from personal.folding import folded
from personal.remember import disk, record
from personal.remember.archive import is_junk
from personal.remember.record import FILE

ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Catalogue:
    """One owner's concepts in memory: by id, ids by folded name, in order (None: not sorted yet); what is damaged.

    Only a library from before two spellings counted as one name holds two concepts under a folded name.
    """

    concepts: dict[str, Concept] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    ordered: list[Concept] | None = None
    problems: list[str] = field(default_factory=list)

    def put(self, concept: Concept) -> None:
        self.take(concept.id)
        self.concepts[concept.id] = concept
        self.names.setdefault(folded(concept.name), []).append(concept.id)
        self.ordered = None

    def take(self, concept_id: str) -> None:
        old = self.concepts.pop(concept_id, None)
        if old is not None:
            same_name = self.names[folded(old.name)]
            same_name.remove(concept_id)
            if not same_name:
                del self.names[folded(old.name)]
            self.ordered = None

    def named(self, name: str) -> Concept | None:
        """Return the concept called `name`: of two, the one with the very spelling, else the older."""
        same_name = [self.concepts[concept_id] for concept_id in self.names.get(folded(name), ())]
        return min(same_name, key=lambda concept: (concept.name != name, concept.created, concept.id), default=None)


@dataclass(frozen=True, slots=True)
class TrashedConcept:
    """A concept in the trash: the token that brings it back, and when it was forgotten (seconds since the epoch)."""

    token: str
    concept: Concept
    forgotten_at: float


def load(folder: Path) -> Catalogue:
    """Read an owner's folder; what is damaged is skipped and listed, unconfirmed adds and junk files are not."""
    catalogue = Catalogue()
    for path in disk.entries(folder / "concepts"):
        if is_junk(path.name) or (not (path / FILE).exists() and ID.fullmatch(path.name)):
            continue
        try:
            concept = record.read(path, path.name)
            other = catalogue.named(concept.name)
            if other is not None and other.name.casefold() == concept.name.casefold():
                raise ValueError("another concept has the same name")
            catalogue.put(concept)
        except (ValueError, OSError) as error:
            catalogue.problems.append(f"{path} is skipped: {error}. Mend its {FILE}, or remove the folder.")
    return catalogue


def read_trash(trash: Path) -> list[TrashedConcept]:
    """Read a trash folder, oldest first; what is damaged in it is skipped."""
    found = []
    for folder in disk.entries(trash):
        try:
            concept = record.read(folder, json.loads((folder / FILE).read_bytes())["id"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.append(TrashedConcept(folder.name, concept, trashed_at(folder)))
    return found


def new_token() -> str:
    """Make a token for the trash: 12 hex digits of milliseconds since the epoch, 20 that nobody guesses."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def trashed_at(folder: Path) -> float:
    """Return when a folder was moved to the trash, seconds since the epoch, from its name; 0 if that is no token."""
    return int(folder.name[:12], 16) / 1000 if ID.fullmatch(folder.name) else 0.0
