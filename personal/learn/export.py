"""Write what was trained: deltas as safetensors, or merged into an ordinary checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.errors import ModelError
from personal.labels import read
from personal.learn.labels import LINES
from personal.learn.model import SCALE
from personal.learn.reinforce import LOG as REWARDS
from personal.learn.train import LOG, REINFORCED, SETTLED, saved
from personal.tiny.deltas import ENCODER, LABELS, MANIFEST, MLLM, applied, parts
from personal.tiny.parts import digest

if TYPE_CHECKING:
    import torch

    from personal.labels import Classifier

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


def restored(found: dict[str, torch.Tensor], mean: torch.Tensor, deviation: torch.Tensor) -> dict[str, torch.Tensor]:
    """Turn shipped deltas back into what is trained over maps standardised by `mean` and `deviation`, in float32."""
    back = {name: value.float() / (SCALE if ".lora_B." in name else 1) for name, value in found.items()}
    if len(mean):
        weight = back[f"{FIRST}.weight"]
        back[f"{FIRST}.bias"] = back[f"{FIRST}.bias"] + weight @ mean
        back[f"{FIRST}.weight"] = weight * deviation
    return back


def mixed(found: dict[str, torch.Tensor], before: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Average deltas with those that they went on from, `share` (0..1) of the new: what was known before comes back.

    Weight interpolation (WiSE-FT, Wortsman et al., CVPR 2022), of LoRA's factors each. Raises ModelError where they
    differ.
    """
    import torch

    if found.keys() != before.keys():
        raise ModelError("The weights to mix with are not those that training went on from.")
    return {
        name: torch.lerp(before[name].float(), value.float(), share).to(torch.bfloat16).contiguous()
        for name, value in found.items()
    }


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


def ship_mllm(run: Path, folder: Path, before: Path | None = None, share: float = 1.0) -> dict[str, Any]:
    """Ship a training run's deltas. Return what the manifest tells of it: steps, loss, reward, minutes, machine.

    With `before`, deltas that the run went on from, `share` of its own are mixed with them.
    """
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
    found = deltas(final(run))
    if before is not None:
        from safetensors.torch import load_file

        facts |= {"went_on_from": digest(before), "share": share}
        found = mixed(found, load_file(before), share)
    ship(folder, MLLM, found, facts)
    classifier = read(run)
    if classifier is not None:
        ship_labels(classifier, folder, {"photos_told_of": len(json.loads((run / LINES).read_text(encoding="utf-8")))})
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


def ship_labels(classifier: Classifier, folder: Path, facts: dict[str, Any]) -> None:
    """Ship the words' layer of a classifier in half precision; the words themselves go into the manifest."""
    import torch

    arrays = {"word_weight": classifier.word_weight, "word_bias": classifier.word_bias}
    found = {name: torch.from_numpy(array).to(torch.float16) for name, array in arrays.items() if array is not None}
    ship(folder, LABELS, found, {"words": list(classifier.words), **facts})
