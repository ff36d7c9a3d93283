"""Bad input of every kind, through the page's handlers and the shell: a clear message, and nothing changed."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image

from personal import cli, compose, settings
from personal.concepts import WHOLE, ConceptEdit, Preferences, Progress
from personal.crops import crop
from personal.ui.app import Page
from personal.ui.context import AppContext
from personal.ui.places import hidden
from personal.ui.sessions import COOKIE, Sessions
from tests.conftest import BLUE, RED, open_assistant, picture

ME = "local"


def png(width=64, height=64, colour=RED):
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "PNG")
    return stream.getvalue()


def png_header(width, height):
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    import zlib

    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


FILES = {
    "empty.jpg": b"",
    "text.jpg": b"This is a letter, not a photo.\n" * 20,
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    "page.jpg": b"<html><script>alert(1)</script></html>",
    "document.png": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n",
    "cut.png": png(300, 300)[:-60],
    "bomb.png": png_header(100_000, 100_000),
    "none.png": png_header(0, 0),
    "speck.png": png(3, 3),
    "noise.webp": bytes(range(256)) * 8,
    "heavy.png": png() + b"\0" * 3_000_000,
}


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


MANIFEST = json.dumps({"format": "personal", "version": 1})
ZIPS = {
    "not-a-zip.zip": b"PK\x03\x04 nothing of the kind",
    "empty.zip": b"",
    "traversal.zip": zipped({"../../evil/1.png": png()}),
    "absolute.zip": zipped({"/etc/evil/1.png": png()}),
    "no-pictures.zip": zipped({"readme.txt": b"hello"}),
    "newer.zip": zipped({"manifest.json": json.dumps({"format": "personal", "version": 99})}),
    "broken-json.zip": zipped({"manifest.json": "{", "concepts/1/concept.json": "{"}),
    "bomb.zip": None,
    "cut.zip": zipped({"bo/1.png": png(), "bo/2.png": png(90, 90)})[:-40],
}

NAMES = ["", "   ", "<>", "a<b", "a>b", "two\nlines", "nul\0", "x" * 65, "\u202eevil", "\u200b", "bo", "BO", "<bo>"]


@pytest.fixture
def data_dir(tmp_path):
    """A library that holds one concept."""
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED)], "dog", "A dog.")
    return tmp_path / "data"


def state(folder):
    """What is on disk of concepts and preferences, byte for byte."""
    found = {}
    for path in sorted((folder / "owners").rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture
def file(tmp_path):
    def write(name, data):
        if name == "bomb.zip":
            with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("bo/1.png", b"\0" * 300_000_000)
        else:
            (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


# -- the shell --------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(data_dir, monkeypatch, capsys):
    """Run a command over the library, with the fake models; it must fail in words and change nothing."""

    def build(knobs, *, holder=""):
        return open_assistant(knobs.data_dir)

    monkeypatch.setattr(compose, "build", build)
    monkeypatch.setenv("PERSONAL_MAX_BYTES", "2000000")

    def fails(*arguments, code=1):
        before = state(data_dir)
        try:
            got = cli.main(["--data-dir", str(data_dir), *map(str, arguments)])
        except SystemExit as stop:
            got = stop.code
        shown = capsys.readouterr()
        assert got == code, shown
        assert shown.out == ""
        assert "Traceback" not in shown.err
        assert len(shown.err.strip()) > 15
        assert state(data_dir) == before
        return shown.err

    return fails


@pytest.mark.parametrize("name", FILES)
def test_the_shell_refuses_a_bad_picture(shell, file, name):
    path = file(name, FILES[name])
    for command in (("add", "new", path), ("look", path), ("ask", path, "Who?")):
        assert shell(*command).startswith("personal: ")


def test_one_bad_picture_among_good_ones_adds_nothing(shell, file):
    good, bad = file("good.png", png(colour=BLUE)), file("bad.jpg", FILES["text.jpg"])
    assert "bad.jpg" in shell("add", "new", good, bad)


@pytest.mark.parametrize("name", [name for name in NAMES if "bo" not in name.casefold()])
def test_the_shell_refuses_a_bad_name(shell, file, name):
    shell("add", name, file("good.png", png(colour=BLUE)))


@pytest.mark.parametrize("name", ZIPS)
def test_the_shell_refuses_a_bad_archive(shell, file, name):
    shell("import", file(name, ZIPS[name]))


@pytest.mark.parametrize(
    "command",
    [
        ("show", "nobody"),
        ("forget", "nobody"),
        ("look", "/no/such/photo.jpg"),
        ("ask", "/no/such/photo.jpg", "Who?"),
        ("import", "/no/such/place"),
        ("export", "/no/such/folder/out.zip"),
        ("add", "new", "."),
    ],
)
def test_the_shell_says_what_is_not_there(shell, command):
    shell(*command)


def test_a_folder_without_pictures_is_not_imported(shell, tmp_path):
    (tmp_path / "empty").mkdir()
    shell("import", tmp_path / "empty")


def test_an_empty_question_is_refused(shell, file):
    shell("ask", file("good.png", png()), "   ")


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("dance",),
        ("add", "bo"),
        ("look",),
        ("ask", "photo.jpg"),
        ("look", "photo.jpg", "--top-k", "0"),
        ("look", "photo.jpg", "--top-k", "many"),
        ("look", "photo.jpg", "--threshold", "7"),
        ("look", "photo.jpg", "--threshold", "nan"),
    ],
)
def test_wrong_usage_is_two(shell, command):
    shell(*command, code=2)


@pytest.mark.parametrize("variable", ["PERSONAL_TOP_K", "PERSONAL_THRESHOLD", "PERSONAL_MAX_PIXELS"])
def test_a_bad_setting_is_named(shell, monkeypatch, variable):
    monkeypatch.setenv(variable, "plenty")
    assert variable in shell("list")


def test_lines_on_stdin_are_answered_one_by_one(data_dir, monkeypatch, capsys, file):
    monkeypatch.setattr(compose, "build", lambda knobs, *, holder="": open_assistant(knobs.data_dir))
    good = str(file("good.png", png()))
    lines = [
        "not json",
        "[]",
        "{}",
        "null",
        '{"image": 5}',
        json.dumps({"image": "/no/such.jpg"}),
        json.dumps({"image": str(file("text.jpg", FILES["text.jpg"]))}),
        json.dumps({"image": good, "question": 7}),
        json.dumps({"image": good}),
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
    assert cli.main(["--data-dir", str(data_dir), "look", "--stdin", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == len(lines)
    assert all(len(answer["error"]) > 15 for answer in answers[:-1])
    assert [match["name"] for match in answers[-1]["matches"]] == ["bo"]


def test_a_held_library_says_who_holds_it(data_dir, capsys, file):
    with compose.library(settings.load({"PERSONAL_DATA_DIR": str(data_dir)}), holder="the app"):
        assert cli.main(["--data-dir", str(data_dir), "list", "--json"]) == 0
        capsys.readouterr()
        assert cli.main(["--data-dir", str(data_dir), "reindex"]) == 1
    assert "in use" in capsys.readouterr().err


# -- the page ---------------------------------------------------------------------------------------------------------


class Ready:
    """An opening that is over."""

    error = None
    progress = Progress("Ready")
    queue = None

    def __init__(self, assistant, knobs):
        self.assistant = assistant
        self.settings = knobs

    def switch(self, source):
        return compose.switch_model(self.settings, self.assistant.generator, source)


_BUILT = []


def built(opening, sessions):
    """The page over these, built once: Gradio takes half a second for it, and it holds nothing of a visitor."""
    if not _BUILT:
        context = AppContext(opening, sessions)
        page = Page(context)
        _BUILT.extend([context, page, page.build()])
    context = _BUILT[0]
    context.opening, context.settings, context.sessions = opening, opening.settings, sessions
    _BUILT[2].hide = hidden(opening.settings)
    return _BUILT


class Browser:
    """The page's handlers, called as the browser would; every call must fail in words and change nothing."""

    def __init__(self, assistant, data_dir):
        knobs = settings.load({"PERSONAL_DATA_DIR": str(data_dir), "PERSONAL_MAX_BYTES": "2000000"})
        sessions = Sessions(shared=False, grace_s=60, erase=assistant.erase)
        self.request = SimpleNamespace(cookies={COOKIE: sessions.new()}, session_hash="page")
        self.context, self.page, self.blocks = built(Ready(assistant, knobs), sessions)
        self.chat, self.concepts, self.settings = self.page.chat, self.page.concepts, self.page.settings
        self.folder = data_dir

    @property
    def session(self):
        return self.context.session(self.request)

    def fails(self, tab, handler, *arguments, where="notice"):
        before = state(self.folder)
        shown = handler(*arguments, self.request)
        shown = shown if isinstance(shown, dict) else list(shown)[-1]
        message = shown[getattr(tab, where)]
        assert 'role="alert"' in message
        assert len(message) > 40
        assert state(self.folder) == before
        return message


