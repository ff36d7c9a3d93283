"""Captions are scored as the field scores them, and a name said in vain is counted."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from personal.data import names
from personal.data.photos import Photos
from personal.errors import PersonalError
from personal.evaluate import caption, commands
from personal.evaluate.__main__ import main
from tests.conftest import Scripted, open_assistant

REFERENCES = [
    [f"a {colour} dog runs over {place}", f"the {colour} dog is running", f"{colour} dog on {place}"]
    for colour, place in zip(
        ("red", "blue", "green", "brown", "black", "white", "grey", "tan"),
        ("grass", "sand", "snow", "ice", "rocks", "water", "mud", "leaves"),
        strict=True,
    )
]


def test_a_caption_that_a_person_wrote_scores_high_and_shuffled_low():
    pytest.importorskip("pycocoevalcap")
    found = caption.score(REFERENCES, [texts[0] for texts in REFERENCES])
    assert found["bleu_4"] > 0.9
    assert [found[f"bleu_{n}"] > 0.9 for n in (1, 2, 3)] == [True] * 3
    assert found["cider_d"] > 3 * found["cider_d_shuffled"]


@pytest.mark.parametrize("count", [2, 7])
def test_captions_of_few_photos_are_shuffled_too(count):
    pytest.importorskip("pycocoevalcap")
    references = REFERENCES[:count]
    found = caption.score(references, [texts[0] for texts in references])
    assert found["cider_d"] > found["cider_d_shuffled"]


def test_a_caption_without_words_scores_nothing():
    pytest.importorskip("pycocoevalcap")
    assert caption.score(REFERENCES[:3], ["", "…", ""])["cider_d"] == 0


def test_case_and_punctuation_do_not_count():
    assert caption.words('A man\'s well-worn "hat", on it: 2 dogs.') == "a man's well-worn hat on it 2 dogs"


def folder(tmp_path):
    subjects = {"red": "A red dog runs.", "blue": "A blue dog sits.", "teal": "A man rides a bike."}
    for colour in subjects:
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{colour}.png")
    lines = [json.dumps({"image": f"{c}.png", "captions": [text], "split": "test"}) for c, text in subjects.items()]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Photos(tmp_path)


class Parrot(Scripted):
    """Says the name of whoever is supplied."""

    def stream(self, messages, **options):
        text = "".join(part.get("text", "") for part in messages[-1]["content"])
        self.words = (f"{text.split('Name: ')[1].split(', Info')[0]} runs.",)
        yield from super().stream(messages, **options)


def said(answers):
    """Whether each answer says the name that is there, and whether each says one that is not."""
    return tuple([answer["said"] for answer in answers if answer["there"] is there] for there in (True, False))


def test_a_model_that_names_nobody_has_no_names_and_no_false_ones(tmp_path):
    photos = folder(tmp_path)
    answers = caption.supplied(Scripted(("A dog.",)), photos, photos.rows, script=None, seed=0)
    assert said(answers) == ([False] * 3, [False] * 3)


def test_a_model_that_always_says_the_name_is_right_where_it_belongs_and_false_elsewhere(tmp_path):
    photos = folder(tmp_path)
    answers = caption.supplied(Parrot(), photos, photos.rows, script="greek", seed=0)
    assert said(answers) == ([True] * 3, [True] * 3)


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("A dog runs.", "bo", False),
        ("A boy runs.", "bo", False),
        ("Bo runs.", "bo", True),
        ("<xi> runs.", "bo", True),
        ("A man on a sandy beach.", "A", False),
        ("A man on a sandy beach.", "sandy", False),
        ("<sandy> on a beach.", "sandy", True),
    ],
)
def test_a_word_that_happens_to_be_somebodys_name_is_no_false_name(text, name, named):
    assert caption.has_name(text, name) is named


def test_as_many_photos_are_tried_as_asked_for_and_every_answer_is_kept(tmp_path):
    photos = folder(tmp_path)
    answers = caption.supplied(Parrot(), photos, photos.rows, script="greek", seed=0, count=2)
    assert [answer["there"] for answer in answers] == [True, True, False, False]
    assert all(answer["name"] in answer["answer"] for answer in answers)


def test_captions_that_name_nothing_cannot_serve(tmp_path):
    (tmp_path / "captions.jsonl").write_text('{"image": "a.png", "captions": ["Outdoors."], "split": "test"}')
    photos = Photos(tmp_path)
    with pytest.raises(PersonalError, match="gets a name"):
        caption.supplied(Scripted(), photos, photos.rows, script=None, seed=0)


def test_the_command_tries_supplied_names_of_every_script(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pycocoevalcap")
    folder(tmp_path)
    (tmp_path / "torn.png").write_bytes(b"nothing")
    with (tmp_path / "captions.jsonl").open("a") as file:
        file.write('\n{"image": "torn.png", "captions": ["A dog."], "split": "test"}')
    monkeypatch.setattr(
        commands, "open_assistant", lambda: open_assistant(tmp_path / "data", Scripted(("A red dog runs.",)))
    )
    out = tmp_path / "out.json"
    assert main(["caption", str(tmp_path), "--names", "2", "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["captions"] == 3
    for script in ("mixed", *names.HELD_OUT_SCRIPTS):
        assert (found[f"named_{script}"], found[f"false_{script}"]) == (0, 0)
        assert found[f"photos_named_{script}"] == found[f"photos_false_{script}"] == 2
    assert [note.split()[0] for note in found["notes"]] == ["torn.png"]
    assert len(found["answers"]) == 3 + 4 * 4
    assert "named_hebrew" in capsys.readouterr().out


@pytest.mark.model
def test_the_command_captions_the_test_split_with_the_embedded_model(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setenv("PERSONAL_MAX_NEW_TOKENS", "8")
    folder(tmp_path)
    out = tmp_path / "out.json"
    assert main(["caption", str(tmp_path), "--limit", "2", "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["captions"] == 2
    assert [answer["photo"] for answer in found["answers"]] == ["red.png", "blue.png"]
    assert {"cider_d", "bleu_1", "bleu_4", "cider_d_shuffled", "settings", "notes"} <= found.keys()
    assert "cider_d" in capsys.readouterr().out
