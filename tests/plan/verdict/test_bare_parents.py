"""Engines that delete parents without a name along with an image: such a parent is removed by its own request only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.image.image import Image
from controller.image.reference import ImageId
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Store, pruned_with
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits, within
from controller.plan.verdict.planner import Plan, make_plan
from controller.plan.verdict.verdict import Action, Reason, Rule, Verdict
from tests.builders import DAY, a_container, a_memory, a_record, a_rule, an_engine, an_id, an_image, an_observation

NOW = 10 * DAY
PODMAN_4 = replace(an_engine(Store.PODMAN), version="4.3.1", prunes_parents=True)
BASE = an_image("base:1", id="base")
BARE = an_image(id="bare", parent="base")
APP = an_image("app:1", id="app", parent="bare")
OTHER = an_image("other:1", id="other", parent="bare")
EVERYTHING, APPS = a_rule("*"), a_rule("app:*")


def memory_of(
    images: Iterable[Image], used: Iterable[Image] = (), last_used: dict[ImageId, float] | None = None
) -> Memory:
    containers = [a_container(image, name=image.id) for image in used]
    records = {image: a_record(last_used=at) for image, at in (last_used or {}).items()}
    return a_memory(an_observation(images, containers, engine=PODMAN_4), records, now=NOW)


def plan_for(memory: Memory, *rules: Rule) -> Plan:
    return make_plan(RuleBook(rules), memory, Terms())


def on(plan: Plan, image: Image) -> Verdict:
    return next(verdict for verdict in plan.verdicts if verdict.image == image.id)


def test_a_child_waits_while_its_parent_without_a_name_is_not_due() -> None:
    verdict = on(plan_for(memory_of([BASE, BARE, APP]), APPS), APP)
    assert (verdict.reason, verdict.action, verdict.due_at) == (Reason.PARENT_NOT_DUE, Action.WAIT, None)
    assert an_id("bare").removeprefix("sha256:")[:12] in verdict.detail


def test_a_parent_that_is_due_is_removed_before_its_child() -> None:
    plan = plan_for(memory_of([BASE, BARE, APP], last_used={BARE.id: 9.0, APP.id: 1.0, BASE.id: 5.0}), EVERYTHING)
    order = [verdict.image for verdict in plan.removals]
    assert order.index(BARE.id) < order.index(APP.id)


def test_another_child_that_is_kept_keeps_the_parent() -> None:
    plan = plan_for(memory_of([BASE, BARE, APP, OTHER], used=[OTHER]), APPS)
    assert on(plan, APP).reason is Reason.DUE


def test_a_parent_above_one_that_is_due_counts_too() -> None:
    top = an_image(id="top")
    bare = an_image(id="bare", parent="top")
    plan = plan_for(memory_of([top, bare, APP], used=[top]), EVERYTHING)
    assert {on(plan, bare).reason, on(plan, APP).reason} == {Reason.PARENT_NOT_DUE}


def test_an_image_that_keeps_a_name_may_lose_the_other() -> None:
    app = replace(APP, tags=an_image("app:1", "site:1").tags)
    reasons = {verdict.reference: verdict.reason for verdict in plan_for(memory_of([BARE, app]), APPS).verdicts}
    assert (reasons["app:1"], reasons["site:1"]) == (Reason.DUE, Reason.NO_RULE)


def test_engines_that_keep_parents_remove_the_child_alone() -> None:
    memory = a_memory(an_observation([BASE, BARE, APP], store=Store.PODMAN), now=NOW)
    assert [verdict.image for verdict in plan_for(memory, APPS).removals] == [APP.id]


def test_a_child_waits_for_a_parent_that_a_limit_holds_back() -> None:
    memory = memory_of([BARE, APP])
    plan = within(Limits(removals_per_pass=0), plan_for(memory, EVERYTHING), memory)
    assert (on(plan, BARE).reason, on(plan, APP).reason) == (Reason.HELD_BACK, Reason.PARENT_NOT_DUE)


def test_a_limit_of_one_removal_a_pass_removes_the_parent_first() -> None:
    memory = memory_of([BARE, APP], last_used={BARE.id: 9.0, APP.id: 1.0})
    plan = within(Limits(removals_per_pass=1), plan_for(memory, EVERYTHING), memory)
    assert [verdict.image for verdict in plan.removals] == [BARE.id]


forests = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(("", "app", "other")), st.booleans(), st.floats(1.0, NOW - DAY)),
    min_size=1,
    max_size=12,
)
limits = st.sampled_from([Limits(), Limits(removals_per_pass=1), Limits(removals_per_pass=3)])


@given(forests, st.sampled_from([EVERYTHING, APPS]), limits)
def test_no_removal_deletes_a_parent_as_well(
    forest: list[tuple[int, str, bool, float]], rule: Rule, limits: Limits
) -> None:
    """Each request of the plan in its order deletes its own image only; what is not due is still there."""
    images = [
        an_image(*([f"{name}:{n}"] if name else []), id=f"{n}", parent=f"{parent}" if parent < n else "")
        for n, (parent, name, _, _) in enumerate(forest)
    ]
    used = [image for image, (_, _, is_used, _) in zip(images, forest, strict=True) if is_used]
    last_used = {image.id: at for image, (_, _, _, at) in zip(images, forest, strict=True) if image not in used}
    memory = memory_of(images, used, last_used)
    plan = within(limits, plan_for(memory, rule), memory)
    left = {image.id: image for image in images}
    for verdict in plan.removals:
        assert pruned_with(verdict.image, left) is None
        del left[verdict.image]
    assert left.keys() >= {verdict.image for verdict in plan.verdicts if verdict.reason is not Reason.DUE}
