"""Instruction data is made from captions alone: seeded, in RAP's format, and true to the photos."""

from __future__ import annotations

import json
import re
import tarfile
from io import BytesIO
from random import Random

import pytest
from PIL import Image

from personal.data import card, names, phrases, subjects, templates
from personal.data.photos import CaptionedPhoto, Photos
from personal.data.pictures import avatar_box, parse_picture
from personal.data.rows import make_rows
from personal.data.things import noun_phrase
from personal.errors import PersonalError

DOG = CaptionedPhoto(
    "dog.jpg",
    "train",
    ("A brown dog runs through the grass .", "A dog is running .", "Brown dog outside", "The dog is on a lawn ."),
)
MAN = CaptionedPhoto(
    "man.jpg", "train", ("A man in a hat is riding a red bike .", "A man rides a red bike down a road .")
)
BOATS = CaptionedPhoto("boats.jpg", "train", ("Two boats on a lake .", "Boats float ."))
PHOTOS = [DOG, MAN, BOATS]


def rows(seed=0, rounds=12):
    return list(make_rows(PHOTOS, seed, rounds))


def answer(row):
    return row["conversations"][1]["value"]


def tags(row):
    return {f"<{record['name']}>": record for record in row["extra"].values()}


def test_a_row_has_the_keys_of_rap_and_the_photo_before_the_question():
    for row in rows():
        assert set(row) == {"id", "image", "conversations", "extra", "type"}
        assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt"]
        assert row["conversations"][0]["value"].startswith("<image>\n") == (row["image"] is not None)
        for record in row["extra"].values():
            assert set(record) - {"recognised"} == {"name", "info", "category"}


def test_ids_count_up_and_the_same_seed_gives_the_same_rows():
    first = rows()
    assert [row["id"] for row in first] == list(range(len(first)))
    assert first == rows()
    assert first != rows(seed=1)


def test_a_question_and_answer_appear_once_for_each_photo_and_concept():
    seen = [json.dumps({**row, "id": 0, "type": ""}) for row in rows(rounds=1)]
    assert len(seen) == len(set(seen))


def test_a_named_caption_calls_the_subject_and_never_a_concept_that_is_not_there():
    named = [row for row in rows() if row["type"] == "personal_caption"]
    assert any(answer(row) == f"{tag} runs through the grass." for row in named for tag in tags(row))
    for row in named:
        said = set(re.findall(r"<[^<>]+>", answer(row)))
        assert said
        assert said <= set(tags(row))


def test_captions_of_photos_that_show_no_supplied_concept_stay_as_people_wrote_them():
    noise = [row for row in rows() if row["type"] == "noise"]
    assert noise
    for row in noise:
        assert row["extra"]
        assert answer(row) in {phrases.clean(c) for photo in PHOTOS for c in photo.captions}


def test_a_name_that_nobody_supplied_is_not_in_the_photo():
    asked = [row for seed in range(20) for row in rows(seed, 1) if row["type"] == "recognition"]
    unknown = [row for row in asked if not any(tag in row["conversations"][0]["value"] for tag in tags(row))]
    assert any(row["extra"] for row in unknown)
    assert any(not row["extra"] for row in unknown)
    assert all(answer(row).startswith("No") for row in unknown)


def test_what_is_there_was_mostly_recognised_and_what_is_made_up_mostly_not():
    found = {True: [], False: []}
    for row in rows(rounds=60):
        for tag, record in tags(row).items():
            if row["type"] == "recognition" and tag in row["conversations"][0]["value"] and "doing" not in str(row):
                found[answer(row).startswith("Yes")].append(record.get("recognised", True))
    assert sum(found[True]) / len(found[True]) > 0.9
    assert 0.1 < sum(found[False]) / len(found[False]) < 0.6


def test_two_photos_side_by_side_are_told_from_left_to_right_with_the_names_of_what_was_supplied():
    joined = [r for r in rows(rounds=1) if r["image"] and r["image"].startswith("mosaic/")]
    for seed in range(40):
        joined += [r for r in rows(seed, 1) if r["image"] and r["image"].startswith("mosaic/")]
    told = [row for row in joined if row["type"] == "personal_caption"]
    assert told
    for row in told:
        left, right = row["image"].removeprefix("mosaic/").split("+")
        assert {left, right} == {"dog.jpg", "man.jpg"}
        parts = re.fullmatch(r"On the left, (.+?) On the right, (.+)", answer(row))
        for side, image in zip(parts.groups(), (left, right), strict=True):
            for path, record in row["extra"].items():
                if path == f"crop/{image}":
                    assert f"<{record['name']}>" in side


