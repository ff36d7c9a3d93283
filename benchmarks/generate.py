"""Measure the language model: `python -m benchmarks.generate [--model ID|FOLDER] [--quantization 4bit|none]` → JSON.

Two concepts are matched in a photo drawn here. The figures are of a warm model, medians of a few answers: seconds to
the first token, tokens a second after it, and the process's greatest resident memory in MB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import threading
import time
from io import BytesIO

import torch
from PIL import Image

from personal.concepts import WHOLE, Concept, Match, Photo, Piece, Turn, View
from personal.generate.local import LocalGenerator
from personal.generate.prompt import lay_out
from personal.images import read_photo
from personal.settings import TINY, load
from personal.tiny.assemble import assemble, mllm_dir


def drawn(colour: str) -> Photo:
    """A plain photo."""
    data = BytesIO()
    Image.new("RGB", (640, 480), colour).save(data, "JPEG")
    return read_photo(data.getvalue())


def conversation(photo: Photo) -> list[Turn]:
    """One question about a photo in which two concepts were seen."""
    when = "2026-01-01T00:00:00+00:00"
    infos = {
        "bo": "<bo> is a brown Shiba Inu with a red collar who loves to swim.",
        "mochi": "<mochi> is a white cat with one black ear who sleeps all day.",
    }
    concepts = [
        Concept(name, name, "pet", info, (View(photo.sha256, photo.width, photo.height),), photo.sha256, when, when)
        for name, info in infos.items()
    ]
    matches = tuple(Match(c, "seen", 0.8, WHOLE, photo.sha256, photo.sha256) for c in concepts)
    return [Turn("Who is in this photo, and what do they like? Tell me a long story.", (photo,), matches)]


def main() -> None:
    """Load, warm up, answer a few times, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=TINY)
    parser.add_argument("--quantization", choices=("4bit", "none"), default="4bit")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--answers", type=int, default=3)
    options = parser.parse_args()
    cache_dir = load().cache_dir
    if options.model == TINY:
        for _ in assemble(cache_dir):
            pass
    source = str(mllm_dir(cache_dir)) if options.model == TINY else options.model
    generator = LocalGenerator(source, name=options.model, quantization=options.quantization)
    began = time.perf_counter()
    for _ in generator.load():
        pass
    load_s = time.perf_counter() - began
    photo = drawn("teal")
    first, rate, text = [], [], ""
    for answer in range(options.answers + 1):
        began, arrived, tokens, text = time.perf_counter(), [], 0, ""
        messages = lay_out(conversation(photo), avatars=lambda _: photo, sees=generator.sees)
        for piece in generator.stream(messages, max_new_tokens=options.tokens, stop=threading.Event()):
            if isinstance(piece, Piece):
                arrived.append(time.perf_counter())
                tokens += piece.tokens
                text += piece.text
        if answer > 0:
            first.append(arrived[0] - began)
            rate.append((tokens - 1) / (arrived[-1] - arrived[0]))
    report = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}",
        "model": options.model,
        "description": generator.description,
        "load_s": round(load_s, 2),
        "first_token_s": round(statistics.median(first), 3),
        "tokens_per_s": round(statistics.median(rate), 1),
        "peak_rss_mb": peak_rss_mb(),
        "text": text,
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))


def peak_rss_mb() -> int:
    """The process's greatest resident memory so far, in MB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if platform.system() == "Darwin" else 10)


if __name__ == "__main__":
    main()
