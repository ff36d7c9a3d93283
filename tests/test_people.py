"""People are recognised by the face where somebody said so, and only there; what is known of a face can be taken back.

The portrait is Grace Hopper's, a photo of the United States Navy in the public domain, which matplotlib ships.
"""

from __future__ import annotations

import io
import json
from contextlib import ExitStack, contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from personal import cli, compose
from personal.assistant import Assistant
from personal.concepts import ConceptEdit, Entry, Match, Photo, PhotoFindings
from personal.doctor import checks
from personal.errors import ModelError, StoreError
from personal.evaluate.leave_one_out import check
from personal.generate.prompt import build_messages
from personal.images import read_photo
from personal.remember import import_export
from personal.remember.library import Library
from personal.remember.local_index import LocalIndex
from personal.retrieve.faces import Faces
from personal.retrieve.people import People
from personal.retrieve.retriever import Retriever
from personal.settings import Settings, load
from personal.tiny import faces as weights
from tests.conftest import BLUE, MeanColour, Scripted, open_assistant, picture

ME = "local"
PORTRAIT = Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")


def photo(image: Image.Image) -> Photo:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return read_photo(stream.getvalue())


HOPPER, MIRRORED = photo(PORTRAIT), photo(ImageOps.mirror(PORTRAIT))
FACELESS = photo(PORTRAIT.filter(ImageFilter.GaussianBlur(80)))
"""The portrait's colours without its face: what the encoder of these tests takes for the same thing."""


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Loaded once for all tests, from the user's own cache folder."""
    pytest.importorskip("dlib")
    made = Faces(load().cache_dir, weights.assemble)
    list(made.load())
    return made


@pytest.fixture
def friend(shared_data) -> Photo:
    return read_photo(shared_data / "rap" / "example_database" / "denisdang.jpg")


@contextmanager
def open_people(data: Path, faces: Faces):
    """Open an Assistant of real parts, save the encoder and the language model; again and again, as restarts do."""
    encoder = MeanColour()
    with ExitStack() as stack:
        library = stack.enter_context(Library(data))
        index = LocalIndex(encoder.id, encoder.dimension, data / "index")
        stack.callback(index.close)
        face_index = LocalIndex(faces.id, faces.dimension, data / "faces", kind="faces")
        stack.callback(face_index.close)
        people = People(faces, face_index)
        assistant = Assistant(
            library, index, Retriever(encoder, index, people=people), Scripted(), build_messages, people=people
        )
        for owner in library.owners():
            list(assistant.reindex(owner))
        yield assistant


@pytest.fixture
def assistant(tmp_path, faces):
    with open_people(tmp_path, faces) as made:
        yield made


def seen(assistant: Assistant, photo: Photo, **options) -> dict[str, Match]:
    return {match.concept.name: match for match in assistant.look(ME, photo, **options).matches}


def written(folder: Path, vector) -> list[Path]:
    trace = np.asarray(vector, np.float32).tobytes()
    return [path for path in folder.rglob("*") if path.is_file() and trace in path.read_bytes()]


