"""The operator's caps on removals: a due removal that exceeds a cap is held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.image.layers import Reclaim
from controller.image.reference import ImageId
from controller.plan.memory.memory import Memory, Spending
from controller.plan.memory.observation import Observation, Store
from controller.plan.verdict.planner import Plan
from controller.plan.verdict.reclaim import freed_in_turn, last_removal_of_each
from controller.plan.verdict.removal import Outcome, Removal
from controller.plan.verdict.verdict import Reason, Verdict
from controller.value import dataclass

AN_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit."""

    removals_per_pass: int | None = None
    bytes_per_hour: int | None = None


def within(limits: Limits, plan: Plan, memory: Memory, removals_made: int = 0) -> Plan:
    """The plan with every removal held back that exceeds a cap; the longest overdue are removed first.

    `removals_made` is the number of removals that the same pass has requested already.
    """
    if not plan.removals or limits == Limits() or memory.seen is None:
        return plan
    budget = _Budget(limits, memory, removals_made)
    held: dict[int, Verdict] = {}
    kept: set[ImageId] = set()
    for verdict, charge in zip(plan.removals, charges_of(plan.removals, memory), strict=True):
        hold: Verdict | None
        if kept.intersection(memory.seen.removed_before(verdict.image)):
            hold = _held_with(verdict, memory.seen)
        else:
            hold = budget.held(verdict, charge)
        if hold is not None:
            held[id(verdict)] = hold
            kept.add(verdict.image)
    return replace(
        plan,
        verdicts=tuple(held.get(id(verdict), verdict) for verdict in plan.verdicts),
        removals=tuple(verdict for verdict in plan.removals if id(verdict) not in held),
        next_change_at=min(
            (at for at in (plan.next_change_at, *(hold.until for hold in held.values())) if at is not None),
            default=None,
        ),
    )


def charges_of(removals: Sequence[Verdict], memory: Memory) -> list[int | None]:
    """Bytes that count against the hourly limit before the removal: exact, else the image's size (None: unknown). A
    removed name of an image with other names frees nothing.
    """
    last = {id(verdict) for verdict in last_removal_of_each(removals, memory).values()}
    return [
        _charge(verdict, freed, memory) if id(verdict) in last else 0
        for verdict, freed in zip(removals, freed_in_turn(removals, memory), strict=True)
    ]


def _charge(verdict: Verdict, freed: Reclaim, memory: Memory) -> int | None:
    if memory.seen is None:
        return 0
    exact = freed.is_exact and memory.seen.engine.store is Store.GRAPH_DRIVER
    return freed.at_least_bytes if exact else memory.seen.images[verdict.image].size_bytes


def bytes_spent(removal: Removal) -> int:
    """Bytes that count against the hourly limit after the removal; the size of the image if the figure is unknown."""
    if removal.outcome not in (Outcome.REMOVED, Outcome.UNEXPECTED):
        return 0
    return (removal.intent.size_bytes or 0) if removal.freed.bytes is None else removal.freed.bytes


def spent_after(spent: Sequence[Spending], freed: int, now: float) -> tuple[Spending, ...]:
    """The spending of the last hour (ledger time), with the bytes that were freed now."""
    recent = tuple(each for each in spent if now - each.at < AN_HOUR_SECONDS)
    return (*recent, Spending(now, freed)) if freed else recent


class _Budget:
    """The remaining budget of this pass."""

    def __init__(self, limits: Limits, memory: Memory, removals_made: int) -> None:
        self._limits = limits
        self._removals_left = None if limits.removals_per_pass is None else limits.removals_per_pass - removals_made
        self._spent = spent_after(memory.spent, 0, memory.clock.seconds)
        self._bytes_left = (limits.bytes_per_hour or 0) - sum(each.bytes for each in self._spent)
        self._is_exhausted = False

    def held(self, verdict: Verdict, charge: int | None) -> Verdict | None:
        """The verdict on a removal that exceeds a limit; None if it fits, and the budget shrinks."""
        if self._removals_left is not None and self._removals_left <= 0:
            most = self._limits.removals_per_pass
            return _held_back(verdict, None, f"limit: {most} removal{'s' * (most != 1)} a pass")
        if self._limits.bytes_per_hour is not None:
            if charge is None:
                return _held_back(verdict, None, "its size is unknown, and bytes per hour are limited")
            if charge > self._limits.bytes_per_hour:
                return _held_back(
                    verdict,
                    None,
                    f"larger than the limit of {self._limits.bytes_per_hour} bytes an hour ({charge} bytes)",
                )
            # Removals behind the longest overdue one wait too: otherwise a large image is never removed.
            self._is_exhausted |= charge > self._bytes_left
            if self._is_exhausted:
                return _held_back(verdict, self._room_at(charge), f"limit: {self._limits.bytes_per_hour} bytes an hour")
            self._bytes_left -= charge
        if self._removals_left is not None:
            self._removals_left -= 1
        return None

    def _room_at(self, charge: int) -> float | None:
        """When enough of the spent bytes are more than an hour old."""
        room = self._bytes_left
        for each in self._spent:
            room += each.bytes
            if room >= charge:
                return each.at + AN_HOUR_SECONDS
        return None


def _held_with(verdict: Verdict, seen: Observation) -> Verdict:
    """The verdict on an image whose child, or whose parent without a name, is held back."""
    if verdict.image in seen.bare_parents:
        return replace(
            verdict, reason=Reason.PARENT_NOT_DUE, due_at=None, detail="its parent without a name is held back"
        )
    return replace(verdict, reason=Reason.HAS_CHILDREN, due_at=None, detail="a child image is held back")


def _held_back(verdict: Verdict, until: float | None, detail: str) -> Verdict:
    return replace(verdict, reason=Reason.HELD_BACK, until=until, due_at=until, detail=detail)
