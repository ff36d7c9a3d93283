"""What a thinking model says to itself is left out, however it is cut into pieces."""

from __future__ import annotations

import pytest

from personal.generate.thinking import without_thinking


def shown(text: str, size: int, **options: object) -> str:
    """Send a text through the filter in pieces of one size."""
    return "".join(without_thinking((text[at : at + size] for at in range(0, len(text), size)), **options))


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
    assert shown("never done", size, opened=True) == ""
    assert shown("a dog?</think> runs", size) == "a dog?</think> runs"


def test_other_families_have_other_tags():
    text = "[THINK]hm[/THINK] Yes <think>."
    assert shown(text, 3, start="[THINK]", end="[/THINK]") == "Yes <think>."


def test_text_is_passed_on_as_soon_as_it_is_sure():
    arriving = without_thinking(iter(["<b", "o> ", "runs <", "x"]))
    assert list(arriving) == ["<b", "o> ", "runs ", "<x"]
    held = without_thinking(iter(["a<think>" + "b" * 100_000, "c" * 100_000, "</think>d"]))
    assert list(held) == ["a", "d"]
