"""A study in a real browser: one participant's whole way, interrupted at every step, at a desk and on a phone."""

from __future__ import annotations

import contextlib
import re
import time

import httpx
import pytest
from playwright.sync_api import Error

from tests.study_pages import STUDY
from tests.test_browser import SAMPLES, chromium, samples, served  # noqa: F401
from tests.test_browser_access import violations

pytestmark = pytest.mark.browser
PASSWORD = "correct horse"
TELLING = ("memory", "personal-tiny", "recognition and notes", "condition", "retrieval", "similarity", "threshold")
"""What would tell which condition answers."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """An app with a study that runs; its address, and where its data is."""
    data = tmp_path_factory.mktemp("study") / "data"
    with served(data, PERSONAL_STUDY_PASSWORD=PASSWORD) as address:
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            client.post("/studies", data={"password": PASSWORD})
            deadline = time.monotonic() + 180
            while "New study" not in client.get("/studies").text:
                assert time.monotonic() < deadline
                time.sleep(0.5)
            client.post("/studies/new", data={"id": "two", "example": "personalization"})
            client.post("/studies/two/file", data={"text": STUDY, "do": "save"})
            assert client.post("/studies/two/status", data={"status": "running"}).status_code == 303
        yield address, data


class Way:
    """A participant's page, and what was wrong with it on the way."""

    def __init__(self, context, address, pid):
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.wrong = []
        self.checked = set()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.goto(f"{address}study/two?PROLIFIC_PID={pid}")

    def heading(self):
        return self.page.locator("h1").inner_text()

    def interrupted(self):
        """Refresh in the middle of a step: the step is the same, it fits, and everybody can use it."""
        before = self.heading()
        self.page.reload()
        assert self.heading() == before
        shown = before.partition(": ")[2] or before, self.page.locator(".said, .card").count()  # parts are alike
        found = [] if shown in self.checked else violations(self.page)
        self.checked.add(shown)
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        self.wrong += [f"{before}: {one}" for one in found] + ([f"{before} is {wide} px too wide"] if wide > 0 else [])

    def press(self, name, then=""):
        """Press a button that leads to another page, which holds some words."""
        self.page.get_by_role("button", name=name, exact=True).click()
        if then:
            self.page.get_by_text(then).first.wait_for()

    def ask(self, question, file):
        """Add a photo and ask; interrupted with the question half typed, and again while the answer grows."""
        page = self.page
        page.locator("#photo").set_input_files(str(SAMPLES / file))
        page.locator("input[name=about]:checked").wait_for(state="attached")
        page.locator("#question").fill(question)
        self.interrupted()
        assert page.locator("#question").input_value() == question
        page.locator("#question").press("Enter")
        page.locator(".said.you p", has_text=question).wait_for()
        page.reload()
        page.locator("#live[data-running='']").wait_for(timeout=60_000)
        page.locator(".said.it .words").first.wait_for()


def begin(way):
    """Consent, eligibility, tutorial, one concept."""
    page = way.page
    way.press("Take part", "Tick this box")
    page.get_by_label("I have read this").check()
    way.interrupted()
    page.get_by_label("I have read this").check()
    way.press("Take part", "Are you 18")
    page.get_by_label("Yes").check()
    way.interrupted()
    assert page.get_by_label("Yes").is_checked()
    way.press("Continue", "How it works")
    page.locator("#question").press("Enter")
    page.locator("#answer .words").wait_for()
    page.goto(page.url.removesuffix("/try"))
    way.interrupted()
    way.press("Continue", "Its name")
    page.get_by_label("Its name").fill("zebedee")
    way.interrupted()
    assert page.get_by_label("Its name").input_value() == "zebedee"
    page.locator("#photos").set_input_files([str(SAMPLES / file) for file in samples()["concepts"][0]["views"][:2]])
    way.press("Add", "Added so far")
    way.interrupted()
    way.press("Continue", "Part 1 of 2: Look at it")


