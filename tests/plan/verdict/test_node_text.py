"""A node file follows the same rule as a policy file: a new text counts only after it has been stable for 2 s."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.instant import ReadTimes
from controller.plan.memory.event import ReceivedEvents
from controller.plan.memory.remember import News
from controller.plan.node.agent import Half, NodeAnswer
from controller.plan.node.node import Node
from controller.plan.verdict.decision import Conditions, Decision, DesiredState, decide
from controller.policy.document.parse import FolderReading
from tests.builders import an_agreement, an_answer, an_image, an_instant, an_observation

CONDITIONS = Conditions()
GATEWAY = NodeAnswer(Node(pattern="org/gateway"), "as node.yaml says", "node.yaml", text_hash="whole")
CUT = NodeAnswer(Node(), "as node.yaml says", "node.yaml", text_hash="cut before the pattern")


def after(decision: Decision, seconds: float, answer: NodeAnswer, conditions: Conditions = CONDITIONS) -> Decision:
    at = an_instant(1_000.0 + seconds)
    read = ReadTimes(at.uptime_seconds, at.uptime_seconds)
    seen = an_observation([an_image("app:1")], at=at)
    return decide(
        decision, DesiredState(FolderReading("policies"), answer, read), seen, News(ReceivedEvents()), conditions
    )


def restarted(decision: Decision) -> Decision:
    return Decision(memory=decision.memory)


@pytest.fixture
def known() -> Decision:
    """The file has been stable."""
    return after(after(Decision(), 0.0, GATEWAY), 2.0, GATEWAY)


def test_the_first_text_counts_after_two_seconds() -> None:
    first = after(Decision(), 0.0, GATEWAY)
    assert (first.node.node, first.node.is_degraded, first.memory.node) == (None, False, None)
    assert first.node.why == "the node file node.yaml has a new text: waiting until the file has been stable for 2 s"
    assert first.node_stability.next_change_at == 1_002.0
    assert after(first, 1.9, GATEWAY).node.node is None
    assert after(first, 2.0, GATEWAY).node == GATEWAY


def test_a_text_that_is_cut_for_a_moment_changes_nothing(known: Decision) -> None:
    cut = after(known, 10.0, CUT)
    assert cut.node.node == GATEWAY.node
    assert cut.node.why.endswith("until the file has been stable for 2 s; its last answer is used")
    assert (cut.memory.node, cut.node.is_degraded) == (known.memory.node, False)
    assert after(cut, 11.0, GATEWAY).node == GATEWAY


def test_a_changed_text_counts_after_two_seconds(known: Decision) -> None:
    changed = after(after(known, 10.0, CUT), 12.0, CUT)
    assert (changed.node, changed.memory.node and changed.memory.node.answer) == (CUT, CUT)


def test_the_text_of_the_ledger_needs_no_wait_after_a_restart(known: Decision) -> None:
    assert after(restarted(known), 0.0, GATEWAY).node == GATEWAY
    assert after(restarted(known), 0.0, CUT).node.node == GATEWAY.node


def test_a_file_that_keeps_changing_is_degraded(known: Decision) -> None:
    decision = known
    for second in range(70):
        decision = after(decision, 10.0 + second, replace(CUT, text_hash=str(second)))
    assert (decision.node.node, decision.node.is_degraded) == (GATEWAY.node, True)
    assert "the node file node.yaml keeps changing" in decision.node.why


def test_the_agent_beside_a_new_text_is_used(known: Decision) -> None:
    agent = an_answer(an_agreement("a1", "app:1")).agent
    both = after(known, 10.0, replace(CUT, agent=agent))
    assert (both.node.node, both.node.agent) == (GATEWAY.node, agent)
    silent = replace(CUT, is_silence=True, half=Half.NODE)
    assert after(both, 10.5, silent).node.agent == agent


def test_commands_that_only_read_take_a_new_text_at_once(known: Decision) -> None:
    assert after(known, 10.0, CUT, Conditions(trust_new_texts=True)).node == CUT
