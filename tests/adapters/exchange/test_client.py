"""The client of an Exchange: a complete answer or an error, for any server, without secrets in messages."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.exchange.client import (
    LONGEST_ANSWER,
    ExchangeLocation,
    ExchangeTimeouts,
    certificates,
    credentials_in,
    exchange_url,
    read_policies,
)
from controller.errors import ExchangeUnavailable, InvalidSettings
from controller.policy.document.exchange_answer import ExchangePolicy
from tests.fake_exchange import (
    CREDENTIALS,
    ORGANISATION,
    SECRETS,
    Authority,
    Behaviour,
    FakeExchange,
    body,
    cut_short,
    fall_silent,
    hang_up,
    make_authority,
    status,
)

SWEEP = {"label": "sweep", "enabled": True}
ONE_GET = [f"GET /v1/orgs/{ORGANISATION}/managementpolicies"]
WHOLE = json.dumps({"managementPolicy": {f"{ORGANISATION}/sweep": SWEEP}, "lastIndex": 0}).encode()
NONE = b'{"managementPolicy": {}, "lastIndex": 0}'


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange() as exchange:
        exchange.put("sweep", SWEEP)
        yield exchange


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, recorded instead of waited."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


PATIENCE = ExchangeTimeouts()


def ask(
    exchange: FakeExchange, ca: Path | None = None, patience: ExchangeTimeouts = PATIENCE
) -> tuple[ExchangePolicy, ...]:
    return read_policies(
        ExchangeLocation(exchange_url(exchange.url), ORGANISATION, ca), credentials_in(CREDENTIALS), patience
    )


def test_one_get_reads_all_policies(exchange: FakeExchange) -> None:
    exchange.put("keep", SWEEP)
    assert [policy.name for policy in ask(exchange)] == ["myorg/keep", "myorg/sweep"]
    assert exchange.requests == ONE_GET


def test_404_with_an_empty_map_means_no_policies(exchange: FakeExchange) -> None:
    exchange.policies.clear()
    assert ask(exchange) == ()


def test_a_compressed_answer_is_read(exchange: FakeExchange) -> None:
    exchange.misbehaviours = [body(gzip.compress(WHOLE), Content_Encoding="gzip")]
    assert [policy.name for policy in ask(exchange)] == ["myorg/sweep"]


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize(
    "trouble",
    [
        status(500),
        status(502),
        status(503),
        status(504),
        status(429),
        status(408),
        hang_up,
        cut_short(WHOLE),
        cut_short(WHOLE[:-1]),
        body(WHOLE[:-1]),
        body(b""),
        body(b"<html>Please log in</html>"),
        body(gzip.compress(WHOLE)[:-20], Content_Encoding="gzip"),
    ],
)
def test_a_temporary_failure_is_retried(exchange: FakeExchange, trouble: Behaviour) -> None:
    exchange.misbehaviours = [trouble, trouble]
    assert [policy.name for policy in ask(exchange)] == ["myorg/sweep"]
    assert exchange.requests == ONE_GET * 3


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (status(401), "the Exchange answered 401: wrong credentials"),
        (status(403), "the Exchange answered 403: no permission to read the policies"),
        (status(400), "the Exchange answered 400"),
        (status(204), "the Exchange answered 204"),
        (status(302, Location="https://elsewhere.example/v1"), "the Exchange answered 302: a redirect"),
        (status(308, Location="/v1/orgs/other/managementpolicies"), "the Exchange answered 308"),
        (body(WHOLE, code=404), "invalid response: status 404 with policies"),
        (status(404, {"code": "not-found"}), 'no "managementPolicy"'),
        (status(200, {"managementPolicy": None}), 'no "managementPolicy"'),
        (status(200, {"managementPolicy": {"other/sweep": SWEEP}}), '"other/sweep" is not a policy of myorg'),
        (status(200, []), 'no "managementPolicy"'),
    ],
)
def test_a_permanent_failure_is_not_retried(
    exchange: FakeExchange, naps: list[float], trouble: Behaviour, words: str
) -> None:
    exchange.misbehaviours = [trouble]
    with pytest.raises(ExchangeUnavailable) as raised:
        ask(exchange)
    assert words in str(raised.value)
    assert exchange.requests == ONE_GET
    assert naps == []


def test_the_waits_between_attempts_grow_at_random_and_end(exchange: FakeExchange, naps: list[float]) -> None:
    exchange.misbehaviours = [status(503)] * 9
    with pytest.raises(ExchangeUnavailable, match="the Exchange answered 503"):
        ask(exchange)
    assert len(naps) == PATIENCE.attempts - 1
    assert all(0 <= nap <= 2 * 2**number for number, nap in enumerate(naps))


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"])
def test_the_wait_for_an_answer_is_bounded(exchange: FakeExchange, before: bytes) -> None:
    exchange.misbehaviours = [fall_silent(exchange, before)]
    with pytest.raises(ExchangeUnavailable, match=r"no response within the time-out|timed out"):
        ask(exchange, patience=ExchangeTimeouts(silence=0.05, attempts=1))


def test_the_wait_for_a_slow_answer_is_bounded(exchange: FakeExchange) -> None:
    with pytest.raises(ExchangeUnavailable, match="no complete response within 0 s"):
        ask(exchange, patience=ExchangeTimeouts(answer=0, attempts=1))


def test_an_answer_without_end_is_not_read_to_the_end(exchange: FakeExchange) -> None:
    exchange.misbehaviours = [body(gzip.compress(bytes(LONGEST_ANSWER + 1), 1), Content_Encoding="gzip")]
    with pytest.raises(ExchangeUnavailable, match="larger than 64 MiB"):
        ask(exchange)


def test_a_refused_connection_has_a_plain_message(exchange: FakeExchange) -> None:
    with FakeExchange() as gone:
        url = gone.url
    with pytest.raises(ExchangeUnavailable) as raised:
        read_policies(ExchangeLocation(url, ORGANISATION), credentials_in(CREDENTIALS), ExchangeTimeouts(attempts=1))
    assert str(raised.value) == f"{url}: Connection refused"


def test_a_message_of_the_server_is_one_line(exchange: FakeExchange) -> None:
    exchange.misbehaviours = [fall_silent(exchange, b"\x1b[31mnot HTTP\r\n")]
    with pytest.raises(ExchangeUnavailable) as raised:
        ask(exchange, patience=ExchangeTimeouts(attempts=1))
    assert str(raised.value).isprintable()


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority, naps: list[float]) -> None:
    with FakeExchange(authority.server) as exchange:
        with pytest.raises(ExchangeUnavailable, match=r"certificate not trusted: .*--ca"):
            ask(exchange)
        assert (exchange.requests, naps) == ([], [])


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with FakeExchange(authority.server) as exchange:
        exchange.url = exchange.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ExchangeUnavailable, match="certificate not trusted"):
            ask(exchange, certificates(authority.ca))


def test_a_private_authority_is_trusted_regardless_of_the_environment(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    with FakeExchange(authority.server) as exchange:
        exchange.put("sweep", SWEEP)
        assert len(ask(exchange, certificates(authority.ca))) == 1


def test_a_file_without_certificates_is_refused_before_any_request(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(InvalidSettings, match=r"ca\.pem: not a file of PEM certificates"):
        certificates(file)


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("trouble", [status(401), status(500), hang_up, cut_short(WHOLE), body(b"{"), status(302)])
def test_no_secret_is_in_any_message_or_log(
    exchange: FakeExchange, trouble: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    exchange.misbehaviours = [trouble] * 9
    with pytest.raises(ExchangeUnavailable) as raised:
        ask(exchange)
    said = f"{raised.getrepr()} {credentials_in(CREDENTIALS)} {caplog.text}"
    assert "127.0.0.1" in said
    assert not [secret for secret in SECRETS if secret in said]


def test_credentials_go_only_to_the_exchange_itself(exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeExchange() as elsewhere:
        exchange.misbehaviours = [status(307, Location=elsewhere.url)]
        with pytest.raises(ExchangeUnavailable, match="307"):
            ask(exchange)
        assert elsewhere.requests == []


def test_plain_http_goes_to_this_machine_and_to_no_proxy(
    exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeExchange() as proxy:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert len(ask(exchange)) == 1
        assert proxy.requests == []


@pytest.mark.parametrize(
    "text", ["", "token", "node1:token", "myorg/:token", "/node1:token", "myorg/node1", "myorg/node1:", "  "]
)
def test_incomplete_credentials_are_refused_and_not_printed(text: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        credentials_in(text)
    assert str(raised.value) == "invalid credentials: expected org/id:token"


def test_a_token_may_contain_anything() -> None:
    credentials = credentials_in("myorg/iamapikey:a:b/c=ü\n")
    assert (credentials.identity, credentials.token) == ("myorg/iamapikey", "a:b/c=ü")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://exchange.example.org", "https://exchange.example.org/v1"),
        ("https://exchange.example.org/v1/", "https://exchange.example.org/v1"),
        (" https://example.org:8443/edge-exchange/v1\n", "https://example.org:8443/edge-exchange/v1"),
        ("http://localhost:3090/v1", "http://localhost:3090/v1"),
        ("http://[::1]:3090", "http://[::1]:3090/v1"),
    ],
)
def test_an_address_may_leave_out_its_v1(text: str, url: str) -> None:
    assert exchange_url(text) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://exchange.example.org/v1", "must start with https://"),
        ("http://127.0.0.1.example.org/v1", "must start with https://"),
        ("https://me:secret@example.org/v1", "must not contain credentials"),
        ("https://example.org/v1?token=secret", "expected an address such as"),
        ("https://example.org:secret/v1", "expected an address such as"),
        ("https://[secret", "expected an address such as"),
        ("ftp://secret", "expected an address such as"),
        ("secret", "expected an address such as"),
        ("", "expected an address such as"),
        ("\0", "expected an address such as"),
    ],
)
def test_an_invalid_address_is_refused_and_not_printed(text: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        exchange_url(text)
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)
