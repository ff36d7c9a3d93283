"""look and ask, once or for the lines of standard input."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal import compose, logs, settings, terminal
from personal.cli.output import emit, read_photo
from personal.compose import LOCAL
from personal.concepts import Answer, Turn
from personal.errors import PersonalError
from personal.records import match_record

if TYPE_CHECKING:
    from personal.assistant import Assistant


def look(options: argparse.Namespace, knobs: settings.Settings) -> int:
    def one(assistant: Assistant, image: str | None, question: str) -> dict[str, Any]:
        if image is None:
            raise PersonalError("There is no image. Say which photo to look at.")
        look = assistant.look(
            LOCAL,
            read_photo(Path(image), knobs),
            question,
            threshold=options.threshold,
            top_k=options.top_k,
            names=not options.no_names,
        )
        return {"matches": [match_record(m) for m in look.matches], "seconds": round(look.seconds, 4)}

    def words(result: dict[str, Any]) -> str:
        if not result["matches"]:
            return "Nobody and nothing you registered was recognised."
        return "\n".join(
            f"<{m['name']}>{'?' * (m['certainty'] == 'maybe')}\t"
            + ("named" if m["similarity"] is None else f"{m['similarity']:.2f}\t{m['box']}")
            for m in result["matches"]
        )

    if options.image is None and not options.stdin:
        options.usage("give an image, or --stdin")
    return _run_questions(options, knobs, one, words, options.image, options.question)


def ask(options: argparse.Namespace, knobs: settings.Settings) -> int:
    def one(assistant: Assistant, image: str | None, question: str) -> dict[str, Any]:
        if not question.strip():
            raise PersonalError("There is no question. Say what you want to know.")
        events = assistant.answer(
            LOCAL,
            [Turn(question, () if image is None else (read_photo(Path(image), knobs),))],
            threshold=options.threshold,
            top_k=options.top_k,
            names=not options.no_names,
            memory=not options.no_memory,
        )
        answer = next(event for event in events if isinstance(event, Answer))
        return {
            "answer": answer.text,
            "matches": [match_record(m) for m in answer.matches],
            "model": answer.model,
            "tokens": answer.tokens,
            "seconds": {
                "retrieve": round(answer.look.seconds, 4),
                "first_token": None if answer.first_token_s is None else round(answer.first_token_s, 4),
                "total": round(answer.total_s, 4),
            },
        }

    image, question = options.image, options.question
    if question is None and not options.stdin:
        if image is None or _like_a_file(image):
            options.usage("give an image and a question, a question alone, or --stdin")
        image, question = None, terminal.as_text(str(image))
    return _run_questions(options, knobs, one, lambda result: str(result["answer"]), image, question)


def _like_a_file(text: str) -> bool:
    """Return whether the only argument of `ask` is a photo whose question is missing, rather than a question."""
    try:
        if Path(text).exists():
            return True
    except (OSError, ValueError):
        return False
    return re.fullmatch(r"\S+\.\w{2,5}|\S*[/\\]\S*", text) is not None


def _run_questions(
    options: argparse.Namespace,
    knobs: settings.Settings,
    one: Callable[[Assistant, str | None, str], dict[str, Any]],
    words: Callable[[dict[str, Any]], str],
    image: str | None,
    question: str | None,
) -> int:
    """Answer one question, or the lines of standard input, with `one`, and print its result in `words` or as JSON."""
    if options.stdin:
        with compose.build(knobs, holder="the shell") as assistant:
            for line in terminal.lines():
                if line.strip():
                    print(terminal.as_json(_one_line(assistant, line, one)), flush=True)
        return 0
    if image is not None:
        read_photo(Path(image), knobs)
    with compose.build(knobs, holder="the shell") as assistant:
        result = one(assistant, image, question or "")
    if options.json:
        emit(result)
    else:
        print(words(result))
    return 0


def _one_line(
    assistant: Assistant, line: str, one: Callable[[Assistant, str | None, str], dict[str, Any]]
) -> dict[str, Any]:
    request = _read_request(line)
    if request is None:
        return {"error": 'A line must be JSON like {"image": "photo.jpg", "question": "Who is here?"}.'}
    image, question = request
    try:
        return one(assistant, image, question.encode("utf-8", "replace").decode("utf-8"))
    except PersonalError as error:
        logs.report(error)
        return {"error": str(error)}


def _read_request(line: str) -> tuple[str | None, str] | None:
    """Return the image and the question that a line asks about; None if it is no such request."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(request, dict):
        return None
    image, question = request.get("image"), request.get("question") or ""
    valid = isinstance(question, str) and (image is None or (isinstance(image, str) and image != ""))
    return (image, question) if valid and (image is not None or question) else None
