"""How much each owner may have where others can reach the app: refused in words, changing nothing, and never less."""

from __future__ import annotations

import pytest

from personal.concepts import ConceptEdit
from personal.errors import ConceptError, ModelError, StoreError
from personal.generate import fair_queue
from personal.generate.fair_queue import FairQueue
from personal.remember import import_export
from personal.remember.import_export import ImportedConcept
from personal.remember.quota import Quota, size
from personal.settings import load
from personal.ui import quotas
from personal.ui.visitors import FULL
from tests.conftest import RED, open_assistant, picture
from tests.test_accounts import Browser, Shared

ANNA, ME = "user-anna", "local"
SHARED = {"GRADIO_SERVER_NAME": "0.0.0.0"}


def photos(count):
    return [picture(RED, dot=number) for number in range(count)]


@pytest.fixture
def limited(tmp_path):
    """An assistant whose owners may have what is said."""
    opened = []

    def make(**most):
        opened.append(open_assistant(tmp_path / "data"))
        opened[-1].library.quota = Quota(**most)
        return opened[-1].assistant

    yield make
    for one in opened:
        one.__exit__()


def test_so_many_concepts_are_kept_and_one_that_goes_makes_room(limited):
    assistant = limited(concepts=2)
    first = assistant.remember(ANNA, "bo", photos(1))
    assistant.remember(ANNA, "mia", photos(1))
    with pytest.raises(ConceptError, match="You have 2 concepts, the most here"):
        assistant.remember(ANNA, "rosie", photos(1))
    assistant.remember(ANNA, "bo", photos(2))
    assistant.revise(ANNA, first.id, ConceptEdit(info="Loves the beach."))
    assistant.forget(ANNA, first.id)
    assistant.remember(ANNA, "rosie", photos(1))
    assert [concept.name for concept in assistant.concepts(ANNA)] == ["mia", "rosie"]


def test_so_many_photos_are_kept_of_all_concepts_together(limited):
    assistant = limited(photos=4)
    bo = assistant.remember(ANNA, "bo", photos(3))
    assistant.disown(ANNA, bo.id, picture((9, 9, 9)), (0.0, 0.0, 1.0, 1.0))
    for refused in (
        lambda: assistant.remember(ANNA, "mia", photos(1)),
        lambda: assistant.remember(ANNA, "bo", photos(4)),
        lambda: assistant.disown(ANNA, bo.id, picture((99, 9, 9)), (0.0, 0.0, 1.0, 1.0)),
    ):
        with pytest.raises(ConceptError, match="Your concepts have 4 photos, and 4 are the most here"):
            refused()
    sha256 = bo.views[0].sha256
    assistant.revise(ANNA, bo.id, ConceptEdit(remove=[sha256]))
    assistant.remember(ANNA, "mia", photos(1))


def test_so_many_bytes_are_kept_and_less_is_never_refused(limited):
    photo = picture(RED)
    assistant = limited(bytes=2 * len(photo.jpeg) + 100)
    bo = assistant.remember(ANNA, "bo", [photo])
    with pytest.raises(ConceptError, match="Your photos would take more than"):
        assistant.remember(ANNA, "mia", photos(3))
    assistant.library.quota = Quota(bytes=1)
    assert assistant.revise(ANNA, bo.id, ConceptEdit(name="bobo")).name == "bobo"
    assistant.forget(ANNA, bo.id)


def test_a_limit_is_each_owners_own_and_none_is_the_machines_owners(limited):
    assistant = limited(concepts=1, photos=1, bytes=1000)
    for owner in (ANNA, "visitor-1"):
        assistant.remember(owner, "bo", photos(1))
    for name in ("bo", "mia"):
        assistant.remember(ME, name, photos(3))
    assert len(assistant.concepts(ME)) == 2


def test_an_import_beyond_the_limit_keeps_what_came_before_it(limited):
    assistant = limited(concepts=1)
    incoming = [ImportedConcept("bo", photos=tuple(photos(1))), ImportedConcept("mia", photos=tuple(photos(1)))]
    with pytest.raises(ConceptError, match="the most here"):
        list(import_export.apply(assistant, ANNA, incoming))
    assert [concept.name for concept in assistant.concepts(ANNA)] == ["bo"]


def test_chats_have_room_for_as_many_bytes(limited):
    from personal.concepts import Turn
    from personal.conversations import Conversation, Entry

    store = limited(bytes=10).library.conversations(ANNA)
    store.save(Conversation(entries=[Entry(Turn("What does she love?"))]))
    with pytest.raises(StoreError, match="the most"):
        store.save(Conversation(entries=[Entry(Turn("Who is here?", (picture(RED),)))]))


def test_so_many_questions_are_answered_within_an_hour_and_the_time_that_must_pass_is_told(monkeypatch):
    queue, now = FairQueue(per_hour=2), [1000.0]
    monkeypatch.setattr(fair_queue.time, "monotonic", lambda: now[0])
    for _ in range(2):
        queue.leave(queue.join(ANNA))
        now[0] += 600
    with pytest.raises(ModelError, match=r"2 questions within an hour, the most here[.] Ask again in 40 minutes"):
        queue.join(ANNA)
    queue.leave(queue.join("user-ben"))
    for _ in range(5):
        queue.leave(queue.join(""))  # work that is nobody's
    now[0] += 2400
    assert queue.asked(ANNA) == 1
    queue.leave(queue.join(ANNA))
    now[0] += 7200
    assert (queue.asked(ANNA), queue.asked("user-ben"), len(queue)) == (0, 0, 0)


def test_a_question_that_was_refused_for_another_reason_does_not_count():
    queue = FairQueue(per_hour=50)
    tickets = [queue.join(ANNA) for _ in range(fair_queue.PENDING_MAX)]
    with pytest.raises(ModelError, match="waiting"):
        queue.join(ANNA)
    assert queue.asked(ANNA) == len(tickets)


def test_the_visitor_beyond_the_most_is_told_to_come_back_before_anything_loads(tmp_path, assistant):
    app = Shared(tmp_path / "data", assistant, PERSONAL_MAX_VISITORS="2")
    first, second, third = (Browser(app) for _ in range(3))
    assert first.open()
    assert second.open()
    answer = third.ask("GET", "/")
    assert (answer.status_code, answer.text) == (503, FULL)
    assert third.ask("POST", "/personal/visit").json() == {"detail": FULL}
    assert len(app.sessions.visitors(first.open().owner)) == 1
    app.sessions.end({app.sessions.known(first.cookies["personal"])})
    assert third.open()


def test_settings_show_what_of_each_limit_is_used(limited):
    assistant = limited()
    assistant.remember(ANNA, "bo", photos(2))
    knobs = load({**SHARED, "PERSONAL_MAX_CONCEPTS": "50", "PERSONAL_QUESTIONS_PER_HOUR": "60"})
    rows = dict(quotas.rows(knobs, ANNA, assistant.concepts(ANNA), 0, 12))
    assert rows["Concepts"] == "1 of 50"
    assert rows["Questions"] == "12 of 60 in the last hour"
    assert "Size" not in rows
    assert "Your visit" not in rows
    assert dict(quotas.rows(knobs, "visitor-1", [], 0, 0))["Your visit"].startswith("ends 2 minutes after")
    assert quotas.rows(load({}), ME, [], 0, 0) == []


@pytest.mark.parametrize(("count", "words"), [(100, "0 KB"), (2048, "2 KB"), (5 * 2**20, "5 MB"), (2**30, "1,024 MB")])
def test_bytes_are_told_in_words(count, words):
    assert size(count) == words
