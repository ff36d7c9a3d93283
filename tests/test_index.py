"""The index finds views by their vectors, heals itself, and keeps nothing a person wrote."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings

from personal.concepts import Entry
from personal.remember import index as module
from personal.remember import vector_store
from personal.remember.local_index import LocalIndex
from tests.vectors import D, entries, sha, vectors


def holders(folder: Path, what: bytes) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and what in p.read_bytes()]


def databases(folder: Path) -> list[Path]:
    return sorted(folder.rglob("chroma.sqlite3"))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LocalIndex]:
    index = LocalIndex("mean-colour", D, tmp_path / "index")
    yield index
    index.close()


def test_a_view_is_found_by_its_vector_best_first_with_cosine_similarity(index: LocalIndex) -> None:
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


def test_two_hundred_queries_at_once_agree_with_an_exact_search_of_a_thousand_views(index: LocalIndex) -> None:
    x, queries = vectors(1000), vectors(200, seed=1)
    index.put("local", entries(x))
    hits = index.query("local", queries, 5)
    exact = np.argsort(-(queries @ x.T), axis=1)[:, :5]
    agreed = [len({h.view for h in row} & {sha(i) for i in best}) for row, best in zip(hits, exact, strict=True)]
    assert sum(agreed) >= 0.995 * 1000


def test_an_empty_index_finds_nothing_and_makes_nothing(index: LocalIndex, tmp_path: Path) -> None:
    assert index.views("local") == set()
    assert index.query("local", vectors(3), 5) == [[], [], []]
    assert index.query("local", np.zeros((0, D), np.float32), 5) == []
    index.drop("local", [("0" * 32, sha(1), False)])
    index.erase("local")
    assert not databases(tmp_path)


def test_more_neighbours_than_there_are_is_no_error(index: LocalIndex) -> None:
    index.put("local", entries(vectors(3)))
    assert [len(row) for row in index.query("local", vectors(2), 50)] == [3, 3]


def test_putting_a_view_again_replaces_its_vector_also_within_one_call(index: LocalIndex) -> None:
    a, b, c = vectors(3)
    index.put("local", [Entry("0" * 32, sha(1), a), Entry("0" * 32, sha(1), b)])
    index.put("local", [Entry("0" * 32, sha(1), c)])
    assert index.views("local") == {("0" * 32, sha(1), False)}
    assert index.query("local", c[None], 1)[0][0].similarity == pytest.approx(1, abs=1e-5)


def test_a_view_has_as_many_vectors_as_were_put_last_and_is_found_by_each(index: LocalIndex) -> None:
    x = vectors(8)
    index.put("local", [Entry("a" * 32, sha(1), x[:5]), Entry("a" * 32, sha(2), x[5:7])])
    assert {index.query("local", x[i : i + 1], 1)[0][0].view for i in range(5)} == {sha(1)}
    index.put("local", [Entry("a" * 32, sha(1), x[7:])])
    assert index.views("local") == {("a" * 32, sha(1), False), ("a" * 32, sha(2), False)}
    found = {one.view: one.vectors for one in index.vectors("local", ["a" * 32])["a" * 32]}
    np.testing.assert_allclose(found[sha(1)], x[7:], atol=1e-6)
    np.testing.assert_allclose(found[sha(2)], x[5:7], atol=1e-6)
    assert len(index.query("local", x[:1], 50)[0]) == 3


def test_a_negative_is_told_from_a_view_wherever_it_comes_back(index: LocalIndex) -> None:
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


def test_a_view_that_is_lost_on_disk_does_not_count_and_is_there_again_once_it_is_put(tmp_path: Path) -> None:
    x = vectors(3)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", [Entry("a" * 32, sha(1), x), Entry("a" * 32, sha(2), x[:1])])
    (database,) = databases(tmp_path)
    with closing(chromadb.PersistentClient(database.parent, settings=Settings(anonymized_telemetry=False))) as client:
        client.get_collection("vectors-3").delete(ids=[f"{'a' * 32}.{sha(1)}.+"])
    for there in (False, True):
        with closing(LocalIndex("e", D, tmp_path)) as index:
            assert len(index.views("local")) == 1 + there
            assert {one.view for one in index.vectors("local", ["a" * 32])["a" * 32]} >= {sha(2)}
            index.put("local", [Entry("a" * 32, sha(1), x)])
            assert len(index.views("local")) == 2
            assert len(index.query("local", x[:1], 50)[0]) == 4


def test_views_of_many_vectors_go_in_and_out_whole(index: LocalIndex) -> None:
    x = vectors(1400)
    index.put("local", [Entry(f"{i:032x}", sha(i), x[7 * i : 7 * i + 7]) for i in range(200)])
    assert len(index.views("local")) == 200
    stored = index.vectors("local", [f"{i:032x}" for i in range(200)])
    for i in range(200):
        np.testing.assert_allclose(stored[f"{i:032x}"][0].vectors, x[7 * i : 7 * i + 7], atol=1e-6)
    index.drop("local", index.views("local"))
    assert index.count("local") == 0


def test_vectors_are_held_in_memory_and_never_older_than_the_index(index: LocalIndex) -> None:
    x = vectors(6)
    a, b = "a" * 32, "b" * 32
    index.put("local", [Entry(a, sha(1), x[:2]), Entry(b, sha(2), x[2:3] * 3)])
    first = index.vectors("local", [a, b, "c" * 32])
    assert first["c" * 32] == []
    np.testing.assert_allclose(first[b][0].vectors, x[2:3], atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        first[a][0].vectors[0] = 0
    first[a].clear()
    index.put("local", [Entry(a, sha(1), x[4:5]), Entry(a, sha(3), x[5:6])])
    assert [len(one.vectors) for one in index.vectors("local", [a])[a]] == [1, 1]
    index.drop("local", [(a, sha(3), False)])
    assert [one.view for one in index.vectors("local", [a, b])[a]] == [sha(1)]
    index.erase("local")
    assert index.vectors("local", [a, b]) == {a: [], b: []}
    assert index.vectors("other", [a]) == {a: []}


def test_look_alikes_are_the_pairs_of_concepts_with_the_nearest_views(index: LocalIndex, monkeypatch) -> None:
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


def test_dropped_views_are_found_no_more(index: LocalIndex) -> None:
    x = vectors(10)
    index.put("local", entries(x))
    index.drop("local", [(f"{0:032x}", sha(i), False) for i in range(5)])
    assert index.views("local") == {(f"{1:032x}", sha(i), False) for i in range(5, 10)}
    assert {hit.concept_id for hit in index.query("local", x[:1], 10)[0]} == {f"{1:032x}"}


def test_owners_never_meet(index: LocalIndex) -> None:
    x = vectors(2)
    index.put("anna", [Entry("a" * 32, sha(1), x[0])])
    index.put("bert", [Entry("b" * 32, sha(2), x[1])])
    assert [hit.concept_id for hit in index.query("anna", x[1:], 5)[0]] == ["a" * 32]
    index.erase("anna")
    assert index.views("anna") == set()
    assert index.views("bert") == {("b" * 32, sha(2), False)}


def test_a_restart_remembers(tmp_path: Path) -> None:
    x = vectors(1200)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", entries(x))
        index.put("local", [Entry("f" * 32, sha(9000), x[:3]), Entry("f" * 32, sha(9001), x[3], negative=True)])
        index.put("local", [Entry("f" * 32, sha(9000), x[:2])])
        index.drop("local", [(f"{0:032x}", sha(0), False)])
    for _ in range(2):
        with closing(LocalIndex("e", D, tmp_path)) as index:
            assert len(index.views("local")) == 1201
            assert index.count("local") == 1202
            assert index.query("local", x[700:701], 1)[0][0].view == sha(700)
            assert [len(one.vectors) for one in index.vectors("local", ["f" * 32])["f" * 32]] == [2, 1]


def test_another_encoder_gets_its_own_index_and_the_old_one_can_be_dropped(tmp_path: Path) -> None:
    old = LocalIndex("first", D, tmp_path)
    old.put("local", entries(vectors(5)))
    old.put("other", entries(vectors(5)))
    old.close()
    new = LocalIndex("second", 64, tmp_path)
    assert new.views("local") == set()
    new.put("local", entries(vectors(4, d=64)))
    new.drop_stale("local")
    assert len(new.views("local")) == 4
    new.close()
    again = LocalIndex("first", D, tmp_path)
    assert again.views("local") == set()
    assert len(again.views("other")) == 5
    again.close()


def test_vectors_of_the_wrong_shape_or_not_finite_are_refused(index: LocalIndex) -> None:
    for wrong in (np.zeros(D + 1), np.full(D, np.nan), np.zeros((1, 1, D)), np.zeros((0, D))):
        with pytest.raises(ValueError, match="expected"):
            index.put("local", [Entry("0" * 32, sha(1), wrong)])
    assert index.views("local") == set()


def test_erasing_an_owner_leaves_none_of_its_bytes(tmp_path: Path) -> None:
    x = vectors(1500)
    index = LocalIndex("e", D, tmp_path)
    index.put("someone", entries(x))
    index.put("other", entries(vectors(20, seed=9)))
    traces = [x[3].tobytes(), x[1400].tobytes(), sha(30).encode(), sha(1400).encode(), x[3].tobytes()[4:20]]
    assert any(holders(tmp_path, trace) for trace in traces)
    assert not holders(tmp_path, b"someone")
    index.erase("someone")
    assert not any(holders(tmp_path, trace) for trace in traces)
    assert len(databases(tmp_path)) == 1
    assert len(index.views("other")) == 20
    assert len(index.query("other", x[:1], 3)[0]) == 3
    index.put("someone", entries(x[:3]))
    assert len(index.views("someone")) == 3
    index.close()


def _garbage(database: Path) -> None:
    database.write_bytes(b"nonsense" * 1000)


def _foreign(database: Path) -> None:
    database.unlink()
    with sqlite3.connect(database) as foreign:
        foreign.execute("CREATE TABLE collections (a)")


def _half(database: Path) -> None:
    data = database.read_bytes()
    database.write_bytes(data[: len(data) // 2])


def _empty(database: Path) -> None:
    database.write_bytes(b"")


def _without_vectors(database: Path) -> None:
    with sqlite3.connect(database) as damaged:
        damaged.execute("UPDATE embeddings_queue SET vector = x'00'")


def _of_an_older_version(database: Path) -> None:
    """Until version 0.1 all owners shared one folder."""
    older = database.parents[2] / "store-0123456789abcdef"
    older.mkdir()
    database.rename(older / database.name)


HARMS = [_garbage, _foreign, _half, _empty, _without_vectors, _of_an_older_version]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_broken_or_foreign_store_is_replaced_by_an_empty_one_that_works(tmp_path: Path, harm) -> None:
    x = vectors(300)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", entries(x))
    harm(*databases(tmp_path))
    for views in (0, 300):
        with closing(LocalIndex("e", D, tmp_path)) as index:
            assert len(index.views("local")) == views
            index.put("local", entries(x))
            assert index.query("local", x[5:6], 1)[0][0].view == sha(5)
        assert len(databases(tmp_path)) == 1


@pytest.mark.parametrize("harm", ["torn", "garbage", "gone"])
def test_the_files_of_the_graph_are_not_needed(tmp_path: Path, harm: str) -> None:
    """1,500 records, beyond the thousand at which Chroma writes its graph by default; torn, it would crash us."""
    x = vectors(1500)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", entries(x))
    for path in databases(tmp_path)[0].parent.glob("*/*"):
        path.unlink()
        if harm != "gone":
            path.write_bytes(b"z" * (10 if harm == "torn" else 5000))
    with closing(LocalIndex("e", D, tmp_path)) as index:
        assert len(index.views("local")) == 1500
        assert index.query("local", x[5:6], 1)[0][0].view == sha(5)


def test_what_is_damaged_or_deleted_under_the_app_is_rewritten_at_the_next_change(tmp_path: Path) -> None:
    x = vectors(20)
    for harm in (_garbage, _half, Path.unlink, lambda _: shutil.rmtree(tmp_path)):
        with closing(LocalIndex("e", D, tmp_path)) as index:
            index.put("local", entries(x[:10]))
            harm(*databases(tmp_path))
            assert len(index.query("local", x[:1], 50)[0]) == 10
            index.put("local", entries(x))
        with closing(LocalIndex("e", D, tmp_path)) as index:
            assert index.views("local") == {(f"{i // 5:032x}", sha(i), False) for i in range(20)}
            index.erase("local")


def test_what_is_deleted_under_the_app_is_there_again_when_it_ends(tmp_path: Path) -> None:
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", entries(vectors(10)))
        shutil.rmtree(tmp_path)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        assert len(index.views("local")) == 10


def test_dropped_views_leave_the_disk_at_once(tmp_path: Path) -> None:
    x = vectors(40)
    traces = [x[3].tobytes(), x[3].tobytes()[4:20], sha(3).encode()]
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", entries(x))
        assert all(holders(tmp_path, trace) for trace in traces)
        index.drop("local", [(f"{0:032x}", sha(3), False)])
        assert not any(holders(tmp_path, trace) for trace in traces)
    for _ in range(2):
        with closing(LocalIndex("e", D, tmp_path)) as index:
            assert len(index.views("local")) == 39
            assert not any(holders(tmp_path, trace) for trace in traces)
            assert holders(tmp_path, sha(4).encode())


def test_a_rewrite_that_was_cut_off_leaves_what_was_there(tmp_path: Path) -> None:
    x = vectors(10)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        index.put("local", entries(x))
    (database,) = databases(tmp_path)
    cut = database.parent.with_name(database.parent.name + "0")
    shutil.copytree(database.parent, cut)
    (cut / "incomplete").touch()
    with closing(LocalIndex("e", D, tmp_path)) as index:
        assert len(index.views("local")) == 10
    assert databases(tmp_path) == [database]


def test_a_large_index_changes_one_shard_at_a_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(vector_store, "SHARD_VECTORS", 20)
    x = vectors(70)
    with closing(LocalIndex("e", D, tmp_path)) as index:
        for i in range(0, 70, 10):
            index.put("local", entries(x)[i : i + 10])
        before = databases(tmp_path)
        assert len(before) == 4
        index.drop("local", [(f"{5:032x}", sha(i), False) for i in range(25, 30)])
        assert len(set(before) & set(databases(tmp_path))) == 3
        index.put("local", [Entry("e" * 32, sha(100), x[25:30])])
        assert len(databases(tmp_path)) == 4
    with closing(LocalIndex("e", D, tmp_path)) as index:
        assert len(index.views("local")) == 66
        assert index.query("local", x[27:28], 1)[0][0].view == sha(100)
        index.drop("local", index.views("local"))
    assert not databases(tmp_path)


def test_no_file_but_the_database_is_left(tmp_path: Path) -> None:
    """Chroma makes files for its graph out of memory that it does not clear: what was freed before can be in it."""
    with closing(LocalIndex("e", D, tmp_path)) as index:
        for seed in range(3):
            index.put("local", entries(vectors(1200, seed=seed)))
            assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"chroma.sqlite3"}
    with closing(LocalIndex("e", D, tmp_path)) as index:
        assert len(index.views("local")) == 1200
        assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"chroma.sqlite3"}


def test_an_owner_in_memory_is_found_and_leaves_nothing_on_disk(tmp_path: Path) -> None:
    x = vectors(10)
    with closing(LocalIndex("e", D, tmp_path, in_memory=lambda owner: owner != "local")) as index:
        index.put("local", entries(x[:5]))
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        index.put("guest", entries(x))
        index.drop("guest", [(f"{0:032x}", sha(3), False)])
        assert index.query("guest", x[7:8], 1)[0][0].view == sha(7)
        assert len(index.views("guest")) == 9
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        index.erase("guest")
        assert (index.views("guest"), len(index.views("local"))) == (set(), 5)


def test_reset_starts_anew_within_the_same_process(index: LocalIndex) -> None:
    x = vectors(5)
    index.put("local", entries(x))
    index.reset()
    assert index.views("local") == set()
    index.put("local", entries(x))
    assert index.query("local", x[2:3], 1)[0][0].view == sha(2)


def test_threads_may_read_and_write_at_once(index: LocalIndex) -> None:
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


@pytest.mark.parametrize("count", [1, 40])
def test_negatives_crowd_nobody_out_where_views_are_asked_for(tmp_path, count):
    with closing(LocalIndex("e", D, tmp_path)) as index:
        x = vectors(count + 1)
        near = [Entry("b" * 32, sha(i), x[:1] + 0.001 * i, negative=True) for i in range(1, count)]
        index.put("local", [*near, Entry("a" * 32, sha(0), x[count:])])
        assert {hit.concept_id for hit in index.query("local", x[:1], 8, negatives=False)[0]} == {"a" * 32}
