"""A Chroma server serves as the index; what was read lately is held in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from personal.concepts import IndexedView
from personal.errors import StoreError
from personal.remember.server_index import ServerIndex, VectorCache
from tests.vectors import D, entries, sha, vectors


def test_what_is_held_stays_below_its_bound_and_the_oldest_goes() -> None:
    held = VectorCache(10 * D * 4)
    stored = [[IndexedView(sha(i), False, vectors(4, seed=i))] for i in range(3)]
    held.put("local", "0", stored[0])
    held.put("local", "1", stored[1])
    assert held.get("local", "0") is stored[0]
    held.put("local", "2", stored[2])
    assert held.bytes == 8 * D * 4
    assert held.get("local", "1") is None
    assert held.get("local", "0") is stored[0]
    held.put("guest", "0", [IndexedView(sha(9), False, vectors(20))])
    assert held.bytes == 0
    held.put("guest", "0", stored[0])
    held.put("local", "0", stored[0])
    held.erase("guest")
    assert (held.get("guest", "0"), held.bytes) == (None, 4 * D * 4)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://localhost:port", "http://h/x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="PERSONAL_CHROMA_URL"):
        ServerIndex("e", D, url)


def test_a_server_that_does_not_answer_is_named_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{_free_port()}"
    with pytest.raises(StoreError, match=f"{url}.*chroma run"):
        ServerIndex("e", D, url)


def test_a_chroma_server_serves_as_the_index(tmp_path: Path) -> None:
    port = _free_port()
    chroma = Path(sys.executable).with_name("chroma")
    command = [str(chroma), "run", "--path", str(tmp_path), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        x = vectors(20)
        index = ServerIndex("e", D, f"http://127.0.0.1:{port}")
        index.put("local", entries(x))
        assert index.query("local", x[4:5], 3)[0][0].view == sha(4)
        assert index.views("local") == {(f"{i // 5:032x}", sha(i), False) for i in range(20)}
        stored = {one.view: one.vectors for one in index.vectors("local", [f"{0:032x}"])[f"{0:032x}"]}
        np.testing.assert_allclose(stored[sha(0)], x[:1], atol=1e-6)
        index.drop("local", [(f"{0:032x}", sha(0), False)])
        assert len(index.vectors("local", [f"{0:032x}"])[f"{0:032x}"]) == 4
        other = ServerIndex("e", D, f"http://127.0.0.1:{port}", library="another one")
        assert not other.views("local")
        other.put("local", entries(x))
        index.erase("local")
        assert index.query("local", x[:1], 3) == [[]]
        assert len(other.views("local")) == 20
        index.put("local", entries(x))
        held = index.vectors("local", [f"{0:032x}"])[f"{0:032x}"]
        server.kill()
        server.wait()
        assert index.vectors("local", [f"{0:032x}"])[f"{0:032x}"] == held
        with pytest.raises(StoreError, match="reindex"):
            index.query("local", x[:1], 3)
        index.close()
    finally:
        server.kill()
        server.wait()
