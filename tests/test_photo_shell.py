"""`personal library` from a shell."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from personal import cli, compose
from tests.conftest import BLUE, RED, open_assistant, picture


@pytest.fixture
def personal(tmp_path, capsys, monkeypatch):
    """Run a command over a library of one concept; the encoder is a stand-in."""
    data = tmp_path / "data"
    with open_assistant(data) as assistant:
        assistant.remember("local", "bo", [picture(RED, dot=9)], "dog")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64), RED).save(tmp_path / "photos" / "red.png")
    Image.new("RGB", (64, 64), BLUE).save(tmp_path / "photos" / "blue.png")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    monkeypatch.setattr(compose, "build", lambda knobs, holder: open_assistant(knobs.data_dir))
    monkeypatch.setenv("PERSONAL_ENCODER", "mean-colour")

    def run(*arguments) -> tuple[int, str, str]:
        code = cli.main(["library", *map(str, arguments), "--data-dir", str(data)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_folders_are_added_scanned_searched_and_removed(personal, tmp_path):
    assert "No folders yet" in personal("status")[1]
    code, _, error = personal("scan")
    assert (code, error.strip()) == (1, "personal: There is no folder in the library yet. Add one first.")
    assert "Added" in personal("add", tmp_path / "photos")[1]
    out = personal("scan")[1]
    assert "2 photos are in the library, 2 of them new." in out
    assert "broken.jpg" in out
    assert personal("search", "<bo>")[1] == f"{tmp_path / 'photos' / 'red.png'}\t<bo>\n"
    assert personal("search", "bo, blue")[1].startswith("Nothing found. Nearest:\n")
    assert "2 photos are known; in 0" in personal("status")[1]
    assert "Its photos are where they were" in personal("remove", tmp_path / "photos")[1]
    assert "No folders yet" in personal("status")[1]
    assert (tmp_path / "photos" / "red.png").exists()


def test_with_json_stdout_holds_json_and_nothing_else(personal, tmp_path):
    folder = tmp_path / "photos"
    assert json.loads(personal("add", folder, "--exif", "--json")[1]) == {"folder": str(folder), "exif": True}
    scanned = json.loads(personal("scan", "--json")[1])
    assert (scanned["photos"], scanned["new"], len(scanned["errors"])) == (2, 2, 1)
    found = json.loads(personal("search", "without bo", "--json")[1])
    assert [(photo["file"], photo["concepts"]) for photo in found["photos"]] == [(str(folder / "blue.png"), [])]
    (photo,) = json.loads(personal("search", "bo", "--json")[1])["photos"]
    assert (photo["concepts"][0]["name"], photo["concepts"][0]["certainty"]) == ("bo", "sure")
    status = json.loads(personal("status", "--json")[1])
    assert status["folders"] == [{"path": str(folder), "exif": True, "there": True}]
    assert (status["photos"], status["to_recognise_again"], len(status["errors"])) == (2, 0, 1)
    assert json.loads(personal("remove", folder, "--json")[1]) == {"removed": str(folder)}


def test_a_folder_that_is_none_is_refused_in_words(personal, tmp_path):
    code, out, error = personal("add", tmp_path / "nowhere")
    assert (code, out) == (1, "")
    assert "There is no folder" in error
    code, _, error = personal("remove", tmp_path)
    assert code == 1
    assert "is not in the library" in error
