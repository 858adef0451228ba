"""The operator's caps on removals: what is due and does not fit is held back, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.image.layers import Reclaim
from controller.image.reference import ImageId
from controller.plan.memory.memory import Memory, Spending
from controller.plan.memory.observation import Store
from controller.plan.verdict.planner import Plan
from controller.plan.verdict.reclaim import freed_in_turn
from controller.plan.verdict.removal import Outcome, Removal
from controller.plan.verdict.verdict import Reason, Verdict

AN_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit."""

    removals_per_pass: int | None = None
    bytes_per_hour: int | None = None


def within(limits: Limits, plan: Plan, memory: Memory, removals_made: int = 0) -> Plan:
    """The plan in which every removal that does not fit is held back; whoever is longest overdue goes first.

    `removals_made` is how many the pass has asked for already that this plan belongs to.
    """
    if not plan.removals or limits == Limits() or memory.seen is None:
        return plan
    budget = _Budget(limits, memory, removals_made)
    held: dict[int, Verdict] = {}
    kept: set[ImageId] = set()
    for verdict, charge in zip(plan.removals, charges_of(plan.removals, memory), strict=True):
        hold: Verdict | None
        if kept.intersection(memory.seen.children.get(verdict.image, ())):
            hold = replace(verdict, reason=Reason.HAS_CHILDREN, due_at=None, detail="an image built on it is held back")
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


def charges_of(removals: Sequence[Verdict], memory: Memory) -> list[int]:
    """Bytes that count against the hourly limit, in advance: what a removal will free, or, where that is no
    certainty, all of the image.
    """
    return [
        _charge(verdict, freed, memory)
        for verdict, freed in zip(removals, freed_in_turn(removals, memory), strict=True)
    ]


def _charge(verdict: Verdict, freed: Reclaim, memory: Memory) -> int:
    if memory.seen is None:
        return 0
    exact = freed.is_exact and memory.seen.engine.store is Store.GRAPH_DRIVER
    return freed.at_least_bytes if exact else memory.seen.images[verdict.image].size_bytes


def bytes_spent(removal: Removal) -> int:
    """Bytes that count against the hourly limit afterwards; all of the image where the figure is not exact."""
    if removal.outcome is not Outcome.REMOVED:
        return 0
    return removal.intent.size_bytes if removal.freed.bytes is None else removal.freed.bytes


def spent_after(spent: Sequence[Spending], freed: int, now: float) -> tuple[Spending, ...]:
    """The spending of the last hour, on the ledger's clock, with what was freed now."""
    recent = tuple(each for each in spent if now - each.at < AN_HOUR_SECONDS)
    return (*recent, Spending(now, freed)) if freed else recent


class _Budget:
    """What the limits still let go in this pass."""

    def __init__(self, limits: Limits, memory: Memory, removals_made: int) -> None:
        self._limits = limits
        self._removals_left = None if limits.removals_per_pass is None else limits.removals_per_pass - removals_made
        self._spent = spent_after(memory.spent, 0, memory.clock.seconds)
        self._bytes_left = (limits.bytes_per_hour or 0) - sum(each.bytes for each in self._spent)
        self._is_exhausted = False

    def held(self, verdict: Verdict, charge: int) -> Verdict | None:
        """The verdict on a removal that does not fit; None, and less is left, if it does."""
        if self._removals_left is not None and self._removals_left <= 0:
            most = self._limits.removals_per_pass
            return _held_back(verdict, None, f"at most {most} removal{'s' * (most != 1)} in one pass")
        if self._limits.bytes_per_hour is not None:
            if charge > self._limits.bytes_per_hour:
                return _held_back(verdict, None, f"it frees {charge} bytes, more than the limit for a whole hour")
            # Whoever is longer overdue waits for room, and the others behind it: else a large image would never go.
            self._is_exhausted |= charge > self._bytes_left
            if self._is_exhausted:
                return _held_back(
                    verdict, self._room_at(charge), f"at most {self._limits.bytes_per_hour} bytes in an hour"
                )
            self._bytes_left -= charge
        if self._removals_left is not None:
            self._removals_left -= 1
        return None

    def _room_at(self, charge: int) -> float | None:
        """When enough of the last hour's spending is an hour old."""
        room = self._bytes_left
        for each in self._spent:
            room += each.bytes
            if room >= charge:
                return each.at + AN_HOUR_SECONDS
        return None


def _held_back(verdict: Verdict, until: float | None, detail: str) -> Verdict:
    return replace(verdict, reason=Reason.HELD_BACK, until=until, due_at=until, detail=detail)