@pytest.fixture
def browser(data_dir):
    with open_assistant(data_dir) as assistant:
        yield Browser(assistant, data_dir)


def event(**data):
    return SimpleNamespace(_data=data)


@pytest.mark.parametrize("name", FILES)
def test_the_page_refuses_a_bad_picture_and_deletes_the_upload(browser, file, name):
    for tab, handler, wrap, where in (
        (browser.chat, browser.chat.composer.receive, lambda path: [path], "notice"),
        (browser.concepts.new, browser.concepts.new.receive, lambda path: [path], "photos_check"),
        (browser.chat, browser.chat.composer.shoot, str, "notice"),
    ):
        path = file(name, FILES[name])
        browser.fails(tab, handler, wrap(str(path)), where=where)
        assert not path.exists()
    assert browser.session.conversation.photos == []
    assert browser.session.new_photos == []


def test_a_bad_picture_among_good_ones_loses_none_of_the_good_ones(browser, file):
    good, bad = file("good.png", png(colour=BLUE)), file("bad.jpg", FILES["text.jpg"])
    browser.fails(browser.chat, browser.chat.composer.receive, [str(bad), str(good)])
    assert len(browser.session.conversation.draft) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_page_refuses_a_bad_name(browser, name):
    browser.session.new_photos = [picture(BLUE)]
    browser.fails(browser.concepts.new, browser.concepts.new.remember, name, "", "", "", False, where="check")
    assert len(browser.session.new_photos) == 1
    if name.strip():
        browser.fails(browser.concepts.new, browser.concepts.new.validate, name, where="check")


