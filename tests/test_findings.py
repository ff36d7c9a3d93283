"""What the app knows answers before a model is asked: who, where, how many, is she here, what the notes say."""

from __future__ import annotations

import pytest

from personal.concepts import Concept, Match, PhotoFindings
from personal.findings import Evidence, Findings, gather, resolve
from personal.questions import Intent, read_intent
from tests.conftest import picture

PICNIC, BEACH, STREET = (picture((shade, 90, 90)) for shade in (10, 60, 120))


def concept(name, category="", info=""):
    return Concept(name.casefold(), name, category, info, (), "", "", "")


BO = concept("bo", "dog", "<bo> is four years old and loves the beach.")
CUP = concept("sunny-cup", "mug")
ROSIE = concept("rosie", "toy van")
ANNA = concept("Anna", "friend")
LUNA = concept("Luna", "tabby cat")
EMOJI = concept("Bo 🐕", "dog")


def seen(who, box=(0.1, 0.2, 0.3, 0.6), **more):
    return Match(who, "seen", 0.9, box, **more)


LEFT, CENTRE, RIGHT = (0.05, 0.2, 0.25, 0.6), (0.4, 0.2, 0.6, 0.6), (0.7, 0.2, 0.95, 0.6)
BOTH = (PICNIC, [seen(BO, LEFT), seen(CUP, RIGHT)])


def found(shown):
    return [PhotoFindings(photo, tuple(matches)) for photo, matches in shown]


def answer(question, shown=(), asked=(), evidence=()):
    return gather(question, found(shown), asked, lambda question, concepts: evidence).answer()


@pytest.mark.parametrize(
    "question",
    [
        "Who is here?",
        "Who is at the picnic?",
        "who's in this photo",
        "who’s there??",
        "Who can you see?",
        "Who do you recognise?",
        "Who all is in the picture?",
        "Which of mine are here?",
        "Can you see anyone I know?",
        "whos here",
        "Is there anyone I know in this picture?",
        "Is anyone here?",
        "Is there somebody in the photo?",
    ],
)
def test_who_names_all_who_are_there(question):
    assert answer(question, [BOTH]) == "<bo> and <sunny-cup> are in this photo."


def test_who_tells_of_each_photo_and_of_nobody():
    shown = [BOTH, (BEACH, [seen(BO)]), (STREET, [])]
    assert answer("Who is in these photos?", shown) == (
        "<bo> and <sunny-cup> are in photo 1. <bo> is in photo 2. "
        "I don't recognise anyone or anything of yours in photo 3."
    )
    assert answer("Who is here?", [(STREET, [])]) == "I don't recognise anyone or anything of yours in this photo."


def test_who_of_a_kind_names_only_that_kind():
    shown = [(PICNIC, [seen(BO), seen(CUP), seen(LUNA), seen(ANNA)])]
    assert answer("Which of my pets are in the photo?", shown) == "<bo> and <Luna> are in this photo."
    assert answer("Which of my dogs are here?", shown) == "<bo> is in this photo."


@pytest.mark.parametrize(
    ("question", "asked", "said"),
    [
        ("Where is <bo>?", [BO], "<bo> is on the left of the photo, left of <sunny-cup>."),
        ("where's <sunny-cup> in this picture?", [CUP], "<sunny-cup> is on the right of the photo, right of <bo>."),
        ("Where is <rosie>?", [ROSIE], "I don't recognise <rosie> in this photo."),
        (
            "Where are <bo> and <rosie>?",
            [BO, ROSIE],
            "<bo> is on the left of the photo, left of <sunny-cup>. I don't recognise <rosie> in this photo.",
        ),
    ],
)
def test_where_is_told_from_the_boxes(question, asked, said):
    assert answer(question, [BOTH], asked) == said


def test_the_foreground_and_a_subject_that_fills_the_photo_are_told():
    assert "in the foreground" in answer("Where is <bo>?", [(PICNIC, [seen(BO, (0.4, 0.5, 0.7, 1.0))])], [BO])
    assert answer("Where is <bo>?", [(PICNIC, [seen(BO, (0, 0, 1, 0.9))])], [BO]) == "<bo> is across most of the photo."


