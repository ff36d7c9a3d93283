"""Which concepts a photo or a question concerns, with an encoder that sees mean colours."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from personal.concepts import WHOLE, Concept, Entry, View
from personal.images import read_photo
from personal.remember.local_index import LocalIndex
from personal.retrieve.assign import assign_greedily
from personal.retrieve.calibrate import Calibration, platt
from personal.retrieve.config import CONFIG
from personal.retrieve.names import bracketed, find_names
from personal.retrieve.refine import expand_boxes
from personal.retrieve.regions import areas, intersection_area
from personal.retrieve.retriever import Retriever
from tests.conftest import RED, picture

COLOURS = {"red": (230, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230), "yellow": (230, 220, 20)}


class MeanColour:
    """Sees a photo as cells of mean colour, or, without a map, as one mean colour. Counts its work."""

    threshold = 0.9
    dimension = 3
    calibration = None

    def __init__(self, maps=True):
        self.maps = maps
        self.passes = 0

    def embed(self, images):
        self.passes += 1
        means = (
            np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images]) if images else np.zeros((0, 3))
        )
        return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)).astype(np.float32)

    def embed_reference(self, image):
        return self.embed([image])

    def dense(self, image, *, fine=False):
        self.passes += 1
        if not self.maps:
            return None
        columns, rows = (round(8 * side / min(image.size)) for side in image.size)
        return np.asarray(image.resize((columns, rows), Image.Resampling.BOX), np.float32)

    def project(self, pooled):
        return pooled

    def cohort_score(self, vectors):
        return np.zeros(len(vectors), np.float32)

    def regress_boxes(self, dense, boxes):
        return boxes


def painted(*columns, size=(400, 400)):
    """A photo of vertical stripes, `size` pixels each."""
    image = Image.new("RGB", (size[0] * len(columns), size[1]))
    for i, colour in enumerate(columns):
        image.paste(COLOURS.get(colour, colour), (size[0] * i, 0, size[0] * (i + 1), size[1]))
    data = BytesIO()
    image.save(data, "PNG")
    return read_photo(data.getvalue())


def concept(name, *photos):
    views = tuple(View(photo.sha256, photo.width, photo.height) for photo in photos)
    return Concept(f"id-{name}", name, "", "", views, views[0].sha256, "", "")


@pytest.fixture(params=[True, False], ids=["map", "crops"])
def encoder(request):
    return MeanColour(request.param)


@pytest.fixture
def home(encoder, tmp_path):
    """A retriever over a real index that knows red, green and blue things."""
    index = LocalIndex("mean-colour", 3, tmp_path / "index")
    retriever = Retriever(encoder, index)
    concepts = []
    for name in ("red", "green", "blue"):
        photo = painted(name)
        concepts.append(concept(name, photo))
        index.put("me", [Entry(f"id-{name}", photo.sha256, retriever.embed([photo])[0])])
    yield retriever, concepts
    index.close()


def configured(home, **changes):
    retriever, concepts = home
    return Retriever(retriever.encoder, retriever.index, config=replace(CONFIG, **changes)), concepts


def look(home, photo, threshold=0.95, top_k=4, **more):
    retriever, concepts = home
    return retriever.look("me", photo, concepts, threshold=threshold, top_k=top_k, **more)


def test_a_single_subject_is_found_in_the_whole_photo_with_all_its_evidence(home):
    photo = painted("red")
    (match,) = look(home, photo)
    assert (match.concept.name, match.reason, match.photo) == ("red", "seen", photo.sha256)
    assert match.similarity == pytest.approx(1, abs=1e-3)
    assert match.view == painted("red").sha256
    assert match.box is not None


def test_two_subjects_side_by_side_are_both_found_each_in_its_half(home):
    matches = look(home, painted("red", "blue"))
    centres = {match.concept.name: (match.box[0] + match.box[2]) / 2 for match in matches}
    assert centres.keys() == {"red", "blue"}
    assert centres["red"] < 0.5 < centres["blue"]


def test_matches_are_best_first_one_for_each_concept_and_at_most_top_k(home):
    photo = painted("red", "blue", "green")
    matches = look(home, photo)
    assert sorted(match.concept.name for match in matches) == ["blue", "green", "red"]
    assert [m.similarity for m in matches] == sorted((m.similarity for m in matches), reverse=True)
    assert look(home, photo, top_k=2) == matches[:2]
    assert look(home, photo, top_k=0) == []


def test_below_the_threshold_nothing_is_claimed_but_ranking_goes_on(home):
    retriever, concepts = home
    grey = painted((128, 128, 128))
    assert look(home, grey, threshold=0.9) == []
    assert len(retriever.rank("me", grey, concepts)) == 3


def test_a_rejected_concept_is_not_claimed_and_leaves_the_others_alone(home):
    photo = painted("red", "blue")
    assert [m.concept.name for m in look(home, photo, rejected={"id-red"})] == ["blue"]
    assert look(home, photo, rejected={"id-red", "id-blue", "id-green"}) == []


def test_a_look_alike_gets_no_name_from_the_region_of_the_better_match(home, tmp_path):
    retriever, concepts = home
    crimson = painted((225, 40, 40))
    retriever.index.put("me", [Entry("id-crimson", crimson.sha256, retriever.embed([crimson])[0])])
    both = [*concepts, concept("crimson", crimson)]
    assert [m.concept.name for m in retriever.look("me", painted("red"), both, threshold=0.9, top_k=4)] == ["red"]


def test_regions_are_shared_out_best_first_and_speak_for_one_concept_only():
    similarity = np.array([[0.7, 0.2], [0.9, 0.85], [0.6, 0.8]], np.float32)
    apart = np.eye(3, dtype=bool)
    assert assign_greedily(similarity, apart, 0.5) == [(1, 0), (2, 1)]
    assert assign_greedily(similarity, apart, 0.85) == [(1, 0)]
    assert assign_greedily(similarity, apart, 0.95) == []
    overlapping = apart.copy()
    overlapping[1, 2] = True
    assert assign_greedily(similarity, overlapping, 0.5) == [(1, 0)]
    assert assign_greedily(np.full((2, 2), -np.inf, np.float32), apart[:2, :2], -1) == []


def test_the_whole_photo_is_no_box_where_its_parts_tell_two_concepts_apart(home):
    retriever, concepts = home
    both = painted("red", "blue")
    retriever.index.put("me", [Entry("id-green", both.sha256, retriever.embed([both])[0])])
    assert retriever.rank("me", both, concepts)[0].similarity == pytest.approx(1, abs=1e-3)
    boxes = {match.concept.name: match.box for match in look(home, both)}
    assert boxes.keys() >= {"red", "blue"}
    assert WHOLE not in boxes.values()


def test_a_claim_is_drawn_as_wide_as_it_stays_alike_and_alone():
    boxes = [WHOLE, (0, 0, 0.2, 0.2), (0, 0, 0.4, 0.4), (0, 0, 0.6, 0.6), (0, 0, 0.9, 0.9), (0.7, 0.7, 0.9, 0.9)]
    alike = np.array([[0.9, 0.9, 0.88, 0.89, 0.89, 0.5], [0.5, 0.5, 0.5, 0.5, 0.5, 0.9]], np.float32).T
    assert expand_boxes(alike, boxes, [(1, 0)], CONFIG) == [4], "of all but the whole photo the largest"
    assert expand_boxes(alike, boxes, [(1, 0), (5, 1)], CONFIG) == [3, 5], "not so wide that it holds the other"
    less, others = alike.copy(), alike.copy()
    less[3:5, 0] = 0.8
    assert expand_boxes(less, boxes, [(1, 0)], CONFIG) == [2], "not where it is less like the concept"
    others[3:5, 1] = 0.95
    assert expand_boxes(others, boxes, [(1, 0)], CONFIG) == [2], "not where it is more like another"
    assert expand_boxes(alike, boxes, [(0, 0)], CONFIG) == [0]


def test_ranking_begins_with_what_looking_claims_first(home):
    retriever, concepts = home
    photo = painted("green", (120, 120, 230))
    ranked, claimed = retriever.rank("me", photo, concepts)[0], look(home, photo)[0]
    assert ranked == replace(claimed, box=ranked.box)
    assert intersection_area([ranked.box], [claimed.box]) >= 0.9 * areas([ranked.box])


def test_ranking_a_box_compares_that_part_alone(home):
    retriever, concepts = home
    photo = painted("red", "blue")
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    assert [retriever.rank("me", photo, concepts, box)[0].concept.name for box in (left, right)] == ["red", "blue"]
    assert retriever.rank("me", photo, concepts, right)[0].box == right
    assert retriever.rank("me", photo, concepts, WHOLE)[0].box == WHOLE


def test_owners_without_concepts_get_nothing_and_others_views_never_match(home):
    retriever, concepts = home
    assert retriever.look("me", painted("red"), [], threshold=-1, top_k=4) == []
    assert retriever.rank("me", painted("red"), []) == []
    assert retriever.look("you", painted("red"), concepts, threshold=-1, top_k=4) == []
    assert retriever.rank("you", painted("red"), concepts) == []


def test_one_photo_is_encoded_once_until_the_cache_is_cleared(home, encoder):
    photo = painted("yellow", "blue")
    look(home, photo, threshold=0.2)
    after = encoder.passes
    look(home, photo, threshold=0.3)
    home[0].rank("me", photo, home[1])
    assert encoder.passes <= after + encoder.maps  # the second look, where it was not in doubt before
    home[0].clear("me")
    look(home, photo)
    assert encoder.passes > after


def test_embedding_keeps_order_takes_repeats_and_survives_a_small_cache(encoder):
    retriever = Retriever(encoder, None, config=replace(CONFIG, cached_photos=1))
    red, blue = painted("red"), painted("blue")
    first, second, third = retriever.embed([red, blue, red])
    np.testing.assert_allclose(first, third, atol=1e-6)
    assert not np.allclose(first, second)
    assert first.shape[1] == 3
    assert retriever.embed([]) == []


@pytest.mark.parametrize(
    ("question", "names", "expected"),
    [
        ("What is <bo> doing?", ["bo"], ["bo"]),
        ("What is <BO> doing?", ["bo"], ["bo"]),
        ("what is bo doing", ["Bo"], ["Bo"]),
        ("Is this Bo's ball?", ["bo"], ["bo"]),
        ("Is this Bo’s ball?", ["bo"], ["bo"]),
        ("Where is the boat, Bob?", ["bo"], []),
        ("bo_2 and 3bo", ["bo"], []),
        ("Is bo-dog there?", ["bo"], ["bo"]),
        ("Is Bo Junior here?", ["bo", "bo junior"], ["bo junior"]),
        ("Is Bo Junior with Bo?", ["bo", "bo junior"], ["bo junior", "bo"]),
        ("mochi, then bo, then mochi", ["bo", "mochi"], ["mochi", "bo"]),
        ("Can you see my can?", ["can"], []),
        ("Can you see <can>?", ["can"], ["can"]),
        ("What time is on the clock?", ["clock"], []),
        ("a rose for rose", ["Rose"], []),
        ("Is Rose here?", ["Rose"], ["Rose"]),
        ("Is Rose here?", ["rose"], []),
        ("Is ROSE here?", ["Rose"], []),
        ("Will will do?", ["will"], []),
        ("are there 2 dogs, A or b?", ["2", "b"], []),
        ("小白在做什么？", ["小白"], ["小白"]),
        ("モチは何をしていますか", ["モチ"], ["モチ"]),
        ("보리는 어디 있어?", ["보리"], ["보리"]),
        ("Boは何をしてる", ["Bo"], ["Bo"]),
        ("Что делает Бобик?", ["бобик"], ["бобик"]),
        ("Где бобикова миска?", ["бобик"], []),
        ("ÉLAN et élan", ["Élan"], ["Élan"]),
        ("Cafe\u0301 is asleep", ["Café"], ["Café"]),
        ("Where is 🐶?", ["🐶"], ["🐶"]),
        ("I ❤️ you", ["❤"], ["❤"]),
        ("👧🏽 plays", ["👧"], []),
        ("👨‍👩‍👧 here", ["👨"], []),
        ("What about c++ (dog)?", ["c++"], ["c++"]),
        ("abc is no pattern", ["a.c"], []),
        ("nobody", ["bo"], []),
        ("", ["bo"], []),
    ],
)
def test_names_are_found_in_questions(question, names, expected):
    assert [names[i] for i in find_names(question, names)] == expected


def test_where_nobody_has_a_name_nobody_is_named():
    assert find_names("Who is bo?", []) == []
    assert bracketed("Who is bo?", []) == "Who is bo?"


def test_a_named_concept_carries_no_evidence(home):
    retriever, concepts = home
    (match,) = retriever.named("what is <green> doing?", concepts)
    assert (match.concept.name, match.reason) == ("green", "named")
    assert (match.similarity, match.box, match.view, match.photo) == (None, None, None, None)


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("What is bo doing?", "What is <bo> doing?"),
        ("Is Bo's cup here, and <bo>?", "Is <bo>'s cup here, and <bo>?"),
        ("Can you see my can?", "Can you see my can?"),
        ("Where is the rex cup, beside rex?", "Where is the <rex cup>, beside <rex>?"),
        ("Nobody.", "Nobody."),
    ],
)
def test_names_in_a_question_are_written_in_brackets(question, written):
    names = ["bo", "can", "rex", "rex cup"]
    assert bracketed(question, names) == written
    assert bracketed(written, names) == written


def test_what_a_concept_is_not_is_not_claimed_where_it_is_nearer_than_every_view(home):
    retriever, _ = home
    photo = painted((230, 60, 20))
    assert [m.concept.name for m in look(home, photo)] == ["red"]
    retriever.index.put("me", [Entry("id-red", photo.sha256, retriever.embed([photo])[0], negative=True)])
    assert look(home, photo) == []
    assert [m.concept.name for m in look(home, painted("red"))] == ["red"]


def test_a_name_can_be_said_however_many_concepts_there_are(home):
    home = configured(home, gallery_size=3 / 1e9)
    assert [match.concept.name for match in look(home, painted("red"), threshold=0.95)] == ["red"]


def test_ranking_can_leave_views_out(home):
    retriever, concepts = home
    photo = painted("red")
    assert retriever.rank("me", photo, concepts)[0].concept.name == "red"
    assert "red" not in [m.concept.name for m in retriever.rank("me", photo, concepts, without={photo.sha256})]


def test_an_encoder_that_knows_no_probability_learns_it_from_the_library(encoder, tmp_path):
    index = LocalIndex("mean-colour", 3, tmp_path / "index")
    retriever, concepts = Retriever(encoder, index), []
    for name, (r, g, b) in COLOURS.items():
        photos = [painted((max(0, r - 9 * i), max(0, g - 9 * i), min(255, b + 5 * i))) for i in range(3)]
        concepts.append(concept(name, *photos))
        index.put(
            "me", [Entry(f"id-{name}", p.sha256, v) for p, v in zip(photos, retriever.embed(photos), strict=True)]
        )
    photo = painted("green")
    (before,) = retriever.look("me", photo, concepts, threshold=0.95, top_k=4)
    assert before.probability is None
    retriever.calibrate("me", concepts)
    (after,) = retriever.look("me", photo, concepts, threshold=0.95, top_k=4)
    assert 0.5 < after.probability <= 1
    retriever.calibrate("me", concepts[:1])
    assert retriever.look("me", photo, concepts, threshold=0.95, top_k=4)[0].probability is None
    retriever.clear("me")
    index.close()


class Finer(MeanColour):
    """Sees more cells at a second look, which it counts."""

    def __init__(self):
        super().__init__()
        self.closer = 0

    def dense(self, image, *, fine=False):
        self.closer += fine
        columns, rows = (round((32 if fine else 8) * side / min(image.size)) for side in image.size)
        return np.asarray(image.resize((columns, rows), Image.Resampling.BOX), np.float32)


def test_a_photo_is_looked_at_more_closely_only_where_the_first_look_left_doubts(tmp_path):
    index, encoder = LocalIndex("mean-colour", 3, tmp_path / "index"), Finer()
    retriever, photo = Retriever(encoder, index), painted("red")
    known = [concept("red", photo)]
    index.put("me", [Entry("id-red", photo.sha256, retriever.embed([photo])[0])])
    assert retriever.look("me", painted("red"), known, threshold=0.99, top_k=4)
    assert retriever.look("me", painted("blue"), known, threshold=0.99, top_k=4) == []
    assert encoder.closer == 0
    far = Image.new("RGB", (800, 800), (150, 20, 120))
    far.paste(COLOURS["red"], (90, 90, 240, 240))
    data = BytesIO()
    far.save(data, "PNG")
    (match,) = retriever.look("me", read_photo(data.getvalue()), known, threshold=0.99, top_k=4)
    assert encoder.closer == 1
    assert match.box[2] < 0.4
    index.close()


class Boxes:
    """A detector that has one box to offer, and remembers for which categories."""

    def __init__(self, box):
        self.box, self.asked = box, []

    def propose(self, image, categories):
        self.asked.append(list(categories))
        return [self]

    def clear(self):
        self.asked.clear()


def test_a_detectors_boxes_are_regions_too_and_it_is_asked_for_the_categories(encoder, tmp_path):
    index, detector = LocalIndex("mean-colour", 3, tmp_path / "index"), Boxes((0.02, 0.02, 0.1, 0.1))
    retriever, red = Retriever(encoder, index, detector=detector), painted("red")
    known = [replace(concept("red", red), category="toy")]
    index.put("me", [Entry("id-red", red.sha256, retriever.embed([red])[0])])
    image = Image.new("RGB", (800, 800), COLOURS["blue"])
    image.paste(COLOURS["red"], (0, 0, 100, 100))
    data = BytesIO()
    image.save(data, "PNG")
    (match,) = retriever.look("me", read_photo(data.getvalue()), known, threshold=0.999, top_k=4)
    assert match.box[2] < 0.2
    assert detector.asked == [["toy"]]
    index.close()


def test_a_correction_makes_that_concept_less_probable_at_once_and_no_other(home):
    retriever, concepts = home
    retriever.encoder.calibration = Calibration(20, 10, 0, -19)
    photo = painted((210, 90, 90), "green")

    def probabilities():
        return {match.concept.name: match.probability for match in retriever.rank("me", photo, concepts)}

    before = probabilities()
    cut = painted((90, 110, 170))
    retriever.index.put("me", [Entry("id-red", cut.sha256, retriever.embed([cut])[0], negative=True)])
    after = probabilities()
    assert after["red"] < before["red"] - 0.05
    assert after["green"] == before["green"]


def test_a_match_is_sure_maybe_or_silent_by_its_probability(home):
    retriever, concepts = home
    retriever.encoder.calibration = platt(40, 0.83)
    photo = painted((200, 120, 120))
    ((similarity, probability),) = [(m.similarity, m.probability) for m in retriever.rank("me", photo, concepts[:1])]
    assert probability == pytest.approx(platt(40, 0.83).probability(similarity), abs=1e-6)
    for confidence, certainty in ((probability - 0.01, "sure"), (min(0.99, probability + 0.2), "maybe")):
        found = retriever.look("me", photo, concepts[:1], top_k=4, confidence=confidence)
        assert [match.certainty for match in found] == [certainty]
    assert retriever.look("me", painted("blue"), concepts[:1], top_k=4) == []


def test_what_is_sure_comes_before_what_is_asked_about(home):
    retriever, concepts = home
    retriever.encoder.calibration = Calibration(10, 30, 0, -10.5)  # a look-alike leaves no margin
    retriever.index.put("me", [Entry("id-green", (rose := painted((220, 60, 30))).sha256, retriever.embed([rose])[0])])
    photo = painted("red", (60, 40, 200))
    found = retriever.look("me", photo, concepts, top_k=4)
    certainties = [match.certainty for match in found]
    assert certainties == sorted(certainties, reverse=True), "sure, then maybe"
    assert "maybe" in certainties
    assert retriever.look("me", photo, concepts, top_k=1)[0].certainty == "sure"


def test_with_a_threshold_every_match_from_it_on_is_sure(home):
    retriever, concepts = home
    retriever.encoder.calibration = platt(40, 0.999)
    photo = painted((200, 120, 120))
    (match,) = look(home, photo, threshold=0.8)
    assert match.probability < 0.2
    assert match.certainty == "sure"
    assert retriever.look("me", photo, concepts, top_k=4) == []


def test_where_nothing_tells_a_probability_the_threshold_decides(home):
    retriever, concepts = home
    assert not retriever.calibrated("me")
    assert [m.certainty for m in retriever.look("me", painted("red"), concepts, top_k=4)] == ["sure"]
    assert retriever.look("me", painted((128, 128, 128)), concepts, top_k=4) == []


def test_the_more_is_remembered_the_more_similar_a_thing_must_be(home):
    retriever, concepts = home
    photo = painted((200, 120, 120))
    (match,) = retriever.look("me", photo, concepts, threshold=0.8, top_k=4)
    just_below = match.similarity - 0.01
    assert retriever.look("me", photo, concepts, threshold=just_below, top_k=4)
    assert look(configured(home, gallery_size=1), photo, threshold=just_below) == []
    assert look(configured(home, gallery_size=100), photo, threshold=match.similarity + 0.01) == []


class Framing:
    """An encoder whose boxes close in on the left half of what they hold. Counts its work."""

    passes = 0

    def dense(self, image, *, fine=False):
        self.passes += 1
        return np.zeros((4, 4, 4), np.float32)

    def regress_boxes(self, dense, boxes):
        return boxes * np.asarray([1, 1, 0.5, 1], np.float32)


def test_the_subject_of_a_photo_is_found_from_the_whole_of_it_once():
    encoder = Framing()
    retriever = Retriever(encoder, None)
    for _ in range(2):
        assert retriever.subject(picture(RED)) == (0.0, 0.0, 0.25, 1.0)
    assert encoder.passes == 1
    retriever.clear("me")
    retriever.subject(picture(RED))
    assert encoder.passes == 2
    assert Retriever(MeanColour(maps=False), None).subject(picture(RED)) == WHOLE
