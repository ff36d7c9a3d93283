"""What a thinking model says to itself is left out, however it is cut into pieces."""

from __future__ import annotations

import random

import pytest

from personal.generate.thinking import VisibleText


def passed_on(pieces, **options: object):
    """Yield what the filter returns for each piece, and what it returns at the end."""
    visible = VisibleText(**options)
    yield from filter(None, map(visible.feed, pieces))
    if rest := visible.finish():
        yield rest


def shown(text: str, size: int, **options: object) -> str:
    """Send a text through the filter in pieces of one size."""
    return "".join(passed_on((text[at : at + size] for at in range(0, len(text), size)), **options))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 100])
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<bo> runs.", "<bo> runs."),
        ("<think>a dog?\nyes</think>\n\n<bo> runs.", "<bo> runs."),
        ("<think></think><bo> runs.", "<bo> runs."),
        ("One. <think>two</think>Three. <think>four</think> Five.", "One. Three. Five."),
        ("<think>a <b> </thin </think> <bo> </think>", "<bo> </think>"),
        ("1 < 2 <thin <<think>no</think> <thinking>", "1 < 2 <thin <<thinking>"),
        ("it ends with <thi", "it ends with <thi"),
        ("said. <think>and never done", "said. "),
        ("", ""),
    ],
)
def test_thoughts_are_left_out_wherever_the_tags_are_cut(text, left, size):
    assert shown(text, size) == left


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_thought_that_the_prompt_opened_ends_with_its_closing_tag(size):
    assert shown("a dog?</think>\n<bo> runs. <think>x</think>Yes.", size, opened=True) == "<bo> runs. Yes."
    assert shown("a dog?◁/think▷<bo> runs.", size, opened=True) == "<bo> runs."
    assert shown("never done", size, opened=True) == ""
    assert shown("a dog?</think> runs", size) == "a dog?</think> runs"


FAMILIES = {
    "mistral": "[THINK]hm[/THINK] {}",
    "kimi": "◁think▷hm, a <dog>◁/think▷{}<|im_end|>[EOS]",
    "qwen without thinking": "<think>\n\n</think>\n\n{}",
    "glm": "<think>hm</think>\n<answer>{}</answer>",
    "glm's box": "<think>hm</think><|begin_of_box|>{}<|end_of_box|><|user|>",
    "gemma": "<|channel>thought\nhm<channel|>{}<turn|>",
    "medgemma": "<unused94>thought\nhm<unused95>{}<end_of_turn>",
    "seed": "<seed:think>hm</seed:think>{}<seed:eos>",
    "cohere": "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>{}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
    "gemini": "<thought>hm</thought>{}",
    "harmony": "<|channel|>analysis<|message|>hm, the final answer<|end|>"
    "<|start|>assistant<|channel|>final<|message|>{}<|return|>",
    "harmony with a tool": "<|start|>assistant<|channel|>commentary to=functions.look <|constrain|>json<|message|>{{}}"
    "<|call|>"
    "<|start|>assistant<|channel|>final <|constrain|>text<|message|>{}<|return|>",
    "harmony at once": "<|channel|>final<|message|>{}<|end|>",
    "harmony without its tokens": "analysisWe need to name the dog.assistantfinal{}",
}


@pytest.mark.parametrize("size", [1, 3, 8, 300])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("answer", ["<bo> runs.", "Yes", "<bo> & <mia> at 3 < 4 o'clock [sic]"])
def test_thoughts_in_the_markers_of_every_family_are_left_out(family, answer, size):
    assert shown(FAMILIES[family].format(answer), size) == answer


ENDS = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
    "<eos>",
    "<pad>",
    "<end_of_turn>",
    "<turn|>",
    "<|end|>",
    "<|return|>",
    "<|eot|>",
    "<|end_of_turn|>",
    "<|END_OF_TURN_TOKEN|>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
    "<|user|>",
    "<|observation|>",
    "[EOS]",
    "[|endofturn|]",
    "<|im_end|>\n<|endoftext|>",
    "</s></s>\n</s>",
    "<|im_end|>\n<|im_start|>user\nAnd who is this?<|im_end|>",
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nMore",
    "<end_of_turn>\n<start_of_turn>user\nMore",
    "<|user|>\nMore",
]


@pytest.mark.parametrize("size", [1, 2, 5, 300])
@pytest.mark.parametrize("end", ENDS)
def test_end_tokens_that_a_server_leaves_in_are_cut_however_they_arrive(end, size):
    assert shown(f"It is <bo>.{end}", size).rstrip() == "It is <bo>."
    assert shown(f"<think>hm</think>It is <bo>{end}\n", size).rstrip() == "It is <bo>"


