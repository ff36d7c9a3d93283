"""Published figures of each protocol, and the table that compares ours with them.

Figures are shares, 0..1, from the papers' tables. They come from other models, photos and hardware, so they tell what
to expect of comparable work, not who is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from personal.evaluate.report import Report

RAP = "Hao et al., CVPR 2025, arXiv 2410.13360"
R2P = "Das et al., ICCV 2025, arXiv 2503.18623"
REPIC = "Oh et al., NeurIPS 2025, arXiv 2506.18369"


@dataclass(frozen=True)
class Published:
    """A line of a paper's table: figures by our column, and their setting."""

    system: str
    figures: Mapping[str, float]
    setting: str
    source: str


@dataclass(frozen=True)
class Protocol:
    """The table of a protocol.

    `columns` map headings to our figures, `others` are further rows of our run with other figures under the same
    headings, and `stricter` tells where we count more strictly than the papers.
    """

    title: str
    columns: Mapping[str, str]
    stricter: str
    others: tuple[tuple[str, Mapping[str, str]], ...] = ()
    published: tuple[Published, ...] = ()


NAMED = "verification (the question names the concept), Yo'LLaVA's photos"
SEEN = "identification (found from pixels alone), Yo'LLaVA's photos"
RETRIEVER = "YOLO-World and CLIP-L, F1 of the two retrieved, {}"

PROTOCOLS = {
    "recognition": Protocol(
        'Recognition: "Is <name> in this photo?", every photo with every concept',
        {"weighted": "weighted", "positive": "positive", "negative": "negative"},
        "Anything but yes or no is wrong; Yo'LLaVA's script drops it. All concepts are registered at once, and no "
        "reference photo is asked about.",
        published=(
            Published("RAP-LLaVA-13B", {"weighted": 0.980}, f"{NAMED}; 1 photo and text", RAP),
            Published("RAP-Phi3-V", {"weighted": 0.955}, f"{NAMED}; 1 photo and text", RAP),
            Published("GPT-4V", {"weighted": 0.925}, f"{NAMED}; 5 photos", RAP),
            Published("Yo'LLaVA", {"weighted": 0.924}, f"{NAMED}; 5 photos and negatives, trained", RAP),
            Published("MyVLM", {"weighted": 0.919}, f"{NAMED}; 4-5 photos and negatives, trained", RAP),
            Published("R2P", {"weighted": 0.940}, f"{SEEN}; 1 photo", R2P),
            Published("RAP, run again", {"weighted": 0.918}, f"{SEEN}; 1 photo and text", R2P),
        ),
    ),
    "caption": Protocol(
        "Captions of photos with registered concepts, retrieval on",
        {"F1": "f1", "recall": "recall", "precision": "precision", "false names": "false_names"},
        "A wrong name costs precision, also beside a right one, where RePIC's scorer lets it pass; a name counts in "
        "its brackets alone; photos without a registered concept are captioned too, and any name there is a false one.",
        published=(
            Published("RAP-Qwen", {"F1": 0.964}, "retrieval on, DreamBooth's photos", REPIC),
            Published("RePIC", {"F1": 0.944}, "retrieval on, DreamBooth's photos", REPIC),
            Published("RAP-LLaVA", {"F1": 0.812}, "retrieval on, Yo'LLaVA's photos", REPIC),
        ),
    ),
    "choice": Protocol(
        "Two-option questions about concepts",
        {"accuracy": "with_info"},
        "Every question is asked in both orders of its options, for 390 of the 400 published keys of the text-only "
        "ones are A; a reply that chooses neither is wrong.",
        others=(
            ("the same, told nothing of the concept", {"accuracy": "without_info"}),
            ("the same, not shown the photo", {"accuracy": "without_photo"}),
            ("always A, both orders", {"accuracy": "always_a"}),
            ("always A, published order", {"accuracy": "always_a_published"}),
        ),
        published=(
            Published("RAP-LLaVA", {"accuracy": 0.935}, "visual; users reproduce .747 to .906", RAP),
            Published("RAP-LLaVA", {"accuracy": 0.938}, "text-only; users reproduce .747 to .906", RAP),
            Published("GPT-4V", {"accuracy": 0.887}, "visual", RAP),
            Published("GPT-4V", {"accuracy": 0.987}, "text-only", RAP),
            Published("LLaVA-1.5-13B", {"accuracy": 0.941}, "visual, not personalised", RAP),
        ),
    ),
    "identify": Protocol(
        "Identification: whose photo is it, and is it anybody's?",
        {"top-1": "top1", "top-2": "top2", "AUROC": "auroc", "F1": "f1"},
        "The first name counts, where the published retrievers may give two; with unregistered concepts one threshold, "
        "the one that ships, holds for all of them.",
        published=(
            Published("RAP's retriever", {"top-2 F1": 0.967}, RETRIEVER.format("MyVLM's photos"), "paper not verified"),
            Published(
                "RAP's retriever", {"top-2 F1": 0.833}, RETRIEVER.format("Yo'LLaVA's photos"), "paper not verified"
            ),
            Published(
                "RAP's retriever", {"top-2 F1": 0.977}, RETRIEVER.format("DreamBooth's photos"), "paper not verified"
            ),
        ),
    ),
    "multi": Protocol(
        "Photos with several registered concepts",
        {"F1 of 2": "caption_f1_of_2", "F1 of 4": "caption_f1_of_4", "false names": "caption_false_names"},
        "Everybody is registered at once, and a name that does not belong costs precision.",
        others=(
            (
                "this run, retrieval alone",
                {"F1 of 2": "f1_of_2", "F1 of 4": "f1_of_4", "false names": "false_names"},
            ),
        ),
        published=(
            Published("RePIC", {"F1 of 2": 0.957}, "captions, two concepts", REPIC),
            Published("RePIC", {"F1 of 4": 0.192}, "captions, four concepts", REPIC),
        ),
    ),
    "search": Protocol(
        'Search in a library by "<name> + context"',
        {"R@1": "recall@1", "R@5": "recall@5", "R@10": "recall@10", "mAP": "map"},
        "The name's part comes from the Assistant's own recognition.",
    ),
}


