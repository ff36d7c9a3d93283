"""Model servers: a real one on loopback speaks the protocol by hand, well and badly."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import random
import socket
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from personal.concepts import WHOLE, Concept, Match, Photo, TextDelta, Turn, View
from personal.crops import data_url
from personal.errors import ModelError
from personal.generate.prompt import build_messages
from personal.generate.protocol import AVATAR_SIDES, EARLIER_SIDES, LAST_SIDES, images_within
from personal.generate.remote import AT_ONCE, RemoteGenerator
from personal.images import read_photo

KEY = "sk-do-not-tell-4711"
HOSTILE = "<|im_end|>\x1b[31mred\x07\x00<image>‮ </s>\r\n```" + "long" * 50_000


class Server(ThreadingHTTPServer):
    """Answers each question with the next of `answers`, and then with the last again; keeps what it was sent."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = [says("It is <bo>.")]
        self.models = {"data": [{"id": "llava"}, {"id": "qwen"}]}
        self.asked = []
        self.headers = []
        self.reached, self.left = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def handle_error(self, *_):
        """A client that has gone is none."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        self.server.headers.append(dict(self.headers))
        if callable(self.server.models):
            self.server.models(self)
        else:
            self.reply(200, json.dumps(self.server.models))

    def do_POST(self):
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(dict(self.headers))
        self.server.asked.append(self.body)
        self.server.reached.set()
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def reply(self, status, text, kind="application/json", **headers):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def raw(self, data: bytes):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, value):
        self.raw(b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n")

    def end(self):
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def await_leaving(self):
        """Wait until the client has closed the connection."""
        self.connection.settimeout(8)
        try:
            gone = self.connection.recv(1) == b""
        except ConnectionError:
            gone = True
        if gone:
            self.server.left.set()
        self.close_connection = True


def chunk(end=None, **delta):
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}


def says(*texts, end="stop", before=(), **changes):
    def answer(handler):
        handler.begin()
        handler.event(chunk(role="assistant", content=""))
        for value in before:
            handler.event(value)
        for text in texts:
            handler.event(chunk(content=text))
        handler.event(chunk(end))
        handler.end()

    return answer


def refuses(status, body="{}", kind="application/json", **headers):
    text = body if isinstance(body, str) else json.dumps({"error": body})
    return lambda handler: handler.reply(status, text, kind, **headers)


@pytest.fixture(scope="module", autouse=True)
def warm():
    """Import the client library once, so that no test's time-out counts that."""
    import openai

    openai.AsyncOpenAI(api_key="x", base_url="http://127.0.0.1:1")


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def lasting():
    """One server and one generator for the many tests that only ask it something else."""
    made = Server()
    yield made, remote(made, model="llava")
    made.shutdown()
    made.server_close()


@pytest.fixture
def llava(lasting):
    server, generator = lasting
    server.asked.clear()
    return server, generator


def remote(server, **options) -> RemoteGenerator:
    return RemoteGenerator(server.url, **{"key": KEY, "timeout_s": 10.0, **options})


def asked(question="Who is it?"):
    return build_messages([Turn(question)], avatars={}, sees=True)


def listen(generator, messages=None, heard=None, stop=None, **options):
    """Collect an answer's pieces in `heard`, which keeps them where the answer ends in an error."""
    heard = [] if heard is None else heard
    options = {"max_new_tokens": 64, **options}
    for event in generator.stream(messages or asked(), stop=stop or threading.Event(), **options):
        assert isinstance(event, TextDelta)
        heard.append(event.text)
    return heard


