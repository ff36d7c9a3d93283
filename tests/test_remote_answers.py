"""What model servers really send: reasoning, end tokens, empty answers, and bodies that bend the protocol."""

from __future__ import annotations

import json
import threading
import time

import pytest

from personal.concepts import Answer, TextDelta, Turn
from personal.errors import ModelError
from personal.generate import answer_stream
from personal.generate.events import LARGEST
from personal.generate.prompt import build_messages
from personal.generate.switching import SwitchableGenerator
from tests.conftest import open_assistant
from tests.test_remote import Server, chunk, listen, refusal, refuses, remote, says, warm  # noqa: F401


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


def answered(generator, **options) -> str:
    return "".join(listen(generator, **options))


def body(data: bytes, kind="text/event-stream"):
    """Send a body as it is, and close the connection after it."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def line(value) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode()


# -- reasoning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["Hm, a dog or", " a cat?</th", "ink>\n\n", "It is <bo>."],
        ["a dog?◁/think▷It is <bo>."],
        ["a dog?[/THINK]", "It is <bo>."],
        ["thought\na dog?", "<channel|>It is <bo>."],
        ["<|channel|>ana", "lysis<|message|>a dog?<|end|><|start|>assistant<|channel|>final<|mess", "age|>It is <bo>."],
        ["◁think▷a dog?", "◁/think▷It is <bo>."],
        ["<think>a dog?</think><answer>It is", " <bo>.</answer>"],
        ["<think>a dog?</think>", "<|begin_of_box|>It is <bo>.<|end_of_box|>"],
        ["[THINK]a dog?[/THINK]It is", " <bo>."],
        ["It is <bo>.<|im", "_end|>"],
        ["It is <bo>.", "</s>"],
        ["It is <bo>.<|eot_id|>\n"],
        ["It is <bo>.[/INST]"],
        ["<Think>a dog?</Th", "ink>It is <bo>."],
        ["<THINKING >a dog?</THINKING >", "It is <bo>."],
        ["a dog?</thinking>", "It is <bo>."],
        ["analysiswe see a dog.assistant", "finalIt is <bo>."],
        ["<|start_of_role|>assistant<|end_of_role|>It is", " <bo>.<|end_of_text|>"],
        ["<answer>It is <bo>.", "</answer>"],
    ],
)
def test_thoughts_and_end_tokens_are_hidden_in_whatever_markers(server, texts):
    server.answers = [says(*texts)]
    assert answered(remote(server)) == "It is <bo>."


@pytest.mark.parametrize(
    "message",
    [
        {"content": ["It is ", "<bo>."]},
        {"content": [{"type": "text", "text": "It is "}, "<bo>."], "reasoning": {"content": "a dog?"}},
    ],
)
def test_an_answer_in_parts_that_are_plain_texts_is_read(server, message):
    server.answers = [body(line(chunk(**message)) + b"\n\n" + line(chunk("stop")) + b"\n\ndata: [DONE]\n\n")]
    assert answered(remote(server)) == "It is <bo>."


@pytest.mark.parametrize(
    ("thought", "end", "said"),
    [
        ({"reasoning": {"content": "a dog?"}}, "stop", "only thought"),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "a dog?"}]}, "stop", "only thought"),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "a dog?"}]}, "stop", "only thought"),
        ({"reasoning_content": "a dog?"}, "MAX_TOKENS", "used all tokens"),
        ({"content": ""}, "model_length", "used all tokens"),
        ({"content": ""}, "SAFETY", "content filter"),
        ({"content": ""}, "sensitive", "content filter"),
        ({"content": "\u200e\u200f"}, "stop", "blanks"),
        ({"content": "<answer></answer>"}, "stop", "blanks"),
    ],
)
def test_why_nothing_is_visible_is_told_in_whatever_words_the_server_has(server, thought, end, said):
    server.answers = [body(line(chunk(**thought)) + b"\n\n" + line(chunk(end)) + b"\n\ndata: [DONE]\n\n")]
    assert said in refusal(remote(server))


@pytest.mark.parametrize("end", [b"data:   [DONE]  ", b'data: "[DONE]"', b"data: [done]", b"\0\0\ndata: [DONE]"])
def test_done_is_an_end_however_it_is_written(server, end):
    server.answers = [body(line(chunk(content="It is <bo>.")) + b"\n\n" + end + b"\n\n")]
    assert answered(remote(server)) == "It is <bo>."


@pytest.mark.parametrize(
    "error",
    [
        b'event: error\ndata: {"message": "too hot"}',
        b'error: {"code": 500, "message": "too hot"}',
        b'data: {"code": 500, "msg": "too hot"}',
        b'data: {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "too hot"}}]}',
    ],
)
def test_an_error_after_some_text_is_said_and_the_text_stays(server, error):
    server.answers = [body(line(chunk(content="It is <bo>.")) + b"\n\n" + error + b"\n\n")]
    heard: list[str] = []
    assert "too hot" in refusal(remote(server), heard=heard)
    assert "".join(heard) == "It is <bo>."


def test_an_answer_that_ends_within_a_character_keeps_what_came(server):
    sent = line(chunk(content="It is <bo>.")) + b"\n\n" + line(chunk(content="café"))
    server.answers = [body(sent[: sent.index(b"\xc3") + 1])]
    heard: list[str] = []
    assert "broke off" in refusal(remote(server), heard=heard)
    assert "".join(heard) == "It is <bo>."


def test_a_server_whose_thoughts_have_no_opening_tag_is_known_after_its_first_answer(server):
    go = threading.Event()

    def answer(handler):
        handler.begin()
        handler.event(chunk(content="a dog?"))
        go.wait(8)
        handler.event(chunk(content="</think>It is <bo>."))
        handler.event(chunk("stop"))
        handler.end()

    server.answers = [says("a cat?</think>It is <mia>."), answer]
    generator = remote(server)
    assert answered(generator) == "It is <mia>."
    heard = []
    listening = threading.Thread(target=listen, args=(generator, None, heard))
    listening.start()
    time.sleep(2 * answer_stream.HOLD_S)
    assert heard == []
    go.set()
    listening.join(8)
    assert "".join(heard) == "It is <bo>."
    server.answers = [says("It is <bo>, at once.")]
    assert answered(generator) == "It is <bo>, at once."


def test_thoughts_that_were_shown_are_taken_back_when_they_turn_out_to_be_thoughts(server, tmp_path):
    slow = threading.Event()

    def answer(handler):
        handler.begin()
        handler.event(chunk(content="a dog?"))
        slow.wait(8)
        handler.event(chunk(content=" yes</think>It is <bo>."))
        handler.event(chunk("stop"))
        handler.end()

    server.answers = [answer]
    with open_assistant(tmp_path / "data", SwitchableGenerator(remote(server))) as assistant:
        events = []
        for event in assistant.answer("local", [Turn("Who?")]):
            events.append(event)
            if isinstance(event, TextDelta):
                slow.set()
    pieces = [event for event in events if isinstance(event, TextDelta)]
    assert [piece.text for piece in pieces if piece.retracts] == [""]
    assert events[-1].text == "It is <bo>."


def test_the_first_answer_of_a_server_is_held_back_for_a_moment_only(server):
    go = threading.Event()

    def answer(handler):
        handler.begin()
        handler.event(chunk(content="It is "))
        go.wait(8)
        handler.event(chunk(content="<bo>."))
        handler.event(chunk("stop"))
        handler.end()

    server.answers = [answer]
    generator = remote(server, model="llava")
    for most_s in (
        answer_stream.HOLD_S + 2,
        answer_stream.HOLD_S,
    ):  # the second answer of the same server is not held back at all
        go.clear()
        began = time.monotonic()
        answering = generator.stream(
            build_messages([Turn("Who?")], avatars={}, sees=True), max_new_tokens=9, stop=threading.Event()
        )
        assert next(answering).text == "It is "
        assert time.monotonic() - began < most_s
        go.set()
        assert [piece.text for piece in answering] == ["<bo>."]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text", "thinking"])
def test_thoughts_in_a_field_of_their_own_are_no_answer(server, field):
    server.answers = [says("It is <bo>.", before=[chunk(**{field: "a dog?"})])]
    assert answered(remote(server)) == "It is <bo>."


def test_an_answer_in_parts_is_read_without_its_thoughts(server):
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "a dog?"}]},
        {"type": "text", "text": "It is "},
        {"type": "output_text", "text": "<bo>"},
    ]
    server.answers = [says(parts, [{"type": "text", "text": "."}])]
    assert answered(remote(server)) == "It is <bo>."


# -- nothing visible -------------------------------------------------------------------------------------------------


def call(**more):
    function = {"name": "find_dog", "arguments": "{}"}
    return chunk(tool_calls=[{"index": 0, "id": "1", "type": "function", "function": function}], **more)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(), "without a word"),
        (says(""), "without a word"),
        (says(" ", "\n\n", "\t \u200b"), "blanks"),
        (says("<|im_end|>"), "blanks"),
        (says(before=[chunk(reasoning_content="a dog?")]), "only thought"),
        (says(before=[chunk(reasoning="a dog?")]), "only thought"),
        (says([{"type": "thinking", "thinking": "a dog?"}]), "only thought"),
        (says("<think>a dog?</think>"), "only thought"),
        (says("<think>a dog?</think>\n \n"), "only thought"),
        (says("<think>a dog?"), "only thought"),
        (says("a dog?</think>"), "only thought"),
        (says("<|channel|>analysis<|message|>a dog?<|end|>"), "only thought"),
        (says("◁think▷a dog?◁/think▷<|im_end|>"), "only thought"),
        (says(before=[call()], end="tool_calls"), "find_dog"),
        (says(before=[call()]), "find_dog"),
        (says("\n", before=[call()]), "find_dog"),
        (says(before=[chunk(function_call={"name": "find_dog", "arguments": ""})]), "find_dog"),
        (says(before=[chunk(refusal="I cannot "), chunk(refusal="say who that is.")]), "I cannot say who that is."),
        (says([{"type": "refusal", "refusal": "I cannot say."}]), "I cannot say."),
        (says(end="content_filter"), "content filter"),
        (says(" ", end="content_filter"), "content filter"),
        (says(end="length"), "PERSONAL_MAX_NEW_TOKENS"),
        (says("<think>a dog?", end="length"), "PERSONAL_MAX_NEW_TOKENS"),
        (says(before=[chunk(reasoning="a dog?")], end="length"), "thinking"),
    ],
)
def test_an_answer_without_anything_visible_says_which_kind_it_is(server, answer, said):
    server.answers = [answer]
    heard = []
    assert said in refusal(remote(server), heard=heard)
    assert heard == []
    assert len(server.asked) == 1


def test_an_answer_beside_a_tool_call_or_a_refusal_counts(server):
    server.answers = [says("It is <bo>.", before=[call(), chunk(refusal=None)])]
    assert answered(remote(server)) == "It is <bo>."


def test_one_silent_answer_among_those_of_an_evaluation_is_empty_and_logged(server, caplog):
    server.answers = [says("It is <bo>."), says(before=[chunk(refusal="I cannot say.")])]
    asked = [build_messages([Turn("Who?")], avatars={}, sees=True)] * 3
    assert sorted(remote(server, model="llava").answers(asked, max_new_tokens=9)) == ["", "", "It is <bo>."]
    assert "One question of many counts as not answered." in caplog.text


def test_a_stopped_answer_that_is_still_thinking_is_no_error(server):
    stop = threading.Event()

    def answer(handler):
        handler.begin()
        handler.event(chunk(reasoning="a dog?"))
        stop.set()
        handler.await_leaving()

    server.answers = [answer]
    assert answered(remote(server), stop=stop) == ""


# -- bodies ----------------------------------------------------------------------------------------------------------

HELLO = [chunk(role="assistant", content=""), chunk(content="It is "), chunk(content="<bo>."), chunk("stop")]


def test_done_without_a_reason_is_an_end(server):
    def answer(handler):
        handler.begin()
        handler.event(chunk(content="It is <bo>."))
        handler.end()

    server.answers = [answer]
    assert answered(remote(server)) == "It is <bo>."


@pytest.mark.parametrize("reason", ["null", "None", ""])
def test_a_reason_that_says_nothing_on_every_chunk_is_none(server, reason):
    server.answers = [
        body(b"\n\n".join([line(chunk(reason, content="It is ")), line(chunk("stop", content="<bo>.")), b""]))
    ]
    assert answered(remote(server)) == "It is <bo>."
    server.answers = [body(line(chunk(reason, content="It is ")) + b"\n\n")]
    assert "broke off" in refusal(remote(server))


@pytest.mark.parametrize(
    "data",
    [
        b"\n\n".join([*map(line, HELLO), b"data: [DONE]", b""]),
        b"\r\n\r\n".join([*map(line, HELLO), b"data: [DONE]", b""]),
        b"\r\r".join([*map(line, HELLO), b"data: [DONE]", b""]),
        b"\n\n".join([*map(line, HELLO), b""]),
        b"\n\n".join(map(line, HELLO)),
        b"\n".join(map(line, HELLO)),
        b"\n\n".join([line(value).replace(b"data: ", b"data:") for value in HELLO]),
        b"\n\n".join([line(value).replace(b"data: ", b"data:  ") for value in HELLO]),
        b"\xef\xbb\xbf" + b"\n\n".join(map(line, HELLO)),
        b": ping\n\nretry: 5\n\n" + b"\n\n: ping\n".join(map(line, HELLO)),
        b"event: message\nid: 7\n" + b"\n\nevent: message\n".join(map(line, HELLO)),
        b"\r\n\r\n".join(b"data: " + json.dumps(v, indent=1).replace("\n", "\r\ndata: ").encode() for v in HELLO),
        b"\n".join(json.dumps(value).encode() for value in HELLO),
    ],
    ids=[
        *("usual", "crlf", "cr", "no done", "no last blank", "no blanks", "no space", "spaces", "bom"),
        *("comments", "fields", "lines", "ndjson"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream_is_read_however_its_lines_are_written(server, data, size):
    def answer(handler):
        handler.begin()
        for at in range(0, len(data), size):
            handler.raw(data[at : at + size])
        handler.wfile.write(b"0\r\n\r\n")

    server.answers = [answer]
    assert answered(remote(server)) == "It is <bo>."


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
@pytest.mark.parametrize("reason", ["stop", None])
def test_a_server_that_ignores_that_it_should_stream_is_read(server, indent, kind, reason):
    message = {"role": "assistant", "content": "<think>a dog?</think>It is <bo>.", "reasoning_content": "hm"}
    whole = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}
    server.answers = [body(json.dumps(whole, indent=indent).encode(), kind)]
    assert answered(remote(server)) == "It is <bo>."


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": None, "refusal": "I cannot say."}, "I cannot say."),
        ({"content": None, "tool_calls": [{"function": {"name": "find_dog"}}]}, "find_dog"),
        ({"content": "", "reasoning_content": "a dog?"}, "only thought"),
        ({"content": "  "}, "blanks"),
    ],
)
def test_an_empty_answer_that_does_not_stream_says_which_kind_it_is(server, message, said):
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    server.answers = [body(json.dumps(whole).encode(), "application/json")]
    assert said in refusal(remote(server))


@pytest.mark.parametrize("error", [{"message": "out of memory", "code": 500}, "out of memory"])
def test_an_error_in_place_of_the_answer_is_said(server, error):
    for data in (line({"error": error}), json.dumps({"error": error}).encode()):
        server.answers = [body(data + b"\n\n")]
        assert "out of memory" in refusal(remote(server))
    data = line({"object": "error", "message": "out of memory", "code": 500})
    server.answers = [body(b"event: error\n" + data + b"\n\n")]
    assert "out of memory" in refusal(remote(server))


def test_one_invalid_byte_does_not_lose_the_answer(server):
    text = "Das ist <bo>, ein süßer Hund."
    data = b"\n\n".join([line(chunk(content=text)), line(chunk("stop")), b"data: [DONE]", b""])
    at = data.index("ü".encode())
    server.answers = [body(data[:at] + b"\xff" + data[at + 2 :])]
    assert answered(remote(server)) == text.replace("ü", "\ufffd")
    server.answers = [body(data.replace("ü".encode(), "ü".encode("latin-1")))]
    assert answered(remote(server)) == text.replace("ü", "\ufffd")


def test_one_damaged_event_does_not_lose_the_others(server):
    data = b"\n\n".join([*map(line, HELLO[:2]), b'data: {"choices": \xff', *map(line, HELLO[2:]), b""])
    server.answers = [body(data)]
    assert answered(remote(server)) == "It is <bo>."


def test_a_character_that_is_spread_over_chunks_of_the_body_is_whole(server):
    data = b"\n\n".join([line(chunk(content="süß 🐕 犬")), line(chunk("stop")), b""])

    def answer(handler):
        handler.begin()
        for byte in data:
            handler.raw(bytes([byte]))
        handler.wfile.write(b"0\r\n\r\n")

    server.answers = [answer]
    assert answered(remote(server)) == "süß 🐕 犬"


def test_an_answer_whose_connection_stays_open_after_its_end_is_whole(server):
    def answer(handler):
        handler.begin()
        for value in HELLO:
            handler.event(value)
        handler.await_leaving()

    server.answers = [answer]
    began = time.monotonic()
    assert answered(remote(server)) == "It is <bo>."
    assert time.monotonic() - began < 8
    assert server.left.wait(5)


def test_a_line_without_an_end_is_not_read_for_ever(server):
    def answer(handler):
        handler.begin()
        for _ in range(3 * LARGEST // 2**20):
            handler.raw(b"data: " + b"x" * 2**20)

    server.answers = [answer]
    assert "PERSONAL_LLM_URL" in refusal(remote(server, timeout_s=30.0))


def test_a_server_that_lists_no_models_answers_with_the_one_wished_for(server):
    for status in (404, 405, 501):
        server.models = refuses(status)
        list(remote(server, model="qwen").load())


def test_the_assistant_says_why_an_answer_is_empty(server, tmp_path):
    server.answers = [says(before=[chunk(refusal="I cannot say who that is.")])]
    with open_assistant(tmp_path / "data", SwitchableGenerator(remote(server))) as assistant:
        with pytest.raises(ModelError, match="I cannot say who that is"):
            list(assistant.answer("local", [Turn("Who?")]))
        server.answers = [says("It is <bo>.")]
        assert isinstance(list(assistant.answer("local", [Turn("Who?")]))[-1], Answer)
