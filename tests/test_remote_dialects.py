"""What a model server does not take is asked otherwise, however it words its refusal, and that is remembered."""

from __future__ import annotations

import json

import pytest

from personal.concepts import WHOLE, Concept, Match, Turn, View
from personal.generate.prompt import build_messages
from tests.test_remote import Server, listen, noise, refusal, refuses, remote, says, warm  # noqa: F401


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


def picky(takes, status, message, **more):
    """Refuse what is not taken, every time, and answer what is; `takes` is asked with the request's body."""

    def answer(handler):
        if takes(handler.body):
            says("It is <bo>.")(handler)
        else:
            refuses(status, {"message": message, **more} if isinstance(message, str) else message)(handler)

    return answer


def images(body) -> list[str]:
    return [p["image_url"]["url"] for m in body["messages"] for p in m["content"] if "image_url" in p]


def texts(body) -> str:
    contents = [m["content"] for m in body["messages"]]
    return "".join(c if isinstance(c, str) else "".join(p.get("text", "") for p in c) for c in contents)


def answered_and_remembered(server, generator, messages=None) -> dict:
    """Ask twice; return what was asked last, which the server took at once."""
    assert "".join(listen(generator, messages)) == "It is <bo>."
    tries = len(server.asked)
    assert tries > 1
    assert "".join(listen(generator, messages)) == "It is <bo>."
    assert len(server.asked) == tries + 1
    return server.asked[-1]


# -- words -----------------------------------------------------------------------------------------------------------


def no_system(body):
    return body["messages"][0]["role"] != "system"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "System role not supported"),
        (500, "Jinja Exception: System role not supported"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (422, "Template error: Only user and assistant roles are supported!"),
        (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        (400, "'messages[0].role' : value is not one of the allowed values ['user', 'assistant']"),
        (400, 'messages: Unexpected role "system".'),
        (422, "This model has no system prompt."),
        (400, [{"loc": ["body", "messages", 0, "role"], "msg": "unexpected value; permitted: 'user', 'assistant'"}]),
        (400, "模型不支持系统消息"),
        (400, "the first message must be from the user"),
        (400, "instructions are not allowed for this model"),
    ],
)
def test_a_refused_system_role_is_asked_without_however_it_is_worded(server, status, message):
    server.answers = [picky(no_system, status, message)]
    last = answered_and_remembered(server, remote(server))
    assert [m["role"] for m in last["messages"]] == ["user"]
    assert "Who is it?" in texts(last)
    assert "You answer questions" in texts(last)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            400,
            "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported.",
        ),
        (422, "Input validation error: `temperature` must be strictly positive"),
        (400, "temperature: Extra inputs are not permitted"),
        (400, "Sampling parameters cannot be set for this model."),
        (500, "temperature (=0.0) has to be a strictly positive float"),
        (400, "Temp must be in (0, 2]"),
        (422, "La température n'est pas prise en charge"),
        (400, "greedy decoding cannot be asked for"),
    ],
)
def test_a_refused_temperature_is_left_out_however_it_is_worded(server, status, message):
    server.answers = [picky(lambda body: "temperature" not in body, status, message)]
    assert "temperature" not in answered_and_remembered(server, remote(server))


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "max_tokens is deprecated",
        "Unrecognized request argument supplied: max_tokens",
        "body.max_tokens: extra fields not permitted",
    ],
)
def test_the_longest_answer_is_said_under_the_name_that_the_server_knows(server, message):
    server.answers = [picky(lambda body: "max_tokens" not in body, 400, message)]
    assert answered_and_remembered(server, remote(server))["max_completion_tokens"] == 64
    server.asked.clear()
    neither = picky(lambda body: not {"max_tokens", "max_completion_tokens"} & set(body), 400, f"{message} (tokens)")
    server.answers = [neither]
    other = picky(lambda body: "max_completion_tokens" not in body, 400, "max_completion_tokens is not known")

    def answer(handler):
        (neither if "max_tokens" in handler.body else other)(handler)

    server.answers = [answer]
    assert "max_completion_tokens" not in answered_and_remembered(server, remote(server))


@pytest.mark.parametrize("message", ["Streaming is not supported.", "stream must be false", "Extra field: stream"])
def test_a_server_that_refuses_to_stream_is_asked_for_the_whole_answer(server, message):
    whole = json.dumps({"choices": [{"message": {"content": "It is <bo>."}, "finish_reason": "stop"}]})

    def answer(handler):
        if handler.body.get("stream"):
            refuses(400, {"message": message})(handler)
        else:
            handler.reply(200, whole)

    server.answers = [answer]
    assert not answered_and_remembered(server, remote(server)).get("stream")


def test_several_refusals_one_after_the_other_are_all_remembered(server):
    def answer(handler):
        body = handler.body
        if "temperature" in body:
            refuses(400, {"message": "no temperature, please"})(handler)
        elif "max_tokens" in body:
            refuses(422, {"message": "max_tokens is unknown"})(handler)
        elif body["messages"][0]["role"] == "system":
            refuses(500, {"message": "roles must alternate"})(handler)
        else:
            says("It is <bo>.")(handler)

    server.answers = [answer]
    answered_and_remembered(server, remote(server))
    assert len(server.asked) == 5


@pytest.mark.parametrize("answer", ["event", "body"])
def test_a_refusal_within_a_stream_is_asked_otherwise_too(server, answer):
    error = json.dumps({"error": {"message": "System role not supported", "code": 400}})

    def refuse(handler):
        if no_system(handler.body):
            says("It is <bo>.")(handler)
        elif answer == "event":
            handler.begin()
            handler.event(error)
            handler.end()
        else:
            handler.reply(200, error)

    server.answers = [refuse]
    answered_and_remembered(server, remote(server))


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refusal_that_is_about_something_else_is_not_tried_around(server, status):
    server.answers = [refuses(status, {"message": "your role in this system, and its temperature, max_tokens: no"})]
    refusal(remote(server))
    assert len(server.asked) == 1