def part(way, number, scene):
    """The tasks and questionnaires of a condition."""
    page = way.page
    way.ask("Who is here, Zebulon?", scene)
    way.interrupted()
    way.press("Continue", f"Part {number} of 2: One answer")
    if page.locator("input[name=about]:checked").count() == 0:
        page.locator("input[name=about]").first.check()
    way.press("Show the answer", "It is good.")
    page.locator("input[name=good]").nth(4).check()
    way.interrupted()
    assert page.locator("input[name=good]").nth(4).is_checked()
    way.press("Continue", "I think that I would like")
    for row in range(1, 10):
        page.locator(f"input[name=sus{row}]").nth(2).check()
    way.press("Continue", "Please look at one answer again")
    way.interrupted()
    assert page.locator("input[name=sus1]").nth(2).is_checked()
    page.locator("input[name=sus10]").nth(2).check()
    way.press("Continue", "Mental demand")
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    page.locator("output", has_text="12").wait_for()
    way.interrupted()
    assert page.locator("output").first.inner_text() == "12"
    for slider in page.locator("input[type=range]").all()[1:]:
        slider.focus()
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Continue").click()


def compare(way, scene):
    """The blind comparison: neither the pages nor anything that was fetched for them tells which side is which."""
    page = way.page
    page.get_by_text("Ask both.").wait_for()
    heard = []

    def hear(route):
        if route.request.method != "GET":
            route.continue_()
            return
        with contextlib.suppress(Error):  # the page was left before it came
            response = route.fetch()
            heard.append(f"{response.url} {response.headers} {response.text()}")
            route.fulfill(response=response)

    page.route(re.compile(r"/study/(?!.*/photo/)"), hear)
    way.ask("What is it?", scene)
    page.locator("input[name=choice]").first.wait_for()
    page.get_by_label("Why?").fill("It is shorter.")
    way.interrupted()
    assert page.get_by_label("Why?").input_value() == "It is shorter."
    page.unroute_all(behavior="wait")
    assert len(heard) > 3
    assert [word for word in TELLING for text in heard if word in text.casefold()] == []
    page.get_by_label("Answer B").last.check()
    way.press("Vote", "Continue")
    way.interrupted()
    way.press("Continue", "Last questions")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_one_participant_goes_all_the_way_interrupted_at_every_step_and_withdraws(study, chromium, width, scheme):  # noqa: F811
    address, data = study
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    pid, scene = f"{width:024x}", samples()["photos"][0]["file"]
    way = Way(context, address, pid)
    begin(way)
    way.page.go_back()
    assert way.heading() == "Part 1 of 2: Look at it"
    part(way, 1, scene)
    part(way, 2, scene)
    compare(way, scene)
    way.page.get_by_label("Why?").fill("because")
    way.interrupted()
    assert way.page.get_by_label("Why?").input_value() == "because"
    way.press("Continue", "DONE123")
    way.interrupted()
    (log,) = (data / "studies" / "two" / "participants").glob("*.jsonl")
    words = [b"Zebulon", b"zebedee", b"It is shorter.", pid.encode(), log.stem.encode()]
    assert all(traces(data, word) for word in (words[0], *words[2:]))

    elsewhere = chromium.new_context(viewport={"width": width, "height": 900}).new_page()
    elsewhere.goto(f"{address}study/two?PROLIFIC_PID={pid}")
    elsewhere.get_by_role("link", name="Withdraw and erase my data").click()
    elsewhere.get_by_role("button", name="Withdraw and erase").click()
    elsewhere.get_by_text("Your data was erased").wait_for()
    assert {word: traces(data, word) for word in words if traces(data, word)} == {}
    assert len(list((data / "studies" / "two" / "withdrawn").iterdir())) >= 1
    way.page.reload()
    way.page.get_by_text("belongs to nobody who takes part").wait_for()
    assert way.wrong == []
    context.close()


def traces(folder, needle):
    found = [path for path in folder.rglob("*") if needle in str(path).encode()]
    return found + [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_a_researcher_finds_every_page_usable(study, chromium):  # noqa: F811
    address, _ = study
    for width, scheme in ((1440, "light"), (390, "dark")):
        page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
        page.goto(f"{address}studies")
        found = violations(page)
        page.get_by_label("password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("New study").wait_for()
        found += violations(page)
        page.get_by_role("link", name="two").click()
        page.get_by_text("How it goes").wait_for()
        found += violations(page)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert found == []
