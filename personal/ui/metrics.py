"""Metrics of the running app in Prometheus's format: numbers alone, nothing of anybody.

What is measured comes from the log, whose records carry numbers as fields (`personal.logs`): it is measured in one
place, and log and metrics agree. The route is for the operator: docs/deployment.md says how it is guarded.
"""

from __future__ import annotations

import hmac
import logging
import shutil
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from personal.logs import ACCESS
from personal.ui.doors import LOOPBACK, NOTHING

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
"""Upper bounds of the histograms' buckets."""


class Observer(logging.Handler):
    """Counts what is logged. Takes the place of no other handler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.INFO)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(f"personal_{name}_seconds", text, buckets=SECONDS, registry=registry)

        self._seconds = {
            "look_s": seconds("look", "Recognition of a photo that was shown."),
            "retrieve_s": seconds("retrieve", "Recognition before an answer."),
            "first_token_s": seconds("first_token", "From the question to the first token, the queue included."),
            "total_s": seconds("answer", "From the question to the end of the answer."),
        }
        self._tokens = Counter("personal_answer_tokens", "Tokens that the model wrote.", registry=registry)
        self._errors = Counter("personal_errors", "Errors by type, shown or logged.", ["type"], registry=registry)
        self._requests = Counter(
            "personal_requests", "Requests that have ended.", ["method", "route", "status"], registry=registry
        )

    def emit(self, record: logging.LogRecord) -> None:
        fields = vars(record)
        if record.name == ACCESS:
            self._requests.labels(fields["method"], fields["route"], str(fields["status"])).inc()
            return
        for name, histogram in self._seconds.items():
            if name in fields:
                histogram.observe(fields[name])
        self._tokens.inc(fields.get("tokens", 0))
        if record.exc_info and record.exc_info[0]:
            self._errors.labels(record.exc_info[0].__name__).inc()


class Present(Collector):
    """What is so at the moment it is asked for: `values` returns name → (what it is, value)."""

    def __init__(self, values: Callable[[], dict[str, tuple[str, float]]]) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        for name, (text, value) in self._values().items():
            yield GaugeMetricFamily(f"personal_{name}", text, value)


class Metrics:
    """The route of metrics, an ASGI endpoint. With `token` it is for whoever sends it, else for this machine alone."""

    def __init__(self, values: Callable[[], dict[str, tuple[str, float]]], token: str = "") -> None:
        self._token = token
        self._registry = CollectorRegistry()
        self._observer = Observer(self._registry)
        ProcessCollector(registry=self._registry)
        self._registry.register(Present(values))
        logging.getLogger("personal").addHandler(self._observer)

    def close(self) -> None:
        """Count no further."""
        logging.getLogger("personal").removeHandler(self._observer)

    async def send(self, request: Request) -> Response:
        """Send the metrics. Whoever may not have them learns at most that there are some."""
        if self._token and not self._knows_token(request):
            return PlainTextResponse("The metrics take a token.", 401, {"www-authenticate": "Bearer"})
        if not self._token and not _from_here(request):
            return PlainTextResponse(NOTHING, 404)
        content = await run_in_threadpool(generate_latest, self._registry)
        return Response(content, headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})

    def _knows_token(self, request: Request) -> bool:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode())


def free_bytes(folder: Path) -> int:
    """Return how much room the disk of a folder has; the folder need not exist."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def _from_here(request: Request) -> bool:
    """Tell whether this machine itself asks, by one of its own names and through no proxy."""
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    try:
        here = ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        here = False
    return here and host in LOOPBACK and not request.scope.get("proxied")
