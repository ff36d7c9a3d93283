"""The report of a study: Markdown, the same as HTML, figures as PNG and SVG, comparisons as CSV.

The same data gives the same report, byte for byte. Only participants who finished are analysed; the others are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.errors import PersonalError
from personal.remember import disk
from personal.study import plots
from personal.study.coherence import digest
from personal.study.compare import Contrast, compare_all, friedman, overall, pairs_of
from personal.study.markdown import as_html, escape, interval, number, p_said, p_value, table
from personal.study.measures import measures
from personal.study.progress import progress
from personal.study.scales import items_of, source_of, title_of
from personal.study.schema import Condition
from personal.study.store import FILE, StudyStore
from personal.study.tables import Data, collect
from personal.study.votes import duels, strengths

if TYPE_CHECKING:
    import pandas as pd

FIGURES = "figures"
TEXTS = 200
"""Free texts that are listed for an item at most."""


def write_report(store: StudyStore, folder: Path) -> Path:
    """Write the report of a study's data into a new `folder`, and return report.html. Raises PersonalError."""
    fresh(folder)
    data = collect(store.study, store.participants())
    analysed = data.of(analysable(store, data))
    compared = compare_all(store.study, analysed.long)
    with disk.translate_errors(folder):
        parts = [
            _head(store),
            _counts(store, data, analysed),
            *_comparisons(store, compared),
            *_descriptives(store, analysed, folder / FIGURES),
            *_votes(analysed, folder / FIGURES),
            *_choices(store, analysed),
            *_texts(store, analysed),
            _times(store),
            _methods(store),
        ]
        text = "\n\n".join(part for part in parts if part) + "\n"
        (folder / "report.md").write_text(text, encoding="utf-8")
        (folder / "report.html").write_text(as_html(store.study.title, text), encoding="utf-8")
        _table_of(compared).to_csv(folder / "comparisons.csv", index=False)
    return folder / "report.html"


