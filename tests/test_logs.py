"""What is logged helps whoever runs the app, and tells nothing of whoever uses it."""

from __future__ import annotations

import json
import logging

import pytest

from personal import cli, logs
from personal.concepts import Turn
from personal.errors import ConceptError, ModelError, PersonalError, StoreError
from tests.conftest import RED, picture

NAME, NOTE, QUESTION = "Zaphod", "He hides two heads.", "Where is the towel?"
ME = "local"


@pytest.fixture
def logged(capsys):
    """Log as the served app does, in the form that is asked for; return what came."""

    def begin(kind):
        logs.configure(kind, verbose=True)
        return lambda: capsys.readouterr().err

    yield begin
    logs.configure(verbose=False)


def raised(error: PersonalError, cause: Exception | None = None) -> PersonalError:
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def test_an_error_that_was_shown_is_logged_with_its_frames_and_without_its_words(logged):
    shown = logged("human")
    logs.report(raised(ConceptError(f"You have <{NAME}> already."), KeyError(NAME)))
    said = shown()
    assert "ConceptError was shown." in said
    assert "Caused by:\nKeyError" in said
    assert "in raised" in said
    assert NAME not in said


def test_what_the_libraries_say_of_memory_and_disks_is_kept(logged):
    shown = logged("human")
    logs.report(raised(ModelError("No."), RuntimeError("CUDA out of memory")))
    logs.report(raised(StoreError("No."), OSError(28, "No space left on device", f"/data/{NAME}.jpg")))
    said = shown()
    assert "RuntimeError: CUDA out of memory" in said
    assert "OSError: errno 28" in said
    assert NAME not in said


def test_as_json_every_line_is_an_object_with_numbers_as_fields(logged):
    shown = logged("json")
    logging.getLogger("personal.test").info("Answered.", extra={"tokens": 7, "total_s": 1.5})
    logs.report(raised(ConceptError(NAME)))
    first, second = map(json.loads, shown().splitlines())
    assert (first["message"], first["tokens"], first["total_s"], first["level"]) == ("Answered.", 7, 1.5, "INFO")
    assert "in raised" in second["exception"]


@pytest.mark.parametrize("kind", ["human", "json"])
def test_no_name_note_question_or_photo_is_ever_in_a_log(logged, assistant, generator, monkeypatch, kind):
    logging.getLogger("personal").setLevel(logging.DEBUG)
    shown, photo = logged(kind), picture(RED)
    generator.words = (f"It is <{NAME}>. ", NOTE)
    concept = assistant.remember(ME, NAME, [photo], "dog", NOTE, attributes=[NOTE])
    list(assistant.answer(ME, [Turn(QUESTION, (photo,))]))
    for wrong in (lambda: assistant.remember(ME, f"{NAME}<{NAME}", [photo]), lambda: assistant.forget(ME, NAME)):
        with pytest.raises(ConceptError) as refused:
            wrong()
        logs.report(refused.value)
    generator.error = ModelError(f"The server said: {QUESTION}")
    with pytest.raises(ModelError) as failed:
        list(assistant.answer(ME, [Turn(QUESTION, (photo,))]))
    logs.report(failed.value)

    def full(*_):
        raise StoreError(f"The disk is full: {NAME}")

    with monkeypatch.context() as patched:
        patched.setattr(assistant.index, "drop", full)
        assistant.forget(ME, concept.id)
    said = shown()
    assert "Answered." in said
    assert "follows later" in said
    assert "full" in said
    private = (NAME, NOTE, QUESTION, "towel", "heads", photo.sha256)
    assert [word for word in private if word in said] == []


def test_the_shell_logs_warnings_alone_unless_it_is_asked_for_more(tmp_path, capsys, monkeypatch):
    command = ["--data-dir", str(tmp_path / "data"), "show", NAME]
    for kind, told in (("auto", False), ("human", True), ("json", True)):
        monkeypatch.setenv("PERSONAL_LOG", kind)
        assert cli.main(command) == 1
        said = capsys.readouterr().err
        assert said.splitlines()[-1].startswith("personal: ")
        assert ("ConceptError was shown." in said) is told
    logs.configure(verbose=False)
