"""Connections to one engine: opened at the first request, kept alive, reopened after an error.

Every answer has a limit of size and of time, and only status 200 counts. Proxy and certificate settings in the
environment of this process do not apply. The requests are in `engine` and `events`.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ClosedPoolError, HTTPError, ProtocolError, ReadTimeoutError
from urllib3.util.wait import wait_for_read

from controller.adapters.folder.mounts import mounts
from controller.errors import EngineUnavailable, EngineUnreachable, InvalidSettings
from controller.printable import printable
from controller.value import dataclass

ANSWER_WITHIN_SECONDS = 600
"""Limit for a whole answer. Docker's containerd store lists 1,000 images in 7 s and needs seconds for each delete."""
LONGEST_ANSWER_BYTES = 256 * 2**20
"""A list of 100,000 images has 50 to 100 MB."""
HIGHEST_API = (1, 55)
"""The highest API version that was tested."""
_LONGEST_STREAM_BYTES = 64 * 2**20
"""An event stream of this size (more than 100,000 events) is connected again."""
_LONGEST_MESSAGE_BYTES = 65_536
_PIECE_BYTES = 65_536
_REACHED_WITHIN_SECONDS = 10
_CONNECTIONS_KEPT = 16
_SOCKET_URL = "http+docker://localhost"
STALE_SOCKET = (
    "connection refused: this socket file is a bind mount, and the engine has created a new file"
    " (restart this container, and mount the folder of the socket instead of the file)"
)
_FILES_FOR_TLS = ("ca.pem", "cert.pem", "key.pem")
_is_address = re.compile(r"unix:///.+|(?:tcp|https?)://(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}/?").fullmatch
_is_api_version = re.compile(r"(\d{1,3})\.(\d{1,3})").fullmatch
_is_about_version = re.compile(r"client version [\d.]+ is too (?:old|new)", re.IGNORECASE).search
_GROUP_OF_DOCKER = "run as root, or add this user to the group docker"
_UNREACHABLE: dict[type[BaseException], str] = {
    FileNotFoundError: "no such socket (is it running? try: {unit})",
    ConnectionRefusedError: "connection refused (is it running? try: {unit})",
    PermissionError: "permission denied ({rights})",
    socket.gaierror: "unknown host name",
    requests.ConnectTimeout: f"no answer within {_REACHED_WITHIN_SECONDS} s",
}

T = TypeVar("T")
RequestObserver = Callable[[str, str, float], None]
"""Called after every request with the operation, the HTTP status (or `none`) and the seconds it took."""


@dataclass(frozen=True, slots=True)
class Address:
    """Address of an engine."""

    url: str = "unix:///var/run/docker.sock"
    """`unix:///path` or `tcp://host:port`. Raises InvalidSettings for anything else."""
    certificates: str = ""
    """Folder with ca.pem, cert.pem and key.pem for TLS, as in DOCKER_CERT_PATH; empty: no TLS."""
    note: str = ""
    """How this address was found, for the message that nothing is there; empty if it was named."""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise InvalidSettings(f"--docker-host {self.url}: use unix:///path or tcp://host:port")

    @property
    def socket_path(self) -> str:
        """The path of the socket; empty for another host."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else ""

    @property
    def base_url(self) -> str:
        """The URL that requests start with."""
        if self.socket_path:
            return _SOCKET_URL
        is_tls = bool(self.certificates) or self.url.startswith("https:")
        return f"{'https' if is_tls else 'http'}://{self.url.partition('://')[2].rstrip('/')}"


class ErrorAnswer(Exception):
    """An answer of the engine with another status than 200; its text is the engine's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_about_version(self) -> bool:
        """True if this engine does not support the API version of the request."""
        return self.status == 400 and _is_about_version(str(self)) is not None


