"""Waiting for what another process does, no longer than it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 30.0


def eventually(is_so: Callable[[], bool]) -> None:
    """Return as soon as it is so; fail if it is not within half a minute."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.1)
