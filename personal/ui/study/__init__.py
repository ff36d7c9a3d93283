"""User studies in the browser: the participant's steps, the researcher's pages, and the calls of scripted participants.

Pages are made on the server from `assets/study`; they work without a script, which only makes them quicker.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from personal.ui.study.access import Access
from personal.ui.study.api import Calls
from personal.ui.study.pages import SCRIPT, STYLE, script, style
from personal.ui.study.participant import Participants
from personal.ui.study.researcher import HOME, Researchers
from personal.ui.study.rooms import Rooms

__all__ = ["Rooms", "routes"]


def routes(rooms: Rooms) -> list[BaseRoute]:
    """Return the routes of studies."""
    access, calls = Access(rooms.settings.study_password), Calls(rooms)
    return [
        Route("/study/{study}/api/state", calls.state),
        Route("/study/{study}/api/{name}", calls.call, methods=["POST"]),
        Route(STYLE, style),
        Route(SCRIPT, script),
        *_of_participants(Participants(rooms, access)),
        *_of_researchers(Researchers(rooms, access)),
    ]


def _of_participants(pages: Participants) -> list[Route]:
    listed = [Route("/study/{study}/withdrawn", pages.withdrawn)]
    for entry in ("/study/{study}", "/study/{study}/preview"):
        listed += [Route(entry, pages.arrive), Route(entry, pages.consent, methods=["POST"])]
    for here in ("/study/{study}/p/{participant}", "/study/{study}/preview/{participant}"):
        listed += [
            Route(here, pages.show),
            Route(here, pages.go_on, methods=["POST"]),
            Route(f"{here}/live", pages.live),
            Route(f"{here}/photo/{{sha256}}", pages.photo),
            Route(f"{here}/leave", pages.leave),
            Route(f"{here}/leave", pages.withdraw, methods=["POST"]),
        ]
        listed += [Route(f"{here}/try", pages.practise, methods=["POST"]), Route(f"{here}/try", pages.back)]
        for name in ("concepts", "ask", "act", "vote", "rate"):
            listed += [Route(f"{here}/{name}", getattr(pages, name), methods=["POST"])]
            listed += [Route(f"{here}/{name}", pages.back)]  # an address that a form was sent to, opened again
    return listed


def _of_researchers(pages: Researchers) -> list[Route]:
    here = HOME + "/{study}"
    return [
        Route(HOME, pages.home),
        Route(HOME, pages.sign_in, methods=["POST"]),
        Route(f"{HOME}/out", pages.sign_out, methods=["POST"]),
        Route(f"{HOME}/new", pages.create, methods=["POST"]),
        Route(here, pages.show),
        Route(f"{here}/file", pages.save, methods=["POST"]),
        Route(f"{here}/file", pages.show),
        Route(f"{here}/photos", pages.add_photos, methods=["POST"]),
        Route(f"{here}/photos", pages.show),
        Route(f"{here}/data", pages.download),
        Route(f"{here}/report", pages.download),
        Route(f"{here}/status", pages.change, methods=["POST"]),
        Route(f"{here}/status", pages.show),
    ]
