"""Every family on offer goes the real way: processor, template, four bits, pictures among words, a second turn."""

from __future__ import annotations

import io
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from personal.concepts import WHOLE, Concept, Match, Photo, TextDelta, Turn, View
from personal.errors import ModelError
from personal.generate import budget, prompt
from personal.generate.local import LocalGenerator
from personal.images import read_photo
from personal.messages import Message, image_part
from tests.families import FAMILIES

WHEN = "2026-01-01T00:00:00+00:00"
NO_SYSTEM = "{% for m in messages if m.role == 'system' %}{{ raise_exception('no system role here') }}{% endfor %}"
SEEING = [name for name, family in FAMILIES.items() if family.image]
REFUSED = {"internvl3.5": {"<IMG_CONTEXT>", "<video>"}}
"""Tokens that a processor counts before they are escaped, and refuses; `escape_control_tokens` lets none through."""
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def photo(seed: int, size: tuple[int, int]) -> Photo:
    """A photo of coloured squares, another for every seed."""
    squares = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(squares).resize(size, Image.Resampling.NEAREST).save(stream, "PNG")
    return read_photo(stream.getvalue())


DOG, CAT, PARK, SEA = (
    photo(seed, size) for seed, size in ((1, (64, 64)), (2, (96, 64)), (3, (192, 128)), (7, (128, 128)))
)


def met(name: str, info: str, avatar: Photo) -> Match:
    view = View(avatar.sha256, avatar.width, avatar.height)
    concept = Concept(name, name, "dog", info, (view,), avatar.sha256, WHEN, WHEN)
    return Match(concept, "seen", 0.9, WHOLE, avatar.sha256, PARK.sha256)


BO, MOCHI = met("bo", "A dog.", DOG), met("mochi", "A cat.", CAT)
FIRST = Turn("What is <bo> doing?", (PARK,), (BO, MOCHI))
SECOND = Turn("And what colour is <mochi>?", (), (Match(MOCHI.concept, "named"),))


def laid_out(generator: LocalGenerator, *turns: Turn, **exchanged: Photo) -> list[Message]:
    avatars = {"bo": DOG, "mochi": CAT, **exchanged}
    return prompt.build_messages(turns, avatars=avatars, sees=generator.sees)


def ask(generator: LocalGenerator, *turns: Turn, tokens: int = 8, **exchanged: Photo) -> str:
    messages = laid_out(generator, *turns, **exchanged)
    return "".join(piece.text for piece in pieces(generator, messages, tokens))


def pieces(generator: LocalGenerator, messages: list[Message], tokens: int = 8) -> list[TextDelta]:
    events = generator.stream(messages, max_new_tokens=tokens, stop=threading.Event())
    return [event for event in events if isinstance(event, TextDelta)]


def ids(generator: LocalGenerator, messages: list[Message]) -> list[int]:
    return [int(token) for token in generator.loaded.prompts.encode(messages)["input_ids"][0]]


def words(generator: LocalGenerator):
    return generator.loaded.prompts.tokenizer


def spoken(generator: LocalGenerator) -> list[torch.Tensor]:
    """Note what the head says of every token from now on."""
    logits: list[torch.Tensor] = []
    head = generator.loaded.model.get_output_embeddings()
    head.register_forward_hook(lambda _, __, said: logits.append(said.detach().float().reshape(-1, said.shape[-1])[-1]))
    return logits


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A checkpoint of every family."""
    made = {name: tmp_path_factory.mktemp(name) for name in FAMILIES}
    for name, folder in made.items():
        FAMILIES[name].build(folder)
    return made


@pytest.fixture
def opened(folders):
    """Open a family's checkpoint, in 32 bits or as settings say."""

    def open_it(name: str, bits: str) -> LocalGenerator:
        generator = LocalGenerator(
            str(folders[name]), device="cpu", quantization="none" if bits == "fp32" else bits, name=name
        )
        list(generator.load())
        if bits == "fp32":
            generator.loaded.model.float()
        return generator

    return open_it


@pytest.fixture(scope="module")
def generators(folders):
    """The families in 16 bits, for tests that leave no trace."""
    return {name: LocalGenerator(str(folders[name]), quantization="none", name=name) for name in FAMILIES}


