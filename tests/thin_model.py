"""A model thin enough to train in seconds, with photos and rows for it: made once, for all tests that train."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from personal.data.photos import Photos
from personal.data.pictures import parse_picture
from personal.data.rows import make_rows
from personal.learn.cached import CachedModel
from personal.learn.features import FeatureCache
from personal.learn.optimiser import TrainingConfig
from personal.learn.train import train
from personal.settings import load
from personal.tiny.assemble import assemble, mllm_dir

COLOURS = {"red": "A red dog runs through the grass.", "blue": "A blue dog sits.", "green": "A man rides a green bike."}
CONFIG = TrainingConfig(steps=6, batch_size=2, rank=4, warmup_steps=2, save_every=3, validate_every=6)
FOLDER = TemporaryDirectory(prefix="personal-thin-", ignore_cleanup_errors=True)


def _folder(name: str) -> Path:
    folder = Path(FOLDER.name) / name
    folder.mkdir()
    return folder


@cache
def thin_checkpoint() -> Path:
    """A FastVLM with two thin layers and a test-sized tower, and personal-tiny's own processor."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, TimmWrapperConfig

    cache_dir = load().cache_dir
    for _ in assemble(cache_dir):
        pass
    source, folder = mllm_dir(cache_dir), _folder("checkpoint")
    config = AutoConfig.from_pretrained(source)
    thin = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config.text_config.update({**thin, "num_key_value_heads": 2, "head_dim": 16})
    config.vision_config = TimmWrapperConfig(
        architecture="test_efficientnet", do_pooling=False, num_labels=0, hidden_size=256
    )
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"):
        shutil.copy(source / name, folder)
    return folder


@cache
def captioned_photos() -> Photos:
    """Three photos of one colour each, with two captions."""
    folder = _folder("photos")
    for colour in COLOURS:
        Image.new("RGB", (64, 64), colour).save(folder / f"{colour}.png")
    lines = [
        json.dumps({"image": f"{c}.png", "captions": [text, "Someone is outside."]}) for c, text in COLOURS.items()
    ]
    (folder / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Photos(folder)


@cache
def training_rows() -> list[dict]:
    return list(make_rows(captioned_photos().rows, 0, rounds=2))


@cache
def feature_cache() -> FeatureCache:
    paths = dict.fromkeys(path for row in training_rows() for path in (row["image"], *row["extra"]) if path)
    made = FeatureCache(_folder("features"), [parse_picture(path) for path in paths], thin_checkpoint())
    list(made.fill(captioned_photos()))
    return made


def opened(fresh: bool) -> CachedModel:
    """The thin model, opened to train on the rows."""
    checkpoint, features = thin_checkpoint(), feature_cache()
    return CachedModel(training_rows(), checkpoint, features, rank=CONFIG.rank, seed=CONFIG.seed, fresh=fresh)


@cache
def trained_run() -> Path:
    """A run of 30 steps. Tests copy it before they go on with it."""
    config, rows = replace(CONFIG, steps=30, batch_size=6, lora_lr=5e-3, connector_lr=5e-3), training_rows()
    out = _folder("run")
    list(train(rows, rows, opened, out, config))
    return out
