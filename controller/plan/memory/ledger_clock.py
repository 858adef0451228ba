"""The ledger's own clock: seconds of *watched* time, which no step of the wall clock, reboot or pause can push forward.

All ages and deadlines of the planner are on this clock. It begins at 1, because 0 means "in use now" where a last use
is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.instant import Instant
from controller.quantity import seconds_in_words

WALL_IS_TRUSTED_AFTER_SECONDS = 600.0
"""For so long the wall clock must have agreed with the uptime before a written start time counts (design: ten
minutes).
"""
_A_GAP_IN_RESYNCS = 2.0
"""Passes are a resync apart at most, and the timer of `--once` is not on time to the second."""
_TOLERATED_STEP_SECONDS = 1.0
_TOLERATED_DRIFT = 0.001
"""NTP slews by 500 ppm at most; twice that is not a step."""


@dataclass(frozen=True, slots=True)
class LedgerClock:
    """Watched time so far, and what the machine's clocks showed when it was last advanced."""

    seconds: float = 1.0
    last: Instant | None = None
    """The last successful pass; None before the first."""
    steady_since: float = 0.0
    """Uptime, in the boot of `last`, since which wall time and uptime have run together."""

    def advanced(self, at: Instant, resync_seconds: float) -> LedgerClock:
        """The clock at the next successful pass.

        It gains the uptime since the last one, by at most one resync: a controller that was stopped, or an engine
        that was away, watched nothing. Over a reboot it gains nothing.
        """
        if self.last is None or self.last.boot != at.boot:
            return replace(self, last=at, steady_since=at.uptime_seconds)
        gained = min(max(at.uptime_seconds - self.last.uptime_seconds, 0.0), resync_seconds)
        steady_since = at.uptime_seconds if self.stepped(at) else self.steady_since
        return LedgerClock(self.seconds + gained, at, steady_since)

    def gap_before(self, at: Instant, resync_seconds: float) -> str:
        """What kept anybody from watching between the last pass and this one, in words; empty if nothing did."""
        if self.last is None:
            return ""
        if self.last.boot != at.boot:
            return "the host was restarted"
        away = at.uptime_seconds - self.last.uptime_seconds
        return f"nobody watched for {seconds_in_words(away)}" if away > _A_GAP_IN_RESYNCS * resync_seconds else ""

    def stepped(self, at: Instant) -> bool:
        """Has wall time moved otherwise than uptime since the last pass (a step, or a suspend)?"""
        if self.last is None or self.last.boot != at.boot:
            return False
        passed = at.uptime_seconds - self.last.uptime_seconds
        gap = abs((at.wall_seconds - self.last.wall_seconds) - passed)
        return gap > _TOLERATED_STEP_SECONDS + _TOLERATED_DRIFT * abs(passed)

    def wall_is_trusted(self) -> bool:
        """Has the wall clock kept step with the uptime for long enough to believe a date?"""
        return self.last is not None and self.wall_is_trusted_in() <= 0.0

    def wall_is_trusted_in(self) -> float:
        """So many seconds it still has to keep step; 0 if it has."""
        steady = self.last.uptime_seconds - self.steady_since if self.last else 0.0
        return max(0.0, WALL_IS_TRUSTED_AFTER_SECONDS - steady)

    def uptime_at(self, seconds: float | None) -> float | None:
        """Uptime, in the boot of `last`, at which this clock will show `seconds` if it is watched all the time."""
        return None if self.last is None or seconds is None else self.last.uptime_seconds + (seconds - self.seconds)

    def wall_at(self, seconds: float) -> float | None:
        """Best estimate of the wall time at which this clock showed (or will show) `seconds`; for display only."""
        return None if self.last is None else self.last.wall_seconds + (seconds - self.seconds)
