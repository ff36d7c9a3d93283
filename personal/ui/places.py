"""What guests are not told: where on the machine things are, and which servers it uses. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from personal.settings import Settings

REST = r"(?!\w)(?:/[^\s<>\"',;:()]*[^\s<>\"',;:().])?"
"""What follows in the same path or address."""


def hidden(settings: Settings) -> Callable[[Any], Any]:
    """Return what replaces folders and addresses of the settings in a value, in whatever is nested in it too.

    On one's own machine nothing is hidden.
    """
    if not settings.shared:
        return lambda value: value
    names: dict[str, str] = {
        str(settings.data_dir): "the data of the app",
        str(settings.cache_dir): "the models of the app",
    }
    for source in (settings.model, settings.encoder, settings.detector):
        if "/" in source and Path(source).expanduser().is_dir():
            names[source] = Path(source).name
    for url, name in ((settings.llm_url, "the model server"), (settings.chroma_url, "the index server")):
        if url:
            names |= {url.rstrip("/"): name, urlsplit(url).netloc: name}
    names |= {escape(place): name for place, name in names.items()}
    longest = sorted(names, key=len, reverse=True)
    pattern = re.compile("|".join(f"(?P<_{n}>{re.escape(place)}){REST}" for n, place in enumerate(longest)))

    def replaced(found: re.Match[str]) -> str:
        return names[longest[int((found.lastgroup or "_0")[1:])]]

    def hide(value: Any) -> Any:
        if isinstance(value, str):
            named = any(place in value for place in longest)  # far quicker than the pattern, where photos are in it
            return pattern.sub(replaced, value) if named else value
        if isinstance(value, dict):
            return {key: hide(one) for key, one in value.items()}
        if isinstance(value, list):
            return [hide(one) for one in value]
        return value

    return hide
