"""How regions are compared with what is remembered."""

import numpy as np
import pytest

from personal.concepts import WHOLE, IndexedView
from personal.retrieve.compare import ScoredPhoto
from personal.retrieve.config import CONFIG
from personal.retrieve.features import PhotoFeatures
from personal.retrieve.regions import Regions
from personal.retrieve.score import build_gallery, score


def stored(view, *vectors, negative=False):
    return IndexedView(view, negative, np.array([unit(v) for v in vectors], np.float32))


def unit(vector):
    return np.asarray(vector, float) / np.linalg.norm(vector)


def regions(*vectors):
    return Regions((WHOLE,) * len(vectors), np.array([unit(v) for v in vectors], np.float32))


def concept(random, tells, sign, views=4):
    """Draw views that differ much among themselves in one direction, and tell who they are in another."""
    return [stored(f"{sign} {i}", [3, random.normal(0, 0.8), tells * sign]) for i in range(views)]


def test_rivals_are_told_apart_by_what_differs_between_them_and_not_by_chance_likeness():
    random = np.random.default_rng(5)
    one, other = concept(random, 0.35, 1), concept(random, 0.35, -1)
    known = build_gallery([one, other])
    nearest = wrong = 0
    for sign, right in ((1, 0), (-1, 1)):
        looks = regions(*([3, random.normal(0, 0.8), 0.35 * sign] for _ in range(200)))
        cosine = np.stack(
            [(looks.vectors @ np.concatenate([v.vectors for v in c]).T).max(axis=1) for c in (one, other)]
        )
        nearest += int((cosine.argmax(axis=0) != right).sum())
        wrong += int((score(looks, known).similarity.argmax(axis=1) != right).sum())
    assert nearest > 20
    assert wrong <= nearest / 4


def test_a_rival_that_is_not_preferred_stays_just_below_and_who_is_no_rival_as_it_was():
    random = np.random.default_rng(5)
    one, other = concept(random, 0.35, 1), concept(random, 0.35, -1)
    stranger = [stored("s", [0, 0, 1])]
    view = other[0].vectors[0]
    look = regions([view[0], view[1], 0.05])
    found = score(look, build_gallery([one, other, stranger]))
    alone = [score(look, build_gallery([c])).similarity[0, 0] for c in (one, other, stranger)]
    assert alone[0] < alone[1] < alone[0] + CONFIG.confuser
    assert found.similarity[0, 0] == pytest.approx(alone[0])
    assert found.similarity[0, 1] == pytest.approx(alone[0] - CONFIG.below)
    assert found.similarity[0, 2] == pytest.approx(alone[2])


def test_a_view_itself_has_no_rivals():
    random = np.random.default_rng(8)
    one, other = concept(random, 0.05, 1), concept(random, 0.05, -1)
    for mine, concepts in ((0, one), (1, other)):
        found = score(regions(*(view.vectors[0] for view in concepts)), build_gallery([one, other]))
        assert found.similarity[:, mine] == pytest.approx(1, abs=1e-5)
        assert (found.similarity.argmax(axis=1) == mine).all()


def test_the_preferred_rival_gains_nothing():
    random = np.random.default_rng(6)
    one, other = concept(random, 0.35, 1), concept(random, 0.35, -1)
    looks = regions(*([3, random.normal(0, 0.8), random.normal(0, 0.3)] for _ in range(100)))
    both = score(looks, build_gallery([one, other])).similarity
    alone = np.concatenate([score(looks, build_gallery([c])).similarity for c in (one, other)], axis=1)
    assert (both <= alone + 1e-6).all()


def test_one_concept_alone_is_compared_by_its_best_view():
    mine = [stored("a", [1, 0, 0]), stored("b", [0, 1, 0])]
    found = score(regions([0.1, 1, 0]), build_gallery([mine]))
    assert found.similarity[0, 0] == pytest.approx(float(unit([0.1, 1, 0])[1]))
    assert found.view(0, 0) == "b"


def test_a_region_that_is_turned_down_is_not_handed_to_who_is_less_like_it():
    mine = [stored("a", [1, 0, 0]), stored("not", [1, 0.3, 0], negative=True)]
    other = [stored("c", [1, -0.5, 0.5])]
    found = score(regions([1, 0.32, 0], [1, -0.1, 0], [1, -0.5, 0.4]), build_gallery([mine, other]))
    assert found.rejected.tolist() == [True, False, False]
    assert found.similarity[0, 0] == -np.inf < found.similarity[0, 1]
    assert found.similarity[1:].argmax(axis=1).tolist() == [0, 1]


def test_no_name_is_assigned_to_a_rejected_region():
    mine = [stored("a", [1, 0, 0]), stored("not", [1, 0.3, 0], negative=True)]
    gallery = build_gallery([mine, [stored("c", [1, -0.5, 0.5])]])
    rejected, other = regions([1, 0.32, 0]), regions([1, -0.5, 0.4])
    found = [ScoredPhoto(PhotoFeatures(r, None), (), gallery, score(r, gallery), 0.0) for r in (rejected, other)]
    assert [photo.assign(0.5, CONFIG) for photo in found] == [[], [(0, 1)]]


def test_what_a_concept_was_mistaken_for_is_preferred_where_it_is_likelier_though_not_nearer():
    random = np.random.default_rng(7)
    mine, mistakes = concept(random, 0.35, 1, 6), concept(random, 0.35, -1, 6)
    others = [stored(one.view, *one.vectors, negative=True) for one in mistakes]
    looks = regions(*([3, random.normal(0, 0.8), -0.35] for _ in range(200)))
    views, not_views = (np.concatenate([one.vectors for one in some]) for some in (mine, others))
    near = (looks.vectors @ not_views.T).max(axis=1) > (looks.vectors @ views.T).max(axis=1)
    found = score(looks, build_gallery([[*mine, *others]]))
    assert (~found.rejected).sum() < (~near).sum() / 2
    assert found.rejected[near].all()


@pytest.mark.parametrize("known", [[], [[]], [[], []]])
def test_where_nothing_is_known_nothing_is_alike(known):
    found = score(regions([1, 0, 0]), build_gallery(known))
    assert found.similarity.shape == (1, len(known))
    assert (found.similarity == -np.inf).all()
    assert not found.rejected.any()


def test_a_concept_of_which_nothing_is_known_rivals_nobody():
    found = score(
        regions([1, 0.1, 0], [0, 0, 1]), build_gallery([[stored("a", [1, 0, 0])], [], [stored("b", [1, 0.2, 0])]])
    )
    assert (found.similarity[:, 1] == -np.inf).all()
    assert np.isfinite(found.similarity[:, [0, 2]]).all()


def test_where_only_negatives_are_known_nothing_is_claimed_and_nothing_breaks():
    found = score(
        regions([1, 0, 0]), build_gallery([[stored("n", [1, 0, 0], negative=True)], [stored("b", [1, 0.2, 0])]])
    )
    assert found.similarity[0, 0] == -np.inf < found.similarity[0, 1]
    assert not found.rejected.any()
