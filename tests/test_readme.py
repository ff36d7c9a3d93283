"""The commands, paths and links of the README and the docs are true."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from personal import cli, settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path: path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
MAP = PAGES[ROOT / "docs" / "architecture.md"]
BLOCKS = re.findall(r"```\n(.*?)```", "\n".join(PAGES.values()), flags=re.DOTALL)
COMMANDS = [line.strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def test_every_path_in_the_file_map_exists():
    rows = re.findall(r"^\| `([^`]+)` \|", MAP.split("## Files")[1].split("## Glossary")[0], flags=re.MULTILINE)
    assert len(rows) > 10
    assert [row for row in rows if not (ROOT / row).exists()] == []


def test_every_package_of_the_core_is_on_the_map():
    mapped = set(re.findall(r"^\| `(personal/[^`]+)` \|", MAP, flags=re.MULTILINE))
    here = {f"personal/{p.name}/" if p.is_dir() else f"personal/{p.name}" for p in (ROOT / "personal").iterdir()}
    small = {"personal/__init__.py", "personal/__main__.py", "personal/__pycache__/", "personal/errors.py"}
    assert here - small <= mapped


def test_every_link_within_the_repository_leads_somewhere():
    targets = [
        (path.parent / target.split("#")[0], path.name)
        for path, text in PAGES.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not target.startswith(("http://", "https://", "#"))
    ]
    assert len(targets) > 10
    assert [(str(target), page) for target, page in targets if not target.exists()] == []


def test_make_targets_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert {"run", "test"} <= set(named) <= set(targets)


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if c.startswith("python -m personal ")}))
def test_the_shell_understands_the_command(command):
    options = cli.build_parser().parse_args(shlex.split(command)[3:])
    assert callable(options.run)


def test_evaluate_understands_the_command():
    from personal.evaluate.__main__ import _parser

    command = next(c for c in COMMANDS if c.startswith("python -m personal.evaluate"))
    assert _parser().parse_args(shlex.split(command)[3:])


def test_the_space_runs_the_gradio_that_is_pinned():
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert pinned
    assert f"sdk_version: {pinned[1]}\n" in README


def test_the_lock_holds_every_dependency_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = [Requirement(line) for line in lines if line[:1].isalnum()]
    for wanted in map(Requirement, project["dependencies"]):
        (pin,) = {str(one.specifier) for one in locked if one.name == wanted.name}
        assert pin.removeprefix("==") in wanted.specifier, wanted


def test_everything_is_pinned():
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        loose = [line for line in lines if line and not line.lstrip().startswith(("#", "-r ")) and "==" not in line]
        assert loose == []


def test_the_example_settings_name_every_setting_and_load():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(example) == set(settings.KNOBS)
    assert settings.load(example) == settings.load({})


def test_ci_checks_lint_and_types_then_runs_what_the_readme_says():
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert commands == ["make lint", "make test"]
