"""Read a long JSON answer record by record, in bounded memory.

The agent never deletes archived records, so its answers may have 100 MB. Objects are entered down to the second level;
each element of a list there is one record, which the C scanner of `json` decodes. Only one piece and one record are in
memory at a time.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from enum import Enum

from controller.json_text import decoded_at
from controller.value import dataclass

LONGEST_RECORD = 4 * 2**20
"""Characters."""
_LEVELS = 2
_OF_NUMBERS = "0123456789.eE+-"
_blank = re.compile(r"[ \t\n\r]*")

Path = tuple[str, ...]


class End(Enum):
    """Marks the end of a list."""

    OF_LIST = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A record of the list at `path`, the end of that list, or a value that is not a list."""

    path: Path
    value: object
    is_record: bool = False


def items(pieces: Iterable[bytes]) -> Iterator[Item]:
    """All items of one JSON text. Raises ValueError where the text is not valid JSON."""
    text = _Text(pieces)
    yield from _items(text, ())
    if text.peek():
        raise ValueError("text after the end")


def _items(text: _Text, path: Path) -> Iterator[Item]:
    opening = text.peek()
    if opening == "[":
        for value in _elements(text):
            yield Item(path, value, is_record=True)
        yield Item(path, End.OF_LIST)
    elif opening == "{" and len(path) < _LEVELS:
        for key in _keys(text):
            yield from _items(text, (*path, key))
    else:
        yield Item(path, text.value())


def _elements(text: _Text) -> Iterator[object]:
    text.take("[")
    if not text.skips("]"):
        yield text.value()
        while text.skips(","):
            yield text.value()
        text.take("]")


def _keys(text: _Text) -> Iterator[str]:
    """Each key of an object; its value must be read before the next one."""
    text.take("{")
    if not text.skips("}"):
        yield _key(text)
        while text.skips(","):
            yield _key(text)
        text.take("}")


def _key(text: _Text) -> str:
    key = text.value()
    if not isinstance(key, str):
        raise ValueError("expected a name")
    text.take(":")
    return key


class _Text:
    """The part of the text that is not read yet, as far as it has arrived."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._is_all = False

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            if found := _blank.match(self._text, self._at):
                self._at = found.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow(1):
                return ""

    def skips(self, character: str) -> bool:
        """Read this character, if it is next."""
        is_next = self.peek() == character
        self._at += is_next
        return is_next

    def take(self, character: str) -> None:
        """Read this character. Raises ValueError."""
        if not self.skips(character):
            raise ValueError(f"expected {character}")

    def value(self) -> object:
        """Read one value. Raises ValueError."""
        self.peek()
        while True:
            try:
                value, end = decoded_at(self._text, self._at)
            except ValueError:
                if not self._grow(2 * (len(self._text) - self._at)):
                    raise
                continue
            is_all_of_it = end < len(self._text) and self._text[end] not in _OF_NUMBERS
            if is_all_of_it or not self._grow(len(self._text) - self._at):  # A number may continue.
                self._at = end
                return value

    def _grow(self, characters: int) -> bool:
        """Read until so many are there, or to the end; False if the end was there. Raises ValueError for a record
        without end.
        """
        if self._is_all:
            return False
        if len(self._text) - self._at > LONGEST_RECORD:
            raise ValueError(f"a record is larger than {LONGEST_RECORD // 2**20} MiB")
        parts, length = [self._text[self._at :]], len(self._text) - self._at
        while length <= characters and not self._is_all:
            piece = next(self._pieces, b"")
            self._is_all = not piece
            parts.append(self._decode(piece, self._is_all))
            length += len(parts[-1])
        self._text, self._at = "".join(parts), 0
        return True
