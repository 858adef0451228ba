"""The way to an engine: connected when first needed, again after trouble, kept alive in between.

The docker library's many errors become our few here. What is asked stands in `engine` and `docker_events`.
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
"""Docker's containerd store takes 7 s to list 1,000 images, and seconds for each delete among them."""
_REACHED_WITHIN_SECONDS = 10
_CONNECTIONS_KEPT = 16
_is_address = re.compile(r"unix:///.+|(?:tcp|https?)://(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}/?").fullmatch
_UNREACHABLE: dict[type[BaseException], str] = {
    FileNotFoundError: "there is no such socket; is the engine running?",
    ConnectionRefusedError: "nobody listens there; is the engine running?",
    PermissionError: "no permission to use it; run as root or join the group that owns the socket",
    socket.gaierror: "there is no host of that name",
    requests.ConnectTimeout: f"nobody there answers within {_REACHED_WITHIN_SECONDS} s",
}

T = TypeVar("T")
RequestObserver = Callable[[str, str, float], None]
"""Told of every request: what was asked, the code of the answer (an HTTP status, or `none`), seconds."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine listens."""

    url: str = "unix:///var/run/docker.sock"
    """`unix:///path` or `tcp://host:port`; InvalidSettings is raised for anything else."""
    certificates: str = ""
    """Folder with ca.pem, cert.pem and key.pem for TLS, as in DOCKER_CERT_PATH; empty: none."""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise InvalidSettings(f"--docker-host {self.url}: write unix:///path or tcp://host:port")


class Connection:
    """One way to one engine; many threads may use it at once."""

    def __init__(self, address: Address, observe: RequestObserver = lambda *_: None, api_version: str = "auto") -> None:
        self.address = address
        self.generation = 0
        """Counts connections: after a new one, another engine may be answering."""
        self._api_version = api_version
        self._observe = observe
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None

    def request(self, operation: str, ask: Callable[[docker.APIClient], T]) -> T:
        """What `ask` gets from the engine. An APIError (an answer, if a bad one) passes.

        Raises EngineUnreachable if nobody could be asked, EngineUnavailable if there came no answer or a senseless one.
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
        try:  # A connection that was kept may have gone stale: the request is sent again, once and at once.
            return self._measured(operation, ask)
        except APIError:
            raise
        except (requests.RequestException, DockerException) as error:
            self.drop()
            raise EngineUnavailable(str(self._trouble(error))) from error

    def drop(self) -> None:
        """Connect anew with the next request; those that are under way go on."""
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
            return EngineUnreachable(f"{where} cannot be reached: {reason}")
        if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
            return EngineUnavailable(f"{where} gave no answer in {ANSWER_WITHIN_SECONDS} s")
        return EngineUnavailable(f"{where} gave no proper answer: {error}")


def send(client: docker.APIClient, method: str, path: str) -> bytes:
    """One request as it is, and the whole of its answer. Raises what the library raises.

    What a session does besides, for each request anew (it merges settings and looks for cookies, credentials and
    redirects), takes as long as all the rest, and a clean-up sends thousands.
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
    """One pool of connections for all requests; the library's own has one for each URL, so that no delete finds any."""

    def get_connection(self, url: bytes | str, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


class _HostAdapter(HTTPAdapter):
    """Connections that notice when the other host is gone: an event stream may be silent for days."""

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
    client.get_adapter(client.base_url).close()  # It has asked for the version, on a connection of its own.
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
    """Why nobody could be asked, in words; empty if somebody may have been."""
    return next((_UNREACHABLE[type(cause)] for cause in _causes(error) if type(cause) in _UNREACHABLE), "")


def _is_broken(error: Exception) -> bool:
    """Did the connection end in the middle (and not the time)?"""
    return isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and what it carries among its arguments."""
    pending: list[BaseException] = [error]
    while pending:
        cause = pending.pop()
        yield cause
        pending += [
            each
            for each in (*cause.args, cause.__cause__, getattr(cause, "reason", None))
            if isinstance(each, BaseException)
        ]
