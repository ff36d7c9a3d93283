"""Search: photos by their captions, and, in a library with concepts, by "<name> + context".

By caption: every caption of the test split is a query; the rank of its own photo counts. By name and context (PALAVRA,
Cohen et al., ECCV 2022; ConCon-Chi, Rosasco et al., CVPR 2024): the Assistant ranks the concepts for every photo, the
encoder's text side compares the photo with the query, a concept's category in its name's place ("thing" if there is
none). Both similarities are standardised over the photos of the library, for each query, and added up; of several
concepts the mean is taken. Each alone is a baseline. The text side is open_clip's `encode_image` and `encode_text`.
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
from personal.evaluate.asking import ProgressBar, library_digest, no_progress_bar, register
from personal.evaluate.captioned import read_captioned
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.layouts import Dataset, Search, deal, photos_of
from personal.evaluate.report import Report
from personal.images import open_photo, read_photo
from personal.retrieve.encoder import address
from personal.settings import TINY, Settings

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.data.photos import CaptionedPhoto, Photos

CAPTIONS_AT_ONCE = 32
"""Captions in a forward pass."""
BOTH, CONCEPT, TEXT = "both", "concept_alone", "text_alone"
ANYTHING = "thing"

Array = NDArray[np.float32]


class TwoTowers(Protocol):
    """Encodes photos and texts in one space: rows of unit length."""

    def photo(self, photo: Photo) -> Array: ...
    def texts(self, texts: Sequence[str]) -> Array: ...


def search(
    settings: Settings,
    photos: Photos,
    rows: Sequence[CaptionedPhoto],
    *,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Rank the photos of `rows` by each of their captions, with the encoder of the settings.

    Raises ModelError if it cannot be opened, PersonalError if no photo can be read.
    """
    towers, journal = OpenClipTowers(settings), journal or Journal()
    notes: list[str] = []
    images: list[Array] = []
    queries: list[tuple[int, CaptionedPhoto, str]] = []
    for row in progress(rows, "photos"):
        photo = read_captioned(photos, row, notes)
        if photo is not None:
            queries += [(len(images), row, caption) for caption in row.captions]
            images.append(_photo_vector(towers, photo, journal))
    if not images:
        raise PersonalError(f"None of the photos of {photos.folder} can be read.\n" + "\n".join(notes[:10]))
    parts = [[text for *_, text in queries[i : i + CAPTIONS_AT_ONCE]] for i in range(0, len(queries), CAPTIONS_AT_ONCE)]
    texts = [towers.texts(part) for part in progress(parts, "captions")]
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
    towers: TwoTowers,
    dataset: Dataset,
    *,
    references: int,
    seeds: int = 1,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Search the photos of a `usable` dataset's queries by name and context, with each seed's references.

    `recall@k` is the share of searches with a right photo among the first k, `map` the mean average precision; the
    baselines search by the concept alone and by the text alone. Raises PersonalError if there are no searches.
    """
    dataset, journal = require_searches(dataset), journal or Journal()
    kinds = {subject.name: subject.category or ANYTHING for subject in dataset.subjects}
    answers: list[dict[str, Any]] = []
    vectors: dict[Path, Array] = {}
    library: list[Path] = []
    for seed in range(seeds):
        dealt = deal(dataset, references, seed=seed)
        library = list(dict.fromkeys(query.path for query in dealt.queries))
        asked = [search for search in dataset.searches if not search.photos.isdisjoint(library)]
        by_name = _concept_scores(assistant, f"seed-{seed}", dealt.references, library, journal, progress)
        for path in progress([path for path in library if path not in vectors], f"vectors, seed {seed}"):
            vectors[path] = _photo_vector(towers, read_photo(path), journal)
        images = np.concatenate([vectors[path] for path in library])
        for search in progress(asked, f"searches, seed {seed}"):
            by_text = standardise((images @ towers.texts([_query_text(search, kinds)])[0]).astype(np.float64))
            by_concept = np.mean([by_name[name] for name in search.concepts] or [np.zeros(len(library))], axis=0)
            right = np.array([path in search.photos for path in library])
            scores = {BOTH: by_concept + by_text, CONCEPT: by_concept, TEXT: by_text}
            ranks = {name: [round(rank, 1) for rank in ranks_of_right(score, right)] for name, score in scores.items()}
            answers.append({"seed": seed, "query": search.text, "concepts": list(search.concepts), "ranks": ranks})
    if not answers:
        raise PersonalError(f"None of the searches of {dataset.folder} has a photo that can be used.")
    report = _score(answers, BOTH)
    report.baselines = {name: _score(answers, name) for name in (CONCEPT, TEXT)}
    report.answers = answers
    report.notes = list(dataset.notes)
    report.figures |= {"photos": len(library), "queries": len(answers)}
    return report


def _concept_scores(
    assistant: Assistant,
    owner: str,
    references: Mapping[str, Sequence[Path]],
    library: Sequence[Path],
    journal: Journal,
    progress: ProgressBar,
) -> dict[str, NDArray[np.float64]]:
    """Register a seed's references and return each concept's standardised similarity to every photo."""
    register(assistant, owner, photos_of(references))
    digest = library_digest(assistant, owner)
    similarities = []
    for path in progress(library, f"photos, {owner}"):
        photo = read_photo(path)
        ranked = journal.recall({"rank": photo.sha256, "library": digest}, partial(_rank, assistant, owner, photo))
        similarities.append([ranked.get(name, -1.0) for name in references])
    columns = np.array(similarities).T
    return {name: standardise(values) for name, values in zip(references, columns, strict=True)}


def require_searches(dataset: Dataset) -> Dataset:
    """Return the dataset. Raises PersonalError if it has no searches."""
    if not dataset.searches:
        raise PersonalError(
            f"{dataset.folder} has neither {CAPTIONS} nor searches by name and context: give ConCon-Chi, PerVL, or "
            "MyVLM with its captions."
        )
    return dataset


def _rank(assistant: Assistant, owner: str, photo: Photo) -> Reply:
    return {match.concept.name: match.similarity or 0.0 for match in assistant.rank(owner, photo)}


def _photo_vector(towers: TwoTowers, photo: Photo, journal: Journal) -> Array:
    """Return a photo's vector, (1, dimension), from the journal if it is there."""

    def encode() -> Reply:
        return {"vector": base64.b64encode(towers.photo(photo).astype("<f4").tobytes()).decode()}

    kept = journal.recall({"vector": photo.sha256}, encode)["vector"]
    return np.frombuffer(base64.b64decode(kept), "<f4")[None].astype(np.float32)


