"""Client of the Exchange: reads an organisation's node management policies over HTTP, completely or not at all.

It sends one GET, and a second one for the organisation if that has no policies. It never requests /changes, because a
node that does so counts at the Exchange as a running agent.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import get_environ_proxies, select_proxy
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from controller import __version__
from controller.adapters.exchange.credentials import Credentials
from controller.adapters.exchange.trust import trusted, why_not_trusted
from controller.errors import ExchangeBusy, ExchangeUnavailable, InvalidSettings
from controller.json_text import decoded
from controller.policy.document.exchange_answer import ExchangePolicy, read_answer
from controller.printable import printable
from controller.settings import environment
from controller.value import dataclass

LONGEST_ANSWER = 64 * 2**20
"""Bytes; enough for ten thousand policies."""
_PIECE = 1024
_NONE = 404
"""No policies, if the answer has the usual form with an empty map. A wrong address gives 404 too."""
_SEE_ALL = ("root", "IBM")
"""Organisations of which users and agreement bots may read the policies of others."""
_LONGEST_MESSAGE = 2**16
_SHOWN = 300
"""Characters of a message."""
_LONGEST_WAIT_SECONDS = 8


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
    read: float = 30
    """Longest time without a byte of the answer."""
    answer: float = 120
    """Longest time from the first byte to the last."""
    attempts: int = 6
    """The waits between them are 15 s at least in total: the Exchange needs 5 to 10 s for a restart."""


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


def read_policies(
    source: ExchangeLocation, credentials: Credentials, patience: ExchangeTimeouts = ExchangeTimeouts()
) -> tuple[ExchangePolicy, ...]:
    """All management policies of the organisation; may be empty. Raises ExchangeUnavailable."""
    retrying = Retrying(
        retry=retry_if_exception_type(ExchangeBusy),
        wait=wait_exponential(max=_LONGEST_WAIT_SECONDS) + wait_random(0, 1),
        stop=stop_after_attempt(patience.attempts),
        reraise=True,
    )
    try:
        return retrying(_ask, source, credentials, patience)
    except ExchangeUnavailable as error:
        raise ExchangeUnavailable(f"{source.url}: {error}") from error


def _ask(source: ExchangeLocation, credentials: Credentials, patience: ExchangeTimeouts) -> tuple[ExchangePolicy, ...]:
    place = f"orgs/{quote(source.organisation, safe='')}"
    status, body = _get(source, f"{place}/managementpolicies", credentials, patience)
    policies = _policies_in(status, body, source.organisation)
    if not policies:
        _require_own(source.organisation, credentials)
        _require_organisation(*_get(source, place, credentials, patience), source.organisation)
    return policies


def _policies_in(status: int, body: bytes, organisation: str) -> tuple[ExchangePolicy, ...]:
    """404 in the usual form means that the Exchange shows no policies; it has several reasons."""
    if status == _NONE and not body.lstrip().startswith((b"{", b"[")):
        raise ExchangeUnavailable(f"the Exchange answered {_NONE} without JSON (is this an Exchange?)")
    if status == _NONE and (said := _message_in(body)):
        raise ExchangeUnavailable(f"the Exchange answered {_NONE}: {said} (is --exchange-url right?)")
    policies = read_answer(body, organisation)
    if status == _NONE and policies:
        raise ExchangeUnavailable("invalid response: status 404 with policies")
    return policies


def _require_own(organisation: str, credentials: Credentials) -> None:
    """The Exchange shows a node of another organisation an empty list of the policies of `IBM`."""
    if credentials.organisation not in (organisation, *_SEE_ALL):
        raise ExchangeUnavailable(
            f"no policies: these credentials are of organisation {printable(credentials.organisation)},"
            f" and the Exchange does not show them the policies of {organisation}"
        )


def _require_organisation(status: int, body: bytes, organisation: str) -> None:
    """The Exchange answers in the same way for an organisation without policies and for one that does not exist."""
    try:
        answer = decoded(body)
        known = answer.get("orgs") if isinstance(answer, dict) else None
    except ValueError:
        raise ExchangeBusy("invalid response: the organisation is not valid JSON (truncated?)") from None
    if isinstance(known, dict) and status == _NONE and not known:
        raise ExchangeUnavailable(f"the organisation {organisation} does not exist (check --org)")
    if not isinstance(known, dict) or status == _NONE or organisation not in known:
        raise ExchangeUnavailable("invalid response: no organisation (is this an Exchange?)")


def _get(
    source: ExchangeLocation, path: str, credentials: Credentials, patience: ExchangeTimeouts
) -> tuple[int, bytes]:
    """The status, 200 or 404, and the body. Raises ExchangeUnavailable."""
    try:
        with requests.Session() as session, _send(session, source, path, credentials, patience) as response:
            _check_status(response, patience)
            return response.status_code, _read(response, patience)
    except OSError as error:  # requests raises such errors too
        raise _explained(error, source.url) from None


def _send(
    session: requests.Session, source: ExchangeLocation, path: str, credentials: Credentials, patience: ExchangeTimeouts
) -> requests.Response:
    return session.get(
        f"{source.url}/{path}",
        auth=HTTPBasicAuth(credentials.identity.encode(), credentials.token.encode()),
        headers={"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": f"imagectl/{__version__}"},
        timeout=(patience.connect, patience.read),
        verify=trusted(source.ca, environment()),
        proxies={"http": ""},  # plain http does not leave this machine
        allow_redirects=False,
        stream=True,
    )


def _check_status(response: requests.Response, patience: ExchangeTimeouts) -> None:
    """200 and 404 have a body to read. Any other status is an error, with the message of the Exchange."""
    status = response.status_code
    if status in (200, _NONE):
        return
    said = ""
    with suppress(OSError, ExchangeUnavailable):
        body = _read(response, patience, _LONGEST_MESSAGE)
        said = _message_in(body) or _plain_text_in(response.headers.get("Content-Type", ""), body)
    reasons = {401: "wrong credentials", 403: "no permission to read the policies of this organisation"}
    redirect = "a redirect (use the new address if it is right)" if 300 <= status < 400 else ""
    why = "; ".join(filter(None, (reasons.get(status, redirect), said)))
    if status >= 500 or status in (408, 429):
        raise ExchangeBusy(f"the Exchange answered {status}{f': {why}' if why else ''}")
    raise ExchangeUnavailable(f"the Exchange answered {status}: {why or 'is this an Exchange?'}")


def _message_in(body: bytes) -> str:
    """The field `msg` of an answer that is an error; empty if there is none."""
    try:
        answer = decoded(body)
    except ValueError:
        return ""
    said = answer.get("msg") if isinstance(answer, dict) else None
    return printable(said[:_SHOWN].strip()) if isinstance(said, str) else ""


def _plain_text_in(content_type: str, body: bytes) -> str:
    """The first line of an error in plain text, of the Exchange or of a proxy before it; empty for other types."""
    if not content_type.lower().startswith("text/plain"):
        return ""
    return printable(body[:_SHOWN].decode(errors="replace").strip().partition("\n")[0])


def _read(response: requests.Response, patience: ExchangeTimeouts, longest: int = LONGEST_ANSWER) -> bytes:
    """The body; the time-out is checked after each piece."""
    body, deadline = bytearray(), time.monotonic() + patience.answer
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > longest:
            raise ExchangeUnavailable(f"invalid response: larger than {longest // 2**20} MiB")
        if time.monotonic() > deadline:
            raise ExchangeBusy(f"no complete response within {patience.answer:g} s")
    return bytes(body)


def _explained(error: OSError, url: str) -> ExchangeUnavailable:
    via = _proxy_in_words(url)
    if isinstance(error, requests.Timeout):
        return ExchangeBusy(f"no response within the time-out{via}")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return ExchangeBusy(f"the response is incomplete{via}")
    cause = _first_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ExchangeUnavailable(f"{why_not_trusted(cause)}{via}")
    return ExchangeBusy(f"{_in_words(cause)}{via}")


def _proxy_in_words(url: str) -> str:
    """The proxy that the environment names for this address, without its credentials; empty without one."""
    proxies = get_environ_proxies(url) if url.startswith("https:") else {}
    proxy = urlsplit(select_proxy(url, proxies) or "")
    if not proxy.hostname:
        return ""
    port = f":{proxy.port}" if proxy.port else ""
    return f" (through the proxy {printable(proxy.hostname)}{port} of the environment: does it answer?)"


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
