"""Instant: wall time, boot and uptime, read together; the times of a read; and the protocol of a clock.

Durations use uptime only. Wall time is for display and for written start times: on an edge host it may start in 1970
and step.
"""

from __future__ import annotations

from typing import Protocol

from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """One reading of this machine's clocks."""

    wall_seconds: float
    """Unix time, as far as this machine knows it."""
    boot: str
    """The boot in which `uptime_seconds` counts; uptimes of different boots cannot be compared."""
    uptime_seconds: float
    """CLOCK_MONOTONIC: does not advance during suspend, never steps."""


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """When a read began and when it ended, in uptime seconds of one boot. The content is that of a moment between."""

    began: float
    ended: float


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> Instant:
        """Read all clocks together."""
        ...