def test_a_concept_needs_a_photo(browser):
    form = browser.concepts.new
    assert "photo" in browser.fails(form, form.remember, "new", "", "", "", False, where="photos_check")


WORDS = [
    ("c" * 65, "", ""),
    ("two\nlines", "", ""),
    ("", "i" * 4001, ""),
    ("", "nul\0", ""),
    ("", "", "m" * 121),
    ("", "", "nul\0"),
    ("", "", "\n".join(map(str, range(13)))),
]


@pytest.mark.parametrize(("category", "info", "marks"), WORDS)
def test_the_page_refuses_bad_words_about_a_concept(browser, category, info, marks):
    where = "category_check" if category else "info_check" if info else "marks_check"
    browser.session.new_photos = [picture(BLUE)]
    browser.fails(browser.concepts.new, browser.concepts.new.remember, "new", category, info, marks, False, where=where)
    browser.session.open_concept = browser.context.assistant.concepts(ME)[0].id
    browser.fails(
        browser.concepts.editor, browser.concepts.editor.revise, "bo", category, info, marks, False, where=where
    )


@pytest.mark.parametrize("name", ["", "a<b", "x" * 65])
def test_a_bad_edit_keeps_the_record(browser, name):
    browser.session.open_concept = browser.context.assistant.concepts(ME)[0].id
    form = browser.concepts.editor
    browser.fails(form, form.revise, name, "dog", "A dog.", "", False, where="check")


def test_the_last_photo_cannot_be_removed(browser):
    concept = browser.context.assistant.concepts(ME)[0]
    browser.session.open_concept = concept.id
    browser.fails(browser.concepts.editor, browser.concepts.editor.on_views, event(act="remove", photo=concept.avatar))


