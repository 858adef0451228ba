from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.version import compare, is_plain_version, is_range, is_version, normalised, parse_range

_RISING = [
    "0",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-A",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1",
    "1.0.1",
    "1.9",
    "1.10",
    "2.0.0",
    "INFINITY",
]
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}(-[0-9a-c.-]{0,4})?", fullmatch=True) | st.just("INFINITY")


def _contains(text: str, version: str) -> bool:
    versions = parse_range(text)
    assert versions is not None
    return version in versions


def test_versions_have_this_order() -> None:
    for low, high in pairwise(_RISING):
        assert compare(low, high) == -1, (low, high)
        assert compare(high, low) == 1, (high, low)


@pytest.mark.parametrize(("a", "b"), [("1", "1.0.0"), ("01.0", "1"), ("1.0.0-", "1"), ("1.0.0-01", "1.0.0-1")])
def test_versions_written_in_two_ways_are_equal(a: str, b: str) -> None:
    assert compare(a, b) == 0


def test_numbers_beyond_64_bits_are_all_the_same() -> None:
    assert compare("9" * 20, "9" * 5000) == 0
    assert compare("9223372036854775806", "9" * 20) == -1


def test_a_field_of_a_prerelease_beyond_64_bits_is_a_text() -> None:
    assert compare("1.0.0-99999999999999999999", "1.0.0-5") == 1
    assert compare("1.0.0--9223372036854775808", "1.0.0-0") == -1
    assert compare("1.0.0--9223372036854775809", "1.0.0-0") == 1


@given(versions, versions, versions)
def test_the_order_is_an_order(a: str, b: str, c: str) -> None:
    assert compare(a, b) == -compare(b, a)
    assert compare(a, normalised(a)) == 0
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


@pytest.mark.parametrize(
    ("text", "lenient", "strict"), [("1.2.3", True, True), ("01", True, False), ("1-rc", True, False)]
)
def test_matching_is_more_lenient_than_validation(text: str, lenient: bool, strict: bool) -> None:
    assert is_version(text) is lenient
    assert is_plain_version(text) is strict


@pytest.mark.parametrize("text", ["", "1.", ".1", "1.2.3.4", "v1", "1+b", "1.0.0-a_b", "１", "1\n", "infinity", " 1"])
def test_this_is_not_a_version(text: str) -> None:
    assert not is_version(text)
    assert not is_plain_version(text)


def test_two_foreign_letters_pass_in_a_prerelease() -> None:
    assert is_version("1-\u212a\u0130")
    assert not is_version("1-\u0131")


@pytest.mark.parametrize(
    ("text", "answer"), [("[1,2)", True), ("x1,2]", True), ("[1,2x", True), ("1,2", False), ("[1,2,3)", False)]
)
def test_one_bracket_and_one_comma_make_a_range(text: str, answer: bool) -> None:
    assert is_range(text) is answer


def test_half_a_letter_is_not_a_bracket() -> None:
    assert not is_range("é1,2]")
    assert not is_range("[1,2é")


@pytest.mark.parametrize(
    "text", ["", "[", "(", "[]", "[,]", "[1]", "[1, 2]", "[1,2", "1,2", "1]", "[1,2,3]", "[a,b]", "v1"]
)
def test_this_is_not_a_range_and_does_not_raise(text: str) -> None:
    assert parse_range(text) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [("1", "[1.0.0,INFINITY)"), ("(1-rc,2]", "(1.0.0-rc,2.0.0]"), ("INFINITY", "[INFINITY,INFINITY)")],
)
def test_a_range_is_written_in_full(text: str, written: str) -> None:
    assert str(parse_range(text)) == written


@pytest.mark.parametrize(
    ("text", "version", "answer"),
    [
        ("[1.0.0,2.0.0)", "1", True),
        ("[1.0.0,2.0.0)", "2.0.0", False),
        ("[1.0.0,2.0.0)", "02.0.0", True),
        ("[1.0.0,2.0.0)", "2.0.0-rc1", True),
        ("[1.0.0,2.0.0)", "1.0.0-alpha", False),
        ("(1.0.0,2.0.0)", "1.0.0", False),
        ("(1.0.0,2.0.0)", "01.0.0", True),
        ("(1.0.0,1.0.0]", "1.0.0", True),
        ("[2.0.0,1.0.0]", "1.0.0", True),
        ("[2.0.0,1.0.0]", "1.5.0", False),
        ("1.0.0", "7", True),
        ("1.0.0", "INFINITY", False),
        ("INFINITY", "INFINITY", True),
        ("1.0.0", "no version", False),
    ],
)
def test_a_version_lies_in_a_range(text: str, version: str, answer: bool) -> None:
    assert _contains(text, version) is answer


@given(versions, versions)
def test_inclusive_ends_belong_to_a_range(start: str, end: str) -> None:
    assert _contains(f"[{start},{end}]", start)
    assert _contains(f"[{start},{end}]", end)