def test_about_half_of_the_photos_with_concepts_show_none_of_them():
    groups = {
        (r["image"], str(r["extra"])): r["type"] for r in rows(rounds=60) if r["type"] in {"noise", "personal_caption"}
    }
    absent = sum(kind == "noise" for kind in groups.values()) / len(groups)
    assert 0.35 < absent < 0.75


def test_recognition_says_yes_for_the_subject_and_no_for_noise():
    for row in (r for r in rows() if r["type"] == "recognition" and r["image"] == "dog.jpg"):
        for tag, record in tags(row).items():
            said = (record["info"] + record["category"]).lower()
            if tag in row["conversations"][0]["value"] and answer(row).startswith("Yes") and said:
                assert "dog" in said


def test_a_noise_dog_has_another_colour_than_the_dog_in_the_photo():
    subject = subjects.subject_of(DOG)
    assert not subjects.contradicts(phrases.subject("A brown dog runs."), subject)
    assert not subjects.contradicts(phrases.subject("A dog runs."), subject)
    assert subjects.contradicts(phrases.subject("A black dog runs."), subject)
    assert subjects.contradicts(phrases.subject("A man runs."), subject)


def test_a_missing_description_does_not_tell_whether_a_concept_is_there():
    blank = {"Yes": [], "No,": []}
    for row in rows(rounds=80):
        for tag, record in tags(row).items():
            if row["type"] == "recognition" and answer(row)[:3] in blank and tag in row["conversations"][0]["value"]:
                blank[answer(row)[:3]].append(record["info"] == "")
    there, absent = (sum(found) / len(found) for found in blank.values())
    assert absent > 0.04
    assert 0.3 < there / absent < 3


def test_the_right_option_is_a_as_often_as_b():
    letters = [templates.choice("Is it?", "Yes", "No", Random(seed))[1] for seed in range(400)]
    assert 160 < letters.count("A") < 240


def test_every_question_about_a_made_up_concept_is_answered_by_its_info():
    for seed in range(200):
        _, info, questions = templates.make_up_concept("<bo>", Random(seed))
        for _, right, wrong in questions:
            assert right != wrong
            if right not in {"Yes", "No"}:
                assert right.lower() in info.lower()
                assert wrong.lower() not in info.lower() or wrong.lower() in right.lower()


@pytest.mark.parametrize(
    ("caption", "kind", "phrase"),
    [
        ("A brown and white dog runs.", "dog", "brown and white dog"),
        ("The little girl is asleep.", "girl", "little girl"),
        ("A skateboarder jumps over steps.", "person", "skateboarder"),
    ],
)
def test_the_subject_of_a_caption_is_found_with_its_adjectives(caption, kind, phrase):
    found = phrases.subject(caption)
    assert (found.kind, found.phrase) == (kind, phrase)


@pytest.mark.parametrize("caption", ["Two dogs run.", "A group of men stand.", "A dog sled.", "Grass."])
def test_where_a_caption_has_no_single_subject_none_is_found(caption):
    assert phrases.subject(caption) is None


def test_names_come_in_many_scripts_but_never_in_those_kept_for_measuring():
    random = Random(0)
    drawn = [names.draw_name(random) for _ in range(3000)]
    kept = {c for script in names.HELD_OUT_SCRIPTS for c in names.SYLLABLES[script] if c.strip()}
    assert not any(set(name) & kept for name in drawn)
    assert len(set(drawn)) > 1500
    assert any("а" <= c <= "я" for name in drawn for c in name)
    assert any("가" <= c <= "힣" for name in drawn for c in name)
    assert all(set(names.draw_name(random, script)) <= kept for script in names.HELD_OUT_SCRIPTS)


def test_an_avatar_is_always_the_same_part_of_its_photo():
    image, box = parse_picture("crop/dog.jpg")
    assert (image, box) == ("dog.jpg", avatar_box("dog.jpg"))
    assert 0 <= box[0] < box[2] <= 1.0001
    assert 0.5 < box[2] - box[0] < 0.9
    assert parse_picture("dog.jpg") == ("dog.jpg", (0.0, 0.0, 1.0, 1.0))


