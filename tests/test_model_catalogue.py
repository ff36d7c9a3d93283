"""The catalog: what models need, what fits, what a source offers, and downloads from a hub that speaks the protocol."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest

from personal.errors import ModelError
from personal.generate import hardware
from personal.generate import hub as model_hub
from personal.generate.footprint import Memory, memory
from personal.generate.models import MODELS, ModelSpec, find_model
from personal.settings import TINY

GB = 2**30
MIB = 2**20
PUBLISHED = {
    "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "HuggingFaceTB/SmolVLM2-256M-Video-Instruct": 256_484_928,
    "HuggingFaceTB/SmolVLM2-500M-Video-Instruct": 507_482_304,
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct": 2_246_784_880,
    "OpenGVLab/InternVL3_5-8B-HF": 8_528_318_464,
    "llava-hf/llava-1.5-7b-hf": 7_063_427_072,
}
"""Parameters as the model hub counts them in the published files."""
STORED_UNUSED = {"google/gemma-4-E2B-it": 5_123_178_051, "google/gemma-4-E4B-it": 7_996_156_490}
"""Gemma 4's files also hold keys and values of layers that share those of others."""


def text(**more):
    return {
        "vocab_size": 2000,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        **more,
    }


def small(family):
    """A config of the family's real classes, small enough to give it weights."""
    if family == "fast_vlm":
        vision = {"model_type": "timm_wrapper", "architecture": "tf_efficientnet_lite0", "do_pooling": False}
        return {
            "model_type": "fast_vlm",
            "text_config": text(model_type="llama", tie_word_embeddings=True),
            "vision_config": {**vision, "num_labels": 0, "hidden_size": 1280},
            "tie_word_embeddings": True,
        }
    vision = {"depth": 2, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "out_hidden_size": 256}
    return {
        "model_type": "qwen2_5_vl",
        "text_config": text(rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]}),
        "vision_config": {**vision, "fullatt_block_indexes": [1]},
        "tie_word_embeddings": False,
    }