def refusal(generator, messages=None, heard=None) -> str:
    with pytest.raises(ModelError) as refused:
        listen(generator, messages, heard)
    assert KEY not in "".join(traceback.format_exception(refused.value))
    error = refused.value
    while error is not None:
        assert type(error).__module__.split(".")[0] not in ("openai", "httpx2"), "it would carry the request's headers"
        error = error.__cause__ or error.__context__
    return str(refused.value)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_passed_on_while_it_comes(server):
    go = threading.Event()

    def answer(handler):
        handler.begin()
        handler.event(chunk(content="It is "))
        go.wait(8)
        handler.event(chunk(content="<bo>."))
        handler.event(chunk("stop"))
        handler.end()

    server.answers = [answer]
    generator = remote(server)
    answering = generator.stream(asked(), max_new_tokens=7, stop=threading.Event())
    assert next(answering) == TextDelta("It is ")
    go.set()
    assert list(answering) == [TextDelta("<bo>.")]
    (question,) = server.asked
    assert (question["model"], question["max_tokens"], question["temperature"]) == ("llava", 7, 0.0)
    assert question["stream"] is True
    assert [m["role"] for m in question["messages"]] == ["system", "user"]
    assert question["messages"][1]["content"] == "Who is it?"


def test_the_model_is_the_one_wished_for_or_the_first_listed(server):
    generator = remote(server)
    assert list(generator.load())[-1].text == "llava answers"
    assert (generator.name, generator.single_turn, generator.concurrency) == ("llava", False, 8)
    assert generator.description == f"llava on {server.url} (answers)"
    listen(remote(server, model="qwen"), temperature=0.7)
    assert (server.asked[-1]["model"], server.asked[-1]["temperature"]) == ("qwen", 0.7)
    server.models = {"data": []}
    with pytest.raises(ModelError, match="PERSONAL_LLM_MODEL"):
        list(remote(server).load())
    server.models = refuses(404)
    list(remote(server, model="qwen").load())
    server.models = refuses(401)
    with pytest.raises(ModelError, match="PERSONAL_LLM_KEY"):
        list(remote(server, model="qwen").load())


def test_a_server_with_another_model_is_asked_for_that(server):
    generator = remote(server)
    listen(generator)
    server.models = {"data": [{"id": "gemma"}]}
    server.answers = [refuses(404, {"message": "The model `llava` does not exist."}), says("yes")]
    assert "does not exist" in refusal(generator)
    assert listen(generator) == ["yes"]
    assert server.asked[-1]["model"] == generator.name == "gemma"


def test_hostile_text_goes_through_as_text(server):
    server.answers = [says(*(HOSTILE[at : at + 997] for at in range(0, len(HOSTILE), 997)), "\ud83d")]
    assert "".join(listen(remote(server), max_new_tokens=4096)) == HOSTILE + "?"


def test_what_the_model_thinks_is_not_shown(server):
    reasoned = [chunk(reasoning_content="a dog?"), chunk(reasoning=" surely"), chunk(content=None, reasoning="!")]
    server.answers = [
        says("It is <bo>.", before=reasoned),
        says("<thi", "nk>a dog? </th", "ink>\n\nIt is", " <bo>."),
        says("<think>a dog or", end="length"),
    ]
    assert "".join(listen(remote(server))) == "It is <bo>."
    assert "".join(listen(remote(server))) == "It is <bo>."
    assert "PERSONAL_MAX_NEW_TOKENS" in refusal(remote(server))


def test_thinking_is_a_sign_of_life(server):
    def answer(handler):
        handler.begin()
        for _ in range(8):
            handler.event(chunk(reasoning="hm "))
            time.sleep(0.1)
        handler.event(chunk(content="<bo>"))
        handler.event(chunk("stop"))
        handler.end()

    server.answers = [answer]
    assert listen(remote(server, timeout_s=0.5)) == ["<bo>"]


def test_an_answer_that_was_over_before_the_connection_broke_is_whole(server):
    def answer(handler):
        handler.begin()
        handler.event(chunk(content="It is <bo>."))
        handler.event(chunk("stop"))
        handler.drop()

    server.answers = [answer]
    assert listen(remote(server)) == ["It is <bo>."]


