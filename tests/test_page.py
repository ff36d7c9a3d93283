"""What the page's handlers do for a visitor who has several pages, photos and conversations; without a browser."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from personal.assistant import FROM_FINDINGS
from personal.concepts import ConceptEdit
from personal.errors import StoreError
from personal.evaluate.leave_one_out import check
from personal.ui import samples
from personal.ui.concepts import tab
from personal.ui.sessions import COOKIE
from tests.conftest import BLUE, GREEN, RED, MeanColour, open_assistant, picture
from tests.test_bad_input import Browser, event, png

ME = "local"


@pytest.fixture
def browser(tmp_path):
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED), picture(RED, dot=9)])
        assistant.remember(ME, "mia", [picture(GREEN), picture(GREEN, dot=9)])
        yield Browser(assistant, tmp_path / "data")


@pytest.fixture
def drop(browser, tmp_path):
    def dropped(*colours, request=None):
        files = []
        for number, colour in enumerate(colours):
            files.append(tmp_path / f"{number}-{threading.get_ident()}.png")
            files[-1].write_bytes(png(colour=colour))
        list(browser.chat.composer.receive([str(file) for file in files], request or browser.request))

    return dropped


def another_page(browser):
    return SimpleNamespace(cookies=browser.request.cookies, session_hash="another page")


def opened(browser, name, request=None):
    concept = browser.context.assistant.library.lookup(ME, name)
    *_, screen = browser.concepts.on_cards(event(act="open", concept=concept.id), request or browser.request)
    return concept, screen


def said(browser, entry=-1):
    return browser.session.conversation.entries[entry].answer.text


# -- two pages of one visitor ------------------------------------------------------------------------------------------


def test_a_form_acts_on_the_concept_that_its_own_page_shows(browser):
    library = browser.context.assistant.library
    bo, _ = opened(browser, "bo")
    opened(browser, "mia", another_page(browser))
    list(browser.concepts.editor.revise("bobby", None, "", "", False, browser.request))
    assert {concept.name for concept in library.concepts(ME)} == {"bobby", "mia"}
    browser.concepts.editor.forget_it(browser.request)
    assert [concept.name for concept in library.concepts(ME)] == ["mia"]
    assert library.trash(ME)[0].concept.id == bo.id


def test_what_was_put_into_a_form_stays_with_its_page(browser, tmp_path):
    browser.concepts.new.begin(browser.request)
    (tmp_path / "a.png").write_bytes(png(colour=BLUE))
    browser.concepts.new.receive([str(tmp_path / "a.png")], browser.request)
    reloaded = another_page(browser)
    browser.concepts.new.begin(reloaded)
    (tmp_path / "b.png").write_bytes(png(colour=(9, 99, 199)))
    browser.concepts.new.receive([str(tmp_path / "b.png")], reloaded)
    list(browser.concepts.new.remember("sea", None, "", "", False, reloaded))
    assert len(browser.context.assistant.library.lookup(ME, "sea").views) == 1


def test_undo_takes_back_what_the_page_itself_did(browser):
    library = browser.context.assistant.library
    opened(browser, "bo")
    list(browser.concepts.editor.revise("bobby", None, "", "", False, browser.request))
    other = another_page(browser)
    opened(browser, "mia", other)
    browser.concepts.editor.forget_it(other)
    browser.page.undo(browser.request)
    assert [concept.name for concept in library.concepts(ME)] == ["bo"]


def test_a_question_goes_to_the_conversation_that_its_page_shows(browser, drop):
    drop(RED)
    list(browser.chat.asking.ask("Who?", browser.request))
    other = another_page(browser)
    browser.chat.conversations.begin(other)
    drop(GREEN, request=other)
    list(browser.chat.asking.ask("And now?", browser.request))
    first, second = browser.session.history.live()
    assert [entry.turn.question for entry in first.entries] == ["Who?", "And now?"]
    assert second.entries == []


def test_erasing_everything_empties_the_forms_of_all_pages(browser, tmp_path):
    (tmp_path / "a.png").write_bytes(png(colour=BLUE))
    browser.concepts.new.receive([str(tmp_path / "a.png")], browser.request)
    browser.settings.erase_all("erase", another_page(browser))
    assert browser.session.new_photos == []
    assert browser.session.conversation.photos == []


# -- the form of a concept ---------------------------------------------------------------------------------------------


def test_what_is_being_typed_stays_until_what_is_saved_changes(browser):
    concepts, assistant = browser.concepts, browser.context.assistant
    bo, screen = opened(browser, "bo")
    assert screen[concepts.editor.name] == "bo"
    again = browser.page.redraw(concepts)(browser.request)
    avatar = concepts.editor.on_views(event(act="avatar", photo=bo.views[1].sha256), browser.request)
    for shown in (again, avatar, concepts.draw(browser.session)):
        assert concepts.editor.views in shown
        assert concepts.editor.name not in shown
        assert all(
            "value" not in shown[field]._constructor_args[0] for field in (concepts.editor.info, concepts.editor.marks)
        )
    assistant.revise(ME, bo.id, ConceptEdit(info="A dog."))
    shown = concepts.draw(browser.session)
    assert shown[concepts.editor.info]._constructor_args[0]["value"] == "A dog."
    assert concepts.editor.name not in shown
    assert opened(browser, "mia")[1][concepts.editor.name] == "mia"
    assert opened(browser, "bo")[1][concepts.editor.name] == "bo"


def test_a_tab_that_is_drawn_twice_at_once_fills_the_form_all_the_same(browser, monkeypatch):
    concepts = browser.concepts
    browser.session.open_concept = browser.context.assistant.library.lookup(ME, "bo").id
    draw = concepts.draw

    def overtaken(session):
        screen = draw(session)
        monkeypatch.setattr(concepts, "draw", draw)
        assert browser.session is session  # it asked for more
        return screen

    monkeypatch.setattr(concepts, "draw", overtaken)
    assert browser.page.redraw(concepts)(browser.request)[concepts.editor.name] == "bo"


def test_what_is_searched_and_all_that_is_shown_outlive_other_clicks(browser, monkeypatch):
    monkeypatch.setattr("personal.ui.render.concepts.PAGE", 1)
    concepts, browser.session.sort = browser.concepts, tab.BY_NAME
    assert "mia" not in concepts.draw(browser.session)[concepts.cards]
    list(concepts.on_cards(event(act="all"), browser.request))
    _, screen = opened(browser, "mia")
    assert "mia" in screen[concepts.cards]
    concepts.draw_found("bo", browser.request)
    assert "mia" not in concepts.draw(browser.session)[concepts.cards]


@pytest.mark.parametrize("typed", ["O’MALLEY", "o`malley", "zoe o", "Ｏ'Malley"])
def test_a_search_finds_a_name_as_a_question_does(browser, typed):
    browser.context.assistant.remember(ME, "Zoë O'Malley", [picture(BLUE)])
    browser.concepts.draw_found(typed, browser.request)
    assert "Malley" in browser.concepts.draw(browser.session)[browser.concepts.cards]


# -- which photo a question is about -----------------------------------------------------------------------------------


def test_who_is_here_tells_of_all_photos_of_a_question(browser, drop):
    drop(RED, GREEN)
    browser.chat.asking.ask_who(browser.request)
    assert said(browser) == "<bo> is in photo 1. <mia> is in photo 2."
    assert len(browser.session.conversation.entries[0].turn.photos) == 2


def test_an_edited_question_is_about_its_own_photo(browser, drop):
    drop(RED)
    browser.chat.asking.ask_who(browser.request)
    drop(GREEN)
    browser.chat.asking.ask_who(browser.request)
    assert (said(browser, 0), said(browser, 1)) == ("<bo> is in this photo.", "<mia> is in this photo.")
    list(browser.chat.on_log(event(act="edit", entry="0"), browser.request))
    list(browser.chat.asking.ask("who is here", browser.request))
    talk = browser.session.conversation
    assert len(talk.entries) == 1
    assert said(browser) == "<bo> is in this photo."
    assert talk.active == talk.entries[0].turn.photos[0].sha256


def test_an_edited_question_to_the_model_leaves_its_photo_in_the_panel(browser, drop):
    drop(RED)
    list(browser.chat.asking.ask("What is he doing?", browser.request))
    drop(GREEN)
    list(browser.chat.asking.ask("And she?", browser.request))
    list(browser.chat.on_log(event(act="edit", entry="0"), browser.request))
    *_, screen = browser.chat.asking.ask("What does he do?", browser.request)
    talk = browser.session.conversation
    assert talk.active == talk.entries[0].turn.photos[0].sha256
    assert "data-stage" in screen[browser.chat.panel.photo]


def test_questions_about_an_earlier_photo_in_the_panel_come_with_it(browser, drop):
    drop(RED)
    list(browser.chat.asking.ask("What is this?", browser.request))
    drop(BLUE)
    list(browser.chat.asking.ask("And this?", browser.request))
    talk = browser.session.conversation
    red, blue = talk.photos
    list(browser.chat.on_log(event(act="photo", photo=red.sha256), browser.request))
    list(browser.chat.asking.ask_doing(browser.request))
    assert talk.entries[-1].turn.question == "What is <bo> doing?"
    assert talk.entries[-1].turn.photos == (red,)
    assert [match.concept.name for match in talk.entries[-1].answer.matches] == ["bo"]
    list(browser.chat.asking.ask("And what else?", browser.request))
    assert talk.entries[-1].turn.photos == ()
    list(browser.chat.on_log(event(act="photo", photo=blue.sha256), browser.request))
    browser.chat.asking.ask_who(browser.request)
    assert talk.entries[-1].turn.photos == (blue,)
    assert said(browser).startswith("I don't recognise")


def test_who_is_here_asked_again_or_after_not_bo_is_recognition_again(browser, drop):
    drop(RED)
    browser.chat.asking.ask_who(browser.request)
    list(browser.chat.on_log(event(act="again"), browser.request))
    answer = browser.session.conversation.entries[-1].answer
    assert (answer.text, answer.model) == ("<bo> is in this photo.", FROM_FINDINGS)
    bo = browser.context.assistant.library.lookup(ME, "bo")
    list(browser.chat.panel.on_click(event(act="not", concept=bo.id), browser.request))
    assert said(browser).startswith("I don't recognise")


def test_who_is_here_that_failed_is_tried_again_by_recognition(browser, drop, monkeypatch):
    drop(RED)
    with monkeypatch.context() as patch:
        patch.setattr(browser.context.assistant, "look", lambda *_, **__: (_ for _ in ()).throw(StoreError("damaged")))
        browser.chat.asking.ask_who(browser.request)
    entry = browser.session.conversation.entries[-1]
    assert (entry.error, entry.answer) == ("damaged", None)
    list(browser.chat.on_log(event(act="again"), browser.request))
    assert (entry.error, said(browser)) == ("", "<bo> is in this photo.")


def test_what_is_recognised_stands_before_the_words_of_any_model(browser, drop):
    drop(RED, GREEN)
    browser.context.assistant.generator.words = ("A red ", "square.")
    *_, screen = browser.chat.asking.ask("Who can you see?", browser.request)
    html = screen[browser.chat.log]
    answer = browser.session.conversation.entries[-1].answer
    assert answer.text == "A red square."
    assert answer.look.statement.text == "<bo> is in photo 1. <mia> is in photo 2."
    assert html.index("is in photo 2.") < html.index("From recognition") < html.index("A red square.")


# -- several conversations ---------------------------------------------------------------------------------------------


def test_one_conversation_can_be_asked_while_another_is_answered(browser, drop):
    drop(RED)
    generator = browser.context.assistant.generator
    generator.go.clear()
    slow = browser.chat.asking.ask("What is he doing?", browser.request)
    next(slow)
    chat, answered = browser.chat, browser.session.conversation
    begun = chat.conversations.begin(browser.request)
    assert begun[chat.composer.box]._constructor_args[0] == {"submit_btn": True, "stop_btn": False}
    generator.go.set()
    drop(GREEN)
    list(chat.asking.ask("And she?", browser.request))
    assert said(browser) == "It is <bo>."
    assert answered.answering is not None
    list(slow)
    assert answered.entries[0].answer is not None
    assert len(browser.session.conversation.entries) == 1


def test_of_two_pages_that_ask_the_same_conversation_at_once_one_is_told_to_wait(browser, monkeypatch):
    asking, refusal = browser.chat.asking, browser.chat.asking.refusal

    def slowly(*arguments):
        found = refusal(*arguments)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(asking, "refusal", slowly)
    pages = [browser.request, another_page(browser)]
    talks = {browser.context.session(page).conversation.id for page in pages}
    assert len(talks) == 1
    generator = browser.context.assistant.generator
    generator.go.clear()
    answers = [asking.ask("What is he doing?", page) for page in pages]  # kept: a dropped generator ends its answer
    with ThreadPoolExecutor() as pool:
        shown = list(pool.map(next, answers))
    generator.go.set()
    assert sum("Still answering" in str(screen[asking.notice]) for screen in shown) == 1
    assert len(browser.session.conversation.entries) == 1


def test_an_edit_is_given_up_with_the_conversation(browser, drop):
    drop(RED)
    list(browser.chat.asking.ask("Who?", browser.request))
    first = browser.session.conversation
    browser.chat.conversations.begin(browser.request)
    second = browser.session.conversation
    browser.chat.conversations.choose(first.id, browser.request)
    list(browser.chat.on_log(event(act="edit", entry="0"), browser.request))
    shown = browser.chat.conversations.choose(second.id, browser.request)
    assert shown[browser.chat.composer.box]._constructor_args[0]["value"] == {"text": "", "files": []}
    assert first.editing is None
    shown = browser.chat.conversations.choose(first.id, browser.request)
    assert "value" not in shown[browser.chat.composer.box]._constructor_args[0]  # what is typed goes along


def test_a_double_click_deletes_one_conversation(browser, drop):
    for colour in (RED, GREEN, BLUE):
        browser.chat.conversations.begin(browser.request)
        drop(colour)
    shown = browser.session.conversation
    for _ in range(2):
        browser.chat.conversations.on_list(event(act="delete", chat=shown.id), browser.request)
    assert len(browser.session.history.live()) == 2
    browser.page.undo(browser.request)
    assert len(browser.session.history.live()) == 3


def test_a_half_typed_name_outlives_a_look_at_another_tab(browser, drop):
    drop(BLUE)
    *_, screen = browser.chat.panel.on_click(event(act="mark", box="[0,0,0.5,0.5]"), browser.request)
    assert [name in screen[browser.chat.panel.nearest] for name in ("bo", "mia")] == [True, True]
    browser.page.redraw(browser.chat)(browser.request)
    assert browser.session.conversation.marked == (0.0, 0.0, 0.5, 0.5)
    browser.chat.panel.remember("sea", browser.request)
    assert browser.context.assistant.library.lookup(ME, "sea")


def test_one_of_yours_is_chosen_by_its_picture(browser, drop):
    drop(BLUE)
    list(browser.chat.panel.on_click(event(act="mark", box="[0,0,1,1]"), browser.request))
    bo = browser.context.assistant.library.lookup(ME, "bo")
    list(browser.chat.panel.on_click(event(act="is", concept=bo.id, box=json.dumps([0, 0, 1, 1])), browser.request))
    assert len(browser.context.assistant.library.lookup(ME, "bo").views) == 3
    assert browser.session.conversation.marked is None


# -- Settings and Evaluate ---------------------------------------------------------------------------------------------


def test_what_a_handler_shows_is_among_its_outputs(browser):
    """Gradio refuses a screen with anything else in it: the whole page stays as it was."""
    settings = browser.settings
    outputs = {
        function.fn.__name__: set(function.outputs)
        for function in browser.blocks.fns.values()
        if getattr(function.fn, "__self__", None) is settings
    }
    *_, learnt = settings.learn_again(browser.request)
    for handler, screen in ((settings.defaults, settings.defaults(browser.request)), (settings.learn_again, learnt)):
        assert set(screen) <= outputs[handler.__name__]


def test_every_page_follows_a_check_and_gets_what_came_of_it(browser, monkeypatch):
    tab, other = browser.page.evaluate, another_page(browser)
    going, looked = threading.Event(), threading.Event()

    def slowly(*arguments, **more):
        for number, step in enumerate(check(*arguments, **more)):
            if number == 2:
                looked.set()
                going.wait(10)
            yield step

    monkeypatch.setattr("personal.ui.evaluate.check", slowly)
    shown = tab.run(browser.request)
    assert shown[tab.timer]._constructor_args[0]["active"] is True
    assert looked.wait(10)
    for request in (browser.request, other):
        shown = tab.follow(request)
        assert "2 of 4" in shown[tab.progress]
        assert shown[tab.halt]._constructor_args[0]["visible"] is True
    assert "already" in tab.run(other)[tab.notice]
    going.set()
    for thread in threading.enumerate():
        if thread.name == "check":
            thread.join(10)
    for request in (browser.request, other):
        shown = tab.follow(request)
        assert "recognised correctly" in shown[tab.result]
        assert shown[tab.progress] == ""
        assert shown[tab.begin]._constructor_args[0]["visible"] is True
        assert shown[tab.timer]._constructor_args[0]["active"] is False
    stranger = SimpleNamespace(cookies={COOKIE: browser.context.sessions.new()}, session_hash="another browser")
    assert tab.follow(stranger)[tab.result] == ""  # what was said goes with the visitor


# -- in the thread -----------------------------------------------------------------------------------------------------


REDDISH = (212, 34, 28)
"""Like bo, and no photo of bo's."""


