"""The Concepts tab's handlers: the review, several concepts at once, samples, and what is typed but not saved."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from personal.conversations import Conversation
from personal.errors import StoreError
from personal.remember import import_export
from personal.ui import samples
from personal.ui.concepts import tab
from tests.conftest import BLUE, GREEN, RED, open_assistant, picture
from tests.test_bad_input import Browser, event, png

ME = "local"
REDDISH, GREENISH = (212, 34, 28), (50, 190, 70)
"""Like bo and like mia, and photos of neither."""


@pytest.fixture
def browser(tmp_path):
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED), picture(RED, dot=9)], "dog", "A dog.")
        assistant.remember(ME, "mia", [picture(GREEN)], "cat")
        yield Browser(assistant, tmp_path / "data")


@pytest.fixture
def unsure(browser, monkeypatch):
    """Recognition that is sure of photos that it has only, and asks about all others."""
    retriever = browser.context.assistant.retriever
    look = retriever.look

    def doubting(*arguments, **more):
        found = look(*arguments, **more)
        return [match if match.similarity > 0.9995 else replace(match, certainty="maybe") for match in found]

    monkeypatch.setattr(retriever, "look", doubting)
    return browser


def shown_photo(browser, colour):
    """Drop a photo into a conversation of its own."""
    talk = Conversation()
    browser.session.history.add(talk)
    browser.session.current = talk.id
    file = browser.folder.parent / f"{colour[0]}.png"
    file.write_bytes(png(colour=colour))
    list(browser.chat.composer.receive([str(file)], browser.request))
    return talk.photos[0]


def concept(browser, name):
    return browser.context.assistant.library.lookup(ME, name)


def opened(browser):
    *_, shown = browser.concepts.review.open(browser.request)
    return shown[browser.concepts.review.question]


def answered(browser, act, photo, name):
    data = {"act": act, "photo": photo.sha256, "concept": concept(browser, name).id}
    shown = browser.concepts.review.answer(event(**data), browser.request)
    return shown[browser.concepts.review.question]


def cards(browser, **data):
    *_, shown = browser.concepts.on_cards(event(**data), browser.request)
    return shown


def names(browser):
    return [one.name for one in browser.context.assistant.concepts(ME)]


# -- the review --------------------------------------------------------------------------------------------------------


def test_every_maybe_of_ones_conversations_is_asked_about_and_yes_and_no_are_learnt(unsure):
    red, green = shown_photo(unsure, REDDISH), shown_photo(unsure, GREENISH)
    assert "Is this <bdi>bo</bdi>?" in opened(unsure)
    assert "Is this <bdi>mia</bdi>?" in answered(unsure, "is", red, "bo")
    assert len(concept(unsure, "bo").views) == 3
    assert "I am sure of every name in the 2 photos" in answered(unsure, "not", green, "mia")
    assert len(concept(unsure, "mia").negatives) == 1


def test_an_answer_is_taken_back_and_asked_again(unsure):
    red = shown_photo(unsure, REDDISH)
    opened(unsure)
    for act in ("is", "not", "skip"):
        assert "Is this" not in answered(unsure, act, red, "bo")
        unsure.page.undo(unsure.request)
        assert "Is this <bdi>bo</bdi>?" in unsure.concepts.draw(unsure.session)[unsure.concepts.review.question]
        assert (len(concept(unsure, "bo").views), len(concept(unsure, "bo").negatives)) == (2, 0)


def test_the_same_answer_twice_counts_once_and_an_answer_settles_the_photo_in_every_conversation(unsure):
    red = shown_photo(unsure, REDDISH)
    shown_photo(unsure, REDDISH)
    opened(unsure)
    answered(unsure, "not", red, "bo")
    assert "Is this" not in answered(unsure, "is", red, "bo")
    assert len(concept(unsure, "bo").views) == 2


def test_what_was_skipped_can_be_asked_again(unsure):
    red = shown_photo(unsure, REDDISH)
    opened(unsure)
    assert "You skipped 1 photo" in answered(unsure, "skip", red, "bo")
    shown = unsure.concepts.review.answer(event(act="unskip"), unsure.request)
    assert "Is this <bdi>bo</bdi>?" in shown[unsure.concepts.review.question]


def test_the_review_says_why_it_is_empty(browser, tmp_path):
    assert "Add photos in Chat" in opened(browser)
    shown_photo(browser, RED)
    assert "sure of every name in the 1 photo" in opened(browser)
    with open_assistant(tmp_path / "other") as assistant:
        assert "Add a concept first" in opened(Browser(assistant, tmp_path / "other"))


def test_the_review_asks_nothing_of_anothers_photos_and_the_button_counts(unsure):
    shown_photo(unsure, REDDISH)
    review = unsure.concepts.review
    assert unsure.concepts.draw(unsure.session)[review.begin]._constructor_args[0]["value"] == "Review 1"
    review.answer(event(act="is", photo="f" * 64, concept=concept(unsure, "bo").id), unsure.request)
    assert len(concept(unsure, "bo").views) == 2


# -- several at once ---------------------------------------------------------------------------------------------------


def pick(browser, *wanted):
    browser.concepts.selection.begin(browser.request)
    for name in wanted:
        cards(browser, act="pick", concept=concept(browser, name).id)


def test_several_are_deleted_with_one_undo(browser):
    pick(browser, "bo", "mia")
    shown = cards(browser, act="forget-picked")
    assert "Deleted 2 concepts and 3 photos." in shown[browser.context.toast]
    assert names(browser) == []
    browser.page.undo(browser.request)
    assert names(browser) == ["bo", "mia"]
    assert browser.session.picked is None


def test_the_selected_are_exported_and_nobody_else(browser):
    pick(browser, "mia")
    shown = cards(browser, act="export-picked")
    token = shown[browser.concepts.transfer.link].rpartition("/")[2]
    visitor, only = browser.context.sessions.redeem(token)
    stream = io.BytesIO()
    import_export.export(browser.context.library, visitor.owner, stream, only)
    with zipfile.ZipFile(stream) as archive:
        records = [name for name in archive.namelist() if name.endswith("concept.json")]
        assert len(records) == 1
        assert b'"mia"' in archive.read(records[0])


def test_two_selected_are_merged_under_the_name_that_is_kept_and_parted_again(browser):
    pick(browser, "bo", "mia")
    html = browser.concepts.draw(browser.session)[browser.concepts.cards]
    assert html.count("Merge, keep") == 2
    bo, mia = concept(browser, "bo"), concept(browser, "mia")
    shown = cards(browser, act="merge", concept=mia.id, other=bo.id)
    assert "Merged bo into mia, now 3 photos." in shown[browser.context.toast]
    assert names(browser) == ["mia"]
    browser.page.undo(browser.request)
    assert sorted(names(browser)) == ["bo", "mia"]


@pytest.mark.parametrize("kept_is_there", [True, False])
def test_the_merged_one_comes_back_from_the_list_of_the_deleted_and_leaves_the_kept_one(browser, kept_is_there):
    bo, mia = concept(browser, "bo"), concept(browser, "mia")
    cards(browser, act="merge", concept=mia.id, other=bo.id)
    (deleted,) = browser.context.assistant.library.trash(ME)
    if not kept_is_there:
        browser.context.assistant.forget(ME, mia.id)
    shown = browser.concepts.on_forgotten(event(act="restore", token=deleted.token), browser.request)
    assert "mia and bo are two again." in shown[browser.context.toast]
    kept = [mia] if kept_is_there else []
    assert {c.name: {v.sha256 for v in c.views} for c in browser.context.assistant.concepts(ME)} == {
        c.name: {v.sha256 for v in c.views} for c in [bo, *kept]
    }


def test_look_alikes_offer_to_be_merged(browser, monkeypatch):
    monkeypatch.setattr(type(browser.context.assistant.retriever), "confusable_threshold", 0.99)
    browser.context.assistant.remember(ME, "boo", [picture(RED, dot=20)])
    cards(browser, act="open", concept=concept(browser, "bo").id)
    shown = browser.concepts.warn(browser.request)
    assert "Are they the same?" in shown[browser.concepts.editor.look_alike]
    data = {"act": "merge", "concept": concept(browser, "boo").id, "other": concept(browser, "bo").id}
    browser.concepts.editor.on_look_alike(event(**data), browser.request)
    assert sorted(names(browser)) == ["boo", "mia"]
    assert browser.session.open_concept == concept(browser, "boo").id


@pytest.mark.parametrize(("sort", "first"), [(tab.BY_NAME, "ava"), (tab.MOST, "bo")])
def test_cards_are_sorted(browser, sort, first):
    browser.context.assistant.remember(ME, "ava", [picture(BLUE)])
    html = browser.concepts.draw_sorted(sort, browser.request)[browser.concepts.cards]
    assert html.index(f">{first}<") == min(html.index(f">{name}<") for name in ("ava", "bo", "mia"))


def test_samples_are_labelled_and_deleted_in_one_go_and_what_is_ones_own_stays(browser):
    assistant, sample = browser.context.assistant, samples.read_samples().concepts[1]
    assistant.remember(ME, sample.name, sample.photos, sample.category, sample.info)
    html = browser.concepts.draw(browser.session)[browser.concepts.cards]
    assert html.count("· sample") == 1
    shown = cards(browser, act="forget-samples")
    assert "Deleted 1 concept" in shown[browser.context.toast]
    assert names(browser) == ["bo", "mia"]
    browser.page.undo(browser.request)
    assert sample.name in names(browser)
    assistant.remember(ME, sample.name, [picture(BLUE)])
    assert "· sample" not in browser.concepts.draw(browser.session)[browser.concepts.cards]


def test_anothers_concept_cannot_be_selected_or_merged(browser):
    theirs = browser.context.assistant.remember("visitor-1", "secret", [picture(BLUE)])
    pick(browser, "bo")
    cards(browser, act="pick", concept=theirs.id)
    assert browser.session.picked == {concept(browser, "bo").id}
    shown = cards(browser, act="merge", concept=concept(browser, "bo").id, other=theirs.id)
    assert "no longer there" in shown[browser.concepts.notice]
    assert len(browser.context.assistant.concepts("visitor-1")) == 1


# -- what is typed -----------------------------------------------------------------------------------------------------


TYPED = ("bo", "dog", "Typed, not saved.", "", False)


def test_what_is_typed_is_kept_when_another_card_is_opened_and_can_be_discarded(browser):
    editor = browser.concepts.editor
    cards(browser, act="open", concept=concept(browser, "bo").id)
    *_, shown = browser.concepts.on_cards(
        event(act="open", concept=concept(browser, "mia").id), browser.request, *TYPED
    )
    assert shown[editor.info].value == ""
    assert "Unsaved changes" in shown[browser.concepts.cards]
    shown = cards(browser, act="open", concept=concept(browser, "bo").id)
    assert shown[editor.info].value == "Typed, not saved."
    assert "Discard" in shown[editor.unsaved]
    assert concept(browser, "bo").info == "A dog."
    shown = editor.discard(browser.request)
    assert shown[editor.info].value == "A dog."
    assert shown[editor.unsaved] == ""


def test_what_is_typed_is_kept_as_it_is_typed_and_gone_once_it_is_saved(browser):
    editor = browser.concepts.editor
    cards(browser, act="open", concept=concept(browser, "bo").id)
    assert "Unsaved" in editor.on_typed(*TYPED, browser.request)[editor.unsaved]
    browser.concepts.close(browser.request)
    assert cards(browser, act="open", concept=concept(browser, "bo").id)[editor.info].value == "Typed, not saved."
    list(editor.revise(*TYPED, browser.request))
    assert browser.session.unsaved == {}
    assert editor.on_typed(*TYPED, browser.request)[editor.unsaved] == ""
    browser.session.unsaved = {"x": TYPED}
    browser.settings.erase_all("erase", browser.request)
    assert browser.session.unsaved == {}


def test_a_name_that_another_has_is_refused_at_its_field_also_while_it_is_typed(browser):
    editor = browser.concepts.editor
    cards(browser, act="open", concept=concept(browser, "bo").id)
    for shown in (
        editor.on_typed("Mia", "dog", "", "", False, browser.request),
        *editor.revise("Mia", "dog", "", "", False, browser.request),
    ):
        assert "“mia” already exists. Open it, or choose another name." in shown[editor.check]
    assert editor.on_typed("bo", "dog", "", "", False, browser.request)[editor.check] == ""


def test_every_problem_is_shown_at_its_own_field_at_once(browser):
    form = browser.concepts.new
    (shown,) = form.remember("", "c" * 65, "", "m" * 121, False, browser.request)
    assert "Enter a name (up to 64 characters)." in shown[form.check]
    assert "Keep it under 65 characters" in shown[form.category_check]
    assert "Keep it under 121 characters" in shown[form.marks_check]
    assert "Add at least one photo." in shown[form.photos_check]
    assert shown[form.info_check] == ""


def test_an_import_that_fails_says_so_in_the_place_of_its_preview(browser, monkeypatch):
    def failing(*_):
        raise StoreError("The disk is full.")
        yield

    monkeypatch.setattr("personal.remember.import_export.apply", failing)
    transfer = browser.concepts.transfer
    *_, shown = transfer.import_all(browser.request)
    assert "The disk is full." in shown[transfer.preview]
    assert shown[transfer.column]._constructor_args[0]["visible"]


@pytest.mark.parametrize(
    ("category", "offered"), [("person", True), ("a young Woman", True), ("dog", False), ("", False)]
)
def test_the_face_tick_is_for_people(browser, category, offered):
    form = browser.concepts.new
    shown = form.offer_face(category, False, browser.request)[form.by_face]
    assert shown._constructor_args[0]["visible"] is offered
    assert form.offer_face(category, True, browser.request)[form.by_face]._constructor_args[0]["visible"]


def test_the_face_tick_is_offered_once_a_face_was_found(browser, monkeypatch):
    form = browser.concepts.new
    browser.session.new_photos = [picture(BLUE)]
    monkeypatch.setattr(browser.context.assistant, "people", SimpleNamespace(loaded=True, shows_face=lambda _: True))
    assert form.has_face(browser.session, "")
    assert not form.has_face(browser.session, "dog")


# -- photos that are let go of on the cards ----------------------------------------------------------------------------


def uploaded(browser, **files):
    """Uploads by the paths that the browser knows them by: `folder__name=colour`."""
    listed = []
    for number, (name, colour) in enumerate(files.items()):
        folder = browser.folder.parent / f"upload-{number}"
        folder.mkdir()
        (folder / "photo.png").write_bytes(png(colour=colour) if colour else b"no photo")
        listed.append({"path": str(folder / "photo.png"), "name": f"{name.replace('__', '/')}.png"})
    return listed


def test_photos_that_are_dropped_on_the_cards_begin_a_concept(browser):
    form = browser.concepts.new
    shown = cards(browser, act="dropped", files=uploaded(browser, one=BLUE, two=(9, 9, 200), bad=None))
    assert shown[form.column]._constructor_args[0]["visible"]
    assert shown[form.photos].count("<img") == 2
    assert 'role="alert"' in shown[form.photos_check]
    assert not list(browser.folder.parent.glob("upload-*"))


def test_folders_that_are_dropped_are_proposed_as_concepts_by_their_names(browser):
    transfer = browser.concepts.transfer
    files = uploaded(browser, pets__ava__1=BLUE, pets__ava__2=(9, 9, 200), pets__mia__1=(1, 190, 20), pets__eve__1=None)
    shown = cards(browser, act="dropped", files=files)
    assert shown[transfer.column]._constructor_args[0]["visible"]
    for words in ("<td dir='auto'>ava</td><td>new, 2 photos", "<td dir='auto'>mia</td><td>adds 1 photo", "refused"):
        assert words in shown[transfer.preview]
    assert not list(browser.folder.parent.glob("upload-*"))
    assert names(browser) == ["bo", "mia"]
    list(transfer.import_all(browser.request))
    assert sorted(names(browser)) == ["ava", "bo", "mia"]


def test_folders_without_photos_say_so_in_the_place_of_the_preview(browser):
    transfer = browser.concepts.transfer
    shown = cards(browser, act="dropped", files=uploaded(browser, a__1=None))
    assert 'role="alert"' in shown[transfer.preview]
    assert not shown[transfer.apply]._constructor_args[0]["interactive"]
    for nonsense in (None, "x", [1, {}, {"path": 3}, {"path": "/nowhere", "name": "a/b.png"}], []):
        shown = cards(browser, act="dropped", files=nonsense)
    assert names(browser) == ["bo", "mia"]
