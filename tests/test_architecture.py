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
        "owners",
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
        "recent",
        "terminal",
    },
    1: {"assistant", "remember", "retrieve", "generate", "tiny", "data"},
    2: {"compose", "doctor", "learn", "photo_library", "study"},
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
    "argon2": ("remember/users.py",),
    "prometheus_client": ("ui/metrics.py",),
    "gguf": ("tiny/mllm.py",),
    "bitsandbytes": ("generate/quantization.py", "tiny/"),
}
# What a room may take from a higher or a neighbouring one, with the reason.
ALLOWED = {
    ("doctor", "compose"),  # it opens the library as the app does
    ("study", "compose"),  # it opens the models of conditions as the app opens its own
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


# Names that gave way to the field's terms, by the folder in which they meant something else than the word does.
RETIRED = {
    "": "Seen Compared Known Stored Past Roomy Turnstile Piece Card Table Held Desk Screen Lesson Course Watch "
    "unwatched settle CROWD DOUBT ALIKE ROOM lay_out runs_in_circles in_words inward _shared_out _distinct _settled "
    "_in_doubt _reader _below_one_another _bury",
    "retrieve": "claim coverage shared _drawn widen tighten _sure _near raised silent core strangers common usual "
    "middle rivals corrected alike",
    "generate": "past Stage neutral sight spoken forgotten nothing",
    "remember": "alike",
    "learn": "Stage strangers common usual study move marks",
    "evaluate": "Stage watch alike",
    "ui": "newest",
}
RETIRED_FILES = {"held", "shelf", "mend", "alike", "past", "sight", "desk", "exchange"}
RETIRED_SENTENCES = (
    "stand with the concept where", "small weights that this project trained", "reads only its own words",
    "so much more similarity is asked", "more than this with a claimed one", "then another that is less like it",
    "have seen all that there will ever be", "in threads that end", "half typed into", "what recognises faces",
    "this did not start",
)  # fmt: skip


def named(tree):
    """Every identifier of a module, with its line."""
    for node in ast.walk(tree):
        for field in ("name", "id", "attr", "arg", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name.rpartition(".")[2], getattr(node, "lineno", 0)


@pytest.mark.parametrize("folder", RETIRED)
def test_no_retired_name_stands_in_the_code(folder):
    retired = set(RETIRED[folder].split())
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / "personal" / folder).rglob("*.py"))
        for name, line in named(ast.parse(path.read_text(encoding="utf-8")))
        if name in retired
    ]
    assert found == []


def test_no_file_has_a_retired_name_and_no_text_a_retired_sentence():
    assert [path.name for path in modules() if path.stem in RETIRED_FILES] == []
    texts = [*modules(), ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "assets").glob("*.js")]
    wrong = [
        f"{path.relative_to(ROOT)}: {sentence}"
        for path in texts
        for sentence in RETIRED_SENTENCES
        if sentence in path.read_text(encoding="utf-8").lower()
    ]
    assert wrong == []


LONGEST_FUNCTION, LONGEST_MODULE = 40, 400
LAYOUTS = {"cli/parser.py build_parser", "evaluate/__main__.py _parser", "ui/theme.py theme"}
"""Functions that lay something out line by line, and may be as long as that is."""


def test_functions_and_modules_are_short():
    """A function's docstring does not count."""
    found = set()
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = str(path.relative_to(ROOT / "personal"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                text = node.body[0] if ast.get_docstring(node) else None
                lines = node.end_lineno - node.lineno + 1 - (text.end_lineno - text.lineno + 1 if text else 0)
                found |= {f"{name} {node.name}"} if lines > LONGEST_FUNCTION else set()
        assert path.read_text(encoding="utf-8").count("\n") <= LONGEST_MODULE, name
    assert found <= LAYOUTS


def test_no_test_reaches_into_private_parts():
    """Nothing that begins with an underscore in `personal` is used by a test; `_queue` is Gradio's name."""
    private = {name for path in modules() for name, _ in named(ast.parse(path.read_text(encoding="utf-8")))}
    private = {name for name in private if name.startswith("_") and not name.startswith("__")} - {"_id", "_queue"}
    found = {
        f"{path.name} {node.attr}"
        for path in (ROOT / "tests").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in private
        if not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert found == set()
