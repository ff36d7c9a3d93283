"""The models that the app offers by name. Any other id or folder can be set by hand."""

from __future__ import annotations

from dataclasses import dataclass

from personal.settings import TINY


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model on offer: what it is, under which licence, whether it looks at photos, and what to know about it."""

    id: str
    title: str
    licence: str
    sees: bool
    note: str


MODELS = (
    ModelCard(
        id=TINY,
        title="The embedded default (SmolLM2-135M-Instruct)",
        licence="Apache-2.0",
        sees=True,
        note="Runs anywhere without a model hub. Small: a sentence at a time; beyond people and dogs outdoors it errs.",
    ),
)


def card(model_id: str) -> ModelCard | None:
    """Find the card of a model that is on offer."""
    return next((model for model in MODELS if model.id == model_id), None)
