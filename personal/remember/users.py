"""Users: who may sign in, in the data folder's `users.json`, with hashes of their passwords (argon2id, RFC 9106).

    users.json      {"users": [{"name", "owner", "hash", "created"}, …]}

`personal users` writes it, and the running app where somebody changes their password; it reads it whenever it has
changed. The owner's id tells nothing of the name.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from personal.errors import AccountError, StoreError
from personal.folding import folded
from personal.owners import new_user
from personal.remember import disk

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FILE, LOCK = "users.json", "users.lock"
MAX_NAME = 64
SHORTEST, LONGEST = 8, 256
"""Characters of a password."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in: `owner` is the id of what is theirs, `hash` that of their password."""

    name: str
    owner: str
    hash: str
    created: str


class Users:
    """The users of a data folder. Raises StoreError where the file cannot be used, AccountError for bad arguments."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / FILE
        self._read_at = (0, 0)
        self._users: tuple[User, ...] = ()

    def all(self) -> Sequence[User]:
        """List the users in the order in which they were added."""
        with disk.translate_errors(self._file):
            try:
                stat = self._file.stat()
            except FileNotFoundError:
                return ()
            if self._read_at != (stat.st_mtime_ns, stat.st_ino):
                self._users = _read(self._file)
                self._read_at = (stat.st_mtime_ns, stat.st_ino)
        return self._users

    def get(self, name: str) -> User | None:
        """Return the user of a name, however it is written."""
        return next((user for user in self.all() if folded(user.name) == folded(_normal(name))), None)

    def find(self, name: str) -> User:
        """Return the user of a name. Raises AccountError where there is none."""
        user = self.get(name)
        if user is None:
            raise AccountError(f"There is no user {_normal(name)[:MAX_NAME]}.")
        return user

    def add(self, name: str, password: str) -> User:
        """Add a user."""
        name, hashed = _checked_name(name), self._hashed(password)
        with self._changing():
            if self.get(name):
                raise AccountError(f"There is a user {name} already. Choose another name.")
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            user = User(name, new_user(), hashed, now)
            self._write([*self.all(), user])
        return user

    def remove(self, name: str) -> User:
        """Remove a user, who is signed out by that; what is theirs stays on disk."""
        with self._changing():
            user = self.find(name)
            self._write([one for one in self.all() if one != user])
        return user

    def set_password(self, name: str, password: str) -> User:
        """Change a user's password, which signs them out everywhere."""
        hashed = self._hashed(password)
        with self._changing():
            user = self.find(name)
            changed = replace(user, hash=hashed)
            self._write([changed if one == user else one for one in self.all()])
        return changed

    def check(self, name: str, password: str) -> User | None:
        """Return the user whose name and password these are. Takes as long for a name that is not there."""
        from argon2.exceptions import InvalidHashError, VerificationError

        user = self.get(name)
        try:
            self._hasher.verify(user.hash if user else self._nobody, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return None
        return user

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher()

    @cached_property
    def _nobody(self) -> str:
        """The hash that stands for users who are not there."""
        return self._hasher.hash(new_user())

    def _hashed(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            raise AccountError(f"A password has {SHORTEST} to {LONGEST} characters.")
        return self._hasher.hash(password)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let no other process change the users meanwhile."""
        with disk.translate_errors(self._file):
            disk.make_dir(self._file.parent)
            with FileLock(self._file.with_name(LOCK), mode=0o600):
                yield

    def _write(self, users: Sequence[User]) -> None:
        with disk.translate_errors(self._file):
            disk.write_json(self._file, {"users": [asdict(user) for user in users]})


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _checked_name(name: str) -> str:
    name = _normal(name)
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise AccountError(f"A user's name has 1 to {MAX_NAME} characters, on one line.")
    return name


def _read(file: Path) -> tuple[User, ...]:
    try:
        record: Any = json.loads(file.read_bytes())
        users = tuple(User(**one) for one in record["users"])
        if not all(isinstance(part, str) for user in users for part in asdict(user).values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{file} is damaged: nobody can sign in. Mend it, or put a copy back.") from error
    return users
