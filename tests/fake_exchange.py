"""A fake Exchange: an HTTP(S) server that stores policies like the real one, and misbehaves on demand."""

from __future__ import annotations

import json
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any

from tests.exchange_rules import Request, Role, Rules

ORGANISATION = "myorg"
TOKEN = "a-secret-token"
CREDENTIALS = f"{ORGANISATION}/node1:{TOKEN}"
SECRETS = (TOKEN, b64encode(CREDENTIALS.encode()).decode())

Handler = BaseHTTPRequestHandler
Behaviour = Callable[[Handler], None]


class FakeExchange:
    """Use it as a context manager. Each request uses one of `misbehaviours`; then it behaves normally."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.rules = Rules()
        self.rules.add(CREDENTIALS.partition(":")[0], TOKEN, Role.NODE)
        self.requests: list[str] = []
        """`METHOD path` of each request."""
        self.headers: list[dict[str, str]] = []
        self.misbehaviours: list[Behaviour] = []
        self.asked = Event()
        self.closing = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/v1"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> FakeExchange:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def policies(self) -> dict[str, dict[str, Any]]:
        """The documents as they are answered, by organisation and name."""
        return self.rules.policies

    def put(self, name: str, body: dict[str, Any]) -> None:
        """A POST or a PUT of a policy, like `hzn exchange nmp add`."""
        self.rules.store(f"{ORGANISATION}/{name}", body, f"{ORGANISATION}/admin")

    def answer(self, handler: Handler) -> None:
        """Answer like the real Exchange."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        sent = handler.rfile.read(int(headers.get("content-length", 0)))
        given = self.rules.answer(Request(handler.command, handler.path, headers, sent))
        also = {"Content_Type": given.content_type, "Allow": given.allow}
        send(handler, given.code, given.body, **{name: value for name, value in also.items() if value})


def _handler_of(exchange: FakeExchange) -> type[Handler]:
    class ExchangeHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            exchange.requests.append(f"{self.command} {self.path}")
            exchange.headers.append(dict(self.headers.items()))
            exchange.asked.set()
            return True

        def do_GET(self) -> None:
            if not exchange.misbehaviours:
                exchange.answer(self)
                return
            exchange.misbehaviours.pop(0)(self)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"):
        setattr(ExchangeHandler, f"do_{method}", ExchangeHandler.do_GET)
    return ExchangeHandler


# ── misbehaviours ─────────────────────────────────────────────────────────────────────────────────────────────────────


def send(handler: Handler, code: int, body: bytes, **headers: str) -> None:
    """Send a complete answer; headers are written with _ for -."""
    handler.send_response(code)
    length = {} if code == 204 else {"Content_Length": str(len(body))}
    for name, value in {**length, **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def status(code: int, body: object = None, **headers: str) -> Behaviour:
    """An answer with this status, and this body as JSON."""
    return lambda handler: send(handler, code, json.dumps(body).encode(), **headers)


def body(data: bytes, code: int = 200, **headers: str) -> Behaviour:
    """An answer with these bytes."""
    return lambda handler: send(handler, code, data, **headers)


def cut_short(data: bytes, missing: int = 100) -> Behaviour:
    """The connection ends before the announced length."""
    return lambda handler: send(handler, 200, data, Content_Length=str(len(data) + missing))


def hang_up(handler: Handler) -> None:
    """Closes the connection without an answer."""
    handler.close_connection = True


def fall_silent(exchange: FakeExchange, before: bytes = b"") -> Behaviour:
    """Sends `before` and then nothing until the server is closed."""

    def behave(handler: Handler) -> None:
        handler.wfile.write(before)
        handler.wfile.flush()
        exchange.closing.wait()

    return behave


# ── certificates ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Authority:
    """A private certificate authority, and a certificate with its key that it issued for 127.0.0.1."""

    ca: Path
    server: Path


def make_authority(folder: Path) -> Authority:
    """With openssl, which Debian's ca-certificates depends on."""
    key, ca, server = folder / "ca.key", folder / "ca.pem", folder / "server.pem"
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    usage = ["-addext", "keyUsage=critical,keyCertSign"]
    _run([*new, "-subj", "/CN=an authority", *usage, "-keyout", str(key), "-out", str(ca)])
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:false"]
    signed = ["-CA", str(ca), "-CAkey", str(key)]
    _run([*new, "-subj", "/CN=127.0.0.1", *names, *signed, "-keyout", f"{server}.key", "-out", str(server)])
    server.write_bytes(server.read_bytes() + Path(f"{server}.key").read_bytes())
    return Authority(ca, server)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
