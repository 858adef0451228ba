"""Sends requests of `requests` to a socket or to another host, and limits each answer in size and time."""

from __future__ import annotations

import io
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any

import requests
import urllib3
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ClosedPoolError, ProtocolError
from urllib3.util.wait import wait_for_read

from controller.adapters.engine.address import SOCKET_URL, Address

ANSWER_WITHIN_SECONDS = 600
"""Limit for a whole answer. Docker's containerd store lists 1,000 images in 7 s and needs seconds for each delete."""
LONGEST_ANSWER_BYTES = 256 * 2**20
"""A list of 100,000 images has 50 to 100 MB."""
REACHED_WITHIN_SECONDS = 10
_LONGEST_STREAM_BYTES = 64 * 2**20
"""An event stream of this size (more than 100,000 events) is connected again."""
_CONNECTIONS_KEPT = 16


class AnswerTooLong(OSError):
    """An answer that exceeds its size limit."""


class NotConnected(OSError):
    """No connection to the socket, so no request was sent; the cause says why."""


def adapter_for(address: Address) -> HTTPAdapter:
    """Sends requests to this address."""
    if path := address.socket_path:
        return _SocketAdapter(path)
    return _HostAdapter(pool_maxsize=_CONNECTIONS_KEPT)


# ── answers with limits ──────────────────────────────────────────────────────────────────────────────────────────────


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


# ── to a socket ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _SocketConnection(UnixHTTPConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        """The same as the library's, which leaves the socket open if nothing listens."""
        self.sock = _opened(self.unix_socket, self.timeout)


def _opened(path: str, timeout: float) -> socket.socket:
    """A connection to the socket. Raises NotConnected."""
    try:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(timeout)
            opened.connect(path)
        except BaseException:
            opened.close()
            raise
    except OSError as error:
        raise NotConnected(str(error)) from error
    return opened


class _PlainConnection(HTTPConnection):
    """A connection of the standard library, which sends a request in a third of the time."""

    response_class = _BoundedResponse

    def __init__(self, path: str, give_back: Callable[[_PlainConnection], None]) -> None:
        super().__init__("localhost")
        self._path = path
        self._give_back = give_back

    def connect(self) -> None:
        self.sock = _opened(self._path, REACHED_WITHIN_SECONDS)

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
        super().__init__(SOCKET_URL, path, ANSWER_WITHIN_SECONDS, maxsize=_CONNECTIONS_KEPT)
        self._idle: deque[_PlainConnection] = deque()
        self._is_closed = False
        weakref.finalize(self, _close_all, self._idle)

    def _new_conn(self) -> Any:
        return _SocketConnection(self.base_url, self.socket_path, REACHED_WITHIN_SECONDS)

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
        return str(request.url.removeprefix(SOCKET_URL))

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """The same as the library's, without cookies and encodings."""
        answer = requests.Response()
        answer.request, answer.raw = req, resp
        answer.status_code, answer.reason, answer.headers = resp.status, resp.reason, resp.headers
        return answer

    def close(self) -> None:
        super().close()
        self._pool.close()


# ── to another host ──────────────────────────────────────────────────────────────────────────────────────────────────


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