def comparison(protocol: str, report: Report, settings: Mapping[str, Any]) -> str:
    """Return a report as Markdown: its figures with intervals, baselines, published figures, and settings."""
    known = PROTOCOLS.get(protocol) or Protocol(protocol.capitalize(), {}, "")
    headings = list(dict.fromkeys([*known.columns, *(name for row in known.published for name in row.figures)]))
    rows = [("**this run**", _cells(report, known.columns), _setting(settings), "")]
    rows += [(name, _cells(report, columns), "", "this run") for name, columns in known.others]
    rows += [
        (name.replace("_", " "), _cells(baseline, known.columns), "", "this run")
        for name, baseline in report.baselines.items()
    ]
    rows = [row for row in rows if row[1]]
    rows += [
        (row.system, {name: f"{value:.3f}" for name, value in row.figures.items()}, row.setting, row.source)
        for row in known.published
    ]
    lines = [f"# {_plain(known.title)}", ""]
    if rows:
        lines += [_row(["", *headings, "setting", "source"]), _row(["---"] * (len(headings) + 3))]
        lines += [_row([name, *(cells.get(h, "–") for h in headings), *rest]) for name, cells, *rest in rows]
        lines += ["", "In brackets: 95 % of a bootstrap. The published rows are of other models, photos and machines."]
    if known.stricter:
        lines += ["", f"Where this run is stricter: {known.stricter}"]
    lines += ["", "## All figures", "", _row(["figure", "value"]), _row(["---", "---"])]
    lines += [_row([name, _shown(report, name)]) for name in report.figures]
    lines += ["", "## Settings", "", _row(["setting", "value"]), _row(["---", "---"])]
    lines += [_row([name, str(value)]) for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _setting(settings: Mapping[str, Any]) -> str:
    """Return the most important settings of a run for a cell; all of them are below the table."""
    said = [str(settings[name]) for name in ("answered_by", "model") if settings.get(name)][:1]
    if "no_names" in settings:
        said.append("identification" if settings["no_names"] else "verification")
    counted = ("encoder", "threshold", "references", "seeds", "unregistered")
    return ", ".join([*said, *(f"{name} {settings[name]}" for name in counted if settings.get(name))])


def _cells(report: Report, columns: Mapping[str, str]) -> dict[str, str]:
    """Return a row's figures by heading, empty if the report has none of them."""
    return {heading: _shown(report, name) for heading, name in columns.items() if report.figures.get(name) is not None}


def _shown(report: Report, name: str) -> str:
    value = report.figures[name]
    if not isinstance(value, float):
        return "–" if value is None else str(value)
    low_high = report.intervals.get(name)
    return f"{value:.3f}" + (f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else "")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Escape a cell: no line breaks, bars or HTML tags."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
