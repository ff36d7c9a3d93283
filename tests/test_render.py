"""What the page shows, from values alone: everything written by people and models is escaped."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image

from personal.concepts import (
    Answer,
    Concept,
    Look,
    Match,
    Photo,
    PhotoFindings,
    Preferences,
    Progress,
    Statement,
    Turn,
    View,
)
from personal.conversations import Conversation, Entry
from personal.images import read_photo
from personal.ui import render

EVIL = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>"


def picture(colour=(200, 90, 40), size=(64, 48)) -> Photo:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG")
    return read_photo(stream.getvalue())


def concept(name="bo", info="A dog.", number=1) -> Concept:
    photo = picture()
    view = View(photo.sha256, photo.width, photo.height)
    return Concept(f"{number:032x}", name, "dog", info, (view,), view.sha256, "2026-01-01T00:00:00Z", "")


def conversation(*matches: Match, question="who?", answer="<bo> sleeps.") -> Conversation:
    photo = picture()
    found = PhotoFindings(photo, tuple(match for match in matches if match.reason == "seen"))
    talk = Conversation(findings={photo.sha256: found}, active=photo.sha256)
    look = Look((found,), tuple(match for match in matches if match.reason == "named"), 0.4)
    talk.entries = [Entry(Turn(question, (photo,), answer=answer), Answer(answer, look, "tiny", 5, 0.6, 2.5))]
    return talk


def seen(thing: Concept, box=(0.1, 0.2, 0.5, 0.9)) -> Match:
    return Match(thing, "seen", 0.87, box, thing.avatar, picture().sha256)


def known(*things: Concept) -> dict[str, Concept]:
    return {thing.id: thing for thing in things}


def test_a_name_in_an_answer_becomes_a_chip_in_its_colour():
    bo = concept()
    html = render.prose("Look: <bo> and <Bo> are here.", known(bo), {bo.id: 3})
    assert html.count(f'<span class="chip c3" data-concept="{bo.id}" dir="auto">bo</span>') == 2


def test_the_longest_name_wins():
    bo, jr = concept("bo"), concept("bo jr", number=2)
    html = render.prose("<bo jr>", known(bo, jr), {})
    assert f'data-concept="{jr.id}"' in html
    assert f'data-concept="{bo.id}"' not in html


@pytest.mark.parametrize(
    "name", ["Mum's dog", "a*b*c", "_x_", "**bold**", "`tick`", "&amp;", 'say "hi"', "a & b", "1."]
)
def test_a_name_is_a_chip_whatever_signs_are_in_it(name):
    thing = concept(name)
    html = render.prose(f"Here: *<{name}>*, and <{name.upper()}>.", known(thing), {})
    assert html.count(render.chip(thing, 0)) == 2
    assert "&lt;" not in html


@pytest.mark.parametrize("said", ["O’Malley", "o`malley", "O‘MALLEY", " O'Malley ", "Ｏ'Malley"])
def test_a_name_is_a_chip_however_the_model_spells_it(said):
    thing = concept("O'Malley")
    assert render.chip(thing, 0) in render.prose(f"This is <{said}>.", known(thing), {})


def test_an_old_answer_calls_who_was_renamed_by_the_name_of_now_and_who_is_forgotten_by_the_old_one():
    old, gone = concept("bo"), concept("mia", number=2)
    now, other = replace(old, name="bobby"), concept("bo", number=3)
    html = render.prose("<bo> and <mia>, not <x>.", known(now, other), {}, [old, gone])
    assert render.chip(now, 0) in html
    assert other.id not in html
    assert '<span class="gone" dir="auto">mia</span>' in html
    assert "&lt;x&gt;" in html


def test_signs_that_hold_places_do_nothing_in_a_text():
    assert render.prose("a \ue0000\ue001 \ue000\ue001", {}, {}) == "<p>a</p>\n"


def test_markdown_in_an_answer_is_laid_out_but_nothing_is_fetched():
    html = render.prose("**big** ![x](http://evil/p.png) [l](http://evil/) <http://evil/>\n\n- one", {}, {})
    assert "<strong>big</strong>" in html
    assert "<li>one</li>" in html
    assert "<img" not in html
    assert "<a " not in html


@pytest.mark.parametrize("text", [EVIL, "<svg onload=1>", "&lt;script&gt;", "`<b onclick=1>`", "<bo onclick=1>"])
def test_hostile_text_does_nothing_wherever_it_stands(text):
    thing = concept(info=text)
    talk = conversation(seen(thing), question=text, answer=text)
    talk.entries[0].error = text
    talk.draft = [picture((1, 2, 3))]
    pieces = [
        render.log(talk, known(thing)),
        render.panel(
            talk, {thing.id: picture()}, {thing.avatar: picture()}, wishes=Preferences(0.5), any_concepts=True
        ),
        render.toast(text, undo=True),
        render.problem(text),
        render.opening(Progress(text), text),
        render.live(text, text, {}, {}),
        render.forgotten([(text, text, 3)]),
        render.import_preview([(text, text)], [text]),
        render.facts([(text, text)]),
        render.header(text, text),
        render.busy(text),
        render.cards([thing], {}, {thing.id: [text]}, total=1, chosen=None, everything=True),
        render.look_alikes(replace(thing, name=text), [(replace(thing, name=text), picture(), picture((0, 0, 9)))]),
        render.negatives(replace(thing, name=text), [picture()]),
        render.draft_hint(text, sees=False, any_photo=True),
    ]
    for html in pieces:
        for tag in ("<script", "<svg on", "<img src=x", "<b on", "<bo on"):
            assert tag not in html.lower()


def test_a_hostile_name_is_escaped_in_attributes_too():
    thing = concept(name="x\" onmouseover='alert(1)")
    talk = conversation(seen(thing))
    html = render.panel(
        talk, {thing.id: picture()}, {thing.avatar: picture()}, wishes=Preferences(0.5), any_concepts=True
    )
    html += render.look_alikes(thing, [(thing, picture(), picture((0, 0, 9)))])
    html += render.negatives(thing, [picture()])
    html += render.cards([thing], {}, {thing.id: [thing.name]}, total=1, chosen=None, everything=True)
    html += render.cards([thing], {}, {}, total=1, chosen=None, everything=True)
    assert "onmouseover='" not in html
    assert 'x" on' not in html


def test_the_panel_places_a_named_box_and_says_why():
    thing = concept()
    talk = conversation(seen(thing))
    html = render.panel(
        talk, {thing.id: picture()}, {thing.avatar: picture((0, 0, 9))}, wishes=Preferences(0.61), any_concepts=True
    )
    assert "left:10.00%;top:20.00%;width:40.00%;height:70.00%" in html
    assert "0.87" in html
    assert "threshold 0.61" in html
    assert 'alt="Photo with bo"' in html


def test_a_named_concept_has_no_box_and_no_reason_to_show():
    thing = concept()
    talk = conversation(Match(thing, "named"))
    html = render.panel(talk, {}, {}, wishes=Preferences(0.5), any_concepts=True)
    assert 'class="box' not in html
    assert "Why?" not in html
    assert "named in your question" in render.used(talk.entries[0].answer, talk)


def test_nothing_matched_is_said_and_differs_from_nothing_remembered():
    talk = conversation()
    assert "recognise anyone or anything of yours here" in render.panel(
        talk, {}, {}, wishes=Preferences(0.5), any_concepts=True
    )
    assert "No concepts yet" in render.panel(talk, {}, {}, wishes=Preferences(0.5), any_concepts=False)


def test_an_answer_shows_what_it_used_and_how_long_it_took():
    thing = concept()
    html = render.log(conversation(seen(thing)), known(thing))
    assert "used bo · 0.4 s + 2.1 s" in html
    assert 'data-text="&lt;bo&gt; sleeps."' in html


def test_only_the_last_answer_can_be_asked_again():
    thing = concept()
    talk = conversation(seen(thing))
    talk.entries.append(talk.entries[0])
    assert render.log(talk, known(thing)).count('data-act="again"') == 1
    assert render.log(talk, known(thing)).count('data-act="edit"') == 2


def test_a_failed_answer_keeps_the_question_and_offers_another_try():
    talk = conversation(question="what is it?")
    talk.entries[0].answer, talk.entries[0].error = None, "The model ran out of memory."
    html = render.log(talk, {})
    assert "what is it?" in html
    assert "ran out of memory" in html
    assert "Try again" in html


def test_an_empty_library_offers_samples_and_a_search_without_result_does_not():
    assert 'data-act="samples"' in render.cards([], {}, {}, total=0, chosen=None, everything=False)
    assert 'data-act="samples"' not in render.cards([], {}, {}, total=3, chosen=None, everything=False)


def test_many_cards_are_shown_in_part():
    things = [concept(f"n{i}", number=i) for i in range(render.PAGE + 5)]
    html = render.cards(things, {}, {}, total=len(things), chosen=None, everything=False)
    assert html.count('class="card"') == render.PAGE
    assert f"Show all {len(things)}" in html


def test_a_concept_with_one_photo_is_told_what_would_help():
    bo = concept()
    html = render.cards([bo], {bo.id: picture((9, 9, 9))}, {}, total=1, chosen=None, everything=True)
    assert "Only 1 photo" in html


def test_what_the_model_cannot_do_is_said():
    assert "does not look at photos" in render.banner(guest=False, sees=False, model="tiny")
    assert "doctor" not in render.banner(guest=False, sees=False, model="tiny")
    assert "doctor" in render.banner(guest=False, sees=False, model="personal-tiny")
    assert render.banner(guest=False, sees=True, model="big") == ""
    assert "erased when you leave" in render.banner(guest=True, sees=True, model="big")


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.99, "very sure"), (0.87, "quite sure"), (0.7, "fairly sure"), (0.5, "unsure"), (0.05, "unlikely")],
)
def test_how_sure_it_is_is_said_in_words_beside_the_similarity(probability, words):
    match = replace(seen(concept()), probability=probability)
    html = render.panel(conversation(match), {}, {match.view: picture()}, wishes=Preferences(0.5), any_concepts=True)
    assert f"{words}, similarity 0.87" in html
    assert f"seen, {words}, similarity 0.87" == render.how(match)
    assert "language model" not in html


def test_why_tells_what_the_language_model_said_of_a_doubtful_match():
    for confirmed, said in ((True, "It said: this is bo."), (False, "It said: this is not bo.")):
        match = replace(seen(concept()), probability=0.5, confirmed=confirmed)
        html = render.panel(
            conversation(match), {}, {match.view: picture()}, wishes=Preferences(0.5), any_concepts=True
        )
        assert said in html


def test_a_maybe_is_a_question_with_two_answers_and_no_name_in_the_photos_text():
    match = replace(seen(concept()), probability=0.4, certainty="maybe")
    talk = conversation(match)
    html = render.panel(talk, {}, {}, wishes=Preferences(confidence=0.6), any_concepts=True)
    assert "Is this <bdi>bo</bdi>?" in html
    assert ">Is bo</button>" in html
    assert html.count('data-act="not"') == 2, "in the question and in the menu"
    assert '<button class="box c' in html
    assert " maybe" in html
    assert 'alt="Photo with bo"' not in html
    assert talk.of(picture()).seen == ()


def test_what_was_turned_down_has_no_box_and_stands_in_the_evidence():
    bo, cup = concept(), concept("cup", number=2)
    talk = conversation(replace(seen(bo), confirmed=True), replace(seen(cup), confirmed=False))
    html = render.panel(talk, {}, {}, wishes=Preferences(0.5), any_concepts=True)
    assert html.count('<button class="box') == 1
    assert 'alt="Photo with bo"' in html
    assert "probably not" in html
    said = render.used(talk.entries[0].answer, talk)
    assert "used bo · ruled out cup ·" in said
    assert "confirmed by the language model" in said


def test_pictures_of_what_it_is_not_have_a_cross_each_and_no_row_where_there_are_none():
    assert render.negatives(concept(), []) == ""
    photos = [picture((9, 9, 9)), picture((1, 99, 9))]
    html = render.negatives(concept(), photos)
    assert "Not <bdi>bo</bdi>" in html
    for photo in photos:
        assert f"data-photo='{photo.sha256}'" in html


def test_look_alikes_are_named_on_the_card():
    bo = concept()
    for names, words in (
        (["butin"], "Looks like <bdi>butin</bdi></span>"),
        (["butin", "x", "y"], "</bdi> and 2 more</span>"),
    ):
        html = render.cards([bo], {bo.id: picture((9, 9, 9))}, {bo.id: names}, total=1, chosen=None, everything=True)
        assert words in html
        assert "Only 1 photo" not in html


def test_the_pair_of_look_alikes_is_shown_with_what_would_help():
    bo, butin = concept(), concept("butin", number=2)
    one, other = picture(), picture((0, 0, 9))
    html = render.look_alikes(bo, [(butin, one, other)])
    assert html.count("<img") == 2
    assert "one photo of <bdi>bo</bdi> only" in html
    assert "without <bdi>butin</bdi> in it" in html
    assert "write what tells <bdi>bo</bdi> apart" in html
    assert "write what tells" not in render.look_alikes(replace(bo, attributes=("white tail",)), [(butin, one, other)])
    assert "Both have this photo" in render.look_alikes(bo, [(butin, one, one)])
    assert render.look_alikes(bo, []) == ""


def test_each_toast_is_an_element_of_its_own_since_its_time_runs_from_its_beginning():
    first, second = (render.toast("Saved.").split()[0] for _ in range(2))
    assert first != second


def test_what_is_known_stands_before_the_models_words_and_says_where_it_is_from():
    bo = concept()
    talk = conversation(seen(bo), answer="A dog sleeps.")
    answer = talk.entries[0].answer
    look = replace(answer.look, statement=Statement("<bo> is in this photo.", "recognition", (bo,)))
    talk.entries[0].answer = replace(answer, look=look)
    html = render.log(talk, known(bo))
    assert html.index("is in this photo.") < html.index("From recognition") < html.index("A dog sleeps.")
    assert '<small class="by">tiny</small>' in html
    html = render.live("A dog", "", known(bo), {}, statement=look.statement, model="personal-tiny")
    assert html.index("is in this photo.") < html.index("small model, may be wrong") < html.index("A dog")


def test_a_name_that_the_model_says_is_a_chip_only_if_it_is_recognised_or_asked_about():
    bo, mia, cup = concept(), concept("mia", number=2), concept("cup", number=3)
    talk = conversation(seen(bo), Match(mia, "named"), answer="<bo> and <mia> beside <cup>.")
    html = render.log(talk, known(bo, mia, cup))
    assert [f'data-concept="{one.id}"' in html for one in (bo, mia, cup)] == [True, True, False]
    assert html.count("not recognised in this photo") == 1
    talk.reject(talk.photos[0], bo.id)
    html = render.log(talk, known(bo, mia, cup))
    assert html.count("not recognised in this photo") == 2, "an answer that named somebody wrongly is marked"


def test_an_answer_from_the_notes_says_so_and_whose_they_are():
    bo = concept()
    said = Statement("bo loves peanut butter.", "notes", (bo,))
    answer = Answer("bo loves peanut butter.", Look((), (), 0.1, said), "recognition and notes", 0, None, 0.1)
    talk = Conversation(entries=[Entry(Turn("What does my dog love?"), answer)])
    html = render.log(talk, known(bo))
    assert "From your notes" in html
    assert "used bo" in html


def test_a_question_that_brings_no_photo_rests_on_who_is_recognised_in_the_last_one():
    bo = concept()
    talk = conversation(seen(bo))
    talk.entries.append(Entry(Turn("and now?"), Answer("<bo> sleeps.", Look((), (), 0.0), "tiny", 5, 0.6, 2.5)))
    html = render.log(talk, known(bo))
    assert "General answer" not in html
    assert html.count("used bo") == 2
