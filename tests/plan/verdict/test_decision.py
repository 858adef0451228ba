"""The complete decision of one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.plan.memory.disk import DiskMark, DiskUsage, ImageDisk, PressureMarks
from controller.plan.memory.event import ReceivedEvents
from controller.plan.memory.remember import News
from controller.plan.verdict.decision import Conditions, Decision, DesiredState, decide, decide_again
from controller.plan.verdict.limits import Limits
from controller.plan.verdict.planner import Plan, make_plan
from controller.plan.verdict.verdict import Reason
from controller.policy.document.parse import FolderReading
from tests.builders import HOUR, MINUTE, an_agreement, an_answer, an_engine, an_image, an_instant, an_observation
from tests.fakes import FakeFolder, Plain, a_document, a_removal

APP = an_image("app:1")
CONDITIONS = Conditions(resync_seconds=HOUR)
SILENCE = an_answer(node=None, is_silence=True)


def reading_of(*rules: Plain) -> FolderReading:
    return FakeFolder({"doc.yaml": a_document(*rules)}).read()


def looked(
    before: Decision, seconds: float, *, desired: DesiredState, conditions: Conditions = CONDITIONS, tags: int = 1
) -> Decision:
    image = an_image(*(f"app:{n + 1}" for n in range(tags)))
    seen = an_observation([image], at=an_instant(1_000.0 + seconds))
    return decide(before, desired, seen, News(ReceivedEvents()), conditions)


def after_an_hour(*rules: Plain, tags: int = 1, conditions: Conditions = CONDITIONS) -> Decision:
    """Three observations: the first, one when the text is stable, one an hour later."""
    desired = DesiredState(reading_of(*rules), an_answer(source=""))
    decision = Decision()
    for seconds in (0.0, 2.0, HOUR):
        decision = looked(decision, seconds, desired=desired, tags=tags, conditions=conditions)
    return decision


def reasons(decision: Decision) -> list[Reason]:
    return [verdict.reason for verdict in decision.plan.verdicts]


def test_what_is_due_after_all_steps_is_removed() -> None:
    decision = after_an_hour(a_removal("app:*", 30))
    assert reasons(decision) == [Reason.DUE]
    assert [verdict.reference for verdict in decision.plan.removals] == ["app:1"]


def test_a_text_that_was_read_once_gives_no_rule() -> None:
    desired = DesiredState(reading_of(a_removal()), an_answer(source=""))
    assert reasons(looked(Decision(), 0.0, desired=desired)) == [Reason.NO_RULE]


def test_a_plan_is_made_again_at_the_next_change_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every other test of the project a plan that was kept is compared with a new one (conftest)."""
    monkeypatch.undo()
    made = 0

    def counted(*arguments: Any) -> Plan:
        nonlocal made
        made += 1
        return make_plan(*arguments)

    monkeypatch.setattr("controller.plan.verdict.decision.make_plan", counted)
    desired = DesiredState(reading_of(a_removal("app:*", 30)), an_answer(source=""))
    decision, counts = Decision(), list[int]()
    for seconds in (0.0, 2.0, MINUTE, 10 * MINUTE, 29 * MINUTE, 30 * MINUTE):
        decision = looked(decision, seconds, desired=desired)
        counts.append(made)
        assert decision.plan.now == decision.memory.clock.seconds
    assert counts == [1, 2, 2, 3, 3, 4]  # The settle time ends after ten minutes.
    assert reasons(decision) == [Reason.DUE]


def test_a_document_that_is_gone_is_no_longer_in_force_at_once() -> None:
    decision = after_an_hour(a_removal())
    gone = decide_again(decision, FolderReading("policies", lost="gone"), CONDITIONS)
    assert reasons(gone) == [Reason.NO_RULE]


def test_the_operators_caps_come_last() -> None:
    decision = after_an_hour(a_removal(), tags=3, conditions=Conditions(limits=Limits(1), resync_seconds=HOUR))
    assert sorted(reasons(decision)) == [Reason.DUE, Reason.HELD_BACK, Reason.HELD_BACK]


def test_while_an_agent_does_not_answer_its_last_answer_is_used() -> None:
    reading = reading_of(a_removal())
    decision = looked(Decision(), 0.0, desired=DesiredState(reading, an_answer(an_agreement("a1", "app:1"))))
    for seconds in (2.0, HOUR):
        decision = looked(decision, seconds, desired=DesiredState(reading, SILENCE))
    assert reasons(decision) == [Reason.IN_USE]


def test_an_agent_that_has_never_answered_puts_nothing_in_force() -> None:
    decision = Decision()
    for seconds in (0.0, 2.0, HOUR):
        decision = looked(decision, seconds, desired=DesiredState(reading_of(a_removal()), SILENCE))
    assert reasons(decision) == [Reason.NO_RULE]


def test_rules_are_indexed_again_only_when_they_change() -> None:
    decision = after_an_hour(a_removal())
    again = looked(decision, HOUR + MINUTE, desired=DesiredState(reading_of(a_removal()), an_answer(source="")))
    assert again.book is decision.book
    other = DesiredState(reading_of(a_removal("app:*", 7)), an_answer(source=""))
    assert looked(again, HOUR + 2 * MINUTE, desired=other).book is not decision.book


@pytest.mark.parametrize("identity", ["this engine", "a new ID after a reboot"])
def test_between_the_marks_the_pressure_lasts_also_if_the_engine_has_another_id(identity: str) -> None:
    marks = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
    conditions = replace(CONDITIONS, terms=replace(CONDITIONS.terms, pressure=marks))
    desired, before = DesiredState(reading_of(), an_answer()), Decision()
    for number, (engine_id, available) in enumerate([("this engine", 10), (identity, 20)]):
        engine = replace(an_engine(identity=engine_id), machine="this machine")
        seen = an_observation([an_image("app:1")], engine=engine, at=an_instant(1_000.0 + number))
        disk = ImageDisk("/images", DiskUsage(100, available))
        before = decide(before, desired, seen, News(ReceivedEvents(), disk=disk), conditions)
    assert before.memory.pressure


def test_deciding_again_without_an_observation_changes_nothing() -> None:
    decision = after_an_hour(a_removal())
    again = decide_again(decision, reading_of(a_removal()), CONDITIONS)
    assert (again.plan, again.memory) == (decision.plan, decision.memory)
