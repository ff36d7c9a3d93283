"""The whole story in a real browser, on the embedded default."""

from __future__ import annotations

import base64
import re
import socket
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import apps
from tests.chromium import ADVICE, find

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "assets" / "samples"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",  # what moves is drawn sixty times a second, by the processor here
]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    path = find()
    assert path, ADVICE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(data_dir, **environment):
    """The app in a process of its own, by the file that `make run` starts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = data_dir.parent / "app.log"
    app = apps.App(log, {"PERSONAL_DATA_DIR": str(data_dir), "GRADIO_SERVER_PORT": str(port), **environment})
    try:
        address = f"http://127.0.0.1:{port}/"
        deadline = time.monotonic() + 120
        while True:
            assert app.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                urllib.request.urlopen(address, timeout=5).read()
                break
            except OSError:
                time.sleep(0.3)
        yield address
    finally:
        app.kill()
        app.wait()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with served(tmp_path_factory.mktemp("one") / "data") as address:
        yield address


@pytest.fixture(scope="module")
def guests(tmp_path_factory):
    """An app whose visitors are guests, each with a library of their own; its address, and where their things are."""
    data = tmp_path_factory.mktemp("guests") / "data"
    with served(data, GRADIO_SERVER_NAME="0.0.0.0", PERSONAL_SESSION_GRACE_S="20") as address:
        yield address, data


def visit(context, address):
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(address)
    page.locator("#main #ask textarea").wait_for(timeout=120_000)
    assert not page.locator("#dropped, #download").locator("visible=true").count()
    return page


def tab(page, name):
    page.get_by_role("tab", name=name).click()


def upload(page, where, *files):
    page.locator(f"{where} input[type=file]").first.set_input_files([str(file) for file in files])


def card(page, name):
    """A concept's card; another's may mention the name."""
    return page.locator("#cards .card", has=page.locator("b", has_text=re.compile(f"^{name}$")))


def create(page, name, *files, info=""):
    tab(page, "Concepts")
    page.locator("#new").click()
    upload(page, "#files", *files)
    page.locator("#new-photos img").nth(len(files) - 1).wait_for()
    page.locator("#new-name textarea, #new-name input").fill(name)
    page.locator("#new-name-check .note").wait_for()
    if info:
        page.get_by_label("Notes (optional)").fill(info)
    page.locator("#create").click()
    card(page, name).wait_for()


def ask(page, question):
    said = page.locator("#log .said.it").count()
    box = page.locator("#ask textarea")
    box.fill(question)
    box.press("Enter")
    page.wait_for_function("n => document.querySelectorAll('#log .said.it').length > n", arg=said, timeout=60_000)
    return page.locator("#log .said.it").last


def samples():
    import json

    return json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))


def test_the_whole_story(app, chromium, tmp_path):
    first = samples()["concepts"][0]
    scene = next(p for p in samples()["photos"] if first["name"] in p["concepts"] and len(p["concepts"]) == 2)
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    page = visit(context, app)

    # Create a concept by uploading, then edit it.
    create(page, "môchi", *[SAMPLES / file for file in first["views"]])
    card(page, "môchi").click()
    page.locator("#edit-info textarea").fill("<môchi> is afraid of thunder.")
    page.locator("#keep").click()
    page.locator("#toast", has_text="môchi is saved").wait_for()

    # Drop another photo into the chat: the box is there before anything is asked.
    tab(page, "Chat")
    upload(page, "#ask", SAMPLES / scene["file"])
    page.locator("#panel .box", has_text="môchi").wait_for()
    assert 0 < float(page.locator("#panel .match .similarity").first.inner_text()) <= 1
    assert "môchi" in page.locator("#panel .stage img").get_attribute("alt")

    # Ask: a streamed answer beside its evidence.
    page.evaluate(
        "window.seen = new Set(); new MutationObserver(() => { const live = document.querySelector('#live .words');"
        "if (live) window.seen.add(live.innerText); }).observe(document.querySelector('#live'), "
        "{childList: true, subtree: true, characterData: true})"
    )
    answer = ask(page, "What is he doing?")
    assert len(answer.locator(".words").inner_text()) > 3
    assert page.evaluate("window.seen.size") > 1, "the answer did not stream"
    assert "used môchi" in answer.locator("summary").inner_text()

    # "Who is here?" needs no model, pressed or typed, and the name is a chip.
    page.get_by_role("button", name="Who is here?").click()
    pressed = page.locator("#log .said.it").nth(1)
    pressed.locator(".chip", has_text="môchi").wait_for()
    typed = ask(page, "who is here")
    assert typed.locator(".words").inner_text() == pressed.locator(".words").inner_text()
    assert " + " not in typed.locator("summary").inner_text(), "a model was asked"

    # "This is …": mark another part by two clicks on its corners, and take it back. The panel drawn anew between them
    # loses nothing.
    stage = page.locator("#panel .stage")
    area = stage.bounding_box()
    box = page.locator("#panel .box", has_text="môchi").bounding_box()
    left = box["x"] + box["width"] / 2 > area["x"] + area["width"] / 2
    x = 10 if left else area["width"] - 120
    stage.click(position={"x": x, "y": 60})
    stage.evaluate("stage => stage.replaceWith(stage.cloneNode(true))")
    stage.click(position={"x": x + 110, "y": area["height"] - 40})
    page.locator("#panel .box.marked").wait_for()
    name = page.locator("#name textarea, #name input")
    name.fill("other one")
    name.press("Enter")
    page.locator("#toast", has_text="Added other one").wait_for()
    tab(page, "Concepts")
    card(page, "other one").wait_for()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    page.locator("#toast", has_text="Removed other one").wait_for()
    card(page, "other one").wait_for(state="detached")

    # Forget, and undo.
    card(page, "môchi").click()
    page.locator("#forget").click()
    card(page, "môchi").wait_for(state="detached")
    tab(page, "Chat")
    page.locator("#panel .none").wait_for()
    tab(page, "Concepts")
    page.locator("#forgotten li", has_text="môchi").get_by_role("button", name="Undo").click()
    card(page, "môchi").wait_for()

    # Reload: the concept and the conversation are still there.
    page.reload()
    page.locator("#log .said.you", has_text="What is he doing?").wait_for(timeout=60_000)
    page.locator("#panel .box", has_text="môchi").wait_for()
    tab(page, "Concepts")
    card(page, "môchi").click()
    assert page.locator("#edit-info textarea").input_value() == "<môchi> is afraid of thunder."
    context.close()


@pytest.fixture
def seeing(tmp_path):
    """The embedded model, laid out to look at photos whether or not it was trained to."""
    from personal.settings import load
    from personal.tiny.assemble import assemble, mllm_dir
    from personal.tiny.mllm import SEEING_TEMPLATE

    for _ in assemble(load().cache_dir):
        pass
    folder = tmp_path / "seeing"
    folder.mkdir()
    for file in mllm_dir(load().cache_dir).iterdir():
        (folder / file.name).symlink_to(file)
    for name, text in (("personal.json", '{"sees": true}'), ("chat_template.jinja", SEEING_TEMPLATE)):
        (folder / name).unlink()
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_description_is_drafted_for_the_user_to_edit(seeing, tmp_path, chromium):
    from playwright.sync_api import expect

    first = samples()["concepts"][0]
    with served(tmp_path / "data", PERSONAL_MODEL=str(seeing), PERSONAL_MAX_NEW_TOKENS="24") as address:
        page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
        tab(page, "Concepts")
        page.locator("#new").click()
        page.locator("#new-describe-status", has_text="Add a photo first").wait_for()
        assert page.locator("#new-describe").is_disabled()

        # In the form of a new concept, after what stands there already.
        upload(page, "#files", SAMPLES / first["views"][0])
        page.locator("#new-describe:enabled").wait_for()
        info = page.get_by_label("Notes (optional)")
        info.fill("Mine.")
        page.locator("#new-describe").click()
        expect(info).to_have_value(re.compile(r"^Mine\.\n\S"), timeout=60_000)
        page.locator("#new-describe:enabled").wait_for()
        page.locator("#new-name textarea, #new-name input").fill("drafted")
        page.locator("#create").click()

        # In the form of a concept that is there: nothing is kept until it is saved.
        card(page, "drafted").click()
        field = page.locator("#edit-info textarea")
        expect(field).to_have_value(re.compile(r"^Mine\."))
        saved = field.input_value()
        page.locator("#edit-describe").click()
        expect(field).to_have_value(re.compile(f"^{re.escape(saved)}\n\\S"), timeout=60_000)
        page.keyboard.press("Escape")
        page.locator("#edit-describe:enabled").wait_for()
        card(page, "drafted").click()
        page.locator("#edit-unsaved [data-act=discard]").click()
        expect(field).to_have_value(saved)
        page.context.close()


def test_no_upload_stays_on_the_server(app, chromium, tmp_path_factory):
    data = next(tmp_path_factory.getbasetemp().glob("one*")) / "data"
    page = visit(chromium.new_context(), app)
    upload(page, "#ask", SAMPLES / samples()["photos"][0]["file"])
    page.locator("#panel .stage").wait_for()
    assert [f for f in (data / "uploads").rglob("*") if f.is_file() and f.stat().st_size] == []
    page.context.close()


DROP = """([where, name, type, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)), carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.querySelector(where).dispatchEvent(
      new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


def test_a_photo_is_taken_by_its_content_whatever_it_is_called(app, chromium, tmp_path):
    """Dropped where Gradio takes it, or chosen in the browser's dialog, which offers pictures first."""
    names = ["photo.jfif", "photo.jpe", "photo.mpo", "IMG_0001", "photo.dat"]
    views = [view for concept in samples()["concepts"] for view in concept["views"]]
    files = {name: (SAMPLES / view).read_bytes() for name, view in zip(names, views, strict=False)}
    for name, photo in files.items():
        (tmp_path / name).write_bytes(photo)
    page = visit(chromium.new_context(), app)
    tab(page, "Concepts")
    page.locator("#new").click()
    with page.expect_file_chooser() as opened:
        page.locator("#files").click()
    assert "image/*" in opened.value.element.get_attribute("accept")
    opened.value.set_files([str(tmp_path / name) for name in names])
    page.locator("#new-photos img").nth(len(names) - 1).wait_for()
    tab(page, "Chat")
    for number, (name, photo) in enumerate(files.items()):
        page.evaluate(DROP, ["#ask textarea", name, "", base64.b64encode(photo).decode()])
        page.locator("#drafts figure").nth(number).wait_for()
    page.locator("#panel .stage").wait_for()
    page.context.close()


def test_the_samples_are_one_click_away(guests, chromium):
    address, _ = guests
    page = visit(chromium.new_context(), address)
    page.locator("#log [data-act=samples]").click()
    page.locator("#panel .box").first.wait_for()
    shown = {box.inner_text() for box in page.locator("#panel .box").all()}
    assert shown & {concept["name"] for concept in samples()["concepts"]}
    tab(page, "Concepts")
    page.locator("#cards .card").nth(2).wait_for()
    page.context.close()


def test_a_correction_sticks_for_the_photo(app, chromium):
    first = samples()["concepts"][0]
    scene = next(p for p in samples()["photos"] if p["concepts"] == [first["name"]])
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), app)
    create(page, "corrected", *[SAMPLES / file for file in first["views"]])
    tab(page, "Chat")
    page.locator(".talks").get_by_role("button", name="New").click()
    upload(page, "#ask", SAMPLES / scene["file"])
    names = page.locator("#panel .match .who b")
    names.first.wait_for()
    wrong = names.first.inner_text()
    match = page.locator("#panel .match").first
    match.locator(".menu summary").click()
    match.get_by_role("button", name=re.compile("^This isn.t ")).click()
    page.wait_for_function(
        "name => ![...document.querySelectorAll('#panel .match .who b')].some(e => e.innerText === name)", arg=wrong
    )
    page.context.close()