def test_several_answers_come_at_once(server):
    together = threading.Barrier(3)

    def answer(handler):
        together.wait(8)
        says("yes")(handler)

    server.answers = [answer]
    generator = remote(server)
    heard = [[], [], []]
    threads = [threading.Thread(target=listen, args=(generator, None, said)) for said in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert heard == [["yes"]] * 3


def test_the_questions_of_an_evaluation_are_asked_together_and_answered_in_their_order(server):
    together = threading.Barrier(AT_ONCE)

    def answer(handler):
        together.wait(8)
        says(handler.body["messages"][-1]["content"])(handler)

    server.answers = [answer]
    questions = [f"Number {number}?" for number in range(2 * AT_ONCE)]
    assert remote(server).answers([asked(question) for question in questions], max_new_tokens=8) == questions


def test_one_refusal_among_the_questions_of_an_evaluation_is_told(server):
    server.answers = [says("yes"), refuses(429, "slow down")]
    with pytest.raises(ModelError, match="too much to do"):
        remote(server).answers([asked()] * 3, max_new_tokens=8)


def test_a_server_that_will_not_stop_is_stopped(server):
    def answer(handler):
        handler.begin()
        for _ in range(10_000):
            handler.event(chunk(content="and " * 500))

    server.answers = [answer]
    heard = []
    assert "length" in refusal(remote(server), heard=heard)
    assert 0 < sum(map(len, heard)) < 10_000


# -- bad servers -----------------------------------------------------------------------------------------------------


def cut(handler):
    handler.begin()
    handler.event(chunk(content="It is "))
    handler.drop()


def unfinished(handler):
    handler.begin()
    handler.event(chunk(content="It is "))
    handler.wfile.write(b"0\r\n\r\n")


def breaks_down(handler):
    handler.begin()
    handler.event(chunk(content="It is "))
    handler.event({"error": {"message": f"out of memory, {KEY}", "code": 500}})


def turns_to_rubbish(handler):
    handler.begin()
    handler.event(chunk(content="It is "))
    handler.event("{not json")


@pytest.mark.parametrize("answer", [cut, unfinished, breaks_down, turns_to_rubbish])
def test_what_came_before_the_server_broke_off_stays(llava, answer):
    server, generator = llava
    server.answers = [answer]
    heard = []
    assert "broke off" in refusal(generator, heard=heard)
    assert heard == ["It is "]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "log"),
        (401, "PERSONAL_LLM_KEY"),
        (403, "PERSONAL_LLM_KEY"),
        (404, "PERSONAL_LLM_MODEL"),
        (413, "PERSONAL_LLM_IMAGE_BYTES"),
        (429, "Try again later"),
        (500, "try again"),
        (503, "try again"),
    ],
)
@pytest.mark.parametrize("message", ["it is \x1b[31m so", f"the key {KEY} is wrong", "words " * 500])
def test_a_refusal_is_said_at_once_in_words(llava, status, advice, message):
    server, generator = llava
    server.answers = [refuses(status, {"message": message})]
    said = refusal(generator)
    assert str(status) in said
    assert advice in said
    assert len(said) < 600
    assert said.isprintable()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("header", "when"),
    [
        ("20", "in 20 seconds"),
        ("1.5", "in 2 seconds"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "later"),
        ("soon", "later"),
        ("-1", "later"),
        ("nan", "later"),
    ],
)
def test_a_busy_server_says_when_to_try_again(llava, header, when):
    server, generator = llava
    server.answers = [refuses(429, {"message": "rate limit"}, Retry_After=header)]
    assert f"Try again {when}." in refusal(generator)


def test_a_server_whose_model_sees_no_images_is_told_apart(server):
    server.answers = [refuses(500, {"message": "image input is not supported - you may need to provide the mmproj"})]
    assert "PERSONAL_LLM_IMAGE_BYTES=0" in refusal(remote(server))


def test_photos_do_not_follow_a_redirect(server):
    other = Server()
    server.answers = [refuses(308, Location=f"{other.url}/v1/chat/completions")]
    assert other.url in refusal(remote(server))
    assert other.asked == other.headers == []
    other.shutdown()
    other.server_close()


def html(handler):
    handler.reply(200, "<!DOCTYPE html><html><body>Welcome</body></html>", "text/html")


