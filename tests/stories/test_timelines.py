"""Recorded timelines of a real agent, replayed: no image that its answers need is ever removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.plan.memory.names import spellings
from controller.plan.node.agent import AgentAnswer, Agreement, NodeAnswer, NodeSource
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from tests.builders import A_NODE
from tests.fakes import a_removal
from tests.host import a_host
from tests.openhorizon import recorded

TIMELINES = [name for name in recorded("agent") if name.startswith("timeline")]
SETTLE_SECONDS = 10.0
"""As it was when the real images were lost."""


def answer(moment: Mapping[str, Any]) -> NodeAnswer:
    agreements = tuple(Agreement(each["id"], tuple(each["images"].values())) for each in moment["agreements"])
    needed = tuple(image for _, _, images in moment["active_definitions"] for image in images.values())
    named = dict.fromkeys(needed, NodeSource.SERVICE)
    return NodeAnswer(A_NODE, "", "http://agent", agent=AgentAnswer(agreements, named, needed), has_agent=True)


def tags(moment: Mapping[str, Any]) -> set[str]:
    """The tags of the engine's images."""
    return {tag for image in moment["engine_images"] for tag in image[0]}


@pytest.mark.parametrize("timeline", TIMELINES)
def test_no_image_that_the_agent_needs_is_removed(timeline: str) -> None:
    pulled: set[str] = set()
    with a_host(conditions=Conditions(Terms(settle_seconds=SETTLE_SECONDS))) as host:
        host.rules(a_removal())
        before, kept = 0.0, 0
        for moment in recorded("agent")[timeline]:
            host.node.answer = answer(moment)
            host.live(moment["t"] - before)
            before = moment["t"]
            for tag in tags(moment) - pulled:
                host.engine.pull(tag)
            pulled |= tags(moment)
            host.run_pass()
            needed = {spelling for name in host.node.answer.agent.images_in_use for spelling in spellings(name)}
            assert needed & pulled <= set(host.engine.names)
            kept += len(needed & pulled)
        assert kept > 50
        host.live(60.0)
        assert len(host.engine.names) < len(pulled)
