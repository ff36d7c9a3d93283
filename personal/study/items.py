"""Questions of a study as values: items, and the questionnaires that they are in; and what all parts are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from personal.settings import MAX_TEXT

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
"""Short names within a study: they become columns of the data."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Link = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=2000)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
File = Annotated[str, StringConstraints(pattern=r"^(sample:)?[^/\\:\x00][^\\:\x00]*$", max_length=200)]
"""A photo beside the study file, or `sample:NAME` for one that ships with the app."""


class Part(BaseModel):
    """The base of all parts: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Item(Part):
    """A question of a questionnaire.

    `likert`: 1 to `points`, ends named by `low` and `high`. `choice`: one of `options`, or several with `multiple`.
    `preference`: which of the parts (conditions, in the participant's order) was best. `text`: free text. `attention`:
    a Likert item or a choice that tells the participant what to answer, which is `expect`.
    """

    id: Id
    kind: Literal["likert", "choice", "preference", "text", "attention"]
    text: Text
    required: bool = True
    points: int | None = Field(default=None, ge=2, le=101)
    low: Short | None = None
    high: Short | None = None
    options: tuple[Short, ...] = Field(default=(), max_length=50)
    multiple: bool = False
    expect: int | Short | None = None
    max_length: int = Field(default=2000, ge=1, le=20_000)

    @model_validator(mode="after")
    def _complete(self) -> Item:
        if self.kind == "likert" and self.points is None:
            raise ValueError("a likert item needs points, such as points: 7.")
        if self.kind == "choice" and len(self.options) < 2:
            raise ValueError("a choice needs two options or more.")
        if self.kind == "attention":
            if (self.points is None) == (len(self.options) < 2):
                raise ValueError("an attention check needs points or two options, and not both.")
            right = range(1, self.points + 1) if self.points else self.options
            if self.expect not in right:
                raise ValueError("an attention check needs expect: the answer that it asks for, one that can be given.")
        elif self.expect is not None:
            raise ValueError("expect is for attention checks. Take kind: attention, or leave it out.")
        if len(set(self.options)) < len(self.options):
            raise ValueError("two options are the same. Keep one.")
        return self


class Questionnaire(Part):
    """A published `scale`, or own `items`, or both: own ones come after the scale's.

    Scales: `sus`, `tlx` (raw NASA-TLX), `ueqs` (UEQ-S), `trust`, `preference` (a single item).
    """

    id: Id
    scale: Literal["sus", "tlx", "ueqs", "trust", "preference"] | None = None
    title: Short | None = None
    instructions: Text | None = None
    items: tuple[Item, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _asks_something(self) -> Questionnaire:
        if self.scale is None and not self.items:
            raise ValueError("it asks nothing. Name a scale, such as scale: sus, or list items.")
        ids = [item.id for item in self.items]
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise ValueError(f"two items have the id {twice}. Give each its own.")
        return self