ODD = [
    "null",
    "42",
    '"text"',
    "[]",
    "{}",
    '{"choices": []}',
    '{"choices": null}',
    '{"choices": 5}',
    '{"choices": [null]}',
    '{"choices": [[]]}',
    '{"choices": {"0": {}}}',
    '{"choices": [{"delta": "text"}]}',
    '{"choices": [{"delta": {"content": [5]}}]}',
    '{"choices": [{"delta": {"content": {"a": 1}}, "finish_reason": ["stop"]}]}',
    "{not json",
    "[" * 100_000,
    "\udcff",
    '{"error": "it broke"}',
    '{"error": ["it broke"]}',
    '{"error": {"message": ["it", "broke"], "code": {"a": 1}, "param": ["max_tokens"]}}',
]


def odd(text):
    def answer(handler):
        handler.begin()
        handler.raw(b"data: " + text.encode("utf-8", "surrogateescape") + b"\n\n")
        handler.end()

    return answer


@pytest.mark.parametrize("answer", [html, *map(odd, ODD)])
def test_what_is_no_answer_is_called_so(llava, answer):
    server, generator = llava
    server.answers = [answer]
    said = refusal(generator)
    assert server.url in said
    assert len(server.asked) == 1


@pytest.mark.parametrize("text", ["{not json", "<html>no</html>", "[]", "null", '{"error": [1]}', "\x00", ""])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_an_error_of_any_shape_is_said_in_words(llava, text, kind):
    server, generator = llava
    server.answers = [refuses(400, text, kind)]
    assert "400" in refusal(generator)


@pytest.mark.parametrize("models", ["{not json", "[]", "null", '{"data": 5}', "<html>", '{"data": [5, {"id": 5}]}'])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_list_of_models_of_any_shape_does_no_harm(server, models, kind):
    server.models = lambda handler: handler.reply(200, models, kind)
    generator = remote(server)
    with pytest.raises(ModelError, match="PERSONAL_LLM"):
        list(generator.load())
    assert server.url in generator.health()


def test_random_bytes_do_no_harm(llava):
    server, generator = llava
    dice = random.Random(0)
    good = json.dumps(chunk(content="It is <bo>.")).encode()
    for _ in range(25):
        data = bytearray(b"data: " + good + b"\n\n")
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)

        def answer(handler, data=bytes(data)):
            handler.begin()
            handler.raw(data)
            handler.end()

        server.answers = [answer]
        with contextlib.suppress(ModelError):
            assert "".join(listen(generator))


# -- time ------------------------------------------------------------------------------------------------------------


def mute(handler):
    handler.await_leaving()


def mute_after_headers(handler):
    handler.begin()
    handler.await_leaving()


def mute_after_a_word(handler):
    handler.begin()
    handler.event(chunk(content="It is "))
    handler.await_leaving()


def trickles(data):
    def answer(handler):
        handler.begin()
        try:
            for _ in range(80):
                handler.raw(data)
                time.sleep(0.1)
        except OSError:
            handler.server.left.set()

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        mute,
        mute_after_headers,
        mute_after_a_word,
        trickles(b": still here\n\n"),
        trickles(b"data: " + json.dumps(chunk(content="")).encode() + b"\n\n"),
        trickles(b"data: and so on"),
    ],
)
def test_silence_ends_with_the_time_out_and_the_connection_is_closed(server, answer):
    generator = remote(server, model="llava", timeout_s=1.0)
    with contextlib.suppress(ModelError):
        listen(generator)  # the client is made now, and does not count
    server.answers = [answer]
    began = time.monotonic()
    assert "silent" in refusal(generator)
    assert 0.9 < time.monotonic() - began < 6
    assert server.left.wait(10)
    assert generator.description == f"llava on {server.url} (did not answer last time)"


def test_a_list_of_models_that_never_comes_ends_with_the_time_out(server):
    server.models = trickles(b" ")
    generator = remote(server, timeout_s=0.3)
    for ask in (refusal, RemoteGenerator.health):
        began = time.monotonic()
        assert "silent" in ask(generator)
        assert time.monotonic() - began < 2
    with pytest.raises(ModelError, match="silent"):
        list(generator.load())


