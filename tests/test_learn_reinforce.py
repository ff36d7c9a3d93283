"""Training on one's own captions: the reward is CIDEr-D, and rewarded captions become more probable."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from personal.data.pictures import parse_picture
from personal.data.templates import CAPTION_REQUEST
from personal.errors import PersonalError
from personal.learn import export
from personal.learn.__main__ import main
from personal.learn.cider import CiderD
from personal.learn.curves import draw_curves
from personal.learn.prefix_tree import TokenSequence, build_tree, collate
from personal.learn.reinforce import CONFIG, LOG, advantages, finetune, own_captions, reinforce
from personal.learn.train import CHECKPOINT, FINETUNED, REINFORCED, train
from tests.thin_model import captioned_photos, feature_cache, opened, thin_checkpoint, trained_run, training_rows

pytestmark = pytest.mark.model
KNOWN = {
    "a": ["A dog runs through the grass.", "A brown dog is running on grass."],
    "b": ["A man rides a bike.", "The man on a bike rides along a road."],
    "c": ["Two girls play in the sand.", "Girls playing on a beach."],
}
SAID = ["A dog runs on the grass.", "A man rides a bike along a road.", "Two dogs."]


def test_the_reward_is_cider_d_as_pycocoevalcap_computes_it():
    from pycocoevalcap.cider.cider import Cider

    plain = {image: [text.lower().replace(".", " .") for text in texts] for image, texts in KNOWN.items()}
    said = {image: [text.lower().replace(".", " .")] for image, text in zip(KNOWN, SAID, strict=True)}
    _, expected = Cider().compute_score(plain, said)
    scorer = CiderD(KNOWN)
    found = [scorer.score(image, text) for image, text in zip(KNOWN, SAID, strict=True)]
    assert found == pytest.approx(list(expected))
    assert found[1] > found[0] > found[2] >= 0


def test_a_caption_that_breaks_off_gets_less():
    scorer = CiderD(KNOWN)
    assert scorer.score("a", "A dog runs through the grass.") > scorer.score("a", "A dog runs through the grass")


def test_what_is_better_than_the_photos_other_captions_weighs_above_nothing():
    assert advantages([1.0, 0.0, 0.5]) == pytest.approx([0.75, -0.75, 0.0])
    assert advantages([0.4, 0.4]) == [0, 0]


@pytest.fixture(scope="module")
def rows():
    return training_rows()


@pytest.fixture(scope="module")
def trained():
    return trained_run()


@pytest.fixture
def model():
    return opened(fresh=False)


@pytest.mark.parametrize("labels", [{}, {"red.png": "Labels: red thing (sure). Words: red, wall."}])
def test_a_greedy_answer_is_what_one_token_after_the_other_is_likeliest(model, labels):
    model.lora.model.float()
    model.encoder.labels = labels  # then the prompts are of different lengths
    images = ["red.png", "blue.png"]
    answers = [said for [said] in model.sample(CAPTION_REQUEST, images, 1, seed=None)]
    for image, answer in zip(images, answers, strict=True):
        asked = model.encoder.question(CAPTION_REQUEST, image)
        maps = torch.tensor(feature_cache()[(image, (0.0, 0.0, 1.0, 1.0))])[None]
        ids = list(asked)
        for token in answer[:4]:
            tree = replace(collate_one(model, ids), pictures=[])
            hidden = model.lora.hidden(tree, maps)[0, -1]
            assert (model.lora.model.lm_head.weight @ hidden).argmax() == token
            ids.append(token)


def collate_one(model, ids):
    return collate([build_tree([TokenSequence((*ids, 0), len(ids))], [])], model.encoder.pad)


def test_drawn_answers_differ_and_a_seed_gives_them_again(model):
    one, again, other = (model.sample(CAPTION_REQUEST, ["red.png"], 4, seed=seed) for seed in (1, 1, 2))
    assert one == again != other
    assert len(set(one[0])) > 1


def test_what_is_weighed_up_becomes_likelier_and_what_is_weighed_down_less(model):
    model.lora.model.float()
    answers = model.sample(CAPTION_REQUEST, ["red.png"], 2, seed=3)
    good, bad = answers[0]

    def loss(answer):
        asked = model.encoder.question(CAPTION_REQUEST, "red.png")
        batch = collate(
            [build_tree([TokenSequence((*asked, *answer), len(asked))], [parse_picture("red.png")])], model.encoder.pad
        )
        with torch.no_grad():
            return model.lora.loss(batch, model.maps(batch.pictures)).item()

    before = loss(good), loss(bad)
    model.policy_gradient_step(CAPTION_REQUEST, ["red.png"], answers, [[1.0, -1.0]])
    with torch.no_grad():
        for parameter in model.trained.values():
            parameter -= 1e-3 * parameter.grad
    assert loss(good) - loss(bad) < before[0] - before[1] - 1e-4


def test_reinforcing_goes_on_where_it_was_killed_and_is_what_is_exported(trained, rows, model, tmp_path):
    config = replace(CONFIG, steps=4, batch_size=2, rank=4, save_every=2, validate_every=2)
    for name in ("unbroken", "broken"):
        shutil.copytree(trained, tmp_path / name)
    assert [p.done for p in reinforce(rows, rows, model, tmp_path / "unbroken", config)] == [1, 2, 3, 4]
    started = reinforce(rows, rows, model, tmp_path / "broken", config)
    for _ in range(3):
        next(started)
    started.close()
    assert [p.done for p in reinforce(rows, rows, model, tmp_path / "broken", config)] == [3, 4]
    one, other = (torch.load(tmp_path / name / REINFORCED)["master"] for name in ("unbroken", "broken"))
    before = torch.load(trained / CHECKPOINT)["master"]
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert any(not torch.equal(value, before[name]) for name, value in one.items())
    assert export.final_checkpoint(tmp_path / "broken") == tmp_path / "broken" / REINFORCED
    assert export.export_mllm(tmp_path / "broken", tmp_path / "weights")["reinforced_steps"] == 4
    draw_curves(tmp_path / "broken" / LOG, tmp_path / "rewards.png")
    last = json.loads((tmp_path / "broken" / LOG).read_text(encoding="utf-8").splitlines()[-1])
    assert last["held_out"] >= 0


def test_what_was_learnt_on_is_void_once_the_weights_before_it_change(trained, rows, model, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = replace(CONFIG, steps=1, batch_size=2, rank=4, validate_every=9)
    list(reinforce(rows, [], model, run, config))
    list(finetune(rows, model, run, replace(config, steps=1)))
    assert export.final_checkpoint(run) == run / FINETUNED
    list(reinforce(rows, [], model, run, replace(config, steps=2)))
    assert export.final_checkpoint(run) == run / REINFORCED
    further = replace(CONFIG, steps=31, batch_size=6, rank=4, save_every=1, validate_every=99)
    list(train(rows, [], lambda fresh: model, run, further))
    assert export.final_checkpoint(run) not in {run / REINFORCED, run / FINETUNED}


def test_nothing_is_reinforced_where_nothing_was_trained(rows, model, tmp_path):
    with pytest.raises(PersonalError, match="run `train` first"):
        list(reinforce(rows, rows, model, tmp_path))


def test_plain_captions_alone_are_agreed_with(rows):
    captions = own_captions(rows)
    assert captions.keys() <= {"red.png", "blue.png", "green.png"}
    assert all(text.endswith(".") and "<" not in text for texts in captions.values() for text in texts)


def test_the_command_reinforces_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONAL_CACHE_DIR", str(tmp_path / "cache"))
    data_dir, run_dir = (str(tmp_path / name) for name in ("data", "run"))
    thin = ["--checkpoint", str(thin_checkpoint()), "--rank", "2"]
    assert main(["data", str(captioned_photos().folder), data_dir]) == 0
    assert (
        main(["train", data_dir, str(captioned_photos().folder), run_dir, *thin, "--batch-size", "2", "--steps", "2"])
        == 0
    )
    assert main(["reinforce", data_dir, str(captioned_photos().folder), run_dir, *thin, "--steps", "1"]) == 0
    assert (tmp_path / "run" / REINFORCED).is_file()
    assert export.final_checkpoint(tmp_path / "run") == tmp_path / "run" / FINETUNED
    assert (tmp_path / "run" / "rewards.png").is_file()