def standardise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with mean 0 and deviation 1, equal ones as 0."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)


def ranks_of_right(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> list[float]:
    """Return the ranks of the right photos among all by their scores, from 1; ties with wrong ones count half."""
    wrong = scores[~right]
    return [
        place + float((wrong > score).sum() + (wrong == score).sum() / 2)
        for place, score in enumerate(sorted(scores[right], reverse=True), 1)
    ]


def _score(answers: Sequence[dict[str, Any]], by: str) -> Report:
    """Compute recall and mAP; searches by the same words of the same concepts are one group of the intervals."""
    report = Report()
    groups = [(answer["query"], *answer["concepts"]) for answer in answers]
    ranks = [answer["ranks"][by] for answer in answers]
    for k in (1, 5, 10):
        report.measure(f"recall@{k}", groups, [[found[0] <= k, 1] for found in ranks])
    precision = [float(np.mean([place / rank for place, rank in enumerate(found, 1)])) for found in ranks]
    report.measure("map", groups, [[value, 1] for value in precision])
    return report


def _query_text(search: Search, kinds: Mapping[str, str]) -> str:
    """Return a search's text with each * replaced by its concept's category, and further ones dropped."""
    text = search.text
    for name in search.concepts:
        text = text.replace("*", kinds[name], 1)
    return " ".join(text.replace("*", " ").split())


class OpenClipTowers:
    """The encoder's two towers, open_clip's own, on the CPU. Raises ModelError if they cannot be opened."""

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
    """Load the encoder on the CPU: model, image transform, tokenizer."""
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