def test_a_server_that_accepts_no_connection_is_silent():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as taken:
        port = taken.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(("127.0.0.1", port))
            began = time.monotonic()
            refusal(RemoteGenerator(f"http://127.0.0.1:{port}", model="llava", timeout_s=0.5))
            assert time.monotonic() - began < 2


def test_a_server_that_starts_late_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = []
    starting = threading.Timer(0.4, lambda: started.append(Server(port)))
    starting.start()
    assert listen(RemoteGenerator(f"http://127.0.0.1:{port}", timeout_s=10)) == ["It is <bo>."]
    starting.join()
    started[0].shutdown()
    started[0].server_close()


def test_a_server_that_never_starts_is_said_to_be_away():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    generator = RemoteGenerator(f"http://127.0.0.1:{port}", model="llava", timeout_s=10)
    assert "cannot be reached" in refusal(generator)
    assert "cannot be reached" in generator.health()


def test_a_connection_lost_before_the_first_word_is_tried_again(server):
    def lost(handler):
        handler.drop()

    def lost_after_headers(handler):
        handler.begin()
        handler.drop()

    server.answers = [lost, lost_after_headers, says("It is <bo>.")]
    assert listen(remote(server)) == ["It is <bo>."]
    assert len(server.asked) == 3


@pytest.mark.parametrize("answer", [mute, mute_after_headers, mute_after_a_word])
def test_stopping_closes_the_connection_whatever_it_waits_for(server, answer):
    server.answers = [answer]
    stop = threading.Event()

    def end():
        server.reached.wait(10)
        time.sleep(0.5)
        stop.set()

    threading.Thread(target=end).start()
    assert listen(remote(server, model="llava"), stop=stop) == (["It is "] if answer is mute_after_a_word else [])
    assert stop.is_set()
    assert server.left.wait(5)


def test_closing_the_iterator_closes_the_connection(server):
    server.answers = [mute_after_a_word]
    answering = remote(server).stream(asked(), max_new_tokens=64, stop=threading.Event())
    assert next(answering) == TextDelta("It is ")
    answering.close()
    assert server.left.wait(5)


def test_stopping_ends_the_attempts_to_reach_a_server():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    assert listen(RemoteGenerator(f"http://127.0.0.1:{port}", model="llava"), stop=stop) == []
    assert time.monotonic() - began < 1


# -- the context -----------------------------------------------------------------------------------------------------

OVERFLOWS = [
    (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
    (400, "The decoder prompt (length 10127) is longer than the maximum model length of 8192."),
    (400, "The input (61709 tokens) is longer than the model's context length (40960 tokens)."),
    (400, "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it"),
    (500, "Context size has been exceeded."),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. Given: 1000"),
]


@pytest.mark.parametrize(("status", "message"), OVERFLOWS)
def test_a_conversation_that_is_too_long_forgets_its_oldest_exchange(llava, status, message):
    server, generator = llava
    turns = [Turn("First?", answer="One."), Turn("Second?", answer="Two."), Turn("Third?")]
    server.answers = [refuses(status, {"message": message}), says("Three", ".")]
    pieces = generator.stream(build_messages(turns, avatars={}, sees=True), max_new_tokens=64, stop=threading.Event())
    assert list(pieces) == [TextDelta("Three", dropped_turns=1), TextDelta(".")]
    contents = [[m["content"] for m in question["messages"][1:]] for question in server.asked]
    assert contents == [["First?", "One.", "Second?", "Two.", "Third?"], ["Second?", "Two.", "Third?"]]
    server.answers = [refuses(status, {"message": message})]
    assert "too long" in refusal(generator, build_messages(turns, avatars={}, sees=True))


def test_an_overflow_may_come_as_an_event(server):
    server.answers = [odd(json.dumps({"error": {"message": OVERFLOWS[3][1], "code": 400}})), says("Two.")]
    turns = [Turn("First?", answer="One."), Turn("Second?")]
    assert listen(remote(server), build_messages(turns, avatars={}, sees=True)) == ["Two."]


def test_what_a_model_does_not_take_is_asked_otherwise(server):
    def wants(name, message):
        return refuses(400, {"message": message, "param": name, "code": "unsupported_parameter"})

    server.answers = [
        wants("max_tokens", "Use 'max_completion_tokens' instead."),
        wants("temperature", "Only the default is supported."),
        refuses(400, {"message": "System role not supported"}),
        says("yes"),
    ]
    assert listen(remote(server)) == ["yes"]
    last = server.asked[-1]
    assert (last.get("max_tokens"), last["max_completion_tokens"], last.get("temperature")) == (None, 64, None)
    assert [m["role"] for m in last["messages"]] == ["user"]
    assert last["messages"][0]["content"].endswith("\nWho is it?")


# -- images ----------------------------------------------------------------------------------------------------------


def noise(seed, size) -> Photo:
    image = Image.frombytes("RGB", size, random.Random(seed).randbytes(3 * size[0] * size[1]))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=92)
    return read_photo(data.getvalue())


