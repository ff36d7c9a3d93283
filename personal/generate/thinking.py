"""Hide a model's reasoning and the control tokens that a server leaves in its text: pure functions over streamed text.

Every family of markers is known at once, since a server does not say which model's template it applies. Markers may be
spread over pieces. Knows neither models nor servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TAGS = {
    "<think>": "</think>",  # Qwen, DeepSeek, GLM, InternVL, MiniMax, Nemotron, Olmo
    "[THINK]": "[/THINK]",  # Mistral
    "◁think▷": "◁/think▷",  # Kimi
    "<seed:think>": "</seed:think>",
    "<|channel>": "<channel|>",  # Gemma 4
    "<unused94>": "<unused95>",  # MedGemma
    "<|START_THINKING|>": "<|END_THINKING|>",  # Cohere
    "<|inner_prefix|>": "<|inner_suffix|>",  # Apertus
    "<|begin_of_thought|>": "<|end_of_thought|>",
}
"""Opening → closing tag of reasoning, wherever it stands."""
FIRST_WORDS = ("think", "thinking", "thought", "thoughts", "reasoning", "analysis", "reflection", "scratchpad")
"""Words of tags, however they are capitalised, that mean reasoning only where an answer begins with one that is closed:
elsewhere it may be a concept's name."""
HARMONY = ("<|channel|>", "<|start|>")
"""After these (gpt-oss, harmony) everything is reasoning or a tool call up to the final channel's message."""
WRAPPERS = (
    *("<|begin_of_box|>", "<|end_of_box|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    *("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|end_header_id|>", "<|end_of_role|>", "<|im_sep|>"),
)
"""What stands around an answer (GLM's box), or between it and the header of its turn."""
TURNS = (
    "<|im_start|>",
    "<|start_header_id|>",
    "<|start_of_role|>",
    "<start_of_turn>",
    "<|turn>",
    "<|user|>",
    "<|assistant|>",
    "[INST]",
)
"""What begins a turn: in an answer, where the model goes on with the next turn by itself."""
TOOLS = {
    "<tool_call>": "</tool_call>",  # Qwen, Hermes, GLM
    "<function_call>": "</function_call>",
    "<｜tool▁calls▁begin｜>": "<｜tool▁calls▁end｜>",  # DeepSeek
    "<|tool_calls_section_begin|>": "<|tool_calls_section_end|>",  # Kimi
    "<|tool_call>": "<tool_call|>",  # Gemma 4
    "[TOOL_CALLS]": "",  # Mistral
    "<|tool_call|>": "",  # Phi, Granite
    "<|python_tag|>": "",  # Llama
}
"""Opening → closing tag of a tool call that is written as text; "" means that it goes on to the end."""
TOOL_CHARACTERS = 400
"""Characters of a tool call that are read for the tool's name."""
ENDS = ("</s>", "<end_of_turn>", "<turn|>", "<end_of_utterance>", "[EOS]", "<seed:eos>", "[|endofturn|]", "[/INST]")
SPECIAL_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>", "<|return|>", "<|eot|>"),
    *("<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>"),
)
"""With ENDS, what ends an answer where it follows a word: whatever a server sends after it is not the answer's."""
CLOSINGS = ("</answer>", "</response>")
NAMELIKE = ("<eos>", "<pad>", "<s>")
"""End tokens that could be a concept's name, and are cut only where no blank stands before them."""

_SPECIAL = r"<[|｜][^<>|｜\s]{1,40}[|｜]>"
_BEGUN_SPECIAL = re.compile(r"<(?:[|｜](?:[^<>|｜\s]{1,40}[|｜]?)?)?")


def _any(tokens: Iterable[str]) -> str:
    return "|".join(map(re.escape, tokens))


