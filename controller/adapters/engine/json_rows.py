"""Reads JSON of an engine, whole or row by row as it arrives. Every fault is a ValueError."""

from __future__ import annotations

import json
import math
import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from controller.adapters.engine import fields
from controller.adapters.engine.fields import Row
from controller.image.reference import quoted
from controller.json_text import decoded, decoded_at

LONGEST_LIST = 250_000
"""Images or containers of one engine."""
_LONGEST_ROW = 4 * 2**20
"""Characters of one element of a list."""
_LONGEST_NUMBER = 400
"""Digits."""

T = TypeVar("T")


def _whole(digits: str) -> int | float:
    """A number; infinity if it has thousands of digits, which Python refuses to convert."""
    if len(digits) <= _LONGEST_NUMBER:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf


_careful = json.JSONDecoder(parse_int=_whole)
"""Three times slower."""
_BLANKS = " \t\n\r"
_skip_blanks: Callable[[str, int], re.Match[str]] = re.compile(rf"[{_BLANKS}]*").match  # type: ignore[assignment]


def _decoded(text: str, at: int) -> tuple[object, int]:
    """The value at this place, and its end. Raises ValueError."""
    with suppress(ValueError):
        return decoded_at(text, at)
    return decoded_at(text, at, _careful)  # Incomplete, invalid, or with a number that Python refuses to convert.


def mapping_of(answer: bytes) -> Row:
    """A JSON object. Raises ValueError."""
    return fields.as_mapping(value_of(answer), "the answer")


def value_of(answer: bytes) -> object:
    """A JSON value. Raises ValueError."""
    with suppress(ValueError):  # Most answers; an event costs a third of the time.
        return decoded(answer.decode())
    scanner = JsonScanner([answer])
    value = scanner.value()
    scanner.require_end()
    return value


class JsonScanner:
    """Reads JSON values one by one from text that arrives in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = getincrementaldecoder("utf-8")()
        self._text = ""
        self._began = self._at = 0
        self._has_ended = False

    def sign(self) -> str:
        """The next character that is not blank, without reading past it; empty at the end."""
        while True:
            sign = self._text[self._at : self._at + 1]
            if sign and sign not in _BLANKS:
                return sign
            self._at = _skip_blanks(self._text, self._at).end()
            if self._at == len(self._text) and not self._more():
                return ""

    def skip(self, *expected: str) -> str:
        """Read past one of these signs, and return it. Raises ValueError."""
        if (sign := self.sign()) not in expected or not sign:
            raise ValueError(f"expected {' or '.join(expected)}, found {quoted(sign) if sign else 'the end'}")
        self._at += 1
        return sign

    def value(self) -> object:
        """The next value. Raises ValueError."""
        self.sign()
        while True:
            try:
                value, end = _decoded(self._text, self._at)
            except ValueError:
                if len(self._text) - self._at > _LONGEST_ROW or not self._more():
                    raise
            else:
                if end < len(self._text) or isinstance(value, (dict, list)) or not self._more():
                    self._began, self._at = self._at, end
                    return value
                # A number may continue.

    def text(self) -> str:
        """The text of the last value."""
        return self._text[self._began : self._at]

    def elements(self) -> Iterator[Row]:
        """The elements of a list of objects. Raises ValueError."""
        self.skip("[")
        if self.sign() == "]":
            self.skip("]")
            return
        for _ in range(LONGEST_LIST):
            yield fields.as_mapping(self.value(), "the element")
            if self.skip(",", "]") == "]":
                return
        raise ValueError(f"more than {LONGEST_LIST} elements")

    def members(self) -> Iterator[str]:
        """The keys of an object; after each of them its value must be read. Raises ValueError."""
        self.skip("{")
        if self.sign() == "}":
            self.skip("}")
            return
        while True:
            key = fields.as_text(self.value(), "the key")
            self.skip(":")
            yield key
            if self.skip(",", "}") == "}":
                return

    def require_end(self) -> None:
        """Raises ValueError if there is more text."""
        if sign := self.sign():
            raise ValueError(f"text after the end: {quoted(sign)}")

    def _more(self) -> bool:
        """Read another piece; False at the end."""
        if self._has_ended:
            return False
        piece = next(self._pieces, None)
        self._has_ended = piece is None
        self._text = self._text[self._at :] + self._decoder.decode(piece or b"", final=piece is None)
        self._at = 0
        return True


def rows_of(pieces: Iterable[bytes]) -> Iterator[Row]:
    """The elements of a JSON list of objects, one by one: a parsed list of thousands of images takes many megabytes.

    Raises ValueError if this is not exactly one complete list.
    """
    scanner = JsonScanner(pieces)
    yield from scanner.elements()
    scanner.require_end()


def numbered(rows: Iterable[Row], convert: Callable[[Row], T], kind: str) -> Iterator[T]:
    """Convert each row; an error says which row it was."""
    count = 0
    try:
        for row in rows:
            count += 1
            yield convert(row)
    except ValueError as error:
        raise ValueError(f"{kind} {count or 1} of the list: {error}") from error
