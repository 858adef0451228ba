"""Values of one JSON object of an engine. A value of the wrong form is a ValueError that names its place."""

from __future__ import annotations

from collections.abc import Mapping

from controller.image.reference import ImageId, image_id, is_image_id, quoted
from controller.printable import printable

Row = Mapping[str, object]

_LONGEST_TEXT = 4_096
_LARGEST_BYTES = 2**60
_NOTHING: Row = {}


def as_mapping(value: object, place: str) -> Row:
    """The value, if it is an object. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{place} is not an object: {shown(value)}")
    return value


def mapping(row: Row, key: str) -> Row:
    """An object; empty if it is missing."""
    value = row.get(key)
    return _NOTHING if value is None else as_mapping(value, key)


def items(row: Row, key: str) -> list[object]:
    """A list; empty if it is missing."""
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list: {shown(value)}")
    return value


def text(row: Row, key: str) -> str:
    """A text; empty if it is missing."""
    value = row.get(key)
    return "" if value is None else as_text(value, key)


def texts(row: Row, key: str) -> list[str]:
    """A list of texts; empty if it is missing."""
    return [as_text(value, key) for value in items(row, key)]


def as_text(value: object, place: str) -> str:
    """The value, if it is a text of at most 4,096 characters. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{place} is not a text: {shown(value)}")
    if len(value) > _LONGEST_TEXT:
        raise ValueError(f"{place} is longer than {_LONGEST_TEXT} characters")
    if not value.isascii() and not value.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{place} contains half a character: {quoted(value)}")
    return value


def as_id(text: str, place: str) -> ImageId:
    """The ID, with its algorithm. Raises ValueError if it is none."""
    if not is_image_id(text):
        raise ValueError(f"{place} is not an ID of 64 hexadecimal digits: {quoted(text)}")
    return image_id(text)


def as_bytes(value: object) -> int | None:
    """A size in bytes; None if it is invalid."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_BYTES:
        return value
    return None


def size(row: Row, key: str = "Size") -> int | None:
    """A size in bytes; a missing one is 0, because engines leave out zeros."""
    return as_bytes(row.get(key, 0))


def shown(value: object) -> str:
    """The value as a message shows it: at most 100 characters."""
    return printable(repr(value), longest=100)