@pytest.mark.parametrize(
    ("question", "asked", "said"),
    [
        ("Is <bo> here?", [BO], "Yes, <bo> is in this photo."),
        ("Do you see <bo>?", [BO], "Yes, <bo> is in this photo."),
        ("Is that <bo>", [BO], "Yes, <bo> is in this photo."),
        ("Is <rosie> in this photo?", [ROSIE], "No, I don't recognise <rosie> in this photo."),
        (
            "Are <bo> and <rosie> here?",
            [BO, ROSIE],
            "Yes, <bo> is in this photo. No, I don't recognise <rosie> in this photo.",
        ),
    ],
)
def test_whether_somebody_is_there_is_answered_from_recognition(question, asked, said):
    assert answer(question, [BOTH], asked) == said


def test_in_several_photos_it_is_told_in_which():
    shown = [BOTH, (STREET, []), (BEACH, [seen(BO)])]
    assert answer("Is <bo> in any of these photos?", shown, [BO]) == "Yes, <bo> is in photos 1 and 3."


def test_ones_own_are_counted_and_others_are_not():
    shown = [(PICNIC, [seen(BO), seen(CUP), seen(LUNA)])]
    assert answer("How many of mine are here?", shown) == (
        "Three of yours are in this photo: <bo>, <sunny-cup> and <Luna>."
    )
    assert answer("How many of my dogs are in the photo?", shown) == "One of your dogs is in this photo: <bo>."
    assert answer("How many of my cars are here?", shown) == "I recognise none of your cars in this photo."
    assert answer("How many dogs are here?", shown) == "One of your dogs is in this photo: <bo>. I count only yours."
    for others in ("How many cars are here?", "How many legs does a dog have?"):
        assert answer(others, shown) is None


@pytest.mark.parametrize(
    "question",
    [
        "Who is not here?",
        "Who isn't in this photo?",
        "Who's missing?",
        "who is missing from the picture",
        "Which of mine are not here?",
        "How many of mine are not in the photo?",
        "Who can't you see?",
        "Is anyone missing?",
    ],
)
def test_who_is_not_there_is_told(question):
    def ask(shown, own=(BO, CUP, LUNA)):
        return gather(question, found(shown), (), own=own).answer()

    assert ask([BOTH]) == "I don't recognise <Luna> in this photo."
    assert ask([(PICNIC, [seen(BO)])]) == "I don't recognise <sunny-cup> or <Luna> in this photo."
    assert ask([BOTH, (BEACH, [seen(LUNA)])]) == "All of yours are in these photos."
    assert ask([(PICNIC, [seen(BO), seen(LUNA, certainty="maybe")])]) == (
        "I don't recognise <sunny-cup> in this photo. I'm not sure about <Luna>."
    )
    assert ask([BOTH], ()) == "You haven't added any people, pets or things yet."
    assert ask([]) == "Add a photo first, then I can tell you who and what of yours is in it."
    many = [concept(f"c{number}") for number in range(40)]
    assert ask([BOTH], many).endswith("<c10> or <c11> in this photo, nor 28 more.")


def test_of_a_kind_only_who_is_of_that_kind_is_missing():
    missing = gather("Which of my pets are not here?", found([BOTH]), (), own=(BO, CUP, LUNA, ANNA))
    assert missing.answer() == "I don't recognise <Luna> in this photo."
    assert gather("Which of my dogs are missing?", found([BOTH]), (), own=(BO, LUNA)).answer() == (
        "All of your dogs are in this photo."
    )


@pytest.mark.parametrize("question", ["Who is not wearing a hat?", "What is not red?", "Who is not looking at us?"])
def test_what_somebody_does_not_do_is_left_to_the_model(question):
    assert answer(question, [BOTH]) is None


def test_of_several_each_ones_notes_are_quoted():
    notes = [
        Evidence(BO, "He is four.", 0.9),
        Evidence(BO, "<bo> loves the beach.", 0.8),
        Evidence(LUNA, "Luna is two.", 0.7),
    ]
    findings = gather("How old are <bo>, <Luna> and <rosie>?", (), [BO, LUNA, ROSIE], lambda *_: notes)
    assert findings.answer() == "About <bo>: He is four. Luna is two. You haven't told me that about <rosie>."
    assert findings.statement().concepts == (BO, LUNA)


