"""What of a chat may be recorded: questions and answers as text or as lengths, photos as salted hashes, matches."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from personal.concepts import Answer, Match, Photo
from personal.study.schema import Logging

Side = Literal["left", "right", ""]
"""Where an answer stood in a blind comparison; "" for the only one."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Turns what happened into what may be kept. `salt` is the study's secret: hashes say nothing outside of it."""

    logging: Logging
    salt: bytes

    def written(self, text: str) -> dict[str, Any]:
        """Return a text as it may be kept: its lengths, and the words themselves where the study says so."""
        lengths = {"characters": len(text), "words": len(text.split())}
        return {"text": text, **lengths} if self.logging.text == "text" else lengths

    def photo(self, photo: Photo) -> str | None:
        """Return what stands for a photo; None where photos leave no trace."""
        return None if self.logging.photos == "never" else self.hashed(photo.sha256)

    def photos(self, photos: Iterable[Photo]) -> list[str]:
        """Return what stands for photos, as far as they leave a trace."""
        return [name for name in map(self.photo, photos) if name]

    def hashed(self, text: str) -> str:
        """Return a keyed hash of a text, 16 hex digits: the same in all of the study, nothing outside of it."""
        return hmac.new(self.salt, text.encode(), hashlib.sha256).hexdigest()[:16]

    def concept(self, name: str) -> str:
        """Return what stands for a concept's name."""
        return name if self.logging.text == "text" else self.hashed(name.casefold())

    def match(self, match: Match) -> dict[str, Any]:
        """Return a match: its figures, and whether answers could call it by its name."""
        return {
            "concept": self.concept(match.concept.name),
            "similarity": _rounded(match.similarity),
            "probability": _rounded(match.probability),
            "reason": match.reason,
            "certainty": match.certainty,
            "said": match.said,
        }

    def answer(self, answer: Answer, condition: str, side: Side = "") -> dict[str, Any]:
        """Return an answer as it may be kept, with the condition that gave it."""
        return {
            "condition": condition,
            "side": side,
            **self.written(answer.text),
            "matches": [self.match(match) for match in answer.look.matches],
            "model": answer.model,
            "tokens": answer.tokens,
            "stopped": answer.stopped,
            "retrieve_s": round(answer.look.seconds, 3),
            "first_token_s": _rounded(answer.first_token_s),
            "total_s": round(answer.total_s, 3),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
