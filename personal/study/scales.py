"""Published questionnaires: their items word for word, and their scores by the published rules.

SUS (Brooke, 1996), raw NASA-TLX (Hart & Staveland, 1988; Hart, 2006), UEQ-S (Schrepp, Hinderks & Thomaschewski, 2017),
and three items of the trust scale of Jian, Bisantz & Drury (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from personal.study.items import Item, Questionnaire

Scores = dict[str, float]
"""Scores by name: `score`, or `pragmatic`, `hedonic` and `overall` of UEQ-S."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A published questionnaire: `ranges` are the lowest and highest value of each score, `higher` what more means."""

    title: str
    instructions: str
    source: str
    items: tuple[Item, ...]
    score: Callable[[Mapping[str, Any]], Scores]
    ranges: Mapping[str, tuple[float, float]]
    higher: str


def _likert(name: str, texts: tuple[str, ...], points: int, low: str, high: str) -> tuple[Item, ...]:
    return tuple(
        Item(id=f"{name}{number}", kind="likert", text=text, points=points, low=low, high=high)
        for number, text in enumerate(texts, 1)
    )


_SUS = (
    "I think that I would like to use this system frequently.",
    "I found the system unnecessarily complex.",
    "I thought the system was easy to use.",
    "I think that I would need the support of a technical person to be able to use this system.",
    "I found the various functions in this system were well integrated.",
    "I thought there was too much inconsistency in this system.",
    "I would imagine that most people would learn to use this system very quickly.",
    "I found the system very cumbersome to use.",
    "I felt very confident using the system.",
    "I needed to learn a lot of things before I could get going with this system.",
)
_TLX = (
    ("mental", "Mental demand: how mentally demanding was the task?", "very low", "very high"),
    ("physical", "Physical demand: how physically demanding was the task?", "very low", "very high"),
    ("temporal", "Temporal demand: how hurried or rushed was the pace of the task?", "very low", "very high"),
    (
        "performance",
        "Performance: how successful were you in accomplishing what you were asked to do?",
        "perfect",
        "failure",
    ),
    (
        "effort",
        "Effort: how hard did you have to work to accomplish your level of performance?",
        "very low",
        "very high",
    ),
    (
        "frustration",
        "Frustration: how insecure, discouraged, irritated, stressed, and annoyed were you?",
        "very low",
        "very high",
    ),
)
_UEQS = (
    ("obstructive", "supportive"),
    ("complicated", "easy"),
    ("inefficient", "efficient"),
    ("confusing", "clear"),
    ("boring", "exciting"),
    ("not interesting", "interesting"),
    ("conventional", "inventive"),
    ("usual", "leading edge"),
)
_TRUST = ("I am confident in the system.", "The system is reliable.", "I can trust the system.")


def _sus(responses: Mapping[str, Any]) -> Scores:
    """Odd items count from 0 up, even ones from 4 down; the sum times 2.5 is 0 to 100."""
    values = [responses[f"sus{number}"] for number in range(1, 11)]
    return {"score": 2.5 * sum(value - 1 if place % 2 == 0 else 5 - value for place, value in enumerate(values))}


def _tlx(responses: Mapping[str, Any]) -> Scores:
    """The mean of six scales of 21 marks, 0 to 100 in fives, unweighted."""
    return {"score": fmean(5.0 * (responses[name] - 1) for name, *_ in _TLX)}


def _ueqs(responses: Mapping[str, Any]) -> Scores:
    """Seven marks are -3 to 3; items 1 to 4 are pragmatic quality, 5 to 8 hedonic."""
    values = [responses[f"ueqs{number}"] - 4 for number in range(1, 9)]
    return {"pragmatic": fmean(values[:4]), "hedonic": fmean(values[4:]), "overall": fmean(values)}


def _trust(responses: Mapping[str, Any]) -> Scores:
    return {"score": fmean(responses[f"trust{number}"] for number in range(1, 4))}


SCALES: dict[str, Scale] = {
    "sus": Scale(
        "System Usability Scale",
        "How much do you agree with these statements about the assistant you just used?",
        "Brooke, J. (1996). SUS: a 'quick and dirty' usability scale.",
        _likert("sus", _SUS, 5, "strongly disagree", "strongly agree"),
        _sus,
        {"score": (0, 100)},
        "more usable",
    ),
    "tlx": Scale(
        "NASA Task Load Index",
        "How was the part that you just finished?",
        "Hart, S. G. & Staveland, L. E. (1988). Development of NASA-TLX. Unweighted as in Hart, S. G. (2006).",
        tuple(Item(id=n, kind="likert", text=text, points=21, low=low, high=high) for n, text, low, high in _TLX),
        _tlx,
        {"score": (0, 100)},
        "more demanding",
    ),
    "ueqs": Scale(
        "User Experience Questionnaire, short",
        "Which of each two words fits the assistant better? Decide as it comes to your mind.",
        "Schrepp, M., Hinderks, A. & Thomaschewski, J. (2017). Design and evaluation of a short version of the UEQ.",
        tuple(
            Item(id=f"ueqs{n}", kind="likert", text=f"{low} – {high}", points=7, low=low, high=high)
            for n, (low, high) in enumerate(_UEQS, 1)
        ),
        _ueqs,
        {"pragmatic": (-3, 3), "hedonic": (-3, 3), "overall": (-3, 3)},
        "a better experience",
    ),
    "trust": Scale(
        "Trust",
        "How much do these statements describe your impression of the assistant?",
        "Three items of Jian, J.-Y., Bisantz, A. M. & Drury, C. G. (2000). Foundations for an empirically determined "
        "scale of trust in automated systems.",
        _likert("trust", _TRUST, 7, "not at all", "extremely"),
        _trust,
        {"score": (1, 7)},
        "more trust",
    ),
    "preference": Scale(
        "Preference",
        "Think back to all the parts.",
        "A single item.",
        (Item(id="preferred", kind="preference", text="In which part did you like the assistant best?"),),
        lambda responses: {},
        {},
        "",
    ),
}


def items_of(questionnaire: Questionnaire) -> tuple[Item, ...]:
    """Return all items of a questionnaire: those of its scale, then its own."""
    return (*(SCALES[questionnaire.scale].items if questionnaire.scale else ()), *questionnaire.items)


def title_of(questionnaire: Questionnaire) -> str:
    """Return the title that participants see."""
    return questionnaire.title or (SCALES[questionnaire.scale].title if questionnaire.scale else "A few questions")


def instructions_of(questionnaire: Questionnaire) -> str:
    """Return the sentence above the items; "" where there is none."""
    return questionnaire.instructions or (SCALES[questionnaire.scale].instructions if questionnaire.scale else "")


def source_of(questionnaire: Questionnaire) -> str:
    """Return the publication that a scale is from; "" for own items alone."""
    return SCALES[questionnaire.scale].source if questionnaire.scale else ""


def scores(questionnaire: Questionnaire, responses: Mapping[str, Any]) -> Scores:
    """Return the scores of a questionnaire's scale by its published rules; none where an answer is missing."""
    if questionnaire.scale is None:
        return {}
    scale = SCALES[questionnaire.scale]
    return scale.score(responses) if all(item.id in responses for item in scale.items) else {}


def failed_attention(questionnaire: Questionnaire, responses: Mapping[str, Any]) -> list[str]:
    """Return the ids of the attention checks that were answered wrongly."""
    checks = [item for item in questionnaire.items if item.kind == "attention" and item.id in responses]
    return [item.id for item in checks if responses[item.id] != item.expect]