@pytest.fixture(params=FAMILIES)
def generator(generators, request):
    """A family, loaded."""
    list(generators[request.param].load())
    return generators[request.param]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_checkpoint_is_written_the_same_every_time(folders, tmp_path, name):
    FAMILIES[name].build(tmp_path)
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / file).read_bytes() == (folders[name] / file).read_bytes()


@pytest.mark.parametrize("name", SEEING)
@pytest.mark.parametrize("bits", ["4bit", "nf4"])
def test_in_four_bits_three_pictures_among_words_are_read_and_the_answer_streams(opened, name, bits):
    generator = opened(name, bits)
    assert "4 bits" in generator.description
    said = pieces(generator, laid_out(generator, FIRST))
    assert sum(piece.tokens for piece in said) == 8
    assert len(said) > 4
    assert "".join(piece.text for piece in said) == ask(generator, FIRST)


@pytest.mark.parametrize("name", SEEING)
def test_an_answer_hangs_on_the_photo_and_on_the_avatars(opened, name):
    generator = opened(name, "fp32")
    others = [photo(seed, (64, 64)) for seed in range(20, 24)]
    assert len({ask(generator, replace(FIRST, photos=(other,))) for other in (PARK, SEA, *others)}) > 1
    answers = {ask(generator, FIRST, bo=other) for other in (DOG, *others)}
    assert len(answers) > 1


@pytest.mark.parametrize("name", SEEING)
def test_what_looks_and_what_joins_stay_in_sixteen_bits(opened, name):
    import bitsandbytes

    model = opened(name, "nf4").loaded.model
    four_bit = {n for n, layer in model.named_modules() if isinstance(layer, bitsandbytes.nn.Linear4bit)}
    language = next(n for n, layer in model.named_modules() if layer is model.get_decoder())
    assert four_bit
    assert {n for n in four_bit if not n.startswith(f"{language}.layers.")} <= {
        f"{language}.per_layer_model_projection"  # Gemma's, a part of the language model
    }


@pytest.mark.parametrize("name", SEEING)
def test_the_pictures_stand_where_the_prompt_puts_them(generators, name):
    generator = generators[name]
    list(generator.load())
    image = words(generator).convert_tokens_to_ids(FAMILIES[name].image)
    tokens = ids(generator, laid_out(generator, FIRST))
    text = words(generator).decode(tokens)
    ends = [text.index(mark) for mark in ("Name: <bo>", "Name: <mochi>", "What is <bo>")]
    seen = [text[:end].count(FAMILIES[name].image) for end in ends]
    assert 0 < seen[0] < seen[1] < seen[2] == tokens.count(image)


def test_stop_ends_an_answer_at_the_next_token(generator):
    stop = threading.Event()
    tokens = 0
    for event in generator.stream(laid_out(generator, FIRST), max_new_tokens=400, stop=stop):
        tokens += event.tokens if isinstance(event, TextDelta) else 0
        stop.set()
    assert 0 < tokens < 100


def test_control_tokens_that_people_write_do_nothing(generator):
    control = FAMILIES[generator.name].control
    steering = {*words(generator).convert_tokens_to_ids(control), *words(generator).all_special_ids}

    def steered(turn: Turn) -> Counter[int]:
        return Counter(token for token in ids(generator, laid_out(generator, turn, SECOND)) if token in steering)

    hostile = " ".join(control)
    evil = replace(BO, concept=replace(BO.concept, info=f"A dog. {hostile}"))
    innocent = steered(replace(FIRST, answer="It sleeps."))
    assert sum(innocent.values()) > 1
    assert steered(replace(FIRST, answer="It sleeps.", matches=(evil, MOCHI))) == innocent
    assert steered(replace(FIRST, answer=f"It sleeps. {hostile}")) == innocent
    assert steered(replace(FIRST, question=f"What is it? {hostile}", answer="It sleeps.")) == innocent


def test_special_tokens_do_nothing_even_where_the_prompt_did_not_neutralise_them(generator):
    special = set(words(generator).all_special_ids)

    def steered(question: str) -> Counter[int]:
        asked = [{"role": "user", "content": [{"type": "text", "text": question}]}]
        return Counter(token for token in ids(generator, asked) if token in special)

    refused = REFUSED.get(generator.name, set())
    assert steered("Hello?" + "".join(set(FAMILIES[generator.name].control) - refused)) == steered("Hello?")
    for token in refused:
        with pytest.raises(ValueError, match="in the text but no"):
            steered(token)


