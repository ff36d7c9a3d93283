"""Lay out a conversation as chat messages, the way RAP does (Hao et al., CVPR 2025, section 3.3): pure functions.

Also the short questions about one's concepts, and what their answers mean: which attributes tell a subject from its
like, is this it, and which of two is it (R2P, arXiv 2503.18623: fingerprint, attribute-focused and pairwise reasoning).

For every concept that was retrieved its avatar, name and info; then the photo; then the question. Knows nothing of
models.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Literal

from personal.concepts import Box, Concept, Match, Photo, Turn
from personal.messages import Message, Part, image_part, images_of, introduces, make_message, text_part
from personal.questions import asks_for_description

SEEING = (
    "You answer questions about photos. Call the people, pets and things that you are told about by their names, "
    "written like <name>. Say only what you see in the photos or are told."
)
BLIND = (
    "Answer the question in one short sentence, from the notes in the message. "
    "Write names in angle brackets, as the notes do. You cannot see the photo."
)
"""Short, because a small model that is told much of what it cannot see talks of that instead of the notes."""
MISSING = " Not recognised in the photo."
CAPTIONS = {f"give a caption of the {word}" for word in ("photo", "image", "picture")}

LISTING = "You describe what is in photos in a few short phrases. You answer with a list and nothing else."
COMPARING = "You compare photos closely. You answer with one word."
ATTRIBUTES = 6
"""Attributes that a fingerprint has at most; fewer than two are none."""
PHRASE = 80
"""Characters of one attribute, at most; what is longer is no phrase."""

_WORDS = (
    r"image|images|img|video|audio|image_pad|video_pad|img_context|image_soft_token|image_placeholder|start_of_image|"
    r"end_of_image|fake_token_around_image|global-img|row_\d+_col_\d+|vision_start|vision_end|s|unk|pad|bos|eos|cls|sep|"
    r"mask|gmask|sop|eop|start_of_turn|end_of_turn|end_of_utterance|im_start|im_end|inst|sys|"
    r"think|tool_call|tool_calls|tool_response|available_tools|tool_results|system_prompt|img_break|img_end|"
    r"box|quad|ref|unused\d+|extra_id_\d+|begin_of_text|end_of_text|endoftext|"
    r"repo_name|reponame|file_sep|filename|gh_stars|issue_start|issue_comment|issue_closed|jupyter_start|jupyter_text|"
    r"jupyter_code|jupyter_output|jupyter_script|empty_output|model_settings|call_id|args|arg_key|arg_value|"
    r"(?:seed|minimax):\w+"
)
_RESERVED = re.compile(rf"([<\[])(/?(?:{_WORDS})/?)([>\]])", re.IGNORECASE)


_PRONOUN = re.compile(r"\b(he|him|his|she|her|hers|it|its|they|them|their)\b", re.IGNORECASE)


def escape_control_tokens(text: str) -> str:
    """Make control tokens of the common model families harmless and leave them readable: `< image >`, `< |im_end| >`.

    Blanks are only put in, never anything taken out that could join two halves of a token, except for control
    characters, which go first. Names in angle brackets survive unless they are such a token.
    """
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Co", "Cs"})
    text = re.sub(r"([<\[])(?=[|｜])", r"\1 ", text)
    text = re.sub(r"(?<=[|｜])([>\]])", r" \1", text)
    text = re.sub(r"◁(/?\w+)▷", r"◁ \1 ▷", text)  # Kimi
    return _RESERVED.sub(r"\1 \2 \3", text)


def build_messages(
    turns: Sequence[Turn],
    *,
    avatars: Callable[[Concept], Photo] | Mapping[str, Photo],
    sees: bool,
    single_turn: bool = False,
    label: Callable[[Photo, Sequence[tuple[Box, str]]], Photo] | None = None,
) -> list[Message]:
    """Turn a conversation, whose last turn is the open question, into chat messages.

    `avatars` gives a concept's avatar, or maps concept ids to them. A concept is introduced once, again only where its
    record has changed; of one that was named, but not recognised in the photos last shown, that is said. Where the
    model does not see (`sees` false) it is told in words who was recognised where, and every message brings its notes:
    such a model is too small to look for them further up. One that learnt on single questions (`single_turn`) is asked
    the open one alone, with the photos last shown. With `label`, boxes and names are drawn on the photos.
    """
    turns = [_alone(turns)] if single_turn else turns
    avatar_of = avatars if callable(avatars) else lambda concept: avatars[concept.id]
    messages = [make_message("system", text_part(SEEING if sees else BLIND))]
    introduced: dict[str, str] = {}
    seen: set[str] = set()
    photos_before = 0
    for turn in turns:
        if turn.photos:
            seen = {match.concept.id for match in turn.matches if match.reason == "seen"}
        missing = {m.concept.id for m in turn.matches} - seen if photos_before or turn.photos else set()
        if sees:
            content = _introductions(turn.matches, introduced, missing, avatar_of)
        else:
            content = _introductions(turn.matches, {}, set(), None)
        for number, photo in enumerate(turn.photos, photos_before + 1):
            called = "the photo" if number == 1 and len(turn.photos) == 1 else f"photo {number}"
            seen_here = [m for m in turn.matches if m.photo == photo.sha256]
            if sees:
                boxes = [(m.box, m.concept.tag) for m in seen_here if m.box is not None]
                content += [image_part(label(photo, boxes) if label and boxes else photo), text_part("\n")]
            else:
                content.append(text_part(_sighting(called, seen_here)))
        content.append(text_part(_question(turn.question)))
        messages.append(make_message("user", *content))
        if turn is not turns[-1]:
            messages.append(make_message("assistant", text_part(escape_control_tokens(turn.answer) or "…")))
        photos_before += len(turn.photos)
    return messages


def with_labels(messages: Sequence[Message], line: Callable[[Photo], str]) -> list[Message]:
    """Put below each photo the line of labels that a model was trained to read; "" puts nothing.

    Where concepts are introduced nothing is put: beside a line of labels fewer are called by their names.
    """
    if any(introduces(part) for message in messages for part in message["content"]):
        return list(messages)

    def labelled(part: Part) -> list[Part]:
        said = line(part["image"]) if part["type"] == "image" else ""
        return [part, text_part(f"\n{said}")] if said else [part]

    return [make_message(m["role"], *[new for part in m["content"] for new in labelled(part)]) for m in messages]


def described_photo(messages: Sequence[Message]) -> Photo | None:
    """Return the only photo of messages that ask what it shows and introduce no concept; None for any others."""
    images, last = images_of(messages), messages[-1]["content"][-1] if messages and messages[-1]["content"] else None
    if len(images) != 1 or any(introduces(part) for message in messages for part in message["content"]):
        return None
    asks = last is not None and last["type"] == "text" and asks_for_description(last["text"])
    return images[0]["image"] if asks else None


def _alone(turns: Sequence[Turn]) -> Turn:
    """Return the open question with the photos last shown, who was seen in them, and whom a pronoun may stand for."""
    last = turns[-1]
    if not last.photos and not last.matches and _PRONOUN.search(last.question):
        spoken_of = next((turn.matches for turn in reversed(turns) if turn.matches), ())
        last = replace(last, matches=tuple(match for match in spoken_of if match.reason == "named"))
    shown = next((turn for turn in reversed(turns) if turn.photos), None)
    if shown is None or shown is turns[-1]:
        return last
    seen = tuple(match for match in shown.matches if match.reason == "seen")
    others = (match for match in last.matches if match.concept.id not in {m.concept.id for m in seen})
    return replace(last, photos=shown.photos, matches=(*seen, *others))


def drop_oldest_turn(messages: Sequence[Message]) -> list[Message] | None:
    """Drop the earliest question and answer but keep the concepts introduced there, and the photos last shown.

    Returns None where only the open question is left.
    """
    system, rest = [m for m in messages if m["role"] == "system"], [m for m in messages if m["role"] != "system"]
    if len(rest) < 3:
        return None
    first, _, following, *others = rest
    shown_later = any(not part["avatar"] for part in images_of(rest[2:]))
    kept = [part for part in first["content"] if introduces(part) or (part["type"] == "image" and not shown_later)]
    content = [*kept, *following["content"]]
    return [*system, Message(role=following["role"], content=content), *others]


def ask_attributes(photos: Sequence[Photo], category: str = "") -> list[Message]:
    """Ask for the marks that tell the subject of these photos from others of its kind (R2P's fingerprint)."""
    what = _line(category) or "subject"
    shown = "This photo shows" if len(photos) == 1 else "These photos all show"
    question = (
        f"{shown} one {what}. List 3 to 6 short attributes by which this very {what} can be told from others of its "
        "kind: colours, markings, shape, material, writing on it. Leave out the background and what it is doing. "
        "One attribute a line, at most six words each."
    )
    return _asked(LISTING, [*map(image_part, photos), text_part(f"\n{question}")])


def read_attributes(text: str) -> tuple[str, ...]:
    """Read the attributes out of an answer: lines, bullets, numbers, commas or JSON; empty where it lists nothing."""
    text = re.sub(r"```\w*", "", text)
    items = _listed_as_json(text)
    if items is None:
        lines = [line for line in map(_bare, text.splitlines()) if line and not line.endswith(":")]
        if len(lines) == 1:
            lines = re.split(r"[;；]" if re.search(r"[;；]", lines[0]) else r"[,，、]", lines[0].rpartition(": ")[2])
        items = lines
    phrases: dict[str, str] = {}
    for item in map(_bare, items):
        if any(map(str.isalpha, item)) and len(item) <= PHRASE:
            phrases.setdefault(item.casefold(), item)
    return tuple(phrases.values())[:ATTRIBUTES] if len(phrases) > 1 else ()


def ask_if(photo: Photo, concept: Concept) -> list[Message]:
    """Ask whether a crop shows a subject with the attributes of a concept (R2P's attribute verification)."""
    what = _line(concept.category) or "subject"
    question = (
        f"Look at the {what} in this photo. Does it have these attributes: {_attributes(concept)}? "
        "Attributes that are hidden do not count. Answer yes or no."
    )
    return _asked(COMPARING, [image_part(photo), text_part(f"\n{question}")])


def read_verdict(text: str) -> bool | None:
    """Read a yes or no; None where it is neither."""
    found = re.search(r"\b(yes|no)\b", text.casefold())
    return found[1] == "yes" if found else None


def ask_which(photo: Photo, first: tuple[Concept, Photo], second: tuple[Concept, Photo]) -> list[Message]:
    """Ask which of two concepts, each with its avatar, a crop shows (R2P's pairwise comparison)."""
    parts: list[Part] = []
    for letter, (concept, avatar) in zip("AB", (first, second), strict=True):
        marks = f": {_attributes(concept)}" if concept.attributes else ""
        parts += [text_part(f"{letter}\n"), image_part(avatar, avatar=True), text_part(f"\n{letter}{marks}\n")]
    question = "\nIs this the same one as A or as B? Compare their details. Answer A or B."
    return _asked(COMPARING, [*parts, text_part("The photo\n"), image_part(photo), text_part(question)])


def read_choice(text: str) -> Literal["A", "B"] | None:
    """Read an A or B, which an article ("A dog") is not; None where it is neither."""
    found = re.search(r"\b([AB])\b(?! [a-z])", text)
    return None if found is None else "A" if found[1] == "A" else "B"


def without_system(messages: Sequence[Message]) -> list[Message]:
    """Put the system's words at the head of the first question, for chat templates that know no system."""
    system, first, *rest = messages
    content = [*system["content"], text_part("\n"), *first["content"]]
    return [Message(role=first["role"], content=content), *rest]


def _introductions(
    matches: Sequence[Match],
    introduced: dict[str, str],
    missing: Set[str],
    avatar_of: Callable[[Concept], Photo] | None,
) -> list[Part]:
    """Number the retrieved concepts, in RAP's brackets; `introduced` remembers what was said of whom.

    Of those in `missing` it is said that retrieval did not find them: a name in a question is no sighting.
    """
    concepts = list({match.concept.id: match.concept for match in matches}.values())
    parts: list[Part] = []
    for number, concept in enumerate(concepts, 1):
        opening, closing = "[" if number == 1 else "", "]\n" if number == len(concepts) else "\n"
        record = f"Name: {escape_control_tokens(concept.tag)}, Info: {_info(concept)}"
        closing = f"{MISSING}{closing}" if concept.id in missing else closing
        known = f"{record} {concept.avatar}"
        if introduced.get(concept.id) == known:
            parts.append(
                text_part(f"{opening}{number}. {escape_control_tokens(concept.tag)}, as introduced above.{closing}")
            )
            continue
        introduced[concept.id] = known
        if avatar_of is None:
            parts.append(text_part(f"{opening}{number}. {record}{closing}", introduces=True))
        else:
            parts.append(text_part(f"{opening}{number}. ", introduces=True))
            parts.append(image_part(avatar_of(concept), avatar=True))
            parts.append(text_part(f"\n{record}{closing}", introduces=True))
    return parts


def _asked(system: str, content: Sequence[Part]) -> list[Message]:
    return [make_message("system", text_part(system)), make_message("user", *content)]


def _attributes(concept: Concept) -> str:
    return "; ".join(map(_line, concept.attributes))


def _listed_as_json(text: str) -> list[str] | None:
    """Return the texts of the JSON list or object that a text holds, or None."""
    found = re.search(r"\[.*\]|\{.*\}", text, re.DOTALL)
    try:
        value = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        return None
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return None
    return [item for some in items for item in (some if isinstance(some, list) else [some]) if isinstance(item, str)]


def _bare(item: str) -> str:
    """Strip an item of a list of its bullet or number, emphasis, quotes and full stop."""
    line = re.sub(r"^\s*(?:[-*•–·#]+|\(?\d{1,2}[.):])\s*", "", _line(item)).replace("**", "").replace("`", "")
    return re.sub(r"^and ", "", line.strip(" \"'“”„.,;")).strip()


def _line(text: str) -> str:
    """Write what a person or a model wrote on one harmless line."""
    return " ".join(escape_control_tokens(text).split())


def _info(concept: Concept) -> str:
    """Return what is known of a concept on one line; its category too, unless the info says it."""
    info, category = _line(concept.info), _line(concept.category)
    if category and category.casefold() not in info.casefold():
        return f"{category}. {info}".strip()
    return info or "none."


def _sighting(label: str, matches: Sequence[Match]) -> str:
    """Return, for a model that cannot see, who was recognised in a photo, where, how large and how surely."""
    seen = [
        f"{escape_control_tokens(m.concept.tag)}, {_place(m.box)} (similarity {m.similarity:.2f})"
        for m in matches
        if m.box is not None and m.similarity is not None
    ]
    if not seen:
        return f"None of the known people, pets and things was recognised in {label}.\n"
    return f"Seen in {label}: {'; '.join(seen)}.\n"


def _place(box: Box) -> str:
    x0, y0, x1, y1 = box
    centre, area = (x0 + x1) / 2, (x1 - x0) * (y1 - y0)
    side = "at the left" if centre < 0.4 else "at the right" if centre > 0.6 else "in the centre"
    return f"{side}, {'large' if area >= 0.2 else 'small'}"


def _question(question: str) -> str:
    question = escape_control_tokens(question).strip()
    return f"{question} Answer in one sentence." if question.rstrip(".! ").casefold() in CAPTIONS else question
