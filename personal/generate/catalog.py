"""Which model to use here: what this machine has, what fits, what a source offers, and how it gets onto the disk.

The cards themselves, and what a model needs, are in `models`. Knows model hubs through huggingface_hub only; loads no
weights, and never runs or downloads code that comes with a checkpoint: safetensors, tables of words and settings.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from personal.concepts import Progress
from personal.errors import ModelError
from personal.generate.models import MODELS, Card, Config, Memory, card, memory
from personal.settings import TINY

__all__ = ["MODELS", "Card", "Memory", "card", "choose", "download", "fits", "hardware", "inspect", "memory"]

WEIGHTS = ["model.safetensors", "model-*-of-*.safetensors"]
FILES = [*WEIGHTS, "*.json", "*.txt", "*.model", "*.jinja"]
"""All that is downloaded of a model, from the top of its folder."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
ROOM = 0.8
"""The share of the free memory that a model chosen for someone may take."""
SLOW = 5.0
"""Tokens a second below which an answer takes patience."""
SPARE = 200_000_000
"""Bytes that a download leaves free on the disk."""
TIMEOUT_S = 10.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where a model would compute: "cuda", "mps" or "cpu", what it is called, and its memory in bytes.

    `free` is what the next model may take: this process's own memory on a GPU counts as free, since the present model
    goes before the next one comes. `reads` is how many bytes a second a CPU was seen to read; 0 elsewhere.
    """

    device: str
    name: str
    total: int
    free: int
    reads: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model fits here, whether it would be slow, and both in a sentence."""

    fits: bool
    slow: bool
    sentence: str


def hardware(device: str = "auto") -> Hardware:
    """Look at what this machine has; `device` "cpu", "cuda" or "mps" insists on one. Raises ModelError without it."""
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
        return Hardware("cpu", "the CPU", min(seen.total, most), min(seen.available, most), _reading_speed())
    raise ModelError(f"There is no {device} device here. Set PERSONAL_DEVICE=auto.")


def fits(card: Card, hardware: Hardware, quantization: str) -> Verdict:
    """Judge whether a model can be loaded as the setting `quantization` says; on MPS always in 16 bits."""
    need, weights, how = _need(card, hardware, quantization)
    about = f"needs about {_gb(need)} {how}"
    if need > hardware.free:
        return Verdict(False, False, f"too large: {about}; {_gb(hardware.free)} of your {_gb(hardware.total)} are free")
    reads = hardware.reads / weights
    if 0 < reads < SLOW:
        pace = f"this CPU reads its weights {reads:.1f} times a second, once for every token"
        return Verdict(True, True, f"slow here: {about}; {pace}")
    return Verdict(True, False, f"fits: needs about {_gb(need)} of your {_gb(hardware.total)} {how}")


def choose(hardware: Hardware, offline: bool) -> tuple[Card, str]:
    """Choose the model to begin with, and say why."""
    tiny = MODELS[0]
    if offline:
        return tiny, "no model hub is asked while offline, and the embedded model needs none"
    if hardware.device == "cpu":
        return tiny, "no GPU was found, and the embedded model is made for a CPU"
    for model in reversed([model for model in MODELS if model.config["model_type"] == "qwen3_vl"]):
        need, _, how = _need(model, hardware, "4bit")
        if need <= ROOM * hardware.free:
            return model, (
                f"the largest Qwen3-VL with room to spare: it needs about {_gb(need)} {how} "
                f"of the {_gb(hardware.free)} free on {hardware.name}"
            )
    return tiny, f"the {_gb(hardware.free)} free on {hardware.name} are too tight for the smallest Qwen3-VL"


def inspect(source: str, offline: bool, *, cache: Path | None = None, endpoint: str | None = None) -> Card:
    """Describe any model, a folder or a hub's id, without its weights.

    `cache` is huggingface_hub's folder unless given, `endpoint` another hub than the usual. Raises ModelError where
    there is no such model, where it comes as pickles or with code of its own, or where transformers does not know it.
    """
    known = card(source)
    if source == TINY and known is not None:
        return known
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _described(source, folder.absolute().name, _sizes(folder), _config(source, folder), folder=folder)
    if source.startswith(("/", ".", "~")) or folder.is_absolute():
        raise ModelError(f"There is no folder {source}.")
    begun = known or Card(source, source.split("/")[-1], "not stated", {}, 0)
    kept = _kept(begun, cache)
    if kept is not None:
        return _updated(begun, _described(source, begun.title, _sizes(kept), _config(source, kept), folder=kept))
    if offline:
        raise ModelError(_offline(source))
    info = _asked(begun, endpoint)
    sizes = _usable({file.rfilename: file.size or 0 for file in info.siblings or []})
    _refuse_pickles(source, sizes)
    with _in_words(source):
        from huggingface_hub import hf_hub_download

        path = hf_hub_download(source, "config.json", revision=begun.revision, cache_dir=cache, endpoint=endpoint)
    found = _described(source, begun.title, sizes, _config(source, Path(path).parent))
    stated = info.card_data or {}
    licence = known.licence if known else stated.get("license_name") or stated.get("license") or "not stated"
    return replace(_updated(begun, found), licence=str(licence), revision=info.sha, gated=bool(info.gated))


