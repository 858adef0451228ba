"""Chain IDs, known sizes, and freed bytes."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.layers import ChainId, Layer, LayerTree, Reclaim, chain_ids, freed_bytes, layers_of, merge_layers

IMAGE = "sha256:" + "0" * 64


def a_diff(name: str) -> str:
    return f"sha256:{sha256(name.encode()).hexdigest()}"


def sizes(layers: int, history_oldest_first: Sequence[int]) -> list[int | None]:
    diffs = [a_diff(str(number)) for number in range(layers)]
    return [layer.size_bytes for layer in layers_of(diffs, history_oldest_first[::-1])]


def an_image(*layers: tuple[str, int | None]) -> list[Layer]:
    """Named layers from the lowest up, with their sizes."""
    chains = chain_ids([a_diff(name) for name, _ in layers])
    parents = [None, *chains]
    return [Layer(chain, parent, size) for chain, parent, (_, size) in zip(chains, parents, layers, strict=False)]


def a_tree(*images: list[Layer]) -> LayerTree:
    return LayerTree([layer for image in images for layer in image], [tip(image) for image in images])


def tip(image: list[Layer]) -> ChainId:
    return image[-1].chain if image else ChainId("")


def test_a_chain_id_follows_from_the_chain_below_and_the_layer_itself() -> None:
    # printf 'sha256:aa...aa sha256:bb...bb' | sha256sum
    lowest, next_up = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    expected = "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
    assert chain_ids([lowest, next_up]) == (lowest, expected)
    assert chain_ids([]) == ()


def test_the_same_layer_on_another_parent_is_another_chain() -> None:
    assert chain_ids(["sha256:1", "sha256:3"])[1] != chain_ids(["sha256:2", "sha256:3"])[1]


def test_layers_have_their_parents() -> None:
    lower, upper = layers_of([a_diff("x"), a_diff("y")], [2, 1])
    assert (lower.parent, lower.size_bytes) == (None, 1)
    assert (upper.parent, upper.size_bytes) == (lower.chain, 2)


@pytest.mark.parametrize(
    ("layers", "history", "expected"),
    [
        (2, [5, 3], [5, 3]),
        (2, [5, 0, 0, 3, 0], [5, 3]),
        (3, [5, 0, 3], [5, 0, 3]),
        (3, [5, 0, 0, 3], [5, 0, 3]),
        (3, [5, 3, 0, 0], [5, 3, 0]),
        (3, [5, 0, 3, 0], [5, None, None]),
        (3, [0, 5, 0, 3], [None, None, 3]),
        (4, [0, 5, 0, 3], [0, 5, 0, 3]),
        (3, [4, 0, 4, 0, 4], [4, 4, 4]),
        (2, [0, 0, 0], [0, 0]),
        (1, [5, 3], [None]),
        (3, [5, 3], [None, None, None]),
        (0, [0, 0], []),
    ],
)
def test_a_size_is_known_only_if_the_history_is_unambiguous(
    layers: int, history: list[int], expected: list[int | None]
) -> None:
    assert sizes(layers, history) == expected


@given(st.integers(0, 5), st.lists(st.sampled_from([0, 0, 1, 2]), max_size=7))
def test_a_size_is_known_if_and_only_if_every_match_of_layers_and_history_agrees(
    layers: int, history: list[int]
) -> None:
    ways = [
        [history[entry] for entry in entries]
        for entries in combinations(range(len(history)), layers)
        if all(entry in entries for entry, size in enumerate(history) if size)
    ]
    possible = [{way[layer] for way in ways} for layer in range(layers)]
    assert sizes(layers, history) == [only.pop() if len(only) == 1 else None for only in possible]


def test_a_size_may_be_known_from_another_image() -> None:
    (unsure,), (sure,) = an_image(("x", None)), an_image(("x", 7))
    assert merge_layers([unsure, sure, unsure]) == {sure.chain: sure}


def test_layers_of_many_images_share_the_text_of_their_parent() -> None:
    one, other = (layers_of(["sha256:base", f"sha256:{top}", f"sha256:{top}2"], [3, 2, 1]) for top in "ab")
    merged = merge_layers((*one, *other))
    assert merged[other[1].chain].parent is merged[one[0].chain].chain


def test_the_freed_layers_are_those_in_the_answer() -> None:
    kept, gone = an_image(("base", 100), ("own", 7))
    known = {layer.chain: layer.size_bytes for layer in (kept, gone)}
    assert freed_bytes([IMAGE, gone.chain], known) == 7
    assert freed_bytes([IMAGE, gone.chain, kept.chain], known) == 107
    assert freed_bytes([IMAGE], known) == 0
    assert freed_bytes([], known) == 0


def test_an_unknown_layer_in_the_answer_makes_the_sum_unknown() -> None:
    chain, stranger = chain_ids(["sha256:1", "sha256:2"])
    assert freed_bytes([IMAGE, chain], {chain: None}) is None
    assert freed_bytes([IMAGE, chain, stranger], {chain: 5}) is None


def test_a_layer_that_another_image_needs_is_not_freed() -> None:
    one = an_image(("base", 100), ("one", 10))
    two = an_image(("base", 100), ("two", 1))
    tree = a_tree(one, two)
    assert tree.alone(tip(one)) == Reclaim(10, is_exact=True)
    assert tree.alone(tip(two)) == Reclaim(1, is_exact=True)
    assert tree.together([tip(one), tip(two)]) == Reclaim(111, is_exact=True)


def test_twins_free_nothing_alone_and_everything_together() -> None:
    twin = an_image(("base", 100), ("own", 10))
    tree = a_tree(twin, twin)
    assert tree.alone(tip(twin)) == Reclaim(0, is_exact=True)
    assert tree.together([tip(twin)] * 2) == Reclaim(110, is_exact=True)


def test_a_parent_frees_nothing_while_its_child_is_kept() -> None:
    child = an_image(("base", 100), ("own", 10))
    tree = a_tree(child[:1], child)
    assert tree.alone(tip(child[:1])) == Reclaim(0, is_exact=True)
    assert tree.alone(tip(child)) == Reclaim(10, is_exact=True)


def test_an_image_without_layers_frees_nothing() -> None:
    assert a_tree([]).alone(ChainId("")) == Reclaim(0, is_exact=True)


def test_a_layer_of_unknown_size_makes_the_sum_a_lower_bound() -> None:
    image = an_image(("base", None), ("own", 10))
    assert a_tree(image).alone(tip(image)) == Reclaim(10, is_exact=False)


def test_a_kept_layer_of_unknown_size_has_no_effect() -> None:
    one, two = an_image(("base", None), ("one", 10)), an_image(("base", None), ("two", 1))
    assert a_tree(one, two).alone(tip(one)) == Reclaim(10, is_exact=True)


def test_nothing_is_certain_while_a_kept_image_was_not_inspected() -> None:
    image = an_image(("base", 100))
    tree = LayerTree(image, [tip(image), None])
    assert tree.alone(tip(image)) == Reclaim(0, is_exact=False)
    assert tree.together([tip(image), None]) == Reclaim(100, is_exact=False)


def test_an_image_that_the_tree_does_not_have_frees_nothing() -> None:
    image, stranger = an_image(("base", 100)), an_image(("other", 5))
    assert a_tree(image).alone(tip(stranger)) == Reclaim(0, is_exact=True)


def test_layers_without_an_image_have_no_effect() -> None:
    left_over, image = an_image(("base", 100), ("gone", 1)), an_image(("base", 100))
    assert LayerTree([*left_over, *image], [tip(image)]).alone(tip(image)) == Reclaim(100, is_exact=True)


images = st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=6)


@given(
    images.flatmap(
        lambda each: st.tuples(st.just(each), st.lists(st.booleans(), min_size=len(each), max_size=len(each)))
    )
)
def test_together_frees_every_layer_of_the_removed_that_no_other_image_has(
    case: tuple[list[list[str]], list[bool]],
) -> None:
    names, goes = case
    every = [an_image(*((name, ord(name)) for name in image)) for image in names]
    kept = {layer for image, go in zip(every, goes, strict=True) if not go for layer in image}
    freed = {layer for image, go in zip(every, goes, strict=True) if go for layer in image} - kept
    result = a_tree(*every).together([tip(image) for image, go in zip(every, goes, strict=True) if go])
    assert result == Reclaim(sum(layer.size_bytes or 0 for layer in freed), is_exact=True)
