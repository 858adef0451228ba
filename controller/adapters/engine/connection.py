"""The connection to one engine: opened at the first request, kept alive, reopened after an error.

The requests are in `engine` and `events`.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import TypeVar

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from controller.adapters.engine.address import Address
from controller.adapters.engine.client import Client, ErrorAnswer, client_of
from controller.adapters.engine.transport import (
    ANSWER_WITHIN_SECONDS,
    LONGEST_ANSWER_BYTES,
    REACHED_WITHIN_SECONDS,
    AnswerTooLong,
    NotConnected,
)
from controller.adapters.folder.mounts import mounts
from controller.errors import EngineUnavailable, EngineUnreachable
from controller.printable import printable

STALE_SOCKET = (
    "connection refused: this socket file is a bind mount, and the engine has created a new file"
    " (restart this container, and mount the folder of the socket instead of the file)"
)
_GROUP_OF_DOCKER = "run as root, or add this user to the group docker"
_UNREACHABLE: dict[type[BaseException], str] = {
    FileNotFoundError: "no such socket (is it running? try: {unit})",
    ConnectionRefusedError: "connection refused (is it running? try: {unit})",
    PermissionError: "permission denied ({rights})",
    socket.gaierror: "unknown host name",
    requests.ConnectTimeout: f"no answer within {REACHED_WITHIN_SECONDS} s",
}

T = TypeVar("T")
RequestObserver = Callable[[str, str, float], None]
"""Called after every request with the operation, the HTTP status (or `none`) and the seconds it took."""


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
                self._client = client_of(self.address, self._api_version)
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


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _why_unreachable(error: Exception, address: Address) -> str:
    """Why no request was sent, with what to do; empty if one may have been."""
    text = next((_UNREACHABLE[type(cause)] for cause in _causes(error) if type(cause) in _UNREACHABLE), "")
    if not text:
        return next(map(_why_not_connected, filter(_is_before_request, _causes(error))), "")
    is_podman = "podman" in address.socket_path
    of_user = " --user" if address.socket_path.startswith("/run/user/") else ""
    rights = "run as root, or name the socket of your own Podman" if is_podman else _GROUP_OF_DOCKER
    return text.format(unit=f"systemctl{of_user} status {'podman.socket' if is_podman else 'docker'}", rights=rights)


def _is_before_request(error: BaseException) -> bool:
    """True if there was no connection. A client's certificate is refused later, with another error."""
    return isinstance(error, (NotConnected, NewConnectionError, ssl.SSLCertVerificationError))


def _why_not_connected(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {printable(error.verify_message)}"
    cause = error.__cause__
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause or error)


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
