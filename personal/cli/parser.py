"""What the commands of the shell are, and the arguments that they take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import personal
from personal import settings, terminal
from personal.cli import archives, concepts, health, photos, questions, users
from personal.study.commands import add_commands


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; it loads nothing heavy."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", default=argparse.SUPPRESS, help="where your concepts are kept")
    parser = argparse.ArgumentParser(prog="personal", description=personal.__doc__)
    parser.add_argument("--data-dir", metavar="DIR", default=None, help="where your concepts are kept")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, run: Callable[..., int], summary: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, parents=[shared], help=summary, description=summary)
        sub.set_defaults(run=run, command=name)
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
        return sub

    verb("serve", serve, "start the app in the browser", as_json=False)
    add = verb("add", concepts.add, "remember a concept, or give an existing one more views")
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
    verb("list", concepts.list_all, "list your concepts")
    verb("show", concepts.show, "show one concept").add_argument("name", type=terminal.as_text)
    verb("forget", concepts.forget, "forget a concept for good").add_argument("name", type=terminal.as_text)
    merge = verb("merge", concepts.merge, "give one concept all that another has, which goes")
    merge.add_argument("name", type=terminal.as_text, help="the concept that stays")
    merge.add_argument("other", type=terminal.as_text, help="the concept that goes")
    verb("reindex", concepts.reindex, "build the index again from the photos on disk")
    verb("doctor", concepts.doctor, "check the installation and the library")
    verb("health", health.health, "ask the running app whether it is ready").add_argument(
        "url", nargs="?", metavar="ADDRESS", help="another address than that of the settings"
    )
    for name, run, summary in (
        ("look", questions.look, "which of your concepts are in a photo"),
        ("ask", questions.ask, "ask about a photo, or with a question alone about your concepts"),
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
    verb("export", archives.export, "write everything to a zip").add_argument("file", type=Path, metavar="FILE.zip")
    verb("backup", archives.back_up, "write all that people keep here to a zip, also while the app runs").add_argument(
        "file", type=Path, metavar="FILE.zip"
    )
    verb("restore", archives.restore, "put a backup into a data folder that holds nothing yet").add_argument(
        "file", type=Path, metavar="FILE.zip"
    )
    verb("import", archives.import_, "read a zip, RAP's database folder, or a folder of folders").add_argument(
        "source", type=Path, metavar="FILE.zip|FOLDER"
    )
    _add_library(verbs, shared)
    _add_users(verbs, shared)
    add_commands(verb("study", study_command, "design, rehearse and analyse a user study", as_json=False))
    return parser


def _add_library(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Add `library` with its own commands."""
    summary = "the photos in folders of yours: find who is in them, and search them in words"
    group = verbs.add_parser("library", help=summary, description=summary)
    group.set_defaults(command="library")
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, what in (
        ("add", photos.add, "add a folder; its photos are read in place, never copied or changed"),
        ("remove", photos.remove, "remove a folder from the library; its photos stay"),
        ("scan", photos.scan, "read what is new in the folders; stopped, it goes on where it was"),
        ("search", photos.search, 'search in words and names, such as "<mochi> on the beach"'),
        ("status", photos.status, "the folders, how many photos are known, and which files cannot be read"),
    ):
        sub = inner.add_parser(name, parents=[shared], help=what, description=what)
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
        if name in ("add", "remove"):
            sub.add_argument("folder", type=Path, metavar="FOLDER")
        if name == "add":
            sub.add_argument(
                "--exif",
                action=argparse.BooleanOptionalAction,
                default=None,
                help="read when and where its photos were taken; it is kept here only",
            )
        if name == "search":
            sub.add_argument("words", type=terminal.as_text, metavar="WORDS")
            sub.add_argument("--limit", type=_limit, default=20, metavar="N", help="at most N photos (20)")


def _add_users(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Add `users` with its own commands."""
    summary = "who may sign in where others can reach the app"
    group = verbs.add_parser("users", help=summary, description=summary)
    group.set_defaults(command="users")
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, what in (
        ("add", users.add, "add users; passwords are typed, or lines of standard input"),
        ("remove", users.remove, "remove a user"),
        ("list", users.list_all, "list the users"),
        ("passwd", users.set_password, "change a user's password, which signs them out everywhere"),
    ):
        sub = inner.add_parser(name, parents=[shared], help=what, description=what)
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
        if name == "add":
            sub.add_argument("names", nargs="+", metavar="NAME", type=terminal.as_text)
        elif name != "list":
            sub.add_argument("name", type=terminal.as_text)
        if name in ("add", "passwd"):
            sub.add_argument("--generate", action="store_true", help="make passwords up, and print them")
        if name == "remove":
            sub.add_argument("--erase", action="store_true", help="erase what is theirs, too; not while the app runs")


def _top_k(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 20:
        raise argparse.ArgumentTypeError("takes a whole number from 1 to 20")
    return value


def _limit(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("takes a whole number from 1")
    return value


def _threshold(text: str) -> float:
    value = float(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError("takes a number from -1 to 1")
    return value


def study_command(options: argparse.Namespace, _: settings.Settings) -> int:
    """Run a command of user studies."""
    code: int = options.run_study(options)
    return code


def serve(_: argparse.Namespace, knobs: settings.Settings) -> int:
    """Serve the app until the process is told to end."""
    from personal.ui.serving import serve as serve_app

    serve_app(knobs)