def test_a_fact_is_quoted_from_the_notes_with_whose_it_is():
    naps = Evidence(BO, "He always naps after lunch.", 0.9)
    assert answer("When does <bo> nap?", [BOTH], [BO], [naps]) == "About <bo>: He always naps after lunch."
    age = Evidence(BO, "<bo> is four years old", 0.9)
    assert answer("How old is <bo>?", (), [BO], [age]) == "<bo> is four years old."


def test_what_the_notes_do_not_tell_is_admitted():
    weak = Evidence(BO, "<bo> loves the beach.", 0.001)
    assert answer("Who is <bo>'s vet?", (), [BO], [weak]) == "You haven't told me that about <bo>."
    close = Evidence(BO, "<bo> naps after lunch.", 0.1)
    assert answer("When does <bo> sleep?", (), [BO], [close]) == (
        "Your notes about <bo> don't say that directly. The closest is: <bo> naps after lunch."
    )


@pytest.mark.parametrize(
    "question", ["What is <bo> doing?", "What is <bo> wearing?", "Describe the photo.", "What is happening?"]
)
def test_what_only_the_photo_shows_is_left_to_the_model(question):
    assert answer(question, [BOTH], [BO] if "<bo>" in question else []) is None


def test_of_two_with_the_same_plain_name_the_one_in_the_photo_is_meant():
    findings = gather("Is <bo> here?", found([(PICNIC, [seen(EMOJI)])]), [BO])
    assert findings.asked == (EMOJI,)
    assert findings.answer() == "Yes, <Bo 🐕> is in this photo."


def test_what_is_only_maybe_there_is_told_as_a_doubt():
    doubt = [(PICNIC, [seen(CUP), seen(BO, certainty="maybe")])]
    assert answer("Who is here?", doubt) == "<sunny-cup> is in this photo. I'm not sure about <bo>."
    assert answer("Is <bo> here?", doubt, [BO]) == "Maybe. Something here looks like <bo>, but I'm not sure."
    assert answer("Where is <bo>?", doubt, [BO]) == "I'm not sure that <bo> is here."
    only = [(PICNIC, [seen(BO, certainty="maybe")])]
    assert answer("Who is here?", only) == (
        "I don't recognise anyone or anything of yours for sure in this photo. I'm not sure about <bo>."
    )
    assert answer("How many of mine are here?", only).startswith("I recognise none")


def test_a_match_that_the_model_denied_is_not_there():
    denied = [(PICNIC, [seen(BO, confirmed=False), seen(CUP, certainty="maybe")])]
    assert answer("Is <bo> here?", denied, [BO]) == "No, I don't recognise <bo> in this photo."
    assert [c.name for c in gather("Is <bo> here?", found(denied), [BO]).absent] == ["bo"]


def test_questions_about_a_photo_without_one_ask_for_it():
    assert answer("Who is here?") == "Add a photo first, then I can tell you who and what of yours is in it."


@pytest.mark.parametrize(
    ("words", "intent"),
    [
        ("Hello!", Intent.GREETING),
        ("good morning", Intent.GREETING),
        ("thank you so much", Intent.THANKS),
        ("What can you do?", Intent.ABILITIES),
        ("who are you?", Intent.ABILITIES),
        ("Who is my best friend?", Intent.WHO),
        ("What is the capital of France?", Intent.SCENE),
        ("Is <bo> happy?", Intent.SCENE),
        ("What breed is <bo>?", Intent.FACT),
        ("Who gave us <bo>?", Intent.FACT),
        ("Where was <bo> born?", Intent.FACT),
    ],
)
def test_a_question_is_read_for_what_it_asks(words, intent):
    assert read_intent(words, [BO], photos=True)[0] is intent or read_intent(words, [], photos=True)[0] is intent


