"""Two concepts that are one are merged, and the merge can be taken back; whatever happens no photo is lost."""

from __future__ import annotations

import json

import pytest

from personal import cli, compose
from personal.concepts import ConceptEdit
from personal.errors import ConceptError, StoreError
from tests.conftest import BLUE, GREEN, RED, open_assistant, picture

ME = "local"


@pytest.fixture
def pair(assistant):
    """bo and his double: two views each, notes, and a negative of each."""
    bo = assistant.remember(ME, "bo", [picture(RED), picture(RED, dot=9)], "dog", "A dog.", ["red collar"])
    double = assistant.remember(
        ME, "boo", [picture(RED, dot=20), picture(RED, dot=9)], "", "<boo> sleeps a lot.", ["red collar", "white paw"]
    )
    bo = assistant.revise(ME, bo.id, ConceptEdit(add_negatives=[picture(GREEN), picture(RED, dot=20)]))
    return bo, assistant.revise(ME, double.id, ConceptEdit(add_negatives=[picture(BLUE)]))


def shown(concept):
    return {view.sha256 for view in concept.views}


def test_the_kept_one_gains_photos_negatives_notes_and_features(assistant, pair):
    bo, double = pair
    merge = assistant.merge(ME, bo.id, double.id)
    (left,) = assistant.concepts(ME)
    assert merge.after == left
    assert (left.id, left.name, left.category, left.avatar) == (bo.id, "bo", "dog", bo.avatar)
    assert shown(left) == shown(bo) | shown(double)
    assert left.info == "A dog.\n<bo> sleeps a lot."
    assert left.attributes == ("red collar", "white paw")
    assert {view.sha256 for view in left.negatives} == {picture(GREEN).sha256, picture(BLUE).sha256}
    (match,) = assistant.look(ME, picture(RED, dot=30)).matches
    assert match.concept.id == bo.id


def test_the_name_of_either_can_be_kept(assistant, pair):
    bo, double = pair
    assert assistant.merge(ME, double.id, bo.id).after.name == "boo"
    assert assistant.library.lookup(ME, "bo") is None


def test_a_merge_is_taken_back_whole(assistant, pair):
    assistant.unmerge(ME, assistant.merge(ME, pair[0].id, pair[1].id))
    again = {concept.id: concept for concept in assistant.concepts(ME)}
    for before in pair:
        after = again[before.id]
        assert shown(after) == shown(before)
        assert {view.sha256 for view in after.negatives} == {view.sha256 for view in before.negatives}
        assert (after.name, after.category, after.info, after.attributes) == (
            (before.name, before.category, before.info, before.attributes)
        )
        assert after.avatar == before.avatar
    assert assistant.index.views(ME) == {
        key
        for concept in pair
        for key in (
            *((concept.id, view.sha256, False) for view in concept.views),
            *((concept.id, view.sha256, True) for view in concept.negatives),
        )
    }


def test_one_who_is_known_by_the_face_stays_so(assistant, pair):
    bo, double = pair
    assistant.revise(ME, double.id, ConceptEdit(by_face=True))
    merge = assistant.merge(ME, bo.id, double.id)
    assert merge.after.by_face
    assistant.unmerge(ME, merge)
    assert [concept.by_face for concept in assistant.concepts(ME)] == [False, True]


def test_what_would_be_too_much_changes_nothing(assistant, pair):
    bo, double = pair
    assistant.revise(ME, double.id, ConceptEdit(info="x" * 3999))
    before = assistant.concepts(ME)
    with pytest.raises(ConceptError, match="under 4001 characters"):
        assistant.merge(ME, bo.id, double.id)
    with pytest.raises(ConceptError, match="two concepts"):
        assistant.merge(ME, bo.id, bo.id)
    assert assistant.concepts(ME) == before


def test_a_damaged_photo_stops_a_merge_before_anything_is_written(assistant, pair):
    bo, double = pair
    before = assistant.concepts(ME)
    assistant.library.path(ME, double.id, double.avatar).write_bytes(b"damaged")
    with pytest.raises(StoreError, match="damaged"):
        assistant.merge(ME, bo.id, double.id)
    assert assistant.concepts(ME) == before


def test_a_kill_in_the_middle_loses_no_photo_and_the_merge_can_be_done_again(assistant, pair, tmp_path, monkeypatch):
    bo, double = pair

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assistant.library, "forget", killed)
        with pytest.raises(KeyboardInterrupt):
            assistant.merge(ME, bo.id, double.id)
    assistant.index.close()
    assistant.library.close()
    with open_assistant(tmp_path / "data") as restarted:
        concepts = {concept.id: concept for concept in restarted.concepts(ME)}
        assert shown(concepts[double.id]) == shown(double)
        assert shown(concepts[bo.id]) == shown(bo) | shown(double)
        restarted.merge(ME, bo.id, double.id)
        (left,) = restarted.concepts(ME)
        assert shown(left) == shown(bo) | shown(double)
        assert left.info == "A dog.\n<bo> sleeps a lot."


def test_the_shell_merges_by_names(tmp_path, monkeypatch, capsys):
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED)])
        assistant.remember(ME, "boo", [picture(RED, dot=9)])
    monkeypatch.setattr(compose, "build", lambda knobs, *, holder="": open_assistant(knobs.data_dir))
    assert cli.main(["--data-dir", str(tmp_path / "data"), "merge", "bo", "boo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["views"] == 2
    assert cli.main(["--data-dir", str(tmp_path / "data"), "merge", "bo", "boo"]) == 1
    assert "boo" in capsys.readouterr().err
