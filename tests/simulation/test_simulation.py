"""Random nodes on which nothing is removed too early and nothing is kept without a reason; `make simulation` runs ten
thousand days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from controller.instant import Instant
from controller.plan.memory import arrivals, downloads, remember
from controller.plan.memory.idleness import NO_ACTIVITY
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import Memory
from controller.plan.node.agent import NodeAnswer
from controller.plan.verdict import covering, judge
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.planner import Plan, make_plan
from controller.plan.verdict.protection import protection_on
from controller.plan.verdict.verdict import Rule
from tests.fake_engine import Kind
from tests.fakes import FakeEvents
from tests.host import IN_MEMORY
from tests.simulation.__main__ import live, simulate
from tests.simulation.node import SimulatedNode, Violation

SEED = 1
DAYS = 10 * settings().max_examples
"""A thousand, and with the quick profile of `make unit` 200."""
MISTAKES_SHOW_WITHIN_NODES = 50

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.timeout(900)
def test_nothing_is_removed_too_early_and_everything_due_is_removed(
    record_property: Callable[[str, object], None],
) -> None:
    total, violations = simulate(DAYS, SEED)
    line = f"{total}; violations {len(violations)}"
    record_property("simulation", line)
    print(f"\n{line}")
    assert not violations, violations[0]  # Removals that are missing are violations too.
    assert total.removals > DAYS / 4, "hardly anything was to be removed; four nodes differ much"


def nothing_settles(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge.Judge, "_settling", lambda *_: (0.0, ""))


def uses_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(remember, "_with_event", lambda *_: NO_ACTIVITY)


def time_without_observation_counts(patch: pytest.MonkeyPatch) -> None:
    honest = LedgerClock.advanced
    patch.setattr(LedgerClock, "advanced", lambda clock, at, resync: honest(clock, at, float("inf")))


def the_wall_clock_makes_older(patch: pytest.MonkeyPatch) -> None:
    def advanced(clock: LedgerClock, at: Instant, resync: float) -> LedgerClock:
        passed = at.wall_seconds - clock.last.wall_seconds if clock.last else 0.0
        return replace(honest(clock, at, resync), seconds=clock.seconds + max(passed, 0.0))

    honest = LedgerClock.advanced
    patch.setattr(LedgerClock, "advanced", advanced)


def everything_was_downloaded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(downloads, "_was_pulled", lambda *_: True)


def evidence_never_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(remember, "_evidence_before", lambda inputs: inputs.known.evidence)


def arrivals_are_never_open(patch: pytest.MonkeyPatch) -> None:
    honest = arrivals.arrivals_in
    patch.setattr(remember, "arrivals_in", lambda *given: replace(honest(*given), arriving={}))


def missing_events_are_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(remember, "_watch", lambda inputs, _: inputs.known.watch)


def hidden_events_are_ignored(patch: pytest.MonkeyPatch) -> None:
    """Podman hides events after the clock was set back."""
    patch.setattr(FakeEvents, "_is_set_back", lambda _: False)


def archived_names_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(downloads, "without_earlier_pulls", lambda found, *_: found)


def a_silent_agent_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "named_by_agent", lambda *_: frozenset())


def recent_images_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge.Judge, "_recent_of", lambda *_: {})


def every_image_lost_its_tag(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(covering, "has_lost_tag", lambda *_: True)


def nothing_is_protected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "protection_on", lambda seen, protected, swarm: protection_on(seen, (), swarm))


def local_images_are_not_protected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "why_local", lambda *_: "")


def the_limit_under_pressure_always_counts(patch: pytest.MonkeyPatch) -> None:
    honest = Rule.limit_seconds
    patch.setattr(Rule, "limit_seconds", lambda rule, _: honest(rule, is_under_pressure=True))


def due_images_are_left(patch: pytest.MonkeyPatch) -> None:
    def forgetful(rules: RuleBook, memory: Memory, terms: Terms, node: NodeAnswer) -> Plan:
        plan = make_plan(rules, memory, terms, node)
        return replace(plan, removals=plan.removals[1:])

    patch.setattr("controller.plan.verdict.decision.make_plan", forgetful)


@pytest.mark.parametrize(
    "mistake",
    [
        nothing_settles,
        uses_are_forgotten,
        time_without_observation_counts,
        the_wall_clock_makes_older,
        missing_events_are_ignored,
        due_images_are_left,
        recent_images_are_not_kept,
        every_image_lost_its_tag,
        nothing_is_protected,
        local_images_are_not_protected,
        the_limit_under_pressure_always_counts,
    ],
)
def test_a_controller_with_a_bug_is_detected(mistake: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    with pytest.raises(Violation):
        live_on_nodes(MISTAKES_SHOW_WITHIN_NODES)


@pytest.mark.parametrize("mistake", [everything_was_downloaded, archived_names_count, a_silent_agent_is_ignored])
def test_a_controller_with_a_bug_beside_an_agent_is_detected(mistake: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    with pytest.raises(Violation):
        live_where(lambda node: node.has_agent, MISTAKES_SHOW_WITHIN_NODES, days=20.0)


def test_a_controller_that_ignores_hidden_events_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden_events_are_ignored(monkeypatch)
    with pytest.raises(Violation):
        live_where(lambda node: node.host.kind is Kind.PODMAN, 2 * MISTAKES_SHOW_WITHIN_NODES, days=30.0)


@pytest.mark.parametrize("mistake", [evidence_never_ends, arrivals_are_never_open])
def test_a_controller_that_keeps_evidence_is_detected(mistake: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    with pytest.raises(Violation):
        live_on_nodes(MISTAKES_SHOW_WITHIN_NODES, days=30.0)


def live_on_nodes(nodes: int, days: float = 10.0) -> None:
    for seed in range(nodes):
        live(seed, days)


def live_where(is_affected: Callable[[SimulatedNode], bool], nodes: int, days: float) -> None:
    """Only nodes on which the mistake has an effect."""
    for seed in range(nodes):
        with TemporaryDirectory(dir=IN_MEMORY) as folder:
            node = SimulatedNode(seed, Path(folder))
            if is_affected(node):
                node.live(days)
