"""Who may ask, by name and by password."""

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
def test_a_host_is_known_by_its_addresses_and_by_its_names(host: str) -> None:
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
def test_a_foreign_name_is_no_name_of_this_host(host: str) -> None:
    assert not ACCESS.knows(host)


def test_listening_on_every_address_is_no_name() -> None:
    assert not Access(names=("",)).knows(":80")


def test_behind_a_password_or_tls_any_name_will_do() -> None:
    assert Access(any_name=True).knows("evil.example")


def test_without_passwords_nobody_is_asked_for_one() -> None:
    assert Access().admits("")


@pytest.mark.parametrize("kept", ["s3:cret", f"sha256:{sha256(b's3:cret').hexdigest()}"])
def test_a_password_is_kept_as_it_is_or_as_its_hash(kept: str) -> None:
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
        basic("nobody", ""),
        basic("SRE", "secret"),
        "Basic " + b64encode(b"\xff\xfe").decode(),
    ],
)
def test_what_is_not_the_right_password_lets_nobody_in(header: str) -> None:
    assert not Access(passwords={"sre": "secret"}).admits(header)


def test_an_empty_list_of_passwords_lets_nobody_in() -> None:
    assert not Access(passwords={}).admits(basic("sre", ""))


@given(st.text(max_size=40))
def test_no_header_makes_it_stumble(header: str) -> None:
    assert not Access(passwords={"sre": "secret"}).admits(header)
    Access().knows(header)
