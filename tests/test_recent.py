"""The cache stays below its bound, and what was used longest ago goes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from personal.recent import Recent


def test_what_was_used_longest_ago_goes_first():
    kept: Recent[str, int] = Recent(2)
    kept.put("a", 1), kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("b"), kept.get("a"), kept.get("c")) == (None, 1, 3)
    kept.size = 1
    kept.put("d", 4)
    assert list(kept) == ["d"]


def test_values_are_weighed_and_one_that_is_too_heavy_is_not_kept():
    kept: Recent[tuple[str, int], str] = Recent(10, len)
    for number in range(3):
        kept.put(("local", number), "four")
    assert (kept.weight, kept.get(("local", 0))) == (8, None)
    kept.put(("guest", 0), "eleven signs")
    assert (kept.weight, list(kept)) == (0, [])
    kept.put(("guest", 0), "four"), kept.put(("guest", 0), "one")
    assert kept.weight == 3
    kept.drop([("guest", 0), ("nobody", 1)])
    assert (kept.weight, kept.get(("guest", 0))) == (0, None)


def test_threads_may_use_it_at_once():
    kept: Recent[int, int] = Recent(50)

    def work(start: int) -> None:
        for number in range(1000):
            kept.put((start + number) % 90, number)
            kept.get(number % 90)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert kept.weight == len(list(kept)) == 50