def test_nothing_is_described_without_a_photo_or_by_a_model_that_does_not_see(browser, monkeypatch):
    drafts = browser.concepts.new.describe, browser.concepts.new.mark
    for draft in drafts:
        assert "photo first" in browser.fails(draft, draft.write, "", None)
    browser.session.new_photos = [picture(BLUE)]
    monkeypatch.setattr(browser.context.assistant.generator, "sees", False)
    for draft in drafts:
        assert "cannot see" in browser.fails(draft, draft.write, "", None)
    assert browser.session.writing is None


def test_one_thing_is_written_at_a_time(browser):
    browser.session.new_photos = [picture(BLUE)]
    steps = browser.concepts.new.describe.write("", None, browser.request)
    next(steps)
    assert "writing already" in browser.fails(browser.concepts.new, browser.concepts.new.mark.write, "", "dog")
    assert len(list(steps)) > 1
    assert browser.session.writing is None


def test_what_tells_a_concept_apart_is_drafted_line_by_line_and_saves_nothing(browser, monkeypatch):
    browser.session.open_concept = browser.context.assistant.concepts(ME)[0].id
    monkeypatch.setattr(browser.context.assistant.generator, "words", ("1. white paws\n", "2. torn ear"))
    before = state(browser.folder)
    steps = list(browser.concepts.editor.mark.write("red collar", "dog", browser.request))
    written = [step[browser.concepts.editor.marks] for step in steps if browser.concepts.editor.marks in step]
    assert [text for text in written if isinstance(text, str)][-1] == "red collar\nwhite paws\ntorn ear"
    assert "dog" in str(browser.context.assistant.generator.asked[-1])
    assert state(browser.folder) == before


def test_a_description_is_added_to_what_stands_there_and_saves_nothing(browser):
    browser.session.open_concept = browser.context.assistant.concepts(ME)[0].id
    before = state(browser.folder)
    steps = list(browser.concepts.editor.describe.write("Fond of rain.\n", "dog", browser.request))
    written = [step[browser.concepts.editor.info] for step in steps if browser.concepts.editor.info in step]
    assert [text for text in written if isinstance(text, str)][-1] == "Fond of rain.\nIt is <bo>."
    assert browser.session.writing is None
    assert state(browser.folder) == before


def test_a_description_of_one_concept_never_lands_in_the_form_of_another(browser):
    tab, assistant = browser.concepts, browser.context.assistant
    cup = assistant.remember(ME, "cup", [picture(BLUE)], info="From Lisbon.")
    browser.session.open_concept = assistant.concepts(ME)[0].id
    steps = tab.editor.describe.write("", "", browser.request)
    while not isinstance(next(steps).get(tab.editor.info), str):
        pass
    browser.session.writing.settled.set()  # it was sent
    opened = list(tab.on_cards(event(act="open", concept=cup.id), browser.request))[-1]
    assert opened[tab.editor.info].value == "From Lisbon."
    assert not any(isinstance(step.get(tab.editor.info), str) for step in steps)


@pytest.mark.parametrize("view", ["", "../../../etc/passwd", "0" * 64, None])
def test_a_photo_that_is_not_the_concepts_does_nothing(browser, view):
    browser.session.open_concept = browser.context.assistant.concepts(ME)[0].id
    for act in ("remove", "avatar"):
        browser.fails(browser.concepts.editor, browser.concepts.editor.on_views, event(act=act, photo=view))


@pytest.mark.parametrize("view", ["", "../../../etc/passwd", "0" * 64, None])
def test_a_picture_of_what_it_is_not_that_is_not_there_does_nothing(browser, view):
    browser.session.open_concept = browser.context.assistant.concepts(ME)[0].id
    browser.fails(browser.concepts.editor, browser.concepts.editor.on_negatives, event(act="own", photo=view))


def test_a_photo_of_the_concept_itself_cannot_be_what_it_is_not(browser, file):
    list(browser.chat.composer.receive([str(file("bo.png", png()))], browser.request))
    concept = browser.context.assistant.concepts(ME)[0]
    browser.context.assistant.revise(
        ME, concept.id, ConceptEdit(add=[crop(browser.session.conversation.draft[0], WHOLE)])
    )
    browser.chat.photos.look_again(browser.session)
    browser.fails(browser.chat.panel, browser.chat.panel.on_click, event(act="not", concept=concept.id))


