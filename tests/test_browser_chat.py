"""The composer and the thread in a real browser: names after "@", photos opened large, Stop, and a phone."""

from __future__ import annotations

import base64
import re
import threading
import time

import pytest
from playwright.sync_api import expect

from tests.chromium import find
from tests.test_browser import FLAGS, SAMPLES, app, ask, chromium, served, upload, visit  # noqa: F401
from tests.test_remote import Server, chunk

pytestmark = pytest.mark.browser


def try_samples(page):
    page.locator("#log [data-act=samples]").click()
    page.locator("#drafts figcaption [data-concept]").first.wait_for(timeout=60_000)


def drop_two(page):
    upload(page, "#ask", SAMPLES / "kitchen.jpg", SAMPLES / "beach.jpg")
    expect(page.locator("#drafts .draft")).to_have_count(3)
    expect(page.locator("#drafts")).not_to_contain_text("Looking")


def active(page):
    return page.evaluate("document.activeElement.dataset.photo ?? document.activeElement.id ?? ''")


def test_names_are_completed_and_photos_opened_large(app, chromium):  # noqa: F811
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 900}), app)
    try_samples(page)
    drop_two(page)
    names_of = [re.findall(r"[\w-]+", caption) for caption in page.locator("#drafts figcaption").all_inner_texts()]
    assert names_of == [
        ["bo", "sunny-cup"],
        ["sunny-cup", "rosie"],
        ["bo"],
    ]

    # "@" lists the names; more letters leave fewer, without asking the server; Esc, keys, mouse.
    box, names = page.locator("#ask textarea"), page.locator("#mentions li")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "names" in request.url else None)
    box.press_sequentially("Where is @")
    expect(names).to_have_count(3)
    box.press_sequentially("o")
    expect(names).to_have_count(0)
    late = []

    def hold(route):
        late.append(route)

    page.route("**/personal/names", hold)  # the list is there before they come, and a key chooses meanwhile
    box.press("Backspace")
    expect(names).to_have_count(3)
    box.press("ArrowDown")
    page.wait_for_timeout(100)
    with page.expect_request_finished(lambda request: "names" in request.url):
        late.pop().continue_()
    page.unroute("**/personal/names")
    page.wait_for_timeout(100)
    expect(page.locator("#mentions [aria-selected=true]")).to_contain_text("rosie")
    assert box.get_attribute("aria-activedescendant") == names.nth(1).get_attribute("id")
    box.press("Escape")
    expect(page.locator("#mentions")).to_be_hidden()
    box.press_sequentially("ro")
    names.first.click()
    expect(box).to_have_value("Where is <rosie> ")
    box.press_sequentially("and @b")
    box.press("Enter")
    expect(box).to_have_value("Where is <rosie> and <bo> ")
    assert len(asked) <= 4
    box.press("Enter")
    answer = page.locator("#log .said.it").last
    expect(answer.locator(".chip")).to_contain_text(["rosie"])
    expect(page.locator("#log .said.you .chip")).to_have_text(["rosie", "bo"])

    # A photo of the thread opens large: the panel itself; arrows go through the photos, Esc leads back.
    shots = page.locator("#log .shot")
    expect(shots).to_have_count(3)
    shots.nth(1).click()
    large = page.locator(".beside.large")
    stage = large.locator(f'.stage[data-stage="{shots.nth(1).get_attribute("data-photo")}"]')
    stage.locator(".box", has_text="rosie").wait_for()
    assert page.locator("#panel").count() == 1
    assert large.bounding_box()["height"] >= 900
    assert page.evaluate("Boolean(document.querySelector('#ask').closest('[inert]'))")
    page.keyboard.press("ArrowRight")
    large.locator(f'.stage[data-stage="{shots.nth(2).get_attribute("data-photo")}"]').wait_for()
    page.keyboard.press("ArrowLeft")
    stage.locator(".box", has_text="rosie").click()  # boxes are named here as anywhere
    page.locator(".large #namer input, .large #namer textarea").wait_for()
    page.locator(".large #namer").get_by_role("button", name="Cancel").click()
    page.locator("#namer").wait_for(state="hidden")
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    assert active(page) == shots.nth(1).get_attribute("data-photo")
    assert not page.locator("[inert]").count()
    page.context.close()


def test_on_a_phone_a_photo_opens_over_the_page_and_all_targets_are_large(app, chromium):  # noqa: F811
    page = visit(chromium.new_context(viewport={"width": 390, "height": 760}, has_touch=True), app)
    if page.locator("#log [data-act=samples]").count():
        try_samples(page)
    else:
        upload(page, "#ask", SAMPLES / "picnic.jpg")
    expect(page.locator(".beside")).to_be_hidden()
    ask(page, "Who is here?")
    assert small(page) == []
    page.locator("#log .shot").last.tap()
    page.locator(".beside.large .stage img[src]").wait_for()
    assert small(page) == []
    page.locator(".beside.large [data-act=close]").tap()
    page.locator("#log .names [data-act=mark]").last.tap()
    page.locator(".beside.large #namer").wait_for()
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=390)
    assert not page.locator(".progress-text, .eta-bar").locator("visible=true").count()
    page.context.close()


