"""Read blanks, numbers and booleans as Go does, where Python differs. None means that Go reports an error."""

from __future__ import annotations

import re
from functools import lru_cache

# What strings.TrimSpace removes. Python's own strip() also takes U+001C to U+001F, which Go keeps.
BLANKS = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

_BLANK_TO_THE_END = rf"[{BLANKS}]*\Z"
_SPECIAL = r"(?ai)[+-]?inf(?:inity)?|nan"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_HEX_DIGITS = r"[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
_DECIMAL = rf"([+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS}))(?:[eE]([+-]?)({_DIGITS}))?"
_HEXADECIMAL = rf"([+-]?0[xX](?:_?{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS}))[pP]([+-]?)({_DIGITS})"
# Compiled on first use: commands that only read the ledger do not need them.


def trim_space(text: str) -> str:
    """Go's strings.TrimSpace."""
    return text.strip(BLANKS)


def is_blank(text: str, start: int = 0) -> bool:
    """Whether strings.TrimSpace would leave nothing of the text from `start` on."""
    if start < len(text) and text[start] not in BLANKS:
        return False  # fast path
    return re.compile(_BLANK_TO_THE_END).match(text, start) is not None


@lru_cache(maxsize=1024)
def parse_float(text: str) -> float | None:
    """Go's strconv.ParseFloat(text, 64): no blanks around it, `1_000` and `0x1p4` are numbers, overflow is an error."""
    if re.fullmatch(_SPECIAL, text):
        return float(text)
    if decimal := re.fullmatch(_DECIMAL, text):
        value = float(f"{_plain(decimal[1])}e{_exponent(decimal)}")
        return None if value in (float("inf"), float("-inf")) else value
    if hexadecimal := re.fullmatch(_HEXADECIMAL, text):
        try:
            return float.fromhex(f"{_plain(hexadecimal[1])}p{_exponent(hexadecimal)}")
        except OverflowError:
            return None
    return None


def parse_bool(text: str) -> bool | None:
    """Go's strconv.ParseBool."""
    return True if text in _TRUE else False if text in _FALSE else None


def _plain(digits: str) -> str:
    return digits.replace("_", "")


def _exponent(number: re.Match[str]) -> str:
    """The exponent. Go ignores further digits after it has reached 10,000."""
    return number[2] + (_plain(number[3]).lstrip("0")[:5] or "0") if number[3] else "0"
