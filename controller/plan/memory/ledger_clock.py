"""The ledger clock: seconds of *observed* time. Steps of the wall clock, reboots and pauses do not advance it.

All ages and deadlines of the planner are on this clock. It starts at 1, because a stored last use of 0 means "in use".
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from operator import attrgetter

from controller.instant import Instant
from controller.quantity import seconds_in_words
from controller.value import dataclass

WALL_IS_TRUSTED_AFTER_SECONDS = 600.0
"""How long the wall clock must agree with the uptime before a written start time counts (design §4)."""
_ANCHORS_KEPT = 200
_TOLERATED_DATE_SECONDS = 30.0
"""Dates may be wrong by so much: NTP slews the wall clock."""
_CLOCK_IS_SET_SECONDS = 365 * 86_400.0
_A_GAP_IN_RESYNCS = 2.0
"""A gap is longer than two resyncs, because the timer of `--once` is not exact."""
_TOLERATED_STEP_SECONDS = 1.0
_TOLERATED_DRIFT = 0.001
"""NTP slews by at most 500 ppm; more than twice that is a step."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The date of one ledger time; from it both advance together until the next anchor."""

    seconds: float
    wall_seconds: float
    is_trusted: bool = False
    """The wall clock had agreed with the uptime for long enough."""

    def wall_at(self, seconds: float) -> float:
        """The date of a later moment."""
        return self.wall_seconds + (seconds - self.seconds)


@dataclass(frozen=True, slots=True)
class LedgerClock:
    """Observed time so far, and the instant at which it was last advanced."""

    seconds: float = 1.0
    last: Instant | None = None
    """The last successful pass; None before the first."""
    steady_since: float = 0.0
    """Uptime, in the boot of `last`, since which the wall clock has agreed with the uptime."""
    timeline: tuple[Anchor, ...] = ()
    """The dates of this clock, oldest first. Downtime and steps of the wall clock begin a new anchor, so dates of the
    past do not drift. For display only.
    """

    def advanced(self, at: Instant, resync_seconds: float) -> LedgerClock:
        """The clock at the next successful pass.

        It gains the uptime since the last pass, at most one resync: while the controller was stopped or the engine was
        not reachable, nothing was observed. Over a reboot it gains nothing.
        """
        if self.last is None or self.last.boot != at.boot:
            after = replace(self, last=at, steady_since=at.uptime_seconds)
            return replace(after, timeline=_dated(self.timeline, after, at, may_correct=False))
        passed = max(at.uptime_seconds - self.last.uptime_seconds, 0.0)
        gained = min(passed, resync_seconds)
        steady_since = at.uptime_seconds if self.stepped(at) else self.steady_since
        after = LedgerClock(self.seconds + gained, at, steady_since)
        return replace(after, timeline=_dated(self.timeline, after, at, may_correct=gained == passed))

    def gap_before(self, at: Instant, resync_seconds: float) -> str:
        """Why there is a gap without observation between the last pass and this one; empty without a gap."""
        if self.last is None:
            return ""
        if self.last.boot != at.boot:
            return "the host was restarted"
        away = at.uptime_seconds - self.last.uptime_seconds
        if away < 0:  # A snapshot of the machine, which was taken in this boot, was put back.
            return "the uptime went back"
        return f"no pass for {seconds_in_words(away)}" if away > _A_GAP_IN_RESYNCS * resync_seconds else ""

    def stepped(self, at: Instant) -> bool:
        """True if the wall clock stepped against the uptime since the last pass (a suspend is a step too)."""
        if self.last is None or self.last.boot != at.boot:
            return False
        passed = at.uptime_seconds - self.last.uptime_seconds
        gap = abs((at.wall_seconds - self.last.wall_seconds) - passed)
        return gap > _TOLERATED_STEP_SECONDS + _TOLERATED_DRIFT * abs(passed)

    @property
    def undated(self) -> LedgerClock:
        """The clock without its timeline."""
        return replace(self, timeline=()) if self.timeline else self

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
        """Wall time at which this clock showed (or will show) `seconds`; for display only."""
        if self.last is None:
            return None
        if seconds >= self.seconds or not self.timeline:
            return self.last.wall_seconds + (seconds - self.seconds)
        return self._anchor_of(seconds).wall_at(seconds)

    def known_wall_at(self, seconds: float) -> float | None:
        """The same; None too for a past moment at which the host's clock was not set."""
        if seconds >= self.seconds or not self.timeline:
            return self.wall_at(seconds)
        anchor = self._anchor_of(seconds)
        is_known = anchor.is_trusted or anchor.wall_seconds >= _CLOCK_IS_SET_SECONDS
        return anchor.wall_at(seconds) if is_known else None

    def _anchor_of(self, seconds: float) -> Anchor:
        place = bisect_right(self.timeline, seconds, key=_seconds_of)
        return self.timeline[max(place - 1, 0)]


_seconds_of = attrgetter("seconds")


def _dated(timeline: tuple[Anchor, ...], clock: LedgerClock, at: Instant, *, may_correct: bool) -> tuple[Anchor, ...]:
    """The timeline after a pass; the same object if the wall clock shows what its last anchor says.

    A step of a wall clock that was never trusted in this boot corrects the anchor: the clock was set.
    """
    is_trusted = clock.wall_is_trusted()
    new = Anchor(clock.seconds, at.wall_seconds, is_trusted)
    if not timeline:
        return (new,)
    *before, last = timeline
    error = at.wall_seconds - last.wall_at(clock.seconds)
    if abs(error) <= _TOLERATED_DATE_SECONDS:
        is_confirmed = may_correct and is_trusted and not last.is_trusted
        return (*before, replace(last, is_trusted=True)) if is_confirmed else timeline
    if may_correct and not last.is_trusted:
        return (*before, replace(last, wall_seconds=last.wall_seconds + error))
    return (*timeline, new)[-_ANCHORS_KEPT:]
