"""Answers on ZeroGPU: its own package, `spaces`, forks and reuses real processes here and streams through them.

Made up are the service that lends GPUs (a small HTTP server that says yes, or no) and the GPU itself: the CPU stands in
for it, once behind the CUDA that `spaces` imitates. So not seen here: CUDA, and what nf4 computes there; the real
service, its quotas, and time that runs out.
"""

from __future__ import annotations

import json
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from multiprocessing import active_children, get_context
from urllib.parse import parse_qs, urlsplit

import pytest

from personal import compose
from personal.concepts import TextDelta
from personal.errors import ModelError
from personal.generate import zero
from personal.generate.local import LocalGenerator
from personal.generate.streaming import Tokens
from personal.generate.switching import SwitchableGenerator
from personal.settings import load
from tests.test_local import answer, asked, met, photo, seeing, text_only  # noqa: F401


@pytest.fixture
def here(monkeypatch):
    """The GPU is this process's CPU."""
    monkeypatch.setattr(zero, "DEVICE", "cpu")


def question(photo):  # noqa: F811
    return asked("Who is <bo>?", met("bo", "A dog.", photo), photos=[photo], sees=True, photo=photo)


def lent(folder, **options):
    model = zero.LentGenerator(str(folder), name="lent", **options)
    for _ in model.load():
        pass
    return model


def test_all_that_crosses_between_processes_can_be_pickled(photo):  # noqa: F811
    messages = question(photo)
    assert pickle.loads(pickle.dumps(messages)) == messages
    assert pickle.loads(pickle.dumps(TextDelta("It", 2, dropped_turns=1))) == TextDelta("It", 2, dropped_turns=1)
    error = pickle.loads(pickle.dumps(ModelError("too long")))
    assert (type(error), str(error)) == (ModelError, "too long")


def test_the_work_says_what_the_model_here_says_and_keeps_nothing(here, seeing, photo):  # noqa: F811
    model, plain = lent(seeing), LocalGenerator(str(seeing), device="cpu", quantization="nf4")
    said = list(zero.answer_on_gpu(str(seeing), question(photo), 8, 0.0))
    assert said == answer(plain, question(photo), 8)
    assert plain.loaded.decoder.prefix.cache is not None
    assert model.loaded.decoder.prefix.cache is None
    assert not list(model.loaded.decoder.features.known)


def test_what_goes_wrong_in_the_work_is_said_and_not_raised(here, text_only):  # noqa: F811
    lent(text_only)
    (error,) = zero.answer_on_gpu(str(text_only), asked("x" * 900), 8, 0.0)
    assert isinstance(error, ModelError)
    assert "The question is too long for lent" in str(error)


def test_the_model_is_carried_over_before_it_answers(text_only, monkeypatch):  # noqa: F811
    monkeypatch.setattr(zero, "DEVICE", "meta")  # a device without memory: nothing can be computed there
    model = lent(text_only, quantization="none")
    assert model.loaded.model.device.type == "cpu"
    (error,) = zero.answer_on_gpu(str(text_only), asked("Hello?"), 8, 0.0)
    assert model.loaded.model.device.type == "meta"
    assert "lent could not answer" in str(error)


def test_eight_bits_are_refused(text_only):  # noqa: F811
    with pytest.raises(ModelError, match="Set PERSONAL_QUANTIZATION to 4bit or none"):
        zero.LentGenerator(str(text_only), quantization="8bit")


def test_more_time_is_asked_for_longer_answers_within_limits():
    assert [zero.gpu_seconds("", [], tokens, 0.0) for tokens in (1, 256, 8192)] == [20, 45, 120]


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, LocalGenerator),
        ({"SPACES_ZERO_GPU": "true"}, zero.LentGenerator),
        ({"SPACES_ZERO_GPU": "true", "PERSONAL_DEVICE": "cpu"}, LocalGenerator),
    ],
)
def test_answers_are_lent_a_gpu_on_zerogpu_alone(text_only, environment, kind):  # noqa: F811
    made = []

    def steps():
        made.append((yield from compose.model(load({"PERSONAL_MODEL": str(text_only), **environment}))))

    list(steps())
    assert [type(model) for model in made] == [kind]


