"""How sure recognition is of a match, in words."""

from __future__ import annotations

from personal.assistant import VERIFIED_BETWEEN
from personal.concepts import Match, PhotoFindings

SURE = (
    (0.95, "very sure"),
    (0.8, "quite sure"),
    (VERIFIED_BETWEEN[1], "fairly sure"),
    (VERIFIED_BETWEEN[0], "unsure"),
)
"""Probabilities from which a match is called that."""


def sure(match: Match) -> str:
    """How sure recognition is of a match, in words where it can tell, and its similarity."""
    similarity = f"similarity {match.similarity:.2f}"
    if match.probability is None:
        return similarity
    words = next((words for least, words in SURE if match.probability >= least), "unlikely")
    return f"{words}, {similarity}"


def how(match: Match) -> str:
    """How a match came about, in words."""
    if match.similarity is None:
        return "named in your question"
    verdict = {None: "", True: ", confirmed by the language model", False: ", turned down by the language model"}
    return f"seen{' by the face' if match.by_face else ''}, {sure(match)}{verdict[match.confirmed]}"


def describe(found: PhotoFindings) -> str:
    """Alternative text of a photo, made of what was recognised in it."""
    names = [match.concept.name for match in found.seen if match.box]
    return f"Photo with {', '.join(names)}" if names else "Photo in which nothing of yours was recognised"
