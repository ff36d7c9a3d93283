"""What a model server takes of a request, learnt from its refusals: pure functions.

Servers refuse what they do not take in words of their own; what they name is left out of the next request, or written
otherwise. Knows nothing of connections (`remote` has them).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from personal.generate.prompt import without_system
from personal.messages import Message, Part, is_avatar, make_message, text_part

LENGTHS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": ""}
"""Under which name the longest answer is sent, and what is tried next; "" leaves it out."""
SMALLEST = 2**15
"""Bytes of images in a request, below which a server's limit is not sought."""
OMITTED = "(A photo that is not sent again.)\n"

_IMAGE = r"(?:image|picture|photo|multi-?modal|vision|media|attachment|frame)"
_NUMBER = r"(\d+|one|a single|single)"
_OF_IMAGES = re.compile(_IMAGE, re.IGNORECASE)
_MANY = re.compile(
    rf"too many|(?:number|count|amount) of {_IMAGE}|{_IMAGE}s? count|multiple|multi-image", re.IGNORECASE
)
_COUNTED = re.compile(
    rf"at most|up to|\bmax|more than|less than|fewer|exceed|limit|\bonly {_NUMBER}\b|\b(?:one|single) {_IMAGE}",
    re.IGNORECASE,
)
_MOST = re.compile(
    r"(?:at most|up to|\bonly|max\w*|limit\w*|exceed\w*|(?:more|less) than|support\w*|allow\w*|accept\w*|"
    rf"{_IMAGE}\W{{1,3}})\D{{0,30}}?{_NUMBER}\b",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"\b(bytes?|[kmg]i?b|\d+[kmg]i?b|sizes?|large|resolution|pixels?|dimensions?|width|height|format|mime|payload|entity)\b",
    re.IGNORECASE,
)
_LARGE = re.compile(r"too (large|big)|exceed|max|limit|larger|at most|over", re.IGNORECASE)
_TEMPERATURE = re.compile(r"temp[eé]rat|\btemp\b|sampling|do_sample|greedy|top_p|温度", re.IGNORECASE)
_LENGTH = re.compile(r"max_(completion_|new_|output_)?tokens", re.IGNORECASE)
_STREAM = re.compile(r"\bstream(ing|ed)?\b", re.IGNORECASE)
_SYSTEM = re.compile(
    r"\bsystem\b|\broles?\b|\binstructions?\b|developer (message|prompt)|first message|user/assistant|系统",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Dialect:
    """How to ask one server. `images` is how many it takes at most in a request, `image_bytes` how large together."""

    image_bytes: int
    images: int | None = None
    temperature: bool = True
    length: str = "max_tokens"
    system: bool = True
    stream: bool = True

    def messages(self, messages: Sequence[Message]) -> list[Message]:
        """Return messages as this server takes them."""
        fewer = with_fewer_images(messages, self.images)
        return fewer if self.system or fewer[0]["role"] != "system" else without_system(fewer)

    def options(self, max_new_tokens: int, temperature: float) -> dict[str, Any]:
        """Return the options of a request under the names that this server knows."""
        return {
            **({"stream": True} if self.stream else {}),
            **({self.length: max_new_tokens} if self.length else {}),
            **({"temperature": temperature} if self.temperature else {}),
        }

    def after_param(self, param: str, code: str) -> Dialect | None:
        """Return how to ask after a refusal that names one option as not supported, or None."""
        return self._without(param) if code.startswith("unsupported") else None

    def after_words(self, message: str, status: int | None, images: Sequence[int]) -> Dialect | None:
        """Return how to ask after a refusal in words; `images` are the sizes, in bytes, of those that were sent.

        `status` is None for a refusal within a stream. Returns None where the words name nothing that can be changed.
        """
        of_images, of_size = _OF_IMAGES.search(message), _SIZE.search(message)
        if of_images and (_MANY.search(message) or (_COUNTED.search(message) and not of_size)):
            return self._fewer(message, len(images))
        if status == 413 or (of_images and of_size and _LARGE.search(message)):
            return self._smaller(images)
        for words, option in (
            (_TEMPERATURE, "temperature"),
            (_LENGTH, self.length),
            (_STREAM, "stream" if status else ""),
            (_SYSTEM, "system"),
        ):
            changed = self._without(option) if words.search(message) else None
            if changed:
                return changed
        return None

    def _smaller(self, images: Sequence[int]) -> Dialect | None:
        smaller = min(self.image_bytes, sum(images)) // 2
        return replace(self, image_bytes=smaller) if images and smaller >= SMALLEST else None

    def _fewer(self, message: str, sent: int) -> Dialect | None:
        """Return how to ask with as many images as a refusal names, or else with one less."""
        most = [int(found) if found.isdigit() else 1 for found in _MOST.findall(message)]
        if sent < 2 or 0 in most:
            return None  # it takes none at all
        return replace(self, images=next((n for n in most if n < sent), sent - 1))

    def _without(self, option: str) -> Dialect | None:
        if option == self.length and option:
            return replace(self, length=LENGTHS[option])
        if option == "temperature" and self.temperature:
            return replace(self, temperature=False)
        if option == "stream" and self.stream:
            return replace(self, stream=False)
        if option == "system" and self.system:
            return replace(self, system=False)
        return None


def with_fewer_images(messages: Sequence[Message], most: int | None) -> list[Message]:
    """Return messages with at most `most` images: avatars become text first, then older photos; the last one stays.

    Of avatars those of earlier questions go first, and of one question those that are the least like.
    """
    places = [
        (not part["avatar"], at, -number if part["avatar"] else number)
        for at, message in enumerate(messages)
        for number, part in enumerate(message["content"])
        if part["type"] == "image"
    ]
    excess = 0 if most is None else max(0, len(places) - max(most, 1))
    gone = {(at, abs(number)) for _, at, number in sorted(places)[:excess]}
    if not gone:
        return list(messages)
    return [
        make_message(
            message["role"], *_without_images(message["content"], {number for place, number in gone if place == at})
        )
        for at, message in enumerate(messages)
    ]


def _without_images(content: Sequence[Part], gone: set[int]) -> list[Part]:
    """Leave images out of a message: an avatar's line goes on without a break, and of a photo it is said."""
    parts: list[Part] = []
    break_after = False
    for number, part in enumerate(content):
        if number in gone:
            break_after = is_avatar(part)
            if not break_after:
                parts.append(text_part(OMITTED.rstrip()))
            continue
        if break_after and part["type"] == "text":
            part = text_part(part["text"].removeprefix("\n"), introduces=part["introduces"])
        parts.append(part)
        break_after = False
    return parts
