"""The HTTP endpoints: metrics, health, and the status as JSON and as a page. Read-only, no external resources.

A WSGI application, so that tests need no socket; `server` serves it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from controller.daemon.http.access import Access
from controller.daemon.metrics.collector import Metrics
from controller.daemon.overview import Overview
from controller.daemon.page import assets
from controller.daemon.page.query import Query
from controller.daemon.vitals import Liveness
from controller.plan.report.rows import ShownReference, as_values
from controller.value import dataclass

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

_COMPRESSED_FROM_BYTES = 4_096
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_ROWS_AT_ONCE = 50
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
    """One HTTP response."""

    status: str
    body: bytes | Iterator[bytes]
    """Pieces are made while they are sent: a long answer never exists as a whole."""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = (("Cache-Control", "no-store"),)


def plain(status: str, text: str, *headers: tuple[str, str]) -> Response:
    """A response with one line of text."""
    return Response(status, f"{text}\n".encode(), headers=(("Cache-Control", "no-store"), *headers))


def html(text: str) -> Response:
    """A response with an HTML page."""
    return Response("200 OK", text.encode(errors="replace"), "text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Sources:
    """The data behind the endpoints."""

    vitals: Liveness
    metrics: Metrics
    overview: Overview


class HttpApp:
    """Answers requests from the last published status."""

    def __init__(self, sources: Sources, access: Callable[[], Access]) -> None:
        """`access` is called for every request: passwords may change."""
        self._sources = sources
        self._access = access
        self._routes: Mapping[str, Callable[[Environ], Response]] = {
            "/": self._page,
            "/explain": self._explanation,
            "/api/status": self._status,
            "/metrics": self._scrape,
            "/healthz": lambda _: _health(sources.vitals.health(), sources.vitals.waiting()),
            "/readyz": lambda _: _health(sources.vitals.readiness(), _engine(sources.vitals)),
            **{path: _asset(path) for path in assets.PATHS},
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        answer = self._answer(environ)
        body, encoding = _encoded(answer.body, environ.get("HTTP_ACCEPT_ENCODING", ""))
        headers = [
            ("Content-Type", answer.content_type),
            *([("Content-Length", str(len(body)))] if isinstance(body, bytes) else []),
            ("Vary", "Accept-Encoding"),
            *encoding,
            *answer.headers,
            *_ALWAYS,
        ]
        start_response(answer.status, headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [body] if isinstance(body, bytes) else body

    def _answer(self, environ: Environ) -> Response:
        path, access = environ.get("PATH_INFO") or "/", self._access()
        host = environ.get("HTTP_HOST", "")
        if not access.knows(host):
            return plain("421 Misdirected Request", f"{host!r} is not an accepted name of this host (see --allow-host)")
        if not (path in _OPEN or access.admits(environ.get("HTTP_AUTHORIZATION", ""))):
            challenge = ("WWW-Authenticate", 'Basic realm="image controller", charset="UTF-8"')
            return plain("401 Unauthorized", "user name and password required", challenge)
        route = self._routes.get(path)
        if route is None:
            return plain("404 Not Found", f"not found; available: {' '.join(_SHOWN)}")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return plain("405 Method Not Allowed", "read-only: use GET or HEAD", ("Allow", "GET, HEAD"))
        return route(environ)

    def _page(self, environ: Environ) -> Response:
        from controller.daemon.page.page import status_page  # Not needed until the page is opened.

        return html(status_page(self._sources.overview.picture(), Query.parse(environ.get("QUERY_STRING", ""))))

    def _explanation(self, environ: Environ) -> Response:
        image = Query.parse(environ.get("QUERY_STRING", "")).image
        overview = self._sources.overview
        found = overview.explained(image) or overview.removed(image)
        from controller.daemon.page.page import explanation_page

        if not found:
            return plain("404 Not Found", "this image is not on this node, and the history has no removal of it")
        return html(explanation_page(found))

    def _status(self, _: Environ) -> Response:
        """The status as JSON, made row by row to save memory: there may be thousands of references."""
        rest, references = _json(self._sources.overview.values()), self._sources.overview.references()
        return Response("200 OK", _with_references(references, rest), "application/json")

    def _scrape(self, environ: Environ) -> Response:
        body, content_type = self._sources.metrics.exposition(environ.get("HTTP_ACCEPT", ""))
        return Response("200 OK", body, content_type)


_OPEN = ("/healthz", "/readyz")
"""For supervisors without a password. These answers contain nothing about images."""
_SHOWN = ("/", "/api/status", "/metrics", *_OPEN)


def _json(values: object) -> bytes:
    return json.dumps(values, ensure_ascii=False, default=as_values).encode(errors="replace")


def _with_references(references: Iterator[ShownReference], rest: bytes) -> Iterator[bytes]:
    """A JSON object with these rows before the rest of its values."""
    before = b'{"references": ['
    while rows := tuple(islice(references, _ROWS_AT_ONCE)):
        yield before + b", ".join(map(_json, rows))
        before = b", "
    yield before.removeprefix(b", ") + b"], " + rest[1:]


def _engine(vitals: Liveness) -> str:
    return f"engine {vitals.engine}" if vitals.engine else ""


def _health(trouble: str, note: str = "") -> Response:
    if trouble:
        return plain("503 Service Unavailable", trouble)
    return plain("200 OK", f"ok, {note}" if note else "ok")


def _asset(path: str) -> Callable[[Environ], Response]:
    """A file of the page. Its URL changes with its content, so browsers may cache it."""
    content_type, body = assets.read(path)
    keep = (("Cache-Control", "private, max-age=31536000, immutable"),)
    return lambda _: Response("200 OK", body, content_type, keep)


def _encoded(
    body: bytes | Iterator[bytes], accepted: str
) -> tuple[bytes | Iterator[bytes], tuple[tuple[str, str], ...]]:
    is_short = isinstance(body, bytes) and len(body) < _COMPRESSED_FROM_BYTES
    if is_short or "gzip" not in accepted:
        return body, ()
    packed = b"".join(_packed((body,))) if isinstance(body, bytes) else _packed(body)
    return packed, (("Content-Encoding", "gzip"),)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(3, wbits=_GZIP_WINDOW)
    yield from filter(None, map(packer.compress, pieces))
    yield packer.flush()
