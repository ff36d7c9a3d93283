"""Every screen can be used by everybody: axe finds nothing, in light and dark, at a desk and on a phone."""

from __future__ import annotations

import pytest

from tests.test_browser import SAMPLES, app, ask, chromium, create, samples, tab, upload, visit  # noqa: F401

pytestmark = pytest.mark.browser
SCENE = samples()["photos"][0]["file"]


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:140] for node in one['nodes']][:4]}"
        for one in found
        if one["impact"] in {"minor", "moderate", "serious", "critical"}
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_axe_finds_nothing_on_any_screen(app, chromium, width, scheme):  # noqa: F811
    page = visit(chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme), app)
    found = {"empty chat": violations(page)}
    for name in ("Concepts", "Library", "Evaluate", "Settings"):
        tab(page, name)
        page.wait_for_timeout(500)
        found[f"empty {name}"] = violations(page)
    if width == 1440:
        create(page, "bo", *[SAMPLES / file for file in samples()["concepts"][0]["views"]])
    tab(page, "Concepts")
    page.locator("#cards .card").first.click()
    page.locator("#editor #views img[src]").first.wait_for()
    found["an open concept"] = violations(page)
    tab(page, "Chat")
    upload(page, "#ask", SAMPLES / SCENE)
    page.locator("#drafts img[src]").wait_for()
    page.locator("#ask textarea").press_sequentially("Who is @b")
    page.locator("#mentions li img[src]").wait_for()
    found["a name is completed"] = violations(page)
    ask(page, "Who is here?")
    found["a conversation"] = violations(page)
    page.locator("#log .shot").click()
    page.locator(".large .stage img[src]").wait_for()
    found["a photo opened large"] = violations(page)
    page.keyboard.press("Escape")
    page.locator("#header summary").click()
    page.locator("#header .models li").first.wait_for()
    found["the list of models"] = violations(page)
    assert {screen: list_ for screen, list_ in found.items() if list_} == {}
