"""Find out about a model on the hub or in a folder, and download it.

Knows model hubs through huggingface_hub only. Loads no weights, and never runs or downloads code that comes with a
checkpoint: only safetensors, tokenizer tables and settings.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from personal import proxies
from personal.concepts import Progress
from personal.errors import ModelError, first_line
from personal.generate.footprint import Config
from personal.generate.models import ModelSpec, find_model
from personal.settings import TINY

WEIGHTS = ["model.safetensors", "model-*-of-*.safetensors"]
FILES = [*WEIGHTS, "*.json", "*.txt", "*.model", "*.jinja"]
"""File patterns that are downloaded, from the top folder of a repository."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SPARE_BYTES = 200_000_000
"""Disk space that a download leaves free."""
TIMEOUT_S = 10.0
POLL_S = 0.2


def inspect(source: str, offline: bool, *, cache: Path | None = None, endpoint: str | None = None) -> ModelSpec:
    """Return the spec of any model, a folder or a hub id, without downloading its weights.

    `cache` is huggingface_hub's folder unless given, `endpoint` another hub than the usual. Raises ModelError where
    there is no such model, where it comes as pickles or with code of its own, or where transformers does not know it.
    """
    known = find_model(source)
    if source == TINY and known is not None:
        return known
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _spec_from_config(source, folder.absolute().name, _sizes(folder), _config(source, folder), folder=folder)
    if source.startswith(("/", ".", "~")) or folder.is_absolute():
        raise ModelError(f"There is no folder {source}.")
    begun = known or ModelSpec(source, source.split("/")[-1], "not stated", {}, 0)
    cached = _cached_folder(begun, cache)
    if cached is not None:
        return _merge(
            begun, _spec_from_config(source, begun.title, _sizes(cached), _config(source, cached), folder=cached)
        )
    if offline:
        raise ModelError(_offline(source))
    info = _model_info(begun, endpoint)
    sizes = _relevant_files({file.rfilename: file.size or 0 for file in info.siblings or []})
    _require_safetensors(source, sizes)
    with translate_errors(source):
        from huggingface_hub import hf_hub_download

        path = hf_hub_download(source, "config.json", revision=begun.revision, cache_dir=cache, endpoint=endpoint)
    found = _spec_from_config(source, begun.title, sizes, _config(source, Path(path).parent))
    stated = info.card_data or {}
    licence = known.licence if known else stated.get("license_name") or stated.get("license") or "not stated"
    return replace(_merge(begun, found), licence=str(licence), revision=info.sha, gated=bool(info.gated))


def download(
    spec: ModelSpec, cache: Path | None = None, *, offline: bool = False, endpoint: str | None = None
) -> Generator[Progress, None, Path]:
    """Download a model's files unless they are on disk, yielding progress in bytes; return the folder.

    Closing the generator stops the download. Raises ModelError: offline, unknown or gated model, full disk, no
    network.
    """
    if spec.id == TINY:
        raise ModelError(f"{TINY} is assembled here, not downloaded.")
    if Path(spec.id).expanduser().is_dir():
        return Path(spec.id).expanduser()
    cached = _cached_folder(spec, cache)
    if cached is not None:
        return cached
    if offline:
        raise ModelError(_offline(spec.id))
    yield Progress(f"Asking the model hub for {spec.title}")
    info = _model_info(spec, endpoint)
    sizes = _relevant_files({file.rfilename: file.size or 0 for file in info.siblings or []})
    _require_safetensors(spec.id, sizes)
    from huggingface_hub import try_to_load_from_cache

    def there(name: str) -> bool:
        return isinstance(try_to_load_from_cache(spec.id, name, cache_dir=cache, revision=info.sha), str)

    missing = sum(size for name, size in sizes.items() if not there(name))
    _require_disk_space(spec.title, missing, cache)
    return (yield from _download_files(spec, info.sha, missing, cache, endpoint))


def _silent_bar(bars: list[Any], stop: threading.Event) -> type[Any]:
    """Return a tqdm class that appends its byte counters to `bars`, and raises InterruptedError once `stop` is set.

    Two bars count bytes, one for the network and one for the disk.
    """
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            if options.get("unit") == "B":
                bars.append(self)

        def update(self, n: float | None = 1) -> None:
            if stop.is_set():
                raise InterruptedError("the download was stopped")
            self.n += n or 0

    return Bar


def _download_files(
    spec: ModelSpec, revision: str, missing: int, cache: Path | None, endpoint: str | None
) -> Generator[Progress, None, Path]:
    from huggingface_hub import snapshot_download

    stop = threading.Event()
    bars: list[Any] = []
    pool = ThreadPoolExecutor(1, "download")
    work = pool.submit(
        snapshot_download,
        spec.id,
        revision=revision,
        cache_dir=cache,
        endpoint=endpoint,
        allow_patterns=FILES,
        ignore_patterns="*/*",
        tqdm_class=_silent_bar(bars, stop),
    )
    try:
        while not wait([work], POLL_S).done:
            done = max((int(bar.n) for bar in bars), default=0)
            yield Progress(f"Downloading {spec.title}", min(done, missing), missing)
    finally:
        stop.set()
        pool.shutdown(wait=False)
    with translate_errors(spec.id):
        folder = Path(work.result())
    yield Progress(f"{spec.title} is here", missing, missing)
    return folder


