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

from personal.errors import StoreError
from personal.remember.server_index import ServerIndex
from tests.vectors import D, entries, sha, vectors


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
