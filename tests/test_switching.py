"""Models change places: who waits, who answers, what a failed load leaves, and that memory comes back."""

from __future__ import annotations

import gc
import shutil
import threading

import pytest

from personal import compose
from personal.concepts import Progress, TextDelta
from personal.errors import ModelError
from personal.generate.local import LocalGenerator
from personal.generate.switching import SwitchableGenerator
from personal.settings import load
from tests.test_local import answer, asked, photo, seeing, text_generator, text_only  # noqa: F401


@pytest.fixture
def stage(text_generator):  # noqa: F811
    return SwitchableGenerator(text_generator)


def test_a_second_question_waits_for_the_first_and_then_is_answered(stage):
    first = stage.stream(asked("One?"), max_new_tokens=400, stop=threading.Event())
    assert isinstance(next(first), TextDelta)
    second = stage.stream(asked("Two?"), max_new_tokens=4, stop=threading.Event())
    assert next(second).place == 1
    third = stage.stream(asked("Three?"), max_new_tokens=4, stop=threading.Event())
    assert next(third).place == 2
    first.close()
    assert isinstance(next(second), TextDelta)
    assert next(third).place == 1
    second.close()
    assert isinstance(next(third), TextDelta)
    third.close()


def test_who_stops_waiting_leaves_the_line(stage):
    first = stage.stream(asked("One?"), max_new_tokens=400, stop=threading.Event())
    next(first)
    stop = threading.Event()
    second = stage.stream(asked("Two?"), max_new_tokens=4, stop=stop)
    assert next(second).place == 1
    stop.set()
    assert list(second) == []
    first.close()
    assert not stage.queue


def test_questions_that_are_asked_together_wait_for_their_turn(stage):
    first = stage.stream(asked("One?"), max_new_tokens=400, stop=threading.Event())
    next(first)
    said: list[list[str]] = []
    thread = threading.Thread(target=lambda: said.append(stage.answers([asked("A?"), asked("B?")], max_new_tokens=4)))
    thread.start()
    thread.join(0.3)
    assert said == []
    first.close()
    thread.join(30)
    assert len(said[0]) == 2
    assert not stage.queue


class Server:
    """A model elsewhere, which answers several questions at once."""

    concurrency, name, sees, single_turn, description = 2, "server", True, False, "elsewhere"
    verifies = False

    def load(self):
        yield Progress("server is there")

    def unload(self):
        """Nothing is held here."""

    clear = unload

    def stream(self, messages, *, max_new_tokens, stop, temperature=0.0):
        yield TextDelta("one ", 1)
        yield TextDelta("two", 1)


def test_a_name_longer_than_any_models_is_refused(stage):
    with pytest.raises(ModelError, match="at most 500 characters"):
        list(compose.switch_model(load({}), stage, "x" * 501))
    assert stage.name == "text-only"


def test_a_server_answers_several_at_once():
    stage = SwitchableGenerator(Server())
    first, second = (stage.stream(asked("Hello?"), max_new_tokens=4, stop=threading.Event()) for _ in range(2))
    assert [next(first), next(second), next(first)] == [TextDelta("one ", 1), TextDelta("one ", 1), TextDelta("two", 1)]


def test_models_change_places_and_the_memory_of_the_old_is_given_back(stage, text_generator, seeing, photo):  # noqa: F811
    answer(stage, asked("Hello?"))
    other = LocalGenerator(str(seeing), device="cpu", name="seeing")
    said = [progress.text for progress in stage.switch(other)]
    assert said[-1] == "seeing is loaded"
    assert (stage.name, stage.sees) == ("seeing", True)
    assert text_generator.loaded is None
    assert answer(stage, asked("What is it?", photos=[photo], sees=True, photo=photo))
    for _ in stage.switch(text_generator):
        pass
    assert answer(stage, asked("Hello?"))


def test_switching_waits_for_the_answer_under_way_and_questions_wait_for_the_switch(stage, text_only):  # noqa: F811
    first = stage.stream(asked("One?"), max_new_tokens=400, stop=threading.Event())
    next(first)
    switching = stage.switch(LocalGenerator(str(text_only), quantization="none", name="another"))
    assert next(switching).text == "Waiting for the answer under way"
    waiting = stage.stream(asked("Two?"), max_new_tokens=4, stop=threading.Event())
    assert next(waiting).place == 2
    first.close()
    for _ in switching:
        pass
    assert isinstance(next(waiting), TextDelta)
    assert stage.name == "another"
    waiting.close()


def test_a_question_laid_out_for_another_kind_of_model_is_not_answered_wrongly(stage, seeing):  # noqa: F811
    first = stage.stream(asked("One?"), max_new_tokens=400, stop=threading.Event())
    next(first)
    switching = stage.switch(LocalGenerator(str(seeing), name="seeing"))
    next(switching)
    waiting = stage.stream(asked("Two?"), max_new_tokens=4, stop=threading.Event())
    next(waiting)
    first.close()
    for _ in switching:
        pass
    with pytest.raises(ModelError, match="seeing took the place while your question waited"):
        next(waiting)


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_where_a_model_cannot_be_loaded_the_former_goes_on_answering(stage, text_only, tmp_path, damage):  # noqa: F811
    before = [p.text for p in answer(stage, asked("Hello?"))]
    broken = tmp_path / "broken"
    shutil.copytree(text_only, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000]) if damage == "cut off" else weights.unlink()
    with pytest.raises(ModelError, match=r"broken cannot be loaded: .* text-only goes on answering\."):
        for _ in stage.switch(LocalGenerator(str(broken), quantization="none", name="broken")):
            pass
    assert stage.name == "text-only"
    assert [p.text for p in answer(stage, asked("Hello?"))] == before


def test_a_switch_that_is_left_half_way_leaves_the_former(stage, text_only):  # noqa: F811
    switching = stage.switch(LocalGenerator(str(text_only), quantization="none", name="another"))
    next(switching)
    switching.close()
    assert stage.name == "text-only"
    assert answer(stage, asked("Hello?"))
    assert not stage.queue


def test_twenty_switches_leak_less_than_a_hundred_megabytes(stage, seeing, text_only):  # noqa: F811
    psutil = pytest.importorskip("psutil")
    one, two = LocalGenerator(str(seeing), name="one"), LocalGenerator(str(text_only), name="two")

    def switch(times):
        for _ in range(times):
            for model in (one, two):
                for _ in stage.switch(model):
                    pass
        gc.collect()
        return psutil.Process().memory_info().rss

    before = switch(2)
    assert switch(10) - before < 100 * 2**20
