"""Write what was trained: deltas as safetensors, or merged into an ordinary checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.learn.model import SCALE
from personal.learn.reinforce import LOG as REWARDS
from personal.learn.train import LOG, REINFORCED, SETTLED, saved
from personal.tiny.deltas import ENCODER, MANIFEST, MLLM, applied, parts
from personal.tiny.parts import digest

if TYPE_CHECKING:
    import torch

FIRST = "model.multi_modal_projector.linear_1"


def final(run: Path) -> Path:
    """Tell which weights of a run to keep: settled, or reinforced, or of the lowest held-out loss, or the last."""
    later = (run / SETTLED, run / REINFORCED)
    return next((path for path in later if path.is_file()), saved(run))


def deltas(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Turn a training checkpoint into deltas in bfloat16: LoRA's scale and the maps' standardisation are folded in."""
    import torch

    run = torch.load(checkpoint, map_location="cpu", weights_only=True)
    mean, deviation = run["mean"], run["deviation"]
    found = {}
    for name, value in run["master"].items():
        plain = name.replace(".default.", ".")
        found[plain] = value * SCALE if ".lora_B." in plain else value
    if len(mean):
        weight = found[f"{FIRST}.weight"] / deviation
        found[f"{FIRST}.bias"] = found[f"{FIRST}.bias"] - weight @ mean
        found[f"{FIRST}.weight"] = weight
    return {name: value.to(torch.bfloat16).contiguous() for name, value in found.items()}


def merge(checkpoint: Path, found: dict[str, torch.Tensor], out: Path) -> None:
    """Write a checkpoint with the deltas added to its weights. Raises ModelError where they do not fit."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.bfloat16, trust_remote_code=False)
    model.load_state_dict(applied(model.state_dict(), found))
    model.save_pretrained(out)
    AutoProcessor.from_pretrained(checkpoint, trust_remote_code=False).save_pretrained(out)
    (out / "personal.json").write_text(json.dumps({"sees": True}), encoding="utf-8")


def ship(folder: Path, name: str, found: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write deltas into a folder and note their sha256, size and where they come from in its manifest."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(found, str(folder / name), metadata={"format": "pt"})
    (folder / name).chmod(0o644)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"files": {}}
    manifest["parts"] = parts()
    manifest["files"][name] = {"sha256": digest(folder / name), "size": (folder / name).stat().st_size, **facts}
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def ship_mllm(run: Path, folder: Path) -> dict[str, Any]:
    """Ship a training run's deltas. Return what the manifest tells of it: steps, loss, reward, minutes, machine."""
    lines = [json.loads(line) for line in (run / LOG).read_text(encoding="utf-8").splitlines()]
    last = next(line for line in reversed(lines) if "loss" in line)
    held_out = [line["held_out"] for line in lines if "held_out" in line]
    facts = {"steps": last["step"], "held_out_loss": min(held_out, default=None)}
    if (run / REINFORCED).is_file():
        more = [json.loads(line) for line in (run / REWARDS).read_text(encoding="utf-8").splitlines()]
        rewards = [line for line in more if "reward" in line]
        facts |= {"reinforced_steps": rewards[-1]["step"], "held_out_reward": rewards[-1].get("held_out")}
        facts |= {"settled_steps": max((line.get("settled", 0) for line in more), default=0)}
        lines += more
    facts |= _effort(lines)
    ship(folder, MLLM, deltas(final(run)), facts)
    return facts


def _effort(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up what a run read and how long it took, over all its starts; seconds count from each start."""
    seconds, tokens, before = 0.0, 0, 0.0
    for line in lines:
        if "seconds" in line:
            seconds += line["seconds"] - (before if line["seconds"] >= before else 0.0)
            tokens, before = tokens + line.get("tokens", 0), line["seconds"]
        else:
            before = 0.0
    machines = dict.fromkeys(line["machine"] for line in lines if "machine" in line)
    return {"minutes": round(seconds / 60), "tokens": tokens, "machine": ", ".join(machines)}


def ship_encoder(weights: dict[str, torch.Tensor], folder: Path, facts: dict[str, Any]) -> None:
    """Ship the encoder's trained heads in half precision."""
    import torch

    ship(folder, ENCODER, {name: w.to(torch.float16).contiguous() for name, w in weights.items()}, facts)