def test_a_part_of_a_box_is_marked_by_drawing_the_mouse_and_named_exactly(guests, chromium):
    first, second, *_ = samples()["concepts"]
    address, _ = guests
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
    create(page, "bo the second", SAMPLES / first["views"][0])
    create(page, "bo", SAMPLES / second["views"][0])
    # let go of beside the field for questions, a photo is taken all the same: also where no chat is shown
    data = base64.b64encode((SAMPLES / first["views"][0]).read_bytes()).decode()
    transfer = page.evaluate_handle(
        "data => { const transfer = new DataTransfer(); transfer.items.add(new File("
        "[Uint8Array.from(atob(data), sign => sign.charCodeAt(0))], 'a.jpg', {type: 'image/jpeg'})); "
        "return transfer; }",
        data,
    )
    for name, where, shown in (
        ("Settings", ".gradio-container", "[role=tab].over"),
        ("Chat", "#panel .empty", ".chat.over"),
    ):
        tab(page, name)
        for kind in ("dragover", "drop"):
            page.locator(where).first.dispatch_event(kind, {"dataTransfer": transfer})
            if kind == "dragover":
                page.locator(shown).wait_for()
        page.locator("#panel .box", has_text="bo the second").wait_for()
        if name == "Settings":
            page.locator("#new-chat").click()
            page.locator("#panel .empty").wait_for()
    box = page.locator("#panel .box", has_text="bo the second")
    box.wait_for()
    area = box.bounding_box()
    x, y = area["x"] + area["width"] / 4, area["y"] + area["height"] / 3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + area["width"] / 3, y + area["height"] / 3, steps=5)
    page.mouse.up()
    marked = page.locator("#panel .box.marked")
    marked.wait_for()
    assert abs(marked.bounding_box()["width"] - area["width"] / 3) < 6
    assert page.locator("#nearest button").count() == 2
    name = page.locator("#name textarea, #name input")
    name.fill("bo")
    name.press("Enter")
    page.locator("#toast", has_text="Photo added to bo.").wait_for()
    page.locator("#namer").wait_for(state="hidden")

    # Two clicks as before, the second within the box of somebody.
    stage = page.locator("#panel .stage").bounding_box()
    page.mouse.click(stage["x"] + 4, stage["y"] + 4)
    page.mouse.click(x, y)
    marked.wait_for()
    assert marked.bounding_box()["x"] < area["x"] + 6 or area["x"] < stage["x"] + 6