def test_the_model_is_not_changed_on_zerogpu(text_only):  # noqa: F811
    stage = SwitchableGenerator(zero.LentGenerator(str(text_only), name="lent"))
    with pytest.raises(ModelError, match="set PERSONAL_MODEL and restart"):
        list(compose.switch_model(load({"SPACES_ZERO_GPU": "1"}), stage, "personal-tiny"))
    assert stage.name == "lent"


@pytest.mark.skipif(find_spec("spaces") is None, reason="needs ZeroGPU's package: requirements-dev.txt")
class TestOnASpace:
    """In a process of its own, where `spaces` believes to be on ZeroGPU."""

    @pytest.fixture(scope="class")
    def space(self, text_only, tmp_path_factory):  # noqa: F811
        home = tmp_path_factory.mktemp("space")
        with ProcessPoolExecutor(1, get_context("spawn"), _start, (text_only, home)) as process:
            yield lambda work, *given: process.submit(work, *given).result(timeout=120)

    def test_elsewhere_the_package_changes_nothing(self):
        assert zero.announce() is zero.answer_on_gpu

    def test_there_is_work_when_the_page_is_served(self, space):
        assert space(_served) == ["/startup-report"]

    def test_a_model_in_nf4_leaves_nothing_behind_when_it_is_carried_over(self, space):
        assert space(_carried) == (["cuda"], "cuda")

    def test_an_answer_is_computed_in_another_process_and_the_next_in_the_same(self, space):
        expected, first, second, pids = space(_two_answers)
        assert first == second == expected
        assert len(pids) == 1
        assert pids[0] != space(os.getpid)

    def test_stopping_ends_an_answer_and_the_process_answers_the_next(self, space):
        whole, read, computed, after = space(_stopped)
        assert whole == 400
        assert read == 1
        assert computed < 200
        assert after == 4

    def test_an_answer_that_nobody_reads_any_more_is_ended(self, space):
        computed, calls = space(_left)
        assert computed < 200
        assert calls == ["/schedule", "/release"]

    def test_what_goes_wrong_there_comes_back_in_words(self, space):
        assert space(_complaint, "x" * 900).startswith("The question is too long for lent")
        assert space(_complaint, "Hello?") == ""

    def test_where_no_gpu_is_lent_the_reason_is_told(self, space):
        assert space(_refused, "busy") == "ZeroGPU gave no answer: No GPU was available. Try again in a while."
        assert "Space app has reached its GPU limit" in space(_refused, "quota")
        assert space(_refused, "gone").startswith("ZeroGPU gave no answer: ")

    def test_where_the_gpu_is_taken_back_in_the_middle_it_is_told_and_the_next_is_answered(self, space):
        said, after = space(_taken_back)
        assert said == "ZeroGPU gave no answer: GPU task aborted. Try again in a while."
        assert after == 4

    def test_two_visitors_are_answered_at_once(self, space):
        first, second, waited = space(_together)
        assert first == second
        assert not waited


# What follows runs in the process that takes itself for a Space.


class Lender(BaseHTTPRequestHandler):
    """The service that lends GPUs, as `spaces.zero.api` speaks with it."""

    calls: list[str] = []  # noqa: RUF012
    pids: list[int] = []  # noqa: RUF012
    out: set[int] = set()  # noqa: RUF012
    used: set[int] = set()  # noqa: RUF012
    mood = "kind"

    def do_POST(self):
        address = urlsplit(self.path)
        self.calls.append(address.path)
        given = parse_qs(address.query)
        if address.path == "/allow":
            self.pids.append(int(given["pid"][0]))
        if address.path == "/release":
            self.out.discard(int(given["allowToken"][0]))
        if address.path == "/schedule" and self.mood != "kind":
            return self.say({"busy": 503, "quota": 429, "gone": 500}[self.mood], {"left": 3, "wait": 3600})
        if address.path == "/schedule":
            gpu = next(n for n in range(8) if n not in self.out)
            self.out.add(gpu)
            idle = gpu in self.used
            self.used.add(gpu)
            return self.say(200, {"idle": idle, "nvidiaIndex": gpu, "nvidiaUUID": f"GPU-{gpu}", "allowToken": str(gpu)})
        return self.say(200, {})

    def say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