def clicked(browser, **data):
    """Click something in the thread, and return what the tab shows then."""
    drawn = {}
    for updates in browser.chat.on_log(event(**data), browser.request):
        drawn |= updates
    return drawn


def test_a_name_is_denied_where_it_stands_and_the_answer_is_given_again(browser, drop):
    drop(REDDISH)
    browser.chat.asking.ask_who(browser.request)
    (photo,) = browser.session.conversation.photos
    bo = browser.context.assistant.library.lookup(ME, "bo")
    assert "This isn't bo" in browser.chat.draw(browser.session)[browser.chat.log]
    drawn = clicked(browser, act="not", photo=photo.sha256, concept=bo.id)
    assert "This isn't bo" not in drawn[browser.chat.log]
    assert said(browser).startswith("I don't recognise")
    browser.page.undo(browser.request)
    assert "This isn't bo" in browser.chat.draw(browser.session)[browser.chat.log]
    assert browser.context.assistant.library.lookup(ME, "bo").negatives == ()


def test_a_name_is_confirmed_where_it_stands_and_the_photo_is_learnt(browser, drop):
    drop(REDDISH)
    browser.chat.asking.ask_who(browser.request)
    (photo,) = browser.session.conversation.photos
    library = browser.context.assistant.library
    bo = library.lookup(ME, "bo")
    assert "aria-pressed='true'" not in browser.chat.draw(browser.session)[browser.chat.log]
    drawn = clicked(browser, act="is", photo=photo.sha256, concept=bo.id, box="[0,0,0.9,0.9]")
    assert "aria-pressed='true'" in drawn[browser.chat.log]
    assert len(library.lookup(ME, "bo").views) == 3
    browser.page.undo(browser.request)
    assert "aria-pressed='true'" not in browser.chat.draw(browser.session)[browser.chat.log]
    assert len(library.lookup(ME, "bo").views) == 2


