"""Write rows to disk: RAP's JSON, the pictures that they name, a data card and a sheet of examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from personal.concepts import Progress
from personal.data.pictures import CROP, MOSAIC, open_picture, parse_picture
from personal.data.rows import Row

if TYPE_CHECKING:
    from PIL import Image

    from personal.data.photos import Photos

SPLITS = ("train", "held_out")
SIDE, TEXT = 224, 330
"""Pixels on the sheet: of a photo's side, and of the width of the text beside it."""


def write_dataset(folder: Path, splits: Mapping[str, Sequence[Row]], photos: Photos, seed: int) -> Iterator[Progress]:
    """Write `<split>.json`, `crop/`, `mosaic/`, `card.md` and `sheet.png` into a folder, yielding progress."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {path for rows in splits.values() for row in rows for path in (row["image"], *row["extra"]) if path}
    made = sorted(path for path in paths if path.startswith((CROP, MOSAIC)))
    for number, path in enumerate(made, 1):
        _write_picture(folder / path, path, photos)
        if number % 100 == 0 or number == len(made):
            yield Progress("Cutting out avatars, joining photos", number, len(made))
    for name, rows in splits.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    (folder / "card.md").write_text(data_card(splits, photos.folder.name, seed), encoding="utf-8")
    example_sheet(_examples_of_each_type(splits["train"]), photos).save(folder / "sheet.png")
    yield Progress("The data is written", len(made), len(made))


def read_rows(path: Path) -> list[Row]:
    """Read a file of rows."""
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def data_card(splits: Mapping[str, Sequence[Row]], source: str, seed: int) -> str:
    """Describe the data in Markdown: rows by type and split, and photos."""
    kinds = sorted({row["type"] for rows in splits.values() for row in rows})
    lines = ["# Personalised instruction data", "", f"Made from the captions of `{source}` with seed {seed}.", ""]
    lines += [f"| type | {' | '.join(splits)} |", f"| --- |{' ---: |' * len(splits)}"]
    counts = {name: Counter(row["type"] for row in rows) for name, rows in splits.items()}
    lines += [f"| {kind} | {' | '.join(str(counts[name][kind]) for name in splits)} |" for kind in kinds]
    lines += [f"| all | {' | '.join(str(len(rows)) for rows in splits.values())} |"]
    photos = [str(len({row["image"] for row in rows} - {None})) for rows in splits.values()]
    lines += [
        f"| photos | {' | '.join(photos)} |",
        "",
        "No photo is in two splits. Avatars are parts of the photos.",
        "",
    ]
    return "\n".join(lines)


def example_sheet(rows: Sequence[Row], photos: Photos) -> Image.Image:
    """Draw rows: the photo, the supplied concepts, the question and the answer."""
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (3 * (SIDE + TEXT), max(1, -(-len(rows) // 3)) * (SIDE + 8)), "white")
    pen = ImageDraw.Draw(page)
    for number, row in enumerate(rows):
        x, y = number % 3 * (SIDE + TEXT), number // 3 * (SIDE + 8)
        if row["image"]:
            page.paste(open_picture(photos, parse_picture(row["image"])).resize((SIDE, SIDE)), (x, y))
        concepts = [f"<{c['name']}> [{c['category']}] {c['info']}" for c in row["extra"].values()]
        asked, answered = (turn["value"] for turn in row["conversations"])
        text = [row["type"].upper(), *concepts, f"Q: {asked.removeprefix('<image>')}".strip(), f"A: {answered}"]
        lines = [line for part in text for line in wrap(part, 52)][:14]
        pen.multiline_text((x + SIDE + 8, y), "\n".join(lines), fill="black")
    return page


def _examples_of_each_type(rows: Iterable[Row], each: int = 3) -> list[Row]:
    chosen: dict[str, list[Row]] = {}
    for row in rows:
        kept = chosen.setdefault(row["type"], [])
        if len(kept) < each and row["image"] not in {other["image"] for other in kept}:
            kept.append(row)
    return [row for kind in sorted(chosen) for row in chosen[kind]]


def _write_picture(file: Path, path: str, photos: Photos) -> None:
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        open_picture(photos, parse_picture(path)).save(file, "WEBP", quality=90)
