"""Markdown for reports: texts that act as nothing but text, tables, numbers; and the same as a page of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape as quoted

_CSS = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1f }
table { margin: 1rem 0; border-collapse: collapse; display: block; overflow-x: auto }
td { font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ccc; text-align: left }
img { max-width: 100%; height: auto; background: #fff }
blockquote { margin: .4rem 0; padding-left: .8rem; border-left: 3px solid #bbb }
@media (prefers-color-scheme: dark) { body { color: #e6e6ea; background: #17171b } th, td { border-color: #444 } }
"""


def escape(text: object) -> str:
    """Return a text so that nothing in it acts in Markdown or HTML, on one line."""
    plain = re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", re.sub(r"[^\S\xa0]+", " ", str(text)).strip(" "))
    return re.sub(r"^(\d*)([-+.)])(?=\s|$)", r"\1\\\2", plain)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; "" without rows."""
    lines = ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]) if lines else ""


def number(value: float, digits: int = 2) -> str:
    """Return a number with so many digits; a dash where there is none."""
    return "–" if value != value else f"{value:.{digits}f}"


def interval(value: float, low: float, high: float) -> str:
    """Return a number with its interval, as one word."""
    return f"{number(value)}\xa0[{number(low)},\xa0{number(high)}]"


def p_value(value: float) -> str:
    """Return a p-value as is usual."""
    return "<\xa0.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def p_said(value: float) -> str:
    """Return what a p-value is, as sentences say it."""
    return f"p {p_value(value)}" if value < 0.001 else f"p = {p_value(value)}"


def as_html(title: str, text: str) -> str:
    """Return Markdown as a page."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{quoted(title)}</title><style>{_CSS}</style>\n<body>\n{body}</body></html>\n"
    )
