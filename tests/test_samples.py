"""The drawn samples: their list and their files agree, and the script draws the same pictures again."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageChops, ImageStat

from personal.images import read_photo
from personal.quality import quality_hints

ASSETS = Path(__file__).parents[1] / "assets"
SAMPLES = json.loads((ASSETS / "samples" / "samples.json").read_text(encoding="utf-8"))
VIEWS = [file for concept in SAMPLES["concepts"] for file in concept["views"]]
SCENES = [photo["file"] for photo in SAMPLES["photos"]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that draws them, opened as a module."""
    spec = importlib.util.spec_from_file_location("draw", ASSETS / "draw.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["draw"] = module
    spec.loader.exec_module(module)
    return module


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


def test_the_script_draws_these_pictures_and_nothing_else(script: ModuleType) -> None:
    assert sorted(f"{name}.jpg" for name in (*script.VIEWS, *script.SCENES)) == sorted(VIEWS + SCENES)


@pytest.mark.parametrize("name", ["bo-1", "sunny-cup-2", "rosie-3", "beach", "logo"])
def test_a_picture_is_drawn_again_as_it_is(script: ModuleType, name: str) -> None:
    again = io.BytesIO()
    if name == "logo":
        script.logo(128).save(again, "PNG")
    else:
        script.draw(name).save(again, "JPEG", quality=88, subsampling="4:2:0")
    with (
        Image.open(ASSETS / ("logo.png" if name == "logo" else f"samples/{name}.jpg")) as kept,
        Image.open(again) as made,
    ):
        difference = ImageStat.Stat(ImageChops.difference(made.convert("RGB"), kept.convert("RGB")))
    assert max(difference.mean) < 2