class AnswerTooLong(OSError):
    """An answer that exceeds its size limit."""


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests with one API version."""

    base_url: str
    adapter: HTTPAdapter
    api_version: str
    certificates: str = ""

    def get(self, path: str) -> bytes:
        """The whole answer to one GET request. Raises ErrorAnswer and what the libraries raise."""
        with self.answer("GET", path) as pieces:
            return b"".join(pieces)

    @contextmanager
    def answer(self, method: str, path: str) -> Iterator[Iterator[bytes]]:
        """Send one request; the answer arrives in pieces. Raises ErrorAnswer and what the libraries raise."""
        with closing(self.open(method, path, ANSWER_WITHIN_SECONDS)) as answer:
            yield answer.iter_content(_PIECE_BYTES)

    def open(self, method: str, path: str, timeout: float | None) -> requests.Response:
        """Send one request; without a `timeout` the answer is a stream that may be silent.

        There is no session: its extra work (merging settings, cookies, credentials, redirects) doubles the time of a
        request, and a clean-up sends thousands.
        """
        request = requests.PreparedRequest()
        version = f"/v{self.api_version}" if self.api_version else ""
        request.method, request.url = method, f"{self.base_url}{version}{path}"
        request.headers = CaseInsensitiveDict({"User-Agent": "imagectl", "Accept-Encoding": "identity"})
        folder = self.certificates
        answer = self.adapter.send(
            request,
            stream=True,
            timeout=(_REACHED_WITHIN_SECONDS, timeout),  # type: ignore[arg-type]
            verify=f"{folder}/ca.pem" if folder else True,
            cert=(f"{folder}/cert.pem", f"{folder}/key.pem") if folder else None,
        )
        if answer.status_code != 200 or "Content-Encoding" in answer.headers:
            with closing(answer):
                raise ErrorAnswer(answer.status_code, _message_of(answer))
        return answer


class Connection:
    """Connections to one engine, for many threads at once."""

    def __init__(self, address: Address, observe: RequestObserver = lambda *_: None, api_version: str = "auto") -> None:
        self.address = address
        self.generation = 0
        """Counts reconnects: after one, another engine may answer."""
        self.has_stale_socket = False
        """True if the socket file was replaced after it was mounted into this container: only a restart helps then."""
        self._api_version = api_version
        self._observe = observe
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._under_way: dict[int, float] = {}

    @property
    def waiting_seconds(self) -> float:
        """How long the oldest request in flight has been waiting for its answer; 0 without one."""
        return max((time.monotonic() - began for began in tuple(self._under_way.values())), default=0.0)

    def request(self, operation: str, send: Callable[[Client], T], *, sends_again: bool = True) -> T:
        """Run `send` with a connected client and return its result. An ErrorAnswer passes through.

        If a connection breaks, the request is sent once more, unless it must not be repeated.

        Raises EngineUnreachable if no request was sent, EngineUnavailable if no valid answer came.
        """
        try:
            return self._measured(operation, send)
        except ErrorAnswer as answer:
            if not answer.is_about_version:
                raise
            self.drop()  # The engine was upgraded or rolled back behind its socket: agree on a version again.
            if not sends_again:
                raise EngineUnreachable(f"the engine at {self.address.url} has changed its version: {answer}") from None
        except _TROUBLES as error:
            self.drop()
            trouble = self._trouble(error)
            if not sends_again or isinstance(trouble, EngineUnreachable) or not _is_broken(error):
                raise trouble from error
        try:  # A kept connection may be stale: send the request again, once.
            return self._measured(operation, send)
        except _TROUBLES as error:
            self.drop()
            raise EngineUnavailable(str(self._trouble(error))) from error

    def drop(self) -> None:
        """Reconnect with the next request. Requests in flight continue."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.adapter.close()

    def _measured(self, operation: str, send: Callable[[Client], T]) -> T:
        began, code = time.monotonic(), "none"
        key = threading.get_ident()
        self._under_way[key] = began
        try:
            answer = send(self._connected())
            code = "200"
            self.has_stale_socket = False
        except ErrorAnswer as error:
            code = str(error.status)
            raise
        finally:
            self._under_way.pop(key, None)
            self._observe(operation, code, time.monotonic() - began)
        return answer

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = _client(self.address, self._api_version)
                self.generation += 1
            return self._client

    def _trouble(self, error: Exception) -> EngineUnavailable:
        where = f"the engine at {self.address.url}"
        if reason := _why_unreachable(error, self.address):
            self.has_stale_socket = _is_stale_mount(self.address.socket_path)
            note = f"; {self.address.note}" if self.address.note else ""
            return EngineUnreachable(
                f"cannot connect to {where}: {STALE_SOCKET if self.has_stale_socket else reason + note}"
            )
        if any(isinstance(cause, AnswerTooLong) for cause in _causes(error)):
            return EngineUnavailable(f"invalid response from {where}: longer than {LONGEST_ANSWER_BYTES >> 20} MiB")
        if _is_timeout(error):
            return EngineUnavailable(f"{where} did not answer within {ANSWER_WITHIN_SECONDS} s")
        return EngineUnavailable(f"invalid response from {where}: {printable(str(error))}")


_TROUBLES = (OSError, HTTPError, HTTPException)
"""Errors of the libraries; those of requests are OSErrors."""


