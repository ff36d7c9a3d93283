"""What recognition adds to the encoder is trained on unlabelled photos, reproducibly, and read back as written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from personal.data.photos import Photos
from personal.errors import ModelError, PersonalError
from personal.learn import boxes, export, recognition
from personal.learn.__main__ import main
from personal.retrieve import head
from personal.retrieve.encoder import Encoder
from personal.settings import load
from personal.tiny import deltas
from personal.tiny.assemble import assemble, encoder_dir

CELL, PATCH, CHANNELS = 32, 4, 96
DIRECTIONS = np.random.default_rng(7).normal(size=(PATCH * PATCH * 3, CHANNELS)).astype(np.float32)
SMALL = recognition.Sizes(pairs=60, cohort=30, scenes=60, steps=300)


def encode(image, short):
    """Stand in for the encoder: what a patch of a few pixels says, in channels that are never negative."""
    scale = short / min(image.size)
    columns, rows = (max(1, round(side * scale / CELL)) for side in image.size)
    pixels = np.asarray(image.resize((columns * PATCH, rows * PATCH)), np.float32) / 255 - 0.5
    patches = pixels.reshape(rows, PATCH, columns, PATCH, 3).swapaxes(1, 2).reshape(rows, columns, -1)
    return np.maximum(patches @ DIRECTIONS, 0)


def drawn(number):
    random = np.random.default_rng(number)
    ground, mark = (tuple(random.integers(0, 256, 3).tolist()) for _ in range(2))
    photo = Image.new("RGB", (120, 90), ground)
    x, y = random.integers(0, 60, 2).tolist()
    ImageDraw.Draw(photo).ellipse((x, y, x + 40, y + 30), fill=mark)
    return photo


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rows = []
    for number in range(42):
        drawn(number).save(folder / f"{number}.png")
        split = "test" if number >= 40 else "train"
        rows.append({"image": f"{number}.png", "captions": ["A mark."], "split": split})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return Photos(folder)


def draw(random):
    return drawn(int(random.integers(40)))


def run(steps):
    """Go through a generator and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


@pytest.fixture(scope="module")
def learnt(photos):
    return run(recognition.train_head(photos, encode, 0, SMALL))


def test_boxes_of_unknown_scenes_are_drawn_closer_after_learning(learnt):
    _, facts = learnt
    assert facts["held_out_iou"] > facts["held_out_iou_before"] + 0.05
    assert facts["held_out_iou_before"] > boxes.MIN_IOU


def test_what_is_shipped_is_read_back_as_it_was_learnt(learnt, tmp_path):
    made, facts = learnt
    export.write_weights(tmp_path, deltas.RECOGNITION, recognition.to_tensors(made), facts)
    assert deltas.read(tmp_path, deltas.RECOGNITION)
    found = head.read(tmp_path)
    assert found.projection.shape == (CHANNELS, CHANNELS)
    assert found.cohort.shape == (30, CHANNELS)
    assert [weight.shape for weight, _ in found.layers] == [(192, 4000), (128, 192), (4, 128)]
    np.testing.assert_allclose(np.linalg.norm(found.cohort, axis=1), 1, atol=1e-2)
    dense, guess = encode(drawn(3), 512), np.array([[0.1, 0.2, 0.6, 0.7]], np.float32)
    np.testing.assert_allclose(found.regress_boxes(dense, guess), made.regress_boxes(dense, guess), atol=0.02)
    manifest = json.loads((tmp_path / deltas.MANIFEST).read_text(encoding="utf-8"))
    told = manifest["files"][deltas.RECOGNITION]
    assert (told["photos"], told["pairs"], told["steps"], told["seed"]) == (40, 60, 300, 0)


def test_the_same_seed_learns_the_same_and_another_does_not(photos):
    sizes = recognition.Sizes(pairs=6, cohort=4, scenes=3, steps=5)
    heads = [run(recognition.train_head(photos, encode, seed, sizes))[0] for seed in (0, 0, 1)]
    one, again, other = map(recognition.to_tensors, heads)
    assert all(bool((one[name] == again[name]).all()) for name in one)
    assert not bool((one["boxes.0.weight"] == other["boxes.0.weight"]).all())


