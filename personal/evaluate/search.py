"""Search: photos by their captions, and, in a library with concepts, by "<name> + context".

By caption: every caption of the test split is a query, the rank of the photo it was written for counts. By name and
context (PALAVRA, Cohen et al., ECCV 2022; ConCon-Chi, Rosasco et al., CVPR 2024): the Assistant ranks the concepts for
every photo, the encoder's text side compares the photo with the query, a concept's category in its name's place
("thing" where there is none). Both similarities are brought to mean 0 and deviation 1 over the photos of the library,
for each query, and added up; of several concepts the mean is taken. Each alone stands beside it as a baseline. The text
side is open_clip's own `encode_image` and `encode_text`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Photo
from personal.data.photos import CAPTIONS
from personal.data.ranks import ranks_of_own
from personal.errors import ModelError, PersonalError
from personal.evaluate.asking import Report, Watch, digest, read, register, unwatched
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.layouts import shape
from personal.images import open_photo, read_photo
from personal.retrieve.encoder import address
from personal.settings import TINY, Settings

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.data.photos import CaptionedPhoto, Photos

AT_ONCE = 32
"""Captions that are read together."""
BOTH, CONCEPT, TEXT = "both", "concept_alone", "text_alone"
ANYTHING = "thing"

Array = NDArray[np.float32]


class Sides(Protocol):
    """Compares photos with texts: rows of unit length."""

    def photo(self, photo: Photo) -> Array: ...
    def texts(self, texts: Sequence[str]) -> Array: ...


def search(
    settings: Settings,
    photos: Photos,
    rows: Sequence[CaptionedPhoto],
    *,
    journal: Journal | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Rank the photos of `rows` by each of their captions, with the encoder that the settings name.

    Raises ModelError where it cannot be opened, PersonalError where no photo can be read.
    """
    towers, journal = Towers(settings), journal or Journal()
    notes: list[str] = []
    images: list[Array] = []
    queries: list[tuple[int, CaptionedPhoto, str]] = []
    for row in watch(rows, "photos"):
        photo = read(photos, row, notes)
        if photo is not None:
            queries += [(len(images), row, caption) for caption in row.captions]
            images.append(_seen(towers, photo, journal))
    if not images:
        raise PersonalError(f"None of the photos of {photos.folder} can be read.\n" + "\n".join(notes[:10]))
    parts = [[text for *_, text in queries[i : i + AT_ONCE]] for i in range(0, len(queries), AT_ONCE)]
    texts = [towers.texts(part) for part in watch(parts, "captions")]
    ranks = ranks_of_own(np.concatenate(images), np.concatenate(texts), [number for number, *_ in queries])
    answers = [
        {"photo": row.image, "query": text, "rank": round(float(rank) + 1, 1)}
        for (_, row, text), rank in zip(queries, ranks, strict=True)
    ]
    report = Report(notes=notes, answers=answers)
    for k in (1, 5, 10):
        report.measure(f"recall@{k}", [row.image for _, row, _ in queries], [[r < k, 1] for r in ranks])
    report.figures |= {"photos": len(images), "queries": len(queries)}
    return report


