"""Proxies: what a request says of itself and what a proxy that is trusted says of it.

Afterwards the request carries one truth: the visitor's address, the scheme and Host as they are, and no header of
forwarding that anything behind could believe or reflect.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import MutableMapping, Sequence
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDING = re.compile(rb"forwarded|x-forwarded.*|x-real-ip", re.IGNORECASE)
NEVER = b"x-gradio-server"
"""Gradio takes its own address from this header, whoever sends it."""


class Proxied(enum.Enum):
    """Whether a request came by a proxy: by none, by one that is trusted, or by one that nobody named."""

    NO = enum.auto()
    TRUSTED = enum.auto()
    UNKNOWN = enum.auto()


def resolve(
    scope: MutableMapping[str, Any], trusted: Sequence[Network], *, everyone: bool = False, user_header: str = ""
) -> Proxied:
    """Take what a trusted proxy forwards into `scope` (client, scheme), and the headers of forwarding out of it.

    `everyone` trusts whoever connects: a platform that nothing else can reach the app on. `user_header` is where such a
    proxy says who somebody is: in `scope["told_user"]`, "" where it says nothing, or two things.
    """
    forwarded: dict[bytes, list[str]] = {}
    kept, told = [], []
    for key, value in scope["headers"]:
        if user_header and key.lower() == user_header.lower().encode():
            told.append(value.decode("utf-8", "replace").strip())
        elif FORWARDING.fullmatch(key):
            forwarded.setdefault(key.lower(), []).append(value.decode("latin-1"))
        elif key.lower() != NEVER:
            kept.append((key, value))
    scope["headers"], scope["told_user"] = kept, ""
    if not forwarded:
        return Proxied.NO
    if not (everyone or _within((scope.get("client") or ("",))[0], trusted)):
        return Proxied.UNKNOWN
    scope["told_user"] = told[0] if len(told) == 1 else ""
    scheme = _listed(forwarded, b"x-forwarded-proto")[:1]
    if scheme and scheme[0].lower() in {"http", "https"}:
        scope["scheme"] = scheme[0].lower()
    chain = _listed(forwarded, b"x-forwarded-for")
    visitor = next((hop for hop in reversed(chain) if not _internal(hop, trusted, everyone)), chain[0] if chain else "")
    if visitor:
        scope["client"] = (visitor, 0)
    return Proxied.TRUSTED


def _listed(forwarded: dict[bytes, list[str]], key: bytes) -> list[str]:
    return [part.strip() for line in forwarded.get(key, []) for part in line.split(",") if part.strip()]


def _internal(hop: str, trusted: Sequence[Network], everyone: bool) -> bool:
    """Tell whether an address of the chain is a proxy's: one that is trusted, within a platform any private one."""
    if everyone:
        try:
            return not ipaddress.ip_address(hop).is_global
        except ValueError:
            return False
    return _within(hop, trusted)


def _within(host: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