def test_stop_ends_an_answer_and_edit_asks_again(app, chromium):
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), app)
    for _ in range(4):  # the model may be brief, and be over before the page is told that it has begun
        upload(page, "#ask", SAMPLES / "beach.jpg")  # without a photo no model is asked
        page.locator("#panel .stage").wait_for()
        page.evaluate(
            "new MutationObserver((_, observer) => { if (!document.querySelector('#ask .stop-button')) return;"
            "observer.disconnect(); "
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));"
            "}).observe(document.body, {childList: true, subtree: true})"
        )
        answer = ask(page, "Write all letters of the alphabet ten times: a b c d e f")
        if re.search("[Ss]topped", answer.inner_text()):
            break
        page.locator("#new-chat").click()
        page.locator("#log .said").first.wait_for(state="detached")
    assert re.search("[Ss]topped", answer.inner_text())
    page.locator("#log [data-act=edit]").click()
    page.wait_for_function("() => document.querySelector('#ask textarea').value.startsWith('Write all')")
    answer = ask_edited(page, "Say hello.")
    assert page.locator("#log .said.you").count() == 1
    assert "Say hello." in page.locator("#log .said.you").inner_text()
    assert answer.inner_text()
    page.context.close()


def ask_edited(page, question):
    page.locator("#ask textarea").fill(question)
    page.locator("#ask textarea").press("Enter")
    page.locator("#log .said.you", has_text=question).wait_for()
    page.locator("#log .said.it .words").wait_for(timeout=60_000)
    return page.locator("#log .said.it").last


