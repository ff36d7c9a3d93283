"""The look of a study's pages: templates to responses, with a policy that lets nothing in from elsewhere.

Jinja2 escapes whatever a study, a participant or a model wrote; `markdown` is the one way to HTML of their own.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from personal.settings import ASSETS
from personal.ui.doors import frame_ancestors

FOLDER = ASSETS / "study"
STYLE, SCRIPT = "/personal/study.css", "/personal/study.js"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; "
)
PALETTE = re.compile(r"(?:^|\n)(?::root|\.dark) \{(.*?)\n\}", re.DOTALL)
"""The colours of `app.css`, light and dark: these pages have the same."""
CHIPS = re.compile(r"^\.c\d \{.*$", re.MULTILINE)

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(["image"])
_TEMPLATES = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def page(template: str, *, status: int = 200, space: bool = False, **values: Any) -> Response:
    """Return a page made of a template in `assets/study`; no cache keeps it."""
    headers = {"content-security-policy": POLICY + frame_ancestors(space), "cache-control": "no-store"}
    return HTMLResponse(fragment(template, **values), status, headers)


def fragment(template: str, **values: Any) -> str:
    """Return a template's HTML."""
    return _TEMPLATES.get_template(template).render(**values)


def markdown(text: str | None) -> Markup:
    """Return what a researcher wrote as HTML; pictures and HTML of their own are not taken."""
    return Markup(_MARKDOWN.render(text or ""))


@cache
def _style() -> str:
    app = (ASSETS / "app.css").read_text(encoding="utf-8")
    light, dark = PALETTE.findall(app)[:2]
    chips = "\n".join(CHIPS.findall(app))
    own = (FOLDER / "study.css").read_text(encoding="utf-8")
    return f":root {{{light}\n}}\n@media (prefers-color-scheme: dark) {{ :root {{{dark}\n}} }}\n{chips}\n{own}"


def style(request: Request) -> Response:
    """Send the style of the pages."""
    return Response(_style(), media_type="text/css", headers={"cache-control": "no-cache"})


def script(request: Request) -> Response:
    """Send the script of the pages."""
    text = (FOLDER / "study.js").read_text(encoding="utf-8")
    return Response(text, media_type="text/javascript", headers={"cache-control": "no-cache"})