def test_a_projection_tells_subjects_apart_that_one_light_makes_alike():
    random = np.random.default_rng(0)
    subjects = random.normal(size=(200, 24))
    light = random.normal(size=(2, 200, 8)) * 6
    turn, _ = np.linalg.qr(random.normal(size=(32, 32)))
    first, second = ((np.hstack([subjects, light[look]]) @ turn).astype(np.float32) for look in (0, 1))

    def named_right(projection):
        one, two = head.unit(first[100:] @ projection), head.unit(second[100:] @ projection)
        return ((one @ two.T).argmax(axis=1) == np.arange(100)).mean()

    learnt = recognition.fit_projection(first[:100], second[:100], 24, ridge=0.01)
    assert learnt.shape == (32, 24)
    assert named_right(np.eye(32, dtype=np.float32)) < 0.5
    assert named_right(learnt) > 0.95


def test_usual_pictures_are_as_common_as_usual(learnt):
    made, _ = learnt
    looks = run(recognition.augmented_pairs(draw, encode, 40, np.random.default_rng(5)))
    cohort_score = made.cohort_score(made.project(np.concatenate(looks)))
    assert abs(cohort_score.mean()) < 0.15


def test_what_is_pasted_lies_in_its_box_and_never_over_another():
    random = np.random.default_rng(0)
    plain = {"behind": Image.new("RGB", (100, 100), "black"), "part": Image.new("RGB", (100, 100), "white")}
    for _ in range(20):
        order = iter(["behind"])
        scene, found = boxes.paste_scene(lambda _, order=order: plain[next(order, "part")], random)
        white = np.asarray(scene)[..., 0] > 128
        for x0, y0, x1, y1 in np.round(found * np.tile(scene.size, 2)).astype(int):
            inside = white[y0:y1, x0:x1]
            assert inside.mean() > 0.3
            assert inside.any(axis=0).mean() > 0.9
            assert inside.any(axis=1).mean() > 0.9
            white[y0:y1, x0:x1] = False
        assert not white.any()


def test_guesses_lie_in_the_photo_and_touch_what_they_guess_at():
    truth = np.array([0.1, 0.3, 0.4, 0.5], np.float32)
    guessed = boxes.propose(truth, (16, 24, 8), 50, np.random.default_rng(0))
    assert guessed.shape == (50, 4)
    assert guessed.min() >= 0
    assert guessed.max() <= 1
    assert boxes.paired_iou(guessed, truth[None]).min() > boxes.MIN_IOU


def test_overlap_is_intersection_over_union():
    one = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1], [0, 0, 0.2, 0.2]], np.float32)
    other = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0.5, 0.5, 1, 1]], np.float32)
    np.testing.assert_allclose(boxes.paired_iou(one, other), [0.5, 1, 0])


def test_too_few_photos_are_refused_in_words(tmp_path):
    (tmp_path / "captions.jsonl").write_text('{"image": "a.png", "captions": []}', encoding="utf-8")
    with pytest.raises(PersonalError, match="at least 5"):
        run(recognition.train_head(Photos(tmp_path), encode, 0, SMALL))


def test_a_damaged_file_is_refused_and_what_is_lost_is_said(learnt, tmp_path):
    export.write_weights(tmp_path, deltas.RECOGNITION, recognition.to_tensors(learnt[0]), {})
    path = tmp_path / deltas.RECOGNITION
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"missing or damaged.*recognised worse"):
        deltas.read(tmp_path, deltas.RECOGNITION)


def test_assembly_and_encoder_mean_the_same_file():
    assert deltas.RECOGNITION == head.FILE


@pytest.mark.model
def test_the_shell_learns_with_the_embedded_encoder(photos, tmp_path):
    few = ["--pairs", "4", "--cohort", "4", "--scenes", "2", "--steps", "3"]
    assert main(["recognise", str(photos.folder), str(tmp_path), *few]) == 0
    found = head.read(tmp_path)
    assert found.projection.shape == (1280, recognition.DIMENSION)
    assert found.cohort.shape == (4, recognition.DIMENSION)
    assert all(np.isfinite(weight).all() for weight, _ in found.layers)


@pytest.mark.model
def test_the_shipped_head_draws_boxes_closer_with_the_embedded_encoder():
    folder = load().cache_dir
    for _ in assemble(folder):
        pass
    encoder = Encoder(str(encoder_dir(folder)))
    for _ in encoder.load():
        pass
    scenes = run(recognition.encoded_scenes(draw, encoder.encode_map, 8, np.random.default_rng(0)))
    before, after = boxes.mean_iou(head.read(deltas.SHIPPED), scenes, 0)
    assert after > before + 0.05


def test_the_shipped_head_has_what_the_app_reads():
    found = head.read(deltas.SHIPPED)
    assert found.projection.shape == (1280, recognition.DIMENSION)
    assert len(found.cohort) == 1000
    assert found.layers[0][0].shape[1] == head.GRID**2 * boxes.WIDTH
    assert 0 < found.cohort_mean < 1
