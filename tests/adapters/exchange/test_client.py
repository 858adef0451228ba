"""The client of an Exchange: a complete answer or an error, for any server, without secrets in messages."""

from __future__ import annotations

import gzip
import json
import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.exchange.client import (
    LONGEST_ANSWER,
    ExchangeLocation,
    ExchangeTimeouts,
    exchange_url,
    read_policies,
)
from controller.adapters.exchange.credentials import Credentials, credentials_in
from controller.adapters.exchange.trust import certificates, trusted, why_not_trusted
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
    status,
)
from tests.openhorizon import exchange_calls

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
        ask(exchange, patience=ExchangeTimeouts(read=0.05, attempts=1))


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


# ── an empty 404 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def recorded_call(chapter: str, path: str, asked_by: str, note: str = "") -> Behaviour:
    """A recorded answer."""
    call = next(
        call
        for call in exchange_calls(chapter)
        if (call["path"], call.get("as")) == (f"/v1/orgs/{path}", asked_by) and note in call["note"]
    )
    return body(call["body"].encode(), call["status"], Content_Type=call["headers"]["Content-Type"])


def ask_recorded(exchange: FakeExchange, organisation: str, asked_by: str) -> tuple[ExchangePolicy, ...]:
    return read_policies(ExchangeLocation(exchange.url, organisation), Credentials(asked_by, "secret"))


def empty(chapter: str, organisation: str, asked_by: str, note: str = "") -> Behaviour:
    return recorded_call(chapter, f"{organisation}/managementpolicies", asked_by, note)


ORGS = "38-is-the-org-there"


def test_an_organisation_without_policies_has_none(exchange: FakeExchange) -> None:
    there = recorded_call(ORGS, "doomed2", "doomed2/n1", "empty org")
    exchange.misbehaviours = [empty(ORGS, "doomed2", "doomed2/n1", "empty org"), there]
    assert ask_recorded(exchange, "doomed2", "doomed2/n1") == ()
    assert exchange.requests == ["GET /v1/orgs/doomed2/managementpolicies", "GET /v1/orgs/doomed2"]


def test_an_organisation_that_does_not_exist_is_an_error(exchange: FakeExchange) -> None:
    not_there = recorded_call(ORGS, "nosuchorg", "root/root")
    exchange.misbehaviours = [empty("06-auth", "nosuchorg", "root/root"), not_there]
    with pytest.raises(ExchangeUnavailable, match=r"the organisation nosuchorg does not exist \(check --org\)"):
        ask_recorded(exchange, "nosuchorg", "root/root")


@pytest.mark.parametrize("asked_by", ["doomed2/n1", "doomed2/admin", "root/root"])
def test_a_deleted_organisation_is_an_error(exchange: FakeExchange, asked_by: str) -> None:
    gone = recorded_call(ORGS, "doomed2", asked_by, "deleted")
    exchange.misbehaviours = [empty(ORGS, "doomed2", asked_by, "deleted"), gone]
    with pytest.raises(ExchangeUnavailable, match="the organisation doomed2 does not exist"):
        ask_recorded(exchange, "doomed2", asked_by)


def test_rows_that_were_lost_look_like_an_organisation_without_policies(exchange: FakeExchange) -> None:
    there = recorded_call(ORGS, "myorg", "myorg/node1")
    exchange.misbehaviours = [empty("30-database-trouble", "myorg", "myorg/admin", "restored database"), there]
    assert ask_recorded(exchange, "myorg", "myorg/admin") == ()


def test_the_policies_of_ibm_that_a_node_of_another_organisation_may_not_see_are_an_error(
    exchange: FakeExchange,
) -> None:
    exchange.misbehaviours = [empty(ORGS, "IBM", "myorg/node1"), recorded_call(ORGS, "IBM", "myorg/node1")]
    with pytest.raises(ExchangeUnavailable, match="these credentials are of organisation myorg"):
        ask_recorded(exchange, "IBM", "myorg/node1")