@pytest.mark.parametrize("concept", ["", "../..", "0" * 32, "visitor-1"])
def test_a_concept_that_is_not_there_is_not_forgotten(browser, concept):
    browser.session.open_concept = concept
    browser.fails(browser.concepts.editor, browser.concepts.editor.forget_it)


@pytest.mark.parametrize("token", ["", "../..", "0" * 32, None])
def test_a_made_up_undo_does_nothing(browser, token):
    browser.fails(browser.concepts, browser.concepts.on_forgotten, event(act="restore", token=token))


@pytest.mark.parametrize("name", ZIPS)
def test_the_page_refuses_a_bad_archive_and_deletes_the_upload(browser, file, name):
    path = file(name, ZIPS[name])
    browser.fails(browser.concepts.transfer, browser.concepts.transfer.inspect, str(path), where="preview")
    assert not path.exists()
    assert browser.session.incoming == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001])
def test_the_page_refuses_a_question_that_is_none_and_keeps_it(browser, text):
    browser.fails(browser.chat, browser.chat.asking.submit, {"text": text, "files": []})
    assert browser.session.conversation.entries == []


def test_who_is_here_wants_a_photo(browser):
    browser.fails(browser.chat, browser.chat.asking.ask_who)


@pytest.mark.parametrize("value", [None, {}, {"text": None, "files": None}])
def test_a_submission_without_content_is_refused(browser, value):
    browser.fails(browser.chat, browser.chat.asking.submit, value)


@pytest.mark.parametrize("concept", ["", "0" * 32, "../../x", None])
@pytest.mark.parametrize("act", ["not", "is", "open"])
def test_a_click_on_a_concept_that_is_not_there_says_so(browser, act, concept, file):
    list(browser.chat.composer.receive([str(file("good.png", png()))], browser.request))
    browser.fails(browser.chat.panel, browser.chat.panel.on_click, event(act=act, concept=concept))


@pytest.mark.parametrize("name", ["", None, "a<b", "x" * 65])
def test_this_is_wants_a_name(browser, file, name):
    list(browser.chat.composer.receive([str(file("good.png", png()))], browser.request))
    list(browser.chat.panel.on_click(event(act="mark", box="[0,0,0.5,0.5]"), browser.request))
    browser.fails(browser.chat.panel, browser.chat.panel.remember, name)
    assert browser.session.conversation.marked


@pytest.mark.parametrize(
    "box", ["", "[1,2]", "null", "[NaN,0,1,1]", '["a",0,1,1]', "[0.5,0.5,0.5,0.5]", "[-9,-9,99,99]"]
)
def test_a_box_that_is_none_means_the_whole_photo(browser, file, box):
    list(browser.chat.composer.receive([str(file("good.png", png()))], browser.request))
    list(browser.chat.panel.on_click(event(act="mark", box=box), browser.request))
    assert browser.session.conversation.marked == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(("threshold", "top_k"), [(7, 4), (float("nan"), 4), (0.5, 0), (0.5, 99)])
def test_preferences_out_of_range_are_refused(browser, threshold, top_k):
    browser.fails(browser.settings, browser.settings.prefer, threshold, top_k)
    assert browser.context.assistant.library.preferences(ME) == Preferences()


@pytest.mark.parametrize("word", ["", "no", "erase everything", None])
def test_erasing_without_the_word_erases_nothing(browser, word):
    browser.fails(browser.settings, browser.settings.erase_all, word)


def test_an_export_of_nothing_says_so(browser):
    for concept in browser.context.assistant.concepts(ME):
        browser.context.assistant.forget(ME, concept.id)
    browser.fails(browser.concepts, browser.concepts.transfer.export)


@pytest.mark.parametrize("entry", ["-1", "99", "x", "", None])
def test_an_edit_of_a_question_that_is_not_there_does_nothing(browser, entry):
    assert list(browser.chat.on_log(event(act="edit", entry=entry), browser.request)) == []
    assert browser.session.conversation.editing is None


def test_before_the_app_is_ready_a_click_says_so(browser):
    browser.context.opening.assistant = None
    message = browser.fails(browser.chat, browser.chat.asking.submit, {"text": "Who?", "files": []})
    assert "getting ready" in message


