"""Pages beside the app's own: plain HTML without a script, in the palette of `assets/app.css`."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from personal.settings import ASSETS

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; grid-template-columns: minmax(0, 1fr); place-items: center;
  padding: 24px; background: var(--ground);
  color: var(--ink); font: 16px/1.5 ui-sans-serif, system-ui, "Segoe UI", "Noto Sans", sans-serif; }
main { width: min(400px, 100%); background: var(--paper); border: 1px solid var(--line); border-radius: 18px;
  padding: 30px 28px; }
h1 { font: 700 1.5rem/1.2 var(--serif); margin: 0 0 6px; } p { margin: 0 0 16px; color: var(--faint); }
form { display: grid; gap: 14px; margin: 0 0 14px; } label { display: grid; gap: 5px; font-size: .92rem; }
label.check { display: flex; gap: 9px; align-items: baseline; }
input:not([type=checkbox]) { font: inherit; padding: 10px 12px; border: 1px solid var(--line); border-radius: 10px;
  background: var(--ground); color: var(--ink); width: 100%; }
input[type=checkbox] { accent-color: var(--accent); }
button, .button { font: inherit; font-weight: 600; display: block; width: 100%; text-align: center; padding: 11px 16px;
  border-radius: 10px; cursor: pointer; text-decoration: none; border: 1px solid var(--accent);
  background: var(--accent); color: var(--on-accent); }
.button { margin: 0 0 10px; background: none; color: var(--ink); border-color: var(--line); }
.problem { color: var(--danger); font-weight: 600; } a { color: var(--accent); }
main.wide { width: min(980px, 100%); min-width: 0; } h2 { font: 600 1.1rem/1.3 var(--serif); margin: 26px 0 8px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } .scroll { overflow-x: auto; }
th, td { text-align: left; padding: 8px 10px; border-bottom: 1px solid var(--line); vertical-align: middle; }
td form { display: flex; gap: 8px; margin: 0; } td input:not([type=checkbox]) { width: 6.5rem; padding: 6px 9px; }
td button, td .button { width: auto; padding: 6px 12px; margin: 0; font-size: .88rem; display: inline-block; }
td button { background: none; color: var(--danger); border-color: var(--danger); } td { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; } dt { color: var(--faint); }
dd { margin: 0; } .few { max-width: 300px; }
.guest { margin: 16px 0 0; text-align: center; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""


def page(title: str, content: str, *, wide: bool = False) -> str:
    """Return a page that holds some HTML."""
    shape = ' class="wide"' if wide else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · Personal</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_style()}</style></head><body><main{shape}><h1>Personal</h1>{content}</main></body></html>"
    )


@cache
def _style() -> str:
    """Return the page's style: the palette as the app has it, dark where the browser prefers that."""
    css = (ASSETS / "app.css").read_text(encoding="utf-8")
    light, dark = (css.split(f"{selector} {{", 1)[1].split("}", 1)[0] for selector in (":root", "\n.dark"))
    return f":root {{{light}}} @media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}{STYLE}"


def policy() -> str:
    """Return the page's Content-Security-Policy but for who may frame it: its own style and forms, nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'"
