"""Read a folder of captioned photos: `captions.jsonl` beside image files or .tar archives of them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.errors import PersonalError

if TYPE_CHECKING:
    from PIL import Image


CAPTIONS = "captions.jsonl"


@dataclass(frozen=True, slots=True)
class CaptionedPhoto:
    """One photo's file name and annotations; `split` is train, val or test.

    `captions` were written by people; `labels` name what it shows, the largest first; `scene` is a room or a place, or
    ""; `colours` maps things to their colours; `qa` are questions with answers; `source` names the collection.
    """

    image: str
    split: str
    captions: tuple[str, ...]
    labels: tuple[str, ...] = ()
    scene: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    qa: tuple[tuple[str, str], ...] = ()
    source: str = ""


class Photos:
    """A folder of captioned photos. Raises PersonalError if it has no valid `captions.jsonl` or an image is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            lines = (folder / CAPTIONS).read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
            self.rows = [_captioned(row) for row in rows]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PersonalError(
                f"{folder} needs a captions.jsonl with a line for each photo: "
                '{"image": FILE, "captions": [TEXT, …] or "labels": [TEXT, …], "split": "train" or "test"}.'
            ) from error
        self._members: dict[str, tuple[Path, int, int]] = {}
        for archive in sorted(folder.glob("*.tar")):
            try:
                with tarfile.open(archive) as tar:
                    for member in tar:
                        if member.isfile():
                            self._members[member.name.removeprefix("./")] = (archive, member.offset_data, member.size)
            except (tarfile.TarError, OSError) as error:
                raise PersonalError(f"{archive} is no .tar that can be read ({error}). Download it again.") from error

    def split(self, name: str) -> list[CaptionedPhoto]:
        """Return the photos of a split, in the file's order."""
        return [row for row in self.rows if row.split == name]

    def train_and_held_out(self, count: int) -> tuple[list[CaptionedPhoto], list[CaptionedPhoto]]:
        """Return the training split without its last `count` photos, at most a fifth of it, and these."""
        photos = self.split("train")
        kept = len(photos) - min(count, len(photos) // 5)
        return photos[:kept], photos[kept:]

    def open(self, image: str) -> Image.Image:
        """Return a photo's pixels: RGB."""
        from PIL import Image

        with Image.open(BytesIO(self.read(image))) as picture:
            return picture.convert("RGB")

    def read(self, image: str) -> bytes:
        """Return a photo's bytes, from its file or from a .tar."""
        try:
            if image in self._members:
                archive, start, size = self._members[image]
                with archive.open("rb") as file:
                    file.seek(start)
                    return file.read(size)
            for path in (self.folder / image, self.folder / "images" / image):
                if path.is_file():
                    return path.read_bytes()
        except OSError as error:
            raise PersonalError(f"{image} cannot be read: {error}.") from error
        raise PersonalError(f"{image} is named in captions.jsonl, but neither {self.folder} nor its .tar holds it.")


def _captioned(row: dict[str, Any]) -> CaptionedPhoto:
    image, split, labels = row["image"], row.get("split", "train"), row.get("labels") or []
    captions = row["captions"] if not labels else row.get("captions") or []
    for texts in ([image, split], captions, labels):
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError("an image is a text; captions and labels are lists of texts")
    qa = tuple((str(pair["question"]), str(pair["answer"])) for pair in row.get("qa") or ())
    colours = {str(thing): str(colour) for thing, colour in (row.get("colours") or {}).items()}
    scene, source = str(row.get("scene") or ""), str(row.get("source") or "")
    return CaptionedPhoto(image, split, tuple(captions), tuple(labels), scene, colours, qa, source)
