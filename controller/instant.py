"""Instant: wall time, boot and uptime, read together; and the protocol of whoever can read them.

Only uptime measures how long something took. Wall time is for people and for written start times: on an edge
host it may begin in 1970 and jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment as this machine's clocks show it."""

    wall_seconds: float
    """Unix time, as far as this machine knows it."""
    boot: str
    """The boot in which `uptime_seconds` counts; uptimes of different boots cannot be compared."""
    uptime_seconds: float
    """CLOCK_MONOTONIC: stands still in suspend, never steps."""


class Clock(Protocol):
    """Whoever can tell the time."""

    def now(self) -> Instant:
        """Read all clocks together."""
        ...
