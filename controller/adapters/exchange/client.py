"""The Exchange: an organisation's node management policies, asked for over HTTP, whole or not at all.

One GET and nothing else: a node that asks for /changes tells the Exchange that its agent is alive. What becomes of the
policies is not here.
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
"""Bytes: some ten thousand policies."""
_PIECE = 1024
_NONE = 404
"""With an answer in the usual form and an empty map in it, since 404 is also what a wrong address gives."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks: a user or a node of the Exchange."""

    identity: str
    """`org/id`."""
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExchangeLocation:
    """Whose policies, and where they are kept."""

    url: str
    """As `exchange_url` returns it."""
    organisation: str
    ca: Path | None = None
    """A file of certificates in PEM that are trusted instead of the system's."""


@dataclass(frozen=True, slots=True)
class ExchangeTimeouts:
    """How long to wait for the Exchange, in seconds, and how often to ask."""

    connect: float = 10
    silence: float = 30
    """Without a byte of the answer."""
    answer: float = 120
    """From its first byte to its last."""
    attempts: int = 4


def exchange_url(text: str) -> str:
    """The address of an Exchange's API, with its /v1. Raises InvalidSettings.

    Plain http only to this machine: on the way, anybody could read the token and write policies that delete images.
    """
    address = text.strip().rstrip("/")
    address += "" if address.endswith("/v1") else "/v1"
    try:
        url = urlsplit(address)
        requests.Request("GET", address).prepare()
    except ValueError:  # requests' own errors about addresses are of this kind as well
        url = urlsplit("")
    if "@" in url.netloc:
        raise InvalidSettings("the address of the Exchange must not hold credentials")
    if url.scheme not in ("http", "https") or url.port == 0 or "?" in text or "#" in text:
        raise InvalidSettings("the address of the Exchange must look like https://exchange.example.org/v1")
    if url.scheme == "http" and not _is_this_machine(url.hostname or ""):
        raise InvalidSettings("the address of the Exchange must begin with https://, unless it is on this machine")
    return address


def certificates(file: Path) -> Path:
    """The file, if certificates in PEM are in it. Raises InvalidSettings."""
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        raise InvalidSettings(f"{file} holds no certificates in PEM that can be read: {_in_words(error)}") from None
    return file


def credentials_in(text: str) -> Credentials:
    """Raises InvalidSettings, without repeating the text."""
    identity, _, token = text.strip().partition(":")
    organisation, _, name = identity.partition("/")
    if not (organisation and name and token):
        raise InvalidSettings("the credentials for the Exchange must be written org/id:token")
    return Credentials(identity, token)


def read_policies(
    source: ExchangeLocation, credentials: Credentials, patience: ExchangeTimeouts = ExchangeTimeouts()
) -> tuple[ExchangePolicy, ...]:
    """All management policies of the organisation, perhaps none. Raises ExchangeUnavailable."""
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
    except OSError as error:  # requests' own errors are of this kind as well
        raise _explained(error) from None
    if response.status_code == _NONE and policies:
        raise ExchangeUnavailable("the answer is 404 and yet holds policies")
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
    """200 holds policies, 404 says in the same form that there are none; other answers say nothing about them."""
    if status in (200, _NONE):
        return
    if status >= 500 or status in (408, 429):
        raise ExchangeBusy(f"the answer is {status}")
    reasons = {401: "it does not know these credentials", 403: "these credentials may not read the policies there"}
    why = "it leads to another address; if that is right, give it" if 300 <= status < 400 else "is this an Exchange?"
    raise ExchangeUnavailable(f"the answer is {status}: {reasons.get(status, why)}")


def _read(response: requests.Response, patience: ExchangeTimeouts) -> bytes:
    """The body; how long it takes is looked at after each piece."""
    body, deadline = bytearray(), time.monotonic() + patience.answer
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise ExchangeUnavailable(f"the answer is larger than {LONGEST_ANSWER // 2**20} MiB")
        if time.monotonic() > deadline:
            raise ExchangeBusy(f"the answer took longer than {patience.answer:g} s")
    return bytes(body)


def _explained(error: OSError) -> ExchangeUnavailable:
    if isinstance(error, requests.Timeout):
        return ExchangeBusy("no answer in time")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return ExchangeBusy("the answer was cut short")
    cause = _first_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"its certificate is not trusted: {cause.verify_message}"
        return ExchangeUnavailable(f"{message} (--ca names an authority of your own)")
    return ExchangeBusy(_in_words(cause))


def _in_words(error: BaseException) -> str:
    """On one line, whatever the other side has put into it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text.strip())


def _first_cause(error: BaseException) -> BaseException:
    """What happened first, where each library on the way put it into words of its own."""
    while before := error.__cause__ or error.__context__:
        error = before
    return error


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
