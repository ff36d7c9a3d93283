"""Every knob in one place, read from the environment and from `.env` in the working folder.

`KNOBS` is the whole list: `.env.example` is held to it by a test. Nothing else in the project reads the environment.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from personal import env_file
from personal.errors import SettingsError

if TYPE_CHECKING:
    from personal.logs import Kind

TINY = "personal-tiny"
ASSETS = next(
    folder / "assets" for folder in (Path(__file__).parent, Path(__file__).parents[1]) if (folder / "assets").is_dir()
)
"""Styles, script, samples and trained weights: in the package where a wheel was installed, in a checkout beside it."""

MAX_TEXT = 500
"""Characters of a model's name or folder, and of other texts, at most."""

ATTACHED = Path("/data")
"""Where a Space has its persistent storage, if it has any."""

Network = IPv4Network | IPv6Network

log = logging.getLogger(__name__)


def _data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("personal", appauthor=False)


def _cache_dir() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("personal", appauthor=False)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    parse.__doc__ = f"a whole number from {low} to {high}"
    return parse


def _fraction(text: str) -> float:
    """a number from -1 to 1"""
    value = float(text)
    if not -1 <= value <= 1:
        raise ValueError
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    parse.__doc__ = "one of " + ", ".join(words)
    return parse


def _path(text: str) -> Path:
    """a folder"""
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError
    return path


def _url(text: str) -> str:
    """an address such as http://127.0.0.1:8000"""
    if not text.startswith(("http://", "https://")) or not urlsplit(text).hostname or urlsplit(text).port == 0:
        raise ValueError
    return text


def _server(text: str) -> str:
    """an address such as http://127.0.0.1:8000 or https://host/v1, without a user, a password or a query"""
    parts = urlsplit(_url(text))
    if parts.username is not None or parts.query or parts.fragment or parts.port == 0:
        raise ValueError
    return text


def _key(text: str) -> str:
    """letters, digits and signs of ASCII without blanks"""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return text


def _password(text: str) -> str:
    """a password of 8 to 500 characters"""
    if not 8 <= len(text) <= MAX_TEXT:
        raise ValueError
    return text


def _networks(text: str) -> tuple[Network, ...]:
    """addresses or networks, separated by commas, such as 127.0.0.1, 10.0.0.0/8"""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _header(text: str) -> str:
    """the name of a header, such as X-Forwarded-User"""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        raise ValueError
    return text


def _switch(text: str) -> bool:
    """1 or 0"""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


def _host(text: str) -> str:
    """a host name or an address, such as 127.0.0.1 or 0.0.0.0"""
    with suppress(ValueError):
        return str(ip_address(text))
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    if len(text) > 253 or not re.fullmatch(rf"{label}(\.{label})*\.?", text):
        raise ValueError
    return text


def _text(text: str) -> str:
    """text of at most 500 characters"""
    if len(text) > MAX_TEXT:
        raise ValueError
    return text


