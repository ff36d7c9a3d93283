"""The table beside published figures, and the sheet of the worst mistakes."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from personal.errors import ModelError
from personal.evaluate import asking, commands
from personal.evaluate.__main__ import main
from personal.evaluate.asking import to_mistake
from personal.evaluate.journal import Journal
from personal.evaluate.mistakes import COLUMNS, GAP, MAX_MISTAKES, SIDE, Mistake, draw_sheet, worst
from personal.evaluate.published import PROTOCOLS, comparison
from personal.evaluate.report import Report
from tests.conftest import BLUE, RED, Scripted, open_assistant, picture


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows(text):
    return [cells(line) for line in text.splitlines() if line.startswith("|")]


def report():
    found = Report({"weighted": 0.9251, "positive": 0.875, "negative": None, "questions": 7}, {"weighted": (0.9, 0.95)})
    found.baselines["always_yes"] = Report({"weighted": 0.5, "positive": 1.0, "negative": 0.0})
    return found


def test_ours_comes_first_then_baselines_then_papers_each_with_setting_and_source():
    settings = {"model": "some|one", "references": 3, "no_names": True}
    head, _, ours, yes, *others = rows(comparison("recognition", report(), settings))
    assert head[1:4] == ["weighted", "positive", "negative"]
    assert ours[:4] == ["**this run**", "0.925 [0.900, 0.950]", "0.875", "–"]
    assert ours[4] == "some\\|one, identification, references 3"
    assert yes[:4] == ["always yes", "0.500", "1.000", "0.000"]
    published = [row for row in others if "arXiv" in row[-1]]
    assert len(published) == len(PROTOCOLS["recognition"].published)
    assert published[0] == [
        "RAP-LLaVA-13B",
        "0.980",
        "–",
        "–",
        "verification (the question names the concept), Yo'LLaVA's photos; 1 photo and text",
        "Hao et al., CVPR 2025, arXiv 2410.13360",
    ]
    assert ["model", "some\\|one"] in others
    assert ["references", "3"] in others
    assert ["questions", "7"] in others


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "description", "search"])
def test_every_table_is_whole(protocol):
    text = comparison(protocol, Report({"f1": 0.5, "top1": 0.25}), {})
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    for table in tables:
        assert len({len(row) for row in rows(table)}) == 1
    assert "| f1 | 0.500 |" in text
    if protocol in PROTOCOLS:
        assert f"Where this run is stricter: {PROTOCOLS[protocol].stricter[:20]}" in text


def test_no_paper_is_quoted_without_a_setting_and_a_share():
    for protocol in PROTOCOLS.values():
        for line in protocol.published:
            assert line.setting
            assert line.source
            assert all(0 < value < 1 for value in line.figures.values())


def test_conditions_of_a_question_are_rows_of_their_own():
    shown = rows(comparison("choice", Report({"with_info": 0.8, "without_info": 0.6, "always_a": 0.5}), {}))
    assert [row[:2] for row in shown[2:5]] == [
        ["**this run**", "0.800"],
        ["the same, told nothing of the concept", "0.600"],
        ["always A, both orders", "0.500"],
    ]


# -- the sheet -------------------------------------------------------------------------------------------------------


def mistake(sure, said="<bo>", photo=None, **more):
    return Mistake(photo or picture(RED), "Who is it?", said, "<mo>", sure, **more)


def test_the_surest_mistakes_come_first_and_those_that_rest_on_nothing_last():
    others = [mistake(None, "a"), mistake(0.4, "b"), mistake(0.9, "c"), mistake(None, "d"), mistake(0.7, "e")]
    assert [m.answer for m in worst(others)] == ["c", "e", "b", "a", "d"]
    assert [m.answer for m in worst(others, 2)] == ["c", "e"]


def test_a_mistake_made_again_is_shown_once_with_how_often():
    again = [mistake(0.4), mistake(0.8), mistake(0.6), mistake(0.5, photo=picture(BLUE))]
    assert [(m.similarity, m.times) for m in worst(again)] == [(0.8, 3), (0.5, 1)]


def test_a_mistake_rests_on_those_whom_it_is_about():
    matches = [
        {"name": "bo", "similarity": 0.9, "box": [0, 0, 0.5, 1]},
        {"name": "mo", "similarity": 0.7, "box": [0, 0, 1, 1]},
        {"name": "xi", "similarity": None, "box": None},
    ]
    made = [to_mistake({"answer": "Yes.", "matches": matches}, None, "?", "no", {name}) for name in ("mo", "xi", "yu")]
    assert [m.similarity for m in made] == [0.7, None, None]
    assert made[0].boxes == (((0, 0, 0.5, 1), "bo"), ((0, 0, 1, 1), "mo"))


@pytest.mark.parametrize("count", [1, COLUMNS, COLUMNS + 1, MAX_MISTAKES + 9])
def test_the_sheet_has_a_cell_for_each_of_the_worst(tmp_path, count):
    out = tmp_path / "sheet.png"
    draw_sheet([mistake(i / 50, str(i), boxes=(((0.1, 0.1, 0.6, 0.6), "bo"),)) for i in range(count)], out)
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert image.width == GAP + min(count, COLUMNS) * (SIDE + GAP)
        assert image.height > SIDE * -(-min(count, MAX_MISTAKES) // COLUMNS)
        red = [image.getpixel((GAP + SIDE // 2 + at * (SIDE + GAP), GAP + SIDE - 10)) for at in range(min(count, 6))]
    assert all(r > 150 and g < 90 and b < 90 for r, g, b in red)


def test_a_very_long_photo_is_shown_too(tmp_path):
    draw_sheet([mistake(0.5, photo=picture(RED, size=(1500, 20)), boxes=(((0, 0, 0.5, 1), "bo"),))], tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as image:
        assert image.width == SIDE + 2 * GAP


@pytest.mark.parametrize("text", ["x" * 400, "word " * 200, "Ωμέγα שלום თბილისი 渡辺\nnew line", "", " "])
def test_any_words_fit_on_the_sheet(tmp_path, text):
    draw_sheet([Mistake(None, text, text, text), mistake(0.5, text)], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width == GAP + 2 * (SIDE + GAP)


# -- what the commands write -----------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    for name, colour in (("cherry", (220, 20, 20)), ("leaf", (20, 190, 30))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (64, 64), tuple(c + 2 * i for c in colour)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def opened(tmp_path, monkeypatch, *words):
    monkeypatch.setattr(commands, "open_assistant", lambda: open_assistant(tmp_path / "data", Scripted(words)))


def test_beside_the_figures_lie_a_table_and_a_sheet(tmp_path, photos, monkeypatch, capsys):
    out = tmp_path / "out.json"
    arguments = ["recognition", str(photos), "--references", "1", "--json", str(out)]
    opened(tmp_path, monkeypatch, "Yes.")
    assert main(arguments) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["baselines"]["always_no"]["negative"] == 1
    assert record["baselines"]["text_only"]["positive"] == 1
    assert record["baselines"]["always_yes"]["intervals"]["weighted"] == [0.5, 0.5]
    assert (record["weighted"], record["settings"]["max_new_tokens"]) == (0.5, 256)
    assert "| text only | 0.500 [0.500, 0.500] |" in out.with_suffix(".md").read_text(encoding="utf-8")
    with Image.open(out.with_suffix(".mistakes.png")) as image:
        assert image.width == GAP + 2 * (SIDE + GAP)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.json", "out.md", "out.mistakes.png"]

    assert "weighted" in capsys.readouterr().out


def test_a_run_without_mistakes_leaves_no_sheet_of_an_earlier_one(tmp_path, photos, monkeypatch):
    out = tmp_path / "out.json"
    out.with_suffix(".mistakes.png").write_bytes(b"old")
    opened(tmp_path, monkeypatch)
    assert main(["identify", str(photos), "--json", str(out), "--seeds", "1"]) == 0
    assert json.loads(out.read_text())["top1"] == 1
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.json", "out.md", "out.png"]


def test_a_run_that_fails_keeps_its_answers_and_the_next_uses_them(tmp_path, photos, monkeypatch, capsys):
    out = tmp_path / "out.json"
    arguments = ["recognition", str(photos), "--references", "1", "--json", str(out)]

    class Mortal(Scripted):
        def stream(self, messages, **options):
            self.error = ModelError("no memory is left") if len(self.asked) == 3 else None
            yield from super().stream(messages, **options)

    monkeypatch.setattr(asking, "BATCH", 3)
    monkeypatch.setattr(commands, "open_assistant", lambda: open_assistant(tmp_path / "one", Mortal(("No.",))))
    assert main(arguments) == 1
    assert "no memory is left" in capsys.readouterr().err
    assert not out.exists()
    last = Scripted(("No.",))
    monkeypatch.setattr(commands, "open_assistant", lambda: open_assistant(tmp_path / "two", last))
    assert main(arguments) == 0
    assert "3 answers are there already" in capsys.readouterr().err
    assert len(last.asked) == 4 + 2 - 3
    assert not out.with_suffix(".partial.jsonl").exists()


def test_answers_of_another_command_are_refused_and_kept(tmp_path, photos, monkeypatch, capsys):
    out = tmp_path / "out.json"
    with Journal(out.with_suffix(".partial.jsonl"), {"protocol": "caption"}) as journal:
        journal.recall({"question": "Who?"}, lambda: {"answer": "Bo."})
    opened(tmp_path, monkeypatch, "No.")
    assert main(["recognition", str(photos), "--references", "1", "--json", str(out)]) == 1
    assert "other settings" in capsys.readouterr().err
    assert out.with_suffix(".partial.jsonl").exists()
    assert not out.exists()
