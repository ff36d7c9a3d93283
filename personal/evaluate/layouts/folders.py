"""Layouts that are folders of photos: Yo'LLaVA, MyVLM, MC-LLaVA, PODS, DreamBooth.

A layout's name, what tells it, and what was verified stand with its reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personal.errors import PersonalError
from personal.evaluate.choice import read_questions
from personal.evaluate.layouts.shape import (
    Dataset,
    Query,
    Question,
    Search,
    Subject,
    find,
    folders,
    load,
    pictures,
)

CAPTIONS = ("captions_augmented.json", "captions.json")
MADE = re.compile(r"_(mask|som|bbox(es)?)$")
"""Pictures that MC-LLaVA's scripts put beside the photos."""


def is_yollava(root: Path) -> bool:
    return all(any(pictures(home) for home in folders(root / part)) for part in ("train", "test"))


def yollava(root: Path) -> Dataset:
    """Read `train/<concept>/*.png` and `test/<concept>/*.png`, and the questions in `yollava-visual-qa.json`.

    Photos in folders inside `train/<concept>` (`negative_example`, `laion`) are negatives. As its README and file list
    (github.com/WisconsinAIVision/YoLLaVA, yollava-data) have it.
    """
    subjects = [
        Subject(home.name, pictures(home), negatives=tuple(path for inner in folders(home) for path in pictures(inner)))
        for home in folders(root / "train")
    ]
    queries = [Query(path, frozenset({home.name})) for home in folders(root / "test") for path in pictures(home)]
    questions: list[Question] = []
    notes: list[str] = []
    for file in sorted(root.glob("yollava-*qa.json")):
        try:
            questions += two_options(file, (root.parent, root))
        except PersonalError as error:
            notes.append(f"{file.name} left out: {error}")
    return Dataset("yollava", root, tuple(subjects), tuple(queries), questions=tuple(questions), notes=tuple(notes))


def two_options(file: Path, roots: Sequence[Path]) -> list[Question]:
    """Read Yo'LLaVA's or RAP's two-option questions; one about a photo that is not there keeps none."""
    return [
        Question((q.concept,), q.text, q.right, (q.a, q.b), find(roots, q.file) if q.file else None)
        for q in read_questions(file)
    ]


def is_myvlm(root: Path) -> bool:
    return any((home / name).is_file() for home in folders(root) for name in CAPTIONS)


def myvlm(root: Path) -> Dataset:
    """Read `<concept>/*.jpg` and captions.json {file: [captions]}; there is no split.

    A caption that names its concept makes a search for its photo, a * in the name's place; questions come from
    additional_llava_vqa_data.json {file: [[question, answer]]}. As the README and `data_utils.py` of
    github.com/snap-research/MyVLM have it; the photos themselves were not seen.
    """
    queries, searches, questions = [], [], []
    for home in folders(root):
        file = next((home / name for name in CAPTIONS if (home / name).is_file()), None)
        captions: dict[str, list[str]] = load(file) if file else {}
        answers = home / "additional_llava_vqa_data.json"
        asked: dict[str, list[list[str]]] = load(answers) if answers.is_file() else {}
        named = re.compile(rf"(?<!\w)<?{re.escape(home.name)}>?(?!\w)", re.IGNORECASE)
        for path in pictures(home):
            said = tuple(captions.get(path.name, ()))
            queries.append(Query(path, frozenset({home.name}), captions=said))
            texts = dict.fromkeys(named.sub("*", text, count=1) for text in said if named.search(text))
            searches += [Search(text, (home.name,), frozenset({path})) for text in texts]
        for name, pairs in asked.items():
            questions += [Question((home.name,), text, answer, photo=find((home,), name)) for text, answer in pairs]
    subjects = tuple(Subject(home.name) for home in folders(root) if pictures(home))
    return Dataset("myvlm", root, subjects, tuple(queries), tuple(searches), tuple(questions))


def is_mcllava(root: Path) -> bool:
    return bool(_parts(root))


def _parts(root: Path) -> list[Path]:
    return [
        p for p in folders(root) if p.name.endswith("_concept") and (p / "concept").is_dir() and (p / "multi").is_dir()
    ]


def mcllava(root: Path) -> Dataset:
    """Read `{two,three}_concept/concept/{train,test}/<name>/*.png` and `…/multi/<name>_<name>/*.png`.

    position.json {file: {name: place or null}} says who is in a photo of several; without it all of the folder's names
    are. A scenario's concepts are registered together. Questions come from choice.json and vqa.json {file: {"Human",
    "AI"} or a list of them} and qa.json [{"question", "answer"}], their options inside the text. As the README and
    `llava/dataset.py` of github.com/arctanxarc/MC-LLaVA have it; the data was not seen, places in words give no boxes.
    """
    subjects: dict[str, Subject] = {}
    queries: list[Query] = []
    questions: list[Question] = []
    notes: list[str] = []
    for part in _parts(root):
        trained = folders(part / "concept" / "train")
        casts = {scene: _cast(scene.name, {home.name for home in trained}) for scene in folders(part / "multi")}
        for home in trained:
            if home.name in subjects:
                notes.append(f"{part.name}/{home.name} left out: another concept has this name.")
                continue
            subjects[home.name] = Subject(home.name, _taken(home))
        for home in folders(part / "concept" / "test"):
            friends = next((cast for cast in casts.values() if home.name in cast), frozenset())
            queries += [Query(path, frozenset({home.name}), together=friends) for path in _taken(home)]
            questions += _mcllava_questions(home, (home.name,))
        for scene, cast in casts.items():
            file = scene / "position.json"
            places: dict[str, Mapping[str, Any]] = load(file) if file.is_file() else {}
            there = {Path(name).name: {who for who, at in by.items() if at is not None} for name, by in places.items()}
            queries += [Query(path, frozenset(there.get(path.name, cast)), together=cast) for path in _taken(scene)]
            questions += _mcllava_questions(scene, tuple(sorted(cast)))
    return Dataset(
        "mc-llava", root, tuple(subjects.values()), tuple(queries), questions=tuple(questions), notes=tuple(notes)
    )


