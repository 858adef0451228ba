"""Lines that are no trouble: patterns without an image, and names that a rule misses on Podman."""

from __future__ import annotations

from collections.abc import Iterable

from controller.image.image import Image
from controller.image.selector import parse_selector
from controller.plan.memory.observation import Store
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.information import information
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.verdict import Rule
from tests.builders import a_memory, a_rule, an_image, an_observation

LOCAL = an_image("localhost/app:1")


def lines(
    images: Iterable[Image], *rules: Rule, protect: Iterable[str] = (), store: Store = Store.GRAPH_DRIVER
) -> tuple[str, ...]:
    memory = a_memory(an_observation(images, store=store))
    return information(RuleBook(rules), memory, Terms(protected=tuple(map(parse_selector, protect))))


def test_what_matches_is_not_listed() -> None:
    assert lines([an_image("app:1")], a_rule("app:*"), protect=["app:1"]) == ()


def test_a_rule_and_a_pattern_without_an_image_are_listed() -> None:
    assert lines([an_image("app:1")], a_rule("old:*"), protect=["other:1"]) == (
        "--protect other:1 matches no image",
        "rule doc#0 (old:*) matches no image",
    )


def test_a_rule_that_another_rule_precedes_matches_all_the_same() -> None:
    assert lines([an_image("app:1")], a_rule("*"), a_rule("app:*", number=1, minutes=60)) == ()


def test_a_rule_for_lost_tags_matches_no_image_with_a_tag() -> None:
    assert lines([an_image("app:1")], a_rule("app:*", lost_tag_only=True)) == ("rule doc#0 (app:*) matches no image",)


def test_on_podman_a_name_that_a_rule_misses_for_its_registry_is_named() -> None:
    assert lines([LOCAL], a_rule("app:*"), store=Store.PODMAN) == (
        "rule doc#0 (app:*) matches no image",
        "rule doc#0 (app:*) does not cover localhost/app:1: patterns need the registry",
    )
    assert lines([LOCAL], a_rule("localhost/app:*"), a_rule("*", number=1), store=Store.PODMAN) == ()


def test_on_podman_a_pattern_without_a_registry_protects_under_any() -> None:
    assert lines([LOCAL], protect=["app:1"], store=Store.PODMAN) == ()
    assert lines([LOCAL], protect=["app:1"]) == ("--protect app:1 matches no image",)


def test_there_are_at_most_twenty_lines() -> None:
    found = lines([], *(a_rule(f"old:{number}", number=number) for number in range(30)))
    assert (len(found), found[-1]) == (21, "and 10 more")
