"""Waits for a wake-up, a deadline or the resync, then runs a pass. Events only wake the loop; they carry no data."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from controller.daemon.status import Status
from controller.instant import Clock
from controller.value import dataclass

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
    """The next change that is known in advance, the resync, or the retry of a failed pass."""
    first_wake_up: float | None = None
    last_wake_up: float | None = None

    def woken(self, now: float) -> Schedule:
        """After a wake-up."""
        return replace(self, first_wake_up=now if self.first_wake_up is None else self.first_wake_up, last_wake_up=now)

    @property
    def next_pass(self) -> float:
        """Start of the next pass."""
        if self.first_wake_up is None or self.last_wake_up is None:
            return self.deadline
        gathered = min(self.last_wake_up + QUIET_SECONDS, self.first_wake_up + GATHERED_AT_MOST_SECONDS)
        distant = self.last_pass_ended + DISTANCE_IN_PASSES * self.last_pass_took
        return min(self.deadline, max(gathered, distant))


def retry_after_seconds(failed_passes: int, resync_seconds: float) -> float:
    """The time between failed passes: 1 s, doubled each time, at most the resync."""
    return min(SHORTEST_RETRY_SECONDS * 2.0 ** min(failed_passes - 1, 20), resync_seconds)


class WakeUp:
    """A wake-up is kept until the next wait."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        """End the wait."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a wake-up, at most this long; true if there was one."""
        was_woken = self._event.wait(max(0.0, seconds))
        if was_woken:  # Otherwise a wake-up just after the time-out would be lost.
            self._event.clear()
        return was_woken


LONGEST_WAIT_SECONDS = 5.0
"""The loop reports at least this often, also while nothing happens; disk pressure is noticed within 10 s."""
MOST_FURTHER_PASSES = 4
"""A file that keeps changing must not prevent the end of `--once`."""


class Waiter(Protocol):
    """What the loop waits on."""

    def wait(self, seconds: float) -> bool:
        """Wait for a wake-up, at most this long; true if there was one."""
        ...


@dataclass
class Loop:
    """Runs passes until `stopping` is set."""

    reconcile: Callable[[], Status]
    publish: Callable[[Status], None]
    heartbeat: Callable[[], None]
    wake_up: Waiter
    clock: Clock
    stopping: threading.Event
    resync_seconds: float
    notices_pressure: Callable[[], bool] = lambda: False
    """True if a new measurement of the disk requires a pass at once."""
    _failed: int = 0
    """Consecutive passes that failed or stopped early."""

    def run(self) -> None:
        """Run passes until `stopping` is set."""
        while not self.stopping.is_set():
            schedule = self._pass()
            while not self.stopping.is_set() and (left := schedule.next_pass - self._uptime()) > 0:
                if self.wake_up.wait(min(left, LONGEST_WAIT_SECONDS)):
                    schedule = schedule.woken(self._uptime())
                self.heartbeat()
                if not self._failed and self.notices_pressure():
                    break

    def run_once(self) -> Status:
        """Run for a timer: further passes until new texts are stable and measurements are final.

        If uses since the last run may have been missed (the engine keeps few events), it observes for a settle time.
        Otherwise a host with many events would never remove an image.
        """
        status = self._at_rest(self._passed())
        watch = status.decision.memory.watch
        while not self._is_over() and (until := status.gap_ends_at) and status.decision.memory.watch == watch:
            status = self._at_rest(self._passed_at(min(until, self._uptime() + self.resync_seconds)) or status)
        return status

    def _at_rest(self, status: Status) -> Status:
        for _ in range(MOST_FURTHER_PASSES):
            if self._is_over() or (until := _comes_to_rest_at(status)) is None:
                break
            status = self._passed_at(until) or status
        return status

    def _is_over(self) -> bool:
        return self.stopping.is_set() or self._failed > 0

    def _passed_at(self, until: float) -> Status | None:
        self._wait(until)
        return None if self.stopping.is_set() else self._passed()

    def _wait(self, until: float) -> None:
        """Wait until `until`; wake-ups do not end the wait, because an early pass would be repeated."""
        while not self.stopping.is_set() and (left := until - self._uptime()) > 0:
            self.wake_up.wait(min(left, LONGEST_WAIT_SECONDS))
            self.heartbeat()

    def _pass(self) -> Schedule:
        status = self._passed()
        ended = self._uptime()
        return Schedule(ended, status.duration_seconds, self._deadline(status, ended))

    def _passed(self) -> Status:
        status = self.reconcile()
        self._failed = self._failed + 1 if status.trouble else 0
        self.publish(status)
        return status

    def _deadline(self, status: Status, ended: float) -> float:
        if self._failed:
            return ended + retry_after_seconds(self._failed, self.resync_seconds)
        return min(ended + self.resync_seconds, status.next_change_at or float("inf"))

    def _uptime(self) -> float:
        return self.clock.now().uptime_seconds


def _comes_to_rest_at(status: Status) -> float | None:
    """Uptime of the next pass of `--once` in which a text is stable or a measurement final; None if nothing is open."""
    waits = (status.texts_stable_at, status.next_figure_at)
    return min((at for at in waits if at is not None), default=None)