@pytest.fixture(scope="module")
def conversation():
    """Two concepts and three photos, all of noise: nothing that a JPEG could make small."""
    photos = [noise(seed, (640, 480)) for seed in range(3)]
    avatars = {name: noise(ord(name[0]), (480, 640)) for name in ("bo", "mia")}
    when = "2026-01-01T00:00:00+00:00"
    matches = []
    for name, avatar in avatars.items():
        view = View(avatar.sha256, avatar.width, avatar.height)
        concept = Concept(name, name, "dog", "", (view,), avatar.sha256, when, when)
        matches.append(Match(concept, "seen", 0.9, WHOLE, avatar.sha256, photos[0].sha256))
    turns = [Turn("Who?", (photos[0], photos[1]), tuple(matches), "They."), Turn("And here?", (photos[2],))]
    return build_messages(turns, avatars=avatars, sees=True)


def pictures(urls):
    for url in urls:
        kind, data = url.split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=("JPEG",)) as image:
            image.load()
            yield max(image.size)


def test_images_arrive_as_data_urls_within_the_budget_and_in_their_places(server, conversation):
    listen(remote(server, image_bytes=300_000), conversation)
    content = server.asked[0]["messages"][1]["content"]
    kinds = [part["type"] for part in content]
    wanted = [{"image": "image_url"}.get(part["type"], "text") for part in conversation[1]["content"]]
    assert kinds == wanted
    sent = [p["image_url"]["url"] for m in server.asked[0]["messages"] for p in m["content"] if "image_url" in p]
    assert sum(map(len, sent)) <= 300_000
    assert len(list(pictures(sent))) == 5


def test_photos_that_fit_travel_as_they_are_and_avatars_small(conversation):
    parts = [p for m in conversation for p in m["content"] if p["type"] == "image"]
    sent = images_within(conversation, 2**30)
    photos = [(url, part["image"]) for url, part in zip(sent, parts, strict=True) if not part["avatar"]]
    assert all(base64.b64decode(url.split(",")[1]) == photo.jpeg for url, photo in photos)
    assert list(pictures(sent)) == [512, 512, 640, 640, 640]


def test_avatars_shrink_first_and_the_last_photo_last(conversation):
    whole = sum(map(len, images_within(conversation, 2**30)))
    known = []
    for percent in (95, 50, 30, 5):
        budget = whole * percent // 100
        sent = images_within(conversation, budget)
        assert sent == images_within(conversation, budget)
        assert sum(map(len, sent)) <= budget
        known.append(tuple(pictures(sent)))
    for bo, mia, first, second, last in known:
        assert bo == mia <= first == second <= last
    assert known[0] == (256, 256, 640, 640, 640)
    assert known == sorted(known, reverse=True)
    assert images_within(conversation, 1000) is None


def test_images_that_never_fit_are_said_to_be_too_many(server, conversation):
    assert "PERSONAL_LLM_IMAGE_BYTES=1000" in refusal(remote(server, image_bytes=1000), conversation)
    assert server.asked == []


