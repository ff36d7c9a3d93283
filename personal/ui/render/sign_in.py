"""The page to sign in on."""

from __future__ import annotations

from html import escape

from personal.ui.render.plain import page
from personal.ui.routes import PASSWORD, PROVIDER, SIGN_IN


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
    return page("Sign in", "".join(parts))


def change_password(problem: str = "") -> str:
    """Return the page to change a password on."""
    fields = (("old", "Password until now", "current"), ("new", "New password", "new"), ("again", "Once more", "new"))
    inputs = "".join(
        f'<label>{label}<input type="password" name="{name}" autocomplete="{kind}-password" maxlength="256" required>'
        "</label>"
        for name, label, kind in fields
    )
    said = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return page(
        "Change password",
        f'{said}<p>Every other browser will be signed out.</p><form method="post" action="{PASSWORD}">{inputs}'
        '<button>Change password</button></form><p class="guest"><a href="/">Back</a></p>',
    )


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
