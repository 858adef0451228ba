"""Connections to one engine: opened at the first request, kept alive, reopened after an error.

Errors of the docker library become our own here. The requests are in `engine` and `events`.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter
from requests.adapters import HTTPAdapter

from controller.errors import EngineUnavailable, EngineUnreachable, InvalidSettings

ANSWER_WITHIN_SECONDS = 600
"""Docker's containerd store needs 7 s to list 1,000 images, and seconds for each delete among them."""
_REACHED_WITHIN_SECONDS = 10
_CONNECTIONS_KEPT = 16
_is_address = re.compile(r"unix:///.+|(?:tcp|https?)://(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}/?").fullmatch
_UNREACHABLE: dict[type[BaseException], str] = {
    FileNotFoundError: "no such socket (is it running? try: systemctl status docker)",
    ConnectionRefusedError: "connection refused (is it running? try: systemctl status docker)",
    PermissionError: "permission denied (run as root, or add this user to the group docker)",
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

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise InvalidSettings(f"--docker-host {self.url}: use unix:///path or tcp://host:port")


class Connection:
    """Connections to one engine, for many threads at once."""

    def __init__(self, address: Address, observe: RequestObserver = lambda *_: None, api_version: str = "auto") -> None:
        self.address = address
        self.generation = 0
        """Counts reconnects: after one, another engine may answer."""
        self._api_version = api_version
        self._observe = observe
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None

    def request(self, operation: str, ask: Callable[[docker.APIClient], T]) -> T:
        """Run `ask` with a connected client and return its result. An APIError (an error answer) passes through.

        Raises EngineUnreachable if no request was sent, EngineUnavailable if no valid answer came.
        """
        try:
            return self._measured(operation, ask)
        except APIError:
            raise
        except (requests.RequestException, DockerException) as error:
            self.drop()
            trouble = self._trouble(error)
            if isinstance(trouble, EngineUnreachable) or not _is_broken(error):
                raise trouble from error
        try:  # A kept connection may be stale: send the request again, once.
            return self._measured(operation, ask)
        except APIError:
            raise
        except (requests.RequestException, DockerException) as error:
            self.drop()
            raise EngineUnavailable(str(self._trouble(error))) from error

    def drop(self) -> None:
        """Reconnect with the next request. Requests in flight continue."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _measured(self, operation: str, ask: Callable[[docker.APIClient], T]) -> T:
        began, code = time.monotonic(), "none"
        try:
            answer = ask(self._connected())
            code = "200"
        except APIError as error:
            code = str(error.status_code or "none")
            raise
        finally:
            self._observe(operation, code, time.monotonic() - began)
        return answer

    def _connected(self) -> docker.APIClient:
        with self._lock:
            if self._client is None:
                self._client = _client(self.address, self._api_version)
                self.generation += 1
            return self._client

    def _trouble(self, error: Exception) -> EngineUnavailable:
        where = f"the engine at {self.address.url}"
        if reason := _why_unreachable(error):
            return EngineUnreachable(f"cannot connect to {where}: {reason}")
        if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
            return EngineUnavailable(f"{where} did not answer within {ANSWER_WITHIN_SECONDS} s")
        return EngineUnavailable(f"invalid response from {where}: {error}")


def send(client: docker.APIClient, method: str, path: str) -> bytes:
    """Send one request and return the whole body. Raises the library's errors.

    The extra work of a session (merging settings, cookies, credentials, redirects) doubles the time of a request, and a
    clean-up sends thousands.
    """
    request = requests.PreparedRequest()
    request.method, request.url = method, f"{client.base_url}/v{client.api_version}{path}"
    request.headers = client.headers  # type: ignore[assignment]
    verify = True if client.verify is None else client.verify
    adapter = client.get_adapter(client.base_url)
    answer = adapter.send(request, timeout=client.timeout, verify=verify, cert=client.cert)
    raise_for_status(answer)
    return answer.content


def raise_for_status(answer: requests.Response) -> None:
    """Raise the APIError that the library raises for its own requests."""
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)


class _SocketAdapter(UnixHTTPAdapter):
    """One connection pool for all requests. The library has one for each URL, so a delete never reuses a connection."""

    def get_connection(self, url: bytes | str, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


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


def _client(address: Address, api_version: str) -> docker.APIClient:
    client = docker.APIClient(
        address.url, version=api_version, timeout=ANSWER_WITHIN_SECONDS, tls=_tls(address.certificates)
    )
    client.get_adapter(client.base_url).close()  # Closes the connection that asked for the version.
    if address.url.startswith("unix://"):
        path = address.url.replace("unix://", "http+unix://")
        client.mount("http+docker://", _SocketAdapter(path, ANSWER_WITHIN_SECONDS, max_pool_size=_CONNECTIONS_KEPT))
        client.trust_env = False  # No proxy stands before a socket, and looking for one costs more than the request.
    else:
        client.mount(client.base_url, _HostAdapter(pool_maxsize=_CONNECTIONS_KEPT))
    client.timeout = (_REACHED_WITHIN_SECONDS, ANSWER_WITHIN_SECONDS)  # type: ignore[assignment]
    return client


def _tls(folder: str) -> TLSConfig | bool:
    if not folder:
        return False
    return TLSConfig(client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=True)


def _why_unreachable(error: Exception) -> str:
    """Why no request was sent; empty if one may have been."""
    return next((_UNREACHABLE[type(cause)] for cause in _causes(error) if type(cause) in _UNREACHABLE), "")


def _is_broken(error: Exception) -> bool:
    """Did the connection break (and not time out)?"""
    return isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout)


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
