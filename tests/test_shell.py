"""The shell in the terminals, with the files and through the pipes that people have."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from personal import cli, compose, settings
from personal.errors import SettingsError
from tests.conftest import BLUE, RED, Scripted, open_assistant, picture

ROOT = Path(__file__).parents[1]
NAME, INFO = "Jürgen 犬", "süß 🐕, naïve"


@pytest.fixture
def data_dir(tmp_path):
    """A library with one concept, whose words no ASCII terminal can show."""
    folder = tmp_path / "data"
    with open_assistant(folder) as assistant:
        assistant.remember("local", NAME, [picture(RED)], "Hündin", INFO)
    return folder


def personal(data_dir, *arguments, stdin=None, **environment):
    command = [sys.executable, "-m", "personal", "--data-dir", str(data_dir), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=data_dir.parent, env=environment, input=stdin, capture_output=True, timeout=300)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


# -- output ----------------------------------------------------------------------------------------------------------

TERMINALS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]


@pytest.mark.parametrize("terminal", TERMINALS)
@pytest.mark.parametrize("command", [("list",), ("show", NAME)])
def test_what_a_terminal_cannot_encode_is_escaped(data_dir, terminal, command):
    done = personal(data_dir, *command, **terminal)
    assert done.returncode == 0
    assert b"\\u72ac" in done.stdout


@pytest.mark.parametrize("terminal", TERMINALS)
def test_json_is_json_whatever_the_terminal_encodes(data_dir, terminal):
    done = personal(data_dir, "list", "--json", **terminal)
    assert [(c["name"], c["info"]) for c in json.loads(done.stdout.decode("ascii"))] == [(NAME, INFO)]
    done = personal(data_dir, "list", "--json", PYTHONIOENCODING="utf-8")
    assert NAME.encode() in done.stdout


@pytest.mark.parametrize("terminal", TERMINALS)
def test_an_error_that_a_terminal_cannot_encode_is_escaped(data_dir, terminal):
    done = personal(data_dir, "show", "Günther 猫", **terminal)
    assert done.returncode == 1
    assert done.stderr.startswith(b"personal: ")


def test_work_that_was_done_is_said_to_be_done_on_any_terminal(data_dir):
    done = personal(data_dir, "export", "süß 犬.zip", PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert done.returncode == 0
    assert (data_dir.parent / "süß 犬.zip").is_file()
    assert b"1 concepts are in" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes that end like this")
def test_a_reader_that_has_gone_is_no_traceback(data_dir):
    command = [sys.executable, "-m", "personal", "--data-dir", str(data_dir), "list"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=60)
    assert done.stderr == b""


def test_a_folder_of_nobody_is_said_in_one_line(data_dir):
    command = [sys.executable, "-m", "personal", "--data-dir", "~nobody-of-this-name/x", "list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("personal: --data-dir='~nobody-of-this-name/x' cannot be used: it takes a folder")
    assert len(done.stderr.splitlines()) == 1


# -- files -----------------------------------------------------------------------------------------------------------

ENV = "# für mich\nPERSONAL_TOP_K=7\nPERSONAL_MAX_SIDE=256\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_an_env_file_is_read_in_whatever_encoding_it_was_saved(tmp_path, monkeypatch, encoding, ends):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONAL_ENV_FILE", ".env")
    (tmp_path / ".env").write_bytes(ENV.replace("\n", ends).encode(encoding))
    knobs = settings.load()
    assert (knobs.top_k, knobs.max_side) == (7, 256)


def test_a_first_line_after_a_byte_order_mark_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONAL_ENV_FILE", ".env")
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPERSONAL_TOP_K=7\n")
    assert settings.load().top_k == 7


@pytest.mark.parametrize(
    "data",
    [
        "PERSONAL_DATA_DIR=/home/josé/data\n".encode("latin-1"),
        b"PERSONAL_DATA_DIR=/home/a\0b\n",
        b"PERSONAL_MODEL=\xff\xfe\xfd\n",
    ],
)
def test_an_env_file_that_cannot_be_read_for_sure_is_refused_in_words(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONAL_ENV_FILE", ".env")
    (tmp_path / ".env").write_bytes(data)
    with pytest.raises(SettingsError, match=r"UTF-8|PERSONAL_DATA_DIR"):
        settings.load()


def test_an_accent_in_an_env_file_in_utf_8_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONAL_ENV_FILE", ".env")
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / ".env").write_bytes(f"PERSONAL_DATA_DIR={tmp_path}/josé\n".encode(encoding))
        assert settings.load().data_dir == tmp_path / "josé"


def test_a_folder_called_env_is_no_file_of_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONAL_ENV_FILE", ".env")
    (tmp_path / ".env").mkdir()
    assert settings.load() == settings.load({})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_our_own_json_that_an_editor_saved_anew_is_read(data_dir, encoding):
    files = [path for path in data_dir.rglob("*.json") if "index" not in path.parts]
    assert {"concept.json", "library.json"} <= {path.name for path in files}
    for path in files:
        path.write_bytes(path.read_text("utf-8").encode(encoding))
    done = personal(data_dir, "list", "--json")
    assert [c["name"] for c in json.loads(done.stdout)] == [NAME]


def test_our_own_json_in_another_encoding_is_said_to_be_damaged(data_dir):
    (path,) = data_dir.rglob("concept.json")
    path.write_bytes(path.read_text("utf-8").encode("latin-1", "replace"))
    done = personal(data_dir, "show", NAME)
    assert done.returncode == 1
    assert len(done.stderr) > 15


# -- ask and standard input --------------------------------------------------------------------------------------------


@pytest.fixture
def shell(data_dir, monkeypatch, capsys):
    """Run a command with fake models; return its exit code, its output and what the model was asked."""
    model = Scripted()
    monkeypatch.setattr(compose, "build", lambda knobs, *, holder="": open_assistant(knobs.data_dir, model))

    def run(*arguments, stdin: bytes | None = None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)), "utf-8"))
        try:
            code = cli.main(["--data-dir", str(data_dir), *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr(), model.asked

    return run


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(picture(BLUE).jpeg)
    return tmp_path / "photo.jpg"


def questions(asked) -> list[tuple[str, int]]:
    last = [messages[-1]["content"] for messages in asked]
    return [
        ("".join(p.get("text", "") for p in parts), sum("image" in p and not p["avatar"] for p in parts))
        for parts in last
    ]


@pytest.mark.parametrize("question", [f"What do you know about {NAME}?", "Who/what is that?", "Who?", "犬", "Hi."])
def test_ask_works_without_a_photo(shell, question):
    code, shown, asked = shell("ask", question)
    assert (code, shown.out) == (0, "It is <bo>.\n")
    ((text, photos),) = questions(asked)
    assert photos == 0
    assert question.split()[0] in text


def test_a_concept_that_is_named_in_a_question_without_a_photo_is_told_of(shell):
    code, shown, asked = shell("ask", f"What do you know about {NAME}?", "--json")
    assert code == 0
    assert [(m["name"], m["reason"]) for m in json.loads(shown.out)["matches"]] == [(NAME, "named")]
    assert {m["certainty"] for m in json.loads(shown.out)["matches"]} == {"sure"}
    assert INFO in questions(asked)[0][0]


def test_ask_with_a_photo_and_a_question_keeps_its_form(shell, photo):
    code, shown, asked = shell("ask", photo, "Who is it?")
    assert (code, shown.out) == (0, "It is <bo>.\n")
    assert questions(asked)[0][1] == 1
    assert shell("ask", "no such photo", "Who is it?")[0] == 1


@pytest.mark.parametrize("image", ["photo.jpg", "missing.png", "./a/b", "IMG_1.HEIC", "C:\\photo.jpeg"])
def test_a_photo_without_a_question_is_wrong_usage(shell, photo, monkeypatch, image):
    monkeypatch.chdir(photo.parent)
    code, shown, asked = shell("ask", image)
    assert (code, shown.out, asked) == (2, "", [])
    assert "question" in shown.err


def test_a_photo_with_a_blank_in_its_name_is_one_too(shell, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    photo.rename(photo.parent / "my photo")
    assert shell("ask", "my photo")[0] == 2


def test_an_empty_question_without_a_photo_is_refused(shell):
    code, shown, _ = shell("ask", "  ")
    assert code == 1
    assert "There is no question" in shown.err


def answers(shown) -> list[dict]:
    return [json.loads(line) for line in shown.out.splitlines()]


def test_a_line_may_hold_a_question_alone(shell, photo):
    lines = [{"question": "Who?"}, {"image": None, "question": "Who?"}, {"image": str(photo), "question": "Who?"}]
    code, shown, asked = shell("ask", "--stdin", "--json", stdin="\n".join(map(json.dumps, lines)).encode())
    assert code == 0
    assert [answer["answer"] for answer in answers(shown)] == ["It is <bo>."] * 3
    assert [photos for _, photos in questions(asked)] == [0, 0, 1]


def test_look_still_wants_a_photo(shell):
    code, shown, _ = shell("look", "--stdin", stdin=b'{"question": "Who?"}\n')
    assert code == 0
    assert "image" in answers(shown)[0]["error"]
    assert shell("look")[0] == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lines_with_a_byte_order_mark_are_read(shell, photo, encoding, ends):
    lines = [json.dumps({"image": str(photo), "question": q}, ensure_ascii=False) for q in ("Wer ist süß?", "犬?")]
    data = "".join(line + ends for line in lines).encode(encoding)
    if encoding == "utf-16-le":
        data = b"\xff\xfe" + data
    code, shown, asked = shell("ask", "--stdin", stdin=data)
    assert code == 0
    assert [answer["answer"] for answer in answers(shown)] == ["It is <bo>."] * 2
    assert ["süß" in questions(asked)[0][0], "犬" in questions(asked)[1][0]] == [True, True]


def test_one_invalid_byte_costs_at_most_its_own_line(shell, photo):
    good = json.dumps({"image": str(photo), "question": "Who?"}).encode()
    bad = good.replace(b"Who?", b"W\xfcr?")
    lines = [good, bad, b"\xff\xfe\xfd", b'{"image": "caf\xe9.jpg", "question": "Who?"}', b"\x00", b"[" * 100_000, good]
    code, shown, asked = shell("ask", "--stdin", stdin=b"\n".join(lines))
    assert code == 0
    said = answers(shown)
    assert ["answer" in one for one in said] == [True, True, False, False, False, False, True]
    assert questions(asked)[1][0].endswith("W?r?")


@pytest.mark.parametrize("image", ["a\0b.jpg", "", 5, [], "x" * 5000, "~nobody/x.jpg", "\ud83d.jpg"])
def test_an_image_that_cannot_be_one_is_an_error_of_its_line(shell, photo, image):
    lines = [{"image": image, "question": "Who?"}, {"image": str(photo), "question": "Who?"}]
    code, shown, _ = shell("ask", "--stdin", stdin="\n".join(map(json.dumps, lines)).encode())
    assert code == 0
    assert ["answer" in one for one in answers(shown)] == [False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
def test_a_photo_whose_name_is_no_text_is_found(shell, photo):
    place = os.fsencode(photo.parent) + b"/caf\xe9.jpg"
    os.rename(photo, place)
    line = b'{"image": "' + place + b'", "question": "Who?"}'
    _, shown, _ = shell("ask", "--stdin", stdin=line)
    assert answers(shown)[0]["answer"] == "It is <bo>."
