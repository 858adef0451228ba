"""Which answer of an agent is used: the new one, the last valid one, and young agreements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.node.agent import (
    AN_AGREEMENT_IS_YOUNG_SECONDS,
    NO_AGENT,
    AgentAnswer,
    Agreement,
    Beginning,
    Half,
    Hold,
    KeptAnswer,
    NodeAnswer,
    beginnings_after,
    believed,
    hold_of,
    kept_after,
)
from controller.plan.node.node import Node

URL = "http://localhost:8510"
HOUR = AN_AGREEMENT_IS_YOUNG_SECONDS
AT_100 = Beginning(100.0, 100.0)
GOOD = NodeAnswer(Node("myorg", "gw-1"), "from the agent", URL, agent=AgentAnswer((Agreement("a1", ("web:1",)),)))
SILENCE = NodeAnswer(None, "the agent answered 500", URL, is_silence=True)


def test_a_new_answer_replaces_the_last_one() -> None:
    assert believed(GOOD, None, 1000.0) == GOOD
    assert believed(GOOD, KeptAnswer(replace(GOOD, node=Node("myorg", "gw-2")), 900.0), 1000.0) == GOOD


def test_while_the_agent_does_not_answer_its_last_valid_answer_is_used_and_shown_as_old() -> None:
    answer = believed(SILENCE, KeptAnswer(GOOD, at=1000.0), now=1000.0 + 90 * 60)
    assert (answer.node, answer.agent, answer.source) == (GOOD.node, GOOD.agent, URL)
    assert answer.is_silence
    assert answer.is_degraded
    assert answer.why == "the agent answered 500; its last answer is used"
    assert answer.age_seconds == 90 * 60


def test_no_answer_without_a_last_answer_is_an_unknown_node() -> None:
    assert believed(SILENCE, None, 1000.0) == SILENCE
    assert SILENCE.node is None


def test_a_partial_answer_is_completed_by_the_last_answer() -> None:
    node, said = Node("myorg", "gw-2"), AgentAnswer((Agreement("a2", ("db:1",)),))
    of_file = NodeAnswer(node, "the agent answered 500", URL, is_silence=True, half=Half.NODE)
    of_agent = NodeAnswer(None, "the file is not valid", URL, is_silence=True, agent=said, half=Half.AGENT)
    kept = KeptAnswer(GOOD, 900.0)
    assert [(a.node, a.agent) for a in (believed(of_file, kept, 1000.0), believed(of_agent, kept, 1000.0))] == [
        (node, GOOD.agent),
        (GOOD.node, said),
    ]


def test_a_partial_answer_without_a_last_answer_is_an_unknown_node() -> None:
    half = NodeAnswer(Node("myorg", "gw-2"), "the agent answered 500", URL, is_silence=True, half=Half.NODE)
    assert believed(half, None, 1000.0).node is None


def test_a_partial_answer_is_kept_and_does_not_renew_the_other_part() -> None:
    said = AgentAnswer((Agreement("a2", ("db:1",)),))
    kept = KeptAnswer(GOOD, 900.0)
    half = believed(NodeAnswer(None, "", URL, is_silence=True, agent=said, half=Half.AGENT), kept, 1000.0)
    assert kept_after(kept, half, 1000.0) == KeptAnswer(replace(GOOD, agent=said), 900.0)


def test_an_answer_of_another_source_is_not_used() -> None:
    """The option was changed to another agent, or from an agent to a file: it may be another node."""
    of_another = KeptAnswer(replace(GOOD, source="http://localhost:8511"), 900.0)
    assert believed(SILENCE, of_another, 1000.0) == SILENCE
    of_nobody = KeptAnswer(NodeAnswer(), 900.0)
    assert believed(SILENCE, of_nobody, 1000.0) == SILENCE


def test_a_valid_answer_without_a_node_is_kept_too() -> None:
    unregistered = NodeAnswer(None, "the agent has no configured node", URL)
    assert believed(unregistered, KeptAnswer(GOOD, 900.0), 1000.0) == unregistered
    assert believed(SILENCE, KeptAnswer(unregistered, 900.0), 1000.0).node is None


@pytest.mark.parametrize(
    ("answer", "degraded"),
    [
        (NodeAnswer(), False),
        (GOOD, False),
        (SILENCE, True),
        (replace(GOOD, is_silence=True), True),
        (NodeAnswer(None, "the agent is a cluster agent", URL), True),
    ],
)
def test_missing_answers_and_unknown_nodes_are_degraded(answer: NodeAnswer, degraded: bool) -> None:
    assert answer.is_degraded is degraded


def test_what_active_agreements_name_is_in_use() -> None:
    answer = AgentAnswer((Agreement("a1", ("web:1", "cache:7")), Agreement("a2"), Agreement("a3", ("web:1",))))
    assert answer.images_in_use == {"web:1", "cache:7"}
    assert NO_AGENT.images_in_use == frozenset()


# ── young agreements ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_agreement_may_have_started_since_the_last_answer_without_it() -> None:
    first = beginnings_after({}, [Agreement("a1")], 50.0, 100.0)
    assert first == {"a1": Beginning(50.0, 100.0)}
    both = beginnings_after(first, [Agreement("a1"), Agreement("a2")], 100.0, 200.0)
    assert both == {"a1": Beginning(50.0, 100.0), "a2": Beginning(100.0, 200.0)}


def test_an_ended_agreement_is_forgotten_and_a_new_one_is_young() -> None:
    assert beginnings_after({"a1": AT_100}, [], 150.0, 200.0) == {}
    assert beginnings_after({}, [Agreement("a1")], 200.0, 300.0) == {"a1": Beginning(200.0, 300.0)}


def test_images_since_the_possible_start_of_an_agreement_without_images_are_held() -> None:
    assert hold_of(AgentAnswer((Agreement("a1"),)), {"a1": Beginning(50.0, 100.0)}, 200.0) == Hold(50.0, 100.0 + HOUR)


def test_an_agreement_that_names_its_images_holds_nothing_else() -> None:
    assert hold_of(AgentAnswer((Agreement("a1", ("web:1",)),)), {"a1": AT_100}, 200.0) is None
    assert hold_of(NO_AGENT, {}, 200.0) is None


def test_an_hour_after_it_was_first_seen_an_agreement_without_images_holds_nothing() -> None:
    young = AgentAnswer((Agreement("a1"),))
    assert hold_of(young, {"a1": AT_100}, 100.0 + HOUR - 1) == Hold(100.0, 100.0 + HOUR)
    assert hold_of(young, {"a1": AT_100}, 100.0 + HOUR) is None


def test_a_long_time_without_an_answer_before_an_agreement_does_not_shorten_its_hold() -> None:
    assert hold_of(AgentAnswer((Agreement("a1"),)), {"a1": Beginning(0.0, 5 * HOUR)}, 5 * HOUR) == Hold(0.0, 6 * HOUR)


def test_only_young_agreements_count() -> None:
    several = AgentAnswer((Agreement("old"), Agreement("young"), Agreement("younger")))
    beginnings = {name: Beginning(at, at) for name, at in (("old", 0.0), ("young", HOUR), ("younger", HOUR + 10))}
    assert hold_of(several, beginnings, HOUR + 20) == Hold(HOUR, 2 * HOUR + 10)


def test_a_new_agreement_starts_now() -> None:
    """For example if the kept answer is from another agent and this one has never answered."""
    assert hold_of(AgentAnswer((Agreement("a1"),)), {}, 200.0) == Hold(200.0, 200.0 + HOUR)


@given(
    first_seen=st.dictionaries(st.sampled_from("abc"), st.floats(0, 2 * HOUR)),
    names_images=st.sets(st.sampled_from("abc")),
    now=st.floats(2 * HOUR, 3 * HOUR),
)
def test_no_image_is_held_for_longer_than_an_hour(
    first_seen: dict[str, float], names_images: set[str], now: float
) -> None:
    agreements = tuple(Agreement(name, ("x:1",) if name in names_images else ()) for name in first_seen)
    beginnings = {name: Beginning(at, at) for name, at in first_seen.items()}
    hold = hold_of(AgentAnswer(agreements), beginnings, now)
    assert hold is None or hold.since <= now < hold.until <= now + HOUR
    assert (hold is None) == all(agreement.images or now - first_seen[agreement.id] >= HOUR for agreement in agreements)