def test_not_bo_taken_from_the_concept_is_taken_from_the_conversation_too(browser, file):
    list(browser.chat.composer.receive([str(file("bo.png", png(colour=(224, 36, 28))))], browser.request))
    bo = browser.context.assistant.concepts(ME)[0]
    session, assistant = browser.session, browser.context.assistant
    photo = session.conversation.draft[0]

    def found():
        browser.chat.photos.look_again(session)
        return [match.concept.name for match in session.conversation.findings[photo.sha256].matches]

    def turn_down():
        list(browser.chat.panel.on_click(event(act="not", concept=bo.id), browser.request))
        assert found() == []

    assert found() == ["bo"]
    turn_down()
    (negative,) = assistant.library.get(ME, bo.id).negatives
    session.open_concept = bo.id
    browser.concepts.editor.on_negatives(event(act="own", photo=negative.sha256), browser.request)
    assert found() == ["bo"]
    session.undo()
    assert found() == []


def test_not_bo_said_while_the_photo_is_looked_at_again_is_not_forgotten(browser, file, monkeypatch):
    list(browser.chat.composer.receive([str(file("bo.png", png(colour=(224, 36, 28))))], browser.request))
    session, assistant = browser.session, browser.context.assistant
    bo, photo = assistant.concepts(ME)[0], session.conversation.draft[0]
    look, looks = assistant.look, []

    def slow(*arguments, **more):
        found = look(*arguments, **more)
        looks.append(found)
        if len(looks) == 1:  # while the tab that was opened is drawn
            list(browser.chat.panel.on_click(event(act="not", concept=bo.id), browser.request))
        return found

    monkeypatch.setattr(assistant, "look", slow)
    browser.chat.photos.look_again(session)
    assert looks[0].matches
    assert session.conversation.findings[photo.sha256].matches == ()


def test_an_undone_not_bo_brings_back_what_made_room_for_it(browser, file):
    list(browser.chat.composer.receive([str(file("red.png", png(colour=(224, 36, 28))))], browser.request))
    session, assistant = browser.session, browser.context.assistant
    bo = assistant.concepts(ME)[0]
    for i in range(24):
        bo = assistant.revise(ME, bo.id, ConceptEdit(add_negatives=[picture(BLUE, dot=i)]))
    browser.chat.photos.look_again(session)
    list(browser.chat.panel.on_click(event(act="not", concept=bo.id), browser.request))
    after = assistant.library.get(ME, bo.id)
    assert len(after.negatives) == 24
    assert after.negatives != bo.negatives
    session.undo()
    assert set(assistant.library.get(ME, bo.id).negatives) == set(bo.negatives)


def test_a_damaged_photo_can_be_removed_in_the_page_and_is_told_where_an_export_leaves_it_out(browser):
    assistant, session = browser.context.assistant, browser.session
    bo = assistant.revise(ME, assistant.concepts(ME)[0].id, ConceptEdit(add=[picture(RED, dot=5)]))
    view = bo.views[1].sha256
    (file,) = browser.folder.rglob(f"{view}.jpg")
    file.write_bytes(b"not a picture")
    assert "1 photo of &lt;bo&gt;" in browser.fails(browser.concepts, browser.concepts.transfer.export)
    session.open_concept = bo.id
    shown = browser.concepts.draw(session)[browser.concepts.editor.views]
    assert "damaged" in shown
    assert f"data-photo='{view}'" in shown.replace('"', "'")
    browser.concepts.editor.on_views(event(act="remove", photo=view), browser.request)
    assert [one.sha256 for one in assistant.library.get(ME, bo.id).views] == [bo.avatar]
    assert session.undo is None


def test_a_tab_that_was_acted_in_while_it_was_drawn_is_drawn_again(browser, monkeypatch):
    draw = browser.concepts.draw

    def slow(session):
        screen = draw(session)
        monkeypatch.setattr(browser.concepts, "draw", draw)
        browser.concepts.new.begin(browser.request)
        return screen

    monkeypatch.setattr(browser.concepts, "draw", slow)
    shown = browser.page.redraw(browser.concepts)(browser.request)
    assert shown[browser.concepts.new.column].visible
