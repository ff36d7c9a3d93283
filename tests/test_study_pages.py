"""A study's pages: every step, over and over again, and nothing of anybody for anybody else."""

from __future__ import annotations

import io
import re
import threading
import zipfile
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from personal.settings import load
from personal.ui.doors import Doors
from personal.ui.study import Rooms, routes
from tests.conftest import BLUE, RED, Scripted, open_assistant, picture
from tests.study_pages import STUDY, Someone

PASSWORD = "correct horse"
JPEG = picture(RED).jpeg


class Served:
    """The pages over a data folder, as a process of the app would serve them; `again` is the next process."""

    def __init__(self, data, generator=None, text=STUDY):
        self.data, self.generator = data, generator or Scripted()
        self._open()
        if "two" not in self.rooms.studies.ids():
            self.rooms.studies.create("two", text).change("running")
        self.store = self.rooms.studies.get("two")

    def _open(self):
        self._assistant = open_assistant(self.data, self.generator)
        self.assistant = self._assistant.assistant
        settings = load({"PERSONAL_DATA_DIR": str(self.data), "PERSONAL_STUDY_PASSWORD": PASSWORD})
        opening = SimpleNamespace(settings=settings, assistant=self.assistant, error=None)
        self.rooms = Rooms(opening)
        app = Doors(Starlette(routes=routes(self.rooms)), settings)
        self.client = TestClient(app, base_url="http://127.0.0.1:7860")

    def again(self):
        self.close()
        self._open()
        self.store = self.rooms.studies.get("two")

    def close(self):
        self.rooms.stop()
        self._assistant.__exit__()

    def someone(self, pid="5f0c1a2b3c4d5e6f70819203"):
        return Someone(self.client, pid=pid)

    def records(self, place=0):
        return self.store.participants()[place].records


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path / "data")
    yield made
    made.close()


def begin(someone):
    """Go to the first task."""
    someone.agree().fill_in()
    return someone.send().add("bo", JPEG).send()


def finish_part(someone):
    """Do the tasks and questionnaires of a part."""
    someone.ask(jpeg=JPEG).send()
    someone.send("/ask")
    someone.client.get(f"{someone.place}/live")
    someone.refresh().fill_in_rating() if hasattr(someone, "fill_in_rating") else None
    someone.refresh().send("/rate", good="5")
    return someone.fill_in().fill_in()


def to_the_end(someone):
    begin(someone)
    finish_part(someone)
    finish_part(someone)
    someone.ask(jpeg=JPEG).send("/vote", choice="left", reason="shorter").send()
    return someone.fill_in(why="it knew")


def test_somebody_goes_all_the_way_and_gets_the_code(served):
    someone = to_the_end(served.someone())
    assert someone.heading == "Thank you"
    assert "DONE123" in someone.page
    assert "https://example.org/done" in someone.page
    assert "<strong>no memory</strong>" in someone.page
    events = [one["event"] for one in served.records()]
    assert [events.count(name) for name in ("consented", "concept", "turn", "vote", "rating")] == [1, 1, 5, 1, 2]
    assert served.store.participants()[0].status == "finished"


def test_nothing_is_written_before_consent(served):
    before = {path for path in served.data.rglob("*")}
    someone = served.someone()
    assert someone.heading == "Welcome"
    assert "<em>read</em>" in someone.page
    assert someone.send().answer.status_code == 422
    assert "Tick this box" in someone.page
    assert {path for path in served.data.rglob("*")} == before
    someone.agree()
    assert someone.heading == "Before we begin"


def test_every_step_is_there_again_after_a_refresh_by_the_link_or_another_browser_and_after_a_restart(served):
    someone = served.someone()
    seen = []

    def check():
        heading = someone.heading
        seen.append(heading)
        assert someone.refresh().heading == heading
        assert served.someone().heading == heading
        served.again()
        someone.client = served.client
        assert someone.refresh(someone.place).heading == heading

    someone.agree()
    check()
    someone.fill_in()
    check()
    someone.send()
    check()
    someone.add("bo", JPEG)
    assert "bo" in someone.page
    check()
    assert '<b dir="auto">bo</b>' in someone.page
    someone.send()
    check()
    someone.ask("Who is this?", JPEG)
    assert "Who is this?" in someone.page
    check()
    assert "Who is this?" in someone.page
    assert "is" in re.search(r'aria-label="Answer">.*?</article>', someone.page, re.DOTALL)[0]
    assert len(seen) == len(set(seen)) + 2  # the concepts, and the task, before and after something was done there


