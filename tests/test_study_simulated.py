"""Scripted participants over HTTP go the same way as people do, and their data is what they did."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext

import pytest

from personal.errors import PersonalError
from personal.study import rehearsal
from personal.study.__main__ import main
from personal.study.personas import Persona, Truth
from personal.study.rehearsal import samples
from personal.study.simulate import take_part
from personal.study.visitor import Http
from tests.test_study_pages import Served


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path / "data")
    yield made
    made.close()


class Counted(Http):
    """A participant who counts what the app confirms."""

    asked = voted = 0

    def ask(self, step, question):
        turn = super().ask(step, question)
        self.asked += 1
        assert set(self.answered) == ({"left", "right"} if step.sides else {""})
        return turn

    def vote(self, step, turn, choice, reason):
        super().vote(step, turn, choice, reason)
        self.voted += 1


def visitor(served, name):
    return Counted(served.client, served.store.folder, name, samples())


def test_scripted_participants_finish_over_http_and_all_that_was_confirmed_is_recorded(served):
    for number in range(2):
        way = visitor(served, f"scripted-{number}")
        assert take_part(way, Persona(served.store.study, Truth(), f"{number}")) == "finished"
        person = served.store.participant(way.id)
        counts = Counter(record["event"] for record in person.records)
        assert (counts["turn"], counts["vote"]) == (way.asked, way.voted)
        assert way.asked >= 5
        assert counts["concept"] == 1
    assert Counter(one.order for one in served.store.participants()).total() == 2
    assert len({one.order for one in served.store.participants()}) == 2


def test_a_scripted_participant_goes_on_where_they_were_after_a_restart(served):
    steps = iter(range(6))
    persona = Persona(served.store.study, Truth(), "1")
    assert take_part(visitor(served, "a"), persona, until=lambda: next(steps, None) is None) == "active"
    before = served.store.participants()[0].step.id
    served.again()
    way = visitor(served, "a")
    assert way.step()[1].id == before
    assert take_part(way, persona) == "finished"


def test_the_shell_sends_participants_into_a_study_that_runs_and_reports_on_them(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rehearsal, "connect", lambda url: nullcontext(served.client))
    file, out = str(served.store.folder / "study.yaml"), str(tmp_path / "out")
    assert main(["simulate", file, "--url", "http://app", "--participants", "1", "--out", out]) == 0
    assert "1 participant: 1 finished." in capsys.readouterr().out
    assert (tmp_path / "out" / "report" / "report.html").is_file()
    assert served.store.participants()[0].status == "finished"


def test_what_the_app_refuses_ends_a_scripted_participant_in_words(served):
    served.store.change("closed")
    with pytest.raises(PersonalError, match="over"):
        take_part(visitor(served, "late"), Persona(served.store.study, Truth(), "1"))
