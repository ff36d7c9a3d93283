"""One name however it is typed: in the library and in a question alike."""

from __future__ import annotations

import json
import random
import shutil
import sys
import unicodedata
import uuid
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from personal.concepts import ConceptEdit
from personal.errors import ConceptError
from personal.folding import Folded, folded, unaccented
from personal.images import read_photo
from personal.remember import import_export
from personal.remember.library import Library
from personal.retrieve.names import bracketed, find_names

ME = "local"


def photo(colour: str):
    stream = BytesIO()
    Image.new("RGB", (32, 32), colour).save(stream, "PNG")
    return read_photo(stream.getvalue())


SAME = [
    ("bo", "BO"),
    ("bo", "ｂｏ"),
    ("Straße", "STRASSE"),
    ("Strasse", "straße"),
    ("bo", "b\u200do"),
    ("می\u200cخواهم", "میخواهم"),
    ("❤️", "❤"),
    ("Rosie Lee", "Rosie  Lee"),
    ("Rosie Lee", "Rosie\u00a0Lee"),
    ("Rosie Lee", "Rosie\u202fLee"),
    ("Rosie Lee", "Rosie\u3000Lee"),
    ("O'Malley", "O’Malley"),
    ("O'Malley", "O‘Malley"),
    ("O'Malley", "OʼMalley"),
    ("O'Malley", "O′Malley"),
    ("O'Malley", "O`Malley"),
    ("O'Malley", "O´Malley"),
    ("O'Malley", "O᾽Malley"),
    ("O'Malley", "O❜Malley"),
    ("Anne-Marie", "Anne\u2e3aMarie"),
    ('the "Beast"', "the ❝Beast❞"),
    ("Anne-Marie", "Anne\u2010Marie"),
    ("Anne-Marie", "Anne\u2011Marie"),
    ("Anne-Marie", "Anne–Marie"),
    ("Anne-Marie", "Anne−Marie"),
    ("Anne-Marie", "Anne－Marie"),
    ('the "Beast"', "the “Beast”"),
    ('the "Beast"', "the „Beast“"),
    ('the "Beast"', "the «Beast»"),
    ("ﾎﾟﾁ", "ポチ"),
    ("Zoë", "Zoe\u0308"),
    ("№ 5", "No 5"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_the_library_takes_for_the_same_name_is_found_in_a_question(tmp_path: Path, one: str, other: str) -> None:
    with Library(tmp_path) as library:
        first = library.add(ME, one, [photo("red")])
        with pytest.raises(ConceptError, match="already exists"):
            library.add(ME, other, [photo("blue")])
        assert library.find(ME, other) == first
    for name, typed in ((one, other), (other, one)):
        assert find_names(f"Where is {typed} today?", [name]) == [0]
        assert find_names(f"Where is <{typed}>?", ["bystander", name]) == [1]
        assert bracketed(f"Where is {typed} today?", [name]) == f"Where is <{name}> today?"


@pytest.mark.parametrize("invisible", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u200e"])
def test_a_character_that_shows_nothing_hides_no_name(invisible: str) -> None:
    assert find_names(f"Is mo{invisible}chi{invisible} here?", ["mochi"]) == [0]


@pytest.mark.parametrize(
    ("question", "names", "expected"),
    [
        ("Is jose here?", ["José"], ["José"]),
        ("Is Jose’s ball here?", ["José"], ["José"]),
        ("is <jose> here", ["José"], ["José"]),
        ("is renee here", ["Renée"], ["Renée"]),
        ("where is Bjorn", ["Bjørn"], ["Bjørn"]),
        ("where is lukasz", ["Łukasz"], ["Łukasz"]),
        ("Is istanbul here?", ["İstanbul"], ["İstanbul"]),
        ("где живёт артем", ["Артём"], ["Артём"]),
        ("Is Thuy here?", ["Thuý"], ["Thuý"]),
        ("הכלב שלום", ["שָׁלוֹם"], ["שָׁלוֹם"]),
        # another concept is meant, or could be
        ("Is jose here?", ["José", "Jose"], ["Jose"]),
        ("Is josé here?", ["José", "Jose"], ["José"]),
        ("Is jose here?", ["José", "Josè"], []),
        ("Is josè here?", ["José", "Josè"], ["Josè"]),
        ("Is jose junior here?", ["Jose", "José Junior"], ["José Junior"]),
        # an everyday word is no name, with or without
        ("a rose in a vase", ["Rosé"], []),
        ("Is Rose here?", ["Rosé"], ["Rosé"]),
        ("a glass of rosé", ["Rosé"], ["Rosé"]),
        # signs that make another letter are no diacritics
        ("ハス", ["バス"], []),
        ("Андреи", ["Андрей"], []),
        ("the josef", ["José"], []),
    ],
)
def test_a_name_typed_without_its_diacritics_is_found_where_no_other_is_meant(question, names, expected) -> None:
    assert [names[i] for i in find_names(question, names)] == expected


@pytest.mark.parametrize(
    ("question", "names", "expected"),
    [
        ("What is 1984 about?", ["1984"], ["1984"]),
        ("What is 42 doing?", ["42"], ["42"]),
        ("Where is 7?", ["7"], ["7"]),
        ("Is 7 here, and 007?", ["007", "7"], ["7", "007"]),
        ("Is ４２ there?", ["42"], ["42"]),
        ("42在做什么？", ["42"], ["42"]),
        ("Is there a 420 or a b42?", ["42"], []),
        ("There are 12 apples and 2 people.", ["12", "2"], []),
        ("There are <12> apples.", ["12"], ["12"]),
    ],
)
def test_a_name_of_digits_is_found(question: str, names: list[str], expected: list[str]) -> None:
    assert [names[i] for i in find_names(question, names)] == expected


def test_a_part_of_a_letter_is_no_name() -> None:
    assert find_names("Die Straße", ["s", "stras", "e"]) == []
    assert find_names("a bo\u00adat and a bo\u200cat", ["bo"]) == []
    assert find_names("the ﬁre", ["f", "the f"]) == []


def test_a_question_of_one_word_repeated_is_read_in_time() -> None:
    import time

    began = time.process_time()
    assert find_names("bo " * 10_000, ["bo", "bò", "bo bo"]) == [2]
    assert time.process_time() - began < 5


def test_a_text_is_folded_piece_by_piece_as_it_is_folded_whole() -> None:
    rng = random.Random(1)
    assigned = [chr(c) for c in range(32, sys.maxunicode) if unicodedata.category(chr(c)) not in {"Cs", "Cn", "Co"}]
    for _ in range(5000):
        text = "".join(rng.choices(assigned, k=rng.randint(1, 6)))
        whole = folded(text)
        assert " ".join(Folded(text).text.split()) == whole
        assert folded(whole) == whole
        assert unaccented(whole) == "".join(map(unaccented, whole))


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A library from before O’Malley and O'Malley were one name."""
    with Library(tmp_path / "home") as library:
        library.add(ME, "O'Malley", [photo("red")])
        twin = library.add(ME, "twin", [photo("blue")])
        folder = library.path(ME, twin.id, twin.avatar).parents[1]
    record = json.loads((folder / "concept.json").read_text("utf-8"))
    (folder / "concept.json").write_text(json.dumps({**record, "name": "O’Malley"}), "utf-8")
    return tmp_path / "home"


def test_a_library_that_holds_two_spellings_of_a_name_still_opens_with_both(older: Path) -> None:
    with Library(older) as library:
        assert sorted(c.name for c in library.concepts(ME)) == ["O'Malley", "O’Malley"]
        assert library.problems() == []
        straight, curly = library.find(ME, "O'Malley"), library.find(ME, "O’Malley")
        assert straight.id != curly.id
        assert library.find(ME, "o`malley") in (straight, curly)
        assert library.revise(ME, curly.id, ConceptEdit(add=[photo("green")])).name == "O’Malley"
        with pytest.raises(ConceptError, match="already exists"):
            library.add(ME, "OʼMalley", [photo("black")])
        library.forget(ME, straight.id)
        assert library.find(ME, "O'Malley").id == curly.id
        library.revise(ME, curly.id, ConceptEdit(name="Pat"))
        assert library.add(ME, "O'Malley", [photo("black")])


def test_of_two_spellings_the_one_that_was_typed_is_meant() -> None:
    names = ["O'Malley", "O’Malley"]
    assert find_names("Is O’Malley here?", names) == [1]
    assert find_names("Is O'Malley here?", names) == [0]
    assert len(find_names("Is O`Malley here?", names)) == 1


def test_each_of_two_spellings_gains_its_own_photos_from_an_import(older: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "O’Malley").mkdir(parents=True)
    (folder / "O’Malley" / "1.jpg").write_bytes(photo("green").jpeg)
    with Library(older) as library:
        [change] = import_export.plan(library, ME, import_export.read(folder))
        assert (change.name, change.words) == ("O’Malley", "adds 1 photo")


def test_a_concept_that_was_copied_by_hand_is_not_two(older: Path) -> None:
    concepts = older / "owners" / ME / "concepts"
    first = sorted(concepts.iterdir())[0]
    copy = concepts / uuid.uuid4().hex
    shutil.copytree(first, copy)
    record = json.loads((copy / "concept.json").read_text("utf-8"))
    (copy / "concept.json").write_text(json.dumps({**record, "id": copy.name}), "utf-8")
    with Library(older) as library:
        assert len(library.concepts(ME)) == 2
        assert "another concept has the same name" in " ".join(library.problems())
