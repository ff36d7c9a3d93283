"""OpenAI's chat completions as data: messages as they are sent, chunks as they come, failures in words. Pure functions.

Knows nothing of connections (`remote` has them). What a server sends is never trusted to have any shape.
"""

from __future__ import annotations

import math
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from personal.crops import data_url
from personal.messages import Message, images_of

AVATAR_SIDE = 512
AVATAR_SIDES, EARLIER_SIDES, LAST_SIDES = (256, 128), (768, 384, 192), (1024, 768, 512, 256)
"""Longest sides, pixels, that images are shrunk to, one step after the other."""
ADVICE = {
    401: "Check PERSONAL_LLM_KEY.",
    403: "Check PERSONAL_LLM_KEY.",
    404: "Check PERSONAL_LLM_URL, which often ends in /v1, and PERSONAL_LLM_MODEL.",
    413: "Lower PERSONAL_LLM_IMAGE_BYTES.",
    **dict.fromkeys(range(300, 400), "Put the address that it names in PERSONAL_LLM_URL, if you trust it."),
    **dict.fromkeys(range(500, 600), "Look at its log, or try again later."),
}
THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thinking_blocks")
"""Where servers put reasoning, beside the content of a message."""
ENDS = {
    **dict.fromkeys(("null", "none"), ""),
    **dict.fromkeys(("max_tokens", "max_output_tokens", "max_new_tokens", "model_length"), "length"),
    **dict.fromkeys(("safety", "sensitive", "blocklist", "prohibited_content", "recitation"), "content_filter"),
}
"""Why an answer ended, as other servers name it, in lower case → as the protocol names it; "" is no reason."""
NO_SERVER = "does not answer as a model server does ({}). Check PERSONAL_LLM_URL, which often ends in /v1."
BLIND = "If its model cannot see images, set PERSONAL_LLM_IMAGE_BYTES=0."
_OF_IMAGES = re.compile(r"image|multi-?modal|mmproj|vision", re.IGNORECASE)
_TOO_LONG = re.compile(  # as vLLM, SGLang, llama.cpp, TGI and hosted servers put it
    r"context.{0,3}(length|size|window)|longer than the (model|max)|max(imum)? (allowed |input )?length|"
    r"max_(new_tokens|model_len)\b|too many (input )?tokens|prompt is too long",
    re.IGNORECASE,
)


def images_within(messages: Sequence[Message], budget: int) -> list[str] | None:
    """Return the messages' images in order as data URLs of at most `budget` characters together, or None.

    Avatars are small from the start. Where all are too large they are shrunk step by step: avatars first, then earlier
    photos, the last photo last.
    """
    parts = images_of(messages)
    urls = ["data:image/jpeg;base64," + b64encode(part["image"].jpeg).decode("ascii") for part in parts]
    avatars = [at for at, part in enumerate(parts) if part["avatar"]]
    for at in avatars:
        urls[at] = min(urls[at], data_url(parts[at]["image"], AVATAR_SIDE), key=len)
    photos = [at for at, part in enumerate(parts) if not part["avatar"]]
    for places, sides in ((avatars, AVATAR_SIDES), (photos[:-1], EARLIER_SIDES), (photos[-1:], LAST_SIDES)):
        for side in sides:
            if sum(map(len, urls)) <= budget:
                return urls
            for at in places:
                urls[at] = min(urls[at], data_url(parts[at]["image"], side), key=len)
    return urls if sum(map(len, urls)) <= budget else None


def as_sent(messages: Sequence[Message], urls: Sequence[str]) -> list[dict[str, Any]]:
    """Write messages as the protocol has them, `urls` being their images in order; pure text as a plain string."""
    images = iter(urls)
    sent = []
    for message in messages:
        content: Any = [
            {"type": "image_url", "image_url": {"url": next(images)}}
            if part["type"] == "image"
            else {"type": "text", "text": part["text"]}
            for part in message["content"]
        ]
        if all(part["type"] == "text" for part in content):
            content = "".join(part["text"] for part in content)
        sent.append({"role": message["role"], "content": content})
    return sent


@dataclass(frozen=True, slots=True)
class Delta:
    """What a chunk adds to the answer, each "" if nothing; `tool` is a called tool's name, `end` why it ended."""

    text: str = ""
    thought: str = ""
    refusal: str = ""
    tool: str = ""
    end: str = ""


