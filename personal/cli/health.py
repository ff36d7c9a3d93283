"""health: whether the running app is ready, for a container's health check or a script."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request

from personal import settings
from personal.cli.output import emit
from personal.errors import PersonalError

PATIENCE_S = 8.0
"""How long an answer may take, seconds."""
PORT = 7860
"""Where the app is served unless a setting says otherwise."""
MOST = 65536
"""Bytes of an answer that are read."""


def health(options: argparse.Namespace, knobs: settings.Settings) -> int:
    """Ask the app of these settings, or the address that is given; the exit code is 0 if it is ready, else 1."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(knobs.host, knobs.host)
    host = f"[{host}]" if ":" in host else host
    url = options.url or f"http://{host}:{knobs.port or PORT}/readyz"
    status, text = _asked(url)
    if options.json:
        emit({"ok": status == 200, "status": status, "told": text})
    else:
        print(f"{url} says {status}: {str(text)[:500]}")
    return 0 if status == 200 else 1


def _asked(url: str) -> tuple[int, object]:
    """Return the status and what is told, as JSON if it is that. No proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE_S) as answer:
            status, body = answer.status, answer.read(MOST)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(MOST)
    except (OSError, ValueError) as error:
        raise PersonalError(f"Nothing answers at {url}. Is the app running?") from error
    text = body.decode("utf-8", "replace").strip()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text
