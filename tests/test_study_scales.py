"""Scores by hand, balanced squares, and what participants may answer."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from personal.study.items import Questionnaire
from personal.study.order import least_used, shuffled, williams
from personal.study.responses import ResponseError, check
from personal.study.scales import SCALES, failed_attention, items_of, scores

ITEM = {"text": "?"}


def scale(name: str, values) -> dict:
    questionnaire = Questionnaire(id="q", scale=name)
    answers = dict(zip((item.id for item in items_of(questionnaire)), values, strict=True))
    return scores(questionnaire, answers)


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ([5, 1] * 5, 100.0),  # 5 × 4 + 5 × 4 = 40, × 2.5
        ([1, 5] * 5, 0.0),
        ([3] * 10, 50.0),  # 10 × 2 = 20
        ([4, 2, 4, 1, 4, 2, 5, 1, 4, 2], 82.5),  # 3+3+3+4+3+3+4+4+3+3 = 33
        ([5] * 10, 50.0),  # 5 × 4 + 5 × 0 = 20
        ([2, 4, 1, 5, 3, 3, 2, 2, 4, 1], 42.5),  # 1+1+0+0+2+2+1+3+3+4 = 17
    ],
)
def test_sus_is_what_brooke_computes(values, score):
    assert scale("sus", values) == {"score": score}


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ([1] * 6, 0.0),
        ([21] * 6, 100.0),
        ([11] * 6, 50.0),
        ([15, 3, 9, 5, 13, 7], 38.333333),  # (70 + 10 + 40 + 20 + 60 + 30) / 6 = 230 / 6
    ],
)
def test_raw_tlx_is_the_mean_of_six_scales_from_0_to_100(values, score):
    assert scale("tlx", values)["score"] == pytest.approx(score)


def test_ueqs_has_two_qualities_from_minus_3_to_3():
    # 5, 6, 7, 4 → 1, 2, 3, 0: mean 1.5; 3, 4, 2, 5 → -1, 0, -2, 1: mean -0.5
    assert scale("ueqs", [5, 6, 7, 4, 3, 4, 2, 5]) == {"pragmatic": 1.5, "hedonic": -0.5, "overall": 0.5}
    assert scale("ueqs", [1] * 8) == {"pragmatic": -3, "hedonic": -3, "overall": -3}


def test_trust_is_the_mean_of_its_items():
    assert scale("trust", [7, 6, 2]) == {"score": 5}


def test_a_scale_with_a_missing_answer_has_no_score():
    questionnaire = Questionnaire(id="q", scale="sus")
    assert scores(questionnaire, {f"sus{number}": 3 for number in range(1, 10)}) == {}


def test_published_scales_have_as_many_items_as_were_published_and_name_their_source():
    assert {name: len(one.items) for name, one in SCALES.items()} == {
        "sus": 10,
        "tlx": 6,
        "ueqs": 8,
        "trust": 3,
        "preference": 1,
    }
    assert all(one.source for one in SCALES.values())


@pytest.mark.parametrize("count", range(1, 9))
def test_each_condition_follows_each_other_equally_often(count):
    rows = williams(count)
    assert len(rows) == (count if count % 2 == 0 or count == 1 else 2 * count)
    for column in zip(*rows, strict=True):  # a Latin square: each condition equally often at each place
        assert set(Counter(column).values()) == {len(rows) // count}
    pairs = Counter(pair for row in rows for pair in pairwise(row))
    assert len(pairs) == count * (count - 1)
    assert len(set(pairs.values())) <= 1


def test_the_row_that_fewest_have_is_given_next():
    taken: list[int] = []
    for _ in range(18):
        taken.append(least_used(6, taken, seed=3))
    assert set(Counter(taken).values()) == {3}
    assert least_used(6, [0, 1, 2, 4, 5], seed=3) == 3


def test_random_orders_are_the_same_for_the_same_seed_and_differ_otherwise():
    orders = {shuffled("abcd", str(seed)) for seed in range(50)}
    assert len(orders) > 10
    assert shuffled("abcd", "7") == shuffled("abcd", "7")


def asked(*items, **more) -> Questionnaire:
    return Questionnaire(id="q", items=[{"id": f"i{n}", **ITEM, **item} for n, item in enumerate(items)], **more)


LIKERT = {"kind": "likert", "points": 7}


@pytest.mark.parametrize("given", [0, 8, -1, "x", 3.5, True, [3, 4], {"a": 1}, "９", "1e1", "99999999999"])
def test_an_answer_out_of_range_is_refused_in_words(given):
    with pytest.raises(ResponseError) as refused:
        check(asked(LIKERT), {"i0": given}, ())
    assert refused.value.items == {"i0": "Please choose from 1 to 7."}


def test_all_that_is_missing_is_told_at_once_and_a_form_s_text_is_a_number():
    with pytest.raises(ResponseError) as refused:
        check(asked(LIKERT, LIKERT, {"kind": "text"}), {"i1": " 5 "}, ())
    assert set(refused.value.items) == {"i0", "i2"}
    assert check(asked(LIKERT, {"kind": "text", "required": False}), {"i0": "5"}, ()) == {"i0": 5}


def test_choices_are_options_and_several_keep_the_order_of_the_options():
    one = {"kind": "choice", "options": ["a", "b", "c"]}
    assert check(asked(one, {**one, "multiple": True}), {"i0": "b", "i1": ["c", "a"]}, ()) == {
        "i0": "b",
        "i1": ["a", "c"],
    }
    with pytest.raises(ResponseError):
        check(asked(one), {"i0": "d"}, ())


def test_a_preference_is_kept_as_the_condition_of_that_part():
    questionnaire = Questionnaire(id="q", scale="preference")
    assert check(questionnaire, {"preferred": 2}, ("y", "x")) == {"preferred": "x"}
    with pytest.raises(ResponseError):
        check(questionnaire, {"preferred": 3}, ("y", "x"))


def test_a_failed_attention_check_is_found():
    questionnaire = asked({"kind": "attention", "points": 7, "expect": 2}, LIKERT)
    assert failed_attention(questionnaire, {"i0": 3, "i1": 3}) == ["i0"]
    assert failed_attention(questionnaire, {"i0": 2, "i1": 3}) == []
