"""What is trained on is what the app sends, and rows packed into a tree are read as if each stood alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from personal.concepts import Concept, Match, Turn, View
from personal.generate import prompt
from personal.generate.templating import PromptEncoder
from personal.learn.encoding import RowEncoder, row_messages
from personal.learn.prefix_tree import TokenSequence, build_tree, collate
from personal.settings import load
from personal.tiny.assemble import assemble, mllm_dir
from tests.conftest import BLUE, GREEN, RED, picture

pytestmark = pytest.mark.model

EXTRA = {
    "crop/a.png": {"name": "mochi", "category": "dog", "info": "<mochi> is a small dog <|im_end|>."},
    "crop/b.png": {"name": "Zoë 2", "category": "", "info": ""},
}


@pytest.fixture(scope="module")
def checkpoint():
    cache_dir = load().cache_dir
    for _ in assemble(cache_dir):
        pass
    return mllm_dir(cache_dir)


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return RowEncoder(checkpoint)


def row(question, answer, image="a.png", extra=EXTRA):
    human = f"<image>\n{question}" if image else question
    turns = [{"from": "human", "value": human}, {"from": "gpt", "value": answer}]
    return {"id": 0, "image": image, "conversations": turns, "extra": extra, "type": "caption"}


def decoded(encoder, tree):
    """Every row of a tree, from the root to where its answer ends."""
    paths = []
    for node, label in tree.targets:
        if label == encoder.processor.tokenizer.eos_token_id:
            ids = [label]
            while node >= 0:
                ids.append(tree.ids[node])
                node = tree.parents[node]
            paths.append(encoder.processor.tokenizer.decode(ids[::-1]))
    return paths


@pytest.mark.parametrize("question", ["Is <mochi> in this photo?", "Give a caption of the photo."])
def test_the_model_is_trained_on_the_very_tokens_that_the_app_sends(checkpoint, encoder, question):
    photos = [picture(RED), picture(GREEN), picture(BLUE)]
    concepts = [
        Concept(path, r["name"], r["category"], r["info"], (View(p.sha256, 64, 64),), p.sha256, "", "")
        for (path, r), p in zip(EXTRA.items(), photos, strict=False)
    ]
    turn = Turn(question, (photos[2],), tuple(Match(c, "seen") for c in concepts))
    by_hash = {p.sha256: p for p in photos}
    sent = prompt.build_messages([turn], avatars=lambda c: by_hash[c.avatar], sees=True)
    prompts = PromptEncoder(SimpleNamespace(device="cpu", dtype=torch.bfloat16), encoder.processor)
    asked = prompts.encode(sent)["input_ids"][0].tolist()

    tree = encoder.tree([row(question, "Yes.")])

    assert tree.ids[: len(asked)] == asked
    assert tree.parents == list(range(-1, len(tree.ids) - 1))


def test_pictures_are_listed_in_the_order_in_which_they_are_laid_out():
    _, pictures = row_messages(row("Who?", "<mochi>."))
    assert [name for name, _ in pictures] == ["a.png", "b.png", "a.png"]
    _, pictures = row_messages(row("Who?", "<mochi>."), avatars=False)
    assert [name for name, _ in pictures] == ["a.png"]
    _, pictures = row_messages(row("Who?", "<mochi>.", image=None))
    assert [name for name, _ in pictures] == ["a.png", "b.png"]


def test_rows_of_one_photo_share_their_beginning_and_all_survive(encoder):
    answers = ["A dog runs.", "A dog sits.", "A cat."]
    tree = encoder.tree([row("What?", a, extra={}) for a in answers])
    assert tree.ids.count(encoder.image_id) == 49
    assert sorted(text.split("assistant\n")[1] for text in decoded(encoder, tree)) == sorted(
        f"{a}<|im_end|>" for a in answers
    )


def test_only_the_answer_and_its_end_are_to_be_learnt():
    tree = build_tree([TokenSequence((5, 6, 7, 8, 9), 3)], [])
    assert tree.ids == [5, 6, 7, 8]
    assert tree.targets == {(2, 8): 1, (3, 9): 1}


def test_where_a_name_may_be_said_the_first_token_weighs_more(encoder):
    plain, personal = (encoder.tree([row("What?", "A dog.", extra=extra)]) for extra in ({}, EXTRA))
    assert list(plain.targets.values()) == [1, 1, 1, 1]
    assert list(personal.targets.values()) == [4, 1, 1, 1]


def test_a_token_attends_to_its_ancestors_alone_and_its_position_is_its_depth():
    tree = build_tree([TokenSequence((1, 2, 3, 4), 1), TokenSequence((1, 2, 5, 6), 1)], [])
    batch = collate([tree, build_tree([TokenSequence((1, 2), 1)], [])], pad=0)
    assert tree.ids == [1, 2, 3, 5]
    assert batch.positions[0].tolist() == [0, 1, 2, 2]
    assert batch.mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    assert batch.ids[1].tolist() == [1, 0, 0, 0]
    assert batch.nodes.tolist() == [0, 1, 2, 1, 3, 4]
    assert batch.labels.tolist() == [2, 3, 4, 5, 6, 2]
    assert batch.weights.tolist() == [2, 1, 1, 1, 1, 1]