def test_two_visitors_never_see_each_others_things(guests, chromium):
    address, data = guests
    one, two = chromium.new_context(), chromium.new_context()
    first, second = visit(one, address), visit(two, address)
    assert "guest" in first.locator("#banner").inner_text()
    create(first, "my secret dog", *[SAMPLES / file for file in samples()["concepts"][0]["views"]])
    tab(first, "Chat")
    upload(first, "#ask", SAMPLES / samples()["photos"][0]["file"])
    first.locator("#panel .box", has_text="my secret dog").wait_for()

    upload(second, "#ask", SAMPLES / samples()["photos"][0]["file"])
    second.locator("#panel .none").wait_for()
    tab(second, "Concepts")
    second.locator("#cards [data-act=samples]").wait_for()
    assert "my secret dog" not in second.content()

    # A reload keeps the visitor; the other still sees nothing.
    first.reload()
    first.locator("#panel .box", has_text="my secret dog").wait_for(timeout=60_000)
    second.reload()
    tab(second, "Concepts")
    second.locator("#cards [data-act=samples]").wait_for()
    assert "my secret dog" not in second.content()

    # When the visitor leaves, what was theirs is erased from the disk.
    assert b"my secret dog" in everything(data)
    one.close()
    deadline = time.monotonic() + 60
    while b"my secret dog" in everything(data) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert b"my secret dog" not in everything(data)
    assert "Concepts" in second.content()
    two.close()