@pytest.mark.parametrize("size", [1, 2, 5, 300])
@pytest.mark.parametrize("end", ["</s>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|endoftext|>", "[EOS]"])
def test_what_a_server_sends_after_the_end_is_not_the_answers(end, size):
    assert shown(f"It is <bo>.{end}\nQuestion: who is this? <mia>{end} More", size) == "It is <bo>."
    assert shown(f"<think>hm{end}</think>It is <bo>{end}And more", size) == "It is <bo>"


CALLS = {
    '<tool_call>\n{"name": "look_up", "arguments": {"who": "<bo>"}}\n</tool_call>': "look_up",
    "<tool_call>\n<function=look_up>\n<parameter=who>\nbo\n</parameter>\n</function>\n</tool_call>": "look_up",
    '[TOOL_CALLS]look_up{"who": "bo"}': "look_up",
    '[TOOL_CALLS][{"name": "look_up", "arguments": {}}]': "look_up",
    "<|tool_call|>[{'name': 'look_up'}]": "look_up",
    "<function_call>???</function_call>": "a tool",
    "<tool_call>" + "x" * 1000: "a tool",
}


@pytest.mark.parametrize("size", [1, 3, 300])
@pytest.mark.parametrize(("call", "tool"), CALLS.items())
def test_a_tool_call_that_is_written_as_text_is_no_answer(call, tool, size):
    visible = VisibleText()
    said = "".join(visible.feed(call[at : at + size]) for at in range(0, len(call), size)) + visible.finish()
    assert (said, visible.tool, visible.reasoned) == ("", tool, False)
    assert shown(f"Let me see. {call}", size) == "Let me see. "


def test_text_after_a_tool_call_is_the_answer_and_text_alone_calls_none():
    assert shown("<tool_call>{}</tool_call>It is <bo>.", 3) == "It is <bo>."
    visible = VisibleText()
    assert visible.feed("It is <bo>, called by his name.") + visible.finish() == "It is <bo>, called by his name."
    assert visible.tool == ""


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(
    "text",
    [
        "It is <eos>",
        "<s> and <pad> run",
        "It says </s> on the box.",
        "<|im_end|> is a token.",
        "a < b <| c |> d",
        "[EOS] first",
        "analysis of it",
        "<thinking> runs.",
        "<thought>",
        "It is [THIN",
    ],
)
def test_what_only_looks_like_a_marker_is_text(text, size):
    assert shown(text, size) == text


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_closing_tag_alone_retracts_what_was_shown_where_it_is_not_known(size):
    visible = VisibleText(opened=None)
    text = "a dog, <bo>?</think>\n\nIt is <bo>.<|im_end|>"
    said = ""
    for at in range(0, len(text), size):
        before = visible.retracted
        new = visible.feed(text[at : at + size])
        said = new if visible.retracted and not before else said + new
    assert said + visible.finish() == "It is <bo>."
    assert visible.reasoned


@pytest.mark.parametrize("size", [1, 100])
def test_the_beginning_of_a_turn_before_the_answer_is_left_out(size):
    assert shown("<|im_start|>assistant\nIt is <bo>.", size) == "It is <bo>."
    assert shown("<|start_header_id|>assistant<|end_header_id|>\n\nIt is <bo>.", size) == "It is <bo>."
    assert shown("<start_of_turn>model\nIt is <bo>.", size) == "It is <bo>."


def test_random_text_of_markers_is_read_the_same_however_it_is_cut():
    dice = random.Random(0)
    bits = [*ENDS, *FAMILIES.values(), "<think>", "</think>", "<bo>", " ", "\n", "a dog", "<", "<|", "final", "[TH"]
    for _ in range(300):
        text = "".join(dice.choices(bits, k=dice.randrange(1, 7)))
        whole = shown(text, len(text)).strip()
        for size in (1, 2, 7):
            assert shown(text, size).strip() == whole, text


def test_text_is_passed_on_as_soon_as_it_is_sure():
    arriving = passed_on(iter(["<b", "o> ", "runs <", "x"]))
    assert list(arriving) == ["<b", "o> ", "runs ", "<x"]
    held = passed_on(iter(["a<think>" + "b" * 100_000, "c" * 100_000, "</think>d"]))
    assert list(held) == ["a", "d"]
