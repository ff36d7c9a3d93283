"""Training from data to an answer, on a model small enough for seconds; a killed and resumed run equals an unbroken."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from itertools import groupby

import pytest
import torch
from PIL import Image

from personal.concepts import TextDelta, Turn
from personal.data.pictures import parse_picture
from personal.errors import ModelError
from personal.generate import prompt
from personal.generate.local import LocalGenerator
from personal.learn import export
from personal.learn.__main__ import main
from personal.learn.cached import CachedModel
from personal.learn.curves import draw_curves
from personal.learn.direct import DirectModel
from personal.learn.encoding import RowEncoder
from personal.learn.features import FeatureCache
from personal.learn.model import LoraModel
from personal.learn.optimiser import TrainingConfig, lr_factor
from personal.learn.prefix_tree import collate
from personal.learn.sampler import SampleGroup
from personal.learn.train import BEST, CHECKPOINT, LOG, StepResult, train
from personal.tiny import deltas
from tests.conftest import RED
from tests.conftest import picture as drawn
from tests.thin_model import (
    COLOURS,
    CONFIG,
    captioned_photos,
    feature_cache,
    opened,
    thin_checkpoint,
    trained_run,
    training_rows,
)

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def checkpoint():
    return thin_checkpoint()


@pytest.fixture(scope="module")
def photos():
    return captioned_photos()


@pytest.fixture(scope="module")
def rows():
    return training_rows()


@pytest.fixture(scope="module")
def features():
    return feature_cache()


@pytest.fixture(scope="module")
def trained():
    return trained_run()


def run(rows, out, config=CONFIG):
    return list(train(rows, rows, opened, out, config))


def test_training_lowers_the_loss_and_logs_every_step(trained):
    lines = [json.loads(line) for line in (trained / LOG).read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 30
    assert sum(losses[-5:]) < sum(losses[:5]) - 1
    assert "held_out" in lines[-1]


def test_a_run_that_was_killed_and_resumed_equals_an_unbroken_one(rows, tmp_path):
    run(rows, tmp_path / "unbroken")
    broken = train(rows, rows, opened, tmp_path / "broken", CONFIG)
    for _ in range(4):  # one step after the last that was saved
        next(broken)
    broken.close()
    done = run(rows, tmp_path / "broken")
    assert [progress.done for progress in done] == [4, 5, 6]
    one, other = (torch.load(tmp_path / name / CHECKPOINT) for name in ("unbroken", "broken"))
    for name, value in one["master"].items():
        assert torch.equal(value, other["master"][name]), name


def test_a_finished_run_goes_on_when_more_steps_are_asked_for(rows, tmp_path):
    run(rows, tmp_path, replace(CONFIG, steps=2))
    assert [p.done for p in run(rows, tmp_path, replace(CONFIG, steps=4))] == [3, 4]


class Stubborn:
    """Learns nothing; its held-out losses are given."""

    def __init__(self, held_out):
        self.trained = {"lora_a": torch.nn.Parameter(torch.zeros(1))}
        self.statistics = (torch.zeros(0), torch.ones(0))
        self.held_out = iter(held_out)

    def train_step(self, groups, *, backward=True):
        if not backward:
            return StepResult(next(self.held_out), 1, 1)
        self.trained["lora_a"].grad = torch.ones(1)
        return StepResult(1.0, 1, 1)


def test_training_stops_where_the_held_out_loss_falls_no_more_and_keeps_the_best(rows, tmp_path):
    config = replace(CONFIG, steps=20, validate_every=1, save_every=2, patience=2)
    losses = [loss for loss in (3.0, 2.0, 2.5, 2.4) for _ in range(3)]
    done = list(train(rows, rows, lambda _: Stubborn(losses), tmp_path, config))
    assert [p.done for p in done] == [1, 2, 3, 4, 4]
    assert "falls no more" in done[-1].text
    assert torch.load(tmp_path / BEST)["step"] == 2
    assert export.final_checkpoint(tmp_path) == tmp_path / BEST
    assert [p.done for p in train(rows, rows, lambda _: Stubborn([]), tmp_path, config)] == [4]


def test_rows_in_a_tree_have_the_loss_of_the_same_rows_one_by_one(rows, checkpoint, features):
    model, encoder = LoraModel(checkpoint, features.statistics(), rank=4), RowEncoder(checkpoint)
    model.model.float()
    group = max((list(g) for _, g in groupby(rows, key=lambda r: (r["image"], str(r["extra"])))), key=len)
    pad = encoder.pad

    def total(*trees):
        batch = collate(trees, pad)
        maps = torch.stack([torch.tensor(features[p]) for p in batch.pictures])
        return model.loss(batch, maps).item() * batch.weights.sum().item()

    assert total(encoder.tree(group)) == pytest.approx(sum(total(encoder.tree([row])) for row in group), rel=1e-4)


def test_what_was_trained_is_exported_merged_loaded_and_answers(trained, checkpoint, features, tmp_path):
    found = export.to_deltas(trained / CHECKPOINT)
    assert not any(".default." in name for name in found)
    export.merge(checkpoint, found, tmp_path / "merged")
    generator = LocalGenerator(str(tmp_path / "merged"), quantization="none")
    photo = drawn(RED)
    messages = prompt.build_messages([Turn("Give a caption of the photo.", (photo,))], avatars={}, sees=generator.sees)
    said = [p for p in generator.stream(messages, max_new_tokens=5, stop=threading.Event()) if isinstance(p, TextDelta)]
    assert generator.sees
    assert said


def test_the_merged_model_computes_what_the_trained_one_computed(trained, checkpoint, features, rows, tmp_path):
    from transformers import AutoModelForImageTextToText

    saved = torch.load(trained / CHECKPOINT)
    model = LoraModel(checkpoint, (saved["mean"], saved["deviation"]), rank=CONFIG.rank)
    with torch.no_grad():
        for name, parameter in model.trained.items():
            parameter.copy_(saved["master"][name])
    model.model.float()
    encoder = RowEncoder(checkpoint)
    batch = collate([encoder.tree([rows[0]])], 0)
    maps = torch.stack([torch.tensor(features[p]) for p in batch.pictures])
    export.merge(checkpoint, export.to_deltas(trained / CHECKPOINT), tmp_path)
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.inference_mode():
        expected = model.hidden(batch, maps)
        embedded = merged.get_input_embeddings()(batch.ids)
        place = (batch.ids == encoder.image_id).unsqueeze(-1)
        embedded = embedded.masked_scatter(place, merged.model.multi_modal_projector(maps.float()))
        found = merged.model.language_model(inputs_embeds=embedded).last_hidden_state
    assert torch.nn.functional.cosine_similarity(expected, found, dim=-1).min() > 0.99


def test_training_goes_on_from_exported_weights_where_they_were(trained, checkpoint, features, rows, tmp_path):
    from safetensors.torch import save_file

    found = export.to_deltas(export.final_checkpoint(trained))
    save_file(found, str(tmp_path / "mllm.safetensors"))
    again = CachedModel(
        rows, checkpoint, features, rank=CONFIG.rank, seed=3, fresh=True, deltas=tmp_path / "mllm.safetensors"
    )
    was = torch.load(export.final_checkpoint(trained), weights_only=True)["master"]
    for name, parameter in again.trained.items():
        assert torch.allclose(parameter.float(), was[name], rtol=0.02, atol=2e-2), name  # they are shipped in bfloat16


def test_weights_are_mixed_with_those_before_and_with_no_others(trained):
    found = export.to_deltas(export.final_checkpoint(trained))
    before = {name: torch.zeros_like(value) for name, value in found.items()}
    half = export.interpolate(found, before, 0.5)
    assert all(
        torch.allclose(half[name].float(), value.float() / 2, atol=1e-3, rtol=0.02) for name, value in found.items()
    )
    with pytest.raises(ModelError, match="mix"):
        export.interpolate(found, {"other": torch.zeros(1)}, 0.5)


def test_weights_of_another_rank_are_no_start(trained, checkpoint, features, rows, tmp_path):
    from safetensors.torch import save_file

    save_file(export.to_deltas(export.final_checkpoint(trained)), str(tmp_path / "mllm.safetensors"))
    with pytest.raises(ModelError, match="does not fit"):
        CachedModel(rows, checkpoint, features, rank=2, seed=0, fresh=True, deltas=tmp_path / "mllm.safetensors")


def test_deltas_for_another_model_are_refused(trained, checkpoint, tmp_path):
    found = export.to_deltas(trained / CHECKPOINT)
    name = next(n for n in found if n.endswith("lora_A.weight"))
    found[name] = found[name][:, :-1]
    with pytest.raises(ModelError, match="do not fit"):
        export.merge(checkpoint, found, tmp_path)


def test_features_that_were_cut_off_are_gone_on_with(checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("personal.learn.features.BATCH", 1)
    monkeypatch.setattr("personal.learn.features.SAVE_EVERY", 1)
    pictures = [parse_picture(f"{c}.png") for c in COLOURS] + [parse_picture("crop/red.png")]
    whole = FeatureCache(tmp_path / "whole", pictures, checkpoint)
    list(whole.fill(photos))
    cut_off = FeatureCache(tmp_path / "cut", pictures, checkpoint)
    started = cut_off.fill(photos)
    next(started), next(started)
    started.close()
    resumed = FeatureCache(tmp_path / "cut", pictures, checkpoint)
    assert [p.done for p in resumed.fill(photos)] == [3, 4]
    assert [p.done for p in FeatureCache(tmp_path / "cut", pictures[2:], checkpoint).fill(photos)] == []
    assert all((resumed[p] == whole[p]).all() for p in pictures)


def test_three_commands_lead_from_photos_to_deltas(photos, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PERSONAL_CACHE_DIR", str(tmp_path / "cache"))
    data_dir, run_dir, weights = (str(tmp_path / name) for name in ("data", "run", "weights"))
    thin = ["--checkpoint", str(checkpoint), "--batch-size", "2", "--rank", "2"]
    assert main(["data", str(photos.folder), data_dir]) == 0
    assert main(["train", data_dir, str(photos.folder), run_dir, *thin, "--steps", "2"]) == 0
    assert main(["export", run_dir, weights]) == 0
    assert capsys.readouterr().out.split() == [data_dir, run_dir, weights]
    assert (tmp_path / "run" / "curves.png").is_file()
    assert deltas.read(tmp_path / "weights", deltas.MLLM)


def test_a_folder_that_holds_no_photos_is_told_in_words(tmp_path, capsys):
    assert main(["data", str(tmp_path), str(tmp_path / "out")]) == 1
    assert "captions.jsonl" in capsys.readouterr().err


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    config = TrainingConfig(steps=100, warmup_steps=10, decay=0.4)
    assert lr_factor(0, config) == pytest.approx(0.1)
    assert lr_factor(30, config) == 1
    assert lr_factor(80, config) == pytest.approx(0.5)
    assert lr_factor(100, config) == 0


def test_the_learning_curves_are_drawn(trained, tmp_path):
    draw_curves(trained / LOG, tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").width > 300


def family(folder, source):
    """A random Idefics3 of two thin layers with its own processor, over personal-tiny's tokenizer."""
    from transformers import AutoTokenizer, Idefics3Config, Idefics3ForConditionalGeneration
    from transformers.models.idefics3 import Idefics3ImageProcessor, Idefics3Processor

    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.add_tokens(["<fake_token_around_image>", "<global-img>"], special_tokens=True)
    side = {"longest_edge": 64}
    images = Idefics3ImageProcessor(do_image_splitting=False, size=side, max_image_size=side)
    template = (
        "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text }}"
        "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    processor = Idefics3Processor(images, tokenizer, image_seq_len=16, chat_template=template)
    processor.save_pretrained(folder)
    thin = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = Idefics3Config(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_config={**thin, "image_size": 64, "patch_size": 8},
        text_config={"model_type": "llama", **thin, "num_key_value_heads": 2, "vocab_size": len(tokenizer)},
        scale_factor=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    Idefics3ForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("bits", ["16", "4"])
def test_another_family_is_trained_merged_and_answers(checkpoint, photos, tmp_path, monkeypatch, bits):
    monkeypatch.setenv("PERSONAL_CACHE_DIR", str(tmp_path / "cache"))
    data_dir, run_dir, merged = (str(tmp_path / name) for name in ("data", "run", "merged"))
    source = str(family(tmp_path / "family", checkpoint))
    options = ["--checkpoint", source, "--batch-size", "2", "--rank", "2", "--steps", "2", "--bits", bits]
    assert main(["data", str(photos.folder), data_dir]) == 0
    assert main(["train", data_dir, str(photos.folder), run_dir, *options]) == 0
    assert main(["merge", run_dir, source, merged]) == 0
    trained = torch.load(tmp_path / "run" / CHECKPOINT)["master"]
    assert any("connector" in name for name in trained)
    assert any(value.abs().sum() > 0 for name, value in trained.items() if "lora_B" in name)
    generator = LocalGenerator(merged, quantization="none")
    messages = prompt.build_messages([Turn("What is it?", (drawn(RED),))], avatars={}, sees=generator.sees)
    assert [p for p in generator.stream(messages, max_new_tokens=5, stop=threading.Event()) if isinstance(p, TextDelta)]


def test_read_row_by_row_the_loss_is_that_of_the_cached_trees(rows, checkpoint, features, photos):
    row = next(row for row in rows if row["image"] and not row["extra"])
    cached = CachedModel([row], checkpoint, features, rank=2, seed=0, fresh=False)
    direct = DirectModel(checkpoint, photos, rank=2, seed=0)
    one, other = (model.train_step([SampleGroup([row], True)], backward=False) for model in (cached, direct))
    assert one.targets == other.targets
    assert one.tokens + 1 == other.tokens
    assert one.loss == pytest.approx(other.loss, rel=0.02)