def in_library(
    assistant: Assistant,
    sides: Sides,
    dataset: shape.Dataset,
    *,
    references: int,
    seeds: int = 1,
    journal: Journal | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Search the queries' photos of a dataset that is `usable` by name and context, with each seed's references.

    `recall@k` is the share of searches with a right photo among the first k, `map` the mean average precision; the
    baselines are found by the concept alone and by the text alone. Raises PersonalError where there are no searches.
    """
    dataset, journal = searched(dataset), journal or Journal()
    kinds = {subject.name: subject.category or ANYTHING for subject in dataset.subjects}
    answers: list[dict[str, Any]] = []
    vectors: dict[Path, Array] = {}
    library: list[Path] = []
    for seed in range(seeds):
        owner = f"seed-{seed}"
        dealt = shape.deal(dataset, references, seed=seed)
        library = list(dict.fromkeys(query.path for query in dealt.queries))
        asked = [search for search in dataset.searches if not search.photos.isdisjoint(library)]
        register(assistant, owner, shape.photos(dealt.references))
        known = digest(assistant, owner)
        similarities = []
        for path in watch(library, f"photos, seed {seed}"):
            photo = read_photo(path)
            if path not in vectors:
                vectors[path] = _seen(sides, photo, journal)
            asked_of = {"rank": photo.sha256, "library": known}
            ranked = journal.recall(asked_of, partial(_ranked, assistant, owner, photo))
            similarities.append([ranked.get(name, -1.0) for name in dealt.references])
        column = {
            name: standard(values) for name, values in zip(dealt.references, np.array(similarities).T, strict=True)
        }
        seen = np.concatenate([vectors[path] for path in library])
        for search in watch(asked, f"searches, seed {seed}"):
            text = _filled(search, kinds)
            by_text = standard((seen @ sides.texts([text])[0]).astype(np.float64))
            by_concept = np.mean([column[name] for name in search.concepts] or [np.zeros(len(library))], axis=0)
            right = np.array([path in search.photos for path in library])
            scores = {BOTH: by_concept + by_text, CONCEPT: by_concept, TEXT: by_text}
            ranks = {name: [round(rank, 1) for rank in right_ranks(score, right)] for name, score in scores.items()}
            answers.append({"seed": seed, "query": search.text, "concepts": list(search.concepts), "ranks": ranks})
    if not answers:
        raise PersonalError(f"None of the searches of {dataset.folder} has a photo that can be used.")
    report = _scored(answers, BOTH)
    report.baselines = {name: _scored(answers, name) for name in (CONCEPT, TEXT)}
    report.answers = answers
    report.notes = list(dataset.notes)
    report.figures |= {"photos": len(library), "queries": len(answers)}
    return report


def searched(dataset: shape.Dataset) -> shape.Dataset:
    """Return a dataset that has searches. Raises PersonalError where it has none."""
    if not dataset.searches:
        raise PersonalError(
            f"{dataset.folder} has neither {CAPTIONS} nor searches by name and context: give ConCon-Chi, PerVL, or "
            "MyVLM with its captions."
        )
    return dataset


def _ranked(assistant: Assistant, owner: str, photo: Photo) -> Reply:
    return {match.concept.name: match.similarity or 0.0 for match in assistant.rank(owner, photo)}


def _seen(sides: Sides, photo: Photo, journal: Journal) -> Array:
    """Return a photo's vector, (1, dimension), from the journal where it was seen before."""

    def see() -> Reply:
        return {"vector": base64.b64encode(sides.photo(photo).astype("<f4").tobytes()).decode()}

    held = journal.recall({"vector": photo.sha256}, see)["vector"]
    return np.frombuffer(base64.b64decode(held), "<f4")[None].astype(np.float32)


def standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring values to mean 0 and deviation 1; equal ones to 0."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)


def right_ranks(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> list[float]:
    """Rank the right photos among all by their scores, from 1, the best first; ties with wrong ones count half."""
    wrong = scores[~right]
    return [
        place + float((wrong > score).sum() + (wrong == score).sum() / 2)
        for place, score in enumerate(sorted(scores[right], reverse=True), 1)
    ]


def _scored(answers: Sequence[dict[str, Any]], way: str) -> Report:
    """Count each search once, those by the same words of the same concepts together in the intervals."""
    report = Report()
    groups = [(answer["query"], *answer["concepts"]) for answer in answers]
    ranks = [answer["ranks"][way] for answer in answers]
    for k in (1, 5, 10):
        report.measure(f"recall@{k}", groups, [[found[0] <= k, 1] for found in ranks])
    precision = [float(np.mean([place / rank for place, rank in enumerate(found, 1)])) for found in ranks]
    report.measure("map", groups, [[value, 1] for value in precision])
    return report


def _filled(search: shape.Search, kinds: Mapping[str, str]) -> str:
    """Write each concept's category where the search has its *; more of them than concepts go."""
    text = search.text
    for name in search.concepts:
        text = text.replace("*", kinds[name], 1)
    return " ".join(text.replace("*", " ").split())


class Towers:
    """The encoder's two towers, open_clip's own, on the CPU. Raises ModelError where they cannot be opened."""

    def __init__(self, settings: Settings) -> None:
        self._model, self._preprocess, self._tokenizer = _open(settings)

    def photo(self, photo: Photo) -> Array:
        """Return a photo's vector (1, dimension), unit length."""
        import torch

        with torch.inference_mode():
            return _vectors(self._model.encode_image(self._preprocess(open_photo(photo))[None], normalize=True))

    def texts(self, texts: Sequence[str]) -> Array:
        """Return texts' vectors (n, dimension), unit length."""
        import torch

        with torch.inference_mode():
            return _vectors(self._model.encode_text(self._tokenizer(list(texts)), normalize=True))


def _open(settings: Settings) -> tuple[Any, Any, Any]:
    """Open the encoder's both towers on the CPU: model, image transform, tokenizer."""
    from personal.tiny.assemble import assemble, encoder_dir

    source = settings.encoder
    if source == TINY:
        for _ in assemble(settings.cache_dir):
            pass
        source = str(encoder_dir(settings.cache_dir))
    name, pretrained = address(source)
    try:
        import open_clip

        model, preprocess = open_clip.create_model_from_pretrained(name, pretrained, device="cpu")
        return model.eval(), preprocess, open_clip.get_tokenizer(name)
    except (RuntimeError, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The encoder {settings.encoder} cannot be opened for photos and text: {str(error)[:300]}. "
            "PERSONAL_ENCODER takes a folder with open_clip_config.json and its weights, hf-hub:OWNER/NAME, or "
            "ARCHITECTURE/PRETRAINED."
        ) from error


def _vectors(embedded: Any) -> Array:
    return np.asarray(embedded.float().numpy(), dtype=np.float32)
