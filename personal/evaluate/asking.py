"""What the protocols share: registering, asking, telling how far it is, and saying how sure a figure is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Answer, Concept, Photo, Turn
from personal.errors import PersonalError
from personal.images import read_photo

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.learn.photos import Captioned, Photos

T = TypeVar("T")
Figure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From sums of counts, (counts,) or (counts, draws), to the figure, () or (draws,)."""

DRAWS = 1000


class Watch(Protocol):
    """Passes things on one by one, showing how many are done; the words say what they are."""

    def __call__(self, things: Sequence[T], words: str, /) -> Iterable[T]: ...


def unwatched(things: Sequence[T], words: str, /) -> Iterable[T]:
    """Show nothing."""
    return things


def share(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute hits / cases."""
    return np.asarray(counts[0] / counts[1])


@dataclass
class Report:
    """A protocol's figures, how sure they are, and every answer for people to look at."""

    figures: dict[str, float | int | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def measure(
        self, name: str, groups: Sequence[Hashable], counts: Sequence[Sequence[float]], figure: Figure = share
    ) -> None:
        """Compute a figure from the sums of `counts`, (answers, k), and its 95 % interval; None without cases.

        The interval is the percentile bootstrap's (Efron, Annals of Statistics 1979) over groups of answers that hang
        together, such as those about one photo.
        """
        if not counts:
            self.figures[name] = None
            return
        places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        table = np.zeros((len(places), len(counts[0])))
        for group, row in zip(groups, counts, strict=True):
            table[places[group]] += row
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(figure(table.sum(axis=0)))
            self.figures[name] = None if np.isnan(value) else round(value, 4)
            if self.figures[name] is None:
                return
            size = len(table)
            weights = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS)
            low, high = np.nanpercentile(figure((weights @ table).T), (2.5, 97.5))
        self.intervals[name] = (round(float(low), 4), round(float(high), 4))

    def table(self) -> str:
        """Lay the figures out for a shell, with their intervals."""
        rows = []
        for name, value in self.figures.items():
            shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
            low_high = self.intervals.get(name)
            rows.append(f"{name:<26}{shown}" + (f"  [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""))
        return "\n".join(rows)


def register(assistant: Assistant, owner: str, photos: Mapping[str, Sequence[Photo]]) -> dict[str, Concept]:
    """Remember names and photos, nothing else. Raises PersonalError where two names are the same to the library."""
    concepts: dict[str, Concept] = {}
    for name, views in photos.items():
        if assistant.library.lookup(owner, name):
            raise PersonalError(f"{name} is the name of two folders, to the library at least: rename one of them.")
        concepts[name] = assistant.remember(owner, name, views)
    return concepts


def ask(
    assistant: Assistant,
    owner: str,
    question: str,
    photo: Photo | None = None,
    *,
    names: bool = True,
    memory: bool = True,
) -> str:
    """Return the Assistant's answer to one question, greedily, as the app gives it. Raises ModelError."""
    *_, last = assistant.answer(owner, [Turn(question, (photo,) if photo else ())], names=names, memory=memory)
    assert isinstance(last, Answer)
    return last.text


def of_test_split(photos: Photos, limit: int | None = None) -> list[Captioned]:
    """Return the first `limit` captioned photos of the test split. Raises PersonalError where there are none."""
    rows = [row for row in photos.split("test") if row.captions][:limit]
    if not rows:
        raise PersonalError(
            f'{photos.folder} has no photo to test on: a line of its captions.jsonl needs "split": "test" and captions.'
        )
    return rows


def read(photos: Photos, row: Captioned, notes: list[str]) -> Photo | None:
    """Read a captioned photo; one that cannot be used gives a note and None."""
    try:
        return read_photo(photos.read(row.image))
    except PersonalError as error:
        notes.append(f"{row.image} left out: {error}")
        return None
