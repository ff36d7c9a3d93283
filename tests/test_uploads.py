"""Uploads: each in a place of its own, within bounds, and nothing is left of what was refused."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from personal.ui import uploads
from personal.ui.routes import UPLOAD
from personal.ui.uploads import Uploads

MB = 2**20


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "uploads"


def app(folder, most=4 * MB, shared=True):
    return Starlette(routes=[Route(UPLOAD, Uploads(folder, most, shared=shared).receive, methods=["POST"])])


def send(served, count=1, *, address="192.0.2.1", **request):
    """Send the same upload `count` times at once."""

    async def all_at_once():
        transport = httpx.ASGITransport(served, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await asyncio.gather(*(client.post(UPLOAD, **request) for _ in range(count)))

    return asyncio.run(all_at_once())


def left(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_ten_visitors_with_the_same_photo_get_ten_files(folder):
    answers = send(app(folder), 4, files={"files": ("photo.jpg", b"the same" * 1000)})
    paths = [Path(path) for answer in answers for path in answer.json()]
    assert len({path.parent for path in paths}) == 4
    assert {path.name for path in paths} == {"photo.jpg"}
    assert [path.read_bytes() for path in paths] == [b"the same" * 1000] * 4
    assert all(path.parent.parent == folder and path.parent.stat().st_mode & 0o777 == 0o700 for path in paths)
    paths[0].unlink()
    assert all(path.exists() for path in paths[1:])


def test_several_files_of_one_upload_come_in_their_order(folder):
    files = [("files", (f"{n}.png", bytes([n]) * 10)) for n in range(5)]
    (answer,) = send(app(folder), files=files)
    assert [Path(path).name for path in answer.json()] == [f"{n}.png" for n in range(5)]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../evil.png", "evil.png"),
        ("..", "file"),
        (".hidden.png", "hidden.png"),
        ("a\\b:c.png", "abc.png"),
        ("x" * 400 + ".png", "x" * 196 + ".png"),
        ("犬" * 90 + ".jpg", "犬" * 65 + ".jpg"),
    ],
)
def test_a_name_that_leads_elsewhere_is_made_harmless(folder, name, kept):
    (answer,) = send(app(folder), files={"files": (name, b"data")})
    (path,) = [Path(path) for path in answer.json()]
    assert path.parent.parent == folder
    assert path.name == kept


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b"no form at all"},
        {"data": {"files": "a field, not a file"}, "files": {"files": ("a.png", b"1")}},
        {"files": {"other": ("a.png", b"1")}},
        {"files": [("files", (f"{n}.png", b"1")) for n in range(uploads.MAX_FILES + 1)]},
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
    ],
    ids=["no form", "field", "other name", "too many", "empty", "no boundary"],
)
def test_what_is_no_upload_is_refused_in_words_and_leaves_nothing(folder, request_):
    (answer,) = send(app(folder), **request_)
    assert answer.status_code == 400
    assert len(answer.text) > 10
    assert left(folder) == []


@pytest.mark.parametrize("declared", [True, False])
def test_an_upload_that_is_too_large_is_refused_in_words_and_leaves_nothing(folder, declared):
    head = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.zip"\r\n\r\n'

    async def pieces():
        yield head
        for _ in range(100):
            yield b"\0" * 65536

    request = {"files": {"files": ("a.zip", b"\0" * 5 * MB)}}
    if not declared:
        request = {"content": pieces(), "headers": {"content-type": "multipart/form-data; boundary=x"}}
    (answer,) = send(app(folder), **request)
    assert answer.status_code == 413
    assert "4 MB are the most" in answer.text
    assert left(folder) == []


def test_a_guest_cannot_fill_the_disk_by_many_uploads(folder):
    served = app(folder)
    photo = {"files": {"files": ("a.jpg", b"\0" * MB)}}
    codes = [send(served, **photo)[0].status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert send(served, address="192.0.2.2", **photo)[0].status_code == 200


def test_what_waits_of_all_visitors_together_is_bounded(folder):
    served = app(folder)
    codes = [
        send(served, address=f"192.0.2.{n}", files={"files": ("a.jpg", b"\0" * 3 * MB)})[0].status_code
        for n in range(1, 9)
    ]
    assert codes == [200] * 6 + [503] * 2


def endless(started, gone, *, gap_s, piece=b"a"):
    """A receive that never ends, and how many of its kind are open."""
    head = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    pieces = iter([head])

    async def receive():
        started.add(receive)
        await asyncio.sleep(gap_s)
        if gone.is_set():
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": next(pieces, piece), "more_body": True}

    return receive


@pytest.mark.parametrize("end", ["too slow", "silent", "gone"])
def test_a_hundred_uploads_that_never_end_are_bounded_and_leave_nothing(folder, monkeypatch, end):
    monkeypatch.setattr(uploads, "PATIENCE_S", 60 if end == "gone" else 0.5)
    monkeypatch.setattr(uploads, "SILENCE_S", 60 if end == "gone" else 0.5)

    async def scene():
        served, started, gone = app(folder), set(), asyncio.Event()

        async def one(number):
            sent = []

            async def keep(message):
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": UPLOAD, "query_string": b"", "scheme": "http"}
            scope |= {"client": (f"192.0.2.{number % 5}", 1), "root_path": "", "http_version": "1.1"}
            cookie = f"personal=visitor{number % 20}".encode()
            scope["headers"] = [(b"content-type", b"multipart/form-data; boundary=x"), (b"cookie", cookie)]
            await served(scope, endless(started, gone, gap_s=9 if end == "silent" else 0.01), keep)
            return sent[0]["status"]

        tasks = [asyncio.create_task(one(number)) for number in range(100)]
        await asyncio.sleep(0.2)
        refused = [task.result() for task in tasks if task.done()]
        assert set(refused) <= {429, 503}
        assert 100 - len(refused) <= uploads.IN_TOTAL
        if end == "gone":
            gone.set()
        codes = await asyncio.wait_for(asyncio.gather(*tasks), 30)
        assert set(codes) <= {429, 503, 400 if end == "gone" else 408}

    asyncio.run(scene())
    assert left(folder) == []
    assert send(app(folder), files={"files": ("a.jpg", b"1")})[0].status_code == 200


def test_a_folder_that_goes_while_uploads_are_counted_refuses_nobody(folder, monkeypatch):
    (folder / "taken").mkdir(parents=True)
    scandir = os.scandir

    def changing(path):
        if str(path).endswith("taken"):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", changing)
    (answer,) = send(app(folder), files={"files": ("a.jpg", b"1")})
    assert answer.status_code == 200


def test_a_full_disk_is_said_in_words(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.GradioMultiPartParser, "on_headers_finished", full)
    (answer,) = send(app(folder), files={"files": ("a.jpg", b"1")})
    assert answer.status_code == 507
    assert "disk is full" in answer.text
