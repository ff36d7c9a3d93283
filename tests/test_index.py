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
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from personal.concepts import Entry, IndexedView
from personal.errors import StoreError
from personal.remember import index as module
from personal.remember.confusable_pairs import confusable_pairs
from personal.remember.flat_index import FlatIndex, VectorCache
from personal.remember.index import WRITTEN, Index

D = 48


def vectors(n: int, seed: int = 0, d: int = D) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def sha(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def entries(x: np.ndarray, per_concept: int = 5) -> list[Entry]:
    return [Entry(f"{i // per_concept:032x}", sha(i), v) for i, v in enumerate(x)]


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
    index.drop("local", [("0" * 32, sha(1), False)])
    index.erase("local")
    assert not list(index._listed())


def test_more_neighbours_than_there_are_is_no_error(index: Index) -> None:
    index.put("local", entries(vectors(3)))
    assert [len(row) for row in index.query("local", vectors(2), 50)] == [3, 3]


def test_putting_a_view_again_replaces_its_vector_also_within_one_call(index: Index) -> None:
    a, b, c = vectors(3)
    index.put("local", [Entry("0" * 32, sha(1), a), Entry("0" * 32, sha(1), b)])
    index.put("local", [Entry("0" * 32, sha(1), c)])
    assert index.views("local") == {("0" * 32, sha(1), False)}
    assert index.query("local", c[None], 1)[0][0].similarity == pytest.approx(1, abs=1e-5)


def test_a_view_has_as_many_vectors_as_were_put_last_and_is_found_by_each(index: Index) -> None:
    x = vectors(8)
    index.put("local", [Entry("a" * 32, sha(1), x[:5]), Entry("a" * 32, sha(2), x[5:7])])
    assert {index.query("local", x[i : i + 1], 1)[0][0].view for i in range(5)} == {sha(1)}
    index.put("local", [Entry("a" * 32, sha(1), x[7:])])
    assert index.views("local") == {("a" * 32, sha(1), False), ("a" * 32, sha(2), False)}
    found = {one.view: one.vectors for one in index.vectors("local", ["a" * 32])["a" * 32]}
    np.testing.assert_allclose(found[sha(1)], x[7:], atol=1e-6)
    np.testing.assert_allclose(found[sha(2)], x[5:7], atol=1e-6)
    assert len(index.query("local", x[:1], 50)[0]) == 3


def test_a_negative_is_told_from_a_view_wherever_it_comes_back(index: Index) -> None:
    x = vectors(3)
    index.put("local", [Entry("a" * 32, sha(1), x[:2]), Entry("a" * 32, sha(2), x[2:], negative=True)])
    assert index.views("local") == {("a" * 32, sha(1), False), ("a" * 32, sha(2), True)}
    assert [(hit.view, hit.negative) for hit in index.query("local", x[2:], 1)[0]] == [(sha(2), True)]
    stored = index.vectors("local", ["a" * 32])["a" * 32]
    assert [(one.view, one.negative, one.vectors.shape) for one in stored] == [
        (sha(1), False, (2, D)),
        (sha(2), True, (1, D)),
    ]
    index.drop("local", [("a" * 32, sha(2), False)])
    assert ("a" * 32, sha(2), True) in index.views("local")
    index.drop("local", [("a" * 32, sha(2), True)])
    assert [one.view for one in index.vectors("local", ["a" * 32])["a" * 32]] == [sha(1)]


def test_a_view_that_is_not_wholly_there_does_not_count_and_is_mended_by_putting_it(index: Index) -> None:
    x = vectors(3)
    index.put("local", [Entry("a" * 32, sha(1), x), Entry("a" * 32, sha(2), x[:1])])
    index._find("local").delete(ids=[f"{'a' * 32}.{sha(1)}.+1/3"])
    assert index.views("local") == {("a" * 32, sha(2), False)}
    assert [one.view for one in index.vectors("local", ["a" * 32])["a" * 32]] == [sha(2)]
    index.put("local", [Entry("a" * 32, sha(1), x)])
    assert len(index.views("local")) == 2
    assert index._find("local").count() == 4


def test_views_of_many_vectors_go_in_and_out_whole(index: Index) -> None:
    x = vectors(1400)
    index.put("local", [Entry(f"{i:032x}", sha(i), x[7 * i : 7 * i + 7]) for i in range(200)])
    assert len(index.views("local")) == 200
    stored = index.vectors("local", [f"{i:032x}" for i in range(200)])
    for i in range(200):
        np.testing.assert_allclose(stored[f"{i:032x}"][0].vectors, x[7 * i : 7 * i + 7], atol=1e-6)
    index.drop("local", index.views("local"))
    assert index._find("local").count() == 0


def test_vectors_are_held_in_memory_and_never_older_than_the_index(index: Index, monkeypatch) -> None:
    x = vectors(6)
    a, b = "a" * 32, "b" * 32
    index.put("local", [Entry(a, sha(1), x[:2]), Entry(b, sha(2), x[2:3] * 3)])
    first = index.vectors("local", [a, b, "c" * 32])
    assert first["c" * 32] == []
    np.testing.assert_allclose(first[b][0].vectors, x[2:3], atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        first[a][0].vectors[0] = 0
    first[a].clear()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_database", lambda _: pytest.fail("the store was read again"))
        assert len(index.vectors("local", [a, b])[a]) == 1
    index.put("local", [Entry(a, sha(1), x[4:5]), Entry(a, sha(3), x[5:6])])
    assert [len(one.vectors) for one in index.vectors("local", [a])[a]] == [1, 1]
    index.drop("local", [(a, sha(3), False)])
    assert [one.view for one in index.vectors("local", [a, b])[a]] == [sha(1)]
    index.erase("local")
    assert index.vectors("local", [a, b]) == {a: [], b: []}
    assert index.vectors("other", [a]) == {a: []}


def test_a_table_finds_exactly_what_a_search_of_all_vectors_finds() -> None:
    random = np.random.default_rng(5)
    table, every = FlatIndex(D), {}
    for step in range(6000):
        key = (f"{step % 900:032x}", sha(step % 1700), bool(step % 7 == 0))
        if step % 5 == 4:
            table.drop(key)
            every.pop(key, None)
        else:
            every[key] = vectors(int(random.integers(1, 5)), seed=step)
            table.put(key, every[key] * 2)
    assert table.keys() == set(every)
    flat = np.concatenate(list(every.values()))
    queries = np.concatenate([vectors(70, seed=9), -flat[:30]])
    for limit in (1, 8, 100):
        for query, hits in zip(queries, table.nearest(queries * 3, limit), strict=True):
            exact = -np.sort(-flat @ query)[:limit]
            np.testing.assert_allclose([hit.similarity for hit in hits], exact, atol=1e-5)
            for hit in hits:
                assert np.abs(every[hit.concept_id, hit.view, hit.negative] @ query - hit.similarity).min() < 1e-5
    concept = next(iter(every))[0]
    mine = sorted((key for key in every if key[0] == concept), key=lambda key: key[::-1])
    assert [(one.view, one.negative) for one in table.concept(concept)] == [key[1:] for key in mine]
    for one, key in zip(table.concept(concept), mine, strict=True):
        np.testing.assert_allclose(one.vectors, every[key], atol=1e-6)
    for key in list(every):
        table.drop(key)
    assert (table.keys(), table.nearest(queries[:2], 3), table.concept(concept)) == (set(), [[], []], [])


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


def test_look_alikes_are_the_pairs_of_concepts_with_the_nearest_views(index: Index, monkeypatch) -> None:
    x = vectors(40)
    a, b, c, d = (letter * 32 for letter in "abcd")

    def near(i: int, share: float) -> np.ndarray:
        return share * x[i] + (1 - share**2) ** 0.5 * x[30 + i]

    index.put(
        "local", [Entry(a, sha(1), x[:2]), Entry(a, sha(2), x[2:4]), Entry(b, sha(3), np.stack([near(2, 0.95), x[9]]))]
    )
    index.put("local", [Entry(c, sha(4), near(0, 0.8)), Entry(c, sha(5), x[9], negative=True), Entry(d, sha(6), x[9])])
    exact = index.look_alikes("local", [a, b, c, d], 0.7)
    told = [(one, other) for _, one, other in exact]
    assert told[0] == ((b, sha(3)), (d, sha(6)))
    assert {frozenset(pair) for pair in told[1:]} == {
        frozenset([(a, sha(2)), (b, sha(3))]),
        frozenset([(a, sha(1)), (c, sha(4))]),
    }
    assert [similarity for similarity, _, _ in exact] == pytest.approx([1.0, 0.95, 0.8], abs=0.1)
    assert index.look_alikes("local", [a, c, d], 0.7) == [exact[2]]
    assert index.look_alikes("local", [a], 0.0) == []
    assert index.look_alikes("guest", [a, b], 0.0) == []
    monkeypatch.setattr(module, "EXACT", 3)
    approximate = index.look_alikes("local", [a, b, c, d], 0.7)
    assert {frozenset((one, other)) for _, one, other in approximate} == {frozenset(pair) for pair in told}


def test_look_alikes_of_hundreds_agree_with_all_pairs_compared_one_by_one() -> None:
    x = vectors(900, d=6).reshape(450, 2, 6)
    stored = {f"{i:03}": [IndexedView(sha(i), False, x[i]), IndexedView("n", True, x[i - 1])] for i in range(450)}
    best = {(i, j): float((x[i] @ x[j].T).max()) for i in range(450) for j in range(i + 1, 450)}
    slowly = sorted(((s, i, j) for (i, j), s in best.items() if s >= 0.96), reverse=True)
    found = confusable_pairs(stored, 0.96)
    assert len(found) == min(len(slowly), 100) > 50
    assert [s for s, *_ in found] == pytest.approx([s for s, *_ in slowly[:100]], abs=1e-6)
    assert {(one[0], other[0]) for _, one, other in found[:50]} == {(f"{i:03}", f"{j:03}") for _, i, j in slowly[:50]}


def test_dropped_views_are_found_no_more(index: Index) -> None:
    x = vectors(10)
    index.put("local", entries(x))
    index.drop("local", [(f"{0:032x}", sha(i), False) for i in range(5)])
    assert index.views("local") == {(f"{1:032x}", sha(i), False) for i in range(5, 10)}
    assert {hit.concept_id for hit in index.query("local", x[:1], 10)[0]} == {f"{1:032x}"}


def test_owners_never_meet(index: Index) -> None:
    x = vectors(2)
    index.put("anna", [Entry("a" * 32, sha(1), x[0])])
    index.put("bert", [Entry("b" * 32, sha(2), x[1])])
    assert [hit.concept_id for hit in index.query("anna", x[1:], 5)[0]] == ["a" * 32]
    index.erase("anna")
    assert index.views("anna") == set()
    assert index.views("bert") == {("b" * 32, sha(2), False)}


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


def journal(index: Index, where: str) -> int:
    with sqlite3.connect(index._store / "chroma.sqlite3") as database:
        return int(database.execute(f"SELECT count(*) FROM embeddings_queue WHERE {where}").fetchone()[0])


def test_chroma_is_shown_none_of_the_journal_again_and_dropped_vectors_leave_it(tmp_path: Path) -> None:
    x = vectors(30)
    index = Index("e", D, folder=tmp_path)
    for i in range(5):
        index.put("local", [Entry("a" * 32, sha(i), x[3 * i : 3 * i + 3])])
    assert (journal(index, "topic != ''"), journal(index, "vector IS NOT NULL")) == (0, 15)
    index.drop("local", [("a" * 32, sha(4), False)])
    index.put("local", [Entry("a" * 32, sha(0), x[20:21])])
    assert journal(index, "vector IS NOT NULL") == 10
    index.close()
    for _ in range(2):
        index = Index("e", D, folder=tmp_path)
        assert (journal(index, "topic != ''"), journal(index, "vector IS NOT NULL")) == (0, 10)
        assert index.query("local", x[20:21], 1)[0][0].view == sha(0)
        index.close()


def test_what_is_written_after_the_newest_was_erased_is_found(tmp_path: Path) -> None:
    """Chroma numbers what is written from the newest it has, and passes over numbers it has seen."""
    x = vectors(9)
    for session in range(3):
        index = Index("e", D, folder=tmp_path)
        index.drop("local", [(f"{session - 1:032x}", sha(session - 1), False)])
        index.put("local", [Entry(f"{session:032x}", sha(session), x[3 * session : 3 * session + 2])])
        index.put("guest", entries(x))
        index.erase("guest")
        index.put("local", [Entry("f" * 32, sha(90 + session), x[3 * session + 2])])
        index.drop("local", [("f" * 32, sha(90 + session), False)])
        index.put("guest", entries(x[:2]))
        index.erase("guest")
        assert index.views("local") == {(f"{session:032x}", sha(session), False)}
        index.close()
        index = Index("e", D, folder=tmp_path)
        assert index.views("local") == {(f"{session:032x}", sha(session), False)}
        assert index._find("local").count() == 2
        index.close()


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
    for wrong in (np.zeros(D + 1), np.full(D, np.nan), np.zeros((1, 1, D)), np.zeros((0, D))):
        with pytest.raises(ValueError, match="expected"):
            index.put("local", [Entry("0" * 32, sha(1), wrong)])
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
            index.put("local", [Entry(f"{9:032x}", sha(1000 + 10 * k + i), x[100 + 10 * k + i])])
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


def test_a_chroma_server_serves_as_the_index(tmp_path: Path, monkeypatch) -> None:
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
        assert index.views("local") == {(f"{i // 5:032x}", sha(i), False) for i in range(20)}
        stored = {one.view: one.vectors for one in index.vectors("local", [f"{0:032x}"])[f"{0:032x}"]}
        np.testing.assert_allclose(stored[sha(0)], x[:1], atol=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr(index, "_fetch", lambda *_: pytest.fail("the server was asked again"))
            assert len(index.vectors("local", [f"{0:032x}"])[f"{0:032x}"]) == 5
        index.drop("local", [(f"{0:032x}", sha(0), False)])
        assert len(index.vectors("local", [f"{0:032x}"])[f"{0:032x}"]) == 4
        other = Index("e", D, url=f"http://127.0.0.1:{port}", library="another one")
        assert not other.views("local")
        other.put("local", entries(x))
        index.erase("local")
        assert index.query("local", x[:1], 3) == [[]]
        assert len(other.views("local")) == 20
        index.put("local", entries(x))
        server.kill()
        server.wait()
        with pytest.raises(StoreError, match="reindex"):
            index.query("local", x[:1], 3)
        index.close()
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("count", [1, 40])
def test_negatives_crowd_nobody_out_where_views_are_asked_for(tmp_path, count):
    with closing(Index("e", D, folder=tmp_path)) as index:
        x = vectors(count + 1)
        near = [Entry("b" * 32, sha(i), x[:1] + 0.001 * i, negative=True) for i in range(1, count)]
        index.put("local", [*near, Entry("a" * 32, sha(0), x[count:])])
        assert {hit.concept_id for hit in index.query("local", x[:1], 8, negatives=False)[0]} == {"a" * 32}
