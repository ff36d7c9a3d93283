"""Short questions to the language model about concepts: what tells one from its like, is this it, which of two is it.

After R2P (arXiv 2503.18623): a fingerprint of attributes, a doubtful match verified by them, then pairwise against the
next best. The words are in `prompt`; which matches are doubtful, and what follows, is for the Assistant to say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from personal.concepts import WHOLE, Concept, Fingerprint, Match, Photo, Piece, Waiting
from personal.crops import crop
from personal.errors import ModelError
from personal.generate import prompt

VIEWS = 4
"""Photos that a fingerprint is drafted from, at most."""
LIST_TOKENS, WORD_TOKENS = 160, 8
MARGIN = 0.1
"""How much of a region's surroundings is shown on each side, as a fraction of its size."""


class Model(Protocol):
    """What is asked of a language model (`personal.generate.switching.Stage`)."""

    @property
    def name(self) -> str: ...
    @property
    def sees(self) -> bool: ...
    def stream(
        self,
        messages: Sequence[prompt.Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
        owner: str = "",
    ) -> Iterator[Waiting | Piece]: ...


def fingerprint(
    generator: Model, photos: Sequence[Photo], category: str = "", *, stop: threading.Event, owner: str = ""
) -> Iterator[Waiting | Piece | Fingerprint]:
    """Draft the attributes of what the first few photos show; yields the Fingerprint last.

    Raises ModelError where the model does not see, or lists nothing that could be attributes.
    """
    if not generator.sees:
        raise ModelError(
            f"{generator.name} cannot see photos, so it cannot tell what marks this. Choose a model that does: "
            "Settings says how."
        )
    pieces: list[str] = []
    messages = prompt.ask_attributes(photos[:VIEWS], category)
    for event in generator.stream(messages, max_new_tokens=LIST_TOKENS, stop=stop, owner=owner):
        if isinstance(event, Piece):
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
    """Ask whether a match is right, and if so, whether the `rival` is not still more; return what stands in the end.

    That is the match, `confirmed` or not, or the rival, confirmed. A model that fails, or says neither the one nor the
    other, leaves things as they are: `confirmed` stays None. Waiting is yielded while others are before it.
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
    generator: Model, messages: Sequence[prompt.Message], stop: threading.Event, owner: str
) -> Generator[Waiting, None, str]:
    pieces: list[str] = []
    with suppress(ModelError):  # the answer itself will tell, if it fails too
        for event in generator.stream(messages, max_new_tokens=WORD_TOKENS, stop=stop, owner=owner):
            if isinstance(event, Piece):
                if event.retracts:
                    pieces.clear()
                pieces.append(event.text)
            else:
                yield event
    return "".join(pieces)
