"""The operator's caps: exact, longest overdue first, and always reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.layers import merge_layers
from controller.plan.memory.memory import Memory, Spending
from controller.plan.memory.observation import Store
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import AN_HOUR_SECONDS, Limits, bytes_spent, charges_of, spent_after, within
from controller.plan.verdict.planner import Plan, make_plan
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Exactness,
    Freed,
    Outcome,
    Removal,
)
from controller.plan.verdict.removal import Intent as Intention
from controller.plan.verdict.verdict import Reason
from tests.builders import DAY, HOUR, a_memory, a_record, a_rule, an_id, an_image, an_observation, some_layers

NOW = 10 * DAY
EVERYTHING = RuleBook([a_rule("*")])


def memory_of(*sizes: int, store: Store = Store.GRAPH_DRIVER, spent: tuple[Spending, ...] = ()) -> Memory:
    """Images app:0, app:1, ... of one layer of that size each, longest overdue first."""
    images = [an_image(f"app:{n}", size_bytes=size) for n, size in enumerate(sizes)]
    layers = [some_layers(f"{n}", size_bytes=size) for n, size in enumerate(sizes)]
    records = {
        image.id: a_record(last_used=1.0 + n, tip=each[-1].chain)
        for n, (image, each) in enumerate(zip(images, layers, strict=True))
    }
    memory = a_memory(an_observation(images, store=store), records, now=NOW, spent=spent)
    return replace(memory, layers=merge_layers(layer for each in layers for layer in each))


def limited(memory: Memory, **limits: int) -> Plan:
    return within(Limits(**limits), make_plan(EVERYTHING, memory, Terms()), memory)


def going(plan: Plan) -> list[str]:
    return [verdict.reference for verdict in plan.removals]


def test_without_limits_the_plan_is_unchanged() -> None:
    memory = memory_of(1, 1)
    plan = make_plan(EVERYTHING, memory, Terms())
    assert within(Limits(), plan, memory) is plan


def test_the_removals_of_one_pass_are_limited_and_the_longest_overdue_are_first() -> None:
    plan = limited(memory_of(1, 1, 1), removals_per_pass=2)
    assert going(plan) == ["app:0", "app:1"]
    (held,) = [verdict for verdict in plan.verdicts if verdict.reason is Reason.HELD_BACK]
    assert (held.reference, held.detail) == ("app:2", "limit: 2 removals a pass")


def test_the_bytes_of_one_hour_are_limited() -> None:
    plan = limited(memory_of(600, 300, 300), bytes_per_hour=1_000)
    assert going(plan) == ["app:0", "app:1"]


def test_what_was_freed_in_the_last_hour_counts_and_says_until_when() -> None:
    spent = (Spending(NOW - HOUR - 1, 500), Spending(NOW - 600.0, 700))
    plan = limited(memory_of(400, store=Store.GRAPH_DRIVER, spent=spent), bytes_per_hour=1_000)
    (held,) = plan.verdicts
    assert (held.reason, held.until, plan.next_change_at) == (Reason.HELD_BACK, NOW + 3_000.0, NOW + 3_000.0)
    assert going(limited(memory_of(300, spent=spent), bytes_per_hour=1_000)) == ["app:0"]


def test_a_small_removal_does_not_overtake_a_large_one_that_waits() -> None:
    """Otherwise the large one would never be removed."""
    spent = (Spending(NOW - 600.0, 500),)
    assert going(limited(memory_of(800, 100, spent=spent), bytes_per_hour=1_000)) == []


def test_a_removal_larger_than_the_limit_says_so_and_delays_no_other() -> None:
    plan = limited(memory_of(2_000, 100), bytes_per_hour=1_000)
    assert going(plan) == ["app:1"]
    held = next(verdict for verdict in plan.verdicts if verdict.reason is Reason.HELD_BACK)
    assert held.detail == "larger than the limit of 1000 bytes an hour (2000 bytes)"


def test_a_parent_is_kept_with_a_child_that_is_held_back() -> None:
    child, parent = an_image("child:1", parent="parent"), an_image("parent:1", id="parent")
    memory = a_memory(an_observation([child, parent]), {child.id: a_record(5.0), parent.id: a_record(1.0)}, now=NOW)
    other = an_image("first:1")
    memory = a_memory(an_observation([other, child, parent]), {**memory.records, other.id: a_record(1.0)}, now=NOW)
    plan = limited(memory, removals_per_pass=1)
    assert {verdict.reference: verdict.reason for verdict in plan.verdicts} == {
        "first:1": Reason.DUE,
        "child:1": Reason.HELD_BACK,
        "parent:1": Reason.HAS_CHILDREN,
    }


@pytest.mark.parametrize(("store", "last"), [(Store.GRAPH_DRIVER, 0), (Store.CONTAINERD, 900), (Store.PODMAN, 900)])
def test_a_name_of_an_image_with_other_names_costs_no_bytes(store: Store, last: int) -> None:
    """The last name costs what it frees: nothing if the image has no layers, and its size where that is not known."""
    memory = a_memory(an_observation([an_image("app:1", "app:2", size_bytes=900)], store=store), now=NOW)
    plan = make_plan(EVERYTHING, memory, Terms())
    assert charges_of(plan.removals, memory) == [0, last]
    assert going(limited(memory, bytes_per_hour=1_000)) == ["app:1", "app:2"]


def test_an_unknown_figure_is_charged_as_the_size_of_the_image() -> None:
    memory = memory_of(700, store=Store.CONTAINERD)
    assert charges_of(make_plan(EVERYTHING, memory, Terms()).removals, memory) == [700]


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=12), st.integers(0, 12), st.integers(0, 3_000))
def test_the_caps_are_never_exceeded_and_no_removal_is_held_back_without_a_reason(
    sizes: list[int], removals: int, freed: int
) -> None:
    memory = memory_of(*sizes)
    plan = limited(memory, removals_per_pass=removals, bytes_per_hour=freed)
    assert len(plan.removals) <= removals
    assert sum(charge or 0 for charge in charges_of(plan.removals, memory)) <= freed
    held = [verdict for verdict in plan.verdicts if verdict.reason is Reason.HELD_BACK]
    assert len(held) + len(plan.removals) == len(sizes)
    assert all(verdict.detail for verdict in held)


def a_removal(outcome: Outcome, freed: Freed) -> Removal:
    return Removal(Intention(an_id("a"), "a", "a", "doc", 0, "text", 1.0, 900), outcome, freed, 0.0)


def test_after_a_removal_the_freed_bytes_are_charged_or_the_size_of_the_image() -> None:
    assert bytes_spent(a_removal(Outcome.REMOVED, Freed(300, Exactness.EXACT))) == 300
    assert bytes_spent(a_removal(Outcome.REMOVED, UNKNOWN_BYTES)) == 900
    assert bytes_spent(a_removal(Outcome.REMOVED, FREED_IN_BATCH)) == 900
    assert bytes_spent(a_removal(Outcome.UNEXPECTED, UNKNOWN_BYTES)) == 900


def test_an_image_that_was_not_removed_costs_nothing() -> None:
    for outcome in (Outcome.UNTAGGED, Outcome.GONE, Outcome.REFUSED, Outcome.FAILED):
        assert bytes_spent(a_removal(outcome, NOTHING_FREED)) == 0


def test_spending_is_forgotten_after_an_hour() -> None:
    old, young = Spending(NOW - AN_HOUR_SECONDS, 1), Spending(NOW - AN_HOUR_SECONDS + 1, 2)
    assert spent_after((old, young), 3, NOW) == (young, Spending(NOW, 3))
    assert spent_after((young,), 0, NOW) == (young,)