def fresh(folder: Path) -> None:
    """Make a folder that is empty. Raises PersonalError if it holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PersonalError(f"{folder} is there already. Name a new folder.")
    with disk.translate_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def analysable(store: StudyStore, data: Data) -> list[str]:
    """Return the ids of the participants whose data is analysed."""
    people = data.people
    if people.empty:
        return []
    kept = people["status"] == "finished"
    if store.study.analysis.exclude_failed_attention:
        kept &= people["failed_attention"] == 0
    return list(people.loc[kept, "participant"])


def _table_of(compared: Sequence[Contrast]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([asdict(one) for one in compared])


# -- parts of the text -------------------------------------------------------------------------------------------------


def _head(store: StudyStore) -> str:
    text = (store.folder / FILE).read_text(encoding="utf-8-sig")
    settings = table(("Condition", "Settings"), [(one.id, _settings(one)) for one in store.study.conditions])
    return (
        f"# {escape(store.study.title)}\n\nStudy `{store.id}`, file version `{digest(text)}`. "
        f"Data may be kept until {store.study.retention}.\n\n{settings}"
    )


def _settings(condition: Condition) -> str:
    changed = condition.model_dump(exclude_defaults=True, exclude={"id"})
    said = {name: str(value).lower() if isinstance(value, bool) else value for name, value in changed.items()}
    return ", ".join(f"{name}: {value}" for name, value in said.items()) or "as the app is set"


def _counts(store: StudyStore, data: Data, analysed: Data) -> str:
    going = progress(store)
    statuses = ("finished", "active", "screened_out")
    rows: list[Sequence[object]] = [("planned", going.planned)]
    rows += [(name.replace("_", " "), going.by_status.get(name, 0)) for name in statuses]
    rows += [("withdrawn and erased", going.withdrawn), ("analysed", len(analysed.people))]
    failed = 0 if data.people.empty else int((data.people["failed_attention"] > 0).sum())
    rows.append(("failed an attention check", failed))
    orders = table(
        ("Order of conditions", "Participants"), [(" → ".join(one), n) for one, n in sorted(going.orders.items())]
    )
    left = table(("Step that was not finished", "Participants"), going.standing.items())
    parts = ["## Participants", table(("Status", "Participants"), rows), orders, left]
    return "\n\n".join(part for part in parts if part)


_COMPARED = ("Measure", "Comparison", "n", "Means", "Difference [95 % CI]", "Test", "p", "corrected p", "Effect", "")


def _comparisons(store: StudyStore, compared: Sequence[Contrast]) -> Iterator[str]:
    analysis = store.study.analysis
    if not overall(store.study):
        return  # all of it is blind comparisons
    for planned, title, words in (
        (True, "## Planned comparisons", "They stood in the study file before the data."),
        (False, "## Exploratory comparisons", "**They were not planned**: take them as ideas for another study."),
    ):
        rows = [_row(store, one) for one in compared if one.planned is planned]
        none = "None could be made: there are too few participants, or all values are alike."
        found = table(_COMPARED, rows) or (none if analysis.planned or not planned else "None was planned.")
        yield f"{title}\n\n{words} Corrected by {analysis.correction}, α = {analysis.alpha}.\n\n{found}"


def _row(store: StudyStore, one: Contrast) -> Sequence[object]:
    name = "t" if one.test == "t" else "W"
    effect = "d" if one.test == "t" else "r"
    return (
        measures(store.study)[one.measure].title,
        f"{one.first} − {one.second}",
        one.pairs,
        f"{number(one.means[0])},\xa0{number(one.means[1])}",
        interval(one.difference, one.difference_low, one.difference_high),
        f"{name}\xa0=\xa0{number(one.statistic)}",
        p_value(one.p),
        p_value(one.corrected),
        f"{effect}\xa0=\xa0{interval(one.effect, one.effect_low, one.effect_high)}",
        ("differs" if one.planned else "may differ") if one.claimed else "",
    )


def _descriptives(store: StudyStore, data: Data, figures: Path) -> Iterator[str]:
    conditions = [one.id for one in store.study.conditions]
    known = measures(store.study)
    if overall(store.study):
        yield "## Values by condition"
    for name in overall(store.study):
        values = pairs_of(data.long, name, conditions)
        if values.empty:
            continue
        measure = known[name]
        told = values.describe().T
        rows = [
            (one, len(values), *(number(told.loc[one, column]) for column in ("mean", "std", "50%", "min", "max")))
            for one in conditions
        ]
        found = table(("Condition", "n", "Mean", "SD", "Median", "Lowest", "Highest"), rows)
        file = plots.by_condition(figures, measure, values)
        test = friedman(data.long, name, conditions)
        more = f" Higher is {measure.higher}." if measure.higher else ""
        yield f"### {escape(measure.title)}\n\n`{name}`.{more}\n\n{found}"
        if test:
            yield f"Friedman's test over all conditions: χ² = {number(test[0])}, {p_said(test[1])} (exploratory)."
        yield f"![{escape(measure.title)} by condition]({FIGURES}/{file}.svg)"


def _votes(data: Data, figures: Path) -> Iterator[str]:
    found = duels(data.votes)
    if not found:
        return
    yield "## Blind comparisons"
    rows = [
        (
            f"{one.first} : {one.second}",
            one.wins,
            one.losses,
            one.both_good,
            one.both_bad,
            interval(one.share, one.low, one.high),
            p_value(one.p),
        )
        for one in found
    ]
    head = ("Pair", "First won", "Second won", "Both good", "Both bad", "First's share of decided [95 % CI]", "p")
    yield table(head, rows)
    yield f"![Votes by pair]({FIGURES}/{plots.of_votes(figures, found)}.svg)"
    ranked = strengths(data.votes)
    if ranked:
        strong = [(one.condition, interval(one.strength, one.low, one.high)) for one in ranked]
        yield table(("Condition", "Bradley-Terry strength, log-odds [95 % CI]"), strong)
        yield f"![Bradley-Terry strengths]({FIGURES}/{plots.of_strengths(figures, ranked)}.svg)"


def _choices(store: StudyStore, data: Data) -> Iterator[str]:
    """Counts of preferences and choices that were asked outside of conditions."""
    from scipy import stats

    parts = []
    for name in store.study.final:
        questionnaire = store.study.questionnaire(name)
        for item in items_of(questionnaire):
            column = f"{name}.{item.id}"
            if item.kind not in ("preference", "choice", "likert") or column not in data.people:
                continue
            answers = data.people[column].dropna()
            counts = answers.str.split("; ").explode().value_counts() if item.multiple else answers.value_counts()
            if item.kind == "preference":
                counts = counts.reindex([one.id for one in store.study.conditions], fill_value=0)
            said = f"### {escape(title_of(questionnaire))}: {escape(item.text)}\n\n" + table(
                ("Answer", "Participants"), counts.sort_index().items()
            )
            if item.kind == "preference" and counts.sum():
                found = stats.chisquare(counts)
                said += (
                    f"\n\nAgainst equal shares: χ² = {number(found.statistic)}, {p_said(found.pvalue)} (exploratory)."
                )
            parts.append(said)
    if parts:
        yield "## Choices"
        yield from parts


def _texts(store: StudyStore, data: Data) -> Iterator[str]:
    if data.texts.empty:
        return
    yield "## In their own words"
    for (step, item), rows in data.texts.groupby(["step", "item"], sort=True):
        shown = [f"> {escape(text)}" for text in rows["text"].head(TEXTS)]
        more = f"\n\nand {len(rows) - TEXTS} more, in the export." if len(rows) > TEXTS else ""
        yield f"### {escape(step)}, {escape(item)}\n\n" + "\n\n".join(shown) + more


def _times(store: StudyStore) -> str:
    rows = [(step, number(seconds, 0)) for step, seconds in progress(store).seconds.items()]
    return "## Time\n\n" + table(("Step", "Median seconds"), rows) if rows else ""


def _methods(store: StudyStore) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pandas", "scipy", "statsmodels", "matplotlib"))
    scales = {f"{title_of(one)}: {source_of(one)}" for one in store.study.questionnaires if source_of(one)}
    installed: dict[str, Any] = next((one.records[0].get("versions", {}) for one in store.participants()), {})
    lines = [
        "Paired t-tests with Cohen's d of the differences, Wilcoxon's signed-rank tests with the matched-pairs "
        "rank-biserial correlation, Friedman's tests; each comparison uses the participants who have both values.",
        "Intervals of effect sizes and votes: percentile bootstrap over participants, with a fixed seed. "
        "Bradley-Terry strengths: logistic regression on decided votes, with half a vote each way for every pair.",
        *(escape(one) for one in sorted(scales)),
        f"Analysed with {libraries}.",
        f"Data taken with {', '.join(f'{key} {value}' for key, value in installed.items()) or 'no versions recorded'}.",
    ]
    return "## Methods\n\n" + "\n".join(f"- {line}" for line in lines)
