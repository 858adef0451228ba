"""Decode JSON that others wrote. Every fault is a ValueError, and no value is nested deeply.

Code that calls itself for each level, such as `repr`, would fail on a deeply nested value. While such a text is
decoded, it may use the whole stack. If Python searched for garbage then, each finalizer that it calls would fail, and
Python would print a traceback for each.
"""

from __future__ import annotations

import gc
import json
from types import TracebackType
from typing import Any

MOST_LEVELS = 100
"""Answers of engines, agents and Exchanges have ten at most."""

_decoder = json.JSONDecoder()


class _WithoutSearch:
    """No search for garbage until the last thread has left."""

    def __init__(self) -> None:
        self._inside: list[None] = []  # Its methods are atomic, so it needs no lock.

    def __enter__(self) -> None:
        self._inside.append(None)
        gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside.pop()
        if not self._inside:
            gc.enable()
        if kind is RecursionError:
            raise _too_deep() from None


_without_search = _WithoutSearch()


def decoded(text: str | bytes, decoder: json.JSONDecoder = _decoder) -> Any:
    """The value of the whole text, in UTF-8. Raises ValueError."""
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    with _without_search:
        value = decoder.decode(text)
    _require_few_levels(value, text.count("[") + text.count("{"))
    return value


def decoded_at(text: str, at: int, decoder: json.JSONDecoder = _decoder) -> tuple[Any, int]:
    """The value that begins at this place, and the place after it. Raises ValueError."""
    with _without_search:
        value, end = decoder.raw_decode(text, at)
    _require_few_levels(value, text.count("[", at, end) + text.count("{", at, end))
    return value, end


def _require_few_levels(value: object, opened: int) -> None:
    """Raises ValueError for a value with too many levels. It cannot have more than brackets are opened."""
    if opened <= MOST_LEVELS:
        return
    level, levels = [value], 0
    while level := [inner for outer in level for inner in _values_in(outer)]:
        levels += 1
        if levels > MOST_LEVELS:
            raise _too_deep()


def _values_in(value: object) -> tuple[object, ...] | list[object]:
    if isinstance(value, dict):
        return tuple(value.values())
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"nested more than {MOST_LEVELS} levels deep")
