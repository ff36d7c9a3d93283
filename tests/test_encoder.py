"""The encoder: the embedded one opened for real, other open_clip models, and sources that are none."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from personal.errors import ModelError
from personal.retrieve.encoder import UNFITTED_THRESHOLD, Encoder
from personal.retrieve.regions import pool_whole
from personal.settings import load
from personal.tiny.assemble import assemble, encoder_dir


def opened(source):
    encoder = Encoder(str(source), device="cpu")
    list(encoder.load())
    return encoder


def scene(size=(300, 200), colour="orange"):
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((size[0] // 4, 20, size[0] // 2, size[1] - 20), fill=colour)
    return image


@pytest.fixture(scope="module")
def folder():
    cache_dir = load().cache_dir
    for _ in assemble(cache_dir):
        pass
    return encoder_dir(cache_dir)


@pytest.fixture(scope="module")
def embedded(folder):
    return opened(folder)


@pytest.mark.model
def test_the_embedded_encoder_gives_unit_instance_vectors_and_maps(embedded):
    vectors = embedded.embed([scene(), scene(colour="navy")])
    assert vectors.shape == (2, embedded.dimension) == (2, 160)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    dense = embedded.dense(scene())
    assert dense.shape == (16, 24, 1280)
    np.testing.assert_allclose(embedded.project(pool_whole(dense))[0], vectors[0], atol=1e-4)
    assert embedded.embed([]).shape == (0, 160)
    assert embedded.dense(scene(), fine=True).shape == (24, 36, 1280)


@pytest.mark.model
def test_folded_batch_norms_leave_the_map_as_it_was(folder, embedded, monkeypatch):
    monkeypatch.setattr("personal.retrieve.encoder.fold_batch_norms", lambda trunk: None)
    plain, image = opened(folder), scene()
    assert any("BatchNorm" in type(part).__name__ for part in plain.model.visual.trunk.modules())
    assert not any("BatchNorm" in type(part).__name__ for part in embedded.model.visual.trunk.modules())
    assert np.abs(plain.dense(image) - embedded.dense(image)).max() < 1e-3


@pytest.mark.model
def test_a_reference_is_remembered_whole_first_then_its_middle_and_from_afar(embedded):
    vectors = embedded.embed_reference(scene())
    assert vectors.shape == (3, 160)
    np.testing.assert_allclose(vectors[0], embedded.embed([scene()])[0], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert np.abs(embedded.cohort_score(vectors)).max() < 0.5


@pytest.mark.model
@pytest.mark.parametrize("size", [(16, 16), (3000, 20), (20, 3000), (33, 700)])
def test_pictures_of_any_shape_have_a_map_of_bounded_size(embedded, size):
    rows, columns, _ = embedded.dense(Image.new("RGB", size, "teal")).shape
    assert 1 <= rows <= 32
    assert 1 <= columns <= 32
    assert np.isfinite(embedded.embed([Image.new("RGB", size)])).all()


@pytest.mark.model
def test_a_thin_strip_costs_no_more_memory_than_other_photos(embedded):
    tracemalloc.start()
    try:
        embedded.dense(Image.new("RGB", (1536, 16), "teal"))
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


@pytest.mark.model
def test_a_photo_in_which_nothing_is_sharp_is_seen_smaller(embedded):
    with Image.open(Path(__file__).parents[1] / "assets" / "samples" / "bo-1.jpg") as file:
        sharp = file.convert("RGB")
    soft = sharp.filter(ImageFilter.GaussianBlur(min(sharp.size) / 80))
    partly = soft.copy()
    third = tuple(side // 3 for side in sharp.size)
    partly.paste(sharp.crop((*third, *(2 * side for side in third))), third)
    for fine in (False, True):
        full, less, some = (embedded.dense(image, fine=fine).shape for image in (sharp, soft, partly))
        assert some == full
        assert less[0] <= full[0] / 2
        assert less[1] <= full[1] / 2
    near, _, far = embedded.embed_reference(soft)
    assert np.allclose(near, far, atol=1e-5)
    near, _, far = embedded.embed_reference(sharp)
    assert not np.allclose(near, far, atol=1e-2)


@pytest.mark.model
def test_the_id_is_stable_and_changes_with_the_weights(embedded, folder, tmp_path):
    assert opened(folder).id == embedded.id
    other = tmp_path / "encoder"
    shutil.copytree(folder, other)
    config = json.loads((other / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
    (other / "open_clip_config.json").write_text(json.dumps(config))
    assert opened(other).id != embedded.id


@pytest.mark.model
def test_the_embedded_encoder_ships_a_fitted_threshold(embedded):
    assert 0.5 < embedded.threshold < UNFITTED_THRESHOLD


def test_a_vision_transformer_gives_no_map_but_embeds_pictures(tmp_path):
    import open_clip
    from safetensors.torch import save_file

    model_cfg = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 1, "layers": 1},
    }
    model = open_clip.CLIP(**model_cfg)
    save_file(model.state_dict(), str(tmp_path / "open_clip_model.safetensors"))
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model_cfg, "preprocess_cfg": {}}))
    encoder = opened(tmp_path)
    assert encoder.dense(scene()) is None
    assert encoder.embed([scene()] * 20).shape == (20, 16) == (20, encoder.dimension)
    assert encoder.threshold == UNFITTED_THRESHOLD


@pytest.mark.parametrize("source", ["no-such-model", "ViT-B-32/no-such-weights", "/no/such/folder"])
def test_a_source_that_is_none_is_refused_by_name(source):
    with pytest.raises(ModelError, match="PERSONAL_ENCODER") as caught:
        opened(source)
    assert source in str(caught.value)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be opened"):
        opened(tmp_path)
