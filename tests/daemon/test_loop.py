"""The loop, on a clock that advances only while it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.daemon.loop import (
    DISTANCE_IN_PASSES,
    GATHERED_AT_MOST_SECONDS,
    LONGEST_WAIT_SECONDS,
    QUIET_SECONDS,
    Loop,
    Schedule,
    WakeUp,
    retry_after_seconds,
)
from controller.daemon.status import PassResult, Status
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import Memory, Watch
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.planner import Plan
from controller.policy.document.parse import FolderReading
from tests.builders import an_instant
from tests.fakes import FakeClock

RESYNC = 300.0
START = 1_000.0


class Script:
    """Passes with given results, and wake-ups at given times; the loop ends with the script."""

    def __init__(self, wake_ups: tuple[float, ...] = (), until: float = 2_000.0) -> None:
        self.clock = FakeClock(uptime_seconds=START)
        self.stopping = threading.Event()
        self.passes: list[float] = []
        self.published: list[Status] = []
        self.heartbeats = 0
        self.took = 0.1
        self.outcome: Callable[[Status], Status] = lambda status: status
        self.pressure_at: float | None = None
        self._wake_ups = [START + wake for wake in wake_ups]
        self._until = START + until

    @property
    def now(self) -> float:
        return self.clock.now().uptime_seconds

    def wait(self, seconds: float) -> bool:
        """Wait for a wake-up."""
        end = self.now + max(0.0, seconds)
        wake = next((wake for wake in self._wake_ups if wake <= end), None)
        if wake is not None:
            self._wake_ups.remove(wake)
        self.clock.elapse(max(0.0, (end if wake is None else wake) - self.now))
        if self.now >= self._until:
            self.stopping.set()
        return wake is not None

    def reconcile(self) -> Status:
        began = self.clock.now()
        self.passes.append(began.uptime_seconds - START)
        self.clock.elapse(self.took)
        return self.outcome(a_status(at=self.now, took=self.took))

    def heartbeat(self) -> None:
        self.heartbeats += 1

    def run(self) -> list[float]:
        """Start times of the passes, in seconds after the start."""
        self.loop().run()
        return [round(at, 3) for at in self.passes]

    def loop(self) -> Loop:
        loop = Loop(self.reconcile, self.published.append, self.heartbeat, self, self.clock, self.stopping, RESYNC)
        return replace(loop, notices_pressure=self.notices_pressure)

    def notices_pressure(self) -> bool:
        """Once, from that moment on, until the next pass."""
        return self.pressure_at is not None and self.passes[-1] < self.pressure_at <= self.now - START


def a_status(at: float, took: float) -> Status:
    memory = Memory(clock=LedgerClock(1.0, an_instant(at)))
    return Status(an_instant(at), PassResult.NOTHING_DUE, took, Decision(memory=memory), FolderReading("policies"))


def deciding_again_in(seconds: float) -> Callable[[Status], Status]:
    def with_deadline(status: Status) -> Status:
        plan = Plan(now=1.0, next_change_at=1.0 + seconds)
        return replace(status, decision=replace(status.decision, plan=plan))

    return with_deadline


def failing(status: Status) -> Status:
    return replace(status, result=PassResult.FAILED, trouble="no engine")


def test_without_wake_ups_a_pass_runs_at_each_resync() -> None:
    assert Script(until=700).run() == [0, 300.1, 600.2]


def test_a_pass_runs_when_a_verdict_changes() -> None:
    script = Script(until=100)
    script.outcome = deciding_again_in(30)
    assert script.run() == [0, 30.1, 60.2, 90.3]


@given(st.floats(0.2, 250.0))
def test_disk_pressure_is_noticed_within_10_seconds(at: float) -> None:
    script = Script(until=280)
    script.pressure_at = at
    _, noticed = script.run()
    assert at <= noticed <= at + 10.0


def test_a_slow_pass_does_not_delay_the_pass_for_disk_pressure() -> None:
    script = Script(until=60)
    script.took, script.pressure_at = 10.0, 12.0
    assert script.run() == [0, 15]


def test_after_a_failed_pass_disk_pressure_does_not_shorten_the_backoff() -> None:
    script = Script(until=60)
    script.outcome, script.pressure_at = failing, 20.0
    assert script.run() == [0, 1.1, 3.2, 7.3, 15.4, 31.5]


def test_a_wake_up_starts_a_pass_after_a_quiet_second() -> None:
    assert Script(wake_ups=(50,), until=100).run() == [0, 51]


def test_endless_wake_ups_start_a_pass_every_five_seconds() -> None:
    wake_ups = tuple(10 + 0.25 * number for number in range(60))
    passes = Script(wake_ups=wake_ups, until=40).run()
    assert passes[1] == 15.0
    assert all(later - earlier >= 5 for earlier, later in pairwise(passes[:-1]))


def test_a_wake_up_during_a_pass_starts_another() -> None:
    assert Script(wake_ups=(0.05,), until=50).run() == [0, 1.1]


def test_slow_passes_after_wake_ups_keep_their_distance() -> None:
    script = Script(wake_ups=(11,), until=100)
    script.took = 10.0
    assert script.run() == [0, 60]


def test_a_slow_pass_does_not_delay_a_deadline() -> None:
    script = Script(wake_ups=(11,), until=45)
    script.took = 10.0
    script.outcome = deciding_again_in(20)
    assert script.run() == [0, 30]


def test_passes_that_fail_back_off_to_the_resync() -> None:
    script = Script(until=1_200)
    script.outcome = failing
    starts = script.run()
    gaps = [round(later - earlier - script.took) for earlier, later in pairwise(starts)]
    assert gaps == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_pass_that_stopped_early_is_soon_followed_by_another() -> None:
    script = Script(until=10)
    script.outcome = lambda status: replace(status, result=PassResult.PARTIAL, trouble="the engine went away")
    assert script.run()[:3] == [0, 1.1, 3.2]


def test_after_the_failures_passes_run_as_before() -> None:
    script = Script(until=700)
    script.outcome = lambda status: failing(status) if len(script.passes) < 3 else status
    assert script.run() == [0, 1.1, 3.2, 303.3, 603.4]


def test_the_loop_sends_heartbeats_while_nothing_happens() -> None:
    script = Script(until=RESYNC)
    script.run()
    assert script.heartbeats >= RESYNC / LONGEST_WAIT_SECONDS


def test_every_status_is_published() -> None:
    script = Script(until=700)
    script.run()
    assert len(script.published) == len(script.passes)


def test_a_stopping_loop_runs_no_pass() -> None:
    script = Script()
    script.stopping.set()
    assert script.run() == []


# ── once ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_run_is_one_pass_if_nothing_is_open() -> None:
    script = Script()
    script.loop().run_once()
    assert script.passes == [0]


def test_one_run_waits_for_the_figure_of_its_batch() -> None:
    script = Script(wake_ups=(0.2, 0.3))
    script.outcome = lambda s: replace(s, next_figure_at=START + 1.5 if len(script.passes) == 1 else None)
    script.loop().run_once()
    assert script.passes == [0, 1.5]


def test_one_run_ends_although_a_document_keeps_changing() -> None:
    script = Script()
    script.outcome = lambda status: replace(status, next_figure_at=script.now + 1)
    script.loop().run_once()
    assert len(script.passes) == 5


def held_by_a_gap(status: Status, since: float, until: float) -> Status:
    clock = LedgerClock(1.0, an_instant(START))
    memory = replace(status.decision.memory, watch=Watch(since, "the host was restarted"), clock=clock)
    plan = replace(status.decision.plan, gap_ends_at=1.0 + until)
    return replace(status, decision=replace(status.decision, memory=memory, plan=plan))


def test_one_run_observes_for_a_settle_time_after_missed_uses_with_a_pass_at_each_resync() -> None:
    script = Script()
    script.outcome = lambda s: held_by_a_gap(s, 1.0, 600.0) if script.now < START + 600 else s
    script.loop().run_once()
    assert [round(at) for at in script.passes] == [0, 300, 600]


def test_one_run_does_not_wait_for_repeated_gaps() -> None:
    script = Script()
    script.outcome = lambda s: held_by_a_gap(s, script.now, script.now - START + 600.0)
    script.loop().run_once()
    assert [round(at) for at in script.passes] == [0, 300]


def test_one_run_that_fails_ends() -> None:
    script = Script()
    script.outcome = lambda status: replace(failing(status), next_figure_at=script.now + 1)
    assert script.loop().run_once().result is PassResult.FAILED
    assert len(script.passes) == 1


def test_one_run_that_is_stopped_ends() -> None:
    script = Script(until=1.0)
    script.outcome = lambda status: replace(status, next_figure_at=script.now + 5)
    script.loop().run_once()
    assert len(script.passes) == 1


def test_a_wake_up_ends_the_wait_at_once() -> None:
    wake_up = WakeUp()
    threading.Thread(target=wake_up.wake).start()
    assert wake_up.wait(60)


def test_a_wake_up_before_the_wait_is_not_lost() -> None:
    wake_up = WakeUp()
    wake_up.wake()
    assert wake_up.wait(60)


def test_a_ring_just_after_the_time_is_up_is_not_lost() -> None:
    class SetLate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return False

    wake_up = WakeUp()
    wake_up._event = SetLate()
    assert not wake_up.wait(0)
    assert wake_up._event.is_set()


def test_many_wake_ups_are_one() -> None:
    wake_up = WakeUp()
    wake_up.wake()
    wake_up.wake()
    assert wake_up.wait(0)
    assert not wake_up.wait(0)


def test_a_wait_until_a_past_time_returns_at_once() -> None:
    assert not WakeUp().wait(-5)


def after_a_pass(took: float = 0.1, deadline: float = RESYNC) -> Schedule:
    """The pass ended at 0."""
    return Schedule(last_pass_ended=0.0, last_pass_took=took, deadline=deadline)


def woken_at(schedule: Schedule, *times: float) -> Schedule:
    return reduce(Schedule.woken, times, schedule)


def test_without_a_wake_up_the_next_pass_is_at_the_deadline() -> None:
    assert after_a_pass(deadline=42.0).next_pass == 42.0


def test_the_schedule_runs_a_pass_a_quiet_second_after_a_wake_up() -> None:
    assert woken_at(after_a_pass(), 10.0).next_pass == 10.0 + QUIET_SECONDS


def test_successive_wake_ups_are_gathered_until_they_end() -> None:
    assert woken_at(after_a_pass(), 10.0, 10.5, 11.2).next_pass == 11.2 + QUIET_SECONDS


def test_endless_wake_ups_start_a_pass_after_five_seconds() -> None:
    assert woken_at(after_a_pass(), *(10.0 + 0.5 * n for n in range(100))).next_pass == 10.0 + GATHERED_AT_MOST_SECONDS


def test_passes_after_wake_ups_keep_a_distance_of_five_passes() -> None:
    assert woken_at(after_a_pass(took=7.0), 1.0).next_pass == 5 * 7.0


def test_a_deadline_needs_no_distance() -> None:
    assert woken_at(after_a_pass(took=7.0, deadline=3.0), 1.0).next_pass == 3.0


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=50).map(sorted),
    st.floats(0, 100),
    st.floats(0, 1000),
)
def test_a_wake_up_never_delays_a_deadline_nor_breaks_the_distance(
    wake_ups: list[float], took: float, deadline: float
) -> None:
    next_pass = woken_at(after_a_pass(took, deadline), *wake_ups).next_pass
    assert next_pass <= deadline
    assert next_pass == deadline or next_pass >= max(wake_ups[0] + QUIET_SECONDS, DISTANCE_IN_PASSES * took)
    assert next_pass <= max(wake_ups[0] + GATHERED_AT_MOST_SECONDS, DISTANCE_IN_PASSES * took)


@pytest.mark.parametrize(("failed", "seconds"), [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (10_000, 300)])
def test_failed_passes_are_retried_with_growing_delays_up_to_the_resync(failed: int, seconds: float) -> None:
    assert retry_after_seconds(failed, RESYNC) == seconds
