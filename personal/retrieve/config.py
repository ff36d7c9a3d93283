"""Every constant of recognition in one frozen object, each with its unit and where its value comes from.

Sources are headings of docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecognitionConfig:
    """What the pipeline decides with: features → scores → assignment → boxes → calibration."""

    sure: float = 0.65
    """Probability from which a name is said ("Open-set recognition")."""
    maybe: float = 0.1
    """Probability from which a name is asked about ("Open-set recognition")."""
    margin_cap: float = 0.2
    """Cosine; a lead over the next best concept counts no further than this ("Open-set recognition")."""

    face_strictness: float = 0.2
    """How much of the way from the faces' threshold to 1 the highest confidence asks of faces."""

    nms_iou: float = 0.3
    """IoU above which a region of an assigned one is taken ("several in one photo")."""
    second_pass: float = 0.1
    """Cosine below the threshold at which an unassigned concept is worth a finer map ("a second look")."""
    wider: float = 0.03
    """Cosine that a box may lose by growing around its evidence ("a second look")."""
    around: float = 0.9
    """Share of the evidence that a wider box must hold ("a second look")."""

    cohort: float = 0.45
    """Share of a view's similarity to the cohort that is subtracted in a tiny region ("a second look")."""
    confuser: float = 0.1
    """Cosine within which two concepts are told apart by the linear discriminant ("a second look", Twins)."""
    below: float = 1e-3
    """Cosine by which a confuser that is not preferred stays below the one that is."""
    ridge: float = 0.4
    """Added to the within-concept variance, in units of its mean ("a second look", Twins)."""

    gallery_size: float = 20
    """Concepts that the threshold was fitted with ("a second look", 300 concepts)."""
    gallery_size_penalty: float = 0.024
    """Cosine by which the threshold rises for each e times the concepts ("a second look", 300 concepts)."""
    gallery_size_most: float = 0.5
    """The penalty's limit, as a share of what lies between the threshold and 1: a name can always be said."""
    confusable: float = 0.08
    """Cosine above the threshold from which two concepts' views are hard to tell apart ("a second look", Twins)."""

    exhaustive: int = 400
    """Views up to which every region is compared with every concept."""
    lookups: int = 32
    """Regions that are looked up in the index beyond that."""
    neighbours: int = 8
    """Vectors that each of them finds."""
    cached_photos: int = 32
    """Photos whose features are held."""
    library_concepts: int = 100
    """Concepts that a calibration is learnt from at most."""


CONFIG = RecognitionConfig()
