"""Which images are removed because the disk is under pressure, and which are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.reference import ImageId
from controller.image.selector import parse_selector
from controller.plan.memory.disk import DiskMark, DiskUsage, Pressure, PressureMarks, paused
from controller.plan.memory.event import EventKind
from controller.plan.memory.memory import IN_USE, Memory, Record
from controller.plan.report.explanation import explanation_rows
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits, within
from controller.plan.verdict.planner import Plan, make_plan
from controller.plan.verdict.reclaim import freed_together
from controller.plan.verdict.verdict import Action, Reason, Rule
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    a_container,
    a_memory,
    a_record,
    a_rule,
    an_image,
    an_observation,
    some_layers,
)

NOW = 10 * DAY
SIZE = 100_000
"""Bytes of the disk; a layer has 1,000."""
MARKS = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
RULE = a_rule("*", minutes=7 * 24 * 60, minutes_under_pressure=60)


def a_node(*images: tuple[str, float, tuple[str, ...]], missing: int = 0, **given: object) -> Memory:
    """Images by name, for how long each has been idle, and its layers; `missing` bytes until the stop mark."""
    made = [an_image(name) for name, _, _ in images]
    layers = [some_layers(*words) for _, _, words in images]
    records: dict[ImageId, Record] = {
        image.id: a_record(NOW - idle, tip=each[-1].chain if each else "")
        for image, (_, idle, _), each in zip(made, images, layers, strict=True)
    }
    known = {layer.chain: layer for each in layers for layer in each}
    usage = DiskUsage(SIZE, SIZE // 4 - missing)
    pressure = Pressure(1.0, usage) if missing else None
    return a_memory(an_observation(made), records, now=NOW, layers=known, pressure=pressure, **given)


TERMS = Terms(pressure=MARKS)


def plan_of(memory: Memory, *rules: Rule, terms: Terms = TERMS) -> Plan:
    return make_plan(RuleBook(rules or (RULE,)), memory, terms)


def removed(plan: Plan) -> list[str]:
    return [verdict.reference for verdict in plan.removals]


THREE = (("a:1", 2 * HOUR, ("a",)), ("b:1", 4 * HOUR, ("b",)), ("c:1", 3 * HOUR, ("c",)))


def test_without_pressure_the_normal_limit_holds() -> None:
    plan = plan_of(a_node(*THREE))
    assert removed(plan) == []
    assert {verdict.reason for verdict in plan.verdicts} == {Reason.NOT_IDLE_LONG_ENOUGH}


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (1, ["b:1"]),
        (1_000, ["b:1"]),
        (1_001, ["b:1", "c:1"]),
        (3_000, ["b:1", "c:1", "a:1"]),
        (9_000, ["b:1", "c:1", "a:1"]),
    ],
)
def test_the_longest_idle_are_removed_first_and_only_as_many_as_needed(missing: int, expected: list[str]) -> None:
    assert removed(plan_of(a_node(*THREE, missing=missing))) == expected


def test_what_is_not_needed_keeps_its_normal_verdict_and_what_is_needed_names_the_pressure() -> None:
    normal, plan = plan_of(a_node(*THREE)), plan_of(a_node(*THREE, missing=1_000))
    by_name = {verdict.reference: verdict for verdict in plan.verdicts}
    assert (by_name["b:1"].reason, by_name["b:1"].is_under_pressure) == (Reason.DUE, True)
    assert by_name["b:1"].detail == "disk pressure: 76 % used, start 85 %"
    assert [verdict for verdict in plan.verdicts if verdict.reference != "b:1"] == [
        verdict for verdict in normal.verdicts if verdict.reference != "b:1"
    ]


def test_what_is_due_anyway_is_removed_first_and_counts() -> None:
    memory = a_node(*THREE, ("old:1", 30 * DAY, ("o",)), missing=1_500)
    plan = plan_of(memory)
    assert removed(plan) == ["old:1", "b:1"]
    assert [verdict.is_under_pressure for verdict in plan.removals] == [False, True]


def test_what_is_due_anyway_is_removed_even_if_the_disk_needs_less() -> None:
    memory = a_node(("x:1", 30 * DAY, ("x",)), ("y:1", 20 * DAY, ("y",)), missing=1)
    assert removed(plan_of(memory)) == ["x:1", "y:1"]


def test_a_rule_without_the_field_does_not_change() -> None:
    plain = a_rule("*", minutes=7 * 24 * 60)
    assert plan_of(a_node(*THREE, missing=9_000), plain) == plan_of(a_node(*THREE), plain)


def test_a_controller_without_marks_does_not_change() -> None:
    terms = Terms()
    assert plan_of(a_node(*THREE, missing=9_000), terms=terms) == plan_of(a_node(*THREE), terms=terms)


def test_a_base_of_an_image_that_is_kept_would_free_nothing_and_is_kept() -> None:
    memory = a_node(("base:1", 9 * HOUR, ("x",)), ("app:1", MINUTE, ("x", "y")), ("c:1", 2 * HOUR, ("c",)), missing=1)
    assert removed(plan_of(memory)) == ["c:1"]


def test_a_base_is_removed_with_the_image_above_it() -> None:
    images = (("base:1", 9 * HOUR, ("x",)), ("app:1", 2 * HOUR, ("x", "y")))
    assert removed(plan_of(a_node(*images, missing=2_000))) == ["base:1", "app:1"]
    assert removed(plan_of(a_node(*images, ("c:1", 3 * HOUR, ("c",)), missing=1_000))) == ["c:1"]


def test_an_image_with_a_name_that_no_rule_covers_is_kept() -> None:
    image = an_image("a:1", "keep/b:1", id="two names")
    (layer,) = some_layers("a")
    memory = a_memory(
        an_observation([image]),
        {image.id: a_record(NOW - 9 * HOUR, tip=layer.chain)},
        now=NOW,
        layers={layer.chain: layer},
        pressure=Pressure(1.0, DiskUsage(SIZE, 10)),
    )
    rule = a_rule("a:*", minutes=9_000, minutes_under_pressure=60)
    assert removed(plan_of(memory, rule)) == []
    both = a_rule("*", minutes=9_000, minutes_under_pressure=60)
    assert sorted(removed(plan_of(memory, both))) == ["a:1", "keep/b:1"]


def test_while_inodes_are_missing_everything_that_may_go_is_due() -> None:
    """How many inodes an image has is not known: the measurement before each request decides."""
    memory = a_node(*THREE)
    memory = replace(memory, pressure=Pressure(1.0, DiskUsage(SIZE, SIZE, 1_000, 100)))
    assert removed(plan_of(memory)) == ["b:1", "c:1", "a:1"]
    assert plan_of(memory).removals[0].detail == "disk pressure: 90 % of inodes used, start 85 %"


def test_images_that_free_space_only_later_are_due_when_their_limit_is_reached() -> None:
    memory = a_node(("a:1", 50 * MINUTE, ("a",)), missing=1_000)
    assert plan_of(memory).next_change_at == NOW + 10 * MINUTE


def test_during_the_pause_nothing_more_is_due_and_its_end_is_the_next_change() -> None:
    memory = a_node(*THREE, missing=3_000)
    assert memory.pressure is not None
    waiting = replace(memory, pressure=paused(memory.pressure, 1_000, NOW))
    assert removed(plan_of(waiting)) == []
    assert plan_of(waiting).next_change_at == NOW + 30.0


def test_the_caps_of_the_operator_hold_under_pressure() -> None:
    memory = a_node(*THREE, missing=9_000)
    plan = within(Limits(removals_per_pass=1), plan_of(memory), memory)
    assert removed(plan) == ["b:1"]
    assert [verdict.reason for verdict in plan.verdicts].count(Reason.HELD_BACK) == 2


HELD: dict[Reason, tuple[Terms, dict[str, object], dict[str, object]]] = {
    Reason.PROTECTED: (replace(TERMS, protected=(parse_selector("a:*"),)), {}, {}),
    Reason.SETTLING: (TERMS, {"last_touched": NOW - MINUTE, "touch": EventKind.PULLED}, {}),
    Reason.IN_USE: (TERMS, {"last_used": IN_USE}, {}),
    Reason.NOT_DOWNLOADED_BY_AGENT: (TERMS, {}, {"agent_downloaded_only": True}),
    Reason.KEPT_AS_RECENT: (TERMS, {}, {"keep_last": 1}),
    Reason.NOT_STARTED: (TERMS, {}, {"in_force_from": NOW + DAY}),
}
"""The settings, and what is different in the record of the image and in the rule."""


@pytest.mark.parametrize("reason", HELD)
def test_pressure_never_overrules(reason: Reason) -> None:
    memory = a_node(("a:1", 9 * HOUR, ("a",)), missing=9_000)
    terms, of_record, of_rule = HELD[reason]
    ((image, record),) = memory.records.items()
    memory = replace(memory, records={image: replace(record, **of_record)})  # type: ignore[arg-type]
    plan = plan_of(memory, replace(RULE, **of_rule), terms=terms)  # type: ignore[arg-type]
    assert [(verdict.reason, verdict.is_under_pressure) for verdict in plan.verdicts] == [(reason, False)]


# ── any node ─────────────────────────────────────────────────────────────────────────────────────────────────────────

nodes = st.lists(
    st.tuples(
        st.sampled_from(["app", "tool", "web"]),
        st.integers(0, 12 * 24 * 60),  # minutes idle
        st.lists(st.sampled_from("xyz"), max_size=3),  # layers that others may share
        st.booleans(),  # in use
        st.integers(0, 3),  # built on
    ),
    max_size=10,
)
Node = list[tuple[str, int, list[str], bool, int]]
rules = st.lists(
    st.tuples(st.sampled_from(["*", "app:*", "tool:*"]), st.integers(1, 20_000), st.none() | st.integers(0, 2_000)),
    min_size=1,
    max_size=3,
)
missing_bytes = st.integers(1, 12_000)


def any_node(node: Node, missing: int) -> Memory:
    images = [
        an_image(f"{name}:{n}", id=f"{n}", parent=f"{parent}" if parent < n else "")
        for n, (name, *_, parent) in enumerate(node)
    ]
    layers = [some_layers(*words, *((f"own {n}",) if n % 2 else ())) for n, (_, _, words, _, _) in enumerate(node)]
    records = {
        image.id: a_record(NOW - minutes * 60.0, tip=each[-1].chain if each else "")
        for image, (_, minutes, *_), each in zip(images, node, layers, strict=True)
    }
    used = [
        a_container(image, name=image.id) for image, (_, _, _, in_use, _) in zip(images, node, strict=True) if in_use
    ]
    known = {layer.chain: layer for each in layers for layer in each}
    usage = DiskUsage(SIZE, SIZE // 4 - missing)
    return a_memory(an_observation(images, used), records, now=NOW, layers=known, pressure=Pressure(1.0, usage))


def rules_of(texts: list[tuple[str, int, int | None]]) -> list[Rule]:
    return [
        a_rule(
            pattern, minutes=minutes, number=n, minutes_under_pressure=None if less is None else min(less, minutes - 1)
        )
        for n, (pattern, minutes, less) in enumerate(texts)
    ]


@given(nodes, rules, missing_bytes)
def test_pressure_only_makes_waiting_images_due(
    node: Node, texts: list[tuple[str, int, int | None]], missing: int
) -> None:
    memory, book = any_node(node, missing), rules_of(texts)
    normal, plan = plan_of(replace(memory, pressure=None), *book), plan_of(memory, *book)
    assert plan.removals[: len(normal.removals)] == normal.removals
    for before, after in zip(normal.verdicts, plan.verdicts, strict=True):
        assert after == before or (after.is_under_pressure and after.reason is Reason.DUE)
        if after.is_under_pressure:
            assert before.action is Action.WAIT or before.reason is Reason.HAS_CHILDREN


@given(nodes, rules, missing_bytes)
def test_no_removal_under_pressure_is_one_too_many(
    node: Node, texts: list[tuple[str, int, int | None]], missing: int
) -> None:
    """Without the last one the estimate does not reach the stop mark, and each of them frees something."""
    memory, book = any_node(node, missing), rules_of(texts)
    plan = plan_of(memory, *book)
    more = [verdict for verdict in plan.removals if verdict.is_under_pressure]
    assert not more or freed_together(plan.removals[:-1], memory).at_least_bytes < missing
    everything = freed_together(plan.removals, memory).at_least_bytes
    for verdict in more:
        assert (
            freed_together([each for each in plan.removals if each is not verdict], memory).at_least_bytes < everything
        )


@given(nodes, missing_bytes)
def test_a_parent_is_never_removed_before_its_children(node: Node, missing: int) -> None:
    memory = any_node(node, missing)
    plan = plan_of(memory, a_rule("*", minutes=20_000, minutes_under_pressure=0))
    assert memory.seen is not None
    done: set[ImageId] = set()
    for verdict in plan.removals:
        assert done.issuperset(memory.seen.children.get(verdict.image, ()))
        done.add(verdict.image)


def test_the_explanation_judges_by_the_limit_that_decided() -> None:
    memory = a_node(*THREE, missing=1_000)
    book = RuleBook((RULE,))
    decision = Decision(memory=memory, plan=make_plan(book, memory, TERMS), book=book)
    rules = {row.reference: row.rules[0] for row in explanation_rows(decision, TERMS)}
    assert {name: rule.says for name, rule in rules.items()} == {
        "a:1": "NOT_IDLE_LONG_ENOUGH",
        "b:1": "DUE",
        "c:1": "NOT_IDLE_LONG_ENOUGH",
    }
    assert {rule.delete_after_minutes_under_pressure for rule in rules.values()} == {60}