def test_what_is_sent_twice_or_from_an_old_page_changes_nothing(served):
    someone = served.someone().agree()
    eligibility = someone.form("")
    someone.fill_in()
    before = served.records()
    answer = served.client.post(eligibility.action, data={**eligibility.fields, "adult": "No"}, follow_redirects=True)
    assert "How it works" in answer.text
    assert served.records() == before


def test_who_may_not_take_part_is_told_and_stays_out(served):
    someone = served.someone().agree().fill_in(adult="No")
    assert "Only for adults." in someone.page
    assert "OUT1" in someone.page
    assert "Only for adults." in served.someone().page


def test_what_is_wrong_is_said_at_its_field_and_what_was_filled_in_stays(served):
    someone = begin(served.someone())
    finish = someone.ask(jpeg=JPEG).send()
    finish.send("/ask")
    finish.client.get(f"{finish.place}/live")
    finish.refresh().send("/rate", good="5")
    someone.send(sus1="3")
    assert someone.answer.status_code == 422
    assert 'href="#sus2"' in someone.page
    assert 'id="sus2-error"' in someone.page
    assert re.search(r'name="sus1" value="3"[^>]* checked', someone.page)
    assert "Please check: " in someone.page


def test_a_concept_without_name_or_photo_is_refused_at_the_field(served):
    someone = served.someone().agree().fill_in().send()
    someone.send("/concepts", name="")
    assert 'id="name-error"' in someone.page
    assert 'id="photos-error"' in someone.page
    someone.send("/concepts", name="bo", files=[("photos", ("a.jpg", b"no picture", "image/jpeg"))])
    assert "a.jpg" in someone.page
    assert 'value="bo"' in someone.page
    someone.send()
    assert "Please add 1 more." in someone.page
    someone.add("bo", JPEG).add("Bo", JPEG)
    assert "already exists" in someone.page
    someone.send("/concepts", remove=re.search(r'name="remove" value="(\w+)"', someone.page)[1])
    assert 'name="remove"' not in someone.page


