"""Which concepts a photo or a question concerns, with an encoder that sees mean colours."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from personal.concepts import WHOLE, Concept, View
from personal.images import read_photo
from personal.remember.index import Index
from personal.retrieve.names import bracketed, find_names
from personal.retrieve.retriever import Retriever, claim

COLOURS = {"red": (230, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230), "yellow": (230, 220, 20)}


class MeanColour:
    """Sees a photo as cells of mean colour, or, without a map, as one mean colour. Counts its work."""

    threshold = 0.9
    dimension = 3

    def __init__(self, maps=True):
        self.maps = maps
        self.passes = 0

    def embed(self, images):
        self.passes += 1
        means = (
            np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images]) if images else np.zeros((0, 3))
        )
        return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)).astype(np.float32)

    def dense(self, image):
        self.passes += 1
        if not self.maps:
            return None
        columns, rows = (round(8 * side / min(image.size)) for side in image.size)
        return np.asarray(image.resize((columns, rows), Image.Resampling.BOX), np.float32)


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
    index = Index("mean-colour", 3, folder=tmp_path / "index")
    retriever = Retriever(encoder, index)
    concepts = []
    for name in ("red", "green", "blue"):
        photo = painted(name)
        concepts.append(concept(name, photo))
        index.put("me", [(f"id-{name}", photo.sha256, retriever.embed([photo])[0])])
    yield retriever, concepts
    index.close()


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
    retriever._index.put("me", [("id-crimson", crimson.sha256, retriever.embed([crimson])[0])])
    both = [*concepts, concept("crimson", crimson)]
    assert [m.concept.name for m in retriever.look("me", painted("red"), both, threshold=0.9, top_k=4)] == ["red"]


def test_regions_are_shared_out_best_first_and_speak_for_one_concept_only():
    similarity = np.array([[0.7, 0.2], [0.9, 0.85], [0.6, 0.8]], np.float32)
    apart = np.eye(3, dtype=bool)
    assert claim(similarity, apart, 0.5) == [(1, 0), (2, 1)]
    assert claim(similarity, apart, 0.85) == [(1, 0)]
    assert claim(similarity, apart, 0.95) == []
    overlapping = apart.copy()
    overlapping[1, 2] = True
    assert claim(similarity, overlapping, 0.5) == [(1, 0)]
    assert claim(np.full((2, 2), -np.inf, np.float32), apart[:2, :2], -1) == []


def test_the_whole_photo_is_no_box_where_its_parts_tell_two_concepts_apart(home):
    retriever, concepts = home
    both = painted("red", "blue")
    retriever._index.put("me", [("id-green", both.sha256, retriever.embed([both])[0])])
    assert retriever.rank("me", both, concepts)[0].similarity == pytest.approx(1, abs=1e-3)
    boxes = {match.concept.name: match.box for match in look(home, both)}
    assert boxes.keys() >= {"red", "blue"}
    assert WHOLE not in boxes.values()


def test_ranking_begins_with_what_looking_claims_first(home):
    retriever, concepts = home
    photo = painted("green", (120, 120, 230))
    assert retriever.rank("me", photo, concepts)[0] == look(home, photo)[0]


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
    look(home, photo)
    after = encoder.passes
    look(home, photo, threshold=0.2)
    home[0].rank("me", photo, home[1])
    assert encoder.passes == after
    home[0].clear()
    look(home, photo)
    assert encoder.passes > after


def test_embedding_keeps_order_takes_repeats_and_survives_a_small_cache(encoder):
    retriever = Retriever(encoder, None, cache_size=1)
    photos = [painted(name) for name in ("red", "blue", "red", "green")]
    vectors = retriever.embed(photos)
    assert vectors.shape == (4, 3)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert [int(v.argmax()) for v in vectors] == [0, 2, 0, 1]
    assert retriever.embed([]).shape == (0, 3)


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
