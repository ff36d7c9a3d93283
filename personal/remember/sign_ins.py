"""Sign-ins: which browsers are signed in, in the data folder's `sign-ins.json`, so that a restart signs nobody out.

Of a browser's token only the hash is kept: whoever reads the file cannot act as anybody by it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from personal.remember import disk

FILE = "sign-ins.json"
PER_OWNER = 20
"""Browsers that an owner can be signed in with; the one signed in first makes way for another."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A browser that is signed in: as whom, until when (Unix time), and the `proof` that it depends on.

    `owner` is "" for a guest who has given the password that all share. The proof is a digest of what was given, such
    as a password's hash: once that changes, the sign-in is over.
    """

    owner: str
    name: str
    proof: str
    until: float


class SignIns:
    """The sign-ins of a data folder. Thread-safe. Raises StoreError where one cannot be kept."""

    def __init__(self, data_dir: Path, days: int) -> None:
        self._file = data_dir / FILE
        self._lasts_s = days * 86400.0
        self._lock = threading.Lock()
        self._held: dict[str, SignIn] = _read(self._file)

    def add(self, owner: str, name: str, proof: str) -> str:
        """Sign a browser in, and return the secret token for its cookie."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            mine = [key for key, one in self._held.items() if owner and one.owner == owner]
            surplus = set(mine[: max(0, len(mine) + 1 - PER_OWNER)])
            self._keep(
                {
                    **{key: one for key, one in self._held.items() if key not in surplus},
                    _key(token): SignIn(owner, name, proof, time.time() + self._lasts_s),
                }
            )
        return token

    def get(self, token: str) -> SignIn | None:
        """Return what a token stands for, as long as it lasts."""
        found = self._held.get(_key(token)) if token else None
        return found if found and found.until > time.time() else None

    def remove(self, token: str) -> None:
        """Sign a browser out."""
        with self._lock:
            self._keep({key: one for key, one in self._held.items() if key != _key(token)})

    def remove_all(self, owner: str) -> None:
        """Sign an owner out everywhere."""
        with self._lock:
            self._keep({key: one for key, one in self._held.items() if one.owner != owner})

    def _keep(self, held: dict[str, SignIn]) -> None:
        now = time.time()
        lasting = {key: one for key, one in held.items() if one.until > now}
        with disk.translate_errors(self._file):
            disk.make_dir(self._file.parent)
            disk.write_json(self._file, {key: asdict(one) for key, one in lasting.items()})
        self._held = lasting


def _key(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _read(file: Path) -> dict[str, SignIn]:
    try:
        held = {key: SignIn(**one) for key, one in json.loads(file.read_bytes()).items()}
        return {key: replace(one, until=float(one.until)) for key, one in held.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        log.warning("%s cannot be read: everybody has to sign in again.", file)
        return {}
