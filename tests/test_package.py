"""The wheel holds all that running needs, and runs from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel of this checkout, unpacked where no checkout is near."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("personal_mllm-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *command], cwd=installed, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_styles_samples_and_weights_and_finds_them(installed):
    code = "from personal.settings import ASSETS; print(ASSETS, *sorted(p.name for p in ASSETS.iterdir()))"
    where, *names = run(installed, "-c", code).split()
    assert where == str(installed / "personal" / "assets")
    assert names == ["app.css", "app.js", "chat.js", "logo.png", "samples", "studies", "study", "weights"]


def test_the_weights_in_the_wheel_are_as_their_manifest_says(installed):
    code = "from personal.tiny import deltas; print(deltas.problems(deltas.SHIPPED))"
    assert run(installed, "-c", code).strip() == "[]"


def test_the_personal_command_answers_from_the_wheel_within_a_second_of_work(installed):
    before = os.times()
    assert "serve" in run(installed, "-m", "personal", "--help")
    after = os.times()
    worked_s = sum(after[2:4]) - sum(before[2:4])  # of children: what else the machine does is not counted
    assert worked_s < 1.0


def test_the_wheel_holds_no_tests_and_no_other_top_level_folder(installed):
    names = {path.name for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"personal"}
