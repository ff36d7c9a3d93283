"""The trained weights as they are shipped: differences from the parts, verified before use.

`lora_A` and `lora_B` of a linear layer stand for `lora_B @ lora_A`, added to its weight; every other tensor replaces
the one of its name. The weights of recognition and the classifier's layer of words are not added to anything, but fit
these parts only. A folder of such files has a `manifest.json` with their sha256 and the parts they belong to.
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
CONSEQUENCES = {
    MLLM: "personal-tiny does not see photos",
    ENCODER: "photos cannot be searched by text",
    RECOGNITION: "subjects that are small, or among others, are recognised worse",
    LABELS: "personal-tiny describes things worse",
}
"""Each file, and what does not work without it."""


def expected_sha256(folder: Path, name: str) -> str | None:
    """Return a file's sha256 in the manifest, None unless it is there with its size and belongs to our parts."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        facts = manifest["files"][name]
        fits = manifest["parts"] == part_facts() and (folder / name).stat().st_size == facts["size"]
        return str(facts["sha256"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def label_words(folder: Path) -> tuple[str, ...]:
    """Return the words of the rows of LABELS, from the manifest."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return tuple(manifest["files"][LABELS]["words"])


def part_facts() -> list[dict[str, str]]:
    """Return the parts that the weights belong to, as manifests have them."""
    return [{"package": part.package, "version": part.version, "sha256": part.sha256} for part in PARTS]


def problems(folder: Path) -> list[str]:
    """Read every file and return what is wrong with them, in words."""
    found = []
    for name in CONSEQUENCES:
        try:
            read(folder, name)
        except ModelError as error:
            found.append(str(error))
    return found


def read(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Read one of the files. Raises ModelError if it is missing or differs from the manifest."""
    from safetensors.torch import load_file

    path, expected = folder / name, expected_sha256(folder, name)
    if expected is None or sha256_of(path) != expected:
        raise ModelError(
            f"{path} is missing or damaged: it is not what {MANIFEST} beside it says. Fetch it again and start anew; "
            f"until then {CONSEQUENCES[name]}."
        )
    return load_file(path)


def apply_deltas(weights: dict[str, torch.Tensor], deltas: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights with the deltas applied, in float32 if changed. Raises ModelError if they do not fit."""
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
