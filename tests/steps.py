"""Counts steps instead of seconds, so that a slow or busy machine changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps_of(action: Callable[[], object]) -> int:
    """The lines of Python that the action executes in this thread."""
    count = 0

    def trace(_frame: FrameType, event: str, _value: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def grows_linearly(action: Callable[[int], object], size: int) -> bool:
    """True if an input of twice the size takes at most about twice the steps.

    A smaller input runs first, so that imports and caches do not count.
    """
    action(size // 2)
    return steps_of(lambda: action(2 * size)) <= 2.2 * steps_of(lambda: action(size)) + 1_000
