"""Changing the language model in the Settings tab, in a real browser: pick, load, chat, switch, a load that fails."""

from __future__ import annotations

import shutil

import pytest

from tests.test_browser import SAMPLES, chromium, served, tab, upload, visit  # noqa: F401
from tests.test_local import seeing, text_only  # noqa: F401

pytestmark = pytest.mark.browser


def use(page, source):
    """Ask for a model in the Settings tab."""
    tab(page, "Settings")
    box = page.locator("#model-choice input")
    box.fill(source)
    box.press("Enter")
    page.locator("#model-use:not([disabled])").click()


def answered(page, question):
    """Ask, and wait for the answer's end: a random model may well say nothing."""
    over = page.locator("#log").get_by_text("Copy", exact=True)
    before = over.count()
    page.locator("#ask textarea").fill(question)
    page.locator("#ask textarea").press("Enter")
    over.nth(before).wait_for()


@pytest.fixture(scope="module")
def offline(text_only, tmp_path_factory):  # noqa: F811
    """An app with a model that reads text, and no hub."""
    more = {"PERSONAL_MODEL": str(text_only), "PERSONAL_MAX_NEW_TOKENS": "8", "HF_HUB_OFFLINE": "1"}
    with served(tmp_path_factory.mktemp("offline") / "data", **more) as address:
        yield address


def test_what_is_offered_says_what_fits(offline, chromium):  # noqa: F811
    page = visit(chromium.new_context(), offline)
    tab(page, "Settings")
    page.locator("#model-choice input").click()
    offers = page.locator("#model-choice [role=option]")
    offers.first.wait_for()
    titles = offers.all_inner_texts()
    assert any("suggested" in title for title in titles)
    offers.filter(has_text="SmolVLM2 256M").click()
    page.locator("#model-about", has_text="Apache-2.0").wait_for()
    page.locator("#model-use:not([disabled])").click()
    page.locator("#model-progress .problem", has_text="no hub is asked while offline").wait_for()
    page.context.close()


def test_models_are_changed_while_the_app_runs(offline, seeing, text_only, tmp_path, chromium):  # noqa: F811
    broken = tmp_path / "broken"
    shutil.copytree(text_only, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5000])
    page = visit(chromium.new_context(), offline)
    assert "does not look at photos" in page.locator("#banner").inner_text()

    use(page, str(seeing))
    page.locator("#header .running", has_text=seeing.name).wait_for()
    page.locator("#running", has_text="It looks at the photos").wait_for()
    page.locator("#toast", has_text="answers from now on").wait_for()
    assert page.locator("#banner .banner").count() == 0

    tab(page, "Chat")
    upload(page, "#ask", next(iter(sorted(SAMPLES.rglob("*.jpg")))))
    page.locator("#panel .stage").wait_for()
    answered(page, "What is it?")

    use(page, str(broken))
    page.locator("#model-progress .problem", has_text="goes on answering").wait_for()
    assert seeing.name in page.locator("#header .running").inner_text()
    tab(page, "Chat")
    answered(page, "And now?")

    use(page, str(tmp_path / "nowhere"))
    page.locator("#model-progress .problem", has_text="There is no folder").wait_for()

    use(page, "personal-tiny")
    page.locator("#header .running", has_text="personal-tiny").wait_for()
    assert page.locator("#model-use:not([disabled])").is_visible()
