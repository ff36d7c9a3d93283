"""A shared app in a process of its own, met by plain HTTP: two who sign in, what they try, and a restart between."""

from __future__ import annotations

import json
import re
import secrets
import threading

import httpx

from personal.remember.users import Users
from personal.ui.sessions import COOKIE
from tests.over_http import Visitor
from tests.test_browser import SAMPLES, samples, served

SHARED = {"GRADIO_SERVER_NAME": "0.0.0.0", "PERSONAL_SESSION_GRACE_S": "600", "PERSONAL_GUESTS": "0"}
PHOTO = (SAMPLES / samples()["concepts"][0]["views"][0]).read_bytes()


class SignedIn(Visitor):
    """A browser's worth of requests of somebody who has signed in, or is signed in by a token of an earlier time."""

    def __init__(self, address, name, token=""):
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as http:
            if not token:
                form = {"name": name, "password": f"password of {name}"}
                answer = http.post("/personal/sign-in", data=form)
                assert answer.status_code == 303, answer.text
                token = http.cookies["personal-sign-in"]
        self.token = token
        super().__init__(address, cookies={"personal-sign-in": token})

    def call(self, name, *data):
        """Call a named endpoint; return its result, or in a list what was refused."""
        (number,) = [one["id"] for one in self.config["dependencies"] if one["api_name"] == name]
        joined = self.join(number, *data)
        if joined.status_code != 200:
            return [joined.text]
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.page}) as stream:
            text = "".join(line + "\n" for line in stream.iter_lines())
        done = [line for line in text.splitlines() if "process_completed" in line]
        output = json.loads(done[-1].removeprefix("data:"))["output"]
        return output["data"][0] if "data" in output else [output.get("error") or "refused"]

    def add(self, name):
        (path,) = self.upload(("photo.jpg", PHOTO))
        file = {"path": path, "orig_name": "photo.jpg", "meta": {"_type": "gradio.FileData"}}
        return self.call("add", name, [file], "dog", "Loves the beach.")


def names(visitor):
    return [concept["name"] for concept in visitor.call("list")]


def wait_until_ready(address):
    for _ in range(240):
        if httpx.get(address + "readyz", trust_env=False).status_code == 200:
            return
        threading.Event().wait(0.5)
    raise AssertionError("not ready")


def test_two_who_sign_in_keep_what_is_theirs_over_a_restart_and_get_nothing_of_each_others(tmp_path):
    data = tmp_path / "data"
    for name in ("anna", "ben"):
        Users(data).add(name, f"password of {name}")
    with served(data, **SHARED) as address:
        wait_until_ready(address)
        with SignedIn(address, "anna") as anna, SignedIn(address, "ben") as ben:
            assert anna.add("bo")["name"] == "bo"
            assert (names(anna), names(ben)) == (["bo"], [])
            what_ben_tries_of_annas(anna, ben)
            what_makes_no_sense(ben)
            assert (names(anna), names(ben)) == (["bo"], [])
            token = anna.token
        strangers_get_no_further_than_the_page_to_sign_in_on(address)
        many_wrong_passwords_at_once_are_refused_and_the_app_goes_on(address)
    log = (tmp_path / "app.log").read_text()
    assert "Traceback" not in log
    assert [word for word in ("anna", "password of", token) if word in log] == []
    with served(data, **SHARED) as address:
        wait_until_ready(address)
        with SignedIn(address, "anna", token) as anna:
            assert names(anna) == ["bo"]
            assert anna.http.post("/personal/sign-out", data={"everywhere": "1"}).status_code == 303
        again = httpx.get(address, cookies={"personal-sign-in": token}, trust_env=False)
        assert (again.status_code, again.headers["location"]) == (303, "/personal/sign-in")


def what_ben_tries_of_annas(anna, ben):
    (path,) = anna.upload(("mine.jpg", PHOTO))
    file = {"path": path, "orig_name": "mine.jpg", "meta": {"_type": "gradio.FileData"}}
    assert "somebody else" in str(ben.call("look", file))
    assert ben.http.get(f"/gradio_api/file={path}").status_code == 404
    sha256 = anna.http.get("/personal/names").json()[0]["picture"].partition("?")[0]
    assert anna.http.get(f"/personal/picture/{sha256}").status_code == 200
    assert ben.http.get(f"/personal/picture/{sha256}").status_code == 404
    assert ben.http.get("/personal/names").json() == []
    mine, ben.page = ben.page, anna.page
    assert ben.join(0).status_code == 403
    assert ben.http.get("/gradio_api/queue/data", params={"session_hash": anna.page}).status_code == 403
    assert ben.http.get(f"/gradio_api/heartbeat/{anna.page}").status_code == 403
    ben.page = mine
    with httpx.Client(
        base_url=ben.http.base_url, trust_env=False, cookies={COOKIE: anna.http.cookies[COOKIE]}
    ) as thief:
        assert thief.get("/personal/names").status_code == 404, "a visitor's cookie without the sign-in"
        thief.cookies.set("personal-sign-in", ben.token)
        assert thief.get("/personal/names").status_code == 404, "and with another's"


def what_makes_no_sense(ben):
    for name, *given in (
        ("look", 7),
        ("look", {"path": "/etc/passwd"}),
        ("ask", None, {"a": 1}),
        ("ask", None, ""),
        ("add", ["x"], "photo"),
        ("add", "bo", [None]),
        ("forget", {"a": 1}),
        ("forget", "bo"),
        ("list", "more"),
    ):
        told = ben.call(name, *given)
        assert isinstance(told, list), (name, given, told)
    for path in ("/personal/sign-in", "/personal/sign-out", "/personal/visit", "/gradio_api/queue/join"):
        assert ben.http.post(path, content=b"x" * 2_000_000).status_code == 413
    for method in ("PUT", "DELETE", "PATCH"):
        assert ben.http.request(method, "/personal/sign-in").status_code == 404


def strangers_get_no_further_than_the_page_to_sign_in_on(address):
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as stranger:
        assert stranger.get("/").headers["location"] == "/personal/sign-in"
        for path in ("/config", "/personal/visit"):
            answer = stranger.get(path) if path == "/config" else stranger.post(path)
            assert answer.status_code == 401
        for path in ("/gradio_api/queue/data?session_hash=a", "/gradio_api/heartbeat/a", "/gradio_api/file=/uploads/a"):
            assert stranger.get(path).status_code == 410
        assert stranger.get("/personal/names").status_code == 404
        assert stranger.post("/gradio_api/upload", files={"files": ("a.jpg", PHOTO)}).status_code == 410
        assert not re.search("anna|ben", stranger.get("/personal/sign-in").text)


def many_wrong_passwords_at_once_are_refused_and_the_app_goes_on(address):
    codes = []

    def guess():
        form = {"name": "anna", "password": secrets.token_hex(8)}
        codes.append(httpx.post(address + "personal/sign-in", data=form, timeout=120, trust_env=False).status_code)

    guessing = [threading.Thread(target=guess, daemon=True) for _ in range(30)]
    for one in guessing:
        one.start()
    assert httpx.get(address + "healthz", timeout=30, trust_env=False).status_code == 200
    for one in guessing:
        one.join()
    assert set(codes) == {401, 429}
    right = {"name": "anna", "password": "password of anna"}
    assert httpx.post(address + "personal/sign-in", data=right, timeout=60, trust_env=False).status_code == 429