def archive(folder):
    folder.mkdir()
    with tarfile.open(folder / "images.tar", "w") as tar:
        for photo in PHOTOS:
            buffer = BytesIO()
            Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
            member = tarfile.TarInfo(photo.image)
            member.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(member, buffer)
    lines = [json.dumps({"image": p.image, "split": p.split, "captions": p.captions}) for p in PHOTOS]
    (folder / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Photos(folder)


def test_photos_are_read_out_of_a_tar_or_from_files(tmp_path):
    photos = archive(tmp_path / "photos")
    assert photos.open("dog.jpg").size == (64, 48)
    Image.new("RGB", (32, 32)).save(tmp_path / "photos" / "other.png")
    assert photos.open("other.png").size == (32, 32)
    with pytest.raises(PersonalError, match=r"gone\.png"):
        photos.open("gone.png")


def test_a_folder_without_captions_is_refused_in_words(tmp_path):
    with pytest.raises(PersonalError, match=r"captions\.jsonl"):
        Photos(tmp_path)


def test_the_written_data_holds_rows_avatars_a_card_and_a_sheet(tmp_path):
    photos = archive(tmp_path / "photos")
    learnt = list(make_rows([DOG, MAN], 0, 4))
    for _ in card.write_dataset(tmp_path / "out", {"train": learnt, "held_out": []}, photos, seed=0):
        pass
    assert card.read_rows(tmp_path / "out" / "train.json") == learnt
    assert all((tmp_path / "out" / path).is_file() for row in learnt for path in row["extra"])
    assert f"| all | {len(learnt)} | 0 |" in (tmp_path / "out" / "card.md").read_text(encoding="utf-8")
    assert Image.open(tmp_path / "out" / "sheet.png").width == 3 * (224 + 330)


TEAPOT = CaptionedPhoto("teapot.jpg", "train", (), ("teapot",), source="shop")
KITCHEN = CaptionedPhoto(
    "kitchen.jpg", "train", (), ("wall", "stove", "sink"), "kitchen", {"stove": "white"}, (("How many sinks?", "one"),)
)


def labelled_rows(seed=0):
    return list(make_rows([TEAPOT, KITCHEN, DOG, MAN], seed, 8))


def test_a_photo_of_one_labelled_thing_is_of_that_thing_and_of_nobody():
    about = [row for row in labelled_rows() if row["image"] == "teapot.jpg" and not row["extra"]]
    assert any(answer(row) == "A teapot." for row in about)
    for row in about:
        assert not re.search(r"\b(man|dog)\b", answer(row)) or answer(row).startswith("No, ")


def test_a_named_thing_is_called_by_its_name_and_a_photo_without_it_is_not():
    named, plain = [], []
    for seed in range(4):
        for row in labelled_rows(seed):
            there = [tag for path, tag in zip(row["extra"], tags(row), strict=True) if path == "crop/teapot.jpg"]
            if row["image"] == "teapot.jpg" and row["type"] in {"personal_caption", "noise"}:
                (named if there else plain).append((there, answer(row)))
    assert named
    assert plain
    assert all(there[0] in said for there, said in named)
    assert all("<" not in said for _, said in plain)


def test_a_room_is_told_with_what_stands_in_it_its_colours_and_the_questions_that_come_with_it():
    said = {
        row["conversations"][0]["value"].split("\n")[-1]: answer(row)
        for row in labelled_rows(3)
        if row["image"] == "kitchen.jpg"
    }
    assert said["What colour is the stove?"] == "The stove is white."
    assert said["How many sinks?"] == "One."
    captions = [answer(row) for row in labelled_rows(3) if row["image"] == "kitchen.jpg" and row["type"] == "label"]
    assert any(re.match(r"A kitchen with a stove and a sink", text) for text in captions)
    assert not any("wall" in text for text in captions)


@pytest.mark.parametrize("label", ["trousers", "shoes", "glass", "octopus", "apple"])
def test_plurals_have_no_article(label):
    expected = {"trousers": "trousers", "shoes": "shoes", "glass": "a glass"}
    assert noun_phrase(label) == expected.get(label, f"an {label}")


def test_labels_alone_are_enough_for_a_photo_and_odd_ones_are_told_in_words(tmp_path):
    row = {"image": "a.jpg", "labels": ["teapot"], "colours": {"teapot": "blue"}, "split": "val", "source": "shop"}
    (tmp_path / "captions.jsonl").write_text(json.dumps(row), encoding="utf-8")
    photo = Photos(tmp_path).split("val")[0]
    assert (photo.captions, photo.labels, photo.colours, photo.source) == ((), ("teapot",), {"teapot": "blue"}, "shop")
    for odd in ({"labels": "teapot"}, {"labels": [1]}, {"labels": ["a"], "qa": [{"question": "?"}]}, {}):
        (tmp_path / "captions.jsonl").write_text(json.dumps({"image": "a.jpg", **odd}), encoding="utf-8")
        with pytest.raises(PersonalError, match=r"captions\.jsonl"):
            Photos(tmp_path)
