"""Client for the REST API of the Open Horizon agent on this host (`--agent-url`).

Answers contain the environment of containers and so secrets; no part of them is logged.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from urllib.parse import urlsplit

from controller import __version__
from controller.adapters.node.agent_answers import read_agent_answer, read_node, read_registration
from controller.errors import AgentUnavailable, InvalidSettings
from controller.plan.node.agent import NodeAnswer

CONNECTS_WITHIN_SECONDS = 2.0
ANSWERS_WITHIN_SECONDS = 5.0
"""Time-out for all parts of an answer together: a pass waits for it, and SIGTERM waits for the pass."""
LONGEST_ANSWER = 16 * 2**20
"""Bytes of one part."""


@dataclass(frozen=True, slots=True)
class AgentTimeouts:
    """Time-outs in seconds."""

    connect: float = CONNECTS_WITHIN_SECONDS
    answer: float = ANSWERS_WITHIN_SECONDS


class Agent:
    """Asks the agent for its node, agreements and services."""

    def __init__(self, url: str, patience: AgentTimeouts = AgentTimeouts()) -> None:
        """Raises InvalidSettings if the URL is invalid."""
        self._url = url.strip().rstrip("/")
        self._host, self._port, self._path = _address(self._url)
        self._patience = patience

    def ask(self) -> NodeAnswer:
        """The agent's node, agreements and services; no answer unless all parts are valid."""
        try:
            with _Call(self._host, self._port, self._patience) as call:
                return self._answer(call)
        except AgentUnavailable as error:
            return self._without_node(str(error), is_silence=True)

    def _answer(self, call: _Call) -> NodeAnswer:
        registration = read_registration(call.get(f"{self._path}/node"))
        if registration.refusal:
            return self._without_node(registration.refusal)
        node = read_node(registration, call.get(f"{self._path}/node/policy"))
        said = read_agent_answer(call.get(f"{self._path}/agreement"), call.get(f"{self._path}/service"))
        return NodeAnswer(node, f"from the agent at {self._url}", self._url, agent=said)

    def _without_node(self, why: str, *, is_silence: bool = False) -> NodeAnswer:
        return NodeAnswer(None, f"the agent at {self._url} {why}", self._url, is_silence)


class _Call:
    """One connection for all requests, which is closed when the time for the whole answer is over.

    A socket's time-out starts again with every byte, and a pass must not wait for an agent that sends one a second.
    """

    def __init__(self, host: str, port: int, patience: AgentTimeouts) -> None:
        self._connection = HTTPConnection(host, port, timeout=patience.connect)
        self._patience = patience
        self._is_over = threading.Event()
        self._timer = threading.Timer(patience.answer, self._cut_off)
        self._timer.daemon = True

    def __enter__(self) -> _Call:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        self._connection.close()

    def get(self, path: str) -> object:
        """The JSON there. Raises AgentUnavailable."""
        try:
            body = self._body(path)
        except (OSError, HTTPException, UnicodeError) as error:
            raise AgentUnavailable(self._in_words(error, path)) from error
        try:
            return _read_json(body)
        except (ValueError, RecursionError):
            raise AgentUnavailable(f"gave invalid JSON at {path} (truncated?)") from None

    def _connect(self) -> None:
        self._connection.connect()
        self._connection.sock.settimeout(self._patience.answer)

    def _body(self, path: str) -> bytes:
        if self._connection.sock is None:  # The agent may close it after each part.
            self._connect()
        if self._is_over.is_set():
            raise TimeoutError
        headers = {"Accept": "application/json", "User-Agent": f"imagectl/{__version__}"}
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        _check_status(response, path)
        body = response.read(LONGEST_ANSWER + 1)
        if len(body) > LONGEST_ANSWER:
            raise AgentUnavailable(f"gave more than {LONGEST_ANSWER // 2**20} MiB at {path}")
        if self._is_over.is_set():
            raise TimeoutError  # A closed connection looks like the end of the answer.
        return body

    def _cut_off(self) -> None:
        self._is_over.set()
        if connected := self._connection.sock:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _in_words(self, error: Exception, path: str) -> str:
        if self._is_over.is_set() or isinstance(error, TimeoutError):
            return f"did not answer completely within {self._patience.answer:g} s"
        if isinstance(error, ConnectionRefusedError):
            return "is not reachable: connection refused (is the agent running?)"
        if isinstance(error, ConnectionError | IncompleteRead):
            return f"closed the connection during its answer at {path}"
        if isinstance(error, HTTPException):
            return f"did not answer with HTTP at {path} (is this an agent?)"
        return f"is not reachable: {error.strerror if isinstance(error, OSError) and error.strerror else error}"


def _check_status(response: HTTPResponse, path: str) -> None:
    if response.status == 200:
        return
    if 300 <= response.status < 400:
        raise AgentUnavailable(f"answered {response.status} at {path}, a redirect (is this an agent?)")
    raise AgentUnavailable(f"answered {response.status} at {path}")


def _read_json(body: bytes) -> object:
    """Raises ValueError also for halves of characters, which JSON can escape and UTF-8 cannot encode."""
    value = json.loads(body)
    if b"\\ud" in body.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _address(url: str) -> tuple[str, int, str]:
    """Host, port, and the prefix of every path."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host = None
    if not host or parts.scheme != "http" or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings("--agent-url: expected an address such as http://localhost:8510")
    return host, port, parts.path
