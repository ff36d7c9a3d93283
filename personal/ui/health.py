"""Whether the app can be used right now, for load balancers and supervisors: no visitor is made, nothing is told.

`/healthz` says that the process answers (`personal.ui.doors`); `/readyz` that photos can be shown to it.
"""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from personal.compose import Opening
from personal.errors import PersonalError
from personal.ui.metrics import free_bytes

MIN_FREE_BYTES = 256 * 2**20
"""Bytes that the disk of the data folder must have left."""

log = logging.getLogger(__name__)


class Health:
    """The route of readiness, an ASGI endpoint."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def send(self, request: Request) -> Response:
        """Send what is ready and what is not: 200 if all is, else 503."""
        checks = await run_in_threadpool(self.checks)
        ready = all(state == "ok" for state in checks.values())
        return JSONResponse(
            {"ready": ready, "checks": checks}, 200 if ready else 503, headers={"cache-control": "no-store"}
        )

    def checks(self) -> dict[str, str]:
        """Return the state of models, store and disk: "ok", or a word that says why not."""
        opening = self._opening
        assistant = opening.assistant
        if assistant is None:
            state = "failed" if opening.error else "loading"
            return {"model": state, "store": state, "disk": self._disk()}
        try:
            assistant.library.owners()
            assistant.index.ping()
            store = "ok"
        except PersonalError as error:
            log.warning("The store is not ready.", exc_info=error)
            store = "failed"
        return {"model": "ok", "store": store, "disk": self._disk()}

    def _disk(self) -> str:
        return "ok" if free_bytes(self._opening.settings.data_dir) >= MIN_FREE_BYTES else "full"
