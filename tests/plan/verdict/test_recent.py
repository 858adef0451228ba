"""`keep_last`: which images a rule keeps as the most recently used of their repository."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.image import Image
from controller.image.reference import ImageId
from controller.plan.memory.memory import IN_USE, Memory, Record
from controller.plan.verdict.covering import RuleBook, names_of
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.planner import Plan, make_plan
from controller.plan.verdict.recent import CoveredImage, kept_as_recent
from controller.plan.verdict.verdict import Reason, Rule
from tests.builders import DAY, a_container, a_memory, a_record, a_rule, an_id, an_image, an_observation

NOW = 10 * DAY


def a_candidate(
    word: str,
    *repositories: str,
    idle_since: float = 1.0,
    in_use: bool = False,
    was_used: bool = True,
    created: float = 0.0,
) -> CoveredImage:
    return CoveredImage(an_id(word), repositories or ("app",), in_use, idle_since, was_used, created)


def kept(keep_last: int, *candidates: CoveredImage) -> list[str]:
    """The words of the kept images, and their ranks."""
    words = {an_id(word): word for word in "abcdef"}
    return [f"{words[image]}: {rank}" for image, rank in kept_as_recent(candidates, keep_last).items()]


@pytest.mark.parametrize(
    ("keep_last", "candidates", "expected"),
    [
        (0, [a_candidate("a")], []),
        (1, [a_candidate("a")], ["a: most recently used of 1 in app; the rule keeps 1"]),
        (
            2,
            [a_candidate("a", idle_since=1.0), a_candidate("b", idle_since=3.0), a_candidate("c", idle_since=2.0)],
            [
                "b: most recently used of 3 in app; the rule keeps 2",
                "c: 2nd most recently used of 3 in app; the rule keeps 2",
            ],
        ),
        (
            1,
            [a_candidate("a", idle_since=9.0), a_candidate("b", in_use=True)],
            ["b: most recently used of 2 in app; the rule keeps 1"],
        ),
        (
            1,
            [a_candidate("a", was_used=False, created=5.0), a_candidate("b", was_used=False, created=7.0)],
            ["b: most recently used of 2 in app; the rule keeps 1 (no use was observed)"],
        ),
        (
            1,
            [a_candidate("a", "app", "tool", idle_since=1.0), a_candidate("b", "app", idle_since=2.0)],
            [
                "b: most recently used of 2 in app; the rule keeps 1",
                "a: most recently used of 1 in tool; the rule keeps 1",
            ],
        ),
        (3, [], []),
    ],
    ids=["none", "one", "by idle start", "in use first", "by build date", "two repositories", "no images"],
)
def test_the_most_recently_used_of_each_repository_are_kept(
    keep_last: int, candidates: list[CoveredImage], expected: list[str]
) -> None:
    assert kept(keep_last, *candidates) == expected


@pytest.mark.parametrize(
    ("place", "word"), [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")]
)
def test_a_rank_is_written_as_an_ordinal(place: int, word: str) -> None:
    candidates = [replace(a_candidate("a", idle_since=-float(n)), image=ImageId(f"{n:03}")) for n in range(30)]
    ranks = list(kept_as_recent(candidates, 30).values())
    assert str(ranks[place - 1]).startswith(f"{word} most recently used of 30")


# ── in a plan ────────────────────────────────────────────────────────────────────────────────────────────────────────

REPOSITORIES = ("app", "tool")
histories = st.lists(
    st.tuples(
        st.sets(st.sampled_from(REPOSITORIES), max_size=2),  # without: nameless, with or without last names
        st.sets(st.sampled_from(REPOSITORIES), max_size=2),
        st.floats(1.0, NOW) | st.just(IN_USE) | st.none(),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=12,
)
rules = st.lists(st.tuples(st.sampled_from(["*", "app:*", "tool:*", "app:1*"]), st.integers(0, 20_000)), max_size=2)
History = list[tuple[set[str], set[str], float | None, bool, int]]


def a_node(history: History) -> Memory:
    """Images with and without names, used and unused, some of them built on others."""
    images: list[Image] = []
    records: dict[ImageId, Record] = {}
    for n, (tags, digests, last_used, _, parent) in enumerate(history):
        image = an_image(
            *(f"{name}:{n}" for name in sorted(tags)),
            id=f"{n}",
            digests=[f"{name}@sha256:{n:064}" for name in sorted(digests)],
            parent=f"{parent}" if parent < n else "",
            created=float(n % 3),
        )
        last = [f"docker.io/library/{name}:{n}" for name in sorted(digests)]
        names = [name.canonical for name in (*image.tags, *image.digests)] or last
        records[image.id] = a_record(last_used=last_used, names=names)
        images.append(image)
    used = [a_container(image, name=image.id) for image, (*_, in_use, _) in zip(images, history, strict=True) if in_use]
    return a_memory(an_observation(images, used), records, now=NOW)


def plan_of(memory: Memory, *rules: Rule) -> Plan:
    return make_plan(RuleBook(rules), memory, Terms())


def due(plan: Plan) -> set[tuple[ImageId, str]]:
    return {(verdict.image, verdict.reference) for verdict in plan.verdicts if verdict.reason is Reason.DUE}


def repositories_of(memory: Memory, image: ImageId, rule: Rule) -> set[str]:
    """Of the names, now or last, that the selector of the rule covers."""
    assert memory.seen is not None
    names = names_of(memory.seen.images[image], memory.records[image])
    return {name.familiar_repository for name in names if rule.selector.matches(name)}


@given(histories, st.sampled_from(["*", "app:*", "app:1*"]), st.integers(0, 4))
def test_at_least_n_images_of_each_repository_survive_a_rule(history: History, pattern: str, keep_last: int) -> None:
    memory, rule = a_node(history), a_rule(pattern, keep_last=keep_last)
    plan = plan_of(memory, rule)
    removed = {image for image, _ in due(plan)}
    assert memory.seen is not None
    members: dict[str, set[ImageId]] = {}
    for image in memory.seen.images:
        for repository in repositories_of(memory, image, rule):
            members.setdefault(repository, set()).add(image)
    for images in members.values():
        assert len(images - removed) >= min(keep_last, len(images))


@given(histories, rules, st.integers(1, 4))
def test_keep_last_never_makes_more_references_due(
    history: History, texts: list[tuple[str, int]], keep_last: int
) -> None:
    memory = a_node(history)
    plain = [a_rule(pattern, minutes=minutes, number=n) for n, (pattern, minutes) in enumerate(texts)]
    keeping = [replace(rule, keep_last=keep_last) for rule in plain]
    assert due(plan_of(memory, *keeping)) <= due(plan_of(memory, *plain))
    assert due(plan_of(memory, *keeping[:1], *plain[1:])) <= due(plan_of(memory, *plain))


@given(histories, rules)
def test_keep_last_of_0_changes_nothing(history: History, texts: list[tuple[str, int]]) -> None:
    memory = a_node(history)
    plain = [a_rule(pattern, minutes=minutes, number=n) for n, (pattern, minutes) in enumerate(texts)]
    assert plan_of(memory, *(replace(rule, keep_last=0) for rule in plain)) == plan_of(memory, *plain)
    assert not any(verdict.reason is Reason.KEPT_AS_RECENT for verdict in plan_of(memory, *plain).verdicts)


@given(histories)
def test_a_second_rule_removes_what_keep_last_of_the_first_keeps(history: History) -> None:
    memory = a_node(history)
    both = plan_of(memory, a_rule("*", keep_last=1_000), a_rule("*", number=1))
    assert due(both) == due(plan_of(memory, a_rule("*")))


@given(histories)
def test_a_rule_for_lost_tags_never_covers_an_image_with_a_tag_or_only_a_digest(history: History) -> None:
    memory = a_node(history)
    assert memory.seen is not None
    for image, _ in due(plan_of(memory, a_rule("*", lost_tag_only=True))):
        assert not memory.seen.images[image].tags
        assert any("@" not in name for name in memory.records[image].names)


def test_the_verdict_names_the_rank() -> None:
    images = [an_image(f"team/app:{n}") for n in range(3)]
    records = {image.id: a_record(last_used=float(n + 1)) for n, image in enumerate(images)}
    memory = a_memory(an_observation(images), records, now=NOW)
    verdicts = plan_of(memory, a_rule("team/*:*", keep_last=2)).verdicts
    assert [(verdict.reason, verdict.detail) for verdict in verdicts] == [
        (Reason.DUE, ""),
        (Reason.KEPT_AS_RECENT, "2nd most recently used of 3 in team/app; the rule keeps 2"),
        (Reason.KEPT_AS_RECENT, "most recently used of 3 in team/app; the rule keeps 2"),
    ]
