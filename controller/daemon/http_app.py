"""What is served over HTTP: metrics and health. Read-only; every other path and method gets a plain answer.

A WSGI application, so that it can be asked without a socket; `http_server` puts it on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.daemon.metrics import Metrics
from controller.daemon.status import PassResult, Status
from controller.instant import Clock

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

ALIVE_WITHIN_SECONDS = 60.0
"""The loop is heard of every ten seconds; a removal or a list may keep it longer, and says so meanwhile."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: str
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


def plain(status: str, text: str) -> Page:
    """A line of text."""
    return Page(status, f"{text}\n".encode())


@dataclass
class Vitals:
    """Signs of life of the controller itself, written by its threads and read by the server's."""

    clock: Clock
    threads_alive: Callable[[], bool]
    status: Status | None = None
    last_heartbeat: float = 0.0
    """Uptime."""

    def beat(self) -> None:
        """The loop is alive."""
        self.last_heartbeat = self.clock.now().uptime_seconds

    def health(self) -> str:
        """What is wrong with the controller itself; empty if nothing is."""
        silent_for = self.clock.now().uptime_seconds - self.last_heartbeat
        if silent_for > ALIVE_WITHIN_SECONDS:
            return f"the loop has not been heard of for {silent_for:.0f} s"
        return "" if self.threads_alive() else "a thread has died"

    def readiness(self) -> str:
        """Why the controller cannot do its work now; empty if it can."""
        if self.status is None or self.status.last_success is None:
            return "no pass has succeeded yet" + (f": {self.status.trouble}" if self.status else "")
        return self.status.trouble if self.status.result is PassResult.FAILED else ""


class HttpApp:
    """Answers requests from what the last pass has published."""

    def __init__(self, vitals: Vitals, metrics: Metrics) -> None:
        self._vitals = vitals
        self._metrics = metrics
        self._routes: Mapping[str, Callable[[Environ], Page]] = {
            "/": self._index,
            "/metrics": self._scrape,
            "/healthz": lambda _: _verdict(self._vitals.health()),
            "/readyz": lambda _: _verdict(self._vitals.readiness()),
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        page = self._answer(environ)
        headers = [
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(page.body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ]
        start_response(page.status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [page.body]

    def _answer(self, environ: Environ) -> Page:
        route = self._routes.get(environ.get("PATH_INFO") or "/")
        if route is None:
            return plain("404 Not Found", f"there is nothing here; try one of {' '.join(self._routes)}")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return plain("405 Method Not Allowed", "this can only be read")
        return route(environ)

    def _index(self, _: Environ) -> Page:
        return plain("200 OK", "\n".join(path for path in self._routes if path != "/"))

    def _scrape(self, environ: Environ) -> Page:
        body, content_type = self._metrics.exposition(environ.get("HTTP_ACCEPT", ""))
        return Page("200 OK", body, content_type)


def _verdict(trouble: str) -> Page:
    return plain("503 Service Unavailable", trouble) if trouble else plain("200 OK", "ok")
