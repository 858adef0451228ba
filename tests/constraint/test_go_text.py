from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.go_text import is_blank, parse_bool, parse_float, trim_space


@pytest.mark.parametrize(
    "blank", ["\t", "\n", "\v", "\f", "\r", " ", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u3000"]
)
def test_go_trims_this_blank(blank: str) -> None:
    assert trim_space(f"{blank}a{blank}") == "a"
    assert is_blank(blank * 3)


@pytest.mark.parametrize("kept", ["\x1c", "\x1f", "\u180e", "\u200b", "\ufeff"])
def test_go_keeps_this_character(kept: str) -> None:
    assert trim_space(f"{kept}a") == f"{kept}a"
    assert not is_blank(kept)


def test_a_text_can_be_blank_from_some_place_on() -> None:
    assert is_blank("a  ", 1)
    assert not is_blank("a b", 1)
    assert is_blank("a", 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("+1e5", 1e5),
        ("-0.25", -0.25),
        ("1_000", 1000.0),
        ("1_0.5_0e1_0", 10.5e10),
        ("+0x1p4", 16.0),
        ("0X_1.8P-1", 0.75),
        ("Infinity", math.inf),
        ("-inf", -math.inf),
        ("1e-400", 0.0),
        ("9007199254740993", 9007199254740992.0),
    ],
)
def test_go_reads_this_number(text: str, number: float) -> None:
    assert parse_float(text) == number


@pytest.mark.parametrize("text", ["", " 5", "5 ", ".", "1e", "1,5", "0b1", "0x10", "infin", "+nan", "１", "٣", "ınf"])
def test_go_does_not_read_a_number_here(text: str) -> None:
    assert parse_float(text) is None


@pytest.mark.parametrize("text", ["1__0", "_1", "1_", "1_.5", "1_e5", "1e+_1", "0x1_p4"])
def test_an_underscore_is_allowed_between_two_digits(text: str) -> None:
    assert parse_float(text) is None


@pytest.mark.parametrize("text", ["1e400", "-1e400", "0x1p1024"])
def test_a_number_that_is_too_large_is_an_error_to_go(text: str) -> None:
    assert parse_float(text) is None


def test_go_stops_reading_an_exponent_at_five_digits() -> None:
    assert parse_float("0." + "0" * 99_990 + "1e1000000000") == 0.0


@given(st.floats(allow_nan=False))
def test_every_number_is_read_back(number: float) -> None:
    assert parse_float(repr(number)) == number


def test_nan_is_read_in_any_case() -> None:
    assert all(math.isnan(parse_float(text) or 0) for text in ("NaN", "nan", "NAN"))


@pytest.mark.parametrize(("text", "value"), [("t", True), ("1", True), ("False", False), ("yes", None), ("tRUE", None)])
def test_go_knows_few_spellings_of_true_and_false(text: str, value: bool | None) -> None:
    assert parse_bool(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1" * 100_000, None),
        ("1_" * 50_000, None),
        ("0x" + "f" * 100_000, None),
        ("0." + "1" * 100_000, 0.1111111111111111),
        ("1e" + "9" * 100_000, None),
    ],
    ids=["decimal", "underscores", "hexadecimal", "fraction", "exponent"],
)
def test_a_number_of_100_kb_is_read(text: str, value: float | None) -> None:
    assert parse_float(text) == value
