"""Waits for another process."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 30.0


def eventually(is_so: Callable[[], bool]) -> None:
    """Return as soon as the condition is true; fail after half a minute."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "the condition is not true"
        time.sleep(0.1)
