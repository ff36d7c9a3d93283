"""The flat index finds exactly what comparing everything with everything finds."""

from __future__ import annotations

import numpy as np
import pytest

from personal.concepts import IndexedView
from personal.remember.confusable_pairs import confusable_pairs
from personal.remember.flat_index import FlatIndex
from tests.vectors import D, sha, vectors


def test_a_flat_index_finds_exactly_what_a_search_of_all_vectors_finds() -> None:
    random = np.random.default_rng(5)
    index, every = FlatIndex(D), {}
    for step in range(6000):
        key = (f"{step % 900:032x}", sha(step % 1700), bool(step % 7 == 0))
        if step % 5 == 4:
            index.drop(key)
            every.pop(key, None)
        else:
            every[key] = vectors(int(random.integers(1, 5)), seed=step)
            index.put(key, every[key] * 2)
    assert index.keys() == set(every)
    flat = np.concatenate(list(every.values()))
    queries = np.concatenate([vectors(70, seed=9), -flat[:30]])
    for limit in (1, 8, 100):
        for query, hits in zip(queries, index.nearest(queries * 3, limit), strict=True):
            exact = -np.sort(-flat @ query)[:limit]
            np.testing.assert_allclose([hit.similarity for hit in hits], exact, atol=1e-5)
            for hit in hits:
                assert np.abs(every[hit.concept_id, hit.view, hit.negative] @ query - hit.similarity).min() < 1e-5
    concept = next(iter(every))[0]
    mine = sorted((key for key in every if key[0] == concept), key=lambda key: key[::-1])
    assert [(one.view, one.negative) for one in index.concept(concept)] == [key[1:] for key in mine]
    for one, key in zip(index.concept(concept), mine, strict=True):
        np.testing.assert_allclose(one.vectors, every[key], atol=1e-6)
    for key in list(every):
        index.drop(key)
    assert (index.keys(), index.nearest(queries[:2], 3), index.concept(concept)) == (set(), [[], []], [])


def test_look_alikes_of_hundreds_agree_with_all_pairs_compared_one_by_one() -> None:
    x = vectors(900, d=6).reshape(450, 2, 6)
    stored = {f"{i:03}": [IndexedView(sha(i), False, x[i]), IndexedView("n", True, x[i - 1])] for i in range(450)}
    best = {(i, j): float((x[i] @ x[j].T).max()) for i in range(450) for j in range(i + 1, 450)}
    slowly = sorted(((s, i, j) for (i, j), s in best.items() if s >= 0.96), reverse=True)
    found = confusable_pairs(stored, 0.96)
    assert len(found) == min(len(slowly), 100) > 50
    assert [s for s, *_ in found] == pytest.approx([s for s, *_ in slowly[:100]], abs=1e-6)
    assert {(one[0], other[0]) for _, one, other in found[:50]} == {(f"{i:03}", f"{j:03}") for _, i, j in slowly[:50]}
