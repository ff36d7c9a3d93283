"""Containers, the service and the Space: what their files say is run here, without Docker."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import yaml

from personal.settings import ATTACHED, KNOBS, load
from tests.test_deployment import free_port

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
BIN = Path(sys.executable).parent


def stages():
    """The Dockerfile's stages: name → its instructions, those that it is built upon included."""
    found, lines = {}, re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    for line in filter(None, (line.strip() for line in lines)):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            source, _, name = rest.partition(" AS ")
            found[name] = current = list(found.get(source, []))
        else:
            current.append((word, rest.strip()))
    return found


def last(stage, word):
    return [rest for one, rest in stages()[stage] if one == word][-1]


def environment(stage):
    pairs = [shlex.split(rest) for word, rest in stages()[stage] if word == "ENV"]
    return dict(pair.split("=", 1) for line in pairs for pair in line)


def read_only():
    """The beginning of a command that sees all files read-only but a folder's, where this machine allows that."""
    script = 'mount --bind "$1" "$1" && mount -o bind,remount,ro / && shift && exec "$@"'
    if not shutil.which("unshare"):
        return None
    tried = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", "/tmp", "true"], capture_output=True)
    return ["unshare", "-m", "sh", "-c", script, "sh"] if tried.returncode == 0 else None


@contextmanager
def running(command, told, folder, log):
    """A container's command by this machine's programs, read-only outside `folder` where that can be had."""
    before = [*read_only(), str(folder)] if read_only() else []
    given = {**os.environ, **told, "PATH": f"{BIN}:{os.environ['PATH']}", "TMPDIR": str(folder), "HOME": str(folder)}
    with log.open("w") as out:
        process = subprocess.Popen([*before, *command], cwd=folder, env=given, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def healthy(command, told, url, process, log, seconds=300):
    """Wait until an address answers well, and let the health check say so, too; before, it said that it does not."""
    given = {**os.environ, **told, "PATH": f"{BIN}:{os.environ['PATH']}"}

    def check():
        return subprocess.run(command, env=given, capture_output=True, cwd=ROOT).returncode

    assert check() == 1
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).status_code == 200:
                break
        time.sleep(0.3)
    assert check() == 0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "container").mkdir()
    return tmp_path / "container"


