"""Rules and memory in; one verdict per reference and the time of the next change out.

`run`, `plan`, `explain`, the status page and the metrics all use these functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.image.image import Image
from controller.image.reference import ImageId
from controller.plan.memory.disk import Pressure, PressureMarks, pressure_in_words
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation
from controller.plan.node.agent import NO_NODE_SOURCE, NodeAnswer
from controller.plan.verdict.bare_parents import without_pruned_parents
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Judge, Terms
from controller.plan.verdict.pressure import needed_for_relief
from controller.plan.verdict.verdict import Reason, Verdict
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """A verdict for every reference on the node."""

    verdicts: tuple[Verdict, ...] = ()
    removals: tuple[Verdict, ...] = ()
    """Due now, in the order of removal: longest overdue first, children before parents. Where the engine prunes
    parents without a name, these come before their children.
    """
    now: float = 0.0
    next_change_at: float | None = None
    """Ledger time at which the next verdict changes if nothing else happens."""
    gap_ends_at: float | None = None
    """Ledger time at which the next reference is due that waits only because of a gap; None: there is none."""

    def holds_at(self, now: float) -> bool:
        """True if no verdict has changed until then, provided that nothing but time has passed."""
        return not self.removals and (self.next_change_at is None or now < self.next_change_at)


def make_plan(rules: RuleBook, memory: Memory, terms: Terms, node: NodeAnswer = NO_NODE_SOURCE) -> Plan:
    """Give every reference on the node exactly one verdict."""
    if memory.seen is None:
        return Plan(now=memory.clock.seconds)
    plan = _judged(Judge(rules, memory, memory.seen, terms, node), memory, memory.seen, terms)
    if memory.pressure is None or terms.pressure is None or not rules.know_pressure:
        return plan
    judge = Judge(rules, memory, memory.seen, terms, node, is_under_pressure=True)
    under_pressure = _judged(judge, memory, memory.seen, terms)
    return _with_removals_under_pressure(plan, under_pressure, memory, memory.pressure, terms.pressure)


def _judged(judge: Judge, memory: Memory, seen: Observation, terms: Terms) -> Plan:
    verdicts = without_pruned_parents(
        [verdict for image in children_first(seen.images) for verdict in judge.verdicts(image)], seen
    )
    deadlines = (verdict.until for verdict in verdicts if verdict.until is not None and verdict.until > judge.now)
    due = [verdict for verdict in verdicts if verdict.reason is Reason.DUE]
    return Plan(
        verdicts=verdicts,
        removals=_in_order_of_removal(due, memory, seen, terms.usage, by_idle_time=judge.is_under_pressure),
        now=judge.now,
        next_change_at=min(deadlines, default=None),
        gap_ends_at=judge.gap_ends_at if any(map(judge.waits_for_gap, verdicts)) else None,
    )


def _with_removals_under_pressure(
    plan: Plan, under_pressure: Plan, memory: Memory, pressure: Pressure, marks: PressureMarks
) -> Plan:
    """The plan with as many more removals as the disk needs; everything else keeps its normal verdict."""
    normal = {(verdict.image, verdict.reference) for verdict in plan.removals}
    more = [each for each in under_pressure.removals if (each.image, each.reference) not in normal]
    changes = [plan.next_change_at, under_pressure.next_change_at]
    if pressure.pauses(memory.clock.seconds):
        changes.append(pressure.pause_ends if more else None)
        more = []
    detail = pressure_in_words(pressure.usage, marks)
    needed = [
        replace(verdict, detail=detail, is_under_pressure=True)
        for verdict in needed_for_relief(plan.removals, more, memory, pressure.usage, marks.stop)
    ]
    instead = {(verdict.image, verdict.reference): verdict for verdict in needed}
    return replace(
        plan,
        verdicts=tuple(instead.get((verdict.image, verdict.reference), verdict) for verdict in plan.verdicts),
        removals=(*plan.removals, *needed),
        next_change_at=min((at for at in changes if at is not None), default=None),
    )


def children_first(images: Mapping[ImageId, Image]) -> Sequence[Image]:
    """All images, each one after its children."""
    depths: dict[ImageId, int] = {}
    for image in images.values():
        if image.parent in images:
            _measure_depth(image, images, depths)
    return sorted(images.values(), key=lambda image: -depths.get(image.id, 0)) if depths else tuple(images.values())


def _measure_depth(image: Image, images: Mapping[ImageId, Image], depths: dict[ImageId, int]) -> None:
    line: list[ImageId] = []
    at: Image | None = image
    while at is not None and at.id not in depths:
        line.append(at.id)
        at = images.get(at.parent) if at.parent is not None else None
    depth = depths[at.id] if at else -1
    for ancestor in reversed(line):
        depth += 1
        depths[ancestor] = depth


def _in_order_of_removal(
    due: Sequence[Verdict], memory: Memory, seen: Observation, usage: Usage, by_idle_time: bool
) -> tuple[Verdict, ...]:
    """Longest overdue first; of references due since the same moment, longest idle first; a parent after its children,
    or before them where the engine prunes parents.

    `by_idle_time`: longest idle first, whenever they were due. `due` already has children first.
    """
    if seen.bare_parents:
        due = _parents_first(due)
    turn: dict[ImageId, tuple[float, float]] = {}
    keys: list[tuple[float, float]] = []
    for verdict in due:
        overdue_since = 0.0 if by_idle_time else verdict.due_at or 0.0
        own = (overdue_since, idle_since(memory.records[verdict.image], usage))
        keys.append(max([own, *(turn[other] for other in seen.removed_before(verdict.image) if other in turn)]))
        turn[verdict.image] = max(keys[-1], turn.get(verdict.image, own))
    return tuple(verdict for _, verdict in sorted(zip(keys, due, strict=True), key=lambda pair: pair[0]))


def _parents_first(due: Sequence[Verdict]) -> list[Verdict]:
    """Images in the opposite order; the references of each in the same one."""
    by_image: dict[ImageId, list[Verdict]] = {}
    for verdict in due:
        by_image.setdefault(verdict.image, []).append(verdict)
    return [verdict for image in reversed(by_image) for verdict in by_image[image]]