def save(folder, family):
    """Write a random checkpoint of the family in 16 bits."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

    config = CONFIG_MAPPING[family].from_dict(small(family))
    AutoModelForImageTextToText.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {family: save(tmp_path_factory.mktemp(family), family) for family in ("fast_vlm", "qwen2_5_vl")}


def weights(needed: Memory, name: str) -> int:
    return getattr(needed, name) - needed.beside


@pytest.mark.parametrize("family", ["fast_vlm", "qwen2_5_vl"])
def test_sixteen_bits_are_the_bytes_of_a_real_checkpoint(checkpoints, family):
    needed = memory(json.loads((checkpoints[family] / "config.json").read_text()))
    stored = (checkpoints[family] / "model.safetensors").stat().st_size
    assert weights(needed, "sixteen_bits") == pytest.approx(stored, rel=0.03)


@pytest.mark.parametrize("family", ["fast_vlm", "qwen2_5_vl"])
def test_four_bits_are_the_bytes_of_a_model_that_was_really_quantised(checkpoints, family):
    import torch
    from transformers import AutoModelForImageTextToText

    from personal.generate.quantization import nf4_config

    model = AutoModelForImageTextToText.from_pretrained(
        checkpoints[family], dtype=torch.bfloat16, device_map="cpu", quantization_config=nf4_config(torch.bfloat16)
    )
    held = list(model.parameters())
    taken = sum(tensor.numel() * tensor.element_size() for tensor in held)
    for tensor in held:
        state = getattr(tensor, "quant_state", None)
        if state is not None:
            taken += state.absmax.numel() * state.absmax.element_size()
            taken += state.state2.absmax.numel() * state.state2.absmax.element_size()
    needed = memory(small(family))
    assert weights(needed, "four_bits") == pytest.approx(taken, rel=0.02)
    assert weights(needed, "four_bits") < 0.8 * weights(needed, "sixteen_bits")


def test_the_cache_grows_with_the_context_as_it_does_in_the_real_model(checkpoints):
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(checkpoints["qwen2_5_vl"], dtype=torch.bfloat16)
    with torch.inference_mode():
        cache = model(input_ids=torch.ones(1, 64, dtype=torch.long), use_cache=True).past_key_values
    real = sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))
    activations = 64 * 2 * (6 * 256 + 3 * 512)
    grown = memory(small("qwen2_5_vl"), context=128).beside - memory(small("qwen2_5_vl"), context=64).beside
    assert grown - activations == real


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_numbers_make_the_published_count_of_parameters(model):
    assert find_model(model).memory.parameters == PUBLISHED[model]


@pytest.mark.parametrize("model", STORED_UNUSED)
def test_gemma_has_the_published_parameters_less_those_that_nothing_uses(model):
    assert 0.99 * STORED_UNUSED[model] < find_model(model).memory.parameters < STORED_UNUSED[model]


def test_the_catalog_is_sound():
    assert MODELS[0].id == TINY
    assert len({model.id for model in MODELS}) == len(MODELS)
    for model in MODELS:
        needed = model.memory
        assert needed.beside < needed.four_bits < needed.eight_bits < needed.sixteen_bits
        if model.id != TINY:
            assert len(model.revision) == 40
            assert int(model.revision, 16)
            assert 1.99 < model.download / needed.parameters < 4.1
    assert find_model("no/such") is None


def test_the_embedded_model_is_counted_from_the_config_that_it_is_assembled_with():
    from personal.tiny.parts import PARTS

    assert find_model(TINY).memory.parameters == pytest.approx(140_400_000, rel=0.001)
    assert find_model(TINY).download == pytest.approx(sum(part.megabytes for part in PARTS) * 1e6, rel=0.05)


def gpu(gigabytes, free=None, device="cuda"):
    return hardware.Hardware(device, "a GPU", gigabytes * GB, int((free or gigabytes) * GB))


def test_what_fits_and_what_does_not_is_said_with_its_numbers():
    model = find_model("Qwen/Qwen3-VL-8B-Instruct")
    need = model.memory.four_bits / GB
    verdict = hardware.fits(model, gpu(24), "4bit")
    assert verdict == hardware.Verdict(True, False, f"fits: needs about {need:.1f} GB of your 24 GB in 4 bits")
    verdict = hardware.fits(model, gpu(24, free=4), "4bit")
    assert not verdict.fits
    assert verdict.sentence.endswith("in 4 bits; 4.0 GB of your 24 GB are free")
    assert not hardware.fits(model, gpu(16), "none").fits
    assert hardware.fits(model, gpu(16), "8bit").fits


def test_apples_gpu_keeps_sixteen_bits_whatever_is_asked_for():
    verdict = hardware.fits(find_model("Qwen/Qwen3-VL-4B-Instruct"), gpu(8, device="mps"), "4bit")
    assert not verdict.fits
    assert "in 16 bits" in verdict.sentence


CPU = hardware.Hardware("cpu", "the CPU", 32 * GB, 24 * GB, reads=10e9)


def test_a_cpu_is_slow_where_reading_the_weights_takes_long():
    large = hardware.fits(find_model("Qwen/Qwen3-VL-8B-Instruct"), CPU, "nf4")
    assert (large.fits, large.slow) == (True, True)
    assert large.sentence.endswith("in 4 bits; about 1.4 tokens per second at most")
    little = hardware.fits(find_model("HuggingFaceTB/SmolVLM2-256M-Video-Instruct"), CPU, "nf4")
    assert (little.fits, little.slow) == (True, False)


def test_a_cpu_that_packs_needs_room_for_sixteen_bits_first(monkeypatch):
    model = find_model("Qwen/Qwen3-VL-8B-Instruct")
    monkeypatch.setattr("personal.generate.packed.available", lambda: True)
    verdict = hardware.fits(model, CPU, "4bit")
    assert verdict.sentence.startswith("slow here: needs about 16 GB while it is packed into 4 bits; about 1.2 tokens")
    assert not hardware.fits(model, hardware.Hardware("cpu", "the CPU", 16 * GB, 12 * GB, 10e9), "4bit").fits
    monkeypatch.setattr("personal.generate.packed.available", lambda: False)
    assert hardware.fits(model, CPU, "4bit") == hardware.fits(model, CPU, "nf4")


def held_by(model):
    """Every tensor of a packed model: its layers hold some in parts that are no modules."""
    import torch

    from personal.generate import packed

    for module in model.modules():
        everything = {
            **dict(module.named_parameters(recurse=False)),
            **dict(module.named_buffers(recurse=False)),
            **vars(module),
        }
        for name, value in everything.items():
            parts = vars(value).values() if isinstance(value, (packed.PackedLinear4, packed.Norm)) else [value]
            yield from (part for part in parts if isinstance(part, torch.Tensor) and "inv_freq" not in name)


@pytest.mark.parametrize("family", ["llama", "qwen2_5_vl"])
def test_packed_weights_are_the_bytes_of_a_model_that_was_really_packed(family):
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText

    from personal.generate import packed

    if not packed.available():
        pytest.skip("this CPU has no kernels for packed weights")
    config = small(family) if family != "llama" else {"model_type": "llama", "tie_word_embeddings": True, **text()}
    auto = AutoModelForCausalLM if family == "llama" else AutoModelForImageTextToText
    model = auto.from_config(CONFIG_MAPPING[family].from_dict(config)).to(torch.bfloat16).eval()
    assert packed.pack(model)
    tensors = {id(tensor): tensor for tensor in held_by(model)}.values()
    taken = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert weights(memory(config), "packed") == pytest.approx(taken, rel=0.02)


@pytest.mark.parametrize(
    ("here", "offline", "chosen", "reason"),
    [
        (gpu(24), True, TINY, "offline"),
        (hardware.Hardware("cpu", "the CPU", 64 * GB, 60 * GB, 1e10), False, TINY, "no GPU was found"),
        (gpu(24), False, "Qwen/Qwen3-VL-8B-Instruct", "in 4 bits of the 24 GB free on a GPU"),
        (gpu(8), False, "Qwen/Qwen3-VL-4B-Instruct", "the largest Qwen3-VL with room to spare"),
        (gpu(6, free=4.2), False, "Qwen/Qwen3-VL-2B-Instruct", "of the 4.2 GB free"),
        (gpu(3), False, TINY, "too tight"),
        (gpu(16, device="mps"), False, "Qwen/Qwen3-VL-4B-Instruct", "in 16 bits"),
    ],
)
def test_the_first_choice_follows_the_hardware_and_says_why(here, offline, chosen, reason):
    model, why = hardware.choose(here, offline)
    assert model.id == chosen
    assert reason in why


def test_this_machine_is_seen():
    here = hardware.detect_hardware("cpu")
    assert here.device == "cpu"
    assert 0 < here.free <= here.total
    assert here.reads > 1e8
    with pytest.raises(ModelError, match="no tpu device"):
        hardware.detect_hardware("tpu")


def test_a_folder_is_described_without_its_weights(checkpoints, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(checkpoints["fast_vlm"], folder)
    (folder / "training_log.csv").write_bytes(b"x" * 10**6)
    found = model_hub.inspect(str(folder), offline=True)
    assert found.title == "mine"
    assert found.sees
    assert not found.single_turn
    used = sum(
        (folder / name).stat().st_size for name in ("config.json", "generation_config.json", "model.safetensors")
    )
    assert found.download == used
    assert found.memory.parameters == memory(small("fast_vlm")).parameters
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    (folder / "personal.json").write_text(json.dumps({"sees": False, "single_turn": True}))
    found = model_hub.inspect(str(folder), offline=True)
    assert not found.sees
    assert found.single_turn


def test_a_text_only_folder_does_not_see(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **text()}))
    (tmp_path / "model.safetensors").touch()
    assert not model_hub.inspect(str(tmp_path), offline=True).sees


def test_a_checkpoint_with_its_own_quantisation_needs_what_its_files_take(tmp_path):
    config = {"model_type": "llama", "quantization_config": {"quant_method": "awq", "bits": 4}, **text()}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 10**6)
    needed = model_hub.inspect(str(tmp_path), offline=True).memory
    assert needed.four_bits == needed.sixteen_bits
    assert weights(needed, "four_bits") == pytest.approx(10**6, rel=0.01)


SHARDS = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})


@pytest.mark.parametrize(
    ("config", "files", "message"),
    [
        (None, {}, "holds no config.json"),
        ("not json", {}, "cannot be read"),
        ("[]", {}, "does not hold what its name says"),
        ({"model_type": "llama"}, {"pytorch_model.bin": ""}, "pickles only, which can run code"),
        ({"model_type": "llama"}, {"adapter_model.safetensors": ""}, "holds no weights that this app opens"),
        (
            {"model_type": "llama"},
            {"model.safetensors.index.json": SHARDS, "model-00001-of-00002.safetensors": ""},
            "is incomplete: model-00002-of-00002.safetensors is missing",
        ),
        ({"model_type": "internvl_chat", "auto_map": {"AutoConfig": "x.Y"}}, {"model.safetensors": ""}, "runs no code"),
        ({"model_type": "no-such-kind"}, {"model.safetensors": ""}, "does not know the architecture"),
        ({"model_type": ["llama"]}, {"model.safetensors": ""}, "does not know the architecture"),
        ({"model_type": "vit"}, {"model.safetensors": ""}, "does not answer in text"),
        ({"model_type": "llama", "hidden_size": "wide"}, {"model.safetensors": ""}, "makes no model"),
        ({"model_type": "llama", "num_attention_heads": 0}, {"model.safetensors": ""}, "makes no model"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, config, files, message):
    if config is not None:
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=message):
        model_hub.inspect(str(tmp_path), offline=True)


def test_the_embedded_default_is_described_and_never_looked_up():
    assert model_hub.inspect(TINY, offline=True) is MODELS[0]
    with pytest.raises(ModelError, match="assembled here"):
        list(model_hub.download(MODELS[0]))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("someone/something", "no hub is asked while offline"),
        ("/no/such/folder", "There is no folder"),
        ("../nowhere", "There is no folder"),
    ],
)
def test_what_is_not_here_is_not_found_while_offline(tmp_path, source, message):
    with pytest.raises(ModelError, match=message):
        model_hub.inspect(source, offline=True, cache=tmp_path)


# A model hub on the loopback: what huggingface_hub asks of the real one.


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        status = self.server.status.get("/".join(parts[2:4] if parts[0] == "api" else parts[:2]))
        if status is not None:
            return self.answer(status[0], b"", {"X-Error-Code": status[1]} if status[1] else {})
        files = self.server.files
        if parts[:2] == ["api", "models"]:
            if "tree" in parts:
                return self.json(
                    [
                        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                        for name, data in files.items()
                    ]
                )
            return self.json(
                {
                    "id": "/".join(parts[2:4]),
                    "sha": self.server.sha,
                    "gated": False,
                    "private": False,
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                    "cardData": {"license": "mit"},
                    "siblings": [{"rfilename": name, "size": len(data)} for name, data in files.items()],
                }
            )
        data = files.get("/".join(parts[4:]))
        if data is None:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        return self.answer(200, data, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.server.sha})

    do_HEAD = do_GET

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self, status, data, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if len(data) > 8 * MIB:
            self.wfile.write(data[: len(data) // 2])
            self.server.go.wait(10)
            data = data[len(data) // 2 :]
        self.wfile.write(data)

    def log_message(self, *_):
        pass

    def handle(self):
        with suppress(ConnectionError):  # of a reader that stopped in the middle
            super().handle()


@pytest.fixture
def hub(checkpoints):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.sha = "0123456789abcdef0123456789abcdef01234567"
    server.asked, server.status = [], {}
    server.go = threading.Event()
    server.go.set()
    server.files = {path.name: path.read_bytes() for path in checkpoints["qwen2_5_vl"].iterdir()}
    server.files |= {"tokenizer.json": b"{}", "README.md": b"words", "run_me.py": b"import os", "onnx/a.json": b"{}"}
    server.files["pytorch_model.bin"] = b"pickle"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()


def drain(generator):
    said = []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return said, end.value


def test_a_model_on_a_hub_is_described_from_its_listing_and_config_alone(hub, tmp_path):
    found = model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    assert (found.id, found.title, found.licence, found.revision) == ("some/model", "model", "mit", hub.sha)
    assert found.sees
    assert not found.gated
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert found.download == sum(len(hub.files[name]) for name in wanted)
    assert not any("safetensors" in path for path in hub.asked)
    assert all(path.startswith("/api/models/some/model") or "config.json" in path for path in hub.asked)


def test_a_model_of_the_catalog_keeps_its_habits_and_its_pinned_revision(hub, tmp_path):
    known = find_model("llava-hf/llava-1.5-7b-hf")
    hub.sha = known.revision
    found = model_hub.inspect(known.id, offline=False, cache=tmp_path, endpoint=hub.url)
    assert (found.title, found.licence, found.images, found.interleaves) == (known.title, known.licence, 1, False)
    assert f"/api/models/{known.id}/revision/{known.revision}?blobs=true" in hub.asked


def test_a_download_brings_what_is_needed_with_progress_and_is_then_here_offline(hub, tmp_path):
    hub.files["model.safetensors"] += bytes(24 * MIB)
    found = model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    hub.go.clear()
    steps = model_hub.download(found, tmp_path, endpoint=hub.url)
    said = [next(steps)]
    assert said[0].text == "Asking the model hub for model"
    hub.asked.clear()
    while (step := next(steps)).done < 10 * MIB:
        said.append(step)
        time.sleep(0.01)
    assert step.total == found.download - len(hub.files["config.json"])
    assert step.done < step.total
    hub.go.set()
    rest, folder = drain(steps)
    assert (rest[-1].done, rest[-1].total) == (step.total, step.total)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors", "tokenizer.json")
    }
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert all(part not in path for path in hub.asked for part in ("pytorch_model", ".py", "README", "onnx"))

    hub.asked.clear()
    assert drain(model_hub.download(found, tmp_path, endpoint=hub.url)) == ([], folder)
    assert drain(model_hub.download(found, tmp_path, offline=True)) == ([], folder)
    assert model_hub.inspect("some/model", offline=True, cache=tmp_path).download == found.download
    assert hub.asked == []


def test_closing_a_download_stops_it_and_the_next_one_completes_it(hub, tmp_path):
    hub.files["model.safetensors"] += bytes(64 * MIB)
    model = model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    hub.go.clear()
    steps = model_hub.download(model, tmp_path, endpoint=hub.url)
    while next(steps).done < 10 * MIB:
        time.sleep(0.01)
    steps.close()
    hub.go.set()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("download") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not list(tmp_path.rglob("*.incomplete"))
    with pytest.raises(ModelError, match="no hub is asked while offline"):
        list(model_hub.download(model, tmp_path, offline=True))
    _, folder = drain(model_hub.download(model, tmp_path, endpoint=hub.url))
    assert (folder / "model.safetensors").stat().st_size == len(hub.files["model.safetensors"])


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ((403, "GatedRepo"), "is gated: accept its makers' terms"),
        ((401, "RepoNotFound"), "The model hub has no some/model, or it is private"),
        ((401, ""), "answered 401 about some/model. Sign in"),
        ((404, "RepoNotFound"), "The model hub has no some/model"),
        ((404, "RevisionNotFound"), "no longer has the pinned revision"),
        ((500, ""), "answered 500 about some/model. Try again later"),
    ],
)
def test_what_a_hub_refuses_is_said_in_words(hub, tmp_path, status, message):
    hub.status["some/model"] = status
    with pytest.raises(ModelError, match=message):
        model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    with pytest.raises(ModelError, match=message):
        list(model_hub.download(ModelSpec("some/model", "model", "mit", {}, 0), tmp_path, endpoint=hub.url))


@pytest.mark.parametrize("odd", [{}, [], None, {"id": "some/model", "siblings": [{}]}, {"siblings": 5}])
def test_a_hub_that_answers_with_something_else_is_said_in_words(hub, tmp_path, monkeypatch, odd):
    answer = json.dumps(odd).encode()
    monkeypatch.setattr(Hub, "json", lambda handler, value: handler.answer(200, answer, {}))
    with pytest.raises(ModelError, match="some/model"):
        model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)


def test_a_gate_that_closes_in_the_middle_is_said_in_words(hub, tmp_path):
    model = model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    steps = model_hub.download(model, tmp_path, endpoint=hub.url)
    next(steps)
    hub.status["some/model"] = (403, "GatedRepo")
    with pytest.raises(ModelError, match="is gated"):
        list(steps)


def test_a_hub_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(ModelError, match=r"cannot be reached for some/model\. Check the network"):
        model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot be reached"):
        list(model_hub.download(MODELS[1], tmp_path, endpoint="http://127.0.0.1:9"))


def test_a_name_that_no_hub_takes_is_said_in_words(tmp_path):
    with pytest.raises(ModelError, match="neither a folder here nor the name"):
        model_hub.inspect("what is this?", offline=False, cache=tmp_path, endpoint="http://127.0.0.1:9")


def test_a_model_that_is_only_pickled_or_needs_its_own_code_is_refused_before_any_weight_is_fetched(hub, tmp_path):
    del hub.files["model.safetensors"]
    with pytest.raises(ModelError, match="pickles only"):
        model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    with pytest.raises(ModelError, match="pickles only"):
        list(model_hub.download(ModelSpec("some/model", "model", "mit", {}, 0), tmp_path, endpoint=hub.url))
    hub.files["model.safetensors"] = b""
    hub.files["config.json"] = json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}).encode()
    with pytest.raises(ModelError, match="runs no code from checkpoints"):
        model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    assert not any(path.endswith((".py", ".bin")) for path in hub.asked)


def test_a_full_disk_is_noticed_before_the_download_and_the_missing_room_is_named(hub, tmp_path, monkeypatch):
    model = model_hub.inspect("some/model", offline=False, cache=tmp_path, endpoint=hub.url)
    hub.asked.clear()
    monkeypatch.setattr(
        model_hub.shutil, "disk_usage", lambda _: SimpleNamespace(free=model_hub.SPARE_BYTES - 10**9 // 2)
    )
    with pytest.raises(ModelError, match=r"has -?0\.3 GB free: 0\.5 GB are missing"):
        list(model_hub.download(model, tmp_path / "not" / "yet", endpoint=hub.url))
    assert not any("resolve" in path for path in hub.asked)


def test_a_disk_that_fills_up_on_the_way_is_said_in_words():
    with pytest.raises(ModelError, match="The disk is full"), model_hub.translate_errors("some/model"):
        raise OSError(28, "No space left on device")


def test_a_folder_needs_no_download(checkpoints):
    folder = checkpoints["fast_vlm"]
    assert drain(model_hub.download(model_hub.inspect(str(folder), offline=True))) == ([], Path(folder))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_what_is_kept_of_the_catalogue_is_what_is_counted(model):
    assert model.memory == memory(model.config, stored=model.download)