def everything(folder):
    found = b""
    for path in folder.rglob("*"):
        try:
            found += path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
    return found


WIDE = "* { font-family: 'DejaVu Sans Mono', monospace !important; letter-spacing: 2px !important; }"


@pytest.mark.parametrize("width", [390, 360])
def test_it_fits_a_narrow_screen_and_every_tab_is_one_tap_away(app, chromium, width):
    context = chromium.new_context(viewport={"width": width, "height": 740}, has_touch=True)
    page = visit(context, app)
    _tap_every_tab(page, width)
    if width == 360:
        page.add_style_tag(content=WIDE)
        page.set_viewport_size({"width": width + 1, "height": 740})  # Gradio measures its tabs when the page changes
        page.set_viewport_size({"width": width, "height": 740})
        page.wait_for_function("() => getComputedStyle(document.querySelector('[role=tab]')).letterSpacing === '2px'")
        _tap_every_tab(page, width)
    context.close()


def _tap_every_tab(page, width):
    assert page.locator("#tabs > .tab-wrapper .overflow-menu").locator("visible=true").count() == 0
    for name, inside in (("Concepts", "#cards"), ("Evaluate", "#check"), ("Settings", "#erase-word"), ("Chat", "#ask")):
        button = page.get_by_role("tab", name=name)
        area = button.bounding_box()
        assert area["x"] >= 0, name
        assert area["x"] + area["width"] <= width, name
        assert area["height"] >= 44, name
        page.touchscreen.tap(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
        page.locator(inside).first.wait_for()
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def test_erasing_everything_wants_the_word_typed(tmp_path, chromium):
    with served(tmp_path / "data") as address:
        page = visit(chromium.new_context(), address)
        create(page, "soon gone", *[SAMPLES / file for file in samples()["concepts"][0]["views"]])
        tab(page, "Settings")
        confidence = page.locator("#confidence input[type=number]")
        default = confidence.input_value()
        page.locator("#confidence input[type=range]").press("ArrowRight")
        for half_typed in ("", "0", "0.8"):
            confidence.fill(half_typed)
            page.wait_for_timeout(300)
        page.locator("#reset").click()
        page.wait_for_function(
            "value => document.querySelector('#confidence input[type=number]').value === value", arg=default
        )
        page.locator("#reindex").click()
        page.locator("#toast", has_text="All photos were learned again").wait_for()
        assert "Error" not in (tmp_path / "app.log").read_text()
        assert not page.locator("#reindex-progress").inner_text().strip()
        assert page.locator("#erase").is_disabled()
        page.locator("#erase-word textarea, #erase-word input").fill("erase")
        page.wait_for_function("() => !document.querySelector('#erase').disabled")
        page.locator("#erase").click()
        page.locator("#toast", has_text="All your data was erased").wait_for()
        tab(page, "Concepts")
        page.locator("#cards [data-act=samples]").wait_for()
        assert b"soon gone" not in everything(tmp_path / "data")
        page.context.close()


def test_what_is_exported_can_be_imported_again(guests, chromium, tmp_path):
    address, _ = guests
    page = visit(chromium.new_context(accept_downloads=True), address)
    create(page, "traveller", *[SAMPLES / file for file in samples()["concepts"][0]["views"]])
    with page.expect_download() as download:
        page.locator("#export").click()
    archive = tmp_path / "personal.zip"
    download.value.save_as(archive)
    card(page, "traveller").click()
    page.locator("#forget").click()
    page.locator("#cards .card").wait_for(state="detached")
    page.locator("#import").click()
    upload(page, "#archive", archive)
    page.locator("#preview td", has_text="new, 3 photos").wait_for()
    page.locator("#apply").click()
    card(page, "traveller").wait_for()
    page.context.close()


def test_a_guest_cannot_change_the_model(guests, chromium):
    address, _ = guests
    page = visit(chromium.new_context(), address)
    tab(page, "Settings")
    page.locator("#running", has_text="Answers").wait_for()
    assert page.locator("#model-choice").count() == 0 or not page.locator("#model-choice").is_visible()
    page.context.close()
