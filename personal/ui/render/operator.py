"""The operator's page: figures, the last errors, and the owners with what can be done about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from personal.ui.render.elements import plural
from personal.ui.render.plain import page
from personal.ui.routes import OPERATOR


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """An owner as the operator sees them: never what they keep."""

    owner: str
    name: str
    concepts: int
    size: str
    here: bool


def operator(
    *,
    figures: Sequence[tuple[str, str]],
    errors: Sequence[tuple[str, str, str]],
    owners: Sequence[OwnerRow],
    paused: bool,
    told: str = "",
) -> str:
    """Return the page; `errors` are (time, type, where), newest first, `told` is what has just been done."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in figures)
    act, words = ("resume", "Let new visitors in") if paused else ("pause", "Let nobody new in")
    said = f'<p role="status"><b>{escape(told)}</b></p>' if told else ""
    rows = "".join(f"<tr>{''.join(f'<td>{escape(part)}</td>' for part in row)}</tr>" for row in errors)
    return page(
        "Operator",
        f"{said}<h2>Now</h2><dl>{facts}</dl>"
        f'<form method="post" action="{OPERATOR}" class="few"><p></p><button name="act" value="{act}">{words}</button>'
        "</form>"
        f'<h2>Owners</h2><div class="scroll"><table>{"".join(map(_owner, owners))}</table></div>'
        f'<h2>Last errors</h2><div class="scroll"><table>{rows or "<tr><td>None.</td></tr>"}</table></div>',
        wide=True,
    )


def _owner(row: OwnerRow) -> str:
    return (
        f"<tr><td><b>{escape(row.name)}</b>{' · here now' if row.here else ''}</td>"
        f"<td>{plural(row.concepts, 'concept')}</td><td>{escape(row.size)}</td>"
        f'<td><a class="button" href="{OPERATOR}?export={quote(row.owner)}">Export</a></td>'
        f'<td><form method="post" action="{OPERATOR}"><input type="hidden" name="owner" value="{escape(row.owner)}">'
        f'<input name="confirm" aria-label="Type erase to erase what is {escape(row.name)}’s" placeholder="erase" '
        'autocomplete="off" required><button name="act" value="erase">Erase</button></form></td></tr>'
    )
