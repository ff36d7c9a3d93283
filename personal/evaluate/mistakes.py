"""Mistakes, and the sheet of the worst: photos with the question, the answer and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from personal.concepts import Box, Photo
from personal.crops import labelled
from personal.images import MIN_SIDE, open_photo, read_photo

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont

MAX_MISTAKES = 24
COLUMNS = 6
SIDE = 260
"""Pixels of a photo's longer side on the sheet, and of a cell's width."""
LINE, MAX_LINES, GAP = 17, 8, 14
"""Pixels of a line of text, lines below a photo, pixels between cells."""
INK, PAPER, WRONG, RIGHT = "#1c1917", "#ffffff", "#b91c1c", "#15803d"


@dataclass(frozen=True)
class Mistake:
    """A wrong answer, the `similarity` it rests on if any, the `boxes` of those it saw, and how often it was made."""

    photo: Photo | None
    question: str
    answer: str
    expected: str
    similarity: float | None = None
    boxes: tuple[tuple[Box, str], ...] = ()
    times: int = 1


def worst(mistakes: Sequence[Mistake], count: int = MAX_MISTAKES) -> list[Mistake]:
    """Return the mistakes of the highest similarity, then those without one, in their order.

    A mistake repeated on the same photo in the same words comes once, with its highest similarity.
    """
    found: dict[tuple[str, str, str, str], Mistake] = {}
    for mistake in mistakes:
        key = (mistake.photo.sha256 if mistake.photo else "", mistake.question, mistake.answer, mistake.expected)
        known = found.get(key)
        if known is None:
            found[key] = mistake
        else:
            found[key] = replace(max(known, mistake, key=_similarity), times=known.times + mistake.times)
    return sorted(found.values(), key=_similarity, reverse=True)[:count]


def draw_sheet(mistakes: Sequence[Mistake], path: Path) -> None:
    """Write a PNG of the worst mistakes, of which there must be one, row by row."""
    from PIL import Image

    cells = [_cell(mistake) for mistake in worst(mistakes)]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = GAP + len(rows[0]) * (SIDE + GAP)
    sheet = Image.new("RGB", (width, GAP + sum(height + GAP for height in heights)), PAPER)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (GAP + column * (SIDE + GAP), top))
        top += height + GAP
    sheet.save(path, "PNG")


def _cell(mistake: Mistake) -> Image.Image:
    from PIL import Image, ImageDraw

    paper = Image.new("RGB", (SIDE, SIDE + MAX_LINES * LINE), PAPER)
    height = 0
    if mistake.photo:
        short, long = sorted((mistake.photo.width, mistake.photo.height))
        small = read_photo(mistake.photo.jpeg, max_side=max(SIDE, MIN_SIDE * long // short + 1))
        shown = open_photo(labelled(small, mistake.boxes))
        shown.thumbnail((SIDE, SIDE))
        paper.paste(shown, ((SIDE - shown.width) // 2, SIDE - shown.height))
        height = SIDE + 4
    draw, font = ImageDraw.Draw(paper), _font()
    similarity = "" if mistake.similarity is None else f" ({mistake.similarity:.2f})"
    times = "" if mistake.times == 1 else f", {mistake.times} times"
    for text, colour, lines in (
        (mistake.question, INK, 3),
        (f"said: {mistake.answer or '(nothing)'}{similarity}{times}", WRONG, 3),
        (f"right: {mistake.expected}", RIGHT, 2),
    ):
        for line in _wrapped(text, font, lines):
            draw.text((0, height), line, fill=colour, font=font)
            height += LINE
    return paper.crop((0, 0, SIDE, height))


def _wrapped(text: str, font: FreeTypeFont, max_lines: int) -> list[str]:
    """Break a text into lines of the cell's width, at spaces if there are any."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < max_lines:
        fits = min(len(rest), SIDE // 3)
        while font.getlength(rest[:fits]) > SIDE:
            fits -= 1
        blank = rest.rfind(" ", 1, fits + 1)
        cut = fits if fits == len(rest) or blank < 0 else blank
        lines.append(rest[:cut])
        rest = rest[cut:].lstrip()
    if rest:
        lines[-1] = lines[-1][:-1] + "…"
    return lines


@cache
def _font() -> FreeTypeFont:
    """Load matplotlib's font, which has Greek, Hebrew, Georgian and more, unlike Pillow's own."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 13)


def _similarity(mistake: Mistake) -> float:
    return float("-inf") if mistake.similarity is None else mistake.similarity