def returned(steps):
    """Run a generator to its end and give what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def vectors(assistant: Assistant, *photos: Photo) -> list[np.ndarray]:
    return [assistant.people.find_faces(one).vectors[0] for one in photos]


# -- who counts ----------------------------------------------------------------------------------------------------


def unwanted(cache):
    raise AssertionError("faces were opened for nobody")
    yield


def test_nothing_is_fetched_or_looked_at_for_somebody_who_was_not_ticked(tmp_path):
    untouched = Faces(tmp_path / "cache", unwanted)
    with open_people(tmp_path / "data", untouched) as assistant:
        concept = assistant.remember(ME, "grace", [HOPPER])
        assert not concept.by_face
        assistant.revise(ME, concept.id, ConceptEdit(info="An admiral.", add=[MIRRORED]))
        assert not seen(assistant, HOPPER)["grace"].by_face
        assert assistant.people.known(ME) == set()
    assert not untouched.loaded


def test_beside_somebody_who_was_ticked_others_have_no_face(assistant, friend):
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assistant.remember(ME, "denis", [friend])
    assert {assistant.library.get(ME, key[0]).name for key in assistant.people.known(ME)} == {"grace"}


def test_the_tick_is_kept_on_disk_and_an_older_record_has_none(tmp_path, assistant):
    concept = assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assistant.remember(ME, "cup", [picture(BLUE)])
    ticks = {c.name: c.by_face for c in Library(tmp_path, read_only=True).concepts(ME)}
    assert ticks == {"grace": True, "cup": False}
    record = next(tmp_path.glob(f"owners/*/concepts/{concept.id}/concept.json"))
    record.write_text(record.read_text().replace('"by_face": true', '"by_face": "yes"'))
    (problem,) = Library(tmp_path, read_only=True).problems()
    assert "by_face" in problem


def test_more_photos_leave_the_tick_and_bring_their_faces(assistant):
    concept = assistant.remember(ME, "grace", [HOPPER], by_face=True)
    again = assistant.remember(ME, "grace", [MIRRORED, FACELESS])
    assert again.by_face
    assert assistant.people.known(ME) == {(concept.id, p.sha256, False) for p in (HOPPER, MIRRORED)}


def test_what_it_is_not_leaves_no_face(assistant, friend):
    concept = assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assistant.revise(ME, concept.id, ConceptEdit(add_negatives=[friend]))
    assert assistant.people.known(ME) == {(concept.id, HOPPER.sha256, False)}


def test_where_faces_cannot_be_had_nobody_is_ticked(tmp_path, monkeypatch):
    pytest.importorskip("dlib")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with open_people(tmp_path / "data", Faces(tmp_path / "cache", weights.assemble)) as assistant:
        concept = assistant.remember(ME, "grace", [HOPPER])
        with pytest.raises(ModelError, match="facenet-pytorch"):
            assistant.revise(ME, concept.id, ConceptEdit(by_face=True, info="Lost."))
        with pytest.raises(ModelError, match="facenet-pytorch"):
            assistant.remember(ME, "ada", [MIRRORED], by_face=True)
        (kept,) = assistant.concepts(ME)
        assert (kept.by_face, kept.info) == (False, "")


# -- taking it back ------------------------------------------------------------------------------------------------


def test_of_somebody_forgotten_no_byte_of_the_face_is_left(tmp_path, assistant, friend):
    concept = assistant.remember(ME, "grace", [HOPPER, MIRRORED], by_face=True)
    other = assistant.remember(ME, "denis", [friend], by_face=True)
    hers, mirrored, his = vectors(assistant, HOPPER, MIRRORED, friend)
    assert all(written(tmp_path / "faces", vector) for vector in (hers, mirrored, his))
    token = assistant.forget(ME, concept.id)
    assert not written(tmp_path, hers)
    assert not written(tmp_path, mirrored)
    assert seen(assistant, friend)["denis"].by_face
    assistant.restore(ME, token)
    assert seen(assistant, MIRRORED)["grace"].by_face
    traces = [his]  # written anew, a vector is brought to unit length again, which may change its last bits
    for _ in range(3):
        traces.append(traces[-1] / np.linalg.norm(traces[-1]))
    assert any(written(tmp_path / "faces", trace) for trace in traces)
    assistant.forget(ME, other.id)
    assert not any(written(tmp_path, trace) for trace in traces)


@pytest.mark.parametrize("change", ["untick", "remove", "erase"])
def test_a_face_that_was_taken_back_leaves_no_byte(tmp_path, assistant, change):
    concept = assistant.remember(ME, "grace", [HOPPER, FACELESS], by_face=True)
    (hers,) = vectors(assistant, HOPPER)
    assert written(tmp_path / "faces", hers)
    if change == "untick":
        assert not assistant.revise(ME, concept.id, ConceptEdit(by_face=False)).by_face
    elif change == "remove":
        assistant.revise(ME, concept.id, ConceptEdit(remove=[HOPPER.sha256]))
    else:
        assistant.erase(ME)
    assert not written(tmp_path, hers)
    assert assistant.people.known(ME) == set()
    assert not any(match.by_face for match in seen(assistant, MIRRORED).values())


def test_a_tick_made_while_faces_were_not_looked_at_counts_from_the_next_start(tmp_path, faces):
    with open_assistant(tmp_path) as assistant:
        concept = assistant.remember(ME, "grace", [HOPPER], by_face=True)
    with open_people(tmp_path, faces) as assistant:
        assert assistant.people.known(ME) == {(concept.id, HOPPER.sha256, False)}
        list(assistant.reindex(ME, afresh=True))
        assert seen(assistant, MIRRORED)["grace"].by_face


def test_a_start_drops_faces_that_nobody_ticked(tmp_path, faces):
    with open_people(tmp_path, faces) as assistant:
        concept = assistant.remember(ME, "grace", [HOPPER], by_face=True)
        (hers,) = vectors(assistant, HOPPER)
    with open_assistant(tmp_path) as without:
        without.revise(ME, concept.id, ConceptEdit(by_face=False))
    assert written(tmp_path / "faces", hers)
    with open_people(tmp_path, faces):
        assert not written(tmp_path, hers)


def test_views_and_faces_in_one_store_leave_each_other_alone(tmp_path):
    views = LocalIndex("mean-colour", 4, tmp_path)
    faces = LocalIndex("mtcnn", 128, tmp_path, kind="faces")
    views.put(ME, [Entry("a", "1", np.ones(4))])
    faces.put(ME, [Entry("a", "1", np.ones(128)), Entry("b", "2", np.ones(128))])
    views.drop_stale(ME)
    faces.drop(ME, [("a", "1", False)])
    assert (views.views(ME), faces.views(ME)) == ({("a", "1", False)}, {("b", "2", False)})
    faces.erase(ME)
    assert (views.views(ME), faces.views(ME)) == ({("a", "1", False)}, set())
    faces.close()
    views.close()


# -- what a face says ----------------------------------------------------------------------------------------------


def test_somebody_is_known_by_the_face_and_shown_by_it(assistant):
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    framed = Image.new("RGB", (PORTRAIT.width * 2, PORTRAIT.height), (20, 160, 40))
    framed.paste(ImageOps.mirror(PORTRAIT), (PORTRAIT.width, 0))
    match = seen(assistant, photo(framed))["grace"]
    assert match.by_face
    assert match.view == HOPPER.sha256
    assert match.similarity > Faces.threshold
    x0, y0, x1, y1 = match.box
    assert 0.6 < x0 < x1 < 0.9
    assert 0.1 < y0 < y1 < 0.7


def test_a_higher_threshold_asks_more_of_faces_too(assistant):
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assert seen(assistant, MIRRORED, threshold=0.99)["grace"].by_face
    assert seen(assistant, MIRRORED, threshold=0.9999) == {}
    rejecting = PhotoFindings(MIRRORED, rejected=frozenset({assistant.concepts(ME)[0].id}))
    assert seen(assistant, MIRRORED, before=rejecting) == {}


def test_a_strangers_face_stops_a_claim_that_clothes_would_have_made(assistant, friend):
    """Denis is remembered with her colours, too: by them alone he is taken for her."""
    concept = assistant.remember(ME, "denis", [friend, FACELESS])
    assert "denis" in seen(assistant, HOPPER)
    assistant.revise(ME, concept.id, ConceptEdit(by_face=True))
    assert "denis" not in seen(assistant, HOPPER)
    assert not seen(assistant, FACELESS)["denis"].by_face


def test_an_identified_face_stops_another_persons_claim(assistant, friend):
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assistant.remember(ME, "denis", [friend, FACELESS], by_face=True)
    assert list(seen(assistant, MIRRORED)) == ["grace"]


def test_things_and_pets_are_claimed_beside_faces_as_ever(assistant):
    assistant.remember(ME, "painting", [FACELESS])
    assert list(seen(assistant, MIRRORED)) == ["painting"]
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    found = seen(assistant, MIRRORED)
    assert [(name, match.by_face) for name, match in found.items()] == [("grace", True), ("painting", False)]
    assert found["painting"].box != found["grace"].box
    assert list(seen(assistant, MIRRORED, top_k=1)) == ["grace"]


def test_two_people_in_one_photo_have_a_face_each(assistant, friend):
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assistant.remember(ME, "denis", [friend], by_face=True)
    his = Image.open(io.BytesIO(friend.jpeg))
    both = Image.new("RGB", (PORTRAIT.width + his.width, max(PORTRAIT.height, his.height)), (90, 90, 90))
    both.paste(PORTRAIT, (0, 0))
    both.paste(his, (PORTRAIT.width, 0))
    found = seen(assistant, photo(both))
    assert found["grace"].by_face
    assert found["denis"].by_face
    assert found["grace"].box[2] < found["denis"].box[0]


# -- carried in and out --------------------------------------------------------------------------------------------


def test_our_zip_keeps_the_tick(tmp_path, faces, assistant):
    assistant.remember(ME, "grace", [HOPPER], by_face=True)
    assistant.remember(ME, "cup", [picture(BLUE)])
    import_export.export(assistant.library, ME, tmp_path / "all.zip")
    with open_people(tmp_path / "other", faces) as other:
        other.remember(ME, "Cup", [picture(BLUE, dot=3)])
        list(import_export.apply(other, ME, import_export.read(tmp_path / "all.zip")))
        assert {c.name: c.by_face for c in other.concepts(ME)} == {"Cup": False, "grace": True}
        assert seen(other, MIRRORED)["grace"].by_face


def test_an_import_unticks_and_ticks_nobody_who_is_there(tmp_path, assistant):
    concept = assistant.remember(ME, "grace", [HOPPER], by_face=True)
    import_export.export(assistant.library, ME, tmp_path / "all.zip")
    assistant.revise(ME, concept.id, ConceptEdit(by_face=False, add=[MIRRORED], remove=[HOPPER.sha256]))
    list(import_export.apply(assistant, ME, import_export.read(tmp_path / "all.zip")))
    (kept,) = assistant.concepts(ME)
    assert len(kept.views) == 2
    assert not kept.by_face
    assert assistant.people.known(ME) == set()


def test_raps_database_ticks_nobody(tmp_path, assistant):
    (tmp_path / "rap").mkdir()
    (tmp_path / "rap" / "grace.jpg").write_bytes(HOPPER.jpeg)
    record = {"name": "grace", "image": "grace.jpg", "info": "", "category": "person", "by_face": True}
    (tmp_path / "rap" / "database.json").write_text(json.dumps({"concept_dict": {"<grace>": record}}))
    list(import_export.apply(assistant, ME, import_export.read(tmp_path / "rap")))
    (arrived,) = assistant.concepts(ME)
    assert not arrived.by_face
    assert assistant.people.known(ME) == set()


# -- as it is set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "host", "looks"),
    [
        ("", "127.0.0.1", True),
        ("auto", "0.0.0.0", False),
        ("on", "0.0.0.0", True),
        ("off", "127.0.0.1", False),
    ],
)
def test_faces_are_looked_at_on_ones_own_machine_or_as_wished(wish, host, looks):
    assert load({"PERSONAL_FACES": wish, "GRADIO_SERVER_NAME": host}).looks_at_faces is looks


@pytest.mark.model
def test_off_looks_at_no_face_and_erases_those_that_are_known(tmp_path, faces):
    own = load()
    on = Settings(data_dir=tmp_path, cache_dir=own.cache_dir, faces="on")
    with compose.build(on) as assistant:
        assert not assistant.people.loaded
        assistant.remember(ME, "grace", [HOPPER], by_face=True)
        (hers,) = vectors(assistant, HOPPER)
        assert seen(assistant, MIRRORED)["grace"].by_face
        assert written(tmp_path / "faces", hers)
    with compose.build(Settings(data_dir=tmp_path, cache_dir=own.cache_dir, faces="off")) as assistant:
        assert assistant.people is None
        assert assistant.concepts(ME)[0].by_face
        assert not any(match.by_face for match in seen(assistant, MIRRORED).values())
        assert not (tmp_path / "faces").exists()
        assert not written(tmp_path, hers)
    with compose.build(on) as assistant:
        assert assistant.people.loaded
        assert seen(assistant, MIRRORED)["grace"].by_face


def test_a_start_goes_on_where_faces_cannot_be_had(tmp_path, monkeypatch, caplog):
    pytest.importorskip("dlib")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "grace", [HOPPER], by_face=True)
    with Library(tmp_path / "data") as library, ExitStack() as stack:
        steps = compose.open_people(Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache"), library, stack)
        people = returned(steps)
        assert people is not None
        assert not people.loaded
    assert "nobody is recognised by the face" in caplog.text


def test_the_shell_refuses_a_tick_where_faces_are_not_looked_at(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PERSONAL_FACES", "off")
    (tmp_path / "grace.jpg").write_bytes(HOPPER.jpeg)
    arguments = ["add", "grace", str(tmp_path / "grace.jpg"), "--by-face", "--data-dir", str(tmp_path / "data")]
    assert cli.main(arguments) == 1
    assert "PERSONAL_FACES=on" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_doctor_tells_whether_faces_can_be_recognised(tmp_path):
    def told(settings: Settings) -> tuple[bool, str]:
        return next((row["ok"], row["detail"]) for row in checks(settings) if row["name"] == "faces")

    pytest.importorskip("dlib")
    paths = {"data_dir": tmp_path, "cache_dir": tmp_path}
    assert told(Settings(**paths, faces="off")) == (True, "nobody is recognised by the face here (PERSONAL_FACES)")
    assert told(Settings(**paths))[0]
    assert "30 MB" in told(Settings(**paths))[1]


@pytest.mark.parametrize("change", ["forget", "untick", "remove"])
def test_who_goes_while_the_faces_are_sought_leaves_none(tmp_path, assistant, monkeypatch, change):
    concept = assistant.remember(ME, "grace", [FACELESS], by_face=True)
    put = assistant.people.put

    def gone_first(owner, views):
        views = list(views)
        if change == "forget":
            assistant.forget(owner, concept.id)
        else:
            monkeypatch.setattr(assistant.people, "put", put)
            how = {"by_face": False} if change == "untick" else {"remove": [HOPPER.sha256]}
            assistant.revise(owner, concept.id, ConceptEdit(**how))
        put(owner, views)

    monkeypatch.setattr(assistant.people, "put", gone_first)
    assistant.revise(ME, concept.id, ConceptEdit(add=[HOPPER]))
    assert assistant.people.known(ME) == set()
    assert not written(tmp_path, *vectors(assistant, HOPPER))


def test_a_check_of_ones_own_looks_at_faces_as_the_chat_does(assistant):
    bright, wall = photo(PORTRAIT.point(lambda v: int(v * 0.55))), picture((60, 60, 60))
    assistant.remember(ME, "grace", [HOPPER, bright], by_face=True)
    assistant.remember(ME, "wall", [wall, picture((70, 62, 60), dot=2)])
    *_, found = check(assistant, ME)
    hers = [one for one in found.views if one.concept.name == "grace"]
    assert [(one.best.by_face, one.outcome) for one in hers] == [(True, "right")] * 2
    assert {one.best.view for one in hers} == {HOPPER.sha256, bright.sha256}
    assert all(one.best.view != one.photo.sha256 for one in hers)


def test_an_index_that_fails_keeps_no_face_of_who_is_unticked(assistant, monkeypatch):
    concept = assistant.remember(ME, "grace", [HOPPER, MIRRORED], by_face=True)
    monkeypatch.setattr(assistant.index, "drop", lambda *_: (_ for _ in ()).throw(StoreError("full")))
    with pytest.raises(StoreError):
        assistant.revise(ME, concept.id, ConceptEdit(remove=[MIRRORED.sha256], by_face=False))
    assert assistant.people.known(ME) == set()


def test_who_stops_learning_again_halfway_has_lost_no_face(assistant):
    concept = assistant.remember(ME, "grace", [HOPPER, MIRRORED], by_face=True)
    steps = assistant.reindex(ME, afresh=True)
    next(steps)
    steps.close()
    assert assistant.people.known(ME) == {(concept.id, one.sha256, False) for one in (HOPPER, MIRRORED)}