@pytest.mark.parametrize("asked_by", ["root/root", "IBM/mtagbot"])
def test_root_and_agreement_bots_of_ibm_see_other_organisations(exchange: FakeExchange, asked_by: str) -> None:
    there = recorded_call(ORGS, "myorg", "myorg/node1")
    exchange.misbehaviours = [empty("30-database-trouble", "myorg", "myorg/admin", "restored database"), there]
    assert ask_recorded(exchange, "myorg", asked_by) == ()


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("trouble", [status(500), hang_up, body(b'{"orgs": '), status(401), status(200, {"orgs": {}})])
def test_without_an_answer_about_the_organisation_an_empty_list_is_not_used(
    exchange: FakeExchange, trouble: Behaviour
) -> None:
    exchange.misbehaviours = [body(NONE, 404), trouble] * 9
    with pytest.raises(ExchangeUnavailable):
        ask(exchange)


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (empty("06-auth", "myorg", "myorg/nosuch"), "the Exchange answered 401: wrong credentials; unauthorized"),
        (empty("06-auth", "myorg", "other/admin"), "does not have authorization: READ_OTHER_ORGS"),
        (empty("30-database-trouble", "myorg", "myorg/admin", "table gone"), 'relation "managementpolicies" does not'),
        (status(503, {"msg": "\x1b[31m" + "x" * 999}), "the Exchange answered 503: "),
        (body(b"Service Unavailable", 503), "the Exchange answered 503"),
        (
            body(b"\x1bno server is available\nsecond line", 503, Content_Type="text/plain; charset=UTF-8"),
            "the Exchange answered 503: \\u001bno server is available",
        ),
        (body(b"<html>x</html>", 503, Content_Type="text/html"), "the Exchange answered 503"),
    ],
)
def test_the_message_of_the_exchange_is_shown(exchange: FakeExchange, trouble: Behaviour, words: str) -> None:
    exchange.misbehaviours = [trouble] * 9
    with pytest.raises(ExchangeUnavailable) as raised:
        ask(exchange)
    assert words in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/orgs/myorg/managementpolicies", "answered 404 without JSON (is this an Exchange?)"),
        ("/v1/orgs/myorg/managementPolicies", "answered 404: unrecognized route (is --exchange-url right?)"),
    ],
)
def test_a_404_of_a_wrong_address_is_requested_once(
    exchange: FakeExchange, naps: list[float], path: str, words: str
) -> None:
    (call,) = [call for call in exchange_calls("06-auth") if call["path"] == path]
    exchange.misbehaviours = [body(call["body"].encode(), 404, Content_Type=call["headers"]["Content-Type"])]
    with pytest.raises(ExchangeUnavailable) as raised:
        ask(exchange)
    assert words in str(raised.value)
    assert naps == []


def test_a_restart_of_the_exchange_is_bridged(naps: list[float]) -> None:
    with FakeExchange() as gone:
        url = gone.url
    with pytest.raises(ExchangeUnavailable):
        read_policies(ExchangeLocation(url, ORGANISATION), credentials_in(CREDENTIALS))
    assert 15 <= sum(naps) <= 40


def test_a_proxy_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:{SECRETS[0]}@127.0.0.1:9")
    with pytest.raises(ExchangeUnavailable) as raised:
        read_policies(
            ExchangeLocation("https://exchange.invalid/v1", ORGANISATION),
            credentials_in(CREDENTIALS),
            ExchangeTimeouts(attempts=1),
        )
    assert "through the proxy 127.0.0.1:9 of the environment" in str(raised.value)
    assert SECRETS[0] not in str(raised.value)


# ── trust ────────────────────────────────────────────────────────────────────────────────────────────────────────────


_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.mark.parametrize("variable", _VARIABLES)
def test_the_variables_of_other_tools_name_certificates(
    authority: Authority, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*_VARIABLES, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(authority.ca))
    with FakeExchange(authority.server) as exchange:
        exchange.put("sweep", SWEEP)
        assert len(ask(exchange)) == 1


def test_an_option_wins_over_a_variable_and_a_variable_over_the_system() -> None:
    assert trusted(None, {"SSL_CERT_DIR": "/certs"}) == "/certs"
    assert trusted(Path("/ca.pem"), {"SSL_CERT_FILE": "/certs.pem"}) == "/ca.pem"


@pytest.mark.parametrize(
    ("code", "hint"),
    [(9, "set the clock"), (10, "renew the certificate"), (62, "use a name of the certificate"), (20, "use --ca")],
)
def test_the_hint_fits_the_reason(code: int, hint: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "the reason"
    assert hint in why_not_trusted(error)


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ufeffmyorg/n:secret", "starts with a byte order mark"),
        ("HZN_EXCHANGE_USER_AUTH=myorg/n:secret", "without HZN_EXCHANGE_USER_AUTH="),
        ("export HZN_EXCHANGE_USER_AUTH=myorg/n:secret", "without HZN_EXCHANGE_USER_AUTH="),
        ('"myorg/n:secret"\n', "remove the quotation marks"),
        ("'myorg/n:secret'", "remove the quotation marks"),
        ("myorg/n:secret\nmyorg/m:secret\n", "expected one line"),
    ],
)
def test_a_mistake_in_the_credentials_is_named_before_they_are_sent(text: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        credentials_in(text)
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_password_may_end_with_blanks(end: str) -> None:
    assert credentials_in(f" myorg/alice:a b:  {end}") == Credentials("myorg/alice", "a b:  ")
