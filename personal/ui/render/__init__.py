"""From values to HTML: pure functions, tested without a browser.

Everything that a person or a model wrote is escaped here, and nowhere else. What can be clicked carries `data-act`,
which `assets/app.js` passes to the tab's handler.
"""

from personal.ui.render.answer import answer_html, chip, live, place, prose, used
from personal.ui.render.certainty import describe, how, sure
from personal.ui.render.chats import chats
from personal.ui.render.concepts import (
    PAGE,
    cards,
    draft_hint,
    forgotten,
    import_preview,
    look_alikes,
    negatives,
    new_photos,
    unsaved,
    views_strip,
)
from personal.ui.render.elements import act, busy, facts, icon, note, picture, plural, problem, strip, toast
from personal.ui.render.names import names
from personal.ui.render.page import account, banner, header, model_menu, opening
from personal.ui.render.panel import nearest, panel
from personal.ui.render.review import nothing_to_review, review
from personal.ui.render.thread import drafts, entry_html, log

__all__ = [
    "PAGE",
    "account",
    "act",
    "answer_html",
    "banner",
    "busy",
    "cards",
    "chats",
    "chip",
    "describe",
    "draft_hint",
    "drafts",
    "entry_html",
    "facts",
    "forgotten",
    "header",
    "how",
    "icon",
    "import_preview",
    "live",
    "log",
    "look_alikes",
    "model_menu",
    "names",
    "nearest",
    "negatives",
    "new_photos",
    "note",
    "nothing_to_review",
    "opening",
    "panel",
    "picture",
    "place",
    "plural",
    "problem",
    "prose",
    "review",
    "strip",
    "sure",
    "toast",
    "unsaved",
    "used",
    "views_strip",
]