_RUN = re.compile(rf"(?:(?:{_SPECIAL}|{_any((*ENDS, *CLOSINGS, *NAMELIKE))})\s*)+\Z")
_NAMELIKE = re.compile(rf"(?:{_any(NAMELIKE)})\s*")
_FIRST_CLOSINGS = tuple(f"</{word}>" for word in FIRST_WORDS[1:])
_MARK = re.compile(
    rf"(?P<open>{_any(TAGS)})|(?P<close>{_any((*TAGS.values(), *_FIRST_CLOSINGS))})|(?P<harmony>{_any(HARMONY)})|"
    rf"(?P<tool>{_any(TOOLS)})|(?P<drop>{_any(WRAPPERS)})|(?P<turn>{_any(TURNS)})|"
    rf"(?P<end>{_any((*ENDS, *SPECIAL_ENDS))})"
)
_TOOL_NAME = re.compile(
    r"""["']name["']\s*:\s*["']([^"']{1,80})["']|<function=([^<>\s]{1,80})>|^\s*(\w[\w.-]{0,79})\s*[\[{]"""
)
_NEVER = re.compile(r"(?!)")
_FINAL = re.compile(r"(?:final|assistant)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_ROLE = re.compile(r"assistant|model|\n")
_CLOSE = re.compile(_any((*TAGS.values(), *_FIRST_CLOSINGS)))
_FIRST_TAG = re.compile(rf"<({_any(FIRST_WORDS)})\s?>", re.IGNORECASE)
_BARE = re.compile(r"analysis(?=\w)")
"""Harmony's header where the server has removed the control tokens and left the words."""
_BARE_FINAL = re.compile("assistantfinal")
_BLANK = r"\A[\s\x00\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2060\u2800\u3164\ufeff]*"
_LEADING, _AS_IT_IS = re.compile(_BLANK), re.compile("")
_WRAPPED = re.compile(rf"{_BLANK}(?:(?:<answer>|<response>)\s*)?")
_TOKENS = (
    *TAGS,
    *TAGS.values(),
    *TOOLS,
    *filter(None, TOOLS.values()),
    *_FIRST_CLOSINGS,
    *HARMONY,
    *WRAPPERS,
    *TURNS,
    *ENDS,
    *CLOSINGS,
    *NAMELIKE,
)
_FIRST = (*(f"<{word}{end}" for word in FIRST_WORDS for end in (">", " >")), "<answer>", "<response>", "analysis")
_LONGEST = 48
"""Characters; no marker is longer."""


class VisibleText:
    """Filter one streamed answer: `feed` returns what has become visible for sure, `finish` the rest.

    `opened` tells whether the prompt ended inside of reasoning, so that only the closing tag comes; None where that is
    not known. Then a closing tag alone retracts all that was returned before, and sets `retracted`, and blanks at the
    beginning are left out. `reasoned` tells whether anything was hidden as reasoning. Reasoning that never ends hides
    all the rest. `tool` is the name of the first tool that the text calls, "a tool" if it has none.
    """

    def __init__(self, *, opened: bool | None = False) -> None:
        self.opened = self.reasoned = bool(opened)
        self.retracted = False
        self._call: str | None = None
        """The beginning of the first tool call."""
        self._held = ""
        self._until = _CLOSE if opened else None
        self._may_close = opened is None
        self._saved: list[str] | None = None
        self._strip: re.Pattern[str] | None = _WRAPPED if opened is None else _AS_IT_IS
        self._begun = self._over = self._calls = False
        self._last = " "

    @property
    def tool(self) -> str:
        if self._call is None:
            return ""
        found = _TOOL_NAME.search(self._call)
        return next(filter(None, found.groups())) if found else "a tool"

    @property
    def unfinished(self) -> bool:
        """Return whether reasoning has begun and not ended."""
        return self._until is not None

    def feed(self, text: str) -> str:
        """Return what of the text so far is now known to be visible."""
        self._held += text
        shown: list[str] = []
        while self._held and not self._over:
            if self._until is None and self._strip and not self._first():
                break
            if not (self._pass(shown) if self._until is None else self._leave()):
                break
        return "".join(shown)

    def finish(self) -> str:
        """Return what is left at the end of the answer, without trailing end tokens."""
        held, self._held = self._held, ""
        if self._until is not None:
            self._note_call(held)
            if self._saved is None:
                return ""
            held = "".join(self._saved) + held
            self.reasoned, self._until, self._strip = False, None, _AS_IT_IS
        return "" if self._over else self._visible(held[: self._run(held, len(held))])

    def _leave(self) -> bool:
        """Drop reasoning up to its end; tell whether that has come."""
        assert self._until is not None
        found = self._until.search(self._held)
        if found:
            self._note_call(self._held[: found.start()])
            self._calls = False
            self._held, self._until, self._saved = self._held[found.end() :], None, None
            self._may_close = False
            self._strip = _WRAPPED
            return True
        gone = max(0, len(self._held) - 4 * _LONGEST)
        if self._saved is not None:
            self._saved.append(self._held[:gone])
        self._note_call(self._held[:gone])
        self._held = self._held[gone:]
        return False

    def _first(self) -> bool:
        """Look for what only stands at the beginning; tell whether there is enough of it to say."""
        start = _LEADING.sub("", self._held, count=1)
        if not start or any(word.startswith(start.lower()) for word in _FIRST):
            return False
        if self._begun:
            return True
        if (tag := _FIRST_TAG.match(start)) and tag[0] not in TAGS:
            self._enter(re.compile(rf"</{tag[1]}\s?>", re.IGNORECASE), start, saved=[])
        elif _BARE.match(start):
            self._enter(_BARE_FINAL, start)
        return True

    def _pass(self, shown: list[str]) -> bool:
        """Move visible text to `shown` up to the next marker, and step over that; tell whether one was there."""
        found = _MARK.search(self._held)
        while found and not self._counts(found):
            found = _MARK.search(self._held, found.end())
        end = found.start() if found else self._sure()
        before = self._visible(self._held[: self._run(self._held, end) if found else end])
        rest = self._held[found.end() :] if found else self._held[end:]
        shown.append(before)
        if not found:
            self._held = rest
        elif found.lastgroup == "open":
            self._enter(re.compile(re.escape(TAGS[found[0]])), rest)
        elif found.lastgroup == "harmony":
            self._enter(_FINAL, rest)
        elif found.lastgroup == "close":
            shown.clear()
            self._held, self._may_close, self.reasoned = rest, False, True
            self.retracted, self._begun, self._strip, self._last = True, False, _WRAPPED, " "
        elif found.lastgroup == "tool":
            reasoned, self._calls, self._call = self.reasoned, self._call is None, self._call or ""
            self._enter(re.compile(re.escape(TOOLS[found[0]])) if TOOLS[found[0]] else _NEVER, rest)
            self.reasoned = reasoned
        elif found.lastgroup == "end" or (found.lastgroup == "turn" and self._begun):
            self._over = True
        elif found.lastgroup == "turn":
            self._held, self._until = rest, _ROLE
        else:
            self._held = rest
        return found is not None

    def _counts(self, found: re.Match[str]) -> bool:
        """Return whether a marker counts here: an end follows a word, and a closing tag alone may not be expected."""
        if found.lastgroup == "end":
            before = self._held[found.start() - 1] if found.start() else self._last
            return not before.isspace() and (self._begun or bool(self._held[: found.start()].strip()))
        return found.lastgroup != "close" or self._may_close

    def _note_call(self, text: str) -> None:
        """Keep the beginning of the first tool call."""
        if self._calls and self._call is not None:
            self._call = (self._call + text)[:TOOL_CHARACTERS]

    def _enter(self, until: re.Pattern[str], rest: str, saved: list[str] | None = None) -> None:
        self._held, self._until, self._saved, self.reasoned = rest, until, saved, True

    def _visible(self, text: str) -> str:
        """Strip what follows reasoning, or begins an answer, and remember how the visible text goes on."""
        if self._strip:
            text = self._strip.sub("", text, count=1)
        if text:
            self._strip, self._begun, self._last = None, True, text[-1]
        return text

    def _sure(self) -> int:
        """Return how many of the held characters can be no part of a marker or of end tokens."""
        held = self._held
        end = len(held)
        for at in range(max(0, end - _LONGEST), end):
            tail = held[at:]
            if tail[0] in "<[◁" and (
                any(token.startswith(tail) for token in _TOKENS) or _BEGUN_SPECIAL.fullmatch(tail)
            ):
                end = at
                break
        return self._run(held, end)

    def _run(self, held: str, end: int) -> int:
        """Return where the end tokens begin that the first `end` characters end with, or `end`."""
        run = _RUN.search(held, 0, end)
        if not run:
            return end
        start = run.start()
        name = _NAMELIKE.match(held, start)
        if name and (held[start - 1] if start else self._last).isspace():
            start = name.end()
        return min(start, end)
