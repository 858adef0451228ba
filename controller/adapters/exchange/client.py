"""Client of the Exchange: reads an organisation's node management policies over HTTP, completely or not at all.

It sends one GET and nothing else, because a node that requests /changes counts at the Exchange as a running agent.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
from requests.auth import HTTPBasicAuth
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from controller import __version__
from controller.errors import ExchangeBusy, ExchangeUnavailable, InvalidSettings
from controller.policy.document.exchange_answer import ExchangePolicy, read_answer
from controller.printable import printable

LONGEST_ANSWER = 64 * 2**20
"""Bytes; enough for ten thousand policies."""
_PIECE = 1024
_NONE = 404
"""No policies, if the answer has the usual form with an empty map. A wrong address gives 404 too."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user or a node of the Exchange."""

    identity: str
    """`org/id`."""
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExchangeLocation:
    """The Exchange and the organisation whose policies are read."""

    url: str
    """From `exchange_url`."""
    organisation: str
    ca: Path | None = None
    """A file of certificates in PEM that are trusted instead of the system's."""


@dataclass(frozen=True, slots=True)
class ExchangeTimeouts:
    """Time-outs in seconds, and the number of attempts."""

    connect: float = 10
    silence: float = 30
    """Longest time without a byte of the answer."""
    answer: float = 120
    """Longest time from the first byte to the last."""
    attempts: int = 4


def exchange_url(text: str) -> str:
    """The URL of an Exchange's API, with /v1. Raises InvalidSettings.

    Plain http only to this machine: otherwise others could read the token, and change policies on the way.
    """
    address = text.strip().rstrip("/")
    address += "" if address.endswith("/v1") else "/v1"
    try:
        url = urlsplit(address)
        requests.Request("GET", address).prepare()
    except ValueError:  # requests raises such errors too
        url = urlsplit("")
    if "@" in url.netloc:
        raise InvalidSettings("--exchange-url: must not contain credentials (use --auth-file)")
    if url.scheme not in ("http", "https") or url.port == 0 or "?" in text or "#" in text:
        raise InvalidSettings("--exchange-url: expected an address such as https://exchange.example.org/v1")
    if url.scheme == "http" and not _is_this_machine(url.hostname or ""):
        raise InvalidSettings("--exchange-url: must start with https:// unless the Exchange is on this machine")
    return address


def certificates(file: Path) -> Path:
    """The file, if it contains PEM certificates. Raises InvalidSettings."""
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        raise InvalidSettings(f"--ca {file}: not a file of PEM certificates: {_in_words(error)}") from None
    return file


def credentials_in(text: str) -> Credentials:
    """Raises InvalidSettings; the message does not contain the text."""
    identity, _, token = text.strip().partition(":")
    organisation, _, name = identity.partition("/")
    if not (organisation and name and token):
        raise InvalidSettings("invalid credentials: expected org/id:token")
    return Credentials(identity, token)


def read_policies(
    source: ExchangeLocation, credentials: Credentials, patience: ExchangeTimeouts = ExchangeTimeouts()
) -> tuple[ExchangePolicy, ...]:
    """All management policies of the organisation; may be empty. Raises ExchangeUnavailable."""
    retrying = Retrying(
        retry=retry_if_exception_type(ExchangeBusy),
        wait=wait_random_exponential(multiplier=2, max=30),
        stop=stop_after_attempt(patience.attempts),
        reraise=True,
    )
    try:
        return retrying(_ask, source, credentials, patience)
    except ExchangeUnavailable as error:
        raise ExchangeUnavailable(f"{source.url}: {error}") from error


def _ask(source: ExchangeLocation, credentials: Credentials, patience: ExchangeTimeouts) -> tuple[ExchangePolicy, ...]:
    try:
        with requests.Session() as session, _send(session, source, credentials, patience) as response:
            _check_status(response.status_code)
            policies = read_answer(_read(response, patience), source.organisation)
    except OSError as error:  # requests raises such errors too
        raise _explained(error) from None
    if response.status_code == _NONE and policies:
        raise ExchangeUnavailable("invalid response: status 404 with policies")
    return policies


def _send(
    session: requests.Session, source: ExchangeLocation, credentials: Credentials, patience: ExchangeTimeouts
) -> requests.Response:
    return session.get(
        f"{source.url}/orgs/{quote(source.organisation, safe='')}/managementpolicies",
        auth=HTTPBasicAuth(credentials.identity.encode(), credentials.token.encode()),
        headers={"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": f"imagectl/{__version__}"},
        timeout=(patience.connect, patience.silence),
        verify=str(source.ca) if source.ca else True,
        proxies={"http": ""},  # plain http does not leave this machine
        allow_redirects=False,
        stream=True,
    )


def _check_status(status: int) -> None:
    """200: policies; 404 in the same form: no policies. Any other status is an error."""
    if status in (200, _NONE):
        return
    if status >= 500 or status in (408, 429):
        raise ExchangeBusy(f"the Exchange answered {status}")
    reasons = {401: "wrong credentials", 403: "no permission to read the policies of this organisation"}
    why = "a redirect (use the new address if it is right)" if 300 <= status < 400 else "is this an Exchange?"
    raise ExchangeUnavailable(f"the Exchange answered {status}: {reasons.get(status, why)}")


def _read(response: requests.Response, patience: ExchangeTimeouts) -> bytes:
    """The body; the time-out is checked after each piece."""
    body, deadline = bytearray(), time.monotonic() + patience.answer
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise ExchangeUnavailable(f"invalid response: larger than {LONGEST_ANSWER // 2**20} MiB")
        if time.monotonic() > deadline:
            raise ExchangeBusy(f"no complete response within {patience.answer:g} s")
    return bytes(body)


def _explained(error: OSError) -> ExchangeUnavailable:
    if isinstance(error, requests.Timeout):
        return ExchangeBusy("no response within the time-out")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return ExchangeBusy("the response is incomplete")
    cause = _first_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"certificate not trusted: {cause.verify_message}"
        return ExchangeUnavailable(f"{message} (for a private certificate authority use --ca)")
    return ExchangeBusy(_in_words(cause))


def _in_words(error: BaseException) -> str:
    """The message on one printable line; it may contain text of the server."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text.strip())


def _first_cause(error: BaseException) -> BaseException:
    """The first error of a chain: each library adds an error of its own."""
    while before := error.__cause__ or error.__context__:
        error = before
    return error


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
