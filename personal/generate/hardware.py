"""What this machine has, whether a model fits it, and which model to begin with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from personal.errors import ModelError
from personal.generate.models import MODELS, ModelSpec

HEADROOM = 0.8
"""Largest share of the free memory that an automatically chosen model may take."""
SLOW_TOKENS_PER_S = 5.0
"""Decoding speed below which a model counts as slow."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A compute device: "cuda", "mps" or "cpu", its name, and its memory in bytes.

    `free` is what the next model may use. On a GPU this process's own memory counts as free, because the current model
    is unloaded first. `reads` is the measured memory bandwidth of a CPU in bytes per second, 0 elsewhere.
    """

    device: str
    name: str
    total: int
    free: int
    reads: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model fits, whether it would be slow, and a sentence that says both."""

    fits: bool
    slow: bool
    sentence: str


def detect_hardware(device: str = "auto") -> Hardware:
    """Return the best device, or the one named "cpu", "cuda" or "mps". Raises ModelError if it is missing."""
    import torch

    if device in ("auto", "cuda") and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return Hardware("cuda", torch.cuda.get_device_name(), total, free + torch.cuda.memory_reserved())
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        return Hardware("mps", "Apple's GPU", total, total)
    if device in ("auto", "cpu"):
        import psutil  # type: ignore[import-untyped]

        seen = psutil.virtual_memory()
        most = _container_limit() or seen.total
        return Hardware("cpu", "the CPU", min(seen.total, most), min(seen.available, most), _read_speed())
    raise ModelError(f"There is no {device} device here. Set PERSONAL_DEVICE=auto.")


def fits(spec: ModelSpec, hardware: Hardware, quantization: str) -> Verdict:
    """Judge whether a model can be loaded as the setting `quantization` says; on MPS always in 16 bits."""
    need, weights, how = _need(spec, hardware, quantization)
    about = f"needs about {_gb(need)} {how}"
    if need > hardware.free:
        return Verdict(False, False, f"too large: {about}; {_gb(hardware.free)} of your {_gb(hardware.total)} are free")
    reads = hardware.reads / weights
    if 0 < reads < SLOW_TOKENS_PER_S:
        pace = f"about {reads:.1f} tokens per second at most"
        return Verdict(True, True, f"slow here: {about}; {pace}")
    return Verdict(True, False, f"fits: needs about {_gb(need)} of your {_gb(hardware.total)} {how}")


def choose(hardware: Hardware, offline: bool) -> tuple[ModelSpec, str]:
    """Choose the model to begin with, and say why."""
    tiny = MODELS[0]
    if offline:
        return tiny, "no model hub is asked while offline, and the embedded model needs none"
    if hardware.device == "cpu":
        return tiny, "no GPU was found, and the embedded model is made for a CPU"
    for model in reversed([model for model in MODELS if model.config["model_type"] == "qwen3_vl"]):
        need, _, how = _need(model, hardware, "4bit")
        if need <= HEADROOM * hardware.free:
            return model, (
                f"the largest Qwen3-VL with room to spare: it needs about {_gb(need)} {how} "
                f"of the {_gb(hardware.free)} free on {hardware.name}"
            )
    return tiny, f"the {_gb(hardware.free)} free on {hardware.name} are too tight for the smallest Qwen3-VL"


def _need(spec: ModelSpec, hardware: Hardware, quantization: str) -> tuple[int, int, str]:
    """Return the peak bytes a model needs here, the bytes of its weights while decoding, and the format in words."""
    from personal.generate import packed

    memory = spec.memory
    if hardware.device == "mps" or quantization == "none":
        need, how = memory.sixteen_bits, "in 16 bits"
    elif quantization == "8bit":
        need, how = memory.eight_bits, "in 8 bits"
    elif quantization == "4bit" and hardware.device == "cpu" and packed.available():
        whole = memory.sixteen_bits - memory.beside  # it is opened in 16 bits, then packed
        return max(memory.packed, whole), memory.packed - memory.beside, "while it is packed into 4 bits"
    else:
        need, how = memory.four_bits, "in 4 bits"
    return need, need - memory.beside, how


def _gb(size: int) -> str:
    gigabytes = size / 2**30
    return f"{gigabytes:.0f} GB" if gigabytes >= 9.95 else f"{gigabytes:.1f} GB"


def _container_limit() -> int | None:
    """Return the memory limit of the container in bytes, or None."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _read_speed() -> float:
    """Measure the memory bandwidth of a matrix-vector product in bytes per second, which bounds decoding.

    The matrix takes 256 MB, more than most caches hold.
    """
    import torch

    matrix, vector = torch.ones(8192, 8192), torch.ones(8192)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        torch.mv(matrix, vector)
        seconds.append(time.perf_counter() - begun)
    return matrix.numel() * matrix.element_size() / min(seconds)