def test_a_template_without_a_system_role_gets_its_words_with_the_question(generator, monkeypatch):
    monkeypatch.setattr(
        generator.loaded.processor, "chat_template", NO_SYSTEM + generator.loaded.processor.chat_template
    )
    text = words(generator).decode(ids(generator, laid_out(generator, FIRST)))
    wishes = prompt.SEEING if generator.sees else prompt.BLIND
    assert text.index(wishes[:40]) < text.index("Name: <bo>")
    assert ask(generator, FIRST)


def test_the_oldest_turns_go_where_the_context_is_full_but_never_the_concepts(generator, monkeypatch):
    talk = [
        replace(FIRST, answer="It sleeps."),
        *(Turn(f"Question {n}? " + "What is it? " * 8, (), (), "Yes.") for n in range(6)),
    ]
    messages = laid_out(generator, *talk)
    read = []
    prompts = generator.loaded.prompts
    encode = prompts.encode
    monkeypatch.setattr(prompts, "encode", lambda messages: read.append(encode(messages)) or read[-1])
    config = generator.loaded.model.config.get_text_config()
    ask(generator, FIRST)
    image = words(generator).convert_tokens_to_ids(FAMILIES[generator.name].image or "<bo>")
    pictures = read[-1]["input_ids"][0].tolist().count(image)
    pieces(generator, messages)
    room = read[-1]["input_ids"].shape[1] - 60
    monkeypatch.setattr(config, "max_position_embeddings", room)
    assert pieces(generator, messages)
    kept = read[-1]["input_ids"][0].tolist()
    text = words(generator).decode(kept)
    assert len(kept) + 8 <= room
    assert "What is <bo> doing?" not in text
    assert "Question 5?" in text
    assert "A dog." in text
    assert "A cat." in text
    assert kept.count(image) == pictures


