"""What frames the tabs: the header, what visitors are told first, and the screen shown while the app starts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from personal.concepts import Progress
from personal.settings import TINY
from personal.ui.render.elements import SMALL_MODEL, act, icon
from personal.ui.routes import PASSWORD, SIGN_IN, SIGN_OUT


def opening(progress: Progress, error: str = "") -> str:
    """The first page: what is being made ready, and how far it is."""
    if error:
        return (
            f'<section class="opening"><h2>Startup failed</h2><p role="alert">{escape(error)}</p>'
            f'<button class="primary" {act("retry")}>Try again</button></section>'
        )
    share = 100 * progress.done / progress.total if progress.total else None
    bar = f'<progress max="100" {"" if share is None else f"value={share:.0f}"}></progress>'
    return (
        '<section class="opening"><h2>Getting ready</h2><p>The first time, the built-in model is put together on this '
        f'machine; that takes about a minute.</p>{bar}<p role="status">{escape(progress.text)}</p></section>'
    )


def header(model: str, note: str, menu: str | None = None, *, opened: bool = False, account: str = "") -> str:
    """The line at the top: whose app this is, what runs, and the switch between light and dark.

    `menu` are the models that can be switched to (`model_menu`), None where nobody may switch; `account` is HTML.
    """
    doubt = f'<small class="doubt">{SMALL_MODEL}</small>' if model == TINY else ""
    running = f'<span class="running" title="{escape(note)}">{escape(model)}</span>{doubt}'
    if menu is not None:
        running = (
            f'<details class="menu models"{" open" if opened else ""}><summary {act("models")}>{running}'
            f'{icon("down")}<span class="unseen">Switch model</span></summary><div>{menu}</div></details>'
        )
    return (
        '<header class="top"><h1><a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Personal</a>'
        f'</h1>{running}{account}<button {act("theme")} aria-label="Light or dark">{icon("moon")}</button></header>'
    )


def account(name: str, *, sign_in: bool, sign_out: bool, password: bool = False) -> str:
    """Return the link by which a guest signs in, or the menu of who has: each where it can be done.

    `password`: they have one, to be changed.
    """
    if not name:
        return f'<a class="account" href="{SIGN_IN}">Sign in</a>' if sign_in else ""
    shown = f'{icon("user")}<span class="who">{escape(name)}</span>'
    if not sign_out:
        return f'<span class="account" title="Signed in">{shown}</span>'
    change = f'<a href="{PASSWORD}">Change password</a>' if password else ""
    return (
        f'<details class="menu account"><summary>{shown}</summary><div><form method="post" action="{SIGN_OUT}">'
        '<button>Sign out</button><button name="everywhere" value="1">Sign out everywhere</button>'
        f"{change}</form></div>"
        "</details>"
    )


def model_menu(offers: Sequence[tuple[str, str]], running: str, chosen: str = "", about: str = "") -> str:
    """Return the models on offer, (title, id) each; what is known of the `chosen` one stands below it, to be used."""
    if not offers:
        return '<p class="note" role="status">Looking at what fits this machine …</p>'
    note = '<p class="note">A larger model describes photos better. Recognition stays as it is.</p>'
    rows = []
    for title, source in offers:
        current = ' aria-current="true"' if source == running else ""
        detail = (
            f'<div class="about">{about}<button class="primary" {act("use", model=source)}>'
            "Use this model</button></div>"
            if source == chosen
            else ""
        )
        rows.append(f"<li><button{current} {act('model', model=source)}>{escape(title)}</button>{detail}</li>")
    return f"{note if running == TINY else ''}<ul>{''.join(rows)}</ul>"


def banner(*, guest: bool, sees: bool, model: str, server: str = "", ended: str = "", sign_in: bool = False) -> str:
    """What a visitor must know before the first photo: that an earlier visit `ended`, where it goes, what the model
    can do."""
    lines = [ended] if ended else []
    if guest:
        lines.append(
            "You are a guest here: your photos and concepts are visible to you alone and are erased when you leave. "
            f"{'Sign in, or export what' if sign_in else 'Export what'} you want to keep."
        )
    if server:
        lines.append(
            f"Answers come from {server}: your questions, the photos in them and what you wrote about your concepts "
            "are sent there."
        )
    if not sees:
        lines.append(
            f"{model} does not look at photos: it is told which of your concepts are there, where, and what you wrote "
            "about them. Recognition does look."
        )
    if not sees and model == TINY:
        lines[-1] += " What it has learnt is missing from this installation: python -m personal doctor says more."
    return "".join(f'<p class="banner">{escape(line)}</p>' for line in lines)
