"""What a study file says, as values: `Study` and its parts. `personal.study.loading` reads one from YAML.

Everything that can be wrong within one part is checked here; `personal.study.coherence` checks what parts say of each
other. Messages say what to do; the line is added by the loader.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from personal.settings import MAX_TEXT
from personal.study.items import Code, File, Id, Item, Link, Part, Questionnaire, Short, Text


class Consent(Part):
    """The text that a participant agrees to before anything is recorded; `agree` is the label of the box."""

    text: Text
    agree: Short = "I have read this, I am taking part of my own free will, and I agree."
    keep_photos: Short = "My photos may be kept with the study's data."


class Screening(Part):
    """A question of who may take part: an answer that is not among `accept` ends at the screened-out page."""

    id: Id
    text: Text
    options: tuple[Short, ...] = Field(min_length=2, max_length=20)
    accept: tuple[Short, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _accepts_options(self) -> Screening:
        if unknown := [one for one in self.accept if one not in self.options]:
            raise ValueError(f"accept names {unknown[0]!r}, which is none of the options. Take one of them.")
        if set(self.accept) == set(self.options):
            raise ValueError("accept names every option, so nobody is screened out. Leave one out.")
        return self


class Condition(Part):
    """How the assistant answers: None means as the app's settings say. Participants never see any of this.

    `memory` off answers without concepts. `retrieval` off leaves photos unsearched: only concepts named in a question
    are known. `findings` off always asks the language model. `model` is as PERSONAL_MODEL, or "server". `confidence`
    is the probability (0..1), `threshold` the similarity (-1..1) from which a name is said. `prompt` precedes each
    question that the model is asked.
    """

    id: Id
    memory: bool = True
    retrieval: bool = True
    findings: bool = True
    model: Short | None = None
    confidence: float | None = Field(default=None, gt=0, lt=1)
    threshold: float | None = Field(default=None, ge=-1, le=1)
    top_k: int | None = Field(default=None, ge=1, le=20)
    temperature: float = Field(default=0.0, ge=0, le=2)
    prompt: Text | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What tells the condition from another: all but its id."""
        return self.model_dump(exclude={"id"})


class Order(Part):
    """How conditions are ordered: by a balanced Latin square (Williams, 1949) or at random, from `seed`."""

    kind: Literal["balanced", "random"] = "balanced"
    seed: int = 0


class GivenConcept(Part):
    """A concept that every participant starts with."""

    name: Short
    category: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    info: Annotated[str, StringConstraints(max_length=2000)] = ""
    photos: tuple[File, ...] = Field(min_length=1, max_length=20)


class Concepts(Part):
    """Which concepts there are: `own` ones that participants register, `given` ones, the app's `samples`, or `none`.

    With `when: once` they are registered before the first condition, else anew in each.
    """

    kind: Literal["own", "given", "samples", "none"] = "own"
    minimum: int = Field(default=1, ge=0, le=20)
    instructions: Text = "Add the people, pets or things that you want to talk about, each with a name and photos."
    given: tuple[GivenConcept, ...] = ()
    when: Literal["once", "each_condition"] = "once"

    @model_validator(mode="after")
    def _given_where_said(self) -> Concepts:
        if self.kind == "given" and not self.given:
            raise ValueError("kind is given, and no concept is. List them under given, or take kind: own.")
        if self.kind != "given" and self.given:
            raise ValueError(f"concepts are given, and kind is {self.kind}. Take kind: given.")
        return self


class Task(Part):
    """What participants do: `chat`, `ab` (two conditions answer side by side, blind) or `rate` an answer.

    `photos` is "own" or a list of files. For `rate`, `question` is asked about the first photo and the answer rated
    by `items`. `ab` tasks come after all conditions and compare `conditions` (the study's two where there are two).
    Participants go on after `minimum_turns` questions and `minimum_seconds`.
    """

    id: Id
    type: Literal["chat", "ab", "rate"] = "chat"
    title: Short | None = None
    instructions: Text
    photos: Literal["own"] | tuple[File, ...] = "own"
    starters: tuple[Short, ...] = Field(default=(), max_length=12)
    minimum_turns: int = Field(default=1, ge=0, le=100)
    minimum_seconds: int = Field(default=0, ge=0, le=7200)
    conditions: tuple[Id, Id] | None = None
    question: Short | None = None
    items: tuple[Item, ...] = ()
    ask_reason: bool = True

    @model_validator(mode="after")
    def _fits_its_type(self) -> Task:
        if self.conditions and self.type != "ab":
            raise ValueError("conditions are for tasks of type ab: others are done in every condition. Leave them out.")
        if self.conditions and self.conditions[0] == self.conditions[1]:
            raise ValueError("it compares a condition with itself. Name two.")
        if self.type == "rate" and not (self.question and self.items):
            raise ValueError("a task of type rate needs the question that is asked, and items to rate the answer by.")
        if self.type != "rate" and (self.question or self.items):
            raise ValueError("question and items are for tasks of type rate. Use starters and a questionnaire.")
        return self


