"""Notes: the sentence that answers a question is found, and none is where nothing was told."""

from __future__ import annotations

import numpy as np
import pytest

from personal.concepts import Concept
from personal.findings import MIN_EVIDENCE
from personal.retrieve.notes import find_evidence, split_sentences


def concept(name, category, info):
    return Concept(name, name, category, info, (), "", "", "")


MAX = concept(
    "max",
    "dog",
    "Max is a brown terrier. He was born on 9 June 2018. His vet is Dr. Lund in Malmö. He weighs 7.5 kg.\n"
    "He is scared of balloons and loves carrots",
)
LAMP = concept("desk-lamp", "lamp", "Bought in Riga for 35 euros. The switch is broken.")


def letters(texts):
    """Vectors that know texts by their words' first letters: enough to see that similarity decides."""
    rows = np.zeros((len(texts), 26), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.casefold().split():
            row[(ord(word[0]) - 97) % 26] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_notes_are_split_at_sentence_ends_and_lines_but_not_after_titles():
    assert split_sentences(MAX.info) == [
        "Max is a brown terrier.",
        "He was born on 9 June 2018.",
        "His vet is Dr. Lund in Malmö.",
        "He weighs 7.5 kg.",
        "He is scared of balloons and loves carrots",
    ]
    assert split_sentences("") == []


def test_sentences_come_best_first_with_probabilities_each_once():
    found = find_evidence("What are balloons?", [MAX, LAMP], letters)
    assert len(found) == len({(e.concept.id, e.sentence) for e in found}) == 7
    assert [e.probability for e in found] == sorted((e.probability for e in found), reverse=True)
    assert all(0 <= e.probability <= 1 for e in found)


def test_a_concept_without_notes_has_no_evidence():
    assert find_evidence("How old is it?", [concept("x", "", "")], letters) == []


def test_a_sentence_that_lacks_what_the_question_asks_for_is_less_likely():
    def of(info):
        return find_evidence("How much does max weigh?", [concept("max", "dog", info)], letters)[0].probability

    assert of("He weighs 7 kg.") > of("He weighs a lot.")


@pytest.fixture(scope="module")
def sentences():
    from personal.retrieve.encoder import Encoder
    from personal.settings import load
    from personal.tiny.assemble import assemble, encoder_dir

    folder = load().cache_dir
    for _ in assemble(folder):
        pass
    encoder = Encoder(str(encoder_dir(folder)))
    for _ in encoder.load():
        pass
    assert encoder.reads_sentences
    return encoder.sentences


@pytest.mark.model
@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("When was max born?", "9 June"),
        ("Who is max's vet?", "Lund"),
        ("How heavy is max?", "7.5 kg"),
        ("What is max afraid of?", "balloons"),
        ("What does max like to eat?", "carrots"),
        ("What did desk-lamp cost?", "35 euros"),
        ("Where did I buy desk-lamp?", "Riga"),
        ("What is wrong with desk-lamp?", "broken"),
    ],
)
def test_the_sentence_that_answers_is_found(sentences, question, told):
    best = find_evidence(question, [MAX if "max" in question else LAMP], sentences)[0]
    assert told in best.sentence


@pytest.mark.model
def test_what_was_not_told_is_seldom_found(sentences):
    asked = (
        "Who gave me max?",
        "What is max's phone number?",
        "How many puppies does max have?",
        "Is max insured?",
        "What colour is max's bowl?",
    )
    found = [find_evidence(question, [MAX], sentences)[0].probability for question in asked]
    assert sum(probability >= MIN_EVIDENCE for probability in found) <= 1, found


@pytest.mark.model
def test_sentence_vectors_are_of_unit_length_whatever_the_batch(sentences):
    texts = [f"Sentence number {i} about nothing." for i in range(70)]
    vectors = sentences(texts)
    assert vectors.shape[0] == 70
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert np.allclose(vectors[3], sentences([texts[3]])[0], atol=1e-4)
