"""Search by caption: ranks, and the command with the embedded encoder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from personal.evaluate.__main__ import main
from personal.learn.align import rank


def test_the_rank_is_how_many_photos_come_before_a_captions_own():
    images = np.eye(3, dtype=np.float32)
    texts = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1]], np.float32)
    assert rank(images, texts, [0, 1, 2]).tolist() == [0, 1, 2]


def test_an_encoder_that_tells_nothing_apart_finds_nothing_by_that():
    images = np.ones((21, 1), np.float32)
    assert rank(images, np.ones((1, 1), np.float32), [0]).tolist() == [10]


@pytest.mark.model
def test_the_command_ranks_the_photos_of_the_test_split(tmp_path, capsys):
    rows = []
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (80, 64), colour).save(tmp_path / f"{colour}.png")
        rows.append({"image": f"{colour}.png", "captions": [f"It is {colour}.", f"All {colour}."], "split": "test"})
    (tmp_path / "torn.png").write_bytes(b"nothing")
    rows.append({"image": "torn.png", "captions": ["Torn."], "split": "test"})
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out.json"
    assert main(["search", str(tmp_path), "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["photos"], found["queries"]) == (3, 6)
    assert found["recall@5"] == found["recall@10"] == 1
    assert 0 <= found["recall@1"] <= 1
    assert {answer["rank"] for answer in found["answers"]} <= {1, 1.5, 2, 2.5, 3}
    assert found["notes"][0].startswith("torn.png")
    assert "recall@1" in capsys.readouterr().out
