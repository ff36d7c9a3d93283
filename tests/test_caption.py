"""Captions are scored as the field scores them, and a name said in vain is counted."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from personal.evaluate import caption
from personal.learn.photos import Photos
from tests.conftest import Scripted

REFERENCES = [
    [f"a {colour} dog runs over {place}", f"the {colour} dog is running", f"{colour} dog on {place}"]
    for colour, place in zip(
        ("red", "blue", "green", "brown", "black", "white", "grey", "tan"),
        ("grass", "sand", "snow", "ice", "rocks", "water", "mud", "leaves"),
        strict=True,
    )
]


def test_a_caption_that_a_person_wrote_scores_high_and_shuffled_low():
    pytest.importorskip("pycocoevalcap")
    found = caption.score(REFERENCES, [texts[0] for texts in REFERENCES])
    assert found["bleu_4"] > 0.9
    assert found["cider_d"] > 3 * found["cider_d_shuffled"]


def test_case_and_punctuation_do_not_count():
    assert caption.words('A man\'s well-worn "hat", on it: 2 dogs.') == "a man's well-worn hat on it 2 dogs"


def folder(tmp_path):
    subjects = {"red": "A red dog runs.", "blue": "A blue dog sits.", "teal": "A man rides a bike."}
    for colour in subjects:
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{colour}.png")
    lines = [json.dumps({"image": f"{c}.png", "captions": [text]}) for c, text in subjects.items()]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Photos(tmp_path)


def test_a_model_that_names_nobody_has_no_names_and_no_false_ones(tmp_path):
    photos = folder(tmp_path)
    found = caption.supplied(Scripted(("A dog.",)), photos, photos.rows, script=None, seed=0)
    assert (found["named"], found["false"]) == (0, 0)
    assert (found["photos_with"], found["photos_without"]) == (3, 3)


class Parrot(Scripted):
    """Says the name of whoever is supplied."""

    def stream(self, messages, **options):
        text = "".join(part.get("text", "") for part in messages[-1]["content"])
        self.words = (f"{text.split('Name: ')[1].split(', Info')[0]} runs.",)
        yield from super().stream(messages, **options)


def test_a_model_that_always_says_the_name_is_right_where_it_belongs_and_false_elsewhere(tmp_path):
    photos = folder(tmp_path)
    found = caption.supplied(Parrot(), photos, photos.rows, script="greek", seed=0)
    assert (found["named"], found["false"]) == (1, 1)
