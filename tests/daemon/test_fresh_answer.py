"""Before a removal the agent is asked again: what it needs by now is kept, and without an answer what it ever named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.daemon.journal import Journal
from controller.log_events import LogEvent
from controller.plan.memory.idleness import Usage
from controller.plan.node.agent import AgentAnswer, NodeAnswer, NodeSource
from controller.plan.node.node import Node
from controller.plan.report.report import reference_rows
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.verdict import Reason
from tests.builders import A_NODE
from tests.fakes import a_removal
from tests.host import Host, a_host

GOOD = NodeAnswer(A_NODE, "from the agent", "http://agent", has_agent=True)
SILENCE = replace(GOOD, node=None, is_silence=True, why="the agent does not answer")


def needs(*images: str) -> NodeAnswer:
    return replace(GOOD, agent=AgentAnswer(needed=images, named=dict.fromkeys(images, NodeSource.SERVICE)))


def once_named(*images: str) -> NodeAnswer:
    return replace(GOOD, agent=AgentAnswer(named=dict.fromkeys(images, NodeSource.SERVICE)))


@pytest.fixture
def host() -> Iterator[Host]:
    """An agent that needs nothing, and a rule by which all idle images are due at once."""
    with a_host(conditions=Conditions(Terms(settle_seconds=0.0))) as host:
        host.node.answer = GOOD
        host.rules(a_removal())
        yield host


def test_an_image_that_the_agent_needs_by_now_is_kept(host: Host) -> None:
    host.engine.pull("dep:1")
    host.engine.pull("other:1")
    host.node.new = needs("dep:1")
    host.run_pass()
    assert host.engine.names == ["dep:1"]
    assert host.verdict("dep:1").reason is Reason.IN_USE
    assert host.last.decision.node == needs("dep:1")


@pytest.mark.parametrize("question", ["ask", "ask_again"])
def test_a_new_text_of_the_node_file_is_not_stable_because_its_read_took_long(
    host: Host, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    new = host.node.new = replace(GOOD, node=Node(pattern="org/other"), text_hash="a new text")

    def slow_answer(*_: object) -> NodeAnswer:
        host.clock.elapse(3.0)
        return new

    host.engine.pull("app:1")
    with monkeypatch.context() as patched:
        patched.setattr(host.node, question, slow_answer)
        host.run_pass()
    host.node.answer = new
    for seconds, node in ((0.2, GOOD.node), (2.0, new.node)):
        host.clock.elapse(seconds)
        assert host.run_pass().decision.node.node == node


def test_without_an_answer_images_that_the_agent_ever_named_are_kept_in_this_pass(host: Host) -> None:
    host.node.answer = once_named("dep:1")
    host.engine.pull("dep:1")
    host.engine.pull("other:1")
    host.node.new = SILENCE
    host.run_pass()
    assert host.engine.names == ["dep:1"]
    verdict = host.verdict("dep:1")
    assert (verdict.reason, verdict.until) == (Reason.SETTLING, None)
    assert verdict.detail == "the agent does not answer and may need it again"
    host.node.new = None
    host.run_pass()
    assert host.engine.names == []


def test_an_image_that_lost_the_name_is_kept_as_well(host: Host) -> None:
    host.node.answer = needs("dep:1")
    host.engine.pull("dep:1", content="old")
    host.run_pass()
    host.engine.pull("dep:1", content="new")
    host.node.answer, host.node.new = once_named("dep:1"), SILENCE
    assert host.run_pass().removals == ()
    assert len(host.last.decision.plan.verdicts) == 2


def test_the_last_answer_holds_also_if_only_a_failed_pass_got_it(host: Host) -> None:
    host.node.new = SILENCE
    host.engine.pull("dep:1")
    host.engine.is_down = True
    host.node.answer = needs("dep:1")
    host.run_pass()
    host.restart()
    host.engine.is_down = False
    host.node.answer = SILENCE
    host.run_pass()
    assert host.engine.names == ["dep:1"]
    assert host.verdict("dep:1").reason is Reason.IN_USE


def test_without_an_answer_all_images_are_kept_if_the_archived_records_are_not_known(host: Host) -> None:
    host.node.answer = replace(GOOD, agent=AgentAnswer(is_cut_short=True))
    host.engine.pull("other:1")
    host.node.new = SILENCE
    host.run_pass()
    assert host.engine.names == ["other:1"]


def test_images_that_an_agent_container_used_are_kept_as_well(host: Host) -> None:
    host.engine.pull("dep:1")
    container = host.engine.run("dep:1", labels={"openhorizon.anax.service_name": "dep"})
    host.run_pass()
    host.engine.rm(container)
    host.node.new = SILENCE
    host.run_pass()
    assert host.engine.names == ["dep:1"]


def test_a_missing_answer_while_nothing_was_due_asks_no_second_time(host: Host) -> None:
    host.node.answer = once_named("dep:1")
    host.run_pass()
    host.engine.pull("dep:1")
    host.node.answer, host.node.new = SILENCE, GOOD
    host.run_pass()
    assert host.engine.names == ["dep:1"]


def test_without_an_agent_nothing_is_asked(host: Host) -> None:
    host.node.answer = NodeAnswer(A_NODE)
    host.engine.pull("dep:1")
    host.run_pass()
    assert host.engine.names == []


def test_a_dry_run_asks_nothing() -> None:
    with a_host(conditions=Conditions(Terms(settle_seconds=0.0))) as host:
        host.options = replace(host.options, dry_run=True)
        host.restart()
        host.node.answer, host.node.new = GOOD, needs("dep:1")
        host.engine.pull("dep:1")
        host.rules(a_removal())
        assert host.verdict("dep:1").reason is Reason.DUE


# ── a missing answer is reported once ─────────────────────────────────────────────────────────────────────────────────


def test_a_missing_answer_is_one_warning_and_one_line_at_its_end(host: Host) -> None:
    journal, lines = Journal(600.0), list[str]()

    def after(seconds: float, answer: NodeAnswer) -> None:
        host.clock.elapse(seconds)
        host.node.answer = answer
        lines.extend(line.event for line in journal.lines(host.run_pass()))

    after(0.0, GOOD)
    lines.clear()
    for minute in range(5):
        after(60.0, replace(SILENCE, why=f"the agent answered {500 + minute}"))
    assert lines == [LogEvent.NODE_UNKNOWN]
    assert host.last.decision.node.age_seconds == 300.0
    after(60.0, GOOD)
    assert lines == [LogEvent.NODE_UNKNOWN, LogEvent.RESOLVED]


def test_a_cut_answer_is_one_warning(host: Host) -> None:
    journal = Journal(600.0)
    journal.lines(host.run_pass())
    host.node.answer = replace(GOOD, agent=AgentAnswer(is_cut_short=True))
    assert [line.event for line in journal.lines(host.run_pass())] == [LogEvent.AGENT_ANSWER_CUT_SHORT]
    assert journal.lines(host.run_pass()) == []


def test_the_detail_says_which_record_needs_an_image(host: Host) -> None:
    agent = needs("dep:1").agent
    host.node.answer = replace(GOOD, agent=replace(agent, records={"dep:1": "service svc.dep 1.0.0 of 2026-11-29"}))
    host.engine.pull("dep:1")
    host.run_pass()
    words = "an active service definition of the agent names it (service svc.dep 1.0.0 of 2026-11-29)"
    assert host.verdict("dep:1").detail == words


def test_explain_says_which_record_named_an_image(host: Host) -> None:
    host.rules(a_removal(agent_only=True, minutes=60))
    agent = needs("dep:1").agent
    host.node.answer = replace(GOOD, agent=replace(agent, records={"dep:1": "service svc.dep 1.0.0 of 2026-11-29"}))
    host.engine.pull("dep:1")
    host.run_pass()
    evidence = host.last.decision.memory.evidence
    assert [(each.detail, each.record) for each in evidence.values()] == [
        ("dep:1", "service svc.dep 1.0.0 of 2026-11-29")
    ]
    (row,) = reference_rows(host.last.decision, Usage.ANY)
    assert row.agent_downloaded == "named by a service of the agent: dep:1 (service svc.dep 1.0.0 of 2026-11-29)"


# ── the age of an answer ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("first_after", "is_evidence"), [(needs("dep:1"), True), (once_named("dep:1"), False)])
def test_the_first_answer_after_a_pull_is_the_first_that_was_given_after_it(
    host: Host, first_after: NodeAnswer, is_evidence: bool
) -> None:
    host.rules(a_removal(agent_only=True, minutes=60))
    host.clock.elapse(30.0)
    host.engine.pull("dep:1")
    for age in (31.0, 36.0, 41.0):
        host.node.answer = replace(GOOD, age_seconds=age)
        host.run_pass()
        host.clock.elapse(5.0)
    assert host.last.decision.memory.evidence == {}
    host.node.answer = first_after
    host.run_pass()
    assert bool(host.last.decision.memory.evidence) is is_evidence


def test_an_old_answer_makes_a_new_agreement_as_old_as_the_answer_before(host: Host) -> None:
    """The age is that of the answer, not of the pass."""
    host.clock.elapse(100.0)
    host.node.answer = replace(GOOD, age_seconds=40.0)
    host.run_pass()
    memory = host.last.decision.memory
    assert memory.node is not None
    assert (memory.clock.seconds - memory.node.at, memory.node.answer.age_seconds) == (40.0, 0.0)