@pytest.mark.parametrize(
    ("question", "named", "before", "resolved"),
    [
        ("How old is <bo>?", [BO], [CUP], "How old is <bo>?"),
        ("And how old is he?", [], [BO], "And how old is <bo>?"),
        ("What is her vet called?", [], [LUNA], "What is <Luna>'s vet called?"),
        ("Where is his bed?", [], [BO], "Where is <bo>'s bed?"),
        ("What does my dog love?", [], [], "What does <bo> love?"),
        ("What do my pets love?", [], [], "What do my pets love?"),
        ("How old is he?", [], [BO, CUP], "How old is <bo>?"),
        ("How old are they?", [], [BO, LUNA], "How old are <bo> and <Luna>?"),
        ("What does he like?", [], [BO, LUNA, CUP], "What does <bo> and <Luna> like?"),
        ("Where did I buy it?", [], [BO, CUP], "Where did I buy <sunny-cup>?"),
        ("How old is it?", [], [BO], "How old is <bo>?"),
        ("What is happening?", [], [BO], "What is happening?"),
    ],
)
def test_pronouns_and_kinds_stand_for_the_one_concept_they_can_mean(question, named, before, resolved):
    assert resolve(question, named, before, [BO, CUP, LUNA])[0] == resolved


def test_without_a_photo_nothing_is_made_up():
    assert "Add a photo, or ask about one of them by name." in answer("What is the man doing?")
    assert answer("What is <bo> doing?", (), [BO]) == "Add a photo of <bo> first, then I can look."


def test_a_statement_is_what_is_known_and_never_small_talk_or_a_request():
    assert Findings(Intent.GREETING).statement() is None
    assert Findings(Intent.WHO).statement() is None
    assert Findings(Intent.FACT, asked=(BO,)).statement() is None
    note = Evidence(BO, "bo loves peanut butter.", 0.9)
    said = Findings(Intent.FACT, asked=(BO,), evidence=(note,)).statement()
    assert (said.text, said.source, said.concepts) == ("bo loves peanut butter.", "notes", (BO,))


def test_who_is_on_a_side_is_told_where_everybody_is():
    places = "<bo> is on the left of the photo, left of <sunny-cup>. <sunny-cup> is on the right of the photo"
    assert answer("Who's on the left?", [BOTH]) == f"{places}, right of <bo>."
    assert answer("What is on the right?", [(PICNIC, [])]).startswith("I don't recognise anyone")


@pytest.mark.parametrize(
    "question", ["In which photo is <bo>?", "Which photos show <bo>?", "What picture do you see <bo> in?"]
)
def test_in_which_photo_somebody_is(question):
    assert answer(question, [BOTH, (BEACH, []), (STREET, [seen(BO)])], [BO]) == "Yes, <bo> is in photos 1 and 3."


@pytest.mark.parametrize("question", ["Tell me about <bo>", "What do you know about <bo>?"])
def test_all_that_was_told_about_somebody_is_repeated(question):
    known = gather(question, [], [BO])
    assert known.answer() == BO.info
    assert (known.statement().source, known.statement().concepts) == ("notes", (BO,))
    assert (
        answer(question.replace("<bo>", "<sunny-cup>"), [], [CUP])
        == "You haven't told me anything about <sunny-cup> yet."
    )
    assert gather(question.replace("<bo>", "<sunny-cup>"), [], [CUP]).statement() is None


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Hello!", "Hello"),
        ("hi <bo>!", "Hello"),
        ("Good morning", "Hello"),
        ("thx", "welcome"),
        ("Thanks a lot!", "welcome"),
        ("great photo!", "Glad"),
        ("Nice.", "Glad"),
        ("Good night", "Goodbye"),
        ("bye", "Goodbye"),
        ("How are you?", "Fine"),
        ("ok", "All right"),
        ("lol", "All right"),
        ("What's your name?", "recognise"),
        ("What can you do for me?", "recognise"),
        ("How do I add a dog?", "recognise"),
        ("Can you help me?", "recognise"),
    ],
)
@pytest.mark.parametrize("shown", [(), (BOTH,)])
def test_small_talk_is_answered_with_and_without_a_photo(said, heard, shown):
    known = gather(said, found(shown), [BO] if "<bo>" in said else [])
    assert heard in known.answer()
    assert known.statement() is None  # a language model answers this itself
    if shown:
        assert "Add a photo" not in known.answer() or heard == "Fine"


def test_my_cup_is_the_one_whose_name_says_so():
    assert resolve("Where is my cup?", [], [], [BO, CUP, ROSIE]) == ("Where is <sunny-cup>?", (CUP,))
    assert resolve("Where is my van?", [], [], [BO, CUP, ROSIE]) == ("Where is <rosie>?", (ROSIE,))
