"""One request to an engine. Only status 200 counts. The settings of this process for proxies and certificates do not
apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from controller.adapters.engine.address import Address
from controller.adapters.engine.transport import ANSWER_WITHIN_SECONDS, REACHED_WITHIN_SECONDS, adapter_for
from controller.errors import EngineUnavailable, EngineUnreachable
from controller.json_text import decoded
from controller.printable import printable
from controller.value import dataclass

HIGHEST_API = (1, 55)
"""The highest API version that was tested."""
_LONGEST_MESSAGE_BYTES = 65_536
_PIECE_BYTES = 65_536
_FILES_FOR_TLS = ("ca.pem", "cert.pem", "key.pem")
_is_api_version = re.compile(r"(\d{1,3})\.(\d{1,3})").fullmatch
_is_about_version = re.compile(r"client version [\d.]+ is too (?:old|new)", re.IGNORECASE).search


class ErrorAnswer(Exception):
    """An answer of the engine with another status than 200; its text is the engine's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_about_version(self) -> bool:
        """True if this engine does not support the API version of the request."""
        return self.status == 400 and _is_about_version(str(self)) is not None


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
            timeout=(REACHED_WITHIN_SECONDS, timeout),  # type: ignore[arg-type]
            verify=f"{folder}/ca.pem" if folder else True,
            cert=(f"{folder}/cert.pem", f"{folder}/key.pem") if folder else None,
        )
        if answer.status_code != 200 or "Content-Encoding" in answer.headers:
            with closing(answer):
                raise ErrorAnswer(answer.status_code, _message_of(answer))
        return answer


def client_of(address: Address, api_version: str) -> Client:
    """A client of the engine at this address; `auto`: with the API version that both support.

    Raises EngineUnavailable, ErrorAnswer and what the libraries raise.
    """
    certificates = "" if address.socket_path else address.certificates
    _require_files(certificates, address)
    client = Client(address.base_url, adapter_for(address), api_version, certificates)
    if api_version != "auto":
        return client
    return replace(client, api_version=_agreed_version(replace(client, api_version="")))


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
        highest = decoded(client.get("/version"))["ApiVersion"]
        numbers = _is_api_version(highest)
    except (ValueError, TypeError, KeyError) as error:
        raise EngineUnavailable(f"invalid response to version: {printable(repr(error))}") from error
    except ErrorAnswer as answer:
        raise EngineUnavailable(f"the engine answered version with {answer.status}: {answer}") from answer
    if not numbers:
        raise EngineUnavailable(f"invalid response to version: {printable(repr(highest))} is not an API version")
    return "{}.{}".format(*min(HIGHEST_API, (int(numbers[1]), int(numbers[2]))))


def _message_of(answer: requests.Response) -> str:
    """The engine's error message; else the start of the text."""
    text = next(answer.iter_content(_LONGEST_MESSAGE_BYTES), b"").decode(errors="replace")
    try:
        message = decoded(text)["message"]
    except (ValueError, TypeError, KeyError):
        message = text or answer.reason or "no message"
    return printable(str(message).strip(), longest=1_000)
