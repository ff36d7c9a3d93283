"""The index finds views by their vectors, heals itself, and keeps nothing a person wrote."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from personal.errors import StoreError
from personal.remember.index import WRITTEN, Index

D = 48


def vectors(n: int, seed: int = 0, d: int = D) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def sha(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def entries(x: np.ndarray, per_concept: int = 5) -> list[tuple[str, str, np.ndarray]]:
    return [(f"{i // per_concept:032x}", sha(i), v) for i, v in enumerate(x)]


def holders(folder: Path, what: bytes) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and what in p.read_bytes()]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index("mean-colour", D, folder=tmp_path / "index")
    yield index
    index.close()


def test_a_view_is_found_by_its_vector_best_first_with_cosine_similarity(index: Index) -> None:
    x = vectors(30)
    index.put("local", entries(x))
    query = x[[3, 17]] * 5.0
    hits = index.query("local", query, 10)
    similarities = x[[3, 17]] @ x.T
    for row, exact in zip(hits, similarities, strict=True):
        order = np.argsort(-exact)[:10]
        assert [hit.view for hit in row] == [sha(i) for i in order]
        assert [hit.concept_id for hit in row] == [f"{i // 5:032x}" for i in order]
        np.testing.assert_allclose([hit.similarity for hit in row], exact[order], atol=1e-5)
        assert all(-1 <= hit.similarity <= 1 for hit in row)


def test_two_hundred_queries_at_once_agree_with_an_exact_search_of_a_thousand_views(index: Index) -> None:
    x, queries = vectors(1000), vectors(200, seed=1)
    index.put("local", entries(x))
    hits = index.query("local", queries, 5)
    exact = np.argsort(-(queries @ x.T), axis=1)[:, :5]
    agreed = [len({h.view for h in row} & {sha(i) for i in best}) for row, best in zip(hits, exact, strict=True)]
    assert sum(agreed) >= 0.995 * 1000


def test_an_empty_index_finds_nothing_and_makes_nothing(index: Index) -> None:
    assert index.views("local") == set()
    assert index.query("local", vectors(3), 5) == [[], [], []]
    assert index.query("local", np.zeros((0, D), np.float32), 5) == []
    index.drop("local", [("0" * 32, sha(1))])
    index.erase("local")
    assert not list(index._listed())


def test_more_neighbours_than_there_are_is_no_error(index: Index) -> None:
    index.put("local", entries(vectors(3)))
    assert [len(row) for row in index.query("local", vectors(2), 50)] == [3, 3]


def test_putting_a_view_again_replaces_its_vector_also_within_one_call(index: Index) -> None:
    a, b, c = vectors(3)
    index.put("local", [("0" * 32, sha(1), a), ("0" * 32, sha(1), b)])
    index.put("local", [("0" * 32, sha(1), c)])
    assert index.views("local") == {("0" * 32, sha(1))}
    assert index.query("local", c[None], 1)[0][0].similarity == pytest.approx(1, abs=1e-5)


def test_dropped_views_are_found_no_more(index: Index) -> None:
    x = vectors(10)
    index.put("local", entries(x))
    index.drop("local", [(f"{0:032x}", sha(i)) for i in range(5)])
    assert index.views("local") == {(f"{1:032x}", sha(i)) for i in range(5, 10)}
    assert {hit.concept_id for hit in index.query("local", x[:1], 10)[0]} == {f"{1:032x}"}


def test_owners_never_meet(index: Index) -> None:
    x = vectors(2)
    index.put("anna", [("a" * 32, sha(1), x[0])])
    index.put("bert", [("b" * 32, sha(2), x[1])])
    assert [hit.concept_id for hit in index.query("anna", x[1:], 5)[0]] == ["a" * 32]
    index.erase("anna")
    assert index.views("anna") == set()
    assert index.views("bert") == {("b" * 32, sha(2))}


def test_a_restart_remembers(tmp_path: Path) -> None:
    x = vectors(1200)
    first = Index("e", D, folder=tmp_path)
    assert first.opened_fresh
    first.put("local", entries(x))
    first.close()
    second = Index("e", D, folder=tmp_path)
    assert not second.opened_fresh
    assert len(second.views("local")) == 1200
    assert second.query("local", x[700:701], 1)[0][0].view == sha(700)
    second.close()


def test_another_encoder_gets_its_own_index_and_the_old_one_can_be_dropped(tmp_path: Path) -> None:
    old = Index("first", D, folder=tmp_path)
    old.put("local", entries(vectors(5)))
    old.put("other", entries(vectors(5)))
    old.close()
    new = Index("second", 64, folder=tmp_path)
    assert new.views("local") == set()
    new.put("local", entries(vectors(4, d=64)))
    new.drop_stale("local")
    assert len(new.views("local")) == 4
    new.close()
    again = Index("first", D, folder=tmp_path)
    assert again.views("local") == set()
    assert len(again.views("other")) == 5
    again.close()


def test_vectors_of_the_wrong_shape_or_not_finite_are_refused(index: Index) -> None:
    for wrong in (np.zeros(D + 1), np.full(D, np.nan), np.zeros((1, D))):
        with pytest.raises(ValueError, match="expected"):
            index.put("local", [("0" * 32, sha(1), wrong)])
    assert index.views("local") == set()


def test_erasing_an_owner_leaves_none_of_its_bytes(tmp_path: Path) -> None:
    x = vectors(1500)
    index = Index("e", D, folder=tmp_path)
    index.put("someone", entries(x))
    index.put("other", entries(vectors(20, seed=9)))
    segments = set(index._store.iterdir())
    traces = [x[3].tobytes(), x[1400].tobytes(), sha(30).encode(), sha(1400).encode(), x[3].tobytes()[4:20]]
    assert any(holders(tmp_path, trace) for trace in traces)
    assert not holders(tmp_path, b"someone")
    index.erase("someone")
    assert not any(holders(tmp_path, trace) for trace in traces)
    assert len(set(index._store.iterdir())) < len(segments)
    assert len(index.views("other")) == 20
    assert len(index.query("other", x[:1], 3)[0]) == 3
    index.put("someone", entries(x[:3]))
    assert len(index.views("someone")) == 3
    index.close()


def _garbage(store: Path) -> None:
    (store / "chroma.sqlite3").write_bytes(b"nonsense" * 1000)


def _foreign(store: Path) -> None:
    (store / "chroma.sqlite3").unlink()
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        database.execute("CREATE TABLE collections (a)")


def _half(store: Path) -> None:
    data = (store / "chroma.sqlite3").read_bytes()
    (store / "chroma.sqlite3").write_bytes(data[: len(data) // 2])


def _graph_written(store: Path) -> None:
    next(path for path in store.iterdir() if path.is_dir()).joinpath(WRITTEN).write_bytes(b"z")


@pytest.mark.parametrize("harm", [_garbage, _foreign, _half, _graph_written], ids=lambda harm: harm.__name__)
def test_a_broken_or_foreign_store_is_replaced_by_an_empty_one_that_works(tmp_path: Path, harm) -> None:
    x = vectors(300)
    first = Index("e", D, folder=tmp_path)
    first.put("local", entries(x))
    store = first._store
    first.close()
    harm(store)
    index = Index("e", D, folder=tmp_path)
    assert index.opened_fresh
    assert index.views("local") == set()
    index.put("local", entries(x))
    assert index.query("local", x[5:6], 1)[0][0].view == sha(5)
    index.close()
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("store-")]) == 1


@pytest.mark.parametrize("harm", ["torn", "garbage", "gone"])
def test_the_files_of_the_graph_are_not_needed(tmp_path: Path, harm: str) -> None:
    """1,500 records, beyond the thousand at which Chroma writes its graph by default; torn, it would crash us."""
    x = vectors(1500)
    first = Index("e", D, folder=tmp_path)
    first.put("local", entries(x))
    first.query("local", x[:1], 1)
    files = list(first._store.glob("*/*"))
    first.close()
    assert files
    for path in files:
        path.unlink()
        if harm != "gone":
            path.write_bytes(b"z" * (10 if harm == "torn" else 5000))
    index = Index("e", D, folder=tmp_path)
    assert not index.opened_fresh
    assert len(index.views("local")) == 1500
    assert index.query("local", x[5:6], 1)[0][0].view == sha(5)
    index.close()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_no_file_but_the_journal_holds_anything(tmp_path: Path) -> None:
    """Chroma allocates its graph uninitialised and writes it out at leisure: what was freed before can be in it."""
    index = Index("e", D, folder=tmp_path)
    for seed in range(3):
        for owner in ("local", "guest"):
            index.put(owner, entries(vectors(1200, seed=seed)))
            index.query(owner, vectors(2), 3)
        index.erase("guest")
    index.close()
    Index("e", D, folder=tmp_path).close()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.name for path in files] == ["chroma.sqlite3"]
    assert {path.resolve() for path in tmp_path.rglob("*.bin")} == {Path(os.devnull)}


def test_reset_starts_anew_within_the_same_process(index: Index) -> None:
    x = vectors(5)
    index.put("local", entries(x))
    index.reset()
    assert index.opened_fresh
    assert index.views("local") == set()
    index.put("local", entries(x))
    assert index.query("local", x[2:3], 1)[0][0].view == sha(2)


def test_a_failing_store_says_to_reindex(index: Index) -> None:
    x = vectors(5)
    index.put("local", entries(x))
    _garbage(index._store)
    with pytest.raises(StoreError, match="reindex"):
        index.put("other", entries(x))


def test_threads_may_read_and_write_at_once(index: Index) -> None:
    x = vectors(200)
    index.put("local", entries(x[:100]))

    def work(k: int) -> None:
        for i in range(10):
            index.put("local", [(f"{9:032x}", sha(1000 + 10 * k + i), x[100 + 10 * k + i])])
            assert index.query("local", x[k : k + 1], 3)[0][0].view == sha(k)
            if i % 4 == 0:
                index.erase(f"guest-{k}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(index.views("local")) == 180


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://localhost:port", "http://h/x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="PERSONAL_CHROMA_URL"):
        Index("e", D, url=url)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_server_that_does_not_answer_is_named_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{_free_port()}"
    with pytest.raises(StoreError, match=f"{url}.*chroma run"):
        Index("e", D, url=url)


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
        index = Index("e", D, url=f"http://127.0.0.1:{port}")
        index.put("local", entries(x))
        assert index.query("local", x[4:5], 3)[0][0].view == sha(4)
        index.erase("local")
        assert index.query("local", x[:1], 3) == [[]]
        index.put("local", entries(x))
        server.kill()
        server.wait()
        with pytest.raises(StoreError, match="reindex"):
            index.query("local", x[:1], 3)
        index.close()
    finally:
        server.kill()
        server.wait()
