"""When to run the next pass: what rang, what is due, how long the last pass took → an uptime. Pure.

Events only say that something happened. They are gathered for a quiet second, and passes that they ring keep their
distance, so that a busy engine is not asked all the time; a deadline is kept to the second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

QUIET_SECONDS = 1.0
GATHERED_AT_MOST_SECONDS = 5.0
DISTANCE_IN_PASSES = 5.0
SHORTEST_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """All times are uptimes in seconds."""

    last_pass_ended: float
    last_pass_took: float
    deadline: float
    """The next moment at which something changes by itself, or the resync, or the next try after a failed pass."""
    first_ring: float | None = None
    last_ring: float | None = None

    def rung(self, now: float) -> Schedule:
        """After a bell."""
        return replace(self, first_ring=now if self.first_ring is None else self.first_ring, last_ring=now)

    @property
    def next_pass(self) -> float:
        """When to run."""
        if self.first_ring is None or self.last_ring is None:
            return self.deadline
        gathered = min(self.last_ring + QUIET_SECONDS, self.first_ring + GATHERED_AT_MOST_SECONDS)
        distant = self.last_pass_ended + DISTANCE_IN_PASSES * self.last_pass_took
        return min(self.deadline, max(gathered, distant))


def retry_after_seconds(failed_passes: int, resync_seconds: float) -> float:
    """Between passes that fail: 1 s, doubling up to the resync."""
    return min(SHORTEST_RETRY_SECONDS * 2.0 ** min(failed_passes - 1, 20), resync_seconds)