def delta(chunk: object) -> Delta:
    """Read a streamed chunk, or the whole completion of a server that does not stream."""
    choices = _field(chunk, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    whole = _field(choice, "message")
    added = whole if isinstance(whole, dict) else _field(choice, "delta")
    text, thought, refusal = _parts(_field(added, "content"))
    end = _text(choice, "finish_reason")
    end = ENDS.get(end.lower(), end)
    return Delta(
        text or _text(choice, "text"),
        next(filter(None, (_thought(_field(added, name)) for name in THOUGHTS)), "") + thought + _details(added),
        _text(added, "refusal") + refusal,
        _tool(added),
        end or ("stop" if isinstance(whole, dict) else ""),
    )


@dataclass(slots=True)
class Heard:
    """What an answer has consisted of so far; `size` in characters, reasoning included."""

    size: int = 0
    refusal: str = ""
    tool: str = ""
    end: str = ""
    thought: bool = False
    text: bool = False
    done: bool = False

    def add(self, part: Delta) -> None:
        """Count one more chunk."""
        self.size += len(part.text) + len(part.thought) + len(part.refusal)
        self.refusal += part.refusal
        self.tool = self.tool or part.tool
        self.end = part.end or self.end
        self.text, self.thought = self.text or bool(part.text), self.thought or bool(part.thought)

    @property
    def over(self) -> bool:
        """Return whether the server has said that the answer is over."""
        return self.done or bool(self.end)

    @property
    def anything(self) -> bool:
        """Return whether there was anything of an answer, be it only why it ended."""
        return bool(self.size or self.tool or self.end)

    def why_silent(self, secret: str) -> str:
        """Return why nothing of the answer is visible, and what to do, as what follows the model's name."""
        if self.refusal:
            return f"refused to answer ({words(self.refusal, secret)}). Ask another question, or use another photo."
        if self.end == "content_filter":
            return "withheld its answer (content filter). Ask another question, or use another photo."
        if self.end == "length":
            used = "thinking" if self.thought else "nothing that can be read"
            return (
                f"used all tokens of the answer for {used}. Raise PERSONAL_MAX_NEW_TOKENS, or switch its thinking off."
            )
        if self.tool:
            return f"called {words(self.tool, secret, 80)}, and gave no answer. Ask again, or switch its tools off."
        if self.thought:
            return "only thought (reasoning), and gave no answer. Ask again, or switch its thinking off."
        if self.text:
            return "answered with blanks alone. Ask again, or in other words."
        return "ended its answer without a word. Ask again, or in other words."


def error_in(chunk: object) -> object:
    """Return the error that a chunk tells of in place of an answer, or None."""
    choices = _field(chunk, "choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = _field(chunk, "error") or _field(first, "error")
    if error:
        return error
    explained = any(_text(chunk, name) for name in ("message", "msg")) or _field(chunk, "detail")
    return chunk if choices is None and (explained or _text(chunk, "object") == "error") else None


def _parts(content: object) -> tuple[str, str, str]:
    """Return the text, the reasoning and the refusal in a message's content: a string, a part, or a list of parts."""
    if isinstance(content, str):
        return _clean(content), "", ""
    read = ["", "", ""]
    for part in content if isinstance(content, list) else [content]:
        read[0] += _clean(part)
        kind = _text(part, "type")
        at = 2 if "refusal" in kind else 1 if "think" in kind or "reason" in kind else 0
        for name in ("text", "thinking", "reasoning", "summary", "content", "refusal"):
            inner = _field(part, name)
            inner = _field(inner, "value") if isinstance(inner, dict) else inner
            read[at] += _parts(inner)[0] if isinstance(inner, list) else _clean(inner)
    return read[0], read[1], read[2]


def _details(added: object) -> str:
    details = _field(added, "reasoning_details")
    return "".join(map(_thought, details)) if isinstance(details, list) else ""


def _thought(reasoning: object) -> str:
    return "".join(_parts(reasoning))


def _tool(added: object) -> str:
    """Return the name of the tool that a message calls, "a tool" where it has none, or ""."""
    calls = _field(added, "tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else None
    function = _field(call, "function") or _field(added, "function_call")
    return _text(function, "name") or ("a tool" if call or function else "")


def names(listed: object) -> list[str] | None:
    """Return the ids in a list of models, or None where it is none."""
    models = _field(listed, "data")
    return [name for model in models if (name := _text(model, "id"))] if isinstance(models, list) else None


def too_long(message: str) -> bool:
    """Return whether a server's words mean that the conversation does not fit into the model's context."""
    return _TOO_LONG.search(message) is not None


def words(text: object, secret: str = "", limit: int = 300) -> str:
    """Return what a server said as one line of readable text of at most `limit` characters, without `secret`."""
    line = str(text).replace(secret, "…") if secret else str(text)
    if re.match(r"\s*<(!doctype|html)", line, re.IGNORECASE):
        return "a web page"
    line = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def said(error: BaseException, secret: str) -> str:
    """Return a server's own words for an error, or else the library's, without `secret`."""
    if isinstance(error, ValueError | RecursionError):
        return "what it sent is no JSON"
    body = getattr(error, "body", None)
    message = next(filter(None, (_field(body, name) for name in ("message", "msg", "detail", "error"))), body)
    if message or hasattr(error, "status_code"):
        return words(message or "", secret)
    cause = error.__cause__ or error
    return words(cause, secret) or type(cause).__name__


def failure(error: BaseException, secret: str, via: str = "") -> str:
    """Return what an error of the client library means and what to do, as what follows the server's address.

    `via` is " through …" where a proxy is used.
    """
    import openai

    message = said(error, secret)
    if isinstance(error, openai.APIStatusError):
        return _refusal(error.status_code, message, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        advice = "Check PERSONAL_LLM_URL and the proxy." if via else "Start it, or check PERSONAL_LLM_URL."
        return f"cannot be reached{via} ({message}). {advice}"
    if isinstance(error, openai.APIError):
        return f"reports an error ({message}). Look at its log."
    return NO_SERVER.format(message)


def _refusal(status: int, message: str, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        message = words(headers.get("location", ""))
    message = f"{status}: {message}" if message else f"{status}"
    if status == 429:
        return f"has too much to do ({message}). Try again {_when(headers.get('retry-after', ''))}."
    advice = BLIND if _OF_IMAGES.search(message) else ADVICE.get(status, "Look at its log.")
    return f"refused the question ({message}). {advice}"


def _when(retry_after: str) -> str:
    """Read a Retry-After header: seconds or a date (RFC 9110, section 10.2.3)."""
    try:
        wait_s = float(retry_after)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return "later"
    return f"in {math.ceil(wait_s)} seconds" if 0 < wait_s < 1e6 else "later"


def _field(holder: object, name: str) -> object:
    return holder.get(name) if isinstance(holder, dict) else None


def _text(holder: object, name: str) -> str:
    """Read a text that may be missing."""
    return _clean(_field(holder, name))


def _clean(text: object) -> str:
    """Return a text, "" for anything else; halves of surrogate pairs, which no file can hold, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""
