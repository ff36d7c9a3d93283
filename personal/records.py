"""Concepts and matches as JSON, the same from the shell and from the endpoints for programs."""

from __future__ import annotations

from typing import Any

from personal.concepts import Concept, Match


def concept_record(concept: Concept) -> dict[str, Any]:
    """Return a concept for programs; `views` is their number."""
    return {
        "name": concept.name,
        "category": concept.category,
        "info": concept.info,
        "views": len(concept.views),
        "created": concept.created,
        "updated": concept.updated,
    }


def match_record(match: Match) -> dict[str, Any]:
    """Return a match for programs: `similarity` and `box` (fractions of 0..1) are None for one that was only named."""
    return {
        "name": match.concept.name,
        "similarity": None if match.similarity is None else round(match.similarity, 4),
        "box": None if match.box is None else [round(v, 4) for v in match.box],
        "reason": match.reason,
        "certainty": match.certainty,
    }
