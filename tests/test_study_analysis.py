"""The analysis is scipy's and statsmodels', finds what is planted, claims nothing where nothing is."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from personal import cli
from personal.errors import PersonalError
from personal.study.__main__ import main
from personal.study.compare import compare_all, friedman, overall, pairs_of
from personal.study.export import export
from personal.study.loading import read_study
from personal.study.personas import Persona, Truth, read_truth
from personal.study.rehearsal import power
from personal.study.report import write_report
from personal.study.scales import scores
from personal.study.simulate import in_memory
from personal.study.tables import collect
from personal.study.votes import duels, strengths
from tests.studies import SMALL, answer, finish, open_store, take_step

PLANNED = """analysis:
  planned:
    - {measure: sus.score, conditions: [with_memory, without_memory]}
    - {measure: sus.score, conditions: [with_memory, strict], test: wilcoxon}
"""
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return read_study(tmp_path_factory.mktemp("s") / "study.yaml", text=SMALL + PLANNED)


@pytest.fixture(scope="module")
def planted(study):
    """24 participants for whom one condition has 15 points more in SUS and wins votes."""
    truth = read_truth(study, ["sus.score:with_memory=15", "wins:with_memory=1.5"])
    return collect(study, in_memory(study, truth, 24, "found"))


def compared(study, data, **wanted):
    (found,) = [
        one
        for one in compare_all(study, data.long)
        if all(getattr(one, name) == value for name, value in wanted.items())
    ]
    return found


def test_a_paired_t_test_is_scipy_s(study, planted):
    found = compared(study, planted, measure="sus.score", second="without_memory", planned=True)
    values = pairs_of(planted.long, "sus.score", ["with_memory", "without_memory"])
    theirs = stats.ttest_rel(values["with_memory"], values["without_memory"])
    assert found.pairs == 24
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.difference == pytest.approx((values["with_memory"] - values["without_memory"]).mean())
    assert found.effect == pytest.approx(theirs.statistic / np.sqrt(24))  # dz = t / √n
    assert found.effect_low < found.effect < found.effect_high


def test_wilcoxon_s_test_is_scipy_s_and_its_effect_is_the_rank_biserial_correlation(study, planted):
    found = compared(study, planted, measure="sus.score", second="strict", planned=True)
    values = pairs_of(planted.long, "sus.score", ["with_memory", "strict"])
    theirs = stats.wilcoxon(values["with_memory"], values["strict"])
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    nonzero = int((values["with_memory"] != values["strict"]).sum())
    total = nonzero * (nonzero + 1) / 2
    assert found.effect == pytest.approx(1 - 2 * theirs.statistic / total)


def test_planned_and_exploratory_comparisons_are_corrected_apart(study, planted):
    found = compare_all(study, planted.long)
    for planned in (True, False):
        p = sorted((one.p, one.corrected) for one in found if one.planned is planned)
        holm, before = [], 0.0
        for place, (value, _) in enumerate(p):
            before = max(before, min(1.0, value * (len(p) - place)))
            holm.append(before)
        assert [corrected for _, corrected in p] == pytest.approx(holm)
    assert sum(one.planned for one in found) == 2
    assert {one.measure for one in found if not one.planned} <= set(overall(study))


def test_friedman_s_test_is_scipy_s(study, planted):
    conditions = [one.id for one in study.conditions]
    values = pairs_of(planted.long, "sus.score", conditions)
    theirs = stats.friedmanchisquare(*(values[one] for one in conditions))
    assert friedman(planted.long, "sus.score", conditions) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_planted_effects_are_found_within_their_intervals(study, planted):
    found = compared(study, planted, measure="sus.score", second="without_memory", planned=True)
    assert found.claimed
    half = found.difference_high - found.difference
    assert abs(found.difference - 15) < 1.5 * half  # three standard errors; benchmarks/studies.py counts misses of one
    (duel,) = duels(planted.votes)
    assert duel.low < 1 / (1 + np.exp(-1.5)) < duel.high
    best, worst = strengths(planted.votes)
    assert best.condition == "with_memory"
    assert best.low < 0.75 < best.high  # half of the log-odds: against the mean of two
    assert worst.strength == pytest.approx(-best.strength)


def test_a_null_effect_is_not_claimed_and_power_grows_with_the_number(study):
    nothing = power(study, Truth(), 20, 20, seed=4)
    assert all(share <= 0.10 for _, share in nothing)
    truth = read_truth(study, ["sus.score:with_memory=7"])
    few, many = (power(study, truth, count, 10, seed=1)[0][1] for count in (20, 60))
    assert few < many
    assert many > 0.6


def test_participants_who_dropped_out_are_counted_and_not_analysed(tmp_path):
    store = open_store(tmp_path / "pets", SMALL + PLANNED)
    for number in range(4):
        finish(store.arrive({"PROLIFIC_PID": str(number)}))
    half = store.arrive({"PROLIFIC_PID": "half"})
    while half.step.id != "part2.task.talk":
        take_step(half)
    write_report(store, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "| finished | 4 |" in text
    assert "| active | 1 |" in text
    assert "| part2.task.talk | 1 |" in text
    assert "None could be made" in text  # all gave the same answers


def test_bradley_terry_strengths_are_those_that_made_the_votes():
    truth = {"a": 1.0, "b": 0.0, "c": -1.0}
    draw = np.random.default_rng(7)
    rows = []
    for number in range(60):
        for left, right in (("a", "b"), ("c", "b"), ("a", "c")):
            won = left if draw.random() < 1 / (1 + np.exp(truth[right] - truth[left])) else right
            rows.append((f"p{number}", "t", 1, left, right, "left" if won == left else "right", won, ""))
    columns = ["participant", "task", "turn", "left", "right", "choice", "winner", "reason"]
    votes = pd.DataFrame(rows, columns=columns)
    found = strengths(votes)
    assert [one.condition for one in found] == ["a", "b", "c"]
    for one in found:
        assert one.low < truth[one.condition] < one.high
    shown = duels(votes)
    assert sum(one.wins + one.losses for one in shown) == 180
    assert strengths(votes[votes["left"] == "z"]) == []


def test_one_who_won_every_vote_is_strong_but_not_infinitely_so():
    columns = ["participant", "task", "turn", "left", "right", "choice", "winner", "reason"]
    votes = pd.DataFrame([(f"p{n}", "t", 1, "a", "b", "left", "a", "") for n in range(10)], columns=columns)
    best, _ = strengths(votes)
    assert 0.5 < best.strength < 5
    ties = pd.DataFrame([("p", "t", 1, "a", "b", "both_bad", None, "")], columns=columns)
    assert strengths(ties) == []
    assert (duels(ties)[0].both_bad, duels(ties)[0].p) == (1, 1.0)


@pytest.mark.parametrize(
    ("scale", "score"), [("sus", "score"), ("tlx", "score"), ("ueqs", "hedonic"), ("trust", "score")]
)
def test_scripted_participants_score_what_is_planted_on_average(scale, score, tmp_path):
    text = SMALL.replace("{id: sus, scale: sus}", f"{{id: sus, scale: {scale}}}")
    study = read_study(tmp_path / "s.yaml", text=text)
    lowest, highest = {"sus": (0, 100), "tlx": (0, 100), "ueqs": (-3, 3), "trust": (1, 7)}[scale]
    planted = 0.2 * (highest - lowest)
    truth = read_truth(study, [f"sus.{score}:strict={planted}"])
    found = {condition: [] for condition in ("strict", "with_memory")}
    for number in range(300):
        persona = Persona(study, truth, f"{number}")
        for condition, values in found.items():
            responses = persona.answer(study.questionnaire("sus"), condition, ())
            values.append(scores(study.questionnaire("sus"), responses)[score])
    assert np.mean(found["strict"]) - np.mean(found["with_memory"]) == pytest.approx(planted, rel=0.15)


def test_effects_that_cannot_be_planted_are_refused_in_words(study):
    for text in ("seconds:strict=5", "sus.score:nobody=5", "sus.score:strict=much", "sus.score", "tlx.score:strict=1"):
        with pytest.raises(PersonalError):
            read_truth(study, [text])


def test_the_export_has_all_numbers_long_and_wide_and_a_codebook_that_explains_them(tmp_path):
    store = open_store(tmp_path / "pets", SMALL + PLANNED + "log: {text: text}\n")
    for number in range(3):
        finish(store.arrive({"PROLIFIC_PID": f"prolific-{number}"}))
    files = export(store, tmp_path / "data")
    rows = {path.stem: list(csv.DictReader(path.open(encoding="utf-8"))) for path in files if path.suffix == ".csv"}
    assert len(rows["participants"]) == 3
    assert rows["participants"][0]["sus.score__strict"] == "50.0"
    assert len([row for row in rows["long"] if row["measure"] == "sus.score"]) == 9
    known = {row["name"] for row in rows["codebook"]}
    assert set(rows["participants"][0]) - known <= {name for name in rows["participants"][0] if "__" in name}
    assert {row["measure"] for row in rows["long"]} <= known
    assert all(row["meaning"] for row in rows["codebook"])
    events = [json.loads(line) for line in (tmp_path / "data" / "events.jsonl").read_text("utf-8").splitlines()]
    assert len(events) == sum(len(one.records) for one in store.participants())
    holding = [path.name for path in files if b"prolific-1" in path.read_bytes()]
    assert holding == ["identifiers.csv"]


def test_the_bids_folder_has_participants_phenotypes_and_events(tmp_path):
    store = open_store(tmp_path / "pets-1", SMALL)
    finish(store.arrive({"PROLIFIC_PID": "a"}))
    export(store, tmp_path / "data")
    bids = tmp_path / "data" / "bids"
    (person,) = store.participants()
    assert json.loads((bids / "dataset_description.json").read_text())["BIDSVersion"]
    assert (bids / "participants.tsv").read_text().splitlines()[1].startswith(f"sub-{person.id}\t")
    events = (bids / f"sub-{person.id}" / "beh" / f"sub-{person.id}_task-pets1_events.tsv").read_text().splitlines()
    assert events[0].split("\t")[:3] == ["onset", "duration", "trial_type"]
    assert len((bids / "phenotype" / "sus.tsv").read_text().splitlines()) == 4


def test_what_participants_write_acts_neither_in_the_report_nor_in_a_spreadsheet(tmp_path):
    hostile = '=HYPERLINK("http://x") <script>alert(1)</script> ![x](http://x/y.png) **b** | c'
    store = open_store(tmp_path / "pets", SMALL)
    participant = store.arrive({"PROLIFIC_PID": "a"})
    while participant.step.id != "final.last":
        take_step(participant)
    participant.submit("final.last", {"preferred": 1, "words": hostile})
    html = write_report(store, tmp_path / "report").read_text(encoding="utf-8")
    assert "<script" not in html
    assert '<img src="http' not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "**b** | c" in html
    export(store, tmp_path / "data")
    (row,) = csv.DictReader((tmp_path / "data" / "texts.csv").open(encoding="utf-8"))
    assert row["text"] == f"'{hostile}"
    assert hostile in json.dumps([one.records for one in store.participants()]).replace('\\"', '"')


def test_the_shell_simulates_and_the_same_data_gives_the_same_report_byte_for_byte(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(SMALL + PLANNED, encoding="utf-8")
    effect = ["--effect", "sus.score:with_memory=25"]
    assert main(["simulate", str(file), "--participants", "12", "--out", str(tmp_path / "out"), *effect]) == 0
    assert "Planted: +25 on sus.score for with_memory.\n12 participants: 12 finished." in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "planted.json").read_text()) == {"sus.score:with_memory": 25.0}
    study = tmp_path / "out" / "study"
    people = open_store(study, read_only=True).participants()
    assert set(Counter(one.order for one in people).values()) == {2}
    assert main(["report", str(study), "--out", str(tmp_path / "again")]) == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "out" / "report").rglob("*") if path.is_file()}
    second = {path.name: path.read_bytes() for path in (tmp_path / "again").rglob("*") if path.is_file()}
    assert first == second
    assert {"report.html", "report.md", "comparisons.csv", "sus-score.png", "sus-score.svg", "votes.svg"} <= set(first)
    html = first["report.html"].decode()
    assert "differs" in html
    assert "They were not planned" in html
    assert main(["report", str(study), "--out", str(tmp_path / "again")]) == 1
    assert "already" in capsys.readouterr().err
    assert main(["export", str(study), "--out", str(tmp_path / "data")]) == 0
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "x")]) == 1


def test_a_study_of_blind_comparisons_alone_is_reported_by_its_votes(tmp_path):
    text = """title: Only comparisons