def _knob(
    variable: str,
    parse: Callable[[str], Any],
    default: Any = None,
    factory: Callable[[], Any] | None = None,
    secret: bool = False,
) -> Any:
    metadata = {"variable": variable, "parse": parse, "secret": secret}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """All settings, with their defaults. Sizes in bytes, pixels or seconds as the names say."""

    data_dir: Path = _knob("PERSONAL_DATA_DIR", _path, factory=_data_dir)
    cache_dir: Path = _knob("PERSONAL_CACHE_DIR", _path, factory=_cache_dir)

    model: str = _knob("PERSONAL_MODEL", _text, TINY)
    quantization: str = _knob("PERSONAL_QUANTIZATION", _one_of("4bit", "nf4", "8bit", "none"), "4bit")
    encoder: str = _knob("PERSONAL_ENCODER", _text, TINY)
    detector: str = _knob("PERSONAL_DETECTOR", _text, "")
    device: str = _knob("PERSONAL_DEVICE", _one_of("auto", "cpu", "cuda", "mps"), "auto")
    offline: bool = _knob("HF_HUB_OFFLINE", _switch, False)
    photo_tokens: int = _knob("PERSONAL_PHOTO_TOKENS", _whole(16, 16384), 1024)
    avatar_tokens: int = _knob("PERSONAL_AVATAR_TOKENS", _whole(16, 16384), 128)
    visual_prompt: bool = _knob("PERSONAL_VISUAL_PROMPT", _switch, False)
    max_new_tokens: int = _knob("PERSONAL_MAX_NEW_TOKENS", _whole(1, 8192), 256)

    llm_url: str = _knob("PERSONAL_LLM_URL", _server, "", secret=True)
    llm_key: str = _knob("PERSONAL_LLM_KEY", _key, "", secret=True)
    llm_model: str = _knob("PERSONAL_LLM_MODEL", _text, "")
    llm_timeout_s: int = _knob("PERSONAL_LLM_TIMEOUT_S", _whole(1, 3600), 60)
    llm_concurrency: int = _knob("PERSONAL_LLM_CONCURRENCY", _whole(1, 64), 8)
    llm_image_bytes: int = _knob("PERSONAL_LLM_IMAGE_BYTES", _whole(0, 2**30), 4 * 2**20)

    threshold: float | None = _knob("PERSONAL_THRESHOLD", _fraction, None)
    top_k: int = _knob("PERSONAL_TOP_K", _whole(1, 20), 4)
    faces: str = _knob("PERSONAL_FACES", _one_of("auto", "on", "off"), "auto")

    chroma_url: str = _knob("PERSONAL_CHROMA_URL", _url, "")

    max_bytes: int = _knob("PERSONAL_MAX_BYTES", _whole(1024, 2**31), 30 * 2**20)
    max_pixels: int = _knob("PERSONAL_MAX_PIXELS", _whole(1024, 2**30), 100_000_000)
    max_side: int = _knob("PERSONAL_MAX_SIDE", _whole(128, 8192), 1536)

    max_request_bytes: int = _knob("PERSONAL_MAX_REQUEST_BYTES", _whole(65536, 2**31), 2**20)
    max_upload_bytes: int = _knob("PERSONAL_MAX_UPLOAD_BYTES", _whole(65536, 2**40), 2**30)

    host: str = _knob("GRADIO_SERVER_NAME", _host, "127.0.0.1")
    port: int | None = _knob("GRADIO_SERVER_PORT", _whole(1, 65535), None)
    trusted_proxies: tuple[Network, ...] = _knob("PERSONAL_TRUSTED_PROXIES", _networks, ())
    proxy_for_owner: bool = _knob("PERSONAL_PROXY_FOR_OWNER", _switch, False)
    max_visitors: int = _knob("PERSONAL_MAX_VISITORS", _whole(0, 10**6), 0)
    max_concepts: int = _knob("PERSONAL_MAX_CONCEPTS", _whole(0, 10**6), 0)
    max_photos: int = _knob("PERSONAL_MAX_PHOTOS", _whole(0, 10**7), 0)
    max_owner_bytes: int = _knob("PERSONAL_MAX_OWNER_BYTES", _whole(0, 2**50), 0)
    questions_per_hour: int = _knob("PERSONAL_QUESTIONS_PER_HOUR", _whole(0, 10**6), 0)
    guests: bool = _knob("PERSONAL_GUESTS", _switch, True)
    password: str = _knob("PERSONAL_PASSWORD", _text, "", secret=True)
    user_header: str = _knob("PERSONAL_USER_HEADER", _header, "")
    sign_in_days: int = _knob("PERSONAL_SIGN_IN_DAYS", _whole(1, 365), 30)
    oauth_client: str = _knob("OAUTH_CLIENT_ID", _text, "")
    oauth_secret: str = _knob("OAUTH_CLIENT_SECRET", _text, "", secret=True)
    oauth_provider: str = _knob("OPENID_PROVIDER_URL", _server, "")
    log: Kind = _knob("PERSONAL_LOG", _one_of("auto", "human", "json"), "auto")
    metrics_token: str = _knob("PERSONAL_METRICS_TOKEN", _key, "", secret=True)
    operator_password: str = _knob("PERSONAL_OPERATOR_PASSWORD", _text, "", secret=True)
    space: str = _knob("SPACE_ID", _text, "")
    zero_gpu: bool = _knob("SPACES_ZERO_GPU", _switch, False)
    study_password: str = _knob("PERSONAL_STUDY_PASSWORD", _password, "", secret=True)
    session_grace_s: int = _knob("PERSONAL_SESSION_GRACE_S", _whole(1, 86400), 120)

    @property
    def shared(self) -> bool:
        """Return whether others can reach the app: on a Space, bound to anything but loopback, or through a proxy.

        A proxy `proxy_for_owner` lets nobody through but the owner of this machine.
        """
        proxied = bool(self.trusted_proxies) and not self.proxy_for_owner
        return bool(self.space) or self.host not in {"127.0.0.1", "localhost", "::1"} or proxied

    @property
    def hourly(self) -> int:
        """How many questions an owner may ask within an hour, 0 for any number: on one's own machine."""
        return self.questions_per_hour if self.shared else 0

    @property
    def looks_at_faces(self) -> bool:
        """Return whether people may be recognised by their faces: as is wished, else on one's own machine only."""
        return self.faces == "on" or (self.faces == "auto" and not self.shared)

    @property
    def device_here(self) -> str:
        """Where this process itself computes: ZeroGPU lends its GPUs to others, for an answer at a time."""
        return "cpu" if self.zero_gpu else self.device