def test_older_photos_are_forgotten_where_they_do_not_fit(server, conversation):
    parts = [part for message in conversation for part in message["content"] if part["type"] == "image"]
    sides = [AVATAR_SIDES[-1]] * 2 + [EARLIER_SIDES[-1]] * 2 + [LAST_SIDES[-1]]
    least = sum(len(data_url(part["image"], side)) for part, side in zip(parts, sides, strict=True))
    listen(remote(server, image_bytes=least - 1), conversation)
    sent = [p for m in server.asked[0]["messages"] for p in m["content"] if "image_url" in p]
    assert len(sent) == 3
    assert len(server.asked[0]["messages"]) == 2


def test_a_budget_of_nothing_means_a_model_that_does_not_see(server):
    generator = remote(server, image_bytes=0)
    assert not generator.sees
    assert remote(server).sees
    assert listen(generator) == ["It is <bo>."]


# -- where things go -------------------------------------------------------------------------------------------------


def test_the_key_goes_into_one_header_and_nowhere_else(server, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(logging.root, "disabled", False)
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "personal"):
        caplog.set_level(logging.DEBUG, logger=name)
    server.answers = [
        refuses(401, {"message": f"the key {KEY} is wrong"}),
        refuses(500, f"no {KEY}", "text/plain"),
        cut,
        says("yes"),
    ]
    generator = remote(server)
    said = [refusal(generator) for _ in range(3)]
    listen(generator)
    said += [generator.health(), generator.description, repr(generator), caplog.text]
    assert "httpcore2" in caplog.text
    assert KEY not in "".join(said)
    assert all(headers["authorization"] == f"Bearer {KEY}" for headers in server.headers)
    others = [{k: v for k, v in headers.items() if k != "authorization"} for headers in server.headers]
    assert KEY not in json.dumps([others, server.asked])


def test_nothing_of_the_environment_or_the_machine_is_sent(server, monkeypatch):
    other = Server()
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "another-key")
    monkeypatch.setenv("OPENAI_BASE_URL", other.url)
    monkeypatch.setenv("OPENAI_ORG_ID", "another-org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "another-project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer another-key\nX-Other: another-thing")
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, other.url)
    generator = remote(server, key="")
    assert listen(generator) == ["It is <bo>."]
    assert "answers" in generator.health()
    assert other.asked == other.headers == []
    sent = json.dumps(server.headers).lower()
    assert "another" not in sent
    assert "stainless" not in sent
    assert all(headers["authorization"] == "Bearer none" for headers in server.headers)
    other.shutdown()
    other.server_close()


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_an_address_may_lack_its_ending(server, path):
    assert listen(RemoteGenerator(server.url + path, timeout_s=10)) == ["It is <bo>."]


@pytest.mark.parametrize(
    ("url", "open_to_others"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("https://models.example/v1", False),
        ("http://models.example/v1", True),
        ("http://192.168.0.7:8000", True),
    ],
)
def test_the_description_says_where_photos_travel_unencrypted(url, open_to_others):
    generator = RemoteGenerator(url, key=KEY, model="llava")
    assert ("photos travel unencrypted" in generator.description) is open_to_others
    assert generator.description.startswith(f"llava on {url} (not asked yet")


def test_health_says_how_fast_and_with_which_models(server):
    said = remote(server).health()
    assert said.startswith(f"{server.url} answers in ")
    assert said.endswith(" ms and offers llava, qwen.")
    assert "PERSONAL_LLM_MODEL" in remote(server, model="gone").health()
    server.models = {"data": [{"id": "\x1b[31m" + "x" * 9000}]}
    assert remote(server).health().isprintable()
    assert len(remote(server).health()) < 500
    server.models = refuses(401, {"message": "no"})
    assert "PERSONAL_LLM_KEY" in remote(server).health()


def test_a_generator_that_is_dropped_leaves_no_thread(server):
    before = set(threading.enumerate())
    generator = remote(server)
    listen(generator)
    (thread,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "remote")
    del generator
    thread.join(5)
    assert not thread.is_alive()
