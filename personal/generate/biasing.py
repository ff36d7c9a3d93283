"""Make words likelier while an answer is decoded, until they are said.

Contextual biasing by shallow fusion (Zhao et al., Interspeech 2019): the bias is added to the logit of a word's first
token, and once that is chosen, to those of the tokens that complete it. The model still chooses where the word fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Expected = tuple[tuple[tuple[int, ...], float], ...]
"""The tokens of words and the bias of each, in logits."""

COMPLETION = 2.0
"""What is added besides to the tokens that complete a word."""


class Bias:
    """A logits processor. `expected` has a row for each answer; answers begin at token `start`."""

    def __init__(self, start: int, expected: Sequence[Expected]) -> None:
        self._start, self._expected = start, expected

    def __call__(self, ids: Any, scores: Any) -> Any:
        """Return the scores, (rows, vocabulary), of the next tokens after `ids`, (rows, tokens)."""
        if not any(self._expected):
            return scores
        scores = scores.clone()
        for row, expected in enumerate(self._expected):
            said = tuple(ids[row, self._start :].tolist())
            for word, bias in expected:
                if not _holds(said, word):
                    known = next(
                        n for n in range(min(len(word) - 1, len(said)), -1, -1) if said[len(said) - n :] == word[:n]
                    )
                    scores[row, word[known]] += bias + COMPLETION * (known > 0)
        return scores


def _holds(said: tuple[int, ...], word: tuple[int, ...]) -> bool:
    return any(said[place : place + len(word)] == word for place in range(len(said) - len(word) + 1))