def _message_of(answer: requests.Response) -> str:
    """The engine's error message; else the start of the text."""
    text = next(answer.iter_content(_LONGEST_MESSAGE_BYTES), b"").decode(errors="replace")
    try:
        message = json.loads(text)["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        message = text or answer.reason or "no message"
    return printable(str(message).strip(), longest=1_000)


# ── connections whose answers have limits ────────────────────────────────────────────────────────────────────────────


class _Bounded(io.RawIOBase):
    """The bytes of one answer, up to its limits. A socket without a timeout carries a stream: no limit of time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._ends_at = None if timeout is None else time.monotonic() + timeout
        self._left = _LONGEST_STREAM_BYTES if timeout is None else LONGEST_ANSWER_BYTES

    def makefile(self, *_: Any) -> io.BufferedReader:
        """The file from which http.client reads an answer."""
        return io.BufferedReader(self, 16_384)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read once from the socket. Raises TimeoutError and AnswerTooLong."""
        if self._ends_at is not None:
            left = self._ends_at - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer took too long")
            self.sock.settimeout(left)
        if self._left <= 0:
            raise AnswerTooLong("the answer is too long")
        count = self._file.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(_Bounded(sock), *arguments, **options)  # type: ignore[arg-type]  # It only calls makefile.


class _SocketConnection(UnixHTTPConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        """The same as the library's, which leaves the socket open if nothing listens."""
        self.sock = _opened(self.unix_socket, self.timeout)


def _opened(path: str, timeout: float) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(timeout)
        opened.connect(path)
    except BaseException:
        opened.close()
        raise
    return opened


class _PlainConnection(HTTPConnection):
    """A connection of the standard library, which sends a request in a third of the time."""

    response_class = _BoundedResponse

    def __init__(self, path: str, give_back: Callable[[_PlainConnection], None]) -> None:
        super().__init__("localhost")
        self._path = path
        self._give_back = give_back

    def connect(self) -> None:
        self.sock = _opened(self._path, _REACHED_WITHIN_SECONDS)

    def answer(self, method: str, path: str, headers: Mapping[str, str], timeout: float) -> _PlainAnswer:
        """Send one request. Raises OSError, ProtocolError."""
        try:
            if self.sock is None:
                self.connect()
            self.sock.settimeout(timeout)
            self.request(method, path, headers=headers)
            return _PlainAnswer(self.getresponse(), self)
        except HTTPException as error:
            self.close()
            raise ProtocolError("Connection aborted.", error) from error
        except BaseException:
            self.close()
            raise

    @property
    def is_dropped(self) -> bool:
        """True if the engine has closed it: an idle connection has nothing to read."""
        return self.sock is None or wait_for_read(self.sock, timeout=0.0)

    def end_answer(self, *, is_read: bool) -> None:
        """Keep the connection after a whole answer, if the engine does."""
        if is_read and self.sock is not None:
            self._give_back(self)
        else:
            self.close()


class _PlainAnswer:
    """An answer as `requests` reads it."""

    def __init__(self, answer: HTTPResponse, connection: _PlainConnection) -> None:
        self.status, self.reason, self.headers = answer.status, answer.reason, answer.headers
        self._answer = answer
        self._connection: _PlainConnection | None = connection

    def read(self, count: int) -> bytes:
        """The next bytes; empty at the end. Raises OSError, IncompleteRead."""
        if self._connection is None:
            return b""
        piece = self._answer.read(count)
        if not piece:
            if self._answer.length:
                raise IncompleteRead(piece, self._answer.length)
            self._end(is_read=True)
        return piece

    def close(self) -> None:
        """Stop reading."""
        self._end(is_read=False)

    def _end(self, *, is_read: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._answer.close()
            connection.end_answer(is_read=is_read)


class _SocketPool(UnixHTTPConnectionPool):
    """The connections to one socket. Only a stream, which has no limit of time, needs those of the library."""

    def __init__(self, path: str) -> None:
        super().__init__(_SOCKET_URL, path, ANSWER_WITHIN_SECONDS, maxsize=_CONNECTIONS_KEPT)
        self._idle: deque[_PlainConnection] = deque()
        self._is_closed = False
        weakref.finalize(self, _close_all, self._idle)

    def _new_conn(self) -> Any:
        return _SocketConnection(self.base_url, self.socket_path, _REACHED_WITHIN_SECONDS)

    def urlopen(self, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        """Send one request."""
        if options["timeout"].read_timeout is None:
            return super().urlopen(method, url, *arguments, **options)
        return self._connection().answer(method, url, options["headers"], options["timeout"].read_timeout)

    def _connection(self) -> _PlainConnection:
        """An idle connection, or a new one. After `close` another engine may listen at the socket: ClosedPoolError."""
        if self._is_closed:
            raise ClosedPoolError(self, "the connection was given up")
        with suppress(IndexError):
            while (idle := self._idle.pop()).is_dropped:
                idle.close()
            return idle
        return _PlainConnection(self.socket_path, self._keep)

    def _keep(self, connection: _PlainConnection) -> None:
        if len(self._idle) < _CONNECTIONS_KEPT:
            self._idle.append(connection)
        else:
            connection.close()
        if self._is_closed:
            _close_all(self._idle)

    def close(self) -> None:
        """Close what is idle; requests in flight continue."""
        super().close()
        self._is_closed = True
        _close_all(self._idle)


def _close_all(connections: deque[_PlainConnection]) -> None:
    with suppress(IndexError):
        while True:
            connections.popleft().close()


class _SocketAdapter(UnixHTTPAdapter):
    """One connection pool for all requests. The library has one for each URL, so a delete never reuses a connection."""

    def __init__(self, path: str) -> None:
        super().__init__(f"http+unix://{path}")
        self._pool = _SocketPool(path)

    def get_connection(self, url: Any, proxies: Any = None) -> _SocketPool:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.url.removeprefix(_SOCKET_URL))

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """The same as the library's, without cookies and encodings."""
        answer = requests.Response()
        answer.request, answer.raw = req, resp
        answer.status_code, answer.reason, answer.headers = resp.status, resp.reason, resp.headers
        return answer

    def close(self) -> None:
        super().close()
        self._pool.close()


class _HostConnection(urllib3.connection.HTTPConnection):
    response_class = _BoundedResponse


class _HostTlsConnection(urllib3.connection.HTTPSConnection):
    response_class = _BoundedResponse


class _HostPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HostConnection


class _HostTlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HostTlsConnection


class _HostAdapter(HTTPAdapter):
    """Connections with TCP keepalive, to detect a lost host: an event stream may be silent for days."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        idle = [(socket.IPPROTO_TCP, option, 60) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
        options["socket_options"] = [
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            *idle,
        ]
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HostPool, "https": _HostTlsPool}


def _client(address: Address, api_version: str) -> Client:
    path = address.socket_path
    adapter = _SocketAdapter(path) if path else _HostAdapter(pool_maxsize=_CONNECTIONS_KEPT)
    certificates = "" if path else address.certificates
    _require_files(certificates, address)
    client = Client(address.base_url, adapter, api_version, certificates)
    return (
        replace(client, api_version=_agreed_version(replace(client, api_version="")))
        if api_version == "auto"
        else client
    )


def _require_files(certificates: str, address: Address) -> None:
    """Raises EngineUnreachable if a file for TLS is missing: the library's errors do not say what to do."""
    for file in _FILES_FOR_TLS if certificates else ():
        try:
            with Path(certificates, file).open("rb"):
                pass
        except OSError as error:
            hint = "see --docker-certificates and DOCKER_CERT_PATH"
            reason = f"{certificates}/{file}: {error.strerror} ({hint})"
            raise EngineUnreachable(f"cannot connect to the engine at {address.url}: {reason}") from error


def _agreed_version(client: Client) -> str:
    """The highest API version that both support. Raises EngineUnavailable."""
    try:
        highest = json.loads(client.get("/version"))["ApiVersion"]
        numbers = _is_api_version(highest)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise EngineUnavailable(f"invalid response to version: {printable(repr(error))}") from error
    except ErrorAnswer as answer:
        raise EngineUnavailable(f"the engine answered version with {answer.status}: {answer}") from answer
    if not numbers:
        raise EngineUnavailable(f"invalid response to version: {printable(repr(highest))} is not an API version")
    return "{}.{}".format(*min(HIGHEST_API, (int(numbers[1]), int(numbers[2]))))


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _why_unreachable(error: Exception, address: Address) -> str:
    """Why no request was sent, with what to do; empty if one may have been."""
    text = next((_UNREACHABLE[type(cause)] for cause in _causes(error) if type(cause) in _UNREACHABLE), "")
    is_podman = "podman" in address.socket_path
    of_user = " --user" if address.socket_path.startswith("/run/user/") else ""
    rights = "run as root, or name the socket of your own Podman" if is_podman else _GROUP_OF_DOCKER
    return text.format(unit=f"systemctl{of_user} status {'podman.socket' if is_podman else 'docker'}", rights=rights)


def _is_stale_mount(path: str) -> bool:
    """True if this file is a mount whose source was deleted: it is not replaced when the engine creates a new one."""
    return any(str(mount.point) == os.path.realpath(path) and mount.has_deleted_source for mount in mounts() if path)


def _is_broken(error: Exception) -> bool:
    """True if the connection broke (and did not exceed a limit)."""
    is_bounded = _is_timeout(error) or any(isinstance(cause, AnswerTooLong) for cause in _causes(error))
    return isinstance(error, requests.ConnectionError) and not is_bounded


def _is_timeout(error: Exception) -> bool:
    return any(isinstance(cause, (requests.Timeout, ReadTimeoutError, TimeoutError)) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes, and the errors among its arguments."""
    pending: list[BaseException] = [error]
    while pending:
        cause = pending.pop()
        yield cause
        pending += [
            each
            for each in (*cause.args, cause.__cause__, getattr(cause, "reason", None))
            if isinstance(each, BaseException)
        ]
