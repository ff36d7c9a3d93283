"""The page to sign in on: plain HTML without a script, in the palette of `assets/app.css`."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape

from personal.settings import ASSETS
from personal.ui.routes import PROVIDER, SIGN_IN

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--ground);
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
.guest { margin: 16px 0 0; text-align: center; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""


def sign_in(
    *,
    by_password: bool,
    shared_password: bool,
    provider: str,
    guests: bool,
    concepts: int = 0,
    problem: str = "",
    name: str = "",
    new_tab: bool = False,
) -> str:
    """Return the page, with each way in that there is.

    `provider` is the host of the provider of accounts, "" for none; `concepts` is how many a guest has who may take
    them along; `new_tab` is for a page in a frame, where a provider does not show itself.
    """
    parts = [f'<p class="problem" role="alert">{escape(problem)}</p>'] if problem else []
    if by_password or shared_password:
        parts.append(_form(by_password, shared_password, concepts, name))
    if provider:
        target = ' target="_blank"' if new_tab else ""
        label = f"Sign in with {escape(provider)}"
        if concepts:
            along = f"{label} and take my {_concepts(concepts)} along"
            parts.append(f'<a class="button" href="{PROVIDER}?along=1"{target}>{along}</a>')
        parts.append(f'<a class="button" href="{PROVIDER}"{target}>{label}</a>')
    if not (by_password or shared_password or provider):
        parts.append("<p>Nobody can sign in here yet. Whoever runs this app adds people with “personal users add”.</p>")
    if guests and not shared_password:
        parts.append('<p class="guest"><a href="/">Go on as a guest</a></p>')
    return _page("".join(parts))


def _form(by_password: bool, shared_password: bool, concepts: int, name: str) -> str:
    optional = " (if you have an account)" if shared_password else ""
    field = (
        f'<label>Name{optional}<input name="name" autocomplete="username" maxlength="64" value="{escape(name)}" '
        f"{'' if shared_password else 'required'}{'' if name else ' autofocus'}></label>"
    )
    along = (
        '<label class="check"><input type="checkbox" name="along" value="1" checked> '
        f"Take my {_concepts(concepts)} along</label>"
    )
    focus = " autofocus" if name or not by_password else ""
    return (
        f'<form method="post" action="{SIGN_IN}">{field if by_password else ""}<label>Password<input type="password" '
        f'name="password" autocomplete="current-password" maxlength="256" required{focus}></label>'
        f"{along if concepts else ''}<button>Sign in</button></form>"
    )


def _concepts(count: int) -> str:
    return f"{count} concept{'' if count == 1 else 's'}"


def _page(content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in · Personal</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_style()}</style></head><body><main><h1>Personal</h1>{content}</main></body></html>"
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
