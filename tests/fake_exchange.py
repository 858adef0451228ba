"""A fake Exchange: an HTTP(S) server that stores policies like the real one, and misbehaves on demand.

Upstream: exchange-api, route/managementpolicy (what is accepted and answered) and auth (401, 403).
"""

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

ORGANISATION = "myorg"
TOKEN = "a-secret-token"
CREDENTIALS = f"{ORGANISATION}/node1:{TOKEN}"
SECRETS = (TOKEN, b64encode(CREDENTIALS.encode()).decode())

_ACCEPTED = {
    "label",
    "description",
    "properties",
    "constraints",
    "patterns",
    "enabled",
    "start",
    "startWindow",
    "agentUpgradePolicy",
}

Handler = BaseHTTPRequestHandler
Behaviour = Callable[[Handler], None]


class FakeExchange:
    """Use it as a context manager. Each request uses one of `misbehaviours`; then it behaves normally."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.policies: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        """`METHOD path` of each request."""
        self.headers: list[dict[str, str]] = []
        self.misbehaviours: list[Behaviour] = []
        self.asked = Event()
        self.closing = Event()
        self.updates = 0
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

    def put(self, name: str, body: dict[str, Any]) -> None:
        """PUT of a policy, like `hzn exchange nmp add`."""
        self.updates += 1
        self.policies[name] = accepted(body, f"2026-11-23T08:00:{self.updates:02d}Z")

    def answer(self, handler: Handler) -> None:
        """Answer like the real Exchange."""
        identity = f"Basic {SECRETS[1]}"
        if handler.headers["Authorization"] != identity:
            status(401, {"code": "invalid-credentials", "msg": "invalid.credentials"})(handler)
        elif handler.path == f"/v1/orgs/{ORGANISATION}":
            status(200, {"orgs": {ORGANISATION: {"orgType": "", "label": ORGANISATION}}, "lastIndex": 0})(handler)
        elif handler.path == f"/v1/orgs/{ORGANISATION}/managementpolicies":
            documents = {f"{ORGANISATION}/{name}": document for name, document in self.policies.items()}
            status(200 if documents else 404, {"managementPolicy": documents, "lastIndex": 0})(handler)
        elif handler.path.startswith("/v1/orgs/"):
            what = f"READ_OTHER_ORGS management policy={handler.path.split('/')[3]}/*"
            said = f"Access denied: '{CREDENTIALS.partition(':')[0]}' does not have authorization: {what}"
            status(403, {"code": "access-denied", "msg": said})(handler)
        elif handler.path.startswith("/v1/"):
            status(404, {"code": "not-found", "msg": "unrecognized route"})(handler)
        else:
            send(handler, 404, b"The requested resource could not be found.", Content_Type="text/plain")


def accepted(body: dict[str, Any], moment: str = "2026-11-23T08:00:00Z") -> dict[str, Any]:
    """What the Exchange keeps of the body of a POST, and answers later. Raises ValueError where its answer is an error.

    As recorded (`python -m tests.campaigns.recorded`): its reader converts numbers, booleans and texts to each other.
    """
    if unknown := body.keys() - _ACCEPTED:
        raise ValueError(f"400: unrecognised field {min(unknown)}")
    if body.get("constraints") is not None and body.get("patterns") is not None:
        raise ValueError("400: you can not specify both constraints and patterns")
    if (label := _text(body.get("label"))) is None:
        raise ValueError("500: no label")
    upgrade = body.get("agentUpgradePolicy") or {}
    window = body.get("startWindow")
    return {
        "label": label,
        "description": label if body.get("description") is None else _text(body["description"]),
        "constraints": [_text(each) for each in _list(body.get("constraints"))],
        "properties": [_property(each) for each in _list(body.get("properties"))],
        "patterns": [_text(each) for each in _list(body.get("patterns"))],
        "enabled": _boolean(body.get("enabled")),
        "start": "now" if body.get("start") is None else _text(body["start"]),
        "startWindow": 0 if window is None else max(0, int(window if isinstance(window, int) else float(window))),
        "agentUpgradePolicy": {
            "manifest": upgrade.get("manifest", ""),
            "allowDowngrade": upgrade.get("allowDowngrade", False),
        },
        "owner": f"{ORGANISATION}/admin",
        "lastUpdated": moment,
        "created": moment,
    }


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError("400: not a list")
    return value or []


def _text(value: object) -> str | None:
    if isinstance(value, dict | list):
        raise ValueError("400: not a text")
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return None if value is None else json.dumps(value)


def _boolean(value: object) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false", ""):
            raise ValueError("400: not a boolean")
        return value.lower() == "true"
    return bool(value)


def _property(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() - {"name", "type", "value"}:
        raise ValueError("400: not a property")
    if isinstance(value.get("value"), int) and not -(1 << 63) <= value["value"] < 1 << 63:
        raise ValueError("502: not a primitive class java.math.BigInteger")
    return {"name": value.get("name"), "type": value.get("type"), "value": value.get("value")}


def _handler_of(exchange: FakeExchange) -> type[Handler]:
    class ExchangeHandler(BaseHTTPRequestHandler):
        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            exchange.requests.append(f"{self.command} {self.path}")
            exchange.headers.append(dict(self.headers.items()))
            exchange.asked.set()
            return True

        def do_GET(self) -> None:
            behave = exchange.misbehaviours.pop(0) if exchange.misbehaviours else exchange.answer
            behave(self)

        def log_message(self, *_: object) -> None:
            pass

    return ExchangeHandler


# ── misbehaviours ─────────────────────────────────────────────────────────────────────────────────────────────────────


def send(handler: Handler, code: int, body: bytes, **headers: str) -> None:
    """Send a complete answer; headers are written with _ for -."""
    handler.send_response(code)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
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
