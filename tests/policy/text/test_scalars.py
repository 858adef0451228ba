from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.text.scalars import LONGEST_NUMBER, Ambiguous, Value, read_float, read_plain

AMBIGUOUS = {
    "no": "false",
    "Yes": "true",
    "ON": "true",
    "off": "false",
    "017": "17",
    "0o17": "15",
    "0x10": "16",
    "0b11": "3",
    "089": "89",
    "1_440": "1440",
    "1e3": "1000",
    "1.5e3": "1500",
    "+5": "5",
    "5.": "5",
    ".5": "",
    "12:30": "",
    "12:30:45": "",
    "2027-01-31": "",
    ".inf": "",
    "-.INF": "",
    ".nan": "",
    "1.5e+400": "",
    "1" * (LONGEST_NUMBER + 1): "",
}


@pytest.mark.parametrize(("text", "plainly"), AMBIGUOUS.items())
def test_what_readers_of_yaml_disagree_about_is_ambiguous(text: str, plainly: str) -> None:
    value = read_plain(text)
    assert isinstance(value, Ambiguous)
    assert (value.text, value.plainly) == (text, plainly)
    assert value.reading


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-5", -5),
        ("1440", 1440),
        ("9007199254740993", 9007199254740993),
        ("1.10", 1.1),
        ("-0.5", -0.5),
        ("1.5e+3", 1500.0),
        ("image1:1.10", "image1:1.10"),
        ("1.2.3", "1.2.3"),
        ("10:5432", "10:5432"),
        ("2027-01-31T22:00:00Z", "2027-01-31T22:00:00Z"),
        ("y", "y"),
        ("+", "+"),
        ("-", "-"),
        (".", "."),
        ("nO", "nO"),
    ],
)
def test_what_all_readers_agree_about_is_its_value(text: str, value: Value) -> None:
    read = read_plain(text)
    assert read == value
    assert type(read) is type(value)


@given(st.text(st.sampled_from("0123456789+-._:eExob~nullyesTRUE ")))
def test_every_text_has_a_reading(text: str) -> None:
    value = read_plain(text)
    assert value is None or value == text or isinstance(value, Ambiguous | int | float)


@given(st.integers())
def test_whole_numbers_in_decimal_digits_are_themselves(number: int) -> None:
    assert read_plain(str(number)) == number


def test_a_float_beyond_64_bits_is_not_a_number() -> None:
    assert isinstance(read_float("1e400"), Ambiguous)
    assert read_float("1e-400") == 0.0