def test_what_no_change_helps_against_ends_with_the_refusal(server):
    server.answers = [refuses(400, {"message": "temperature, max_tokens, stream, system: I take none of these"})]
    assert "I take none of these" in refusal(remote(server))
    assert len(server.asked) == 6


def test_another_choice_of_the_same_server_begins_anew(server):
    generator = remote(server)
    server.answers = [refuses(400, {"message": "no temperature"}), says("It is <bo>.")]
    listen(generator)
    assert "temperature" not in server.asked[-1]
    list(generator.load())
    listen(generator)
    assert server.asked[-1]["temperature"] == 0.0


# -- images ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def album():
    """Two concepts, each with its avatar, and three photos, the last of which is asked about."""
    photos = [noise(seed, (64 + seed, 48)) for seed in range(3)]
    avatars = {name: noise(ord(name[0]), (48, 64)) for name in ("bo", "mia")}
    when = "2026-01-01T00:00:00+00:00"
    matches = []
    for name, avatar in avatars.items():
        view = View(avatar.sha256, avatar.width, avatar.height)
        concept = Concept(name, name, "dog", f"Mark of {name}.", (view,), avatar.sha256, when, when)
        matches.append(Match(concept, "seen", 0.9, WHOLE, avatar.sha256, photos[0].sha256))
    turns = [Turn("Who?", (photos[0], photos[1]), tuple(matches), "They."), Turn("And here?", (photos[2],))]
    return build_messages(turns, avatars=avatars, sees=True)


LIMITS = [
    (400, "At most {n} image(s) may be provided in one request."),
    (400, "At most {n} image(s) may be provided in one prompt."),
    (500, "You set or defaulted to '{{\"image\": {n}}}' in `--limit-mm-per-prompt`, but passed 5 image items."),
    (
        400,
        "You set image={n} (or defaulted to 1) in `--limit-mm-per-prompt`, but passed 5 items in the same prompt.",
    ),
    (400, "Too many images provided. This model supports up to {n} images"),
    (422, "Too many images in request. Maximum is {n}, got 5."),
    (413, "Exceeded limit on max images per request: {n}"),
    (400, "The number of images exceeds what the model takes."),
    (400, "too many images"),
    (500, "multiple images are not supported in this quantity"),
    (400, "Please reduce the image count."),
    (400, "llava-1.5-7b: more than {n} images were sent"),
]


@pytest.mark.parametrize(("status", "message"), LIMITS)
@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_a_server_that_takes_fewer_images_is_asked_with_as_many_as_it_takes(server, album, status, message, most):
    server.answers = [picky(lambda body: len(images(body)) <= most, status, message.format(n=most))]
    everything = [p["image"] for m in album for p in m["content"] if p["type"] == "image"]
    last = answered_and_remembered(server, remote(server), album)
    sent = images(last)
    assert len(sent) == most
    whole = images_of(everything)
    # avatars become text first, the least like before the best; then older photos; the asked one never
    wanted = {4: [0, 2, 3, 4], 3: [2, 3, 4], 2: [3, 4], 1: [4]}[most]
    assert sent == [whole[at] for at in wanted]
    assert "1. " in texts(last)
    assert "Name: <bo>, Info: dog. Mark of bo." in texts(last)
    assert "Name: <mia>, Info: dog. Mark of mia." in texts(last)
    assert texts(last).count("photo that is not sent") == max(0, 3 - most)


def images_of(photos):
    import base64

    from personal.crops import data_url

    small = [data_url(photo, 512) for photo in photos[:2]]
    urls = ["data:image/jpeg;base64," + base64.b64encode(photo.jpeg).decode() for photo in photos]
    return [min(a, b, key=len) for a, b in zip(small, urls[:2], strict=True)] + urls[2:]


@pytest.mark.parametrize("message", ["Only one image is supported.", "supports a single image", "at most one image"])
def test_one_image_in_words_is_understood(server, album, message):
    server.answers = [picky(lambda body: len(images(body)) <= 1, 400, message)]
    generator = remote(server)
    answered_and_remembered(server, generator, album)
    assert len(server.asked) == 3


def test_an_avatar_that_becomes_text_leaves_its_line_as_it_is_for_a_model_that_does_not_see(server, album):
    server.answers = [picky(lambda body: len(images(body)) <= 3, 400, "At most 3 image(s)")]
    last = answered_and_remembered(server, remote(server), album)
    assert "[1. Name: <bo>, Info: dog. Mark of bo.\n2. Name: <mia>, Info: dog. Mark of mia.]\n" in texts(last)


@pytest.mark.parametrize(
    "message", ["At most 0 image(s) may be provided in one request.", "image input is not supported (mmproj)"]
)
def test_a_server_that_takes_no_image_at_all_is_told_apart(server, album, message):
    server.answers = [refuses(400, {"message": message})]
    assert "PERSONAL_LLM_IMAGE_BYTES=0" in refusal(remote(server), album)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [(413, "Payload Too Large"), (400, "image exceeds 5 MB maximum"), (400, "The image size is too large.")],
)
def test_images_that_are_too_large_together_are_sent_smaller(server, status, message):
    album = build_messages([Turn("Who?", (noise(1, (640, 480)),))], avatars={}, sees=True)
    server.answers = [picky(lambda body: len(json.dumps(body)) < 150_000, status, message)]
    last = answered_and_remembered(server, remote(server), album)
    assert len(images(last)) == 1
