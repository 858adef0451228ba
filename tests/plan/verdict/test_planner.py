"""The verdicts and their order, the order of removals, and the effect of names and lost names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.image import Container, Image
from controller.image.reference import ImageId
from controller.image.selector import parse_selector
from controller.plan.memory.idleness import Usage
from controller.plan.memory.memory import IN_USE, Attempt, Evidence, Memory, Pulls, Record, Setback, Watch
from controller.plan.memory.observation import Store
from controller.plan.node.agent import Beginning, KeptAnswer, NodeSource
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.planner import Plan, children_first, make_plan
from controller.plan.verdict.verdict import Action, Reason, Rule, Verdict
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    a_container,
    a_memory,
    a_record,
    a_rule,
    an_agreement,
    an_answer,
    an_id,
    an_image,
    an_observation,
)

NOW = 10 * DAY
SETTLE = 10 * MINUTE
DIGEST, OTHER_DIGEST = ("sha256:" + digit * 64 for digit in "de")
APP = an_image("app:1")
EVERYTHING = a_rule("*")


def memory_of(
    *images: Image,
    containers: Iterable[Container] = (),
    records: Mapping[ImageId, Record] | None = None,
    store: Store = Store.GRAPH_DRIVER,
    **given: object,
) -> Memory:
    """All images were first seen when the ledger was created, unless records say otherwise."""
    return a_memory(an_observation(images, containers, store=store), records, now=NOW, **given)


def plan_for(memory: Memory, *rules: Rule, **terms: object) -> Plan:
    return make_plan(RuleBook(rules), memory, replace(Terms(), **terms))  # type: ignore[arg-type]


def verdict_on(memory: Memory, *rules: Rule, **terms: object) -> Verdict:
    """The verdict on the only reference."""
    (verdict,) = plan_for(memory, *rules, **terms).verdicts
    return verdict


def reasons(memory: Memory, *rules: Rule, **terms: object) -> dict[str, Reason]:
    return {verdict.reference: verdict.reason for verdict in plan_for(memory, *rules, **terms).verdicts}


def removals(memory: Memory, *rules: Rule, **terms: object) -> list[str]:
    return [verdict.reference for verdict in plan_for(memory, *rules, **terms).removals]


def app_with(**record: object) -> Memory:
    return memory_of(APP, records={APP.id: a_record(**record)})  # type: ignore[arg-type]


# ── one reason after the other ────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_without_a_rule_is_kept() -> None:
    verdict = verdict_on(memory_of(APP), a_rule("other:*"))
    assert (verdict.reason, verdict.action, verdict.rule) == (Reason.NO_RULE, Action.KEEP, None)


def test_what_no_rule_covers_says_that_it_is_protected_as_well() -> None:
    verdict = verdict_on(memory_of(APP), a_rule("other:*"), protected=(parse_selector("app:*"),))
    assert (verdict.reason, verdict.detail) == (Reason.NO_RULE, "also protected: by --protect app:*")


def test_a_protected_image_is_kept_with_the_reason() -> None:
    verdict = verdict_on(memory_of(APP), EVERYTHING, protected=(parse_selector("app:*"),))
    assert (verdict.reason, verdict.detail) == (Reason.PROTECTED, "protected by --protect app:*")


def test_an_image_in_use_is_kept_and_names_the_container() -> None:
    verdict = verdict_on(memory_of(APP, containers=[a_container(APP, name="web", state="exited")]), EVERYTHING)
    assert (verdict.reason, verdict.action, verdict.detail) == (Reason.IN_USE, Action.KEEP, "container web (exited)")


def test_several_containers_are_counted() -> None:
    containers = [a_container(APP, name=name) for name in "abc"]
    assert verdict_on(memory_of(APP, containers=containers), EVERYTHING).detail == "container a (running) and 2 more"


def test_what_an_agreement_uses_says_so() -> None:
    verdict = verdict_on(app_with(last_used=IN_USE), EVERYTHING)
    assert (verdict.reason, verdict.detail) == (Reason.IN_USE, "an active agreement of the agent names it")


def test_an_image_with_recent_activity_settles() -> None:
    verdict = verdict_on(app_with(last_used=NOW - SETTLE + 1), EVERYTHING)
    assert (verdict.reason, verdict.action, verdict.until) == (Reason.SETTLING, Action.WAIT, NOW + 1)
    assert verdict.detail == "used by a container"


def test_an_idle_time_equal_to_the_limit_is_due() -> None:
    assert verdict_on(app_with(last_used=NOW - SETTLE), EVERYTHING).reason is Reason.DUE
    assert verdict_on(app_with(last_used=NOW - HOUR), a_rule("*", minutes=60)).reason is Reason.DUE


@pytest.mark.parametrize("usage", Usage)
def test_every_activity_settles_in_both_usage_modes(usage: Usage) -> None:
    signs = [{"first_seen": NOW}, {"last_used": NOW}, {"last_touched": NOW}, {"last_used_by_agent": NOW}]
    for sign in signs:
        record = {"last_used": NOW} | sign if "last_used_by_agent" in sign else sign
        assert verdict_on(app_with(**record), EVERYTHING, usage=usage).reason is Reason.SETTLING


def test_an_image_without_evidence_of_the_agent_is_kept() -> None:
    verdict = verdict_on(memory_of(APP), a_rule("*", agent_only=True))
    assert (verdict.reason, verdict.action, verdict.until) == (Reason.NOT_DOWNLOADED_BY_AGENT, Action.KEEP, None)


def test_an_image_that_the_agent_downloaded_is_removed_by_such_a_rule() -> None:
    memory = memory_of(APP, evidence={APP.id: Evidence(NodeSource.RECORDED, "app:1", 1.0)})
    assert verdict_on(memory, a_rule("*", agent_only=True)).reason is Reason.DUE


def test_a_rule_that_has_not_started_waits_for_its_start() -> None:
    verdict = verdict_on(memory_of(APP), a_rule("*", in_force_from=NOW + HOUR))
    assert (verdict.reason, verdict.until, verdict.due_at) == (Reason.NOT_STARTED, NOW + HOUR, NOW + HOUR)


def test_a_rule_with_a_written_start_waits_until_about_then() -> None:
    verdict = verdict_on(memory_of(APP), replace(a_rule("*", in_force_from=None), expected_from=NOW + HOUR))
    assert (verdict.reason, verdict.until, verdict.due_at) == (Reason.NOT_STARTED, NOW + HOUR, NOW + HOUR)


def test_a_rule_whose_start_cannot_be_known_waits_without_a_date() -> None:
    verdict = verdict_on(memory_of(APP), a_rule("*", in_force_from=None))
    assert (verdict.reason, verdict.action, verdict.until) == (Reason.NOT_STARTED, Action.WAIT, None)


def test_what_is_not_idle_long_enough_says_until_when_and_since_what() -> None:
    verdict = verdict_on(app_with(last_touched=NOW - HOUR), a_rule("*", minutes=90))
    assert (verdict.reason, verdict.until) == (Reason.NOT_IDLE_LONG_ENOUGH, NOW + 30 * MINUTE)
    assert verdict.detail == "idle since it was pulled"


def test_with_usage_agent_idle_time_starts_at_the_agents_last_use() -> None:
    memory = app_with(last_used=NOW - HOUR, last_used_by_agent=NOW - DAY)
    assert verdict_on(memory, a_rule("*", minutes=24 * 60), usage=Usage.AGENT).reason is Reason.DUE
    assert verdict_on(memory, a_rule("*", minutes=24 * 60)).reason is Reason.NOT_IDLE_LONG_ENOUGH


def test_with_usage_agent_an_image_of_any_container_is_kept() -> None:
    memory = memory_of(APP, containers=[a_container(APP)], records={APP.id: a_record(last_used=IN_USE)})
    assert verdict_on(memory, EVERYTHING, usage=Usage.AGENT).reason is Reason.IN_USE


def test_what_is_due_is_removed_and_names_its_rule() -> None:
    verdict = verdict_on(memory_of(APP), a_rule("*", minutes=60, document="old", number=3))
    assert (verdict.reason, verdict.action, verdict.target) == (Reason.DUE, Action.REMOVE, "app:1")
    assert verdict.rule is not None
    assert verdict.rule.name == "old#3"
    assert verdict.due_at == 1.0 + HOUR


def test_a_container_of_an_unknown_image_causes_no_removal() -> None:
    assert plan_for(memory_of(containers=[a_container("elsewhere:1")]), EVERYTHING).verdicts == ()


REASONS = list(Reason)


@given(st.sets(st.sampled_from(REASONS[1:9])), st.booleans())
def test_the_first_reason_in_the_order_of_the_design_is_reported(causes: set[Reason], is_covered: bool) -> None:
    """NO_RULE, PROTECTED, IN_USE, HAS_CHILDREN, SETTLING, and then the result of its rule."""
    parent, child = an_image("app:1"), an_image("child:1", parent="app:1")
    images = [parent, child] if Reason.HAS_CHILDREN in causes else [parent]
    settles = Reason.SETTLING in causes
    record = a_record(NOW if settles else NOW - HOUR)
    memory = memory_of(
        *images,
        containers=[a_container(parent)] if Reason.IN_USE in causes else [],
        records={parent.id: record},
    )
    rule = a_rule(
        "app:*" if is_covered else "none:*",
        minutes=2 * 60 if Reason.NOT_IDLE_LONG_ENOUGH in causes else 0,
        agent_only=Reason.NOT_DOWNLOADED_BY_AGENT in causes,
        keep_last=int(Reason.KEPT_AS_RECENT in causes),
        in_force_from=NOW + DAY if Reason.NOT_STARTED in causes else 1.0,
    )
    protected = (parse_selector("app:*"),) if Reason.PROTECTED in causes else ()
    verdict = next(v for v in plan_for(memory, rule, protected=protected).verdicts if v.image == parent.id)
    expected = min(causes, key=REASONS.index, default=Reason.DUE) if is_covered else Reason.NO_RULE
    assert verdict.reason is expected


# ── several rules ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_several_rules_the_one_that_removes_first_decides() -> None:
    slow, quick = a_rule("*", minutes=24 * 60, number=0), a_rule("app:*", minutes=60, number=1)
    verdict = verdict_on(app_with(last_used=NOW - 2 * HOUR), slow, quick)
    assert (verdict.reason, verdict.rule) == (Reason.DUE, quick)


def test_a_rule_that_waits_decides_before_one_that_never_removes() -> None:
    never, later = a_rule("*", agent_only=True), a_rule("*", minutes=24 * 60, number=1)
    verdict = verdict_on(app_with(last_used=NOW - HOUR), never, later)
    assert (verdict.reason, verdict.rule) == (Reason.NOT_IDLE_LONG_ENOUGH, later)


def test_a_start_without_a_date_decides_only_before_never() -> None:
    unknown, never = a_rule("*", in_force_from=None), a_rule("*", agent_only=True, number=1)
    assert verdict_on(memory_of(APP), never, unknown).rule == unknown
    soon = a_rule("*", in_force_from=NOW + DAY, number=2)
    assert verdict_on(memory_of(APP), unknown, soon).rule == soon


minutes = st.integers(0, 100_000)


@given(st.lists(st.tuples(minutes, st.booleans(), st.floats(1.0, 2 * NOW)), min_size=1), st.floats(1.0, NOW))
def test_another_rule_never_delays_a_removal(rules: list[tuple[int, bool, float]], last_used: float) -> None:
    memory = app_with(last_used=last_used)
    made = [
        a_rule("*", minutes=m, agent_only=only, in_force_from=start, number=n)
        for n, (m, only, start) in enumerate(rules)
    ]
    alone = [verdict_on(memory, rule).due_at for rule in made]
    together = verdict_on(memory, *made).due_at
    assert together == min((due for due in alone if due is not None), default=None)


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_on_one_tag_is_for_that_tag_alone() -> None:
    assert reasons(memory_of(an_image("app:1", "app:2")), a_rule("app:1")) == {
        "app:1": Reason.DUE,
        "app:2": Reason.NO_RULE,
    }


def test_a_digest_beside_a_tag_of_its_repository_is_not_a_reference() -> None:
    image = an_image("app:1", digests=[f"app@{DIGEST}", f"elsewhere/app@{DIGEST}"])
    assert set(reasons(memory_of(image), EVERYTHING)) == {"app:1", f"elsewhere/app@{DIGEST}"}


def test_protecting_the_digest_protects_the_tag_beside_it() -> None:
    image = an_image("app:1", digests=[f"app@{DIGEST}"])
    assert verdict_on(memory_of(image), EVERYTHING, protected=(parse_selector(f"app@{DIGEST}"),)).reason is (
        Reason.PROTECTED
    )


def test_a_rule_for_a_digest_acts_only_on_an_image_without_a_tag_there() -> None:
    tagged, pinned = an_image("app:1", digests=[f"app@{DIGEST}"]), an_image(id="pinned", digests=[f"app@{DIGEST}"])
    assert verdict_on(memory_of(tagged), a_rule(f"app@{DIGEST}")).reason is Reason.NO_RULE
    assert verdict_on(memory_of(pinned), a_rule(f"app@{DIGEST}")).reason is Reason.DUE


@pytest.mark.parametrize("digest", [DIGEST, OTHER_DIGEST])
def test_both_digests_of_an_image_of_a_manifest_list_mean_it_and_it_is_one_reference(digest: str) -> None:
    image = an_image(id="pinned", digests=[f"app@{OTHER_DIGEST}", f"app@{DIGEST}"])
    memory = memory_of(replace(image, named_digests=image.digests[1:]), store=Store.PODMAN)
    assert reasons(memory, a_rule(f"app@{digest}")) == {f"app@{DIGEST}": Reason.DUE}
    assert verdict_on(memory, EVERYTHING, protected=(parse_selector(f"app@{digest}"),)).reason is Reason.PROTECTED


def test_a_rule_for_all_tags_covers_an_image_known_by_digest_only() -> None:
    pinned = an_image(id="pinned", digests=[f"app@{DIGEST}"])
    assert reasons(memory_of(pinned), a_rule("app:*")) == {f"app@{DIGEST}": Reason.DUE}


NAMELESS = an_image(id="app:1")


def nameless(*names: str) -> Memory:
    return memory_of(NAMELESS, records={NAMELESS.id: a_record(names=names)})


def test_an_image_that_has_lost_its_names_is_found_by_the_last_ones() -> None:
    verdict = verdict_on(nameless("app:1"), a_rule("app:*"))
    assert (verdict.reason, verdict.reference, verdict.target) == (Reason.DUE, NAMELESS.id, NAMELESS.id)


def test_an_image_is_found_by_a_digest_that_it_lost() -> None:
    assert verdict_on(nameless(f"app@{DIGEST}"), a_rule(f"app@{DIGEST}")).reason is Reason.DUE


def test_an_image_is_protected_by_names_that_it_lost() -> None:
    assert verdict_on(nameless("app:1"), EVERYTHING, protected=(parse_selector("app:1"),)).reason is Reason.PROTECTED


def test_an_image_that_never_had_a_name_is_covered_by_a_bare_wildcard_alone() -> None:
    assert verdict_on(nameless(), a_rule("*:*")).reason is Reason.NO_RULE
    assert verdict_on(nameless(), a_rule("*")).reason is Reason.DUE


def test_an_image_that_has_kept_its_digest_is_found_by_the_tag_that_it_lost() -> None:
    pinned = an_image(id="app:1", digests=[f"app@{DIGEST}"])
    memory = memory_of(pinned, records={pinned.id: a_record(names=["app:1", f"app@{DIGEST}"])})
    assert reasons(memory, a_rule("app:1")) == {f"app@{DIGEST}": Reason.DUE}


def test_a_digest_of_one_repository_is_not_found_by_the_names_of_another() -> None:
    """A rule on one name removes that name only: after an untag of `dev:1` the pulled digest is still wanted."""
    pinned = an_image(id="app:1", digests=[f"app@{DIGEST}", f"mirror.local/app@{DIGEST}"])
    memory = memory_of(pinned, records={pinned.id: a_record(names=["dev:1", f"app@{DIGEST}"])})
    assert set(reasons(memory, a_rule("dev:*")).values()) == {Reason.NO_RULE}
    for rule in ("mirror.local/app:*", f"mirror.local/app@{DIGEST}"):
        assert reasons(memory, a_rule(rule)) == {
            f"app@{DIGEST}": Reason.NO_RULE,
            f"mirror.local/app@{DIGEST}": Reason.DUE,
        }


def test_an_image_with_a_tag_is_not_found_by_one_that_it_had_before() -> None:
    image = an_image("app:2", id="app:1")
    assert verdict_on(memory_of(image, records={image.id: a_record(names=["app:2"])}), a_rule("app:1")).reason is (
        Reason.NO_RULE
    )


# ── parents and children ──────────────────────────────────────────────────────────────────────────────────────────────

PARENT, CHILD = an_image("base:1", id="parent"), an_image("app:1", id="child", parent="parent")


def test_a_parent_is_kept_while_its_child_is_kept() -> None:
    verdicts = reasons(memory_of(PARENT, CHILD), a_rule("base:*"))
    assert verdicts == {"base:1": Reason.HAS_CHILDREN, "app:1": Reason.NO_RULE}


def test_a_parent_is_removed_after_its_child() -> None:
    assert removals(memory_of(PARENT, CHILD), EVERYTHING) == ["app:1", "base:1"]


def test_a_parent_is_kept_while_one_name_of_its_child_is_kept() -> None:
    child = replace(CHILD, tags=an_image("app:1", "app:2").tags)
    assert removals(memory_of(PARENT, child), a_rule("base:*"), a_rule("app:1")) == ["app:1"]


def test_a_grandparent_is_kept_for_a_grandchild() -> None:
    middle = an_image(id="middle", parent="parent")
    last = an_image("app:1", id="child", parent="middle")
    containers = [a_container(last)]
    assert set(reasons(memory_of(PARENT, middle, last, containers=containers), EVERYTHING).values()) == {
        Reason.HAS_CHILDREN,
        Reason.IN_USE,
    }


def test_a_child_that_is_longer_overdue_does_not_hold_its_parent_back() -> None:
    records = {PARENT.id: a_record(2.0), CHILD.id: a_record(1.0)}
    assert removals(memory_of(PARENT, CHILD, records=records), EVERYTHING) == ["app:1", "base:1"]


@pytest.mark.parametrize("store", [Store.CONTAINERD, Store.PODMAN])
def test_on_other_stores_children_do_not_keep_their_parent(store: Store) -> None:
    assert removals(memory_of(PARENT, CHILD, store=store), a_rule("base:*")) == ["base:1"]


def test_a_parent_that_is_not_listed_has_no_effect() -> None:
    assert removals(memory_of(CHILD), EVERYTHING) == ["app:1"]


# ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_longest_overdue_is_removed_first() -> None:
    images = [an_image(f"app:{n}") for n in range(4)]
    records = {image.id: a_record(last_used=at) for image, at in zip(images, (300.0, 100.0, 400.0, 200.0), strict=True)}
    assert removals(memory_of(*images, records=records), EVERYTHING) == ["app:1", "app:3", "app:0", "app:2"]


def test_of_images_due_since_the_same_start_the_longest_idle_is_removed_first() -> None:
    images = [an_image(f"app:{n}") for n in range(3)]
    records = {image.id: a_record(last_used=at) for image, at in zip(images, (200.0, 300.0, 100.0), strict=True)}
    rule = a_rule(in_force_from=NOW - HOUR)
    assert removals(memory_of(*images, records=records), rule) == ["app:2", "app:0", "app:1"]


def test_overdue_is_by_the_rule_and_not_by_idle_time() -> None:
    memory = memory_of(
        an_image("slow:1"),
        an_image("quick:1"),
        records={an_id("slow:1"): a_record(last_used=100.0), an_id("quick:1"): a_record(last_used=200.0)},
    )
    assert removals(memory, a_rule("slow:*", minutes=60), a_rule("quick:*", minutes=1)) == ["quick:1", "slow:1"]


trees = st.lists(st.tuples(st.integers(0, 30), st.floats(1.0, NOW - DAY)), min_size=1, max_size=25)


def a_forest(tree: list[tuple[int, float]]) -> tuple[list[Image], dict[ImageId, Record]]:
    """Each image may be built on an earlier one."""
    images = [
        an_image(f"app:{n}", id=f"{n}", parent=f"{parent}" if parent < n else "") for n, (parent, _) in enumerate(tree)
    ]
    return images, {image.id: a_record(last_used=at) for image, (_, at) in zip(images, tree, strict=True)}


@given(trees, st.randoms())
def test_children_are_removed_before_their_parents_in_any_order_of_the_list(
    tree: list[tuple[int, float]], random: object
) -> None:
    images, records = a_forest(tree)
    random.shuffle(images)  # type: ignore[attr-defined]
    order = [verdict.image for verdict in plan_for(memory_of(*images, records=records), EVERYTHING).removals]
    assert len(order) == len(images)
    for image in images:
        if image.parent is not None:
            assert order.index(image.id) < order.index(image.parent)


@given(trees)
def test_without_parents_the_order_is_that_of_the_idle_time(tree: list[tuple[int, float]]) -> None:
    images, records = a_forest([(99, at) for _, at in tree])
    order = [verdict.image for verdict in plan_for(memory_of(*images, records=records), EVERYTHING).removals]
    assert [records[image].last_used for image in order] == sorted(at for _, at in tree)


@given(trees, st.sets(st.integers(0, 30)))
def test_no_parent_is_removed_while_a_child_is_kept(tree: list[tuple[int, float]], used: set[int]) -> None:
    images, records = a_forest(tree)
    containers = [a_container(image, name=image.id) for n, image in enumerate(images) if n in used]
    plan = plan_for(memory_of(*images, records=records, containers=containers), EVERYTHING)
    going = {verdict.image for verdict in plan.removals}
    assert all(image.id in going for image in images if image.parent in going)


@given(trees)
def test_every_reference_has_exactly_one_verdict(tree: list[tuple[int, float]]) -> None:
    images, records = a_forest(tree)
    verdicts = plan_for(memory_of(*images, records=records), a_rule("app:1*")).verdicts
    assert sorted(verdict.reference for verdict in verdicts) == sorted(image.tags[0].familiar for image in images)


def test_children_are_found_in_chains_longer_than_pythons_stack() -> None:
    images = {an_id(f"{n}"): an_image(id=f"{n}", parent=f"{n - 1}" if n else "") for n in range(5_000)}
    assert [image.id for image in children_first(images)][-1] == an_id("0")


# ── holds ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_gap_in_observation_all_images_settle() -> None:
    memory = memory_of(APP, watch=Watch(NOW - MINUTE, "the host was restarted"))
    verdict = verdict_on(memory, EVERYTHING)
    assert (verdict.reason, verdict.until) == (Reason.SETTLING, NOW - MINUTE + SETTLE)
    assert verdict.detail == "the host was restarted: image use may have gone unnoticed"
    assert verdict_on(memory, EVERYTHING, settle_seconds=MINUTE).reason is Reason.DUE


def test_an_image_that_the_store_needs_is_protected_and_says_why() -> None:
    verdict = verdict_on(memory_of(replace(APP, held="part of the manifest list list:1")), EVERYTHING)
    assert (verdict.reason, verdict.detail) == (Reason.PROTECTED, "part of the manifest list list:1")


def test_while_engine_events_are_not_available_every_covered_image_settles_without_a_time() -> None:
    memory = memory_of(APP, watch=Watch(NOW - DAY, "engine events not available: 403", is_blind=True))
    plan = plan_for(memory, EVERYTHING, settle_seconds=0.0)
    (verdict,) = plan.verdicts
    assert (verdict.reason, verdict.until, verdict.due_at) == (Reason.SETTLING, None, None)
    assert verdict.detail == "engine events not available: 403"
    assert (plan.removals, plan.gap_ends_at) == ((), None)


def with_agreement(first_seen: float, *images: str, last_used: float = NOW - HOUR) -> Memory:
    answer = KeptAnswer(an_answer(an_agreement("a1", *images)), NOW)
    beginnings = {"a1": Beginning(first_seen - 5 * MINUTE, first_seen)}
    records = {APP.id: a_record(last_used=last_used)}
    return memory_of(APP, records=records, node=answer, agreements=beginnings)


def test_a_young_agreement_holds_images_with_activity_since_its_possible_start() -> None:
    began = NOW - 40 * MINUTE
    settling = began - 5 * MINUTE - SETTLE
    verdict = verdict_on(with_agreement(began, last_used=settling), EVERYTHING)
    assert (verdict.reason, verdict.until) == (Reason.SETTLING, began + HOUR)
    assert verdict.detail == "a new agreement may still need it"
    assert verdict_on(with_agreement(began, last_used=settling - 1), EVERYTHING).reason is Reason.DUE


def test_after_an_hour_or_once_it_names_its_images_an_agreement_holds_nothing() -> None:
    assert verdict_on(with_agreement(NOW - HOUR, last_used=NOW - HOUR), EVERYTHING).reason is Reason.DUE
    named = with_agreement(NOW - 40 * MINUTE, "other:1", last_used=NOW - 30 * MINUTE)
    assert verdict_on(named, EVERYTHING).reason is Reason.DUE


def pulling(store: Store, first: float, last: float) -> Reason:
    return verdict_on(memory_of(APP, store=store, pulls=Pulls(first, last)), EVERYTHING).reason


def test_on_podman_removals_pause_for_pulls_for_ten_minutes_at_most() -> None:
    assert pulling(Store.PODMAN, NOW - MINUTE, NOW - MINUTE) is Reason.SETTLING
    assert pulling(Store.PODMAN, NOW - SETTLE, NOW - SETTLE) is Reason.DUE
    assert pulling(Store.PODMAN, NOW - 10 * MINUTE, NOW - MINUTE) is Reason.DUE


@pytest.mark.parametrize("store", [Store.GRAPH_DRIVER, Store.CONTAINERD])
def test_on_docker_removals_do_not_pause_for_pulls(store: Store) -> None:
    assert pulling(store, NOW - MINUTE, NOW - MINUTE) is Reason.DUE


# ── setbacks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def after_a_setback(retry_at: float, reference: str = "app:1") -> Memory:
    attempt = Attempt(Setback.REFUSED, "in use", 2, retry_at, "situation")
    return replace(memory_of(APP), attempts={(APP.id, reference): attempt})


def test_after_a_setback_a_removal_waits() -> None:
    verdict = verdict_on(after_a_setback(NOW + HOUR), EVERYTHING)
    assert (verdict.reason, verdict.until, verdict.detail) == (Reason.BACKING_OFF, NOW + HOUR, "refused: in use")


@pytest.mark.parametrize(
    "memory",
    [after_a_setback(NOW), after_a_setback(NOW + HOUR, reference="app:2")],
    ids=["the wait is over", "it was another reference"],
)
def test_a_removal_is_retried_after_the_backoff(memory: Memory) -> None:
    assert verdict_on(memory, EVERYTHING).reason is Reason.DUE


def test_a_setback_delays_only_what_is_due() -> None:
    assert verdict_on(after_a_setback(NOW + HOUR), a_rule("other:*")).reason is Reason.NO_RULE


# ── the next change ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_pass_is_at_the_first_change_of_a_verdict() -> None:
    images = [an_image(f"app:{n}") for n in range(3)]
    records = {image.id: a_record(last_used=NOW - n * HOUR) for n, image in enumerate(images)}
    memory = memory_of(*images, records=records)
    assert plan_for(memory, a_rule("*", minutes=90)).next_change_at == NOW + SETTLE
    assert plan_for(memory, a_rule("app:1", minutes=90)).next_change_at == NOW + 30 * MINUTE


def test_without_a_date_there_is_no_next_pass() -> None:
    assert plan_for(memory_of(APP), a_rule("other:*")).next_change_at is None
    assert plan_for(memory_of(APP), EVERYTHING).next_change_at is None


def test_before_the_first_observation_there_is_no_verdict() -> None:
    assert make_plan(RuleBook([EVERYTHING]), Memory(), Terms()) == Plan(now=1.0)
