"""Kill a writer at random moments, fifty times: nothing that was confirmed is lost, and the index answers."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from personal.concepts import ConceptEdit
from tests.apps import processes
from tests.conftest import open_assistant, picture

OWNER = "local"
KILLS = 50
VERBS = ("add", "edit", "forget", "reindex")


def photo(seed):
    """A photo whose colour and dot are drawn from a seed."""
    draw = random.Random(seed)
    return picture(tuple(draw.randrange(256) for _ in range(3)), dot=draw.randrange(64))


def record(concept):
    """What was confirmed of a concept."""
    return {
        "name": concept.name,
        "info": concept.info,
        "views": [view.sha256 for view in concept.views],
        "negatives": [view.sha256 for view in concept.negatives],
        "attributes": list(concept.attributes),
    }


def write(folder, log_file, seed):
    """Add, edit, forget and reindex without end; every step is logged before and after, durably."""
    draw = random.Random(seed)

    def log(**line):
        out.write(json.dumps(line) + "\n")
        out.flush()
        os.fsync(out.fileno())

    with open(log_file, "a", encoding="utf-8") as out, open_assistant(Path(folder)) as assistant:
        log(ready=True)
        for step in range(100_000):
            concepts = assistant.concepts(OWNER)
            verb = draw.choice(["add", "add", *VERBS])
            if not concepts or (verb == "add" and len(concepts) < 12):
                name = f"n{seed}-{step}"
                log(begin="add", name=name)
                photos = [photo(draw.random()) for _ in range(draw.randint(1, 4))]
                concept = assistant.remember(OWNER, name, photos, info=f"info {name}")
                log(done=concept.id, record=record(concept))
            elif verb == "reindex":
                log(begin="reindex")
                for _ in assistant.reindex(OWNER, afresh=True):
                    pass
                log(done=None)
            elif verb == "forget":
                concept = draw.choice(concepts)
                log(begin="forget", id=concept.id)
                assistant.forget(OWNER, concept.id)
                log(done=concept.id, record=None)
            else:
                concept = draw.choice(concepts)
                log(begin="edit", id=concept.id)
                remove = [concept.views[0].sha256] if len(concept.views) > 1 and draw.random() < 0.5 else []
                concept = assistant.revise(
                    OWNER,
                    concept.id,
                    ConceptEdit(
                        name=f"n{seed}-{step}",
                        info=f"info {step}",
                        add=[photo(draw.random())],
                        remove=remove,
                        add_negatives=[photo(draw.random()) for _ in range(draw.randint(0, 2))],
                        remove_negatives=[view.sha256 for view in concept.negatives[:1]],
                        attributes=[f"mark {step}"],
                    ),
                )
                log(done=concept.id, record=record(concept))


def confirmed(log_file):
    """Read the log: what each concept must be, and the step that was under way when the writer died."""
    state, pending = {}, None
    for text in log_file.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # torn by the kill: it confirmed nothing
            break
        if "begin" in line:
            pending = line
        elif "done" in line:
            pending = None
            if line["done"]:
                state[line["done"]] = line["record"]
    return state, pending


def wait_for(verb, log_file, writer):
    """Wait until the writer is in the middle of a step of this kind."""
    while True:
        assert writer.is_alive()
        if log_file.read_text(encoding="utf-8").rpartition('{"begin": ')[2].startswith(f'"{verb}"'):
            return
        time.sleep(0.001)


def settle(state, pending, found):
    """Allow the step under way to have happened or not; everything else must be as confirmed. Return the new state."""
    touched = (pending or {}).get("id")
    for concept_id, wanted in state.items():
        if concept_id != touched:
            assert found.get(concept_id) == wanted, (concept_id, pending)
    for concept_id in found.keys() - state.keys():
        assert pending, f"{concept_id} came from nowhere"
        assert (pending["begin"], pending.get("name")) == ("add", found[concept_id]["name"])
    if pending and pending["begin"] == "edit":
        assert touched in found, "an edit that was cut off must not lose the concept"
    gone = {concept_id: None for concept_id in state if concept_id not in found}
    return {**gone, **found}


def test_fifty_kills_lose_nothing_that_was_confirmed(tmp_path):
    draw = random.Random(20261121)
    folder, log_file = tmp_path / "data", tmp_path / "log.jsonl"
    state, cut = {}, set()
    for kill in range(KILLS):
        log_file.write_text("", encoding="utf-8")
        writer = processes().Process(target=write, args=(str(folder), str(log_file), kill))
        writer.start()
        while not log_file.stat().st_size:
            assert writer.is_alive()
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.1))
        wait_for(VERBS[kill % len(VERBS)], log_file, writer)
        time.sleep(draw.uniform(0.0, 0.02))
        writer.kill()
        writer.join()

        changed, pending = confirmed(log_file)
        cut.add((pending or {}).get("begin"))
        state = {**state, **changed}
        with open_assistant(folder) as assistant:
            concepts = assistant.concepts(OWNER)
            state = settle(state, pending, {concept.id: record(concept) for concept in concepts})
            assert assistant.library.problems() == []
            assert assistant.index.views(OWNER) == {
                (c.id, view.sha256, view in c.negatives) for c in concepts for view in (*c.views, *c.negatives)
            }
            for concept in concepts:
                shown = assistant.library.photo(OWNER, concept.id, concept.views[-1].sha256)
                similarity = {m.concept.id: m.similarity for m in assistant.rank(OWNER, shown)}
                assert similarity[concept.id] > 0.999
    assert set(VERBS) <= cut, cut
    assert sum(record is not None for record in state.values()) > 0
