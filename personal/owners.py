"""Owners: whose concepts they are. The machine's owner and those who sign in last; guests end with their visit."""

from __future__ import annotations

import hashlib
import secrets

LOCAL = "local"
"""The owner on one's own machine."""
USER = "user-"
"""What the ids of owners who sign in begin with."""
GUEST = "visitor-"
"""What the ids of guests begin with."""


def lasts(owner: str) -> bool:
    """Return whether an owner is there after their visit has ended."""
    return owner == LOCAL or owner.startswith(USER)


def new_user() -> str:
    """Return the id of a new owner who signs in; it tells nothing of them."""
    return USER + secrets.token_hex(16)


def user_of(provider: str, name: str) -> str:
    """Return the id of the owner whom somebody else vouches for by a name: the same for the same name."""
    return USER + hashlib.sha256(f"{provider}\0{name}".encode()).hexdigest()[:32]


def new_guest() -> str:
    """Return the id of a new guest."""
    return GUEST + secrets.token_hex(12)
