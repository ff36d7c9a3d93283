"""OpenAI's chat completions as data: messages as they are sent, chunks as they come, failures in words. Pure functions.

Knows nothing of connections (`remote` has them). What a server sends is never trusted to have any shape.
"""

from __future__ import annotations

import math
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from personal.generate.prompt import Message
from personal.images import data_url

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
    parts = [part for message in messages for part in message["content"] if part["type"] == "image"]
    urls = ["data:image/jpeg;base64," + b64encode(part["image"].jpeg).decode("ascii") for part in parts]
    avatars = [at for at, part in enumerate(parts) if "concept" in part]
    for at in avatars:
        urls[at] = min(urls[at], data_url(parts[at]["image"], AVATAR_SIDE), key=len)
    photos = [at for at, part in enumerate(parts) if "concept" not in part]
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


def delta(chunk: object) -> tuple[str, str, str]:
    """Return what a streamed chunk adds to the answer and to the reasoning, and why it ended, each "" if nothing."""
    choices = _field(chunk, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    added = _field(choice, "delta")
    thought = _text(added, "reasoning_content") or _text(added, "reasoning")
    return _text(added, "content"), thought, _text(choice, "finish_reason")


def names(listed: object) -> list[str] | None:
    """Return the ids in a list of models, or None where it is none."""
    models = _field(listed, "data")
    return [name for model in models if (name := _text(model, "id"))] if isinstance(models, list) else None


def too_long(told: str) -> bool:
    """Tell whether a server's words mean that the conversation does not fit into the model's context."""
    return _TOO_LONG.search(told) is not None


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
    told = _field(body, "message") or _field(body, "detail") or _field(body, "error") or body
    if told or hasattr(error, "status_code"):
        return words(told or "", secret)
    cause = error.__cause__ or error
    return words(cause, secret) or type(cause).__name__


def failure(error: BaseException, secret: str) -> str:
    """Say what an error of the client library means and what to do, as what follows the server's address."""
    import openai

    told = said(error, secret)
    if isinstance(error, openai.APIStatusError):
        return _refusal(error.status_code, told, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        return f"cannot be reached ({told}). Start it, or check PERSONAL_LLM_URL."
    if isinstance(error, openai.APIError):
        return f"reports an error ({told}). Look at its log."
    return NO_SERVER.format(told)


def _refusal(status: int, told: str, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        told = words(headers.get("location", ""))
    told = f"{status}: {told}" if told else f"{status}"
    if status == 429:
        return f"has too much to do ({told}). Try again {_when(headers.get('retry-after', ''))}."
    return (
        f"refused the question ({told}). {BLIND if _OF_IMAGES.search(told) else ADVICE.get(status, 'Look at its log.')}"
    )


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
    """Read a text that may be missing; halves of surrogate pairs, which no file can hold, become question marks."""
    text = _field(holder, name)
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""
