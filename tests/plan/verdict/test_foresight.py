"""The decision at a later time equals that of a controller that observes until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.folder.folder import PolicyFolder
from controller.plan.scope.in_force import DocumentState
from controller.plan.verdict.decision import Conditions, Decision
from controller.plan.verdict.foresight import foreseen
from tests import sample_node
from tests.sample_node import DAY, HOUR, MINUTE

CONDITIONS = Conditions(trust_new_texts=True)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_node.write_policies(tmp_path_factory.mktemp("policies"))


@pytest.fixture(scope="module")
def now(policies: Path) -> Decision:
    return sample_node.decision_on(sample_node.memory_of(60), policies)


def due(decision: Decision) -> set[str]:
    return {verdict.reference for verdict in decision.plan.removals}


def test_nothing_changes_in_no_time(now: Decision, policies: Path) -> None:
    assert foreseen(now, PolicyFolder(policies).read(), CONDITIONS, 0.0).plan == now.plan


@pytest.mark.parametrize("seconds", [MINUTE, HOUR, 2 * HOUR, DAY, 9 * DAY])
def test_what_is_due_then_is_what_was_due_at_an_earlier_time(now: Decision, policies: Path, seconds: float) -> None:
    then = foreseen(now, PolicyFolder(policies).read(), CONDITIONS, seconds)
    by_then = {
        verdict.reference
        for verdict in now.plan.verdicts
        if verdict.due_at is not None and verdict.action != "keep" and verdict.due_at <= now.plan.now + seconds
    }
    assert due(then) == by_then


def test_a_written_start_is_reached_and_its_window_passes(now: Decision, policies: Path) -> None:
    def state(days: float) -> DocumentState:
        then = foreseen(now, PolicyFolder(policies).read(), CONDITIONS, days * DAY)
        return next(each.state for each in then.scope.documents if each.name == "spring-cleaning")

    assert [state(days) for days in (0, 9, 12, 400)] == [
        DocumentState.WAITING,
        DocumentState.WAITING,
        DocumentState.IN_FORCE,
        DocumentState.IN_FORCE,
    ]


def test_one_step_of_a_year_equals_many_short_steps(now: Decision, policies: Path) -> None:
    reading, stepwise = PolicyFolder(policies).read(), now
    for _ in range(52):
        stepwise = foreseen(stepwise, reading, CONDITIONS, 7 * DAY)
    assert due(foreseen(now, reading, CONDITIONS, 52 * 7 * DAY)) == due(stepwise)


def test_the_present_decision_is_unchanged(now: Decision, policies: Path) -> None:
    before = now.memory.clock
    foreseen(now, PolicyFolder(policies).read(), CONDITIONS, DAY)
    assert now.memory.clock == before
