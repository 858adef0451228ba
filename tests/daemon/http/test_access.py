"""Accepted host names and passwords."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.daemon.http.access import Access

ACCESS = Access(("gateway-12", "gateway-12.local", "*.fleet.example"))


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9847",
        "LOCALHOST:9847",
        "page.localhost",
        "127.0.0.1:9847",
        "192.168.1.20",
        "[::1]:9847",
        "[fd00::12]",
        "gateway-12:9847",
        "gateway-12.local",
        "edge-7.fleet.example:9847",
        "gateway-12.",
        "",
    ],
)
def test_addresses_and_names_of_this_host_are_accepted(host: str) -> None:
    assert ACCESS.knows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9847",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "gateway-12.evil.example",
        "fleet.example",
        "evilfleet.example",
        "[::1].evil.example",
        "0x7f.1",
        "xn--localhost",
    ],
)
def test_a_foreign_name_is_not_accepted(host: str) -> None:
    assert not ACCESS.knows(host)


def test_listening_on_all_addresses_adds_no_name() -> None:
    assert not Access(names=("",)).knows(":80")


def test_with_passwords_or_tls_any_name_is_accepted() -> None:
    assert Access(any_name=True).knows("evil.example")


def test_without_passwords_no_password_is_needed() -> None:
    assert Access().admits("")


@pytest.mark.parametrize("kept", ["s3:cret", f"sha256:{sha256(b's3:cret').hexdigest()}"])
def test_a_password_is_stored_in_plain_text_or_as_a_hash(kept: str) -> None:
    access = Access(passwords={"sre": kept})
    assert access.admits(basic("sre", "s3:cret"))
    assert not access.admits(basic("sre", kept + "x"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Bearer c3JlOnNlY3JldA==",
        basic("sre", ""),
        basic("", ""),
        basic("unknown", ""),
        basic("SRE", "secret"),
        "Basic " + b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_wrong_password_is_refused(header: str) -> None:
    assert not Access(passwords={"sre": "secret"}).admits(header)


def test_an_empty_list_of_passwords_refuses_everyone() -> None:
    assert not Access(passwords={}).admits(basic("sre", ""))


@pytest.mark.parametrize("known", ["s\u00e9cret", "sha256:\u00e9", ""])
def test_any_text_is_compared(known: str) -> None:
    assert not Access(passwords={"sre": known}).admits(basic("sre", "secret"))
    assert not Access(passwords={"sre": known}).admits(basic("sre", "s\u00e8cret"))


@given(st.text(max_size=40))
def test_no_header_raises_an_error(header: str) -> None:
    assert not Access(passwords={"sre": "secret"}).admits(header)
    Access().knows(header)