consent: {text: Hello}
conditions: [{id: a}, {id: b, memory: false}]
concepts: {kind: none}
tasks: [{id: which, type: ab, instructions: Compare., photos: ["sample:beach.jpg"]}]
retention: 2030-12-31
"""
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    assert main(["simulate", str(tmp_path / "study.yaml"), "--participants", "4", "--out", str(tmp_path / "out")]) == 0
    said = (tmp_path / "out" / "report" / "report.md").read_text(encoding="utf-8")
    assert "| a : b |" in said
    assert "Planned comparisons" not in said
    assert "Values by condition" not in said


def test_a_study_without_participants_has_a_report_and_an_export_too(tmp_path):
    store = open_store(tmp_path / "pets")
    assert "| planned | 6 |" in write_report(store, tmp_path / "report").with_suffix(".md").read_text()
    assert export(store, tmp_path / "data")


def test_the_shell_tells_the_power(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(SMALL + PLANNED, encoding="utf-8")
    assert main(["simulate", str(file), "--power", "3", "--participants", "6", "--effect", "none"]) == 0
    said = capsys.readouterr().out
    assert "Planted: no effect." in said
    assert "With 6 participants, differences were claimed in so many of 3 runs" in said
    assert cli.main(["study", "simulate", str(file), "--power", "1", "--participants", "6"]) == 0
    assert "Planted: +10 on sus.score for with_memory." in capsys.readouterr().out
    assert main(["simulate", str(file)]) == 1
    assert "--out FOLDER" in capsys.readouterr().err


def test_checking_a_study_loads_no_statistics():
    code = (
        "import sys; from personal.study.__main__ import main; main(['check', 'assets/studies/retrieval.yaml']); "
        "print([m for m in ('pandas', 'scipy', 'statsmodels', 'matplotlib', 'torch', 'gradio') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_answers_and_their_matches_become_rows(tmp_path):
    store = open_store(tmp_path / "pets", SMALL + "log: {text: text}\n")
    participant = store.arrive({"PROLIFIC_PID": "a"})
    for _ in range(3):
        take_step(participant)
    participant.turn(participant.step.id, "Who?", (), {"": answer("It is <bo>.", stopped=True)})
    (row,) = collect(store.study, [participant]).turns.to_dict("records")
    assert (row["question_text"], row["answer_text"], row["stopped"]) == ("Who?", "It is <bo>.", True)
    assert row["condition"] == participant.step.condition
