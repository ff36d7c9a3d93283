"""Ask the language model to draft a concept's attributes, and to verify doubtful matches.

After R2P (arXiv 2503.18623): a fingerprint of attributes, attribute verification of a match, then pairwise comparison
with the next best concept. The questions are in `prompt`; the Assistant decides which matches are doubtful.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from personal.concepts import WHOLE, Concept, Fingerprint, Match, Photo, TextDelta, Waiting
from personal.crops import crop
from personal.errors import ModelError
from personal.generate import prompt
from personal.messages import Message

VIEWS = 4
"""Largest number of photos that a fingerprint is drafted from."""
LIST_TOKENS, WORD_TOKENS = 160, 8
MARGIN = 0.1
"""Margin that is shown around a region on each side, as a fraction of its size."""


class Model(Protocol):
    """What is asked of a language model (`personal.generate.switching.SwitchableGenerator`)."""

    @property
    def name(self) -> str: ...
    @property
    def sees(self) -> bool: ...
    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
        owner: str = "",
    ) -> Iterator[Waiting | TextDelta]: ...


def fingerprint(
    generator: Model, photos: Sequence[Photo], category: str = "", *, stop: threading.Event, owner: str = ""
) -> Iterator[Waiting | TextDelta | Fingerprint]:
    """Draft the attributes of what the first few photos show; yields the Fingerprint last.

    Raises ModelError if the model does not see, or lists nothing that could be attributes.
    """
    if not generator.sees:
        raise ModelError(
            f"{generator.name} cannot see photos, so it cannot tell what marks this. Choose a model that does: "
            "Settings says how."
        )
    pieces: list[str] = []
    messages = prompt.ask_attributes(photos[:VIEWS], category)
    for event in generator.stream(messages, max_new_tokens=LIST_TOKENS, stop=stop, owner=owner):
        if isinstance(event, TextDelta):
            if event.retracts:
                pieces.clear()
            pieces.append(event.text)
        yield event
    attributes = prompt.read_attributes("".join(pieces))
    if not attributes and not stop.is_set():
        raise ModelError(f"{generator.name} found no attributes in these photos. Write your own, or try other photos.")
    yield Fingerprint(attributes, generator.name, stop.is_set())


def confirm(
    generator: Model,
    photo: Photo,
    match: Match,
    rival: Match | None,
    *,
    avatars: Callable[[Concept], Photo],
    stop: threading.Event,
    owner: str = "",
) -> Generator[Waiting, None, Match]:
    """Ask whether a match is right and, if so, whether the `rival` fits better; return the verdict.

    That is the match with `confirmed` set, or the confirmed rival. If the model fails or gives no verdict, `confirmed`
    stays None. Yields Waiting while other questions come first.
    """
    cut = crop(photo, match.box or WHOLE, MARGIN)
    answer = yield from _say(generator, prompt.ask_if(cut, match.concept), stop, owner)
    right = prompt.read_verdict(answer)
    if not right or rival is None:
        return replace(match, confirmed=right)
    pair = [(one.concept, avatars(one.concept)) for one in (match, rival)]
    answer = yield from _say(generator, prompt.ask_which(cut, pair[0], pair[1]), stop, owner)
    return replace(rival if prompt.read_choice(answer) == "B" else match, confirmed=True)


def _say(
    generator: Model, messages: Sequence[Message], stop: threading.Event, owner: str
) -> Generator[Waiting, None, str]:
    pieces: list[str] = []
    with suppress(ModelError):  # the answer itself will tell, if it fails too
        for event in generator.stream(messages, max_new_tokens=WORD_TOKENS, stop=stop, owner=owner):
            if isinstance(event, TextDelta):
                if event.retracts:
                    pieces.clear()
                pieces.append(event.text)
            else:
                yield event
    return "".join(pieces)