def download(
    card: Card, cache: Path | None = None, *, offline: bool = False, endpoint: str | None = None
) -> Generator[Progress, None, Path]:
    """Bring a model's files onto the disk unless they are there, yielding bytes; return the folder to load it from.

    Closing the generator stops it at the next piece. Raises ModelError in words: offline, no such model, gated, no
    room on the disk, no network.
    """
    if card.id == TINY:
        raise ModelError(f"{TINY} is assembled here, not downloaded.")
    if Path(card.id).expanduser().is_dir():
        return Path(card.id).expanduser()
    kept = _kept(card, cache)
    if kept is not None:
        return kept
    if offline:
        raise ModelError(_offline(card.id))
    yield Progress(f"Asking the model hub for {card.title}")
    info = _asked(card, endpoint)
    sizes = _usable({file.rfilename: file.size or 0 for file in info.siblings or []})
    _refuse_pickles(card.id, sizes)
    from huggingface_hub import try_to_load_from_cache

    def there(name: str) -> bool:
        return isinstance(try_to_load_from_cache(card.id, name, cache_dir=cache, revision=info.sha), str)

    missing = sum(size for name, size in sizes.items() if not there(name))
    _refuse_full_disk(card.title, missing, cache)
    return (yield from _fetched(card, info.sha, missing, cache, endpoint))


def _fetched(
    card: Card, revision: str, missing: int, cache: Path | None, endpoint: str | None
) -> Generator[Progress, None, Path]:
    from huggingface_hub import snapshot_download
    from tqdm import tqdm

    stop = threading.Event()
    bars: list[Any] = []

    class Bar(tqdm):  # type: ignore[misc]
        """Counts for us and prints nothing; there are two that count bytes, from the network and onto the disk."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            if options.get("unit") == "B":
                bars.append(self)

        def update(self, n: float | None = 1) -> None:
            if stop.is_set():
                raise InterruptedError("the download was stopped")
            self.n += n or 0

    pool = ThreadPoolExecutor(1, "download")
    work = pool.submit(
        snapshot_download,
        card.id,
        revision=revision,
        cache_dir=cache,
        endpoint=endpoint,
        allow_patterns=FILES,
        ignore_patterns="*/*",
        tqdm_class=Bar,
    )
    try:
        while not wait([work], POLL_S).done:
            done = max((int(bar.n) for bar in bars), default=0)
            yield Progress(f"Downloading {card.title}", min(done, missing), missing)
    finally:
        stop.set()
        pool.shutdown(wait=False)
    with _in_words(card.id):
        folder = Path(work.result())
    yield Progress(f"{card.title} is here", missing, missing)
    return folder


def _described(
    source: str, title: str, sizes: Mapping[str, int], config: Config, *, folder: Path | None = None
) -> Card:
    """Make the card of a source from its files and its config. Raises ModelError where it cannot be used."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        if config.get("auto_map"):
            raise ModelError(f"{source} only works with code of its own, and this app runs no code from checkpoints.")
        raise ModelError(f"This version of transformers does not know the architecture of {source} ({kind!r}).")
    _refuse_pickles(source, sizes, folder)
    family = CONFIG_MAPPING[kind]
    if family not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and family not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(
            f"{source} is of the kind {kind!r}, which does not answer in text. "
            "Choose an image-text-to-text or a text-generation model."
        )
    marks = _read(folder / "personal.json") if folder is not None and (folder / "personal.json").is_file() else {}
    sees = family in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and marks.get("sees") is not False
    found = Card(
        id=source,
        title=title,
        licence="not stated",
        config=config,
        download=sum(sizes.values()),
        sees=sees,
        single_turn=marks.get("single_turn") is True,
    )
    try:
        _ = found.memory
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, StrictDataclassError) as error:
        raise ModelError(f"The config.json of {source} makes no model: {_first_line(error)}") from error
    except (RuntimeError, ImportError) as error:
        raise ModelError(f"{source} cannot be built here: {_first_line(error)}") from error
    return found


def _updated(known: Card, found: Card) -> Card:
    """Keep what the catalog knows of a model's habits, and take what its files say."""
    return replace(known, config=found.config, download=found.download, sees=found.sees, single_turn=found.single_turn)


