"""The ledger clock: seconds of *observed* time. Steps of the wall clock, reboots and pauses do not advance it.

All ages and deadlines of the planner are on this clock. It starts at 1, because a stored last use of 0 means "in use".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.instant import Instant
from controller.quantity import seconds_in_words

WALL_IS_TRUSTED_AFTER_SECONDS = 600.0
"""How long the wall clock must agree with the uptime before a written start time counts (design §4)."""
_A_GAP_IN_RESYNCS = 2.0
"""A gap is longer than two resyncs, because the timer of `--once` is not exact."""
_TOLERATED_STEP_SECONDS = 1.0
_TOLERATED_DRIFT = 0.001
"""NTP slews by at most 500 ppm; more than twice that is a step."""


@dataclass(frozen=True, slots=True)
class LedgerClock:
    """Observed time so far, and the instant at which it was last advanced."""

    seconds: float = 1.0
    last: Instant | None = None
    """The last successful pass; None before the first."""
    steady_since: float = 0.0
    """Uptime, in the boot of `last`, since which the wall clock has agreed with the uptime."""

    def advanced(self, at: Instant, resync_seconds: float) -> LedgerClock:
        """The clock at the next successful pass.

        It gains the uptime since the last pass, at most one resync: while the controller was stopped or the engine was
        not reachable, nothing was observed. Over a reboot it gains nothing.
        """
        if self.last is None or self.last.boot != at.boot:
            return replace(self, last=at, steady_since=at.uptime_seconds)
        gained = min(max(at.uptime_seconds - self.last.uptime_seconds, 0.0), resync_seconds)
        steady_since = at.uptime_seconds if self.stepped(at) else self.steady_since
        return LedgerClock(self.seconds + gained, at, steady_since)

    def gap_before(self, at: Instant, resync_seconds: float) -> str:
        """Why there is a gap without observation between the last pass and this one; empty without a gap."""
        if self.last is None:
            return ""
        if self.last.boot != at.boot:
            return "the host was restarted"
        away = at.uptime_seconds - self.last.uptime_seconds
        return f"no pass for {seconds_in_words(away)}" if away > _A_GAP_IN_RESYNCS * resync_seconds else ""

    def stepped(self, at: Instant) -> bool:
        """True if the wall clock stepped against the uptime since the last pass (a suspend is a step too)."""
        if self.last is None or self.last.boot != at.boot:
            return False
        passed = at.uptime_seconds - self.last.uptime_seconds
        gap = abs((at.wall_seconds - self.last.wall_seconds) - passed)
        return gap > _TOLERATED_STEP_SECONDS + _TOLERATED_DRIFT * abs(passed)

    def wall_is_trusted(self) -> bool:
        """True if the wall clock has agreed with the uptime for long enough that a date counts."""
        return self.last is not None and self.wall_is_trusted_in() <= 0.0

    def wall_is_trusted_in(self) -> float:
        """Seconds until the wall clock is trusted, if it does not step; 0 if it is."""
        steady = self.last.uptime_seconds - self.steady_since if self.last else 0.0
        return max(0.0, WALL_IS_TRUSTED_AFTER_SECONDS - steady)

    def uptime_at(self, seconds: float | None) -> float | None:
        """Uptime, in the boot of `last`, at which this clock will show `seconds` if every pass succeeds in time."""
        return None if self.last is None or seconds is None else self.last.uptime_seconds + (seconds - self.seconds)

    def wall_at(self, seconds: float) -> float | None:
        """Estimated wall time at which this clock showed (or will show) `seconds`; for display only."""
        return None if self.last is None else self.last.wall_seconds + (seconds - self.seconds)
