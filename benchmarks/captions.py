"""Compare two runs of `evaluate caption` on the same photos: `python -m benchmarks.captions ONE.json OTHER.json`.

Says how much CIDEr-D and BLEU-4 the other has more than the one, with 95 % of a paired bootstrap over the photos, and
how many captions are the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from personal.evaluate.caption import score, words

DRAWS = 1000


def plain(path: Path) -> dict[str, dict[str, Any]]:
    """The plain captions of a run, by photo."""
    answers = json.loads(path.read_text(encoding="utf-8"))["answers"]
    return {answer["photo"]: answer for answer in answers if "references" in answer}


def compare(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Compare two runs on the photos that both have."""
    from pycocoevalcap.cider.cider import Cider  # type: ignore[import-untyped]

    photos = sorted(one.keys() & other.keys())
    known = {i: [words(text) for text in one[photo]["references"]] for i, photo in enumerate(photos)}
    each = [
        Cider().compute_score(known, {i: [words(run[photo]["answer"])] for i, photo in enumerate(photos)})[1]
        for run in (one, other)
    ]
    gained = np.asarray(each[1]) - np.asarray(each[0])
    draws = np.random.default_rng(0).integers(0, len(photos), (DRAWS, len(photos)))
    low, high = np.percentile(gained[draws].mean(1), (2.5, 97.5))
    references = [one[photo]["references"] for photo in photos]
    bleu = [score(references, [run[photo]["answer"] for photo in photos])["bleu_4"] for run in (one, other)]
    return {
        "photos": len(photos),
        "cider_d": [round(float(np.mean(run)), 4) for run in each],
        "gained": round(float(gained.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "bleu_4": bleu,
        "same": sum(one[photo]["answer"] == other[photo]["answer"] for photo in photos),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    options = parser.parse_args()
    print(json.dumps(compare(plain(options.one), plain(options.other))))