def _spec_from_config(
    source: str, title: str, sizes: Mapping[str, int], config: Config, *, folder: Path | None = None
) -> ModelSpec:
    """Build the spec of a source from its files and config. Raises ModelError if it cannot be used."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        if config.get("auto_map"):
            raise ModelError(f"{source} only works with code of its own, and this app runs no code from checkpoints.")
        raise ModelError(f"This version of transformers does not know the architecture of {source} ({kind!r}).")
    _require_safetensors(source, sizes, folder)
    family = CONFIG_MAPPING[kind]
    if family not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and family not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(
            f"{source} is of the kind {kind!r}, which does not answer in text. "
            "Choose an image-text-to-text or a text-generation model."
        )
    marks = _read(folder / "personal.json") if folder is not None and (folder / "personal.json").is_file() else {}
    sees = family in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and marks.get("sees") is not False
    found = ModelSpec(
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
        raise ModelError(f"The config.json of {source} makes no model: {first_line(error)}") from error
    except (RuntimeError, ImportError) as error:
        raise ModelError(f"{source} cannot be built here: {first_line(error)}") from error
    return found


def _merge(known: ModelSpec, found: ModelSpec) -> ModelSpec:
    """Keep what the catalogue knows of a model, and update what its files say."""
    return replace(known, config=found.config, download=found.download, sees=found.sees, single_turn=found.single_turn)


def _require_safetensors(source: str, sizes: Mapping[str, int], folder: Path | None = None) -> None:
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


def _require_disk_space(title: str, missing: int, cache: Path | None) -> None:
    from huggingface_hub import constants

    place = Path(cache or constants.HF_HUB_CACHE).absolute()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < missing + SPARE_BYTES:
        raise ModelError(
            f"{title} needs {missing / 1e9:.1f} GB on the disk, and {place} has {free / 1e9:.1f} GB free: "
            f"{(missing + SPARE_BYTES - free) / 1e9:.1f} GB are missing. Free some space, or choose a smaller model."
        )


def _model_info(spec: ModelSpec, endpoint: str | None) -> Any:
    """Ask the hub about a model at its pinned revision. Raises ModelError."""
    from huggingface_hub import HfApi

    with translate_errors(spec.id):
        api = HfApi(endpoint=endpoint)
        return api.model_info(spec.id, revision=spec.revision, files_metadata=True, timeout=TIMEOUT_S)


def _relevant_files(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes in bytes of the files that the app uses; pickles count 0."""
    top = {name: size for name, size in sizes.items() if "/" not in name}
    used = {name: size for name, size in top.items() if _matches(name, FILES)}
    return {name: 0 for name in top if name.endswith(PICKLES)} | used


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _cached_folder(spec: ModelSpec, cache: Path | None) -> Path | None:
    """Return the folder of a completely downloaded model, or None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                spec.id,
                revision=spec.revision,
                cache_dir=cache,
                local_files_only=True,
                allow_patterns=FILES,
                ignore_patterns="*/*",
            )
        )
        sizes = _sizes(folder)
        _require_safetensors(spec.id, sizes, folder)
    except (LocalEntryNotFoundError, HFValidationError, ModelError):
        return None
    return folder if any(name.startswith("tokenizer") for name in sizes) else None


def _sizes(folder: Path) -> dict[str, int]:
    return _relevant_files({path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()})


def _config(source: str, folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{source} holds no config.json: it is no model's folder.")
    return _read(folder / "config.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {first_line(error)}") from error
    if not isinstance(read, dict):
        raise ModelError(f"{path} does not hold what its name says.")
    return read


@contextmanager
def translate_errors(source: str) -> Iterator[None]:
    """Translate errors of huggingface_hub into a ModelError that says what happened and what to do."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(_explain(source, error)) from error
    except (LookupError, TypeError, AttributeError) as error:  # huggingface_hub takes what it is sent as it is
        raise ModelError(
            f"What answers as the model hub is none: it says nothing of {source} that can be read. Check HF_ENDPOINT."
        ) from error


def _explain(source: str, error: Exception) -> str:
    from huggingface_hub import constants, errors

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
        return f"{source} could not be downloaded: {first_line(error)}"
    via, wrong = proxies.via(constants.ENDPOINT), proxies.trouble(constants.ENDPOINT)
    return (
        f"The model hub cannot be reached for {source}{via}. {wrong or 'Check the network.'} "
        f"Or use a model that is here. ({first_line(error)})"
    )


def _offline(source: str) -> str:
    return (
        f"{source} is not on this machine, and no hub is asked while offline. "
        "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to download it."
    )
