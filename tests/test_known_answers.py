"""Forty questions over the samples and real photos, asked of the built-in model's app as people would ask them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from personal import compose, settings
from personal.assistant import FROM_FINDINGS
from personal.concepts import Answer, Look, Turn
from personal.images import read_photo
from personal.ui.samples import FOLDER, read_samples

pytestmark = pytest.mark.model

PICNIC, KITCHEN, BEACH = "picnic.jpg", "kitchen.jpg", "beach.jpg"
NOBODY = "I don't recognise"


@dataclass(frozen=True)
class Asked:
    """A question, the photos with it, what the answer must hold, and what it must not."""

    question: str
    photos: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


SAMPLES = (
    Asked("Who is at the picnic?", (PICNIC,), ("<bo>", "<sunny-cup>"), ("<rosie>",)),
    Asked("Who is here?", (KITCHEN,), ("<sunny-cup>", "<rosie>"), ("<bo>",)),
    Asked("What is on the kitchen table?", (KITCHEN,), ("<sunny-cup>", "<rosie>"), ("<bo>",)),
    Asked("Which of mine are in this photo?", (BEACH,), ("<bo>",), ("<rosie>", "<sunny-cup>")),
    Asked("Where is bo?", (PICNIC,), ("<bo> is on the left", "left of <sunny-cup>")),
    Asked("Where is the sunny-cup?", (PICNIC,), ("<sunny-cup>", "right of <bo>")),
    Asked("where's rosie", (KITCHEN,), ("<rosie> is", "right of <sunny-cup>")),
    Asked("Where is rosie?", (BEACH,), ("I don't recognise <rosie>",)),
    Asked("How many of mine are here?", (PICNIC,), ("Two of yours", "<bo>", "<sunny-cup>")),
    Asked("How many of my dogs are in the picture?", (PICNIC,), ("One of your dogs", "<bo>"), ("<sunny-cup>",)),
    Asked("Is bo in this photo?", (PICNIC,), ("Yes, <bo>",)),
    Asked("Is rosie here?", (PICNIC,), ("No, I don't recognise <rosie>",)),
    Asked("Can you see the sunny-cup?", (KITCHEN,), ("<sunny-cup>",), (NOBODY,)),
    Asked("Are bo and rosie here?", (KITCHEN,), ("<rosie> is in this photo", "I don't recognise <bo>")),
    Asked("Who is in these photos?", (PICNIC, KITCHEN, BEACH), ("photo 1", "photo 2", "<bo> is in photo 3")),
    Asked("Is rosie in any of these photos?", (PICNIC, KITCHEN, BEACH), ("Yes, <rosie> is in photo 2",)),
    Asked("How old is bo?", (BEACH,), ("four years old",)),
    Asked("When does bo nap?", (), ("after lunch",)),
    Asked("What colour is bo's collar?", (PICNIC,), ("red collar",)),
    Asked("Who gave me the sunny-cup?", (), ("Grandma",)),
    Asked("What is sunny-cup used for?", (KITCHEN,), ("hot chocolate",)),
    Asked("What does rosie carry in winter?", (KITCHEN,), ("suitcases",)),
    Asked("What does rosie weigh?", (KITCHEN,), (), ("kg", "surfboard.")),
    Asked("What is the name of bo's vet?", (), ("<bo>",), ("Yes", "Dr")),
    Asked("Hello!", (), ("Hello",)),
    Asked("What can you do?", (), ("recognise",)),
    Asked("What is the man doing?", (), ("Add a photo",), ("building",)),
)
REAL = (
    Asked("Who is here?", ("dog/00.jpg",), ("<Rex>",)),
    Asked("Who is this?", ("cat/03.jpg",), ("<Tiger>",)),
    Asked("Is Rex in this photo?", ("dog/04.jpg",), ("Yes, <Rex>",)),
    Asked("Is Rex in this photo?", ("cat/04.jpg",), ("No, I don't recognise <Rex>",)),
    Asked("Where is Robbie?", ("robot_toy/04.jpg",), ("<Robbie> is",), (NOBODY,)),
    Asked("Which of mine are here?", ("backpack/04.jpg",), ("<my bag>",)),
    Asked("Is my bag in any of these photos?", ("dog/03.jpg", "backpack/05.jpg"), ("<my bag> is in photo 2",)),
    Asked("Who is in these photos?", ("cat/04.jpg", "dog/04.jpg"), ("<Tiger> is in photo 1", "<Rex> is in photo 2")),
    Asked("Who is here?", ("candle/03.jpg",), (NOBODY,)),
    Asked("Who is here?", ("clock/04.jpg",), (NOBODY,)),
    Asked("How many of mine are here?", ("robot_toy/03.jpg",), ("One of yours", "<Robbie>")),
    Asked("When was Tiger born?", ("cat/03.jpg",), ("June 2020",)),
    Asked("Who gave us Rex?", ("dog/03.jpg",), ("uncle Paul",)),
)
REGISTERED = {
    "Rex": ("dog", "dog", "Rex is a corgi. Uncle Paul? No: uncle Paul gave him to us."),
    "Tiger": ("cat", "cat", "Tiger was born in June 2020."),
    "Robbie": ("robot_toy", "toy", "Robbie needs two batteries."),
    "my bag": ("backpack", "backpack", "Bought in Oslo."),
}


@pytest.fixture(scope="module")
def assistant(tmp_path_factory):
    knobs = replace(settings.load({}), cache_dir=settings.load().cache_dir, data_dir=tmp_path_factory.mktemp("known"))
    with compose.build(knobs) as made:
        for sample in read_samples().concepts:
            made.remember("samples", sample.name, list(sample.photos), sample.category, sample.info)
        yield made


def ask(assistant, owner, question, photos):
    *_, answer = assistant.answer(owner, [Turn(question, tuple(photos))])
    assert isinstance(answer, Answer)
    return answer


def wrong(answer, asked):
    missing = [part for part in asked.holds if part not in answer.text]
    return missing or [part for part in asked.lacks if part in answer.text]


def test_questions_about_the_samples_are_answered_rightly(assistant):
    failed = []
    for asked in SAMPLES:
        photos = [read_photo((FOLDER / name).read_bytes()) for name in asked.photos]
        answer = ask(assistant, "samples", asked.question, photos)
        if wrong(answer, asked):
            failed.append((asked.question, asked.photos, answer.text, answer.model))
    assert not failed


def test_questions_about_real_photos_are_answered_rightly(assistant, shared_data):
    def photo(name):
        return read_photo((shared_data / "dreambooth" / name).read_bytes())

    for name, (folder, category, info) in REGISTERED.items():
        assistant.remember("real", name, [photo(f"{folder}/0{n}.jpg") for n in (1, 2)], category, info)
    failed = []
    for asked in REAL:
        answer = ask(assistant, "real", asked.question, [photo(name) for name in asked.photos])
        if wrong(answer, asked):
            failed.append((asked.question, asked.photos, answer.text, answer.model))
    assert len(failed) <= 1, failed


def test_a_question_that_only_the_photo_answers_is_asked_of_the_model(assistant):
    photo = read_photo((FOLDER / BEACH).read_bytes())
    answer = ask(assistant, "samples", "What is <bo> doing?", [photo])
    assert answer.model != FROM_FINDINGS
    assert answer.tokens > 0


def test_he_is_whom_the_conversation_was_about(assistant):
    photo = read_photo((FOLDER / BEACH).read_bytes())
    first = Turn("Who is here?", (photo,))
    look, answer = list(assistant.answer("samples", [first]))
    assert isinstance(look, Look)
    asked = [replace(first, answer=answer.text), Turn("And how old is he?")]
    *_, answer = assistant.answer("samples", asked, findings={photo.sha256: look.photos[0]})
    assert "four years" in answer.text