def test_the_image_and_its_index_start_by_their_commands_and_are_found_healthy(folder, tmp_path):
    """Both read-only but for their data; the app keeps its vectors on the index server, as compose has it."""
    ports = {"7860": str(free_port()), "8000": str(free_port())}
    index, app = COMPOSE["services"]["index"], COMPOSE["services"]["app"]

    def here(text):
        text = text.replace("http://index:", "http://127.0.0.1:").replace("0.0.0.0", "127.0.0.1")
        text = re.sub(r"^/data", str(folder), text)
        return re.sub(r"\b(7860|8000)\b", lambda found: ports[found[0]], text)

    told = {name: here(value) for name, value in environment("cpu").items() if name in KNOBS or name == "HF_HOME"}
    told |= {name: here(value) for name, value in app["environment"].items()}
    told |= {"PERSONAL_CACHE_DIR": str(load().cache_dir), "GRADIO_SERVER_NAME": "0.0.0.0"}
    logs = tmp_path / "index.log", tmp_path / "app.log"
    with running(list(map(here, index["command"])), {}, folder, logs[0]) as server:
        asked = list(map(here, index["healthcheck"]["test"][1:]))
        healthy(asked, {}, asked[-1], server, logs[0])
        with running(json.loads(last("cpu", "CMD")), told, folder, logs[1]) as process:
            check = json.loads(last("cpu", "HEALTHCHECK").partition("CMD ")[2])
            address = f"http://127.0.0.1:{ports['7860']}/"
            healthy(check, told, address + "readyz", process, logs[1])
            assert "Personal" in httpx.get(address, trust_env=False).text
            lines = [json.loads(line) for line in logs[1].read_text().splitlines() if line.startswith("{")]
            assert "/readyz" in {line.get("route") for line in lines}, "as JSON, and each request"
        assert process.returncode == 0, "ends cleanly"
    assert (folder / "personal" / "library.json").is_file()


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_the_image_runs_as_nobody_special_and_writes_in_one_place(target):
    assert last(target, "USER") == "10001"
    told = environment(target)
    assert told["PERSONAL_DATA_DIR"].startswith("/data/")
    assert told["HF_HOME"].startswith("/data/")
    assert last(target, "VOLUME") == "/data"
    assert set(told) - set(KNOBS) - {"PERSONAL_ENV_FILE"} <= {
        *("PATH", "HOME", "HF_HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
        *("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    }


def test_what_the_image_copies_is_there_and_not_ignored():
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert rules[0] == "*"
    for word, rest in stages()["build"]:
        if word == "COPY":
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}" in rules


def test_every_service_is_read_only_without_rights_and_only_the_app_is_reached_from_this_machine():
    for name in ("app", "index"):
        service = COMPOSE["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert COMPOSE["services"]["app"]["ports"] == ["127.0.0.1:7860:7860"]
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["app"]
    assert set(COMPOSE["services"]["app"]["environment"]) <= set(KNOBS)
    assert COMPOSE["services"]["model"]["profiles"] == ["model"]


@pytest.mark.skipif(not shutil.which("docker"), reason="Docker's client is not installed")
def test_compose_itself_understands_its_file():
    read = subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True)
    if "is not a docker command" in read.stderr or "unknown" in read.stderr:
        pytest.skip("compose is not installed")
    assert read.returncode == 0, read.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_the_service_and_finds_it_confined(tmp_path):
    unit = tmp_path / "personal.service"
    text = (ROOT / "deploy" / "personal.service").read_text(encoding="utf-8")
    assert "/opt/personal/.venv/bin/personal serve" in text
    unit.write_text(text.replace("/opt/personal/.venv/bin/personal", shutil.which("true")))
    read = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert [line for line in read.stderr.splitlines() if "personal.service" in line] == []
    confined = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    judged = subprocess.run(confined, capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout[-400:]
    told = dict(
        pair.split("=", 1) for line in re.findall(r"^Environment=(.*)", text, re.MULTILINE) for pair in line.split()
    )
    assert {name for name in told if name.startswith("PERSONAL_")} <= set(KNOBS)


@pytest.mark.parametrize(("hardware", "named"), [("cpu", "cpu-basic"), ("gpu", "t4-small"), ("zero", "zero-a10g")])
def test_a_folder_for_a_space_has_all_that_the_app_needs(tmp_path, hardware, named):
    folder = tmp_path / "space"
    command = [sys.executable, str(ROOT / "deploy" / "space.py"), str(folder), hardware]
    for _ in range(2):  # it may be written again
        subprocess.run(command, check=True, capture_output=True)
    front = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (front["suggested_hardware"], front["hf_oauth"], front["app_file"]) == (named, True, "app.py")
    assert (folder / front["app_file"]).is_file()
    needed = (folder / "requirements.txt").read_text(encoding="utf-8")
    assert f"gradio=={front['sdk_version']}" in needed
    assert ("spaces==" in needed) is (hardware == "zero")
    asked = "import personal, personal.settings as s; print(personal.__file__, s.ASSETS, s.load().model)"
    told = {name: value for name, value in os.environ.items() if not name.startswith("PERSONAL_")}
    there = subprocess.run([sys.executable, "-c", asked], cwd=folder, env=told, capture_output=True, text=True)
    assert there.stdout.split() == [
        str(folder / "personal" / "__init__.py"),
        str(folder / "assets"),
        "personal-tiny" if hardware == "cpu" else "auto",
    ]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    command = [sys.executable, str(ROOT / "deploy" / "space.py"), str(tmp_path), "cpu"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "holds something else" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_space_keeps_its_data_in_the_storage_that_is_attached(tmp_path, monkeypatch):
    monkeypatch.setattr("personal.settings.ATTACHED", tmp_path)
    space = {"SPACE_ID": "somebody/personal"}
    assert load(space).data_dir == tmp_path / "personal"
    assert load({**space, "PERSONAL_DATA_DIR": str(tmp_path / "mine")}).data_dir == tmp_path / "mine"
    assert load({}).data_dir != tmp_path / "personal"
    monkeypatch.setattr("personal.settings.ATTACHED", tmp_path / "nothing")
    assert load(space).data_dir == load({}).data_dir
    assert Path("/data") == ATTACHED


def test_a_health_check_says_why_and_where_nothing_answers(capsys, monkeypatch):
    from personal import cli

    monkeypatch.setenv("GRADIO_SERVER_PORT", str(free_port()))
    assert cli.main(["health"]) == 1
    assert "Nothing answers at http://127.0.0.1:" in capsys.readouterr().err