def test_somebody_is_named_from_the_thread(browser, drop):
    drop(BLUE)
    browser.chat.asking.ask_who(browser.request)
    (photo,) = browser.session.conversation.photos
    assert "Name someone" in browser.chat.draw(browser.session)[browser.chat.log]
    clicked(browser, act="mark", photo=photo.sha256, box="[0,0,1,1]")
    browser.chat.panel.remember("sea", browser.request)
    assert "This isn't sea" in browser.chat.draw(browser.session)[browser.chat.log]


def test_a_click_on_anothers_photo_does_nothing(browser, drop):
    drop(REDDISH)
    bo = browser.context.assistant.library.lookup(ME, "bo")
    browser.session.conversation.active = None
    assert clicked(browser, act="not", photo="f" * 64, concept=bo.id) == {}
    assert browser.context.assistant.library.lookup(ME, "bo").negatives == ()


def test_an_example_is_asked_with_one_click(tmp_path):
    with open_assistant(tmp_path / "empty") as assistant:
        browser = Browser(assistant, tmp_path / "empty")
        assert browser.chat.draw(browser.session)[browser.chat.log].count('data-act="example"') == 3
        clicked(browser, act="example", example="2")
        (entry,) = browser.session.conversation.entries
        assert entry.turn.question == "How old is bo?"
        assert entry.answer
        assert len(entry.turn.photos) == 1
        assert {concept.name for concept in assistant.concepts(ME)} == {"bo", "sunny-cup", "rosie"}


