"""Accounts: whom a request comes from where others can reach the app, by a sign-in of its browser or its proxy's word.

Knows nothing of pages and concepts. On one's own machine there are none: whoever asks is the machine's owner.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from personal.errors import AccountError, StoreError
from personal.folding import folded
from personal.logs import report
from personal.owners import user_of
from personal.remember.sign_ins import SignIn, SignIns
from personal.remember.users import LONGEST, MAX_NAME, Users
from personal.settings import Settings
from personal.ui.doors import Scope

COOKIE = "personal-sign-in"
"""The cookie with the token of a sign-in."""
WINDOW_S = 600.0
"""Within this time, seconds, so many wrong passwords are taken:"""
PER_ADDRESS, PER_NAME = 20, 60
"""of one address (a class may share one), and for one name, whoever tries."""

WRONG = "The name or the password is wrong."


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a request comes from: the owner's id and name, both "" for a guest; `admitted` tells if they may come in."""

    owner: str = ""
    name: str = ""
    admitted: bool = True


class TooManyAttempts(AccountError):
    """Somebody who has to wait before another password is taken."""


class Attempts:
    """Wrong passwords of the last WINDOW_S, by whatever they are counted by. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.RLock()
        self._made: defaultdict[str, deque[float]] = defaultdict(deque)

    def check(self, key: str) -> None:
        """Raise TooManyAttempts where there were too many."""
        now = time.monotonic()
        with self._lock:
            for other in [other for other, made in self._made.items() if not made or made[-1] < now - WINDOW_S]:
                del self._made[other]
            made = self._made.get(key, deque[float]())
            while made and made[0] < now - WINDOW_S:
                made.popleft()
            if len(made) >= self._most:
                minutes = math.ceil((made[0] + WINDOW_S - now) / 60)
                raise TooManyAttempts(f"Too many wrong passwords. Try again in {minutes} minutes.")

    def add(self, key: str) -> None:
        """Count a wrong password."""
        with self._lock:
            self._made[key].append(time.monotonic())

    def begin(self, key: str) -> None:
        """Count a password that is being checked, so that many at once are no more than one after the other.

        Raises TooManyAttempts, and counts nothing, where there were too many.
        """
        with self._lock:
            self.check(key)
            self.add(key)

    def right(self, key: str) -> None:
        """Take back what `begin` counted: the password was right."""
        with self._lock:
            if self._made[key]:
                self._made[key].pop()


class Accounts:
    """Who is who. Methods raise StoreError where the data folder cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.users = Users(settings.data_dir)
        self.sign_ins = SignIns(settings.data_dir, settings.sign_in_days)
        self._of_addresses, self._of_names = Attempts(PER_ADDRESS), Attempts(PER_NAME)

    @property
    def by_provider(self) -> bool:
        """Whether one can sign in with an account elsewhere."""
        knobs = self._settings
        return bool(knobs.shared and knobs.oauth_client and knobs.oauth_provider and not knobs.user_header)

    @property
    def by_password(self) -> bool:
        """Whether one can sign in with a name and a password."""
        return self._settings.shared and not self._settings.user_header and bool(self.users.all())

    @property
    def offered(self) -> bool:
        """Whether one can sign in."""
        return self.by_password or self.by_provider

    def who(self, scope: Scope, cookies: Mapping[str, str]) -> Who:
        """Return whom a request comes from."""
        knobs = self._settings
        if not knobs.shared:
            return Who()
        if told := str(scope.get("told_user", "")):
            usable = len(told) <= MAX_NAME * 4 and told.isprintable()
            return Who(user_of("proxy", told), told) if usable else Who(admitted=False)
        found = self._signed_in(cookies.get(COOKIE, ""))
        if found and found.owner:
            return Who(found.owner, found.name)
        return Who(admitted=knobs.guests and (not knobs.password or found is not None))

    def sign_in(self, name: str, password: str, address: str) -> str:
        """Sign a browser in by a name and a password, and return the token for its cookie. Raises AccountError.

        Without a name it is the password that all share.
        """
        counted = [(self._of_addresses, address)]
        counted += [(self._of_names, folded(name[:MAX_NAME]))] if name else []
        for attempts, key in counted:
            attempts.begin(key)
        found = self._checked(name, password)
        if found is None:
            raise AccountError(WRONG if name else "The password is wrong.")
        for attempts, key in counted:
            attempts.right(key)
        return self.sign_ins.add(*found)

    def has_password(self, owner: str) -> bool:
        """Return whether an owner signs in by a password of their own."""
        return self.by_password and any(user.owner == owner for user in self.users.all())

    def change_password(self, name: str, old: str, new: str, address: str) -> str:
        """Change a user's password, and sign this browser in anew; all others are signed out. Raises AccountError."""
        self.sign_ins.remove(self.sign_in(name, old, address))
        user = self.users.set_password(name, new)
        return self.sign_ins.add(user.owner, user.name, _digest(user.hash))

    def sign_in_by_provider(self, subject: str, name: str) -> str:
        """Sign a browser in as whom the settings' provider vouches for, and return the token for its cookie."""
        provider = self._settings.oauth_provider
        return self.sign_ins.add(user_of(provider, subject), name[:MAX_NAME], _digest(provider))

    def _checked(self, name: str, password: str) -> tuple[str, str, str] | None:
        """Return the owner, name and proof of a sign-in, None where name or password are wrong."""
        if name:
            user = self.users.check(name, password)
            return (user.owner, user.name, _digest(user.hash)) if user else None
        shared = self._settings.password
        right = bool(shared) and hmac.compare_digest(password[: LONGEST * 4].encode(), shared.encode())
        return ("", "", _digest(shared)) if right else None

    def _signed_in(self, token: str) -> SignIn | None:
        """Return the sign-in of a token, if what it depends on still holds."""
        found = self.sign_ins.get(token)
        if found is None:
            return None
        try:
            proofs = {_digest(user.hash) for user in self.users.all() if user.owner == found.owner}
        except StoreError as error:
            report(error)
            return None
        if not found.owner:
            proofs = {_digest(self._settings.password)} if self._settings.password else set()
        elif self.by_provider:
            proofs.add(_digest(self._settings.oauth_provider))
        return found if found.proof in proofs else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
