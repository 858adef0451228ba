"""A fake Open Horizon agent: its REST API, with agreements that start and end, and misbehaviour on demand.

Upstream: anax api/path_node.go, path_node_policy.go, path_agreement.go, path_service.go.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any

from tests.fake_exchange import Behaviour, Handler, send

SECRET = "a-secret-password"
_NEED_REGISTRATION = {
    "/service": (424, "node"),
    "/service/configstate": (424, "node"),
    "/nodemanagement/status": (404, "management"),
}
_LONGEST_PIECE = 2048
PATHS = ("/node", "/node/policy", "/agreement", "/service")


@dataclass(slots=True)
class FakeAgreement:
    """`images` by service; none until shortly before the agent creates the containers."""

    id: str
    images: dict[str, str]
    is_archived: bool = False


class FakeAgent:
    """Use it as a context manager. Its answers follow its attributes."""

    def __init__(self, port: int = 0) -> None:
        self.org = "myorg"
        self.id = "gw-1"
        self.pattern = ""
        self.state = "configured"
        self.node_type = "device"
        self.ha_group = ""
        self.policy: dict[str, Any] = {"properties": None, "constraints": None, "deployment": {}, "management": {}}
        self.agreements: dict[str, FakeAgreement] = {}
        self.definitions: list[dict[str, Any]] = []
        self.docker_is_up = True
        self.misbehaviours: dict[str, Behaviour] = {}
        """Misbehaviours by path, until they are removed."""
        self.requests: list[str] = []
        self.closing = Event()
        self._server = _Server(("127.0.0.1", port), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> FakeAgent:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # ── what happens to the node ──────────────────────────────────────────────────────────────────────────────────────

    def agree(self, agreement: str) -> None:
        """An agreement is made; its images are not pulled yet."""
        self.agreements[agreement] = FakeAgreement(agreement, {})

    def deploy(self, agreement: str, **images: str) -> None:
        """The images of the agreement's services are pulled; its containers are not created yet."""
        self.agreements.setdefault(agreement, FakeAgreement(agreement, {})).images = images

    def end(self, agreement: str) -> None:
        """The agreement is being terminated: it is under `archived` at once."""
        self.agreements[agreement].is_archived = True

    def archive(self, agreement: str) -> None:
        """The agreement is terminated: its deployment is deleted."""
        self.end(agreement)
        self.agreements[agreement].images = {}

    def define(self, service: str, *images: str, is_archived: bool = False) -> None:
        """A service definition, active or archived."""
        services = {f"{service}-{number}": {"image": image} for number, image in enumerate(images)}
        deployment = json.dumps({"services": services})
        self.definitions.append({"specRef": service, "archived": is_archived, "deployment": deployment})

    # ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, handler: Handler) -> None:
        """Answer like the real agent."""
        if self.state == "unconfigured" and handler.path in _NEED_REGISTRATION:
            code, field = _NEED_REGISTRATION[handler.path]
            said = {"error": "Exchange registration not recorded.", "input": field}
            send(handler, code, json.dumps(said).encode(), Content_Type="text/plain; charset=utf-8")
        elif handler.path == "/service" and not self.docker_is_up:
            send(handler, 500, b"unable to get docker container info, error cannot connect to Docker endpoint")
        elif handler.path in PATHS:
            _send_json(handler, json.dumps(self.said(handler.path)).encode())
        else:
            body = b'<a href="/">Temporary Redirect</a>.\n\n'
            send(handler, 307, body, Location="/", Content_Type="text/html; charset=utf-8")

    def said(self, path: str) -> dict[str, Any]:
        """The answer there, as values."""
        match path:
            case "/node":
                return self._node()
            case "/node/policy":
                return self.policy
            case "/agreement":
                agreements = {"active": self._agreements(False), "archived": self._agreements(True)}
                return {"agreements": agreements}
            case _:
                definitions = {"active": self._definitions(False), "archived": self._definitions(True)}
                return {"config": [], "definitions": definitions, "instances": {"active": [], "archived": []}}

    def _node(self) -> dict[str, Any]:
        is_registered = self.state in ("configuring", "configured")
        is_cluster = self.node_type == "cluster"
        registered = {
            "organization": self.org,
            "pattern": self.pattern,
            "name": self.id,
            "nodeType": self.node_type,
            "token_last_valid_time": 0,
            "token_valid": True,
            "ha_group": self.ha_group,
            "clusterNamespace": "openhorizon-agent" if is_cluster else None,
            **({"NamespaceScoped": False} if is_cluster else {}),
        }
        unregistered = {"organization": None, "pattern": None, "clusterNamespace": None}
        return {
            "id": self.id,
            **(registered if is_registered else unregistered),
            "configstate": {"state": self.state, "last_update_time": 0},
        }

    def _agreements(self, are_archived: bool) -> list[dict[str, Any]]:
        return [
            {
                "current_agreement_id": agreement.id,
                "archived": agreement.is_archived,
                "current_deployment": {
                    service: {"config": {"Image": image, "Env": [f"PASSWORD={SECRET}"]}, "host_config": {}}
                    for service, image in agreement.images.items()
                },
                "extended_deployment": {},
                "proposal": f'{{"secret": "{SECRET}"}}',
            }
            for agreement in self.agreements.values()
            if agreement.is_archived is are_archived
        ]

    def _definitions(self, are_archived: bool) -> list[dict[str, Any]]:
        return [definition for definition in self.definitions if definition["archived"] is are_archived]


def _send_json(handler: Handler, body: bytes) -> None:
    """In chunks from 2 KB, as Go does it."""
    if len(body) <= _LONGEST_PIECE:
        send(handler, 200, body, Content_Type="application/json")
        return
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    pieces = (body[at : at + _LONGEST_PIECE] for at in range(0, len(body), _LONGEST_PIECE))
    for piece in (*pieces, b""):
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that disconnected."""


def _handler_of(agent: FakeAgent) -> type[Handler]:
    class AgentHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            agent.requests.append(self.path)
            agent.misbehaviours.get(self.path, agent.answer)(self)

        def log_message(self, *_: object) -> None:
            pass

    return AgentHandler


# ── misbehaviours ─────────────────────────────────────────────────────────────────────────────────────────────────────


def fall_silent(agent: FakeAgent, before: bytes = b"") -> Behaviour:
    """Sends `before` and then nothing until the agent is closed."""

    def behave(handler: Handler) -> None:
        handler.wfile.write(before)
        handler.wfile.flush()
        agent.closing.wait()
        handler.close_connection = True

    return behave


def drip(agent: FakeAgent, text: bytes, every_seconds: float = 0.02) -> Behaviour:
    """Sends the text repeatedly, a byte at a time, until the client disconnects."""

    def behave(handler: Handler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            while not agent.closing.is_set():
                for byte in text:
                    handler.connection.sendall(bytes([byte]))
                    time.sleep(every_seconds)

    return behave
