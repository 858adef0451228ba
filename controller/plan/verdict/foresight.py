"""What will be decided later, if nothing happens until then: the same decision, on clocks moved forward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.verdict.decision import Conditions, Decision, decide_again
from controller.policy.document.parse import FolderReading

_LONGEST_STEP_SECONDS = 20 * 86_400
"""Texts are forgotten when they were not seen for longer."""


def foreseen(decision: Decision, reading: FolderReading, conditions: Conditions, seconds: float) -> Decision:
    """The decision of a pass so many seconds from now, as a controller would come to it that watches all the while.

    No removal in between is made.
    """
    began = decision.memory.clock
    for at in sorted({*_moments_between(decision, reading, seconds), seconds}):
        memory = replace(decision.memory, clock=_moved(began, at))
        decision = decide_again(replace(decision, memory=memory), reading, conditions)
    return decision


def _moments_between(decision: Decision, reading: FolderReading, seconds: float) -> Iterable[float]:
    """When a pass would note something that a single leap would miss: that a written start has come, that a text is
    still there.
    """
    last = decision.memory.clock.last
    policies = [document.policy for document in reading.documents if document.policy]
    starts = [policy.start.timestamp() - last.wall_seconds for policy in policies if policy.start and last]
    yield from (at for at in starts if 0 < at < seconds)
    yield from range(_LONGEST_STEP_SECONDS, int(seconds), _LONGEST_STEP_SECONDS)


def _moved(clock: LedgerClock, seconds: float) -> LedgerClock:
    """All clocks of the host run on together."""
    if clock.last is None:
        return clock
    wall, uptime = clock.last.wall_seconds + seconds, clock.last.uptime_seconds + seconds
    return replace(
        clock,
        seconds=clock.seconds + seconds,
        last=replace(clock.last, wall_seconds=wall, uptime_seconds=uptime),
    )