ENV_FILE = "PERSONAL_ENV_FILE"
KNOBS: dict[str, str] = {f.metadata["variable"]: f.name for f in fields(Settings)}
"""Environment variable → field of `Settings`."""


def load(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings from `environment` (default: `.env` in the working folder, then the process's own, which wins).

    PERSONAL_ENV_FILE names another file than `.env`.

    `overrides` are fields of `Settings`; those that are None are ignored. An empty variable counts as not set.
    Raises SettingsError naming the variable and what it takes.
    """
    if environment is None:
        environment = {**env_file.read(Path(os.environ.get(ENV_FILE) or ".env"), KNOBS), **os.environ}
    values: dict[str, Any] = {}
    for knob in fields(Settings):
        if text := environment.get(knob.metadata["variable"], "").strip():
            values[knob.name] = _parsed(text, **knob.metadata)
    if "space" in values and "data_dir" not in values and os.access(ATTACHED, os.W_OK | os.X_OK):
        values["data_dir"] = ATTACHED / "personal"
    settings = replace(Settings(**values), **{k: v for k, v in overrides.items() if v is not None})
    if settings.user_header and (settings.space or settings.proxy_for_owner or not settings.trusted_proxies):
        raise SettingsError(
            "PERSONAL_USER_HEADER can be used only where PERSONAL_TRUSTED_PROXIES names the proxy that sets it, not on "
            "a Space and not with PERSONAL_PROXY_FOR_OWNER: anybody could send it."
        )
    return settings


def folder(option: str, text: str) -> Path:
    """Read a folder that an option of the shell names. Raises SettingsError naming the option."""
    path: Path = _parsed(text, option, _path)
    return path


def _parsed(text: str, variable: str, parse: Callable[[str], Any], secret: bool = False) -> Any:
    try:
        return parse(text)
    except (ValueError, RuntimeError, OSError) as error:  # a home that is not there, a name too long for a file
        given = text if len(text) <= 100 else f"{text[:100]}…"
        shown = variable + ("" if secret else f"={given!r}")
        raise SettingsError(f"{shown} cannot be used: it takes {parse.__doc__}.") from error


GRADIO_NUMBERS = ("GRADIO_NUM_PORTS", "GRADIO_NODE_NUM_PORTS", "GRADIO_DEBUG", "GRADIO_ANALYTICS_MAX_EVENTS")
"""What Gradio itself reads from the environment as numbers, some of them on import."""


def prepare_gradio(environment: MutableMapping[str, str] = os.environ) -> None:
    """Leave in the environment only what Gradio can read. Raises SettingsError for what is no number.

    GRADIO_NUM_WORKERS is dropped: further processes would serve files without knowing the visitors.
    """
    if environment.pop("GRADIO_NUM_WORKERS", "").strip() not in ("", "0"):
        log.warning("GRADIO_NUM_WORKERS is ignored: one process serves the app.")
    for name in ("GRADIO_SERVER_PORT", *GRADIO_NUMBERS):
        if not environment.get(name, "").strip():
            environment.pop(name, None)  # empty means the default: Gradio would take it for a number
        else:
            _parsed(environment[name], name, _whole(0, 2**31))
