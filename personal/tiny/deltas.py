"""The weights that this project trained, as they are shipped: differences to the parts, verified before use.

`lora_A` and `lora_B` of a linear layer stand for `lora_B @ lora_A`, added to its weight; every other tensor replaces
the one of its name. What recognition learnt on top of the encoder, and the words' layer beside its classifier, are
added to nothing, but fit these parts alone. A folder of such files has a `manifest.json` that names them, their sha256,
and what they belong to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from personal.errors import ModelError
from personal.settings import ASSETS
from personal.tiny.parts import PARTS, sha256_of

if TYPE_CHECKING:
    import torch

SHIPPED = ASSETS / "weights"
MANIFEST = "manifest.json"
MLLM, ENCODER, RECOGNITION = "mllm.safetensors", "encoder.safetensors", "recognition.safetensors"
LABELS = "labels.safetensors"
"""What weights need that were trained to read labels; others come without."""
LOST = {
    MLLM: "personal-tiny does not see photos",
    ENCODER: "photos cannot be searched by text",
    RECOGNITION: "subjects that are small, or among others, are recognised worse",
}
"""Each file, and what cannot be done without it."""


def whole(folder: Path, name: str) -> str | None:
    """Return the sha256 that the manifest has for a file, None unless it is there at its size and for our parts."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        facts = manifest["files"][name]
        fits = manifest["parts"] == part_facts() and (folder / name).stat().st_size == facts["size"]
        return str(facts["sha256"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def words(folder: Path) -> tuple[str, ...]:
    """Return the words that the rows of LABELS stand for, as the manifest keeps them."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return tuple(manifest["files"][LABELS]["words"])


def part_facts() -> list[dict[str, str]]:
    """State what the weights are added to, as manifests do."""
    return [{"package": part.package, "version": part.version, "sha256": part.sha256} for part in PARTS]


def problems(folder: Path) -> list[str]:
    """Read every file and say what is wrong with them."""
    found = []
    for name in LOST:
        try:
            read(folder, name)
        except ModelError as error:
            found.append(str(error))
    return found


def read(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Read one of the files. Raises ModelError where it is missing or not what the manifest says."""
    from safetensors.torch import load_file

    path, expected = folder / name, whole(folder, name)
    if expected is None or sha256_of(path) != expected:
        raise ModelError(
            f"{path} is missing or damaged: it is not what {MANIFEST} beside it says. Fetch it again and start anew; "
            f"until then {LOST[name]}."
        )
    return load_file(path)


def apply_deltas(weights: dict[str, torch.Tensor], deltas: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights, in float32 where they change. Raises ModelError where the deltas belong to another model."""
    changed = dict(weights)
    for name, tensor in deltas.items():
        if name.endswith(".lora_B.weight"):
            continue
        target, difference = name, tensor.float()
        if name.endswith(".lora_A.weight"):
            stem = name.removesuffix(".lora_A.weight")
            target, difference = f"{stem}.weight", deltas[f"{stem}.lora_B.weight"].float() @ difference
        if target not in weights or weights[target].shape != difference.shape:
            raise ModelError(f"The trained weights do not fit the model: {target}.")
        changed[target] = weights[target].float() + difference if target != name else difference
    return changed
