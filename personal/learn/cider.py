"""CIDEr-D (Vedantam et al., CVPR 2015): agreement of captions with those that people wrote for the same photo.

pycocoevalcap's scorer gives the same values, but only for whole collections; rewards are needed caption by caption.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean

MAX_N = 4
"""Words of the longest n-grams."""
LENGTH_DEVIATION = 6.0
"""Standard deviation of the penalty on differences in length, in pairs of words (CIDEr-D's sigma)."""
FULL_STOP = "."
"""Counts as a word, so that captions that break off get a lower reward."""

Ngram = tuple[str, ...]


class CiderD:
    """CIDEr-D against given references, by photo; an n-gram weighs the less, the more photos have it."""

    def __init__(self, references: Mapping[str, Sequence[str]]) -> None:
        counted = {image: [_ngrams(_words(text)) for text in texts] for image, texts in references.items()}
        self._photos_with = Counter(gram for texts in counted.values() for gram in {g for t in texts for g in t})
        self._log_photos = math.log(len(counted)) if counted else 0.0
        self._references = {image: [self._vector(text) for text in texts] for image, texts in counted.items()}

    def score(self, image: str, caption: str) -> float:
        """Return the score of a caption of a photo, 0 to 10."""
        grams, norms, length = self._vector(_ngrams(_words(caption)))
        total = 0.0
        for reference, reference_norms, reference_length in self._references[image]:
            products = [0.0] * MAX_N
            for gram, weight in grams.items():
                if gram in reference:
                    products[len(gram) - 1] += min(weight, reference[gram]) * reference[gram]
            each = zip(products, norms, reference_norms, strict=True)
            cosines = (product / (ours * theirs) if ours and theirs else 0.0 for product, ours, theirs in each)
            total += mean(cosines) * math.exp(-((length - reference_length) ** 2) / (2 * LENGTH_DEVIATION**2))
        return 10 * total / len(self._references[image])

    def _vector(self, grams: Counter[Ngram]) -> tuple[dict[Ngram, float], list[float], int]:
        """Return n-grams with their tf-idf, the norm for each n, and the number of pairs of words."""
        weights = {g: n * (self._log_photos - math.log(max(1, self._photos_with[g]))) for g, n in grams.items()}
        squares = [0.0] * MAX_N
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight**2
        return weights, [math.sqrt(s) for s in squares], sum(n for g, n in grams.items() if len(g) == 2)


def _words(caption: str) -> list[str]:
    stop = [FULL_STOP] if caption.rstrip().endswith(FULL_STOP) else []
    return re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", caption.lower()) + stop


def _ngrams(words: Sequence[str]) -> Counter[Ngram]:
    return Counter(tuple(words[i : i + n]) for n in range(1, MAX_N + 1) for i in range(len(words) - n + 1))
