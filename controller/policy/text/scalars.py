"""The value of an unquoted YAML scalar: the one that every YAML version agrees on, or Ambiguous.

YAML 1.1 (PyYAML and many others) and YAML 1.2 (editors, JSON) disagree about `no`, `017`, `12:30`, `1_440`, `1e3` and
dates. A document that deletes images must have one meaning, so these are refused.
"""

from __future__ import annotations

import re

from controller.value import dataclass

LONGEST_NUMBER = 400
"""Characters. The largest number of 64 bits has 309 digits."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """An unquoted text that YAML readers disagree on."""

    text: str
    reading: str
    """How it is read; follows `is` in messages."""
    plainly: str = ""
    """The number or boolean that was probably meant, in its unambiguous spelling."""


Value = None | bool | int | float | str | Ambiguous

_words: dict[str, Value] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_booleans_of_yaml_1_1 = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON"), "true"),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF"), "false"),
}
_first_of_a_number = frozenset("0123456789+-.")
_integer = re.compile(r"0|-?[1-9][0-9]*")
_float = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?|-0")
_odd_number = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_base_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_base_16_8_2 = re.compile(r"[-+]?0(?:x[0-9a-fA-F]+|o[0-7]+|b[01]+)")
_octal_of_yaml_1_1 = re.compile(r"[-+]?0[0-7_]+")
_no_number = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_plain(text: str) -> Value:
    """The value of a YAML scalar without quotes."""
    if text in _words:
        return _words[text]
    if text in _booleans_of_yaml_1_1:
        return Ambiguous(text, "a boolean in YAML 1.1 and text in YAML 1.2", _booleans_of_yaml_1_1[text])
    if text[0] not in _first_of_a_number:
        return text
    if len(text) <= LONGEST_NUMBER:
        return _read_number(text)
    return Ambiguous(text, "too long for a number") if _odd_number.fullmatch(text) else text


def _read_number(text: str) -> Value:
    if _integer.fullmatch(text):
        return int(text)
    if _float.fullmatch(text):
        return read_float(text)
    if _base_16_8_2.fullmatch(text):
        return Ambiguous(text, "a hexadecimal, octal or binary number", _in_decimal(text))
    if _octal_of_yaml_1_1.fullmatch(text):
        octal, decimal = str(int(text.replace("_", ""), 8)), _in_decimal(text)
        return Ambiguous(text, f"{octal} (octal) in YAML 1.1 and {decimal} in YAML 1.2", decimal)
    if _odd_number.fullmatch(text):
        return Ambiguous(text, "a number for some YAML readers and text for others", _in_decimal(text))
    if _base_60.fullmatch(text):
        return Ambiguous(text, "a base-60 number in YAML 1.1 and text in YAML 1.2")
    if _date.fullmatch(text):
        return Ambiguous(text, "a date in YAML 1.1 and text in YAML 1.2")
    if _no_number.fullmatch(text):
        return Ambiguous(text, "not a number that JSON can hold")
    return text


def read_float(text: str) -> float | Ambiguous:
    """The number, in JSON's spelling; Ambiguous beyond 64 bits, because Go refuses such a document."""
    number = float(text)
    return Ambiguous(text, "too large for a number") if number in (float("inf"), float("-inf")) else number


def _in_decimal(text: str) -> str:
    """The whole number that this spelling means; empty if it is not a whole number."""
    digits = text.replace("_", "")
    if _base_16_8_2.fullmatch(text):
        return str(int(digits, 0))
    number = float(digits)
    return str(int(number)) if abs(number) <= 2**53 and number.is_integer() else ""
