"""The text side is trained by contrast, found by search, and named as open_clip names it."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn.functional import normalize

from personal.errors import ModelError
from personal.learn import align, export
from personal.tiny import deltas


def test_captions_find_their_photos_after_alignment():
    random = torch.Generator().manual_seed(0)
    told = torch.randn(40, 24, generator=random)
    images = (told @ torch.randn(24, 32, generator=random)).unsqueeze(1).repeat(1, 2, 1)
    texts = (told @ torch.randn(24, 16, generator=random)).repeat_interleave(2, 0)
    of_text = [i // 2 for i in range(80)]
    torch.manual_seed(0)
    *_, (_, loss, heads) = align.fit(images, texts, of_text, seed=0, epochs=40)
    heads.eval()
    with torch.inference_mode():
        image, text = normalize(heads["image"](images[:, 0]), dim=-1), normalize(heads["text"](texts), dim=-1)
    found = align.recall(image, text, of_text)
    assert loss < 2
    assert found["recall@1"] > 0.5


def test_recall_counts_what_ranks_above_the_own_photo():
    images = torch.eye(12)
    texts = torch.eye(12).roll(1, 0)
    assert align.recall(images, torch.eye(12), range(12)) == {"recall@1": 1, "recall@5": 1, "recall@10": 1}
    assert align.recall(images, texts, range(12))["recall@1"] == 0


def test_the_heads_have_the_names_and_shapes_of_open_clips_own():
    from open_clip.hf_model import HFTextEncoder  # noqa: F401  (the text head's shape is fixed there)
    from timm.layers import Mlp

    heads = align.make_heads(1280, 384)
    theirs = Mlp(1280, 2 * 384, 384, bias=(True, False)).state_dict()
    ours = {
        n.removeprefix("visual.head.mlp."): w for n, w in heads["image"].state_dict(prefix="visual.head.mlp.").items()
    }
    assert {n: w.shape for n, w in ours.items()} == {n: w.shape for n, w in theirs.items()}
    assert {n: tuple(w.shape) for n, w in heads["text"].state_dict().items()} == {
        "0.weight": (384, 384),
        "2.weight": (384, 384),
    }


def shipped(folder):
    export.write_weights(folder, deltas.MLLM, {"a.weight": torch.ones(2, 3)}, {"steps": 1})
    return folder / deltas.MLLM


def test_shipped_weights_are_read_back_and_the_manifest_tells_their_hash_and_parts(tmp_path):
    shipped(tmp_path)
    export.write_weights(tmp_path, deltas.ENCODER, {"b": torch.zeros(1)}, {})
    assert torch.equal(deltas.read(tmp_path, deltas.MLLM)["a.weight"], torch.ones(2, 3))
    manifest = json.loads((tmp_path / deltas.MANIFEST).read_text(encoding="utf-8"))
    assert set(manifest["files"]) == {deltas.MLLM, deltas.ENCODER}
    assert manifest["files"][deltas.MLLM]["steps"] == 1
    assert all(len(part["sha256"]) == 64 for part in manifest["parts"])


@pytest.mark.parametrize("harm", ["missing", "cut off", "changed", "no manifest"])
def test_weights_that_are_missing_or_damaged_are_refused_in_words(tmp_path, harm):
    path = shipped(tmp_path)
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "cut off":
        path.write_bytes(data[:-1])
    elif harm == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        (tmp_path / deltas.MANIFEST).unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        deltas.read(tmp_path, deltas.MLLM)


def test_lora_is_added_and_everything_else_replaces():
    weights = {"a.weight": torch.ones(2, 3), "b.bias": torch.zeros(2)}
    found = {"a.lora_A.weight": torch.ones(1, 3), "a.lora_B.weight": torch.full((2, 1), 2.0), "b.bias": torch.ones(2)}
    changed = deltas.apply_deltas(weights, found)
    assert torch.equal(changed["a.weight"], torch.full((2, 3), 3.0))
    assert torch.equal(changed["b.bias"], torch.ones(2))
    assert torch.equal(weights["a.weight"], torch.ones(2, 3))


def test_deltas_of_another_shape_are_refused():
    with pytest.raises(ModelError, match="do not fit"):
        deltas.apply_deltas({"a.weight": torch.ones(2, 3)}, {"a.weight": torch.ones(3, 2)})