class Ending(Part):
    """The last page: its text, the code to hand in, and where to go: `{code}` in the link stands for the code.

    Without `code` everybody who finishes gets their own.
    """

    text: Text = "Thank you for taking part."
    code: Code | None = None
    link: Link | None = None


class Logging(Part):
    """What may be recorded. `lengths` keeps no word that was written, nor names of concepts.

    Photos: `never`, `hashed` (SHA-256 salted for the study), or `kept` by those who agree to that.
    `identifiers` of the link (such as PROLIFIC_PID): `kept`, or `hashed` only.
    """

    text: Literal["text", "lengths"] = "lengths"
    photos: Literal["never", "hashed", "kept"] = "hashed"
    identifiers: Literal["kept", "hashed"] = "kept"


class Parameters(Part):
    """Names of the link's parameters; `participant` tells participants apart."""

    participant: Annotated[str, StringConstraints(pattern=r"^\w{1,40}$")] = "PROLIFIC_PID"
    study: Annotated[str, StringConstraints(pattern=r"^\w{1,40}$")] = "STUDY_ID"
    session: Annotated[str, StringConstraints(pattern=r"^\w{1,40}$")] = "SESSION_ID"


class Comparison(Part):
    """A comparison of two conditions that was planned before the data: a `measure`, and which way it is expected."""

    measure: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$")]
    conditions: tuple[Id, Id]
    test: Literal["t", "wilcoxon"] = "t"

    @model_validator(mode="after")
    def _two(self) -> Comparison:
        if self.conditions[0] == self.conditions[1]:
            raise ValueError("it compares a condition with itself. Name two.")
        return self


class Analysis(Part):
    """What is reported: `planned` comparisons are corrected among themselves, all others are marked exploratory."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    correction: Literal["holm", "bonferroni", "fdr_bh"] = "holm"
    planned: tuple[Comparison, ...] = Field(default=(), max_length=50)
    exclude_failed_attention: bool = False


class Study(Part):
    """A study, as its file says. Condition ids never reach a participant's browser."""

    title: Short
    participants: int = Field(default=24, ge=1, le=10_000)
    parameters: Parameters = Parameters()
    consent: Consent
    eligibility: tuple[Screening, ...] = Field(default=(), max_length=20)
    tutorial: Text | None = None
    conditions: tuple[Condition, ...] = Field(min_length=1, max_length=8)
    order: Order = Order()
    concepts: Concepts = Concepts()
    tasks: tuple[Task, ...] = Field(min_length=1, max_length=50)
    questionnaires: tuple[Questionnaire, ...] = Field(default=(), max_length=50)
    after_condition: tuple[Id, ...] = ()
    final: tuple[Id, ...] = ()
    debrief: Text = "That was all. Thank you!"
    completion: Ending = Ending()
    screened_out: Ending = Ending(text="Thank you for your interest. This study looks for other participants.")
    log: Logging = Logging()
    retention: date
    analysis: Analysis = Analysis()

    @field_validator("retention", mode="before")
    @classmethod
    def _written_out(cls, value: object) -> object:
        if isinstance(value, bool | int | float):
            raise ValueError("must be a date such as 2030-12-31.")
        return value

    def condition(self, condition_id: str) -> Condition:
        """Return a condition. Raises KeyError."""
        return {one.id: one for one in self.conditions}[condition_id]

    def questionnaire(self, questionnaire_id: str) -> Questionnaire:
        """Return a questionnaire. Raises KeyError."""
        return {one.id: one for one in self.questionnaires}[questionnaire_id]

    def task(self, task_id: str) -> Task:
        """Return a task. Raises KeyError."""
        return {one.id: one for one in self.tasks}[task_id]
