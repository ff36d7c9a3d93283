"""The sheet of the worst mistakes: one picture of photos, what was asked of them, what was said, and what is right."""

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

MOST = 24
COLUMNS = 6
SIDE = 260
"""Pixels of a photo on the sheet, at most; a cell is as wide."""
LINE, LINES, GAP = 17, 8, 14
"""Pixels of a line of text, lines below a photo at most, pixels between cells."""
INK, PAPER, WRONG, RIGHT = "#1c1917", "#ffffff", "#b91c1c", "#15803d"


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: `sure` is the similarity it rests on, None where it rests on none; `boxes` where it saw whom.

    `times` is how often it was made. Without a photo the words stand alone.
    """

    photo: Photo | None
    asked: str
    said: str
    right: str
    sure: float | None = None
    boxes: tuple[tuple[Box, str], ...] = ()
    times: int = 1


def worst(mistakes: Sequence[Mistake], most: int = MOST) -> list[Mistake]:
    """Choose the mistakes to be shown, the surest first, then those that rest on nothing, in their order.

    One that was made again, on the same photo in the same words, is shown once, as it was when it was surest.
    """
    found: dict[tuple[str, str, str, str], Mistake] = {}
    for mistake in mistakes:
        key = (mistake.photo.sha256 if mistake.photo else "", mistake.asked, mistake.said, mistake.right)
        known = found.get(key)
        if known is None:
            found[key] = mistake
        else:
            surer = max(known, mistake, key=_sure)
            found[key] = replace(surer, times=known.times + mistake.times)
    return sorted(found.values(), key=_sure, reverse=True)[:most]


def draw_sheet(mistakes: Sequence[Mistake], path: Path) -> None:
    """Write a PNG of the worst mistakes, row by row, the surest first. There must be one."""
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

    paper = Image.new("RGB", (SIDE, SIDE + LINES * LINE), PAPER)
    height = 0
    if mistake.photo:
        short, long = sorted((mistake.photo.width, mistake.photo.height))
        small = read_photo(mistake.photo.jpeg, max_side=max(SIDE, MIN_SIDE * long // short + 1))
        shown = open_photo(labelled(small, mistake.boxes))
        shown.thumbnail((SIDE, SIDE))
        paper.paste(shown, ((SIDE - shown.width) // 2, SIDE - shown.height))
        height = SIDE + 4
    draw, font = ImageDraw.Draw(paper), _font()
    sure = "" if mistake.sure is None else f" ({mistake.sure:.2f})"
    times = "" if mistake.times == 1 else f", {mistake.times} times"
    for text, colour, most in (
        (mistake.asked, INK, 3),
        (f"said: {mistake.said or '(nothing)'}{sure}{times}", WRONG, 3),
        (f"right: {mistake.right}", RIGHT, 2),
    ):
        for line in _wrapped(text, font, most):
            draw.text((0, height), line, fill=colour, font=font)
            height += LINE
    return paper.crop((0, 0, SIDE, height))


def _wrapped(text: str, font: FreeTypeFont, most: int) -> list[str]:
    """Break a text into at most so many lines of the cell's width, anywhere where there is no blank."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < most:
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
    """Open the font that comes with matplotlib: it has Greek, Hebrew, Georgian and more, Pillow's own has not."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 13)


def _sure(mistake: Mistake) -> float:
    return float("-inf") if mistake.sure is None else mistake.sure
