"""Measure what the language model knows and says: `python -m benchmarks.knowledge facts|talk|objects|subjects …`.

`facts` asks 288 questions on written notes (`facts.txt`), of which 138 are not answered there; `talk` says 40 things
without a photo (`talk.txt`); `objects CAPTIONED` captions the val split of labelled photos: is the main label named,
is a person or an animal put in; `subjects FOLDER` captions `concept/photo.jpg` with `categories.json`, nothing being
registered. Everything goes through the Assistant, greedily, in four bits. None of the questions is used in training.

`--model FOLDER` measures another checkpoint, `--limit N` a random sample (seed 0), `--json OUT` writes every answer.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from personal import compose, settings
from personal.assistant import CAPTION, Assistant
from personal.concepts import Photo
from personal.data.photos import CaptionedPhoto, Photos
from personal.data.things import ANIMALS, informative, shows_one_thing
from personal.evaluate.asking import Question, replies
from personal.evaluate.report import Report
from personal.images import read_photo


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HERE = Path(__file__).parent
DENIED = re.compile(
    r"haven't told|have not told|not told|don't know|do not know|no information|not mentioned|doesn't say|"
    r"not say|not sure",
    re.I,
)
PEOPLE = _words(
    "man men woman women boy boys girl girls person people child children kid kids baby player players lady guy "
    "group crowd "
    "someone somebody toddler skateboarder surfer skier biker cyclist climber"
)
BEASTS = _words("dog dogs puppy cat cats kitten horse horses bird birds animal animals cow sheep")
SYNONYMS = {
    "mobile phone": "phone telephone cellphone",
    "t-shirt": "shirt tee",
    "shirt": "top blouse",
    "top": "shirt blouse",
    "undershirt": "shirt top",
    "long-sleeved shirt": "shirt sweater",
    "polo shirt": "shirt",
    "blouse": "shirt top",
    "hoodie": "sweater sweatshirt jacket",
    "blazer": "jacket coat suit",
    "trousers": "pants jeans",
    "shoes": "shoe sneaker sneakers boot boots sandal",
    "baby bodysuit": "bodysuit clothes shirt",
    "motorbike": "motorcycle moped scooter",
    "airplane": "plane airliner jet",
    "pitcher": "jug ewer",
    "sailing ship": "ship boat",
    "sailing boat": "boat ship sailboat",
    "ferry": "ship boat",
    "headphones": "headphone earphones",
    "binocular": "binoculars",
    "euphonium": "horn tuba trombone trumpet",
    "buddha statue": "statue buddha",
    "chair": "seat armchair",
    "windsor chair": "chair",
    "sofa": "couch",
    "pepper": "peppers paprika",
    "melon": "watermelon cantaloupe",
    "living room": "room",
    "bedroom": "bed",
    "sink": "washbasin",
    "cupboard": "cabinet",
    "plush toy": "teddy toy plush plushie bear stuffed",
    "stuffed animal": "teddy toy plush plushie bear stuffed",
    "toy": "teddy toy doll",
    "sneaker": "shoe shoes sneakers",
    "boot": "shoe boots",
    "glasses": "sunglasses",
    "cartoon": "toy emoji",
}
"""Other words that name the same, or what a caption may well call it."""


@dataclass(frozen=True)
class Group:
    """Concepts with notes and the questions about them: accepted answers, any of which holds "&" parts; None untold."""

    category: str
    concepts: list[tuple[str, str, str]] = field(default_factory=list)
    asks: list[tuple[str, list[list[str]] | None]] = field(default_factory=list)


def read_facts(text: str) -> list[Group]:
    """Read `facts.txt`: "= category", "name | kind | notes", "? question = one | another & part", "! question"."""
    groups: list[Group] = []
    category, fresh = "", True
    for line in text.splitlines():
        if line.startswith("= "):
            category = line[2:]
        elif not line.strip():
            fresh = True
        elif line[0] in "?!":
            question, _, accepted = line[2:].partition(" = ")
            found = [[part.strip() for part in one.split("&")] for one in accepted.split("|")] if accepted else None
            groups[-1].asks.append((question, found))
        else:
            if fresh:
                groups.append(Group(category))
            name, kind, notes = (part.strip() for part in line.split("|", 2))
            groups[-1].concepts.append((name, kind, notes))
        fresh = fresh and not (line.strip() and line[0] not in "=?!")
    return groups


def holds(answer: str, accepted: Sequence[Sequence[str]]) -> bool:
    """Tell whether an answer holds all parts of one of the accepted answers."""
    said = answer.casefold()
    return any(all(_held(part.casefold(), said) for part in parts) for parts in accepted)


def _held(part: str, said: str) -> bool:
    return part in said if not part.isalnum() else bool(re.search(rf"(?<![\w.,]){re.escape(part)}", said))


def facts(assistant: Assistant, limit: int | None) -> Report:
    """Ask about written notes."""
    report, asked = Report(), []
    for number, group in enumerate(read_facts((HERE / "facts.txt").read_text(encoding="utf-8"))):
        asked += [(number, group, question, accepted) for question, accepted in group.asks]
    asked = _sampled(asked, limit)
    registered: set[int] = set()
    for number, group, _, _ in asked:
        if number not in registered:
            for place, (name, kind, notes) in enumerate(group.concepts):
                assistant.remember(f"notes-{number}", name, [drawn(10 * number + place)], kind, notes)
            registered.add(number)
    questions = [Question(f"notes-{number}", question) for number, _, question, _ in asked]
    for (number, group, question, accepted), reply in zip(asked, replies(assistant, questions), strict=True):
        answer = reply["answer"]
        denied = bool(DENIED.search(answer))
        right = not denied and holds(answer, accepted) if accepted else denied
        about = {"group": number, "category": group.category, "question": question, "told": accepted is not None}
        report.answers.append({**about, "answer": answer, "right": right})
    _measure(report, "told_right", [a for a in report.answers if a["told"]], "right")
    untold = [{**a, "made_up": not a["right"]} for a in report.answers if not a["told"]]
    _measure(report, "made_up", untold, "made_up")
    for category in dict.fromkeys(a["category"] for a in report.answers):
        _measure(report, category, [a for a in report.answers if a["category"] == category], "right")
    return report


def talk(assistant: Assistant, limit: int | None) -> Report:
    """Say what people say without a photo."""
    report = Report()
    assistant.remember("talk", "bo", [drawn(1)], "dog", "A Shiba Inu.")
    lines = [line.partition(" = ") for line in (HERE / "talk.txt").read_text(encoding="utf-8").splitlines() if line]
    lines = _sampled(lines, limit)
    said = replies(assistant, [Question("talk", question) for question, _, _ in lines])
    for (question, _, accepted), reply in zip(lines, said, strict=True):
        answer = reply["answer"]
        wanted = [one.strip().split(" & ") for one in accepted.split("|")]
        describes = bool(
            re.search(r"^(a|an|two|the) [a-z ]*(" + "|".join(PEOPLE | BEASTS) + r")\b.* (is|are|in|on) ", answer, re.I)
        )
        describes = describes or "in the photo" in answer
        fits = (
            not describes
            and not DENIED.search(answer)
            and any(all(part.strip() in answer.casefold() for part in parts) for parts in wanted)
        )
        report.answers.append({"question": question, "answer": answer, "fits": fits, "describes": describes})
    _measure(report, "fitting", report.answers, "fits")
    _measure(report, "describing", report.answers, "describes")
    return report


def named(answer: str, labels: Sequence[str]) -> bool:
    """Tell whether an answer names one of the labels: its words or its last word, a synonym, singular or plural."""
    words = re.findall(r"[a-z\-]+", answer.casefold())
    known = {*words, *(word.removesuffix("s") for word in words), *(word.removesuffix("es") for word in words)}
    for label in map(str.casefold, labels):
        head = label.split()[-1]
        if known & {head, head.removesuffix("s"), *SYNONYMS.get(label, "").split(), *SYNONYMS.get(head, "").split()}:
            return True
    return False


def main_labels(photo: CaptionedPhoto) -> list[str]:
    """Return what a caption should name: the thing, or the room, or one of the two largest things in it."""
    if shows_one_thing(photo):
        return list(photo.labels)
    return [*filter(None, [photo.scene]), *informative(photo.labels)[:2]]


def objects(assistant: Assistant, folder: Path, limit: int | None) -> Report:
    """Caption the labelled photos of the val split."""
    report, photos = Report(), Photos(folder)
    rows = [photo for photo in photos.split("val") if main_labels(photo)]
    rows = _sampled(rows, limit)
    questions = [Question("nobody", CAPTION, read_photo(photos.read(row.image)), memory=False) for row in rows]
    for row, reply in zip(rows, replies(assistant, questions), strict=True):
        answer, words = reply["answer"], set(re.findall(r"[a-z]+", reply["answer"].casefold()))
        known = set(re.findall(r"[a-z]+", " ".join([*row.labels, *row.captions]).casefold()))
        beasts = (
            BEASTS if not known & ANIMALS else BEASTS - known - {"animal", "animals", "bird", "birds", "cat", "cats"}
        )
        put_in = bool(words & PEOPLE - known) if not known & PEOPLE else False
        put_in = put_in or bool(words & beasts - known)
        about = {"photo": row.image, "labels": list(row.labels), "scene": row.scene, "alone": shows_one_thing(row)}
        right = named(answer, main_labels(row))
        report.answers.append({**about, "answer": answer, "named": right, "put_in": put_in})
    _measure(report, "named", report.answers, "named")
    _measure(report, "put_in", report.answers, "put_in")
    lone = [a for a in report.answers if a["alone"]]
    _measure(report, "alone_named", lone, "named")
    _measure(report, "alone_put_in", lone, "put_in")
    return report


def subjects(assistant: Assistant, folder: Path, limit: int | None) -> Report:
    """Caption photos of single subjects whose categories are known."""
    report = Report()
    categories = json.loads((folder / "categories.json").read_text(encoding="utf-8"))
    paths = [path for name in sorted(categories) for path in sorted((folder / name).iterdir()) if path.is_file()]
    paths = _sampled(paths, limit)
    questions = [Question("nobody", CAPTION, read_photo(path.read_bytes()), memory=False) for path in paths]
    for path, reply in zip(paths, replies(assistant, questions), strict=True):
        category = categories[path.parent.name]
        about = {"photo": f"{path.parent.name}/{path.name}", "category": category, "answer": reply["answer"]}
        report.answers.append({**about, "named": named(reply["answer"], [category])})
    report.measure(
        "named", [a["photo"].split("/")[0] for a in report.answers], [[a["named"], 1] for a in report.answers]
    )
    report.figures["photos"] = len(paths)
    return report


def drawn(number: int) -> Photo:
    """Draw a small picture that no other number has."""
    random, file = Random(number), BytesIO()
    picture = Image.frombytes("RGB", (8, 8), random.randbytes(192)).resize((96, 96))
    picture.save(file, "PNG")
    return read_photo(file.getvalue())


def _sampled(things: list[Any], limit: int | None) -> list[Any]:
    if limit is None or limit >= len(things):
        return things
    places = sorted(Random(0).sample(range(len(things)), limit))
    return [things[place] for place in places]


def _measure(report: Report, name: str, answers: Sequence[dict[str, Any]], key: str) -> None:
    groups = [answer.get("group", number) for number, answer in enumerate(answers)]
    report.measure(name, groups, [[answer[key], 1] for answer in answers])
    report.figures[f"{name}_n"] = len(answers)


def _shown(answers: Sequence[dict[str, Any]]) -> Iterator[str]:
    for answer in answers:
        about = answer.get("question") or f"{answer['photo']} {answer.get('labels') or answer.get('category')}"
        marks = " ".join(f"{k}={answer[k]}" for k in ("right", "fits", "named", "put_in") if k in answer)
        yield f"{about} -> {answer['answer']}  ({marks})"


def main() -> None:
    """Run one of the measurements and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("facts", "talk", "objects", "subjects"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", default="", help="a checkpoint's folder (default: personal-tiny)")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--show", action="store_true", help="print every answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        knobs = settings.load(data_dir=Path(folder), **({"model": options.model} if options.model else {}))
        with compose.build(knobs) as assistant:
            if options.what in {"facts", "talk"}:
                report = {"facts": facts, "talk": talk}[options.what](assistant, options.limit)
            elif options.folder is None:
                raise SystemExit(f"{options.what} needs the folder of photos.")
            else:
                ask = {"objects": objects, "subjects": subjects}[options.what]
                report = ask(assistant, options.folder, options.limit)
    if options.show:
        sys.stdout.write("\n".join(_shown(report.answers)) + "\n")
    sys.stdout.write(report.table() + "\n")
    if options.json:
        saved = {"figures": report.figures, "intervals": report.intervals, "answers": report.answers}
        options.json.write_text(json.dumps(saved, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
