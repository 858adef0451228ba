"""Images that arrive during a pass: after it has taken the events, before its last list of the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from controller.image.reference import reference_from_engine
from controller.plan.memory.event import EventKind
from controller.plan.memory.idleness import Usage
from controller.plan.node.agent import AgentAnswer, NodeAnswer, NodeSource
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from tests.builders import A_NODE, HOUR, MINUTE
from tests.fake_engine import AGENT_LABELS, Kind
from tests.fakes import a_removal
from tests.host import Host, a_host

NAMED_LONG_AGO = NodeAnswer(
    A_NODE, "", "http://agent", has_agent=True, agent=AgentAnswer(named={"tool:1": NodeSource.SERVICE})
)
DURING_THE_LIST, DURING_THE_REMOVALS = "images", "remove junk:1"
MOMENTS = pytest.mark.parametrize("moment", [DURING_THE_LIST, DURING_THE_REMOVALS])
KINDS = pytest.mark.parametrize("kind", [Kind.DEBIAN, Kind.D28_C8D, Kind.PODMAN])


@contextmanager
def a_pass_with(host: Host, moment: str, action: Callable[[], object]) -> Iterator[None]:
    """The next call of that kind waits for the action."""
    left = [action]

    def on_call(what: str) -> None:
        if what == moment and left:
            left.pop()()

    host.engine.on_call = on_call
    yield
    assert not left
    host.engine.on_call = lambda _: None


@contextmanager
def a_host_with_junk(kind: Kind = Kind.DEBIAN, *, protect_local: bool = False) -> Iterator[Host]:
    """A host on which junk:1 is due in ten minutes, and each image of the agent, and app:1."""
    with a_host(kind, Conditions(Terms(protect_local=protect_local))) as host:
        host.engine.pull("junk:1")
        host.rules(a_removal("*", 10, agent_only=True), a_removal("junk:*", 10), a_removal("app:*", 10))
        yield host


def arrive(host: Host, moment: str, action: Callable[[], object]) -> None:
    """The image arrives at that moment of a pass; then it is idle for an hour."""
    with a_pass_with(host, moment, action):
        host.live(11 * MINUTE)
    host.live(HOUR)


@MOMENTS
@KINDS
def test_a_hand_pulled_image_is_not_the_agents_because_a_record_named_it_long_ago(kind: Kind, moment: str) -> None:
    with a_host_with_junk(kind) as host:
        host.node.answer = NAMED_LONG_AGO
        arrive(host, moment, lambda: host.engine.pull("tool:1"))
        assert host.engine.names == ["tool:1"]


@MOMENTS
@KINDS
def test_evidence_of_an_image_that_a_person_pulls_again_ends(kind: Kind, moment: str) -> None:
    with a_host_with_junk(kind) as host:
        host.engine.pull("tool:1")
        container = host.engine.run("tool:1", labels=AGENT_LABELS)
        host.run_pass()
        host.engine.rm(container)
        host.engine.rmi("tool:1")
        host.run_pass()
        assert host.last.decision.memory.evidence
        arrive(host, moment, lambda: host.engine.pull("tool:1"))
        assert host.engine.names == ["tool:1"]


@MOMENTS
def test_an_image_that_was_built_and_pushed_is_local(moment: str) -> None:
    with a_host_with_junk(protect_local=True) as host:
        host.engine.pull("base:1")
        host.engine.create("base:1")

        def build_and_push() -> None:
            image = host.engine.build("app:1", "base:1", "step")
            host.engine.push(image, reference_from_engine("app@sha256:" + "d" * 64))

        arrive(host, moment, build_and_push)
        assert host.engine.has("app:1")


@pytest.mark.parametrize("usage", list(Usage))
def test_an_image_that_was_removed_before_a_list_and_returned_during_it_is_new(usage: Usage) -> None:
    with a_host(conditions=Conditions(Terms(usage=usage))) as host:
        host.engine.pull("tool:1")
        host.rules(a_removal("*", 180))
        host.live(2 * HOUR)
        host.engine.rmi("tool:1")
        with a_pass_with(host, DURING_THE_LIST, lambda: host.engine.pull("tool:1")):
            host.run_pass()
        host.live(3 * HOUR - MINUTE)
        assert host.engine.has("tool:1")
        host.live(2 * MINUTE)
        assert not host.engine.has("tool:1")


def test_an_arrival_is_still_open_after_a_restart_of_the_controller() -> None:
    with a_host_with_junk() as host:
        host.node.answer = NAMED_LONG_AGO
        with a_pass_with(host, DURING_THE_LIST, lambda: host.engine.pull("tool:1")):
            host.run_pass()
        host.restart()
        host.run_pass()
        image = host.engine.id_of("tool:1")
        assert host.last.decision.memory.records[image].origin is EventKind.PULLED
        host.live(HOUR)
        assert host.engine.names == ["tool:1"]


def test_a_failed_pass_loses_no_arrival() -> None:
    with a_host_with_junk() as host:
        host.node.answer = NAMED_LONG_AGO
        with a_pass_with(host, DURING_THE_LIST, lambda: host.engine.pull("tool:1")):
            host.run_pass()
        host.engine.is_down = True
        host.run_pass()
        host.engine.is_down = False
        host.live(HOUR)
        assert host.engine.names == ["tool:1"]


@KINDS
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_tag_from_before_an_image_was_gone_is_no_lost_tag(kind: Kind, is_stopped: bool) -> None:
    """For `lost_tag_only`: a person pulled it by a tag and removed it, and the agent pulls it by its digest."""
    with a_host(kind) as host:
        image = host.engine.pull("service:1", content="a")
        host.rules(a_removal("*", 10, lost_tag_only=True))
        if is_stopped:
            host.stop()
        host.engine.rmi("service:1")
        assert host.engine.pull("service@a") == image
        if is_stopped:
            host.start()
        host.live(HOUR)
        assert host.engine.has(image)
        host.engine.tag(image, "service:2")
        host.run_pass()
        host.engine.pull("service:2", content="b")
        host.live(HOUR)
        assert not host.engine.has(image)
