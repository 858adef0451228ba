"""The way to an engine: connected when first needed, again after trouble, kept alive in between.

The docker library's many errors become our few here. What is asked stands in `engine` and `docker_events`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter

from controller.errors import EngineUnavailable, EngineUnreachable

ANSWER_WITHIN_SECONDS = 600
"""Docker's containerd store takes 7 s to list 1,000 images, and seconds for each delete among them."""
_CONNECTIONS_KEPT = 16
_UNREACHABLE: dict[type[BaseException], str] = {
    FileNotFoundError: "there is no such socket; is the engine running?",
    ConnectionRefusedError: "nobody listens there; is the engine running?",
    PermissionError: "no permission to use it; run as root or join the group that owns the socket",
}

T = TypeVar("T")
RequestObserver = Callable[[str, str, float], None]
"""Told of every request: what was asked, the code of the answer (an HTTP status, or `none`), seconds."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine listens."""

    url: str = "unix:///var/run/docker.sock"
    """`unix:///path` or `tcp://host:port`."""
    certificates: str = ""
    """Folder with ca.pem, cert.pem and key.pem for TLS, as in DOCKER_CERT_PATH; empty: none."""


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
        except requests.ConnectionError as error:
            if _could_not_connect(error):
                raise self._unavailable(error) from error
            self.drop()  # A connection that was kept may have gone stale: the request is sent again, once and at once.
        except APIError:
            raise
        except (requests.RequestException, DockerException) as error:
            raise self._unavailable(error) from error
        try:
            return self._measured(operation, ask)
        except APIError:
            raise
        except (requests.RequestException, DockerException) as error:
            raise self._unavailable(error) from error

    def drop(self) -> None:
        """Connect anew with the next request."""
        with self._lock:
            self._client = None

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

    def _unavailable(self, error: Exception) -> EngineUnavailable:
        self.drop()
        where = f"the engine at {self.address.url}"
        for cause in _causes(error):
            if type(cause) in _UNREACHABLE:
                return EngineUnreachable(f"{where} cannot be reached: {_UNREACHABLE[type(cause)]}")
        if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
            return EngineUnavailable(f"{where} gave no answer in {ANSWER_WITHIN_SECONDS} s")
        return EngineUnavailable(f"{where} gave no proper answer: {error}")


class _KeepAliveAdapter(UnixHTTPAdapter):
    """One pool of connections for all requests; the library's own has one for each URL, so that no delete finds any."""

    def get_connection(self, url: bytes | str, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


def _client(address: Address, api_version: str) -> docker.APIClient:
    client = docker.APIClient(
        address.url, version=api_version, timeout=ANSWER_WITHIN_SECONDS, tls=_tls(address.certificates)
    )
    if address.url.startswith("unix://"):
        socket = address.url.replace("unix://", "http+unix://")
        adapter = _KeepAliveAdapter(socket, ANSWER_WITHIN_SECONDS, max_pool_size=_CONNECTIONS_KEPT)
        client.mount("http+docker://", adapter)
        client.trust_env = False  # No proxy stands before a socket, and looking for one costs more than the request.
    return client


def _tls(folder: str) -> TLSConfig | bool:
    if not folder:
        return False
    return TLSConfig(client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=True)


def _could_not_connect(error: Exception) -> bool:
    return any(type(cause) in _UNREACHABLE for cause in _causes(error))


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
