"""The drawn samples: their list and their files agree, and the script draws the same pictures again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from personal.images import read_photo
from personal.quality import quality_hints

ASSETS = Path(__file__).parents[1] / "assets"
SAMPLES = json.loads((ASSETS / "samples" / "samples.json").read_text(encoding="utf-8"))
VIEWS = [file for concept in SAMPLES["concepts"] for file in concept["views"]]
SCENES = [photo["file"] for photo in SAMPLES["photos"]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh run of the script."""
    folder = tmp_path_factory.mktemp("drawn")
    subprocess.run([sys.executable, str(ASSETS / "draw.py"), str(folder)], check=True)
    return folder


def test_the_list_names_every_picture_and_only_pictures_that_are_there() -> None:
    assert sorted(VIEWS + SCENES) == sorted(path.name for path in (ASSETS / "samples").glob("*.jpg"))


def test_there_are_three_concepts_with_three_views_and_an_info_that_calls_them_by_name() -> None:
    assert len(SAMPLES["concepts"]) == 3
    for concept in SAMPLES["concepts"]:
        assert len(concept["views"]) == 3
        assert f"<{concept['name']}>" in concept["info"]
        assert concept["category"]


def test_two_of_three_scenes_hold_two_concepts_that_exist() -> None:
    names = {concept["name"] for concept in SAMPLES["concepts"]}
    assert sorted(len(photo["concepts"]) for photo in SAMPLES["photos"]) == [1, 2, 2]
    assert all(set(photo["concepts"]) <= names and photo["question"] for photo in SAMPLES["photos"])


def test_the_samples_are_good_reference_photos_and_small() -> None:
    for file in VIEWS + SCENES:
        photo = read_photo(ASSETS / "samples" / file)
        assert (photo.width, photo.height) == ((960, 640) if file in SCENES else (640, 640))
        assert quality_hints(photo) == [], file
    assert sum(path.stat().st_size for path in (ASSETS / "samples").iterdir()) < 1_500_000


def test_the_script_draws_these_pictures_and_nothing_else(drawn: Path) -> None:
    pictures = [*(f"samples/{file}" for file in VIEWS + SCENES), "logo.png"]
    assert sorted(pictures) == sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.*"))
    for file in pictures:
        with Image.open(drawn / file) as again, Image.open(ASSETS / file) as kept:
            difference = ImageStat.Stat(ImageChops.difference(again.convert("RGB"), kept.convert("RGB")))
        assert max(difference.mean) < 2, file
