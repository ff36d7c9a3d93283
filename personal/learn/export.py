"""Write trained weights: as deltas in safetensors, or merged into an ordinary checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal import labels
from personal.errors import ModelError
from personal.learn.lora import LORA_SCALE
from personal.learn.reinforce import LOG as REINFORCED_LOG
from personal.learn.train import FINETUNED, LOG, REINFORCED, best_checkpoint, read_log
from personal.learn.word_classifier import LINES
from personal.tiny.deltas import ENCODER, LABELS, MANIFEST, MLLM, apply_deltas, part_facts
from personal.tiny.parts import sha256_of

if TYPE_CHECKING:
    import torch

CONNECTOR_INPUT = "model.multi_modal_projector.linear_1"
"""The connector's first layer, into which the standardisation of the maps is folded."""


def final_checkpoint(run: Path) -> Path:
    """Return the file with a run's weights: fine-tuned, reinforced, of the lowest held-out loss, or the last."""
    later = (run / FINETUNED, run / REINFORCED)
    return next((path for path in later if path.is_file()), best_checkpoint(run))


def to_deltas(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Return a training checkpoint as deltas in bfloat16, LoRA's scale and the maps' standardisation folded in."""
    import torch

    run = torch.load(checkpoint, map_location="cpu", weights_only=True)
    mean, deviation = run["mean"], run["deviation"]
    found = {}
    for name, value in run["master"].items():
        plain = name.replace(".default.", ".")
        found[plain] = value * LORA_SCALE if ".lora_B." in plain else value
    if len(mean):
        weight = found[f"{CONNECTOR_INPUT}.weight"] / deviation
        found[f"{CONNECTOR_INPUT}.bias"] = found[f"{CONNECTOR_INPUT}.bias"] - weight @ mean
        found[f"{CONNECTOR_INPUT}.weight"] = weight
    return {name: value.to(torch.bfloat16).contiguous() for name, value in found.items()}


def restore_deltas(
    found: dict[str, torch.Tensor], mean: torch.Tensor, deviation: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return deltas as the weights to train on, over maps standardised by `mean` and `deviation`, in float32."""
    back = {name: value.float() / (LORA_SCALE if ".lora_B." in name else 1) for name, value in found.items()}
    if len(mean):
        weight = back[f"{CONNECTOR_INPUT}.weight"]
        back[f"{CONNECTOR_INPUT}.bias"] = back[f"{CONNECTOR_INPUT}.bias"] + weight @ mean
        back[f"{CONNECTOR_INPUT}.weight"] = weight * deviation
    return back


def interpolate(
    found: dict[str, torch.Tensor], base: dict[str, torch.Tensor], weight: float
) -> dict[str, torch.Tensor]:
    """Average deltas with those that training started from, with `weight` (0..1) on the new ones.

    Weight interpolation (WiSE-FT, Wortsman et al., CVPR 2022) of each of LoRA's factors, against forgetting. Raises
    ModelError if they differ in their names.
    """
    import torch

    if found.keys() != base.keys():
        raise ModelError("The weights to mix with are not those that training went on from.")
    return {
        name: torch.lerp(base[name].float(), value.float(), weight).to(torch.bfloat16).contiguous()
        for name, value in found.items()
    }


def merge(checkpoint: Path, found: dict[str, torch.Tensor], out: Path) -> None:
    """Write a checkpoint with the deltas added to its weights. Raises ModelError if they do not fit."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.bfloat16, trust_remote_code=False)
    model.load_state_dict(apply_deltas(model.state_dict(), found))
    model.save_pretrained(out)
    AutoProcessor.from_pretrained(checkpoint, trust_remote_code=False).save_pretrained(out)
    (out / "personal.json").write_text(json.dumps({"sees": True}), encoding="utf-8")


def write_weights(folder: Path, name: str, found: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write weights into a folder, and their sha256, size and `facts` into its manifest."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(found, str(folder / name), metadata={"format": "pt"})
    (folder / name).chmod(0o644)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"files": {}}
    manifest["parts"] = part_facts()
    manifest["files"][name] = {"sha256": sha256_of(folder / name), "size": (folder / name).stat().st_size, **facts}
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def export_mllm(run: Path, folder: Path, base: Path | None = None, weight: float = 1.0) -> dict[str, Any]:
    """Write a run's deltas and return the manifest's facts: steps, loss, reward, minutes, machine.

    With `base`, deltas that the run started from, they are interpolated with these by `weight`.
    """
    lines = read_log(run / LOG)
    last = next(line for line in reversed(lines) if "loss" in line)
    held_out = [line["held_out"] for line in lines if "held_out" in line]
    facts = {"steps": last["step"], "held_out_loss": min(held_out, default=None)}
    if (run / REINFORCED).is_file():
        more = read_log(run / REINFORCED_LOG)
        rewards = [line for line in more if "reward" in line]
        facts |= {"reinforced_steps": rewards[-1]["step"], "held_out_reward": rewards[-1].get("held_out")}
        facts |= {"finetuned_steps": max((line.get("finetuned", 0) for line in more), default=0)}
        lines += more
    facts |= _effort(lines)
    found = to_deltas(final_checkpoint(run))
    if base is not None:
        from safetensors.torch import load_file

        facts |= {"went_on_from": sha256_of(base), "share": weight}
        found = interpolate(found, load_file(base), weight)
    write_weights(folder, MLLM, found, facts)
    classifier = labels.read(run)
    if classifier is not None:
        export_words(classifier, folder, {"photos_told_of": len(json.loads((run / LINES).read_text(encoding="utf-8")))})
    return facts


def _effort(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return tokens, minutes and machines of a run over all its starts; its log counts seconds from each start."""
    seconds, tokens, before = 0.0, 0, 0.0
    for line in lines:
        if "seconds" in line:
            seconds += line["seconds"] - (before if line["seconds"] >= before else 0.0)
            tokens, before = tokens + line.get("tokens", 0), line["seconds"]
        else:
            before = 0.0
    machines = dict.fromkeys(line["machine"] for line in lines if "machine" in line)
    return {"minutes": round(seconds / 60), "tokens": tokens, "machine": ", ".join(machines)}


def export_encoder(weights: dict[str, torch.Tensor], folder: Path, facts: dict[str, Any]) -> None:
    """Write the encoder's trained projections in half precision."""
    import torch

    write_weights(folder, ENCODER, {name: w.to(torch.float16).contiguous() for name, w in weights.items()}, facts)


def export_words(classifier: labels.Classifier, folder: Path, facts: dict[str, Any]) -> None:
    """Write a classifier's layer of words in half precision, and the words into the manifest."""
    import torch

    arrays = {"word_weight": classifier.word_weight, "word_bias": classifier.word_bias}
    found = {name: torch.from_numpy(array).to(torch.float16) for name, array in arrays.items() if array is not None}
    write_weights(folder, LABELS, found, {"words": list(classifier.words), **facts})