def small(page):
    """Buttons in sight that are smaller than 44 pixels, but for those that stand in a line of text."""
    return page.evaluate(
        """() => [...document.querySelectorAll("button, summary, [role=tab], input, textarea")].filter((e) => {
          const area = e.getBoundingClientRect(), style = getComputedStyle(e);
          const seen = e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && area.width > 1;
          const touched = seen && !e.closest("[inert]") && !e.matches("input");
          const halo = Math.min(0, parseFloat(getComputedStyle(e, "::after").inset) || 0);
          const small = area.height - 2 * halo < 43.5 || area.width - 2 * halo < 43.5;
          return touched && small && !e.closest(".box, .used, .why");
        }).map((e) => `${e.outerHTML.slice(0, 90)} ${e.offsetWidth}x${e.offsetHeight}`)"""
    )


def test_the_camera_is_behind_the_photo_button_and_a_photo_is_pasted_anywhere(app, chromium):  # noqa: F811
    flags = [*FLAGS, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    browser = chromium.browser_type.launch(executable_path=find(), args=flags)
    page = visit(browser.new_context(), app)
    button, camera = page.locator("#ask .upload-button"), page.locator("#camera")
    expect(camera).to_be_hidden()
    button.click()
    page.get_by_role("menuitem", name="Choose photos").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("#sources")).to_be_hidden()
    button.click()
    page.get_by_role("menuitem", name="Take a photo").click()
    drafts = page.locator("#drafts .draft")
    waiting = drafts.count()
    camera.get_by_role("button").first.click()
    page.wait_for_function("() => document.querySelector('#camera video')?.readyState >= 2")
    camera.get_by_label("capture photo").click()
    expect(drafts).to_have_count(waiting + 1)
    expect(camera).to_be_hidden()

    button.click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Choose photos").click()
    chooser.value.set_files([])
    data = base64.b64encode((SAMPLES / "rosie-1.jpg").read_bytes()).decode()
    page.evaluate(
        "data => { const files = new DataTransfer(); files.items.add(new File([Uint8Array.from(atob(data), "
        "sign => sign.charCodeAt(0))], 'a.jpg', {type: 'image/jpeg'})); document.body.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: files, bubbles: true, cancelable: true})); }",
        data,
    )
    expect(drafts).to_have_count(waiting + 2)
    browser.close()


@pytest.fixture
def slow():
    """A server whose answer begins when it is let, and never ends."""
    made = Server()
    made.begin, made.spoken = threading.Event(), threading.Event()

    def answer(handler):
        handler.begin()
        made.begin.wait(60)
        handler.event(chunk(role="assistant", content=""))
        for word in ("A ", "dog ", "lies ", "on a so"):
            handler.event(chunk(content=word))
            time.sleep(0.2)
        made.spoken.set()
        handler.await_leaving()

    made.answers = [answer]
    yield made
    made.begin.set()
    made.shutdown()


STOP = """() => {
  document.querySelector("#ask .stop-button").click();
  return document.querySelector("#stopping")?.textContent;
}"""


def test_stop_is_answered_at_once_before_the_first_word_and_after_it(slow, tmp_path, chromium):  # noqa: F811
    with served(tmp_path / "data", PERSONAL_LLM_URL=slow.url) as address:
        page = visit(chromium.new_context(), address)
        box, answers = page.locator("#ask textarea"), page.locator("#log .said.it")
        box.fill("What is this?")
        box.press("Enter")
        page.locator("#ask .stop-button").wait_for()
        assert slow.reached.wait(30)
        assert page.evaluate(STOP) == "Stopping …"
        expect(answers).to_have_count(1)
        expect(answers.first).to_contain_text("Stopped.")
        expect(page.locator("#stopping")).to_have_count(0)

        slow.begin.set()
        box.fill("And now?")
        box.press("Enter")
        page.locator("#live .words", has_text="on a so").wait_for()
        assert page.evaluate(STOP) == "Stopping …"
        expect(answers).to_have_count(2)
        assert slow.left.wait(10), "the server was left to write on"
        expect(answers.last.locator(".words")).to_have_text("A dog lies on a")
        expect(answers.last).to_contain_text("Stopped.")
        page.context.close()


def test_a_photo_that_arrives_late_moves_nothing_in_the_thread(app, chromium):  # noqa: F811
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 900}), app)
    upload(page, "#ask", SAMPLES / "kitchen.jpg")
    page.locator("#drafts .draft img[src]").wait_for()
    late = []
    page.route("**/personal/picture/*side=480*", lambda route: late.append(route))
    ask(page, "Who is here?")
    shot = page.locator("#log .shot").last
    before = shot.bounding_box()
    assert before["height"] > 200
    assert before["width"] > 300
    for route in late:
        route.continue_()
    page.locator("#log .shot img[src]").last.wait_for()
    assert shot.bounding_box() == before
    page.context.close()
