"""Encode rows as the app would send them, through its own prompt and the checkpoint's own chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personal.concepts import Concept, Match, Photo, Turn, View
from personal.data.pictures import MOSAIC, Picture, parse_picture
from personal.data.rows import Row
from personal.generate import prompt
from personal.learn.prefix_tree import PrefixTree, TokenSequence, build_tree

FIRST_TOKEN_WEIGHT = 4
"""Weight of an answer's first token where it decides a name, a yes or a no."""
LETTER_WEIGHT = 8
"""Weight of an option's letter, which is all there is of the answer."""
SIDE = 224
"""Pixels of a photo's sides, as far as prompts know: of any photo the same."""


class RowEncoder:
    """Encodes rows for one checkpoint; `labels` are the photos' lines of labels by file name."""

    def __init__(self, checkpoint: Path, labels: Mapping[str, str] | None = None) -> None:
        from transformers import AutoConfig, AutoProcessor

        config = AutoConfig.from_pretrained(checkpoint)
        self.labels = labels or {}
        self.processor = AutoProcessor.from_pretrained(checkpoint)
        self.image_id: int = config.image_token_id
        self._image: str = self.processor.image_token
        self._image_tokens: int = config.image_seq_length
        self.end: str = self.processor.tokenizer.eos_token
        self.pad: int = self.processor.tokenizer.pad_token_id

    def tree(self, rows: Sequence[Row], *, avatars: bool = True) -> PrefixTree:
        """Encode the rows of one photo and one `extra`; without `avatars` concepts are introduced in words alone."""
        pictures: list[Picture] = []
        sequences = []
        for row in rows:
            chat, pictures = row_messages(row, avatars=avatars, labels=self.labels)
            sequences.append(self._encode(chat, row["conversations"][1]["value"], _first_weight(row)))
        return build_tree(sequences, pictures)

    def question(self, question: str, image: str) -> tuple[int, ...]:
        """Return the tokens of a question about a photo, nothing being supplied, up to its answer."""
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": ""}]
        row: Row = {"id": "", "image": image, "extra": {}, "type": "caption", "conversations": turns}
        return self._encode(row_messages(row, labels=self.labels)[0], "").ids[:-1]

    def _encode(self, chat: list[dict[str, Any]], answer: str, first_weight: int = 1) -> TokenSequence:
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        text = text.replace(self._image, self._image * self._image_tokens)
        asked = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        answered = self.processor.tokenizer(answer + self.end, add_special_tokens=False)["input_ids"]
        return TokenSequence((*asked, *answered), len(asked), first_weight)


def _first_weight(row: Row) -> int:
    if row["type"] == "choice":
        return LETTER_WEIGHT
    if row["type"] in {"notes", "talk"}:
        return FIRST_TOKEN_WEIGHT
    return FIRST_TOKEN_WEIGHT if row["extra"] and row["image"] and not row["image"].startswith(MOSAIC) else 1


def row_messages(
    row: Row, *, avatars: bool = True, labels: Mapping[str, str] | None = None
) -> tuple[list[dict[str, Any]], list[Picture]]:
    """Return a row's messages as the app would build them, and the pictures in them in order."""
    matches = tuple(
        Match(_concept(path, record), "seen" if record.get("recognised", True) else "named")
        for path, record in row["extra"].items()
    )
    photos = (_photo(row["image"]),) if row["image"] else ()
    question = row["conversations"][0]["value"].removeprefix("<image>\n")
    turn = Turn(question, photos, matches)
    built = prompt.build_messages([turn], avatars=lambda concept: _photo(concept.avatar), sees=True)
    if labels:
        built = prompt.with_labels(built, lambda photo: labels.get(photo.sha256, ""))
    chat, pictures = [], []
    for message in built:
        parts = []
        for part in message["content"]:
            if part["type"] != "image":
                parts.append({"type": "text", "text": part["text"]})
            elif avatars or not part["avatar"]:
                pictures.append(parse_picture(part["image"].sha256))
                parts.append({"type": "image"})
        chat.append({"role": message["role"], "content": parts})
    return chat, pictures


def _concept(path: str, record: dict[str, Any]) -> Concept:
    view = View(path, SIDE, SIDE)
    return Concept(path, record["name"], record["category"], record["info"], (view,), path, "", "")


def _photo(path: str) -> Photo:
    return Photo(b"", path, SIDE, SIDE)
