"""The same verbs from a shell: parse, call one Assistant method, print. `--json` prints JSON and nothing else.

Exit codes: 0 done, 1 a PersonalError (its message on stderr, nothing changed), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal import compose, proxies, settings, terminal
from personal.concepts import Answer, Concept, Match, Photo, Progress, Turn
from personal.errors import PersonalError

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.remember.library import Library

LOCAL = compose.LOCAL


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    terminal.prepare()
    options = _parser().parse_args(arguments)
    try:
        knobs = settings.load(data_dir=Path(options.data_dir).expanduser().absolute() if options.data_dir else None)
        proxies.prepare(knobs.host)
        code: int = options.run(options, knobs)
        if sys.stdout:
            sys.stdout.flush()
        return code
    except PersonalError as error:
        print(f"personal: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has gone, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("personal: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", default=argparse.SUPPRESS, help="where your concepts are kept")
    parser = argparse.ArgumentParser(prog="personal", description=__import__("personal").__doc__)
    parser.add_argument("--data-dir", metavar="DIR", default=None, help="where your concepts are kept")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, run: Callable[..., int], summary: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, parents=[shared], help=summary, description=summary)
        sub.set_defaults(run=run)
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
        return sub

    verb("serve", _serve, "start the app in the browser", as_json=False)
    add = verb("add", _add, "remember a concept, or give an existing one more views")
    add.add_argument("name", type=terminal.as_text)
    add.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add.add_argument("--category", default="", type=terminal.as_text)
    add.add_argument("--info", default="", type=terminal.as_text)
    add.add_argument(
        "--attribute", action="append", type=terminal.as_text, default=[], metavar="TEXT", help="a mark to know it by"
    )
    add.add_argument(
        "--by-face",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="recognise this person by the face; only with their consent (a child's: the parents')",
    )
    verb("list", _list, "list your concepts")
    verb("show", _show, "show one concept").add_argument("name", type=terminal.as_text)
    verb("forget", _forget, "forget a concept for good").add_argument("name", type=terminal.as_text)
    verb("reindex", _reindex, "build the index again from the photos on disk")
    verb("doctor", _doctor, "check the installation and the library")
    for name, run, summary in (
        ("look", _look, "which of your concepts are in a photo"),
        ("ask", _ask, "ask about a photo, or with a question alone about your concepts"),
    ):
        sub = verb(name, run, summary)
        sub.add_argument("image", nargs="?")
        if name == "ask":
            sub.add_argument(
                "question", nargs="?", type=terminal.as_text, help="without an image: a question about your concepts"
            )
            sub.add_argument("--no-memory", action="store_true", help="answer without your concepts")
        else:
            sub.add_argument("--question", default="", type=terminal.as_text)
        sub.add_argument("--stdin", action="store_true", help='answer lines of {"image": PATH, "question": TEXT}')
        sub.add_argument("--top-k", type=_top_k, metavar="K", help="at most K concepts a photo, 1 to 20")
        sub.add_argument("--threshold", type=_threshold, metavar="T", help="similarity from which a name is said")
        sub.add_argument("--no-names", action="store_true", help="do not look up names in the question")
        sub.set_defaults(usage=sub.error)
    verb("export", _export, "write everything to a zip").add_argument("file", type=Path, metavar="FILE.zip")
    verb("import", _import, "read a zip, RAP's database folder, or a folder of folders").add_argument(
        "source", type=Path, metavar="FILE.zip|FOLDER"
    )
    return parser


def _top_k(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 20:
        raise argparse.ArgumentTypeError("takes a whole number from 1 to 20")
    return value


def _threshold(text: str) -> float:
    value = float(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError("takes a number from -1 to 1")
    return value


# -- the disk alone ----------------------------------------------------------------------------------------------


def _record(concept: Concept) -> dict[str, Any]:
    return {
        "name": concept.name,
        "category": concept.category,
        "info": concept.info,
        "views": len(concept.views),
        "created": concept.created,
        "updated": concept.updated,
    }


def _list(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.library(knobs, read_only=True) as library:
        concepts = library.concepts(LOCAL)
    if options.json:
        _emit([_record(c) for c in concepts])
    elif not concepts:
        print("Nothing is remembered yet. Add something: python -m personal add bo photo1.jpg photo2.jpg")
    else:
        for c in concepts:
            print(f"{c.tag}\t{c.category}\t{len(c.views)} view{'s' if len(c.views) > 1 else ''}\t{c.info}")
    return 0


def _show(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.library(knobs, read_only=True) as library:
        concept = library.find(LOCAL, options.name)
        files = [str(library.path(LOCAL, concept.id, view.sha256)) for view in concept.views]
    record = {
        **_record(concept),
        "files": files,
        "attributes": list(concept.attributes),
        "negatives": len(concept.negatives),
        "by_face": concept.by_face,
    }
    if options.json:
        _emit(record)
    else:
        for key, value in record.items():
            print(f"{key:10} {value if not isinstance(value, list) else chr(10).join(['', *value])}")
    return 0


def _doctor(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.doctor import checks

    rows = list(checks(knobs))
    ok = all(row["ok"] for row in rows)
    if options.json:
        _emit({"ok": ok, "checks": rows})
    else:
        for row in rows:
            print(f"{'ok  ' if row['ok'] else 'BAD '} {row['name']:12} {row['detail']}")
    return 0 if ok else 1


def _serve(_: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.ui.serving import serve

    serve(knobs)


# -- with the Assistant ------------------------------------------------------------------------------------------


def _add(options: argparse.Namespace, knobs: settings.Settings) -> int:
    photos = [_photo(path, knobs) for path in options.images]
    if options.by_face and not knobs.looks_at_faces:
        raise PersonalError("Faces are not looked at here: set PERSONAL_FACES=on.")
    with compose.build(knobs, holder="the shell") as assistant:
        if options.by_face:
            _show_progress(assistant.open_faces())
        given = (options.category, options.info, options.attribute, options.by_face)
        concept = assistant.remember(LOCAL, options.name, photos, *given)
    if options.json:
        _emit(_record(concept))
    else:
        print(f"{concept.tag} is remembered, with {len(concept.views)} view{'s' if len(concept.views) > 1 else ''}.")
    return 0


def _forget(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.library(knobs, read_only=True) as library:
        concept = library.find(LOCAL, options.name)
    with compose.build(knobs, holder="the shell") as assistant:
        assistant.forget(LOCAL, concept.id)
        assistant.library.empty_trash(LOCAL)
    if options.json:
        _emit({"forgotten": concept.name})
    else:
        count = len(concept.views) + len(concept.negatives)
        print(f"{concept.tag} is forgotten, and its {count} photos are erased.")
    return 0


def _reindex(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.build(knobs, holder="the shell") as assistant:
        for owner in assistant.library.owners():
            _show_progress(assistant.reindex(owner, afresh=True))
        views = sum(len(c.views) for owner in assistant.library.owners() for c in assistant.concepts(owner))
    if options.json:
        _emit({"views": views})
    else:
        print(f"{views} views are indexed.")
    return 0


def _as_match(match: Match) -> dict[str, Any]:
    return {
        "name": match.concept.name,
        "similarity": None if match.similarity is None else round(match.similarity, 4),
        "box": None if match.box is None else [round(v, 4) for v in match.box],
        "reason": match.reason,
        "certainty": match.certainty,
    }


def _look(options: argparse.Namespace, knobs: settings.Settings) -> int:
    def one(assistant: Assistant, image: str | None, question: str) -> dict[str, Any]:
        if image is None:
            raise PersonalError("There is no image. Say which photo to look at.")
        look = assistant.look(
            LOCAL,
            _photo(Path(image), knobs),
            question,
            threshold=options.threshold,
            top_k=options.top_k,
            names=not options.no_names,
        )
        return {"matches": [_as_match(m) for m in look.matches], "seconds": round(look.seconds, 4)}

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


def _ask(options: argparse.Namespace, knobs: settings.Settings) -> int:
    def one(assistant: Assistant, image: str | None, question: str) -> dict[str, Any]:
        if not question.strip():
            raise PersonalError("There is no question. Say what you want to know.")
        events = assistant.answer(
            LOCAL,
            [Turn(question, () if image is None else (_photo(Path(image), knobs),))],
            threshold=options.threshold,
            top_k=options.top_k,
            names=not options.no_names,
            memory=not options.no_memory,
        )
        answer = next(event for event in events if isinstance(event, Answer))
        return {
            "answer": answer.text,
            "matches": [_as_match(m) for m in answer.matches],
            "model": answer.model,
            "tokens": answer.tokens,
            "seconds": {
                "retrieve": round(answer.retrieve_s, 4),
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
    """Tell whether the only argument of `ask` is a photo whose question is missing, rather than a question."""
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
        _photo(Path(image), knobs)
    with compose.build(knobs, holder="the shell") as assistant:
        result = one(assistant, image, question or "")
    if options.json:
        _emit(result)
    else:
        print(words(result))
    return 0


def _one_line(
    assistant: Assistant, line: str, one: Callable[[Assistant, str | None, str], dict[str, Any]]
) -> dict[str, Any]:
    try:
        request = json.loads(line)
        image, question = request.get("image"), request.get("question") or ""
        if not isinstance(question, str) or not (image is None or (isinstance(image, str) and image)):
            raise TypeError
        if image is None and not question:
            raise KeyError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"error": 'A line must be JSON like {"image": "photo.jpg", "question": "Who is here?"}.'}
    try:
        return one(assistant, image, question.encode("utf-8", "replace").decode("utf-8"))
    except PersonalError as error:
        return {"error": str(error)}


def _export(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.remember import import_export

    with compose.library(knobs, read_only=True) as library:
        left_out = import_export.export(library, LOCAL, options.file)
        count = len(library.concepts(LOCAL))
    if options.json:
        _emit({"concepts": count, "file": str(options.file), "left_out": left_out})
    else:
        for words in left_out:
            print(words, file=sys.stderr)
        print(f"{count} concepts are in {options.file}.")
    return 0


def _import(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.remember import import_export

    incoming = import_export.read(options.source, knobs)
    with compose.build(knobs, holder="the shell") as assistant:
        library: Library = assistant.library  # type: ignore[assignment]
        changes = import_export.plan(library, LOCAL, incoming)
        _show_progress(import_export.apply(assistant, LOCAL, incoming))
    rows = [{"name": change.name, "change": change.words} for change in changes]
    notes = [note for concept in incoming for note in concept.problems]
    if options.json:
        _emit({"changes": rows, "notes": notes})
    else:
        for row in rows:
            print(f"<{row['name']}>\t{row['change']}")
        for note in notes:
            print(f"note: {note}")
    return 0


# -- small things --------------------------------------------------------------------------------------------------


def _photo(path: Path, knobs: settings.Settings) -> Photo:
    from personal.images import read_photo

    photo = read_photo(path, max_bytes=knobs.max_bytes, max_pixels=knobs.max_pixels, max_side=knobs.max_side)
    if photo.hint:
        print(f"personal: {path.name}: {photo.hint}", file=sys.stderr)
    return photo


def _emit(value: Any) -> None:
    print(terminal.as_json(value))


def _show_progress(steps: Iterable[Progress]) -> None:
    from tqdm import tqdm

    with tqdm(file=sys.stderr, disable=None, leave=False) as bar:
        for step in steps:
            bar.total, bar.n = step.total or None, step.done
            bar.set_description(step.text, refresh=True)
