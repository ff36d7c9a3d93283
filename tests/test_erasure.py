"""What was forgotten for good, or erased, is nowhere in the data folder: all bytes are searched, Chroma's files too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personal.concepts import WHOLE, ConceptEdit
from tests.conftest import open_assistant, picture

ME, YOU = "local", "guest"
NAME = "Bärbel-Änne 🐕"
INFO = "Hides her bones behind the grey shed in Unterweißbach."


def holders(folder: Path, trace: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and trace in path.read_bytes()]


def written(text: str) -> list[bytes]:
    escaped = text.encode("ascii", "backslashreplace")
    return [text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"), escaped]


@pytest.fixture
def photos():
    return [picture((200, 40, 30), dot=dot) for dot in (1, 2, 3)]


@pytest.fixture
def traces(photos) -> list[bytes]:
    """The name, the info, and 64 bytes out of the middle of each photo, where they differ from other photos."""
    slices = [photo.jpeg[-66:-2] for photo in photos]
    return [*written(NAME), *written(INFO), *slices]


def test_a_concept_that_was_forgotten_for_good_leaves_nothing_anybody_could_read(tmp_path, photos, traces):
    with open_assistant(tmp_path) as assistant:
        assistant.remember(ME, "cup", [picture((20, 40, 230))], info="Stays.")
        concept = assistant.remember(ME, NAME, photos[:2], info=INFO, attributes=[INFO])
        assistant.revise(ME, concept.id, ConceptEdit(add_negatives=photos[2:]))
        assert holders(tmp_path, NAME.encode())
        assert holders(tmp_path, INFO.encode())
        assert holders(tmp_path, traces[-1])
        assistant.forget(ME, concept.id)
        assistant.library.empty_trash(ME)
        assert not [trace for trace in traces if holders(tmp_path, trace)]
        assert not [path for path in tmp_path.rglob("*") if concept.id in path.name]
        assert [c.name for c in assistant.concepts(ME)] == ["cup"]
    assert not [trace for trace in traces if holders(tmp_path, trace)]


def test_an_edit_leaves_nothing_of_what_was_there_before(tmp_path, photos, traces):
    with open_assistant(tmp_path) as assistant:
        concept = assistant.remember(ME, NAME, photos[:2], info=INFO, attributes=[INFO])
        assistant.revise(ME, concept.id, ConceptEdit(add_negatives=photos[2:]))
        blue = picture((20, 40, 230))
        remove, against = ([photo.sha256 for photo in some] for some in (photos[:2], photos[2:]))
        assistant.revise(
            ME,
            concept.id,
            ConceptEdit(name="rex", info="", attributes=[], add=[blue], remove=remove, remove_negatives=against),
        )
        assert not [trace for trace in traces if holders(tmp_path, trace)]


def test_an_owner_who_was_erased_leaves_no_words_photos_or_vectors(tmp_path, photos, traces):
    with open_assistant(tmp_path) as assistant:
        assistant.remember(YOU, "cup", [picture((20, 40, 230))], info="Stays.")
        concept = assistant.remember(ME, NAME, photos[:2], info=INFO)
        assistant.disown(ME, concept.id, photos[2], WHOLE)
        assistant.forget(ME, assistant.remember(ME, f"{NAME} 2", photos[:1], info=INFO).id)
        vectors = [np.asarray(v, np.float32) for v in assistant.retriever.embed(photos)]
        vectors += [v / np.linalg.norm(v) for v in vectors]
        kept = [*(v.tobytes() for v in vectors), *(photo.sha256.encode() for photo in photos), concept.id.encode()]
        assert all(holders(tmp_path, photo.sha256.encode()) for photo in photos)
        assert any(holders(tmp_path, v.tobytes()) for v in vectors)
        assistant.erase(ME)
        assert not [trace for trace in [*traces, *kept] if holders(tmp_path, trace)]
        assert [c.name for c in assistant.concepts(YOU)] == ["cup"]
        assert len(assistant.index.views(YOU)) == 1
    assert not [trace for trace in [*traces, *kept] if holders(tmp_path, trace)]