def _start(folder, home):
    """Begin as app.py does on ZeroGPU; `spaces` must not look for a GPU in the processes that it forks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lender)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (home / "cgroup").write_text("0::/space\n")
    os.environ.update(
        SPACES_ZERO_GPU="true",
        SPACES_ZERO_DEVICE_API_URL=f"http://127.0.0.1:{server.server_port}",
        ZEROGPU_PROC_SELF_CGROUP_PATH=str(home / "cgroup"),
        ZEROGPU_OFFLOAD_DIR=str(home / "tensors"),
        GRADIO_ANALYTICS_ENABLED="False",
        NO_PROXY="127.0.0.1",
    )
    zero.announce()
    import spaces

    spaces.zero.torch.init = lambda _: None
    spaces.zero.torch.move = lambda callback=None: None
    zero.DEVICE = "cpu"
    global STAGE, COMPUTED
    COMPUTED = get_context("fork").Value("i", 0)
    put = Tokens.put

    def counted(tokens, value):
        COMPUTED.value += 1
        put(tokens, value)

    Tokens.put = counted
    STAGE = SwitchableGenerator(zero.LentGenerator(str(folder), name="lent"))


def _ask(text="Hello?", tokens=4):
    """Ask in a thread, as gradio's handlers do."""
    from personal.threads import in_thread

    Lender.calls.clear()
    return in_thread(lambda: answer(STAGE, asked(text), tokens))


def _served():
    import gradio

    Lender.calls.clear()
    with gradio.Blocks() as page:
        gradio.Markdown("Hello")
    page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    page.close()
    return Lender.calls


def _carried():
    """Carry a model over to the imitated CUDA, which refuses to compute across devices as the real one does."""
    import spaces
    import torch

    from personal.threads import in_thread

    model = LocalGenerator(STAGE.model.source, device="cpu", quantization="nf4")
    for _ in model.load():
        pass

    def compute():
        spaces.zero.torch.enter_mode()
        there = model.loaded.model.to("cuda")
        devices = {tensor.device.type for tensor in (*there.parameters(), *there.buffers())}
        with torch.no_grad():
            return sorted(devices), there(input_ids=torch.tensor([[1, 2, 3]], device="cuda")).logits.device.type

    return in_thread(compute)


def _two_answers():
    plain = LocalGenerator(STAGE.model.source, device="cpu", quantization="nf4")
    return answer(plain, asked("Hello?"), 4), _ask(), _ask(), list(dict.fromkeys(Lender.pids))


def _long(stop=None):
    """Begin a long answer; sampled, since a random model under greedy decoding runs in circles."""
    COMPUTED.value = 0
    Lender.calls.clear()
    return STAGE.stream(asked("Hello?"), max_new_tokens=400, stop=stop or threading.Event(), temperature=1.0)


def _stopped():
    whole = sum(piece.tokens for piece in _long())
    stop, read = threading.Event(), 0
    for _ in _long(stop):
        read += 1
        stop.set()
    return whole, read, COMPUTED.value, sum(piece.tokens for piece in _ask())


def _left():
    with closing(_long()) as said:
        next(said)
    return COMPUTED.value, [call for call in Lender.calls if call != "/allow"]


def _complaint(text):
    try:
        _ask(text)
    except ModelError as error:
        return str(error)
    return ""


def _refused(mood):
    Lender.mood = mood
    try:
        return _complaint("Hello?")
    finally:
        Lender.mood = "kind"


def _taken_back():
    said = _long()
    next(said)
    for process in active_children():
        process.kill()
    try:
        for _ in said:
            pass
    except ModelError as error:
        return str(error), sum(piece.tokens for piece in _ask())
    return "", 0


def _together():
    one, other = (STAGE.stream(asked("Hello?"), max_new_tokens=4, stop=threading.Event()) for _ in range(2))
    first, second = [next(one)], [next(other)]
    first += one
    second += other
    return first, second, not all(isinstance(piece, TextDelta) for piece in [*first, *second])