def _refuse_pickles(source: str, sizes: Mapping[str, int], folder: Path | None = None) -> None:
    """Raise ModelError unless there are safetensors, and in a folder all of them."""
    weights = [name for name in sizes if _matches(name, WEIGHTS)]
    index = folder / "model.safetensors.index.json" if folder is not None else None
    if index is not None and index.is_file():
        absent = sorted({str(name) for name in _read(index).get("weight_map", {}).values()} - set(weights))
        if absent:
            raise ModelError(f"{source} is incomplete: {absent[0]} is missing.")
    if weights:
        return
    if any(name.endswith(PICKLES) for name in sizes):
        raise ModelError(
            f"{source} offers its weights as pickles only, which can run code when they are opened; "
            "this app opens safetensors. Choose another edition of it."
        )
    raise ModelError(f"{source} holds no weights that this app opens (model.safetensors).")


def _refuse_full_disk(title: str, missing: int, cache: Path | None) -> None:
    from huggingface_hub import constants

    place = Path(cache or constants.HF_HUB_CACHE).absolute()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < missing + SPARE:
        raise ModelError(
            f"{title} needs {missing / 1e9:.1f} GB on the disk, and {place} has {free / 1e9:.1f} GB free: "
            f"{(missing + SPARE - free) / 1e9:.1f} GB are missing. Free some space, or choose a smaller model."
        )


def _asked(card: Card, endpoint: str | None) -> Any:
    """Ask the hub about a model at its pinned revision. Raises ModelError."""
    from huggingface_hub import HfApi

    with _in_words(card.id):
        api = HfApi(endpoint=endpoint)
        return api.model_info(card.id, revision=card.revision, files_metadata=True, timeout=TIMEOUT_S)


def _usable(sizes: Mapping[str, int]) -> dict[str, int]:
    """Keep the files that the app uses; and pickles, to name them, as if they took no room."""
    top = {name: size for name, size in sizes.items() if "/" not in name}
    used = {name: size for name, size in top.items() if _matches(name, FILES)}
    return {name: 0 for name in top if name.endswith(PICKLES)} | used


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _kept(card: Card, cache: Path | None) -> Path | None:
    """Find the folder of a model that was downloaded whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                card.id,
                revision=card.revision,
                cache_dir=cache,
                local_files_only=True,
                allow_patterns=FILES,
                ignore_patterns="*/*",
            )
        )
        sizes = _sizes(folder)
        _refuse_pickles(card.id, sizes, folder)
    except (LocalEntryNotFoundError, HFValidationError, ModelError):
        return None
    return folder if any(name.startswith("tokenizer") for name in sizes) else None


def _sizes(folder: Path) -> dict[str, int]:
    return _usable({path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()})


def _config(source: str, folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{source} holds no config.json: it is no model's folder.")
    return _read(folder / "config.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {_first_line(error)}") from error
    if not isinstance(read, dict):
        raise ModelError(f"{path} does not hold what its name says.")
    return read


@contextmanager
def _in_words(source: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into a ModelError that says what happened and what to do."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(_said(source, error)) from error


def _said(source: str, error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"{source} is gated: accept its makers' terms on its page, then sign in here with `hf auth login`."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"The model hub has no {source}, or it is private. Check its name, or sign in with `hf auth login`."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"The model hub no longer has the pinned revision of {source}."
    if isinstance(error, errors.HFValidationError):
        return f"{source!r} is neither a folder here nor the name of a model on a hub."
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        advice = "Sign in with `hf auth login`." if status in (401, 403) else "Try again later."
        return f"The model hub answered {status} about {source}. {advice}"
    if isinstance(error, OSError) and error.errno == 28:
        return f"The disk is full; {source} was not downloaded. Free some space and try again."
    if isinstance(error, (RuntimeError, ValueError)):
        return f"{source} could not be downloaded: {_first_line(error)}"
    return (
        f"The model hub cannot be reached for {source}. Check the network, or use a model that is here. "
        f"({_first_line(error)})"
    )


def _offline(source: str) -> str:
    return (
        f"{source} is not on this machine, and no hub is asked while offline. "
        "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to download it."
    )


def _need(card: Card, hardware: Hardware, quantization: str) -> tuple[int, int, str]:
    """Return the most bytes that a model takes here, those of its weights while it answers, and in words how."""
    from personal.generate import packed

    memory = card.memory
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


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _container_limit() -> int | None:
    """Read the most memory that a container's processes may take together."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _reading_speed() -> float:
    """Measure how many bytes a second a product of a matrix and a vector reads, which is what decoding does.

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