def test_an_answer_outlives_the_page_that_asked_and_one_that_was_interrupted_can_be_asked_for_again(served):
    someone = begin(served.someone())
    served.generator.go.clear()
    someone.send("/ask", question="Slow?", files={"photo": ("b.jpg", JPEG, "image/jpeg")})
    assert 'data-running="yes"' in someone.refresh().page
    someone.send("/ask", question="More?") if 'action="/ask"' in someone.page else None
    served.rooms.stop()
    served.generator.go.set()
    served.client.get(f"{someone.place}/live")
    assert "Stopped." in someone.refresh().page

    served.generator.error = RuntimeError("cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda args: None)
        someone.ask("Broken?")
    assert "This answer was interrupted." in someone.page
    served.generator.error = None
    turns = len(served.store.participants()[0].turns("part1.task.look"))
    someone.send("/act", do="retry")
    served.client.get(f"{someone.place}/live")
    assert "interrupted" not in someone.refresh().page
    assert len(served.store.participants()[0].turns("part1.task.look")) == turns + 1


BOTH_KNOW = STUDY.replace("without_memory, memory: false", "other, temperature: 1")


def test_a_name_can_be_confirmed_or_denied_and_the_next_answer_goes_by_it(tmp_path):
    served = Served(tmp_path / "data", text=BOTH_KNOW)
    someone = begin(served.someone()).ask(jpeg=JPEG)
    concept = re.search(r'name="concept" value="(\w+)"', someone.page)[1]
    for do, right in (("right", True), ("wrong", False)):
        judged = {"step": "part1.task.look", "turn": "1", "concept": concept, "do": do}
        served.client.post(f"{someone.place}/act", data=judged)
        assert re.search(rf'value="{do}" aria-pressed="true"', someone.refresh().page)
        assert [(one["turn"], one["right"]) for one in served.records() if one["event"] == "feedback"][-1] == (1, right)
    someone.ask("And now?")
    assert served.store.participants()[0].turns("part1.task.look")[1]["answers"][0]["matches"] == []
    served.close()


def test_the_last_question_can_be_edited_and_an_answer_written_again(served):
    someone = begin(served.someone()).ask("First?", JPEG).ask("Secnd?")
    someone.ask("Second?", edited="yes")
    assert ("Secnd?" in someone.page, "First?" in someone.page, "Second?" in someone.page) == (False, True, True)
    someone.send("/act", do="retry")
    served.client.get(f"{someone.place}/live")
    served.again()
    someone.client = served.client
    assert len(re.findall('aria-label="Answer"', someone.refresh().page)) == 2
    events = [one["event"] for one in served.records()]
    assert [events.count(name) for name in ("turn", "edit", "retry")] == [4, 1, 1]


def test_a_task_that_takes_its_time_says_how_much(tmp_path):
    served = Served(tmp_path / "data", text=STUDY.replace("type: chat,", "type: chat, minimum_seconds: 60,"))
    someone = begin(served.someone()).ask(jpeg=JPEG).send()
    assert re.search(r'data-wait="(5\d|60)">Please go on for \d+ more seconds', someone.page)
    assert someone.heading == "Part 1 of 2: Look at it"
    served.close()


def test_scripted_participants_do_by_calls_what_people_do_by_forms(served):
    link = "?PROLIFIC_PID=robot"

    def call(name, **given):
        return served.client.post(f"/study/two/api/{name}{link}", json=given)

    def step():
        return served.client.get(f"/study/two/api/state{link}").json()["step"]

    assert call("done", step="tutorial").status_code == 409
    call("consent")
    assert call("submit", step="eligibility", responses={}).json()["items"] == {"adult": "Please answer this."}
    call("submit", step="eligibility", responses={"adult": "Yes"})
    call("done", step="tutorial")
    form = {"data": {"step": "concepts", "name": "bo"}, "files": [("photos", ("a.jpg", JPEG, "image/jpeg"))]}
    assert served.client.post(f"/study/two/api/concept{link}", **form).status_code == 200
    call("done", step="concepts")
    assert (step()["type"], step()["own_photos"], step()["sides"]) == ("chat", True, False)
    form = {"data": {"step": step()["id"], "question": "Who?"}, "files": [("photo", ("a.jpg", JPEG, "image/jpeg"))]}
    said = served.client.post(f"/study/two/api/ask{link}", **form).json()
    assert (said["turn"], list(said["answers"])) == (1, [""])
    assert call("event", step=step()["id"], event="nonsense").status_code == 409
    assert call("nonsense").status_code == 404
    assert "memory" not in str(said)
    assert call("withdraw").json()["status"] == "withdrawn"
    assert served.store.withdrawn == 1


def test_the_two_sides_of_a_comparison_are_told_apart_by_nothing_but_their_words(tmp_path):
    """Both conditions say the same here: the pages of those who see them in either order are the same."""
    pages = {}
    for number in range(24):
        served = Served(tmp_path / str(number), Scripted(("The ", "same.")))
        someone = begin(served.someone(pid=f"{number:024x}"))
        finish_part(someone)
        finish_part(someone)
        someone.ask(jpeg=JPEG)
        step = served.store.participants()[0].step
        live = served.client.get(f"{someone.place}/live").text
        text = re.sub(r"[0-9a-f]{16,64}", "…", someone.page + live)
        pages.setdefault(step.sides, set()).add(text)
        for word in ("memory", "scripted", "condition", "with_", "without"):
            assert word not in text.casefold()
        served.close()
        if len(pages) == 2:
            break
    assert len(pages) == 2
    (one,), (other,) = pages.values()
    assert one == other


def test_the_vote_counts_for_the_condition_that_stood_there(served):
    someone = begin(served.someone())
    finish_part(someone)
    finish_part(someone)
    someone.ask(jpeg=JPEG)
    sides = served.store.participants()[0].step.sides
    someone.send("/vote")
    assert someone.answer.status_code == 422
    assert "Choose one of the answers" in someone.page
    someone.send("/vote", choice="right", reason="nicer")
    (vote,) = [one for one in served.records() if one["event"] == "vote"]
    assert (vote["winner"], vote["reason"]) == (sides[1], "nicer")


def test_nobody_sees_anything_of_anybody_else(served):
    one, other = begin(served.someone("a" * 24)), served.someone("b" * 24).agree()
    one.ask("My secret?", JPEG)
    photo = re.search(r"/photo/([0-9a-f]{64})", one.page)[1]
    assert served.client.get(f"{one.place}/photo/{photo}?side=100").status_code == 200
    assert served.client.get(f"{other.place}/photo/{photo}?side=100").status_code == 404
    assert "secret" not in other.page
    for place in (f"/study/two/p/{'0' * 16}", "/study/two/p/x", "/study/none?PROLIFIC_PID=1", "/study/two/p/../../x"):
        assert served.client.get(place).status_code == 404
    preview = one.place.replace("/p/", "/preview/")
    assert served.client.get(preview).status_code == 404
    assert served.client.get("/study/two/preview?PROLIFIC_PID=1").status_code == 404


def test_photos_are_taken_of_nobody_who_does_not_take_part_and_no_more_than_is_allowed(served):
    someone = begin(served.someone())
    photo = ("photo", ("a.jpg", JPEG, "image/jpeg"))
    nobody = someone.place[:-16] + "0" * 16
    assert served.client.post(f"{nobody}/ask", files=[photo]).status_code == 404
    assert served.client.post("/study/two/api/ask?PROLIFIC_PID=1", files=[photo]).status_code == 409
    assert served.client.post("/study/two?PROLIFIC_PID=1", files=[photo]).status_code == 400
    assert served.client.post(f"{someone.place}/ask", files=[photo] * 11).status_code == 400
    large = {"content-length": str(2**30), "content-type": "multipart/form-data; boundary=x"}
    answer = served.client.post(f"{someone.place}/ask", headers=large, content=b"")
    assert (answer.status_code, "94 MB are the most" in answer.text) == (413, True)
    assert served.store.participants()[0].turns("part1.task.look") == []


def test_a_withdrawal_erases_every_byte_and_is_counted(served):
    someone = begin(served.someone())
    name, words = "Zebedee-77", "Where was Zebedee-77 born?"
    someone.ask(words, picture(BLUE).jpeg)
    owner = served.store.participants()[0].owner
    photo = picture(BLUE).sha256
    assert traces(served.data, words.encode(), owner.encode(), photo.encode())
    asked = served.client.get(f"{someone.place}/leave").text
    assert "Withdraw and erase" in asked
    answer = served.client.post(f"{someone.place}/leave", follow_redirects=True)
    assert "Your data was erased" in answer.text
    assert traces(served.data, words.encode(), owner.encode(), photo.encode(), name.encode()) == []
    assert served.store.withdrawn == 1
    assert served.client.get(someone.place).status_code == 404


def test_a_withdrawal_while_an_answer_is_being_written_leaves_nothing(served):
    someone = begin(served.someone())
    served.generator.go.clear()
    someone.send("/ask", question="Zebedee-77?", files={"photo": ("b.jpg", JPEG, "image/jpeg")})
    owner = served.store.participants()[0].owner
    leaving = threading.Thread(target=lambda: served.client.post(f"{someone.place}/leave"))
    leaving.start()
    served.generator.go.set()
    leaving.join(30)
    assert traces(served.data, b"Zebedee-77", owner.encode()) == []


def test_what_somebody_worked_with_goes_when_they_have_finished(served):
    to_the_end(served.someone())
    owner = served.store.participants()[0].owner
    assert owner not in served.assistant.library.owners()


def traces(folder, *needles):
    return [
        (str(path), needle)
        for path in folder.rglob("*")
        for needle in needles
        if needle in str(path).encode() or (path.is_file() and needle in path.read_bytes())
    ]


# -- the researcher ----------------------------------------------------------------------------------------------------


def sign_in(client, password=PASSWORD):
    return client.post("/studies", data={"password": password}, follow_redirects=True)


def test_nobody_gets_in_without_the_password(served):
    for line in ("GET two", "GET two/data", "POST two/photos", "POST new", "POST two/status", "POST two/file"):
        method, path = line.split()
        answer = served.client.request(method, f"/studies/{path}")
        assert answer.status_code == 403
        assert "Sign in first" in answer.text
        assert "with_memory" not in answer.text
    assert "not the password" in sign_in(served.client, "wrong password").text
    for _ in range(9):
        sign_in(served.client, "wrong password")
    answer = sign_in(served.client)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text


def test_without_a_password_the_page_says_how_to_set_one(tmp_path):
    with open_assistant(tmp_path / "data") as assistant:
        settings = load({"PERSONAL_DATA_DIR": str(tmp_path / "data")})
        opening = SimpleNamespace(settings=settings, assistant=assistant, error=None)
        client = TestClient(Doors(Starlette(routes=routes(Rooms(opening))), settings), base_url="http://127.0.0.1:7860")
        assert "PERSONAL_STUDY_PASSWORD" in client.get("/studies").text
        assert sign_in(client, "").status_code == 403


def test_a_researcher_makes_checks_tries_starts_pauses_and_closes_a_study(served):
    client = served.client
    assert "two" in sign_in(client).text
    assert "small letters" in client.post("/studies/new", data={"id": "A B", "example": "retrieval"}).text
    page = client.post("/studies/new", data={"id": "mine", "example": "retrieval"}, follow_redirects=True).text
    assert "Draft" in page
    broken = STUDY.replace("minimum: 1", "minimum: many")
    answer = client.post("/studies/mine/file", data={"text": broken, "do": "save"})
    assert answer.status_code == 422
    assert "line 9: concepts › minimum" in answer.text
    assert "minimum: many" in answer.text
    assert "Nothing is wrong" in client.post("/studies/mine/file", data={"text": STUDY, "do": "check"}).text
    client.post("/studies/mine/file", data={"text": STUDY.replace("Two assistants", "My study"), "do": "save"})
    assert "My study" in client.get("/studies").text
    assert "not begun yet" in Someone(client, "mine").page

    preview = client.get("/study/mine/preview", follow_redirects=True)
    assert "This is a preview" in preview.text
    someone = Someone(client, "mine")
    someone.refresh("/study/mine/preview?PROLIFIC_PID=1").agree().fill_in()
    assert someone.heading == "How it works"
    store = served.rooms.studies.get("mine")
    assert store.participants() == []

    for status, word in (("running", "Running"), ("paused", "Paused"), ("running", "Running"), ("closed", "Closed")):
        assert word in client.post("/studies/mine/status", data={"status": status}, follow_redirects=True).text
        if status == "paused":
            assert "is paused" in Someone(client, "mine").page
    assert "cannot become" in client.post("/studies/mine/status", data={"status": "running"}).text


def test_a_researcher_adds_photos_and_takes_the_data_and_the_report(served):
    client = served.client
    sign_in(client)
    served.rooms.studies.create("mine", STUDY)
    photo = ("photos", ("garden.jpg", JPEG, "image/jpeg"))
    assert "garden.jpg" in client.post("/studies/mine/photos", files=[photo], follow_redirects=True).text
    for name, data in (("study.yaml", JPEG), ("..", JPEG), ("x.jpg", b"no picture"), ("a/../../b.jpg", b"")):
        client.post("/studies/mine/photos", files=[("photos", (name, data, "image/jpeg"))])
    assert served.rooms.studies.get("mine").photo_names() == ["garden.jpg"]
    text = STUDY.replace("photos: own, starters", "photos: [garden.jpg], starters")
    assert client.post("/studies/mine/file", data={"text": text, "do": "save"}).status_code == 200
    assert "cannot be changed" in client.post("/studies/two/photos", files=[photo]).text

    to_the_end(served.someone())
    for what, file in (("data", "participants.csv"), ("report", "report.html")):
        answer = client.get(f"/studies/two/{what}")
        assert answer.headers["content-type"] == "application/zip"
        assert f"two-{what}/{file}" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert list((served.data / "uploads").iterdir()) == []


def test_twenty_people_at_once_lose_nothing_and_see_nothing_of_one_another(served):
    said, wrong = {}, []

    def take_part(number):
        client = TestClient(served.client.app, base_url="http://127.0.0.1:7860")
        try:
            someone = begin(Someone(client, pid=f"{number:024x}"))
            for turn in range(3):
                someone.ask(f"Question {number:03}-{turn}?", picture(RED, dot=number).jpeg)
            said[number] = set(re.findall(r"Question (\d{3}-\d)\?", someone.page))
        except (AssertionError, KeyError, TypeError) as error:
            wrong.append(repr(error))

    people = [threading.Thread(target=take_part, args=(number,)) for number in range(20)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert wrong == []
    assert said == {number: {f"{number:03}-{turn}" for turn in range(3)} for number in range(20)}
    recorded = [
        [turn["question"]["text"] for turn in one.turns("part1.task.look")] for one in served.store.participants()
    ]
    assert sorted(recorded) == [[f"Question {number:03}-{turn}?" for turn in range(3)] for number in range(20)]
    orders = [one.order for one in served.store.participants()]
    assert [orders.count(order) for order in set(orders)] == [10, 10]


def test_a_researcher_sees_how_it_goes(served):
    begin(served.someone())
    sign_in(served.client)
    page = served.client.get("/studies/two").text
    assert "part1.task.look" in page
    assert "PROLIFIC_PID={{%PROLIFIC_PID%}}" in page