@pytest.mark.parametrize("bits", ["fp32", "4bit", "nf4"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_second_turn_from_the_cache_equals_a_cold_run(opened, name, bits):
    warm, cold = opened(name, bits), opened(name, bits)
    said = replace(FIRST, answer=ask(warm, FIRST))
    ours, theirs = spoken(warm), spoken(cold)
    one, other = ask(warm, said, SECOND), ask(cold, said, SECOND)
    assert one == other or bits != "fp32"  # in four bits a near tie may fall either way
    tolerance = 1e-4 if bits == "fp32" else 0.1
    assert (ours[0] - theirs[0]).abs().max() <= tolerance * theirs[0].std()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_second_turn_with_another_photo_equals_a_cold_run(opened, name):
    warm = opened(name, "fp32")
    said, shown = replace(FIRST, answer=ask(warm, FIRST)), replace(SECOND, photos=(SEA,))
    assert ask(warm, said, shown) == ask(opened(name, "fp32"), said, shown)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_photo_that_was_taken_back_leaves_nothing_behind(opened, name):
    warm, cold = opened(name, "fp32"), opened(name, "fp32")
    said = replace(FIRST, answer=ask(warm, FIRST))
    ask(warm, said, replace(SECOND, photos=(SEA,)))
    assert ask(warm, said, SECOND) == ask(cold, said, SECOND)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_conversation_goes_on_after_another_one(opened, name):
    warm, cold = opened(name, "fp32"), opened(name, "fp32")
    said = replace(FIRST, answer=ask(warm, FIRST))
    ask(warm, Turn("Hello?"))
    assert ask(warm, said, SECOND) == ask(cold, said, SECOND)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_second_question_reads_only_what_is_new(opened, name):
    warm = opened(name, "none")
    read: list[int] = []
    embeds = warm.loaded.model.get_input_embeddings()
    embeds.register_forward_hook(lambda _, given, __: read.append(given[0].shape[-1]) if given[0].ndim == 2 else None)
    said = replace(FIRST, answer=ask(warm, FIRST))
    first = max(read)
    read.clear()
    ask(warm, said, SECOND)
    assert max(read) < first * 0.7


ASKED = (FIRST, Turn("Hello?"), replace(FIRST, photos=(SEA,), matches=(BO,)), Turn("Who is this? " * 6, (DOG, SEA)))
"""Long and short, with pictures and without: padded, when they are asked together."""


@pytest.mark.parametrize("name", FAMILIES)
def test_questions_asked_together_are_answered_as_alone(opened, monkeypatch, name):
    generator = opened(name, "fp32")
    alone = [ask(generator, turn, tokens=16) for turn in ASKED]
    assert len(set(alone)) > 1
    generator.clear()
    monkeypatch.setattr(generator, "stream", None)  # none of the families needs to go on one by one
    asked = [laid_out(generator, turn) for turn in ASKED]
    assert generator.answers(asked, max_new_tokens=16) == alone
    monkeypatch.undo()
    assert ask(generator, FIRST, tokens=16) == alone[0]


def test_where_memory_is_too_small_for_all_fewer_are_answered_at_once(opened, monkeypatch):
    generator = opened(next(iter(FAMILIES)), "fp32")
    asked = [laid_out(generator, turn) for turn in ASKED]
    together, sizes = generator.batch, []

    def small(some, max_new_tokens):
        sizes.append(len(some))
        if len(some) > room:
            raise torch.OutOfMemoryError("too many")
        return together(some, max_new_tokens)

    alone = [ask(generator, turn, tokens=16) for turn in ASKED]
    monkeypatch.setattr(generator, "batch", small)
    room = 2
    assert generator.answers(asked, max_new_tokens=16) == alone
    assert sizes == [4, 2, 2]
    room = 0
    with pytest.raises(ModelError, match="could not answer"):
        generator.answers(asked, max_new_tokens=16)


@pytest.mark.parametrize("name", ["llama", "fastvlm"])
@pytest.mark.parametrize("ended", [True, False])
def test_each_of_the_questions_asked_together_ends_where_it_would_alone(opened, monkeypatch, name, ended):
    """At the token that ends an answer, or, where there is none, where it runs in circles while others go on."""
    generator = opened(name, "fp32")
    settings = generator.loaded.model.generation_config
    settings.update(eos_token_id=None)
    whole = [ask(generator, turn, tokens=40) for turn in ASKED]
    if ended:
        streamed = []
        for turn in ASKED:
            ask(generator, turn, tokens=40)
            streamed.append(generator.loaded.decoder.prefix.tokens[len(ids(generator, laid_out(generator, turn))) :])
        ends = {token: [[*row, token].index(token) for row in streamed] for token in streamed[0][2:]}
        settings.update(eos_token_id=next(token for token, places in ends.items() if len(set(places)) > 1))
    else:  # these models turn in no circle so soon: a shorter one will do
        monkeypatch.setattr("personal.generate.decoding.has_repetition", lambda said: said[-1] in said[-9:-1])
    alone = [ask(generator, turn, tokens=40) for turn in ASKED]
    assert alone != whole
    assert len({len(words(generator).encode(text)) for text in alone}) > 1
    assert generator.answers([laid_out(generator, turn) for turn in ASKED], max_new_tokens=40) == alone


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def costs(generator: LocalGenerator, pictures: list[Image.Image], options: dict[str, object]) -> list[int]:
    """Count the image tokens of each picture in what the processor makes of a prompt."""
    number = {"type": "text", "text": "Number"}
    parts = [part for image in pictures for part in ({"type": "image", "image": image}, number)]
    inputs = generator.loaded.processor.apply_chat_template(
        [{"role": "user", "content": parts}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"images_kwargs": options},
    )
    image = FAMILIES[generator.name].image
    text = words(generator).decode(inputs["input_ids"][0])
    spent = [part.count(image) for part in text.split("Number")[: len(pictures)]]
    return spent if FAMILIES[generator.name].ordered else [sum(spent) // len(pictures)] * len(pictures)


SHAPES = [(64, 64), (1600, 1200), (1200, 1600), (3000, 200), (40, 400), (7, 1500), (500, 500)]
AVATARS = [True, False, True, False, False, True, True]


@pytest.mark.parametrize("name", ["qwen3-vl", "qwen2.5-vl", "gemma4", "smolvlm2", "internvl3.5"])
@pytest.mark.parametrize(("photo_tokens", "avatar_tokens"), [(200, 50), (64, 16), (96, 80)])
def test_no_picture_costs_more_than_its_budget(generators, monkeypatch, name, photo_tokens, avatar_tokens):
    list(generators[name].load())
    images = generators[name].loaded.processor.image_processor
    for attribute, value in (("max_soft_tokens", 280), ("max_patches", 12), ("size", {"longest_edge": 256})):
        if hasattr(images, attribute) and (attribute != "size" or name == "smolvlm2"):
            monkeypatch.setattr(images, attribute, value)
    pictures = [picture(*size) for size in SHAPES]
    budgets = {"photo_tokens": photo_tokens, "avatar_tokens": avatar_tokens}
    fitted, options = budget.fit(generators[name].loaded.processor, pictures, AVATARS, **budgets)
    spent = costs(generators[name], fitted, options)
    allowed = [avatar_tokens if avatar else photo_tokens for avatar in AVATARS]
    assert all(0 < cost <= most for cost, most in zip(spent, allowed, strict=True)), spent
    if photo_tokens >= 96:  # a large photo makes use of what it may cost, and keeps its shape
        assert spent[1] >= photo_tokens * 0.55
        assert 0.7 < fitted[1].width / fitted[1].height * 1200 / 1600 < 1.4


@pytest.mark.parametrize("name", SEEING)
def test_budgets_that_are_kept_are_answered_with(opened, name):
    from personal.images import open_photo

    generator = opened(name, "none")
    pictures = [open_photo(photo) for photo in (DOG, CAT, PARK)]
    fitted, options = budget.fit(
        generator.loaded.processor, pictures, [True, True, False], photo_tokens=70, avatar_tokens=16
    )
    content = [{"type": "image", "image": image} for image in fitted] + [{"type": "text", "text": "Who is this?"}]
    inputs = generator.loaded.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"images_kwargs": options},
    )
    dtype = generator.loaded.model.dtype
    inputs = {key: value.to(dtype) if value.is_floating_point() else value for key, value in inputs.items()}
    answer = generator.loaded.model.generate(**inputs, max_new_tokens=2, do_sample=False)
    assert answer.shape[1] == inputs["input_ids"].shape[1] + 2


@pytest.mark.parametrize("name", ["llava-1.5", "fastvlm"])
def test_where_all_pictures_cost_the_same_they_are_left_alone(generators, name):
    list(generators[name].load())
    pictures = [picture(*size) for size in SHAPES]
    assert budget.fit(generators[name].loaded.processor, pictures, AVATARS) == (pictures, {})
    assert len(set(costs(generators[name], pictures, {}))) == 1


def test_onevision_reads_several_pictures_alike_and_a_lone_one_within_its_budget(generators):
    generator = generators["llava-onevision"]
    list(generator.load())
    several = [picture(200, 100), picture(64, 64)]
    assert budget.fit(generator.loaded.processor, several, [False, True]) == (several, {})
    assert costs(generator, several, {}) == [17, 17]
    large = picture(192, 190)
    alone = costs(generator, [large], {})[0]
    for most in (alone, 100, 60):
        fitted, options = budget.fit(generator.loaded.processor, [large], [False], photo_tokens=most)
        assert costs(generator, fitted, options)[0] <= most
    least, _ = budget.fit(generator.loaded.processor, [large], [False], photo_tokens=1)
    assert costs(generator, least, {})[0] < 40


def test_no_pictures_need_no_budget(generators):
    list(generators["fastvlm"].load())
    assert budget.fit(generators["fastvlm"].loaded.processor, [], []) == ([], {})


def test_a_model_that_learnt_on_one_image_is_told_of_concepts_in_words(folders):
    one = LocalGenerator(str(folders["llava-1.5"]), quantization="none", name="llava-hf/llava-1.5-7b-hf")
    list(one.load())
    read = []
    one.loaded.model.get_input_embeddings().register_forward_hook(
        lambda _, given, __: read.append(given[0][0].tolist())
    )
    ask(one, FIRST)
    text = words(one).decode(read[0])
    photo_alone = ids(one, [{"role": "user", "content": [image_part(PARK)]}])
    image = words(one).convert_tokens_to_ids(FAMILIES["llava-1.5"].image)
    assert read[0].count(image) == photo_alone.count(image) > 0
    assert "Name: <bo>" in text
    assert "A cat." in text
