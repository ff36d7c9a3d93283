"""Chat messages for a language model, as typed values: text and images in the order in which they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from personal.concepts import Photo

Role = Literal["system", "user", "assistant"]


class TextPart(TypedDict):
    """Text of a message; if it `introduces` a concept, it stays when a conversation grows too long."""

    type: Literal["text"]
    text: str
    introduces: bool


class ImagePart(TypedDict):
    """An image of a message: an `avatar` introduces a concept, any other is a photo that was shown."""

    type: Literal["image"]
    image: Photo
    avatar: bool


Part = TextPart | ImagePart


class Message(TypedDict):
    """A chat message."""

    role: Role
    content: list[Part]


def text_part(text: str, *, introduces: bool = False) -> TextPart:
    return {"type": "text", "text": text, "introduces": introduces}


def image_part(photo: Photo, *, avatar: bool = False) -> ImagePart:
    return {"type": "image", "image": photo, "avatar": avatar}


def make_message(role: Role, *parts: Part) -> Message:
    """Make a message. Neighbouring texts of one kind are joined, since some templates put a separator between parts."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if part["type"] == "text" and last and last["type"] == "text" and last["introduces"] == part["introduces"]:
            joined[-1] = text_part(last["text"] + part["text"], introduces=part["introduces"])
        else:
            joined.append(part)
    return {"role": role, "content": joined}


def images_of(messages: Sequence[Message]) -> list[ImagePart]:
    """Return the images of messages in their order."""
    return [part for message in messages for part in message["content"] if part["type"] == "image"]


def is_avatar(part: Part) -> bool:
    """Return whether a part is the image of a concept rather than a photo that was shown."""
    return part["type"] == "image" and part["avatar"]


def introduces(part: Part) -> bool:
    """Return whether a part introduces a concept."""
    return part["avatar"] if part["type"] == "image" else part["introduces"]