def _taken(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in pictures(folder) if not MADE.search(path.stem))


def _cast(scene: str, names: set[str]) -> frozenset[str]:
    """Split a scenario's name, `Alex_Gloria_Marty`, at underlines, but for those that are part of a concept's name."""
    cast, words = [], scene.split("_")
    while words:
        length = next((n for n in range(len(words), 0, -1) if "_".join(words[:n]) in names), 1)
        cast.append("_".join(words[:length]))
        words = words[length:]
    return frozenset(cast)


def _mcllava_questions(home: Path, concepts: tuple[str, ...]) -> list[Question]:
    found = []
    for file in (home / "choice.json", home / "vqa.json"):
        asked: dict[str, Any] = load(file) if file.is_file() else {}
        for name, pairs in asked.items():
            photo = find((home,), Path(name.replace("\\", "/")).name)
            pairs = [pairs] if isinstance(pairs, dict) else pairs
            found += [Question(concepts, pair["Human"], pair["AI"], photo=photo) for pair in pairs]
    plain = load(home / "qa.json") if (home / "qa.json").is_file() else []
    return found + [Question(concepts, pair["question"], pair["answer"]) for pair in plain]


def is_pods(root: Path) -> bool:
    tested = (root / "test").is_dir() or (root / "test_dense").is_dir()
    told = any(root.glob("*_info.json")) or any(root.glob("*_masks"))
    return (root / "train").is_dir() and tested and told


def pods(root: Path) -> Dataset:
    """Read `train/<class>/*`, `test/<class>/*`, `test_dense/<class>/*` with `test_dense_masks` (or `test_masks`).

    pods_info.json gives classes their category (class_to_sc) and split: only classes of the test split are read, as in
    the paper's tables. pods_image_annos.json gives a photo its condition (test_split); that its image ids are file
    names or stems, with or without the class before them, could not be verified. DOGS and DF2 are alike. As
    `dataset/README.md` and `downstream/` of github.com/ssundaram21/personalized-rep have it.
    """
    info, annotations = (next(iter(sorted(root.glob(kind))), None) for kind in ("*_info.json", "*_image_annos.json"))
    facts: dict[str, Any] = load(info) if info else {}
    marked: dict[str, Any] = load(annotations) if annotations else {}
    kinds, splits = facts.get("class_to_sc", {}), facts.get("class_to_split", {})
    homes = [home for home in folders(root / "train") if splits.get(home.name, "test") == "test"]
    subjects = [Subject(home.name, pictures(home), str(kinds.get(home.name, ""))) for home in homes]
    queries = []
    for part in ("test_dense", "test"):
        for home in homes:
            masks = {mask.stem: mask for mask in pictures(root / f"{part}_masks" / home.name)}
            for path in pictures(root / part / home.name):
                keys = (path.name, path.stem, f"{home.name}/{path.name}", f"{home.name}/{path.stem}")
                note: dict[str, str] = next((marked[key] for key in keys if key in marked), {})
                mask = {home.name: masks[path.stem]} if path.stem in masks else {}
                queries.append(Query(path, frozenset({home.name}), condition=note.get("test_split", ""), masks=mask))
    aside = sum(split != "test" for split in splits.values())
    notes = (f"{aside} classes of the validation split left out.",) if aside else ()
    return Dataset("pods", root, tuple(subjects), tuple(queries), notes=notes)


def is_dreambooth(root: Path) -> bool:
    return sum(bool(pictures(home)) for home in folders(root)) > 1


def dreambooth(root: Path) -> Dataset:
    """Read `<concept>/*.jpg`; there is no split. Any folder of folders of photos will do.

    Categories come from prompts_and_classes.txt (lines of subject_name,class, as in github.com/google/dreambooth) or
    from a categories.json {name: category}.
    """
    homes = [home for home in folders(root) if pictures(home)]
    file, lines = root / "categories.json", root / "prompts_and_classes.txt"
    kinds: dict[str, Any] = load(file) if file.is_file() else {}
    if lines.is_file():
        rows = (line.split(",") for line in lines.read_text(encoding="utf-8").splitlines())
        kinds |= {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    subjects = tuple(Subject(home.name, category=str(kinds.get(home.name, ""))) for home in homes)
    queries = tuple(Query(path, frozenset({home.name})) for home in homes for path in pictures(home))
    return Dataset("dreambooth", root, subjects, queries)
