"""Published layouts, each as a small folder of drawn photos: what is read, told apart, left out and dealt out."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image, ImageDraw

from personal.errors import PersonalError
from personal.evaluate.identify import draw, identify
from personal.evaluate.layouts import deal, detect, identified, read, usable
from personal.images import open_photo, read_photo

RED, GREEN, BLUE, NIGHT = (220, 20, 20), (20, 190, 30), (20, 30, 210), (5, 5, 5)
COLOURS = {"cherry": RED, "leaf": GREEN, "sea_1": BLUE}


def paint(path, colour, *, beside=None, size=(64, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, colour)
    if beside:
        ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=beside)
    image.save(path)
    return path


def shade(colour, step):
    return tuple(min(255, c + 2 * step) for c in colour)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def yollava(root):
    for name, colour in COLOURS.items():
        for i in range(3):
            paint(root / "train" / name / f"{i}.png", shade(colour, i))
            paint(root / "test" / name / f"{i}.png", shade(colour, 10 + i))
        paint(root / "train" / name / "negative_example" / "76618997f6ce.png", NIGHT)
        write(root / "train" / name / "negative_example" / "scores.json", {"clip_score": 0.6})
    asked = {"question": "What colour is <sks>?", "options": {"A": "Red", "B": "Blue"}, "correct_answer": "A"}
    write(root / "yollava-visual-qa.json", {"cherry": {"./yollava-data/test/cherry/1.png": asked}})
    return root


def myvlm(root):
    for name, colour in COLOURS.items():
        files = [paint(root / name / f"{name}_{i}.jpg", shade(colour, i)).name for i in range(4)]
        captions = {file: [f"{name.title()} on a table, number {i}.", "No name."] for i, file in enumerate(files)}
        write(root / name / "captions.json", captions)
    write(root / "leaf" / "additional_llava_vqa_data.json", {"leaf_0.jpg": [["Where is leaf?", "On a table."]]})
    return root


def mcllava(root):
    write(root / "scenarios.json", ["cherry_leaf_sea_1"])
    part = root / "three_concept"
    for name, colour in COLOURS.items():
        for i in range(3):
            paint(part / "concept" / "train" / name / f"{i}.png", shade(colour, i))
            paint(part / "concept" / "train" / name / f"{i}_mask.png", "white")
        paint(part / "concept" / "test" / name / "0.png", shade(colour, 9))
        asked = {f"/workspace/data/three_concept/concept/test/{name}/0.png": {"Human": "Is it red? A. B.", "AI": "A"}}
        write(part / "concept" / "test" / name / "choice.json", asked)
        write(part / "concept" / "test" / name / "qa.json", [{"question": "Who? A. B.", "answer": "B"}])
    scene = part / "multi" / "cherry_leaf_sea_1"
    paint(scene / "0.png", RED, beside=GREEN)
    paint(scene / "0_som.png", NIGHT)
    paint(scene / "1.png", RED, beside=BLUE)
    place = {"cherry": "left", "leaf": "right", "sea_1": None}
    write(scene / "position.json", {"/workspace/multi/cherry_leaf_sea_1/0.png": place})
    write(scene / "vqa.json", {"x/0.png": [{"Human": "Where is <cherry>?", "AI": "Left."}] * 2})
    return root


def database(folder, path="./data/database_tot/database_2_concepts"):
    records = {}
    for name, colour in COLOURS.items():
        paint(folder / f"{name}.jpg", colour)
        record = {
            "name": name.title(),
            "image": f"{path}/{name}.jpg",
            "info": f"<{name}> is one.",
            "category": "colour",
        }
        records[f"<{name}>"] = record
    return {"concept_dict": records, "path_to_concept": {}}


def rap(root):
    write(root / "example_database" / "database.json", database(root / "example_database", "example_database"))
    rows = []
    for name, colour in COLOURS.items():
        paint(root / "yollava-data" / "test" / name / "4.png", shade(colour, 4))
        image = f"benchmark_data/yollava-data/test/{name}/4.png"
        for kind, other in (("positive", name), *(("negative", other) for other in COLOURS)):
            question = f"<image>\nIs <{other}> in this image?"
            row = {
                "image": image,
                "question": question,
                "concept": other,
                "type": kind,
                "correct_answer": other == name,
            }
            rows.append(row)
    rows.append({**rows[0], "image": "benchmark_data/yollava-data/test/cherry/99.png"})
    write(root / "eval" / "recognition_test.json", rows)
    text = {"question": "What is <sks>?", "option": {"A": "A colour", "B": "A car"}, "correct_answer": "A"}
    write(root / "yollava-text-only-qa.json", {"leaf": {"0": text}})
    write(root / "rap_train.json", [{"id": 1, "image": "x.jpg", "conversations": []}])
    return root


def repic(root):
    home = root / "data" / "database_tot" / "database_2_concepts"
    write(home / "database_mod.json", database(home))
    write(home / "id2filename.json", {"0": "cherry.jpg"})
    paint(root / "data" / "query-image-2-concepts" / "cherry_and_leaf" / "cherry_and_leaf_1.jpg", RED, beside=GREEN)
    asked = {"./data/query-image-2-concepts/cherry_and_leaf/cherry_and_leaf_1.jpg": ["<cherry>", "<leaf>"]}
    write(root / "data" / "query_tot" / "2_concept_query_templates.json", asked)
    return root


def pods(root):
    for name, colour in COLOURS.items():
        for i in range(3):
            paint(root / "train" / name / f"{i}.jpg", shade(colour, i))
            paint(root / "test" / name / f"{i + 10}.jpg", shade(colour, 10 + i))
        paint(root / "test_dense" / name / "20.jpg", NIGHT, beside=colour)
        paint(root / "test_dense_masks" / name / "20.png", "black", beside="white")
    paint(root / "train" / "aside" / "0.jpg", NIGHT)
    splits = {**dict.fromkeys(COLOURS, "test"), "aside": "val"}
    write(root / "pods_info.json", {"class_to_sc": dict.fromkeys(splits, "mug"), "class_to_split": splits})
    write(root / "pods_image_annos.json", {"cherry/11": {"class": "cherry", "split": "test", "test_split": "pose"}})
    return root


def conconchi(root, *, columns=False):
    images = root / "data" / "images"
    concepts = [{"coarse": "fruit", "rich": f"a rich {name}"} for name in COLOURS]
    train, test = [], []
    for number, colour in enumerate(COLOURS.values()):
        files = [paint(images / f"train{number}{i}.jpg", shade(colour, i)).name for i in range(2)]
        train.append({"LABEL": "a photo of *", "CONCEPTS": [number], "GTS": files, "KIND": "train"})
    paint(images / "night.jpg", RED, beside=NIGHT)
    paint(images / "both.jpg", RED, beside=GREEN)
    paint(images / "plain.jpg", GREEN, beside=(250, 250, 250))
    test = [
        {"LABEL": "* at night", "CONCEPTS": [0], "GTS": ["night.jpg"], "ADDITIONAL GTS": ["train00.jpg"], "KIND": "q"},
        {"LABEL": "* beside *", "CONCEPTS": [0, 1], "GTS": ["both.jpg"], "ADDITIONAL GTS": [], "KIND": "q"},
        {"LABEL": "* on white", "CONCEPTS": [1], "GTS": ["plain.jpg"], "ADDITIONAL GTS": [], "KIND": "negative"},
    ]
    if columns:
        concepts = {key: {str(i): row[key] for i, row in enumerate(concepts)} for key in concepts[0]}
        test = {key: [row[key] for row in test] for key in test[0]}
    for name, data in (("train", train), ("test", test)):
        record = {"concepts": concepts, "max_gts": 2, "max_concepts": 2, "data": data}
        write(root / "data" / "annotations" / f"{name}.json", record)
    return root


def pervl(root):
    home = root / "data" / "deep_fashion2" / "personalized_test"
    rows = ["image_name,pair_id,caption"]
    for number, colour in enumerate(COLOURS.values(), 100):
        paint(home / "codes_infer" / str(number) / "1.jpg", colour)
        paint(home / "eval" / "test" / f"{number}7.jpg", shade(colour, 5))
        rows.append(f'train/image/{number}7.jpg,{number},"outside, a person stands by a person."')
    write(root / "annotations" / "deep_fashion" / "test_captions.csv", "\n".join(rows) + "\n")
    return root


def dreambooth(root):
    for name, colour in COLOURS.items():
        for i in range(4):
            paint(root / name / f"0{i}.jpg", shade(colour, i))
    write(root / "prompts_and_classes.txt", "Classes\n\nsubject_name,class\ncherry,fruit\nleaf,plant\n")
    return root


MAKERS = {
    "yollava": yollava,
    "myvlm": myvlm,
    "mc-llava": mcllava,
    "rap": rap,
    "repic": repic,
    "pods": pods,
    "concon-chi": conconchi,
    "pervl": pervl,
    "dreambooth": dreambooth,
}


@pytest.mark.parametrize("layout", MAKERS)
def test_a_layout_is_told_and_every_photo_of_it_can_be_read(tmp_path, layout):
    root = MAKERS[layout](tmp_path)
    assert detect(root) == layout
    dataset = read(root)
    assert dataset.layout == layout
    assert len(dataset.subjects) == 3
    paths = {path for s in dataset.subjects for path in (*s.references, *s.negatives)}
    paths |= {query.path for query in dataset.queries} | {path for s in dataset.searches for path in s.photos}
    assert len(paths) >= 4
    assert all(read_photo(path).width == 64 for path in paths)
    assert {name for query in dataset.queries for name in query.concepts} <= {s.name for s in dataset.subjects}
    assert len(usable(dataset, 1).subjects) == 3


@pytest.mark.parametrize("layout", MAKERS)
def test_a_photo_that_cannot_be_read_gives_a_note_and_harms_nothing_else(tmp_path, layout):
    dataset = read(MAKERS[layout](tmp_path))
    before = usable(dataset, 1)
    victim = dataset.queries[-1].path
    victim.write_bytes(b"\xff\xd8\xffnothing")
    other = next(query.path for query in dataset.queries if query.path != victim) if len(dataset.queries) > 1 else None
    if other is None:
        with pytest.raises(PersonalError, match=victim.name):
            usable(dataset, 1)
        return
    after = usable(read(tmp_path), 1)
    assert [note for note in after.notes if victim.name in note]
    kept = {query.path: query.concepts for query in after.queries}
    assert victim not in kept
    assert kept == {query.path: query.concepts for query in before.queries if query.path in kept}
    assert kept.keys() >= {query.path for query in before.queries if query.concepts != dataset.queries[-1].concepts}


def test_what_is_no_layout_is_refused_with_all_that_was_looked_for(tmp_path):
    paint(tmp_path / "photos" / "0.jpg", RED)
    with pytest.raises(PersonalError) as caught:
        read(tmp_path)
    assert all(name in str(caught.value) for name in MAKERS)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(PersonalError):
        detect(tmp_path / "missing")


@pytest.mark.parametrize("broken", ["{", "[]", '{"concept_dict": 3}', '{"concept_dict": {"<bo>": []}}'])
def test_a_broken_database_is_refused_in_words(tmp_path, broken):
    write(tmp_path / "database.json", broken)
    with pytest.raises(PersonalError, match=r"database\.json"):
        read(tmp_path)


def test_yollava_has_a_split_negatives_and_questions(tmp_path):
    dataset = read(yollava(tmp_path / "yollava-data"))
    assert dataset.split
    cherry = dataset.subjects[0]
    assert [path.name for path in cherry.references] == ["0.png", "1.png", "2.png"]
    assert [path.name for path in cherry.negatives] == ["76618997f6ce.png"]
    assert len(dataset.queries) == 9
    (question,) = dataset.questions
    assert (question.concepts, question.options, question.answer) == (("cherry",), ("Red", "Blue"), "A")
    assert question.photo == tmp_path / "yollava-data" / "test" / "cherry" / "1.png"
    (tmp_path / "yollava-data" / "yollava-odd-qa.json").write_text('{"x": {}}')
    again = read(tmp_path / "yollava-data")
    assert (again.questions, again.queries) == (dataset.questions, dataset.queries)
    assert again.notes[0].startswith("yollava-odd-qa.json left out: ")


def test_a_caption_of_myvlm_that_names_the_concept_is_a_search_for_its_photo(tmp_path):
    dataset = read(myvlm(tmp_path))
    assert not dataset.split
    assert len(dataset.searches) == 12
    first = dataset.searches[0]
    assert (first.text, first.concepts) == ("* on a table, number 0.", ("cherry",))
    assert {path.name for path in first.photos} == {"cherry_0.jpg"}
    assert dataset.queries[0].captions == ("Cherry on a table, number 0.", "No name.")
    (question,) = dataset.questions
    assert (question.text, question.answer, question.photo) == (
        "Where is leaf?",
        "On a table.",
        tmp_path / "leaf" / "leaf_0.jpg",
    )


def test_mcllava_tells_who_is_in_a_photo_of_several_and_leaves_drawn_pictures_alone(tmp_path):
    dataset = read(mcllava(tmp_path))
    assert all(len(subject.references) == 3 for subject in dataset.subjects)
    multi = {query.path.name: query for query in dataset.queries if query.path.parent.name == "cherry_leaf_sea_1"}
    assert set(multi) == {"0.png", "1.png"}
    assert multi["0.png"].concepts == {"cherry", "leaf"}
    assert multi["1.png"].concepts == multi["1.png"].together == set(COLOURS)
    assert {query.together for query in dataset.queries} == {frozenset(COLOURS)}
    assert [q.answer for q in dataset.questions] == ["A", "B", "A", "B", "A", "B", "Left.", "Left."]
    assert dataset.questions[0].photo == tmp_path / "three_concept" / "concept" / "test" / "cherry" / "0.png"
    assert dataset.questions[1].photo is None


def test_rap_goes_by_keys_and_by_what_is_right_not_by_numbers_or_types(tmp_path):
    dataset = read(rap(tmp_path))
    assert [s.name for s in dataset.subjects] == list(COLOURS)
    assert (dataset.subjects[0].category, dataset.subjects[0].info) == ("colour", "<cherry> is one.")
    assert {query.path.parent.name: query.concepts for query in dataset.queries} == {n: {n} for n in COLOURS}
    assert [note for note in dataset.notes if "cherry/99.png" in note and note.startswith("1 photos")]
    assert [q.text for q in dataset.questions] == ["What is <sks>?"]
    (tmp_path / "example_database" / "cherry.jpg").unlink()
    without = read(tmp_path)
    assert {s.name: [p.name for p in s.references] for s in without.subjects} == {
        "cherry": [],
        "leaf": ["leaf.jpg"],
        "sea_1": ["sea_1.jpg"],
    }
    remaining = usable(without, 1)
    assert [s.name for s in remaining.subjects] == ["leaf", "sea_1"]
    assert {name for query in remaining.queries for name in query.concepts} == {"leaf", "sea_1"}


def test_raps_own_example_database_is_read(shared_data):
    dataset = read(shared_data / "rap")
    assert dataset.layout == "rap"
    assert len(dataset.subjects) == 10
    assert all(len(subject.references) == 1 and subject.info for subject in dataset.subjects)
    assert len(dataset.questions) > 400


def test_a_photo_of_repic_with_several_fours_is_a_query_for_each(tmp_path):
    root = repic(tmp_path)
    home = tmp_path / "data" / "database_tot" / "database_4_concepts"
    write(home / "database_mod.json", database(home))
    paint(tmp_path / "data" / "query-image-4-concepts" / "group photo_all.jpg", RED, beside=BLUE)
    fours = [["<cherry>", "<leaf>"], ["<leaf>", "<sea_1>"]]
    file = tmp_path / "data" / "query_tot" / "4_concept_query_templates.json"
    write(file, {"./data/query-image-4-concepts/group photo_all.jpg": fours})
    with pytest.raises(PersonalError, match=r"2_concept_query_templates.json, 4_concept"):
        read(root)
    dataset = read(file)
    assert [(set(q.concepts), set(q.others), q.together == q.concepts) for q in dataset.queries] == [
        ({"cherry", "leaf"}, {"sea_1"}, True),
        ({"leaf", "sea_1"}, {"cherry"}, True),
    ]
    assert len(usable(dataset, 1).queries) == 2


def test_pods_reads_its_test_classes_with_conditions_and_boxes_around_masks(tmp_path):
    dataset = read(pods(tmp_path))
    assert dataset.notes == ("1 classes of the validation split left out.",)
    assert {subject.category for subject in dataset.subjects} == {"mug"}
    assert len(dataset.queries) == 12
    assert [query.path.name for query in dataset.queries if query.condition == "pose"] == ["11.jpg"]
    dense = dataset.queries[0]
    assert dense.known_boxes() == {"cherry": (0.5, 0, 1, 1)}
    assert dataset.queries[-1].known_boxes() == {}


@pytest.mark.parametrize("columns", [False, True])
def test_conconchi_has_searches_with_all_their_right_photos_that_are_candidates(tmp_path, columns):
    dataset = read(conconchi(tmp_path, columns=columns))
    assert next((s.name, s.category, s.info) for s in dataset.subjects) == ("concept 0", "fruit", "a rich cherry")
    assert all(len(subject.references) == 2 for subject in dataset.subjects)
    assert {q.path.name: set(q.concepts) for q in dataset.queries} == {
        "night.jpg": {"concept 0"},
        "both.jpg": {"concept 0", "concept 1"},
        "plain.jpg": {"concept 1"},
    }
    assert [(s.text, s.concepts, {p.name for p in s.photos}) for s in dataset.searches] == [
        ("* at night", ("concept 0",), {"night.jpg"}),
        ("* beside *", ("concept 0", "concept 1"), {"both.jpg"}),
    ]


def test_pervl_puts_the_concept_in_the_place_of_the_person(tmp_path):
    dataset = read(pervl(tmp_path))
    assert [s.name for s in dataset.subjects] == ["100", "101", "102"]
    assert dataset.searches[0].text == "outside, a * stands by a person."
    assert dataset.searches[0].concepts == ("100",)


def test_of_pervls_splits_the_test_one_is_read(tmp_path):
    home = pervl(tmp_path) / "data" / "deep_fashion2"
    shutil.copytree(home / "personalized_test", home / "personalized_validation")
    assert all("personalized_test" in str(query.path) for query in read(tmp_path).queries)


def test_names_are_those_that_the_library_will_give_back(assistant, tmp_path):
    for i, name in enumerate(("Zoe\u0308", "bo ")):
        for j in range(3):
            paint(tmp_path / name / f"{j}.png", shade(list(COLOURS.values())[i], j))
    folder = identified.as_folder(usable(read(tmp_path), 1), 1)
    assert set(folder.photos) == {"Zo\u00eb", "bo"}
    assert identify(assistant, folder, references=1, seeds=2).report["top1"] == 1


def test_a_photo_that_two_files_ask_about_is_asked_about_once(tmp_path):
    root = rap(tmp_path)
    before = usable(read(root), 1)
    shown = {row["image"]: row["concept"] for row in json.loads((root / "eval" / "recognition_test.json").read_text())
             if row["correct_answer"] and "99" not in row["image"]}  # fmt: skip
    write(root / "eval" / "captioning_test.json", {image: [f"<{name}>"] for image, name in shown.items()})
    assert len(read(root).queries) > len(before.queries)
    assert sorted(q.path for q in usable(read(root), 1).queries) == sorted(q.path for q in before.queries)


# -- dealing out ------------------------------------------------------------------------------------------------------


def test_where_there_is_no_split_a_seed_draws_what_identification_draws(tmp_path):
    root = dreambooth(tmp_path)
    dataset = usable(read(root), 2)
    assert {s.name: s.category for s in dataset.subjects} == {"cherry": "fruit", "leaf": "plant", "sea_1": ""}
    folder = identified.read_folder(root, 2)
    for seed in range(5):
        chosen, queries = draw(folder, 2, 1, seed)
        dealt = deal(dataset, 2, unregistered=1, seed=seed)
        assert {n: [read_photo(p) for p in paths] for n, paths in dealt.references.items()} == chosen
        assert [read_photo(q.path) for q in dealt.queries] == [p for some in queries.values() for p in some]


def test_where_there_is_a_split_references_come_from_it_and_all_queries_are_asked(tmp_path):
    dataset = usable(read(yollava(tmp_path)), 2)
    dealt = deal(dataset, 2, unregistered=1, seed=3)
    assert len(dealt.references) == 2
    assert all(len(paths) == 2 and "train" in paths[0].parts for paths in dealt.references.values())
    assert len(dealt.queries) == 9
    assert {len(paths) for paths in deal(dataset, 100).references.values()} == {3}
    assert deal(dataset, 2, seed=3).references != deal(dataset, 2, seed=4).references
    with pytest.raises(PersonalError, match="unregistered"):
        deal(dataset, 1, unregistered=3)


def test_a_reference_that_is_a_query_too_and_twins_are_left_out(tmp_path):
    yollava(tmp_path)
    paint(tmp_path / "test" / "leaf" / "leak.png", shade(GREEN, 1))
    paint(tmp_path / "test" / "leaf" / "twin.png", shade(GREEN, 11))
    paint(tmp_path / "train" / "leaf" / "again.png", shade(GREEN, 0))
    dataset = usable(read(tmp_path), 1)
    assert len(dataset.queries) == 9
    assert sorted(dataset.notes) == [
        "test/leaf/leak.png left out: it is a reference photo too.",
        "test/leaf/twin.png left out: the same photo is there already.",
        "train/leaf/again.png left out: the same photo is there already.",
    ]


def test_a_photo_of_two_concepts_folders_is_left_out_of_both(tmp_path):
    root = dreambooth(tmp_path)
    before = usable(read(root), 1).queries
    (leaf, *_), (cherry, *_) = ([q.path for q in before if q.concepts == {name}] for name in ("leaf", "cherry"))
    (cherry.parent / f"zz{leaf.suffix}").write_bytes(leaf.read_bytes())
    dataset = usable(read(root), 1)
    assert {q.path for q in dataset.queries} == {q.path for q in before} - {leaf}
    assert [note.endswith("one of another concept.") for note in dataset.notes] == [True, True]


def test_too_few_photos_are_refused_with_the_reasons(tmp_path):
    with pytest.raises(PersonalError, match="cherry left out: 4 usable photos, 5 needed"):
        usable(read(dreambooth(tmp_path)), 4)


@pytest.mark.parametrize("layout", ["yollava", "dreambooth", "pods", "rap", "mc-llava"])
def test_identification_runs_on_any_layout_closed_and_open(assistant, tmp_path, layout):
    dataset = usable(read(MAKERS[layout](tmp_path)), 1)
    closed = identify(assistant, identified.as_folder(dataset, 1), references=1, seeds=2).report
    assert closed["top1"] == 1
    assert (closed["auroc"], closed["f1"], closed["concepts"]) == (None, None, 3)
    for seed in range(2):
        assistant.erase(f"seed-{seed}")
    opened = identify(assistant, identified.as_folder(dataset, 1), references=1, seeds=2, unregistered=1)
    assert opened.report["auroc"] >= 0.9
    assert sum(opened.confusion.values()) == opened.report["queries"]


def test_any_layout_is_a_folder_for_the_protocols_about_one_concept(assistant, tmp_path):
    folder = identified.as_folder(usable(read(pods(tmp_path / "pods")), 2), 2)
    assert {name: len(photos) for name, photos in folder.photos.items()} == dict.fromkeys(COLOURS, 3)
    assert {name: len(photos) for name, photos in folder.asked.items()} == dict.fromkeys(COLOURS, 4)
    assert folder.files[folder.asked["cherry"][0].sha256] == "test_dense/cherry/20.jpg"
    assert identify(assistant, folder, references=2, seeds=1).report["queries"] == 12
    root = dreambooth(tmp_path / "photos")
    plain = identified.read_folder(root, 2)
    assert {name: len(photos) for name, photos in plain.photos.items()} == dict.fromkeys(COLOURS, 4)
    assert plain.files[plain.photos["leaf"][0].sha256] == "leaf/00.jpg"
    assistant.erase("seed-0")
    single = identified.as_folder(usable(read(rap(tmp_path / "rap")), 3), 3)
    assert identify(assistant, single, references=3, seeds=1).report["top1"] == 1


def test_identification_needs_photos_of_one_concept(tmp_path):
    with pytest.raises(PersonalError, match="them alone"):
        identified.as_folder(usable(read(repic(tmp_path)), 1), 1)


def test_a_photo_is_not_opened_before_it_is_asked_about(tmp_path):
    yollava(tmp_path)
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"")
    assert len(read(tmp_path).queries) == 9


def test_the_mask_that_cannot_be_read_has_no_box(tmp_path):
    dataset = read(pods(tmp_path))
    next(iter(dataset.queries[0].masks.values())).write_bytes(b"torn")
    assert dataset.queries[0].known_boxes() == {}
    assert open_photo(read_photo(dataset.queries[0].path)).size == (64, 64)
