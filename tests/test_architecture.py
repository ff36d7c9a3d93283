"""Imports point one way, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEVELS = {
    0: {
        "findings",
        "questions",
        "concepts",
        "conversations",
        "messages",
        "parts",
        "env_file",
        "records",
        "errors",
        "settings",
        "images",
        "crops",
        "quality",
        "signatures",
        "colours",
        "containers",
        "tiff",
        "folding",
        "labels",
        "logs",
        "memory",
        "threads",
        "proxies",
        "terminal",
    },
    1: {"assistant", "remember", "retrieve", "generate", "tiny", "data"},
    2: {"compose", "doctor", "learn"},
    3: {"ui", "cli", "evaluate"},
}
LEVEL = {room: level for level, rooms in LEVELS.items() for room in rooms}
HOME = {
    "gradio": ("ui/",),
    "chromadb": ("remember/chroma.py",),
    "open_clip": ("retrieve/encoder.py", "tiny/", "learn/", "evaluate/search.py"),
    "transformers": ("generate/", "tiny/", "learn/", "retrieve/detector.py"),
    "openai": ("generate/remote.py", "generate/connection.py", "generate/protocol.py"),
    "dlib": ("retrieve/faces.py",),
    "gguf": ("tiny/mllm.py",),
    "bitsandbytes": ("generate/quantization.py", "tiny/"),
}
# What a room may take from a higher or a neighbouring one, with the reason.
ALLOWED = {
    ("doctor", "compose"),  # it opens the library as the app does
    ("ui", "compose"),
    ("cli", "ui"),  # `personal serve` starts the page
    ("ui", "evaluate"),  # its tab runs the check of one's own concepts
}


def modules():
    return sorted((ROOT / "personal").rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            if node.module == "personal":
                yield from (f"personal.{alias.name}" for alias in node.names)


def room(path):
    relative = path.relative_to(ROOT / "personal")
    return relative.parts[0].removesuffix(".py")


def test_every_room_has_a_level():
    rooms = {room(path) for path in modules()} - {"__init__", "__main__"}
    assert rooms <= set(LEVEL)


def test_no_import_points_up():
    wrong = []
    for path in modules():
        here = room(path)
        if here not in LEVEL:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "personal" or len(parts) < 2 or parts[1] not in LEVEL or parts[1] == here:
                continue
            there = parts[1]
            if (here, there) in ALLOWED:
                continue
            if LEVEL[there] > LEVEL[here] or (LEVEL[there] == LEVEL[here] and LEVEL[here] > 0):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_no_room_depends_on_itself_through_others():
    needs = {}
    for path in modules():
        there = {name.split(".")[1] for name in imports(path) if name.startswith("personal.")}
        needs.setdefault(room(path), set()).update(there & set(LEVEL) - {room(path)})

    def reached(one, seen):
        for other in needs.get(one, set()) - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    assert [one for one in needs if one in reached(one, set())] == []


def test_the_assistant_imports_none_of_its_parts():
    files = (ROOT / "personal" / "assistant").glob("*.py")
    taken = {name for path in files for name in imports(path) if name.startswith("personal")}
    assert {name for name in taken if not name.startswith("personal.assistant.")} == {
        "personal.concepts",
        "personal.crops",
        "personal.errors",
        "personal.findings",
        "personal.messages",
        "personal.parts",
    }


def test_the_nouns_import_nothing_third_party():
    for name in ("concepts.py", "errors.py"):
        taken = {name.split(".")[0] for name in imports(ROOT / "personal" / name)}
        assert taken <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("library", HOME)
def test_a_heavy_library_stays_in_its_room(library):
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules()
        if library in {name.split(".")[0] for name in imports(path)}
        and not str(path.relative_to(ROOT / "personal")).startswith(HOME[library])
    ]
    assert wrong == []


def test_the_shell_answers_help_without_loading_anything_heavy():
    code = (
        "import sys; from personal.cli import build_parser; build_parser().format_help(); "
        "print([m for m in ('torch', 'gradio', 'chromadb', 'transformers', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
