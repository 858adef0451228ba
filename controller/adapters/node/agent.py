"""Client for the REST API of the Open Horizon agent on this host (`--agent-url`).

Answers contain the environment of containers and so secrets; no part of them is logged.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from urllib.parse import urlsplit

from controller import __version__
from controller.adapters.node.agent_answers import (
    AgreementReader,
    RecordReader,
    ServiceReader,
    agent_answer,
    read_node,
    read_registration,
)
from controller.adapters.node.record_stream import items
from controller.errors import AgentUnavailable, InvalidSettings
from controller.json_text import decoded
from controller.plan.node.agent import NodeAnswer
from controller.value import dataclass

CONNECTS_WITHIN_SECONDS = 2.0
ANSWERS_WITHIN_SECONDS = 30.0
"""Time-out for all parts of an answer together. The agent queries the engine for each service, which may be slow."""
LONGEST_ANSWER = 512 * 2**20
"""Bytes of one part."""
_LONGEST_DESCRIPTION = 16 * 2**20
"""Bytes of the node and of its policy, which are read as a whole."""
_PIECE = 2**16


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """Time-outs in seconds, and the bytes of one part."""

    connect: float = CONNECTS_WITHIN_SECONDS
    answer: float = ANSWERS_WITHIN_SECONDS
    longest: int = LONGEST_ANSWER


class Agent:
    """Asks the agent for its node, agreements and services."""

    def __init__(self, url: str, limits: AgentLimits = AgentLimits()) -> None:
        """Raises InvalidSettings if the URL is invalid."""
        self._url = url.strip().rstrip("/")
        self._host, self._port, self._path = _address(self._url)
        self._limits = limits

    def ask(self) -> NodeAnswer:
        """The agent's node, agreements and services; no answer unless all parts are valid."""
        try:
            with _Call(self._host, self._port, self._limits) as call:
                return self._answer(call)
        except AgentUnavailable as error:
            return self.no_answer(str(error))

    def ask_again(self, may_wait: Callable[[], bool]) -> NodeAnswer:
        """The same: each call is a new question."""
        return self.ask()

    @property
    def name(self) -> str:
        """The agent in words."""
        return f"the agent at {self._url}"

    def no_answer(self, why: str) -> NodeAnswer:
        """No valid answer; `why` follows the agent's name."""
        return self._without_node(why, is_silence=True)

    def _answer(self, call: _Call) -> NodeAnswer:
        registration = read_registration(call.get(f"{self._path}/node"))
        if registration.refusal:
            return self._without_node(registration.refusal)
        node = read_node(registration, call.get(f"{self._path}/node/policy"))
        agreements, services = AgreementReader(), ServiceReader()
        for reader in (agreements, services):
            call.read(self._path, reader)
        said = agent_answer(agreements, services)
        return NodeAnswer(node, f"from the agent at {self._url}", self._url, agent=said, has_agent=True)

    def _without_node(self, why: str, *, is_silence: bool = False) -> NodeAnswer:
        return NodeAnswer(None, f"{self.name} {why}", self._url, is_silence, has_agent=True)


class _TooLongError(Exception):
    """An answer is longer than its limit."""


class _Call:
    """One connection for all requests, which is closed when the time for the whole answer is over.

    A socket's time-out starts again with every byte, and a pass must not wait for an agent that sends one a second.
    """

    def __init__(self, host: str, port: int, limits: AgentLimits) -> None:
        self._connection = HTTPConnection(host, port, timeout=limits.connect)
        self._limits = limits
        self._is_over = threading.Event()
        self._timer = threading.Timer(limits.answer, self._cut_off)
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
            body = b"".join(self._pieces(path, _LONGEST_DESCRIPTION))
        except (OSError, HTTPException, ValueError, _TooLongError) as error:  # ValueError: a chunk of length -1
            raise AgentUnavailable(self._in_words(error, path)) from error
        try:
            return _read_json(body)
        except ValueError:
            raise AgentUnavailable(f"gave invalid JSON at {path} (truncated?)") from None

    def read(self, path: str, reader: RecordReader) -> None:
        """Read a long answer. If it breaks off, its active records must be complete. Raises AgentUnavailable."""
        path = f"{path}{reader.path}"
        try:
            for item in items(self._pieces(path, self._limits.longest)):
                reader.take(item)
            reader.end()
        except (OSError, HTTPException, ValueError, _TooLongError) as error:
            self._connection.close()
            if not reader.cut_short():
                raise AgentUnavailable(self._cut_in_words(error, path)) from None

    def _cut_in_words(self, error: Exception, path: str) -> str:
        if isinstance(error, OSError | HTTPException | _TooLongError):
            return self._in_words(error, path)
        return f"gave invalid JSON at {path} (truncated?)"

    def _connect(self) -> None:
        self._connection.connect()
        self._connection.sock.settimeout(self._limits.answer)

    def _pieces(self, path: str, longest: int) -> Iterator[bytes]:
        """The body. Raises AgentUnavailable, OSError, HTTPException, _TooLongError."""
        if self._connection.sock is None:  # The agent may close it after each part.
            self._connect()
        if self._is_over.is_set():
            raise TimeoutError
        headers = {"Accept": "application/json", "User-Agent": f"imagectl/{__version__}"}
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        _check_status(response, path)
        length = 0
        while piece := response.read(_PIECE):
            length += len(piece)
            if length > longest:
                raise _TooLongError(f"gave more than {longest / 2**20:.0f} MiB at {path}")
            yield piece
        if self._is_over.is_set():
            raise TimeoutError  # A closed connection looks like the end of the answer.

    def _cut_off(self) -> None:
        self._is_over.set()
        if connected := self._connection.sock:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _in_words(self, error: Exception, path: str) -> str:
        if self._is_over.is_set() or isinstance(error, TimeoutError):
            return f"did not answer completely within {self._limits.answer:g} s"
        if isinstance(error, _TooLongError):
            return str(error)
        if isinstance(error, ConnectionRefusedError):
            return "is not reachable: connection refused (is the agent running?)"
        if isinstance(error, ConnectionError | IncompleteRead):
            return f"closed the connection during its answer at {path}"
        if isinstance(error, HTTPException) or type(error) is ValueError:
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
    value = decoded(body)
    if b"\\ud" in body.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _address(url: str) -> tuple[str, int, str]:
    """Host, port, and the prefix of every path."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
        HTTPConnection(host or "", port)  # Refuses blanks in the name.
    except (ValueError, HTTPException):
        host = None
    if not host or parts.scheme != "http" or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings("--agent-url: expected an address such as http://localhost:8510")
    return host, port, parts.path
