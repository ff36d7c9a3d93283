"""Proxies as the environment sets them: loopback never goes through one, and one that cannot be used is named.

Libraries read HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY by themselves, some of them on import, and fail where one
cannot be used. `prepare` is called once at the start, before they are imported.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SCHEMES = ("http", "https", "socks5", "socks5h")
NOWHERE = "http://proxy-that-cannot-be-used.invalid"
"""Stands in for a proxy that cannot be used, so that nothing goes out past it (RFC 2606: the name never resolves)."""

log = logging.getLogger(__name__)
unusable: dict[str, str] = {}
"""The sentence about each proxy that `prepare` replaced, by scheme."""


def prepare(host: str = "") -> None:
    """Make the environment's proxies such as libraries can use, and keep loopback and `host` out of them.

    `socks://` is read as `socks5://`. A proxy that cannot be used is replaced by one that leads nowhere, and named in
    the log. Without any proxy nothing is changed.
    """
    proxies = {scheme: url for scheme, url in getproxies().items() if scheme in ("http", "https", "all")}
    for scheme, url in proxies.items():
        if url == NOWHERE:
            continue
        names = [name for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()) if os.environ.get(name)]
        names = names or [f"{scheme}_PROXY".upper()]  # the system's own, which setting NO_PROXY would hide
        usable = re.sub(r"^socks:", "socks5:", url.strip(), flags=re.IGNORECASE)
        if why := _wrong(usable):
            usable = NOWHERE
            unusable[scheme] = f"The proxy {names[0]}={_shown(url)} cannot be used: {why} Change it, or unset it."
            log.warning("%s Until then nothing is fetched from other machines.", unusable[scheme])
        for name in names:
            os.environ[name] = usable
    if proxies:
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        kept = [entry.strip() for entry in direct.split(",") if entry.strip()]
        if "*" not in kept:
            kept += [place for place in (*LOOPBACK, host) if place and place not in kept]
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(kept)


def trouble(url: str) -> str:
    """Return in a sentence why the proxy that a request to `url` goes through cannot be used, or ""."""
    scheme, proxy = _proxy_of(url)
    if proxy == NOWHERE:
        return unusable.get(scheme, "Its proxy cannot be used.")
    why = _wrong(proxy) if proxy else ""
    return why and f"The proxy {scheme.upper()}_PROXY={_shown(proxy)} cannot be used: {why} Change it, or unset it."


def via(url: str) -> str:
    """Return " through the proxy …" where a request to `url` goes through one, for a sentence; else ""."""
    _, proxy = _proxy_of(url)
    return f" through the proxy {_shown(proxy)}" if proxy and proxy != NOWHERE else ""


def is_loopback(url: str) -> bool:
    """Return whether an address is this machine's own."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def _proxy_of(url: str) -> tuple[str, str]:
    """Return the scheme of the variable, and the proxy, that a request to `url` goes through; "" for none."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return "", ""
    proxies = getproxies()
    return next(((scheme, proxies[scheme]) for scheme in (parts.scheme, "all") if proxies.get(scheme)), ("", ""))


def _wrong(proxy: str) -> str:
    """Return what is wrong with a proxy's address, or ""."""
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and proxy.isprintable() and " " not in proxy
    except ValueError:
        usable = False
    if not usable:
        return "an address such as http://127.0.0.1:8080 is needed."
    if parts.scheme not in SCHEMES:
        return f"{parts.scheme}:// is none of {', '.join(SCHEMES)}."
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "SOCKS takes the package socksio (pip install socksio)."
    return ""


def _shown(proxy: str) -> str:
    """Return a proxy's address without its password, on one line."""
    return re.sub(r"^(\w[\w+.-]*://)?.*@", r"\1…@", "".join(c for c in proxy if c.isprintable()))
