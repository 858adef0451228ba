"""Bytes that removals would free: alone, together and in turn; never the sum of sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.image import Image
from controller.image.layers import Reclaim, merge_layers
from controller.image.reference import ImageId
from controller.plan.memory.memory import Memory, Record
from controller.plan.memory.observation import Store
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.planner import make_plan
from controller.plan.verdict.reclaim import (
    Bound,
    bound_of,
    freed_in_turn,
    freed_together,
    last_removal_of_each,
    layer_tree,
    not_counted,
)
from tests.builders import DAY, a_memory, a_record, a_rule, an_image, an_observation, some_layers

EVERYTHING = RuleBook([a_rule("*")])


def memory_of(**words: str) -> Memory:
    """Images by name, each with a layer of 1,000 bytes for each letter; `app_1` is called `app:1`, and by `_` twice."""
    images = {name: an_image(*(f"{tag}:1" for tag in name.split("_"))) for name in words}
    layers = {name: some_layers(*word) for name, word in words.items()}
    records: dict[ImageId, Record] = {
        images[name].id: a_record(tip=each[-1].chain if each else "") for name, each in layers.items()
    }
    memory = a_memory(an_observation(images.values()), records, now=DAY)
    return replace(memory, layers=merge_layers(layer for each in layers.values() for layer in each))


def in_turn(memory: Memory) -> list[int]:
    return [each.at_least_bytes for each in freed_in_turn(make_plan(EVERYTHING, memory, Terms()).removals, memory)]


def together(memory: Memory, pattern: str = "*") -> Reclaim:
    return freed_together(make_plan(RuleBook([a_rule(pattern)]), memory, Terms()).removals, memory)


def alone(memory: Memory, image: Image) -> int:
    return layer_tree(memory).alone(memory.records[image.id].tip).at_least_bytes


def test_alone_an_image_frees_what_no_other_shares() -> None:
    memory = memory_of(one="abc", two="abd")
    assert alone(memory, an_image("one:1")) == 1_000


def test_together_they_free_what_they_share_as_well() -> None:
    assert together(memory_of(one="abc", two="abd")) == Reclaim(4_000, is_exact=True)


def test_in_turn_the_last_of_those_that_share_frees_it() -> None:
    assert in_turn(memory_of(one="abc", two="abd")) == [1_000, 3_000]


def test_twins_free_nothing_alone_and_all_together() -> None:
    memory = memory_of(one="abc", two="abc")
    assert alone(memory, an_image("one:1")) == 0
    assert together(memory) == Reclaim(3_000, is_exact=True)


def test_one_of_several_names_frees_nothing_and_the_last_one_all() -> None:
    memory = memory_of(one_two="ab")
    assert in_turn(memory) == [0, 2_000]
    assert together(memory, "one:*") == Reclaim(0, is_exact=True)


def test_a_kept_image_keeps_its_layers() -> None:
    assert together(memory_of(one="abc", two="abd"), "one:*") == Reclaim(1_000, is_exact=True)


def test_an_image_that_was_never_inspected_makes_all_figures_uncertain() -> None:
    memory = memory_of(one="abc", two="abd")
    unread = an_image("two:1").id
    memory = replace(memory, records={**memory.records, unread: a_record(tip=None)})
    assert together(memory, "one:*") == Reclaim(0, is_exact=False)


def test_an_image_without_layers_frees_nothing_for_certain() -> None:
    assert together(memory_of(one="")) == Reclaim(0, is_exact=True)


# ── what is certain about a figure ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("store", "is_exact", "has_build_cache", "bound"),
    [
        (Store.GRAPH_DRIVER, True, False, Bound.EXACT),
        (Store.GRAPH_DRIVER, False, False, Bound.AT_LEAST),
        (Store.GRAPH_DRIVER, True, True, Bound.AT_MOST),
        (Store.GRAPH_DRIVER, False, True, Bound.ABOUT),
        (Store.CONTAINERD, True, False, Bound.AT_LEAST),
        (Store.CONTAINERD, True, True, Bound.ABOUT),
        (Store.PODMAN, True, False, Bound.ABOUT),
    ],
)
def test_a_prediction_says_what_is_certain_about_it(
    store: Store, is_exact: bool, has_build_cache: bool, bound: Bound
) -> None:
    seen = replace(an_observation(store=store), has_build_cache=has_build_cache)
    assert bound_of(Reclaim(1, is_exact), seen) is bound


@pytest.mark.parametrize(
    ("store", "has_build_cache", "words"),
    [
        (Store.GRAPH_DRIVER, False, ""),
        (Store.GRAPH_DRIVER, True, "BuildKit's cache"),
        (Store.CONTAINERD, True, "the compressed blobs of the containerd store and BuildKit's cache"),
        (Store.PODMAN, False, ""),
    ],
)
def test_the_size_of_the_store_says_what_it_leaves_out(store: Store, has_build_cache: bool, words: str) -> None:
    seen = replace(an_observation(store=store), has_build_cache=has_build_cache)
    assert not_counted(seen) == words


words = st.text("abc", max_size=4)


@given(words, words, words, words)
def test_in_turn_adds_up_to_together(one: str, two: str, three: str, both: str) -> None:
    memory = memory_of(one=one, two=two, three=three, here_there=both)
    assert sum(in_turn(memory)) == together(memory).at_least_bytes
    assert len(last_removal_of_each(make_plan(EVERYTHING, memory, Terms()).removals, memory)) == 4


@given(words, words)
def test_alone_never_exceeds_together(one: str, two: str) -> None:
    memory = memory_of(one=one, two=two)
    each = [alone(memory, an_image(name)) for name in ("one:1", "two:1")]
    assert sum(each) <= together(memory).at_least_bytes
