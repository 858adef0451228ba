"""`imagectl run` beside an agent: both as real processes, the engine and the agent are fakes behind real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.test_trouble import ALL, Place, place
from tests.fake_agent import FakeAgent
from tests.fake_exchange import status

__all__ = ["place"]


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    with FakeAgent() as agent:
        yield agent


def beside(place: Place, agent: FakeAgent, *tags: str) -> None:
    place.policy(ALL)
    place.docker.tags = list(tags)
    place.engine()
    agent.policy |= {"properties": [], "constraints": []}


def test_one_pass_asks_the_agent_again_before_a_removal(place: Place, agent: FakeAgent) -> None:
    beside(place, agent, "needed:1", "other:1")
    agent.define("web", "needed:1")
    run = place.run("--once", "--agent-url", agent.url)
    assert run.ends() == 0
    assert place.docker.tags == ["needed:1"]
    assert agent.requests.count("/service") == 2


def test_an_image_that_is_named_between_the_pass_and_the_removal_is_kept(place: Place, agent: FakeAgent) -> None:
    beside(place, agent, "needed:1")
    asked = 0

    def define_late(handler: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            agent.define("web", "needed:1")
        agent.answer(handler)  # type: ignore[arg-type]

    agent.misbehaviours["/service"] = define_late
    run = place.run("--once", "--agent-url", agent.url)
    assert run.ends() == 0
    assert asked == 2
    assert place.docker.tags == ["needed:1"]


def test_without_an_answer_before_the_removal_what_the_agent_named_is_kept(place: Place, agent: FakeAgent) -> None:
    beside(place, agent, "named:1", "other:1")
    agent.define("web", "named:1", is_archived=True)
    asked = 0

    def fail_late(handler: object) -> None:
        nonlocal asked
        asked += 1
        (agent.answer if asked < 2 else status(500))(handler)  # type: ignore[arg-type]

    agent.misbehaviours["/service"] = fail_late
    run = place.run("--once", "--agent-url", agent.url)
    run.ends()
    assert place.docker.tags == ["named:1"]
    run.says("answered 500 at /service; its last answer is used")