def test_an_example_finds_its_photos_encoded_ahead(tmp_path, monkeypatch):
    with open_assistant(tmp_path / "empty") as assistant:
        browser = Browser(assistant, tmp_path / "empty")
        samples.prepare(assistant)
        for thread in threading.enumerate():
            if thread.name == "samples":
                thread.join(30)
        monkeypatch.delattr(MeanColour, "embed")  # whatever is encoded now fails
        question = samples.begin_example(assistant, browser.session, 0)
        browser.chat.photos.look_again(browser.session)
        assert question == "Who is at the picnic?"


def test_a_name_in_a_question_is_a_chip_and_anything_else_in_brackets_stays(browser, drop):
    drop(RED)
    list(browser.chat.asking.ask("Is <bo> here, and <nobody> & co?", browser.request))
    html = browser.chat.draw(browser.session)[browser.chat.log]
    assert re.search(r'Is <span class="chip c\d" [^>]*>bo</span> here, and &lt;nobody&gt; &amp; co\?', html)


def test_photos_that_are_dropped_are_shown_one_after_the_other_as_they_are_recognised(browser, tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file, colour in zip(files, (RED, GREEN), strict=True):
        file.write_bytes(png(colour=colour))
    steps = [
        screen[browser.chat.composer.drafts]
        for screen in browser.chat.composer.receive([str(file) for file in files], browser.request)
    ]
    assert [screen.count("Looking …") for screen in steps] == [2, 1, 0]
    assert [re.findall(r"<bdi>(\w+)</bdi>", screen) for screen in steps] == [[], ["bo"], ["bo", "mia"]]
    assert [screen.count("aria-current") for screen in steps] == [1, 1, 1]
