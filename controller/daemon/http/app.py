"""What is served over HTTP: metrics, health, the status as JSON and as a page. Read-only, and nothing from elsewhere.

A WSGI application, so that it can be asked without a socket; `http_server` puts it on one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.daemon.http.access import Access
from controller.daemon.metrics.collector import Metrics
from controller.daemon.overview import Overview
from controller.daemon.page import assets
from controller.daemon.page.page import explanation_page, status_page
from controller.daemon.page.query import Query
from controller.daemon.vitals import Liveness

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

_WORTH_COMPRESSING_BYTES = 4_096
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: str
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = (("Cache-Control", "no-store"),)


def plain(status: str, text: str, *headers: tuple[str, str]) -> Response:
    """A line of text."""
    return Response(status, f"{text}\n".encode(), headers=(("Cache-Control", "no-store"), *headers))


def html(text: str) -> Response:
    """A page."""
    return Response("200 OK", text.encode(errors="replace"), "text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the answers come from."""

    vitals: Liveness
    metrics: Metrics
    overview: Overview


class HttpApp:
    """Answers requests from what the last pass has published."""

    def __init__(self, sources: Sources, access: Callable[[], Access]) -> None:
        """`access` is asked at every request: passwords may change."""
        self._sources = sources
        self._access = access
        self._routes: Mapping[str, Callable[[Environ], Response]] = {
            "/": self._page,
            "/explain": self._explanation,
            "/api/status": self._status,
            "/metrics": self._scrape,
            "/healthz": lambda _: _verdict(sources.vitals.health()),
            "/readyz": lambda _: _verdict(sources.vitals.readiness()),
            **{path: _asset(path) for path in assets.PATHS},
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        answer = self._answer(environ)
        body, encoding = _encoded(answer.body, environ.get("HTTP_ACCEPT_ENCODING", ""))
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(body))),
            ("Vary", "Accept-Encoding"),
            *encoding,
            *answer.headers,
            *_ALWAYS,
        ]
        start_response(answer.status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: Environ) -> Response:
        path, access = environ.get("PATH_INFO") or "/", self._access()
        host = environ.get("HTTP_HOST", "")
        if not access.knows(host):
            return plain("421 Misdirected Request", f"this host does not know itself as {host!r}: see --allow-host")
        if not (path in _OPEN or access.admits(environ.get("HTTP_AUTHORIZATION", ""))):
            challenge = ("WWW-Authenticate", 'Basic realm="image controller", charset="UTF-8"')
            return plain("401 Unauthorized", "a name and a password are needed here", challenge)
        route = self._routes.get(path)
        if route is None:
            return plain("404 Not Found", f"there is nothing here; try one of {' '.join(_SHOWN)}")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return plain("405 Method Not Allowed", "this can only be read", ("Allow", "GET, HEAD"))
        return route(environ)

    def _page(self, environ: Environ) -> Response:
        return html(status_page(self._sources.overview.picture(), Query.parse(environ.get("QUERY_STRING", ""))))

    def _explanation(self, environ: Environ) -> Response:
        found = self._sources.overview.explained(Query.parse(environ.get("QUERY_STRING", "")).image)
        if not found:
            return plain("404 Not Found", "there is no such image on this node any more")
        return html(explanation_page(found))

    def _status(self, _: Environ) -> Response:
        """Written row by row: as values, thousands of references take many times the room of their text."""
        rest = _json(self._sources.overview.values())
        rows = b", ".join(map(_json, self._sources.overview.references()))
        return Response("200 OK", b'{"references": [' + rows + b"], " + rest[1:], "application/json")

    def _scrape(self, environ: Environ) -> Response:
        body, content_type = self._sources.metrics.exposition(environ.get("HTTP_ACCEPT", ""))
        return Response("200 OK", body, content_type)


_OPEN = ("/healthz", "/readyz")
"""Asked by supervisors that know no password; they tell a word or a reason, and nothing of images."""
_SHOWN = ("/", "/api/status", "/metrics", *_OPEN)


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode(errors="replace")


def _verdict(trouble: str) -> Response:
    return plain("503 Service Unavailable", trouble) if trouble else plain("200 OK", "ok")


def _asset(path: str) -> Callable[[Environ], Response]:
    """A file of the page; its address changes with its content, so a browser may keep it."""
    content_type, body = assets.read(path)
    keep = (("Cache-Control", "private, max-age=31536000, immutable"),)
    return lambda _: Response("200 OK", body, content_type, keep)


def _encoded(body: bytes, accepted: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    if len(body) < _WORTH_COMPRESSING_BYTES or "gzip" not in accepted:
        return body, ()
    return gzip.compress(body, compresslevel=3, mtime=0), (("Content-Encoding", "gzip"),)
