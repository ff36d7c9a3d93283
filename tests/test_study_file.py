"""A study file that is wrong says where, and what to do."""

from __future__ import annotations

import re
from datetime import date

import pytest

from personal.errors import PersonalError
from personal.study import commands
from personal.study.__main__ import main
from personal.study.advice import advice
from personal.study.document import StudyFileError
from personal.study.folder import Studies, examples
from personal.study.loading import read_study
from personal.study.measures import measures
from personal.study.schema import Study
from tests.studies import SMALL


def change(old: str, new: str, text: str = SMALL) -> str:
    assert old in text, old
    return text.replace(old, new, 1)


def after(key: str, lines: str) -> str:
    """Put lines below the one that begins with a key."""
    return re.sub(rf"^({re.escape(key)}.*)$", lambda found: f"{found[1]}\n{lines}", SMALL, count=1, flags=re.M)


def line(text: str, sign: str) -> int:
    """Return the line, from 1, in which a sign stands first."""
    return text[: text.index(sign)].count("\n") + 1


ITEM = '      - {id: words, kind: text, text: "Anything else?", required: false}'
WRONG = {
    # what the file holds, a sign in the line that must be named (or the line), a part of the words
    "no title": (change("title: A small study\n", ""), 1, "title: is missing"),
    "empty title": (change("A small study", "''"), "title:", "is empty"),
    "no consent text": (change("  text: You agree to be asked.", "  agree: I do"), "consent:", "text: is missing"),
    "consent is a text": (change("consent:\n  text: You agree to be asked.", "consent: yes"), "consent:", "group"),
    "no retention": (change("retention: 2030-12-31\n", ""), 1, "retention: is missing"),
    "retention is a year": (change("2030-12-31", "2030"), "retention:", "date such as"),
    "retention is no day": (change("2030-12-31", "2030-02-31"), "retention:", "date such as"),
    "retention in words": (change("2030-12-31", "next year"), "retention:", "date such as"),
    "a misspelt key": (change("after_condition:", "after_conditions:"), "after_conditions", "Did you mean after_condition?"),
    "a misspelt setting": (change("    memory: false", "    memroy: false"), "memroy", "Did you mean memory?"),
    "an unknown setting": (change("    memory: false", "    zzz: 1"), "zzz", "There is id, memory"),
    "no conditions": (change("conditions:\n  - id: with_memory", "conditions: []\nx:\n  - id: m"), "conditions:", "1 or more"),
    "memory is a number": (change("memory: false", "memory: 7"), "memory: 7", "true or false"),
    "memory is a word": (change("memory: false", "memory: perhaps"), "perhaps", "true or false"),
    "confidence too high": (change("0.9", "1.5"), "confidence", "less than 1"),
    "confidence is a word": (change("0.9", "high"), "confidence", "a number"),
    "confidence and threshold": (change("    confidence: 0.9", "    confidence: 0.9\n    threshold: 0.2"), "threshold", "exclude"),
    "an id with blanks": (change("id: strict", "id: very strict"), "very strict", "small letter"),
    "a condition twice": (change("id: strict", "id: with_memory"), 14, "stands here twice"),
    "two equal conditions": (change("    confidence: 0.9\n", ""), "- id: strict", "set like with_memory"),
    "an unknown type": (change("type: ab", "type: versus"), "versus", "'chat', 'ab', 'rate'"),
    "an unknown condition": (change("[with_memory, without_memory]", "[with_memory, without]"), "[with_memory, without]", "no condition without"),
    "one condition to compare": (change("[with_memory, without_memory]", "[with_memory]"), "[with_memory]", "is missing"),
    "a condition against itself": (change("[with_memory, without_memory]", "[strict, strict]"), "- id: which", "with itself"),
    "conditions of a chat": (change("    minimum_turns: 2", "    conditions: [strict, with_memory]"), "- id: talk", "type ab"),
    "a comparison of which three": (change("    conditions: [with_memory, without_memory]\n", ""), "- id: which", "which conditions"),
    "minus one turn": (change("minimum_turns: 2", "minimum_turns: -1"), "minimum_turns", "greater than or equal to 0"),
    "turns in words": (change("minimum_turns: 2", "minimum_turns: two"), "minimum_turns", "whole number"),
    "half a turn": (change("minimum_turns: 2", "minimum_turns: 1.5"), "minimum_turns", "whole number"),
    "no instructions": (change("    instructions: Ask something.\n", ""), "- id: talk", "instructions: is missing"),
    "tasks is no list": (change("tasks:\n  - id: talk", "tasks:\n  talk: now\nx:\n  - id: talk"), "tasks:", "list"),
    "a photo that is not there": (change("sample:picnic.jpg", "cat.jpg"), "cat.jpg", "is not there"),
    "a photo elsewhere": (change("sample:picnic.jpg", "../cat.jpg"), "../cat.jpg", "outside"),
    "a photo anywhere": (change("sample:picnic.jpg", "/etc/hosts"), "/etc/hosts", "beside the study file"),
    "a photo that is text": (change("sample:picnic.jpg", "study.yaml"), "study.yaml", "no picture"),
    "photos is a number": (change('photos: ["sample:picnic.jpg"]', "photos: 3"), "photos: 3", "'own'"),
    "rate without question": (change("    minimum_turns: 2", "    type: rate"), "- id: talk", "needs the question"),
    "a questionnaire nobody has": (change("after_condition: [sus]", "after_condition: [sus, tlx]"), "after_condition", "no questionnaire tlx"),
    "a questionnaire nobody asks": (change("final: [last]\n", ""), "- id: last", "nobody is asked"),
    "an unknown scale": (change("scale: sus}", "scale: sas}"), "scale: sas", "'sus'"),
    "a questionnaire of nothing": (change(", scale: sus}", "}"), "{id: sus}", "asks nothing"),
    "asked twice": (change("[sus]", "[sus, sus]"), "after_condition", "twice"),
    "preference in a condition": (change("[sus]\nfinal: [last]", "[sus, last]"), "- id: last", "Ask it in final"),
    "likert without points": (change("kind: text", "kind: likert"), "kind: likert", "points: 7"),
    "choice without options": (change("kind: text", "kind: choice"), "kind: choice", "two options"),
    "options alike": (change("kind: text", "kind: choice, options: [a, a]"), "[a, a]", "the same"),
    "attention without expect": (change("kind: text", "kind: attention, points: 5"), "attention", "needs expect"),
    "attention expects the impossible": (change("kind: text", "kind: attention, points: 5, expect: 6"), "attention", "can be given"),
    "an item of the scale": (change("id: words", "id: preferred"), "id: preferred", "an item of the scale"),
    "items with one id": (change(ITEM, f"{ITEM}\n{ITEM}"), "- id: last", "id words"),
    "nobody is screened out": (change("accept: [Yes]", "accept: [Yes, No]"), "- id: adult", "nobody is screened out"),
    "an answer nobody can give": (change("accept: [Yes]", "accept: [Sure]"), "- id: adult", "none of the options"),
    "given without concepts": (change("kind: samples", "kind: given"), "concepts:", "no concept is"),
    "an unknown measure": (
        SMALL + "analysis:\n  planned:\n    - {measure: tlx.score, conditions: [strict, with_memory]}\n",
        "tlx.score",
        "There is sus.score",
    ),
    "a plan for nobody": (
        SMALL + "analysis:\n  planned:\n    - {measure: sus.score, conditions: [strict, memory]}\n",
        "[strict, memory]",
        "no condition memory",
    ),
    "alpha of five": (SMALL + "analysis: {alpha: 5}\n", "alpha", "less than 0.5"),
    "a link of nothing": (SMALL + "completion: {link: prolific}\n", "completion", "https://"),
    "a code with blanks": (SMALL + "completion: {code: A B}\n", "completion", "letters, digits"),
    "a parameter with signs": (SMALL + "parameters: {participant: a-b}\n", "parameters", "link's parameter"),
    "kept logs": (SMALL + "log: {photos: always}\n", "log:", "'never'"),
    "no people": (change("participants: 6", "participants: 0"), "participants", "greater than or equal to 1"),
    "a key twice": (SMALL + "title: Another\n", "title: Another", "twice"),
    "a tab": (change("  text: You", "\ttext: You"), "text: You", "tab"),
    "a colon in a text": (change("A small study", "A study: small"), "title", "quotes"),
    "an open quote": (change("A small study", '"A small study'), 21, "quote"),
    "an open bracket": (change("[Yes, No]", "[Yes, No"), "accept", "bracket"),
    "indented askew": (change("  - id: strict", "   - id: strict"), "- id: strict", "ndent"),
    "an alias": (change("title: A small study", "title: &a A\nx: *a"), "x: *a", "not used"),
    "a list": ("- title\n- consent\n", 1, "list of settings"),
    "nothing": ("", 1, "empty"),
    "only a comment": ("# to be done\n", 1, "empty"),
    "one word": ("study\n", 1, "list of settings"),
    "two documents": (SMALL + "---\ntitle: x\n", "---", "two documents"),
    "a control character": (change("small", "sm\x07all"), "title", "control character"),
    "very deep": ("a: " + "[" * 3000, 1, "deep"),
    "very long": ("# " + "x" * 1_000_001, 1, "longer"),
    "a key of two words in brackets": ("? [a, b]\n: 1\n", 1, "one word"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_file_names_the_line_and_what_to_do(name, tmp_path):
    text, place, words = WRONG[name]
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(StudyFileError) as refused:
        read_study(file)
    (problem, *_) = [one for one in refused.value.problems if words in str(one)] or [None]
    assert problem, str(refused.value)
    assert problem.line == (place if isinstance(place, int) else line(text, place)), str(refused.value)
    assert f"line {problem.line}: " in str(refused.value)
    assert str(problem).endswith((".", "?"))


def test_there_are_enough_malformed_files():
    assert len(WRONG) >= 60


def test_the_examples_and_the_small_study_are_fine(tmp_path):
    assert len(examples()) == 2
    for text in (*examples().values(), SMALL):
        study = read_study(tmp_path / "study.yaml", text=text)
        assert isinstance(study, Study)
        assert study.title in commands.outline(study)


def test_all_problems_are_told_at_once_in_the_order_of_lines(tmp_path):
    text = change("minimum_turns: 2", "minimum_turns: no", change("2030-12-31", "soon", change("0.9", "9")))
    with pytest.raises(StudyFileError) as refused:
        read_study(tmp_path / "study.yaml", text=text)
    lines = [one.line for one in refused.value.problems]
    assert len(lines) == 3
    assert lines == sorted(lines)


@pytest.mark.parametrize("data", [b"title: \xff\xfe", b"\xff\xfet\x00i\x00"])
def test_a_file_that_is_no_text_is_refused(data, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_bytes(data)
    with pytest.raises(StudyFileError, match="UTF-8"):
        read_study(file)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(PersonalError, match="cannot be read"):
            read_study(path)


def test_plain_words_are_texts_and_switches_as_who_writes_them_expects(tmp_path):
    text = change("[Yes, No]", "[yes, no]", change("[Yes]\n", "[yes]\n", change("memory: false", "memory: no")))
    study = read_study(tmp_path / "study.yaml", text=text + "completion: {code: 0123}\n")
    assert study.eligibility[0].options == ("yes", "no")
    assert study.condition("without_memory").memory is False
    assert study.completion.code == "0123"


def test_advice_names_what_a_researcher_should_think_about(tmp_path):
    study = read_study(tmp_path / "study.yaml", text=change("participants: 6", "participants: 7"))
    said = " ".join(advice(study, date(2031, 1, 1)))
    assert "take 6 or 12" in said
    assert "is over" in said
    assert "No comparison is planned" in said


def test_measures_are_what_comparisons_can_be_planned_of(tmp_path):
    known = measures(read_study(tmp_path / "study.yaml", text=SMALL))
    assert {"sus.score", "sus.sus10", "seconds", "wins"} <= set(known)


def test_studies_are_made_from_texts_and_found_again(tmp_path):
    studies = Studies(tmp_path)
    made = studies.create("pets-1", SMALL)
    assert studies.get("pets-1") is made
    assert Studies(tmp_path).ids() == ["pets-1"]
    for wrong in ("", "A", "a/b", "..", "x" * 41):
        with pytest.raises(PersonalError, match="id has small letters"):
            studies.create(wrong, SMALL)
    with pytest.raises(PersonalError, match="already"):
        studies.create("pets-1", SMALL)
    with pytest.raises(PersonalError):
        studies.create("bad", "title: x\n")
    with pytest.raises(PersonalError, match="no such study"):
        studies.get("bad")


def test_new_writes_an_example_that_check_finds_fine_and_never_overwrites(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    assert main(["new", str(file)]) == 0
    assert main(["check", str(file)]) == 0
    said = capsys.readouterr().out
    assert "with_memory" in said
    assert "replace it with your own" in said
    assert main(["new", str(file), "--example", "retrieval"]) == 1
    assert "already" in capsys.readouterr().err


def test_check_says_what_is_wrong_and_exits_with_1(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(change("0.9", "9"), encoding="utf-8")
    assert main(["check", str(file)]) == 1
    assert f"line {line(file.read_text(), 'confidence')}: conditions › 3 › confidence" in capsys.readouterr().err
