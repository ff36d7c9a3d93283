"""Learning from one's own captions: the reward is CIDEr-D, sampling is decoding, what is rewarded becomes likelier."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from personal.errors import PersonalError
from personal.learn import export
from personal.learn.__main__ import main
from personal.learn.curves import draw
from personal.learn.features import picture
from personal.learn.layout import Tokens, collate, pack
from personal.learn.model import Cached
from personal.learn.reinforce import LOG, RECIPE, Agreement, advantages, captions_of, reinforce, settle
from personal.learn.templates import STANDARD
from personal.learn.train import CHECKPOINT, REINFORCED, SETTLED, train
from tests.test_learn_train import checkpoint, features, photos, rows, trained  # noqa: F401

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
    agreement = Agreement(KNOWN)
    found = [agreement.reward(image, text) for image, text in zip(KNOWN, SAID, strict=True)]
    assert found == pytest.approx(list(expected))
    assert found[1] > found[0] > found[2] >= 0


def test_a_caption_that_breaks_off_gets_less():
    agreement = Agreement(KNOWN)
    assert agreement.reward("a", "A dog runs through the grass.") > agreement.reward(
        "a", "A dog runs through the grass"
    )


def test_what_is_better_than_the_photos_other_captions_weighs_above_nothing():
    assert advantages([1.0, 0.0, 0.5]) == pytest.approx([0.75, -0.75, 0.0])
    assert advantages([0.4, 0.4]) == [0, 0]


@pytest.fixture
def teacher(rows, checkpoint, features):  # noqa: F811
    return Cached(rows, checkpoint, features, rank=4, seed=0, fresh=False)


@pytest.mark.parametrize("labels", [{}, {"red.png": "Labels: red thing (sure). Words: red, wall."}])
def test_a_greedy_answer_is_what_one_token_after_the_other_is_likeliest(teacher, features, labels):  # noqa: F811
    teacher.learner.model.float()
    teacher.layout.labels = labels  # then the prompts are of different lengths
    images = ["red.png", "blue.png"]
    answers = [said for [said] in teacher.say(STANDARD, images, 1, seed=None)]
    for image, answer in zip(images, answers, strict=True):
        asked = teacher._asked(STANDARD, image)
        maps = torch.tensor(features[(image, (0.0, 0.0, 1.0, 1.0))])[None]
        ids = list(asked)
        for token in answer[:4]:
            tree = replace(collate_one(teacher, ids), pictures=[])
            hidden = teacher.learner.hidden(tree, maps)[0, -1]
            assert (teacher.learner.model.lm_head.weight @ hidden).argmax() == token
            ids.append(token)


def collate_one(teacher, ids):
    return collate([pack([Tokens((*ids, 0), len(ids))], [])], teacher.layout.pad)


def test_drawn_answers_differ_and_a_seed_gives_them_again(teacher):
    one, again, other = (teacher.say(STANDARD, ["red.png"], 4, seed=seed) for seed in (1, 1, 2))
    assert one == again != other
    assert len(set(one[0])) > 1


def test_what_is_weighed_up_becomes_likelier_and_what_is_weighed_down_less(teacher):
    teacher.learner.model.float()
    answers = teacher.say(STANDARD, ["red.png"], 2, seed=3)
    good, bad = answers[0]

    def loss(answer):
        asked = teacher._asked(STANDARD, "red.png")
        batch = collate([pack([Tokens((*asked, *answer), len(asked))], [picture("red.png")])], teacher.layout.pad)
        with torch.no_grad():
            return teacher.learner.loss(batch, teacher._maps(batch.pictures)).item()

    before = loss(good), loss(bad)
    teacher.weigh(STANDARD, ["red.png"], answers, [[1.0, -1.0]])
    with torch.no_grad():
        for parameter in teacher.trained.values():
            parameter -= 1e-3 * parameter.grad
    assert loss(good) - loss(bad) < before[0] - before[1] - 1e-4


def test_reinforcing_goes_on_where_it_was_killed_and_is_what_is_exported(trained, rows, teacher, tmp_path):  # noqa: F811
    recipe = replace(RECIPE, steps=4, trees=2, rank=4, save_every=2, validate_every=2)
    for name in ("unbroken", "broken"):
        shutil.copytree(trained, tmp_path / name)
    assert [p.done for p in reinforce(rows, rows, teacher, tmp_path / "unbroken", recipe)] == [1, 2, 3, 4]
    started = reinforce(rows, rows, teacher, tmp_path / "broken", recipe)
    for _ in range(3):
        next(started)
    started.close()
    assert [p.done for p in reinforce(rows, rows, teacher, tmp_path / "broken", recipe)] == [3, 4]
    one, other = (torch.load(tmp_path / name / REINFORCED)["master"] for name in ("unbroken", "broken"))
    before = torch.load(trained / CHECKPOINT)["master"]
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert any(not torch.equal(value, before[name]) for name, value in one.items())
    assert export.final(tmp_path / "broken") == tmp_path / "broken" / REINFORCED
    assert export.ship_mllm(tmp_path / "broken", tmp_path / "weights")["reinforced_steps"] == 4
    draw(tmp_path / "broken" / LOG, tmp_path / "rewards.png")
    last = json.loads((tmp_path / "broken" / LOG).read_text(encoding="utf-8").splitlines()[-1])
    assert last["held_out"] >= 0


def test_what_was_learnt_on_is_void_once_the_weights_before_it_change(trained, rows, teacher, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    recipe = replace(RECIPE, steps=1, trees=2, rank=4, validate_every=9)
    list(reinforce(rows, [], teacher, run, recipe))
    list(settle(rows, teacher, run, replace(recipe, steps=1)))
    assert export.final(run) == run / SETTLED
    list(reinforce(rows, [], teacher, run, replace(recipe, steps=2)))
    assert export.final(run) == run / REINFORCED
    further = replace(RECIPE, steps=31, trees=6, rank=4, save_every=1, validate_every=99)
    list(train(rows, [], lambda fresh: teacher, run, further))
    assert export.final(run) not in {run / REINFORCED, run / SETTLED}


def test_nothing_is_reinforced_where_nothing_was_trained(rows, teacher, tmp_path):  # noqa: F811
    with pytest.raises(PersonalError, match="run `train` first"):
        list(reinforce(rows, rows, teacher, tmp_path))


def test_plain_captions_alone_are_agreed_with(rows):  # noqa: F811
    captions = captions_of(rows)
    assert captions.keys() <= {"red.png", "blue.png", "green.png"}
    assert all(text.endswith(".") and "<" not in text for texts in captions.values() for text in texts)


def test_the_command_reinforces_a_run(photos, checkpoint, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setenv("PERSONAL_CACHE_DIR", str(tmp_path / "cache"))
    data_dir, run_dir = (str(tmp_path / name) for name in ("data", "run"))
    thin = ["--checkpoint", str(checkpoint), "--rank", "2"]
    assert main(["data", str(photos.folder), data_dir]) == 0
    assert main(["train", data_dir, str(photos.folder), run_dir, *thin, "--trees", "2", "--steps", "2"]) == 0
    assert main(["reinforce", data_dir, str(photos.folder), run_dir, *thin, "--steps", "1"]) == 0
    assert (tmp_path / "run" / REINFORCED).is_file()
    assert export.final(tmp_path / "run") == tmp_path / "run" / SETTLED
    assert (tmp_path / "run" / "rewards.png").is_file()
