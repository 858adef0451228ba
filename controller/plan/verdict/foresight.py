"""The decision at a later time if nothing happens until then: the same function, with clocks moved forward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.verdict.decision import Conditions, Decision, decide_again
from controller.policy.document.parse import FolderReading

_LONGEST_STEP_SECONDS = 20 * 86_400
"""Texts that were not seen for longer are forgotten."""


def foreseen(decision: Decision, reading: FolderReading, conditions: Conditions, seconds: float) -> Decision:
    """The decision of a pass in `seconds`, if a controller observes until then and removes nothing."""
    began = decision.memory.clock
    for at in sorted({*_moments_between(decision, reading, seconds), seconds}):
        memory = replace(decision.memory, clock=_moved(began, at))
        decision = decide_again(replace(decision, memory=memory), reading, conditions)
    return decision


def _moments_between(decision: Decision, reading: FolderReading, seconds: float) -> Iterable[float]:
    """Times of passes that change the memory: a written start passes, or a text is recorded as still present."""
    last = decision.memory.clock.last
    policies = [document.policy for document in reading.documents if document.policy]
    starts = [policy.start.timestamp() - last.wall_seconds for policy in policies if policy.start and last]
    yield from (at for at in starts if 0 < at < seconds)
    yield from range(_LONGEST_STEP_SECONDS, int(seconds), _LONGEST_STEP_SECONDS)


def _moved(clock: LedgerClock, seconds: float) -> LedgerClock:
    """The ledger clock after `seconds`; all clocks of the host advance together."""
    if clock.last is None:
        return clock
    wall, uptime = clock.last.wall_seconds + seconds, clock.last.uptime_seconds + seconds
    return replace(
        clock,
        seconds=clock.seconds + seconds,
        last=replace(clock.last, wall_seconds=wall, uptime_seconds=uptime),
    )
