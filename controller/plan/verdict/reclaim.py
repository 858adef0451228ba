"""Bytes that removals would free, computed from layers: exact on graph drivers, a lower bound on the containerd store
(its compressed blobs are not counted), an estimate on Podman. Layers that BuildKit holds are not freed, so where it has
a cache the figure is an upper bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

from controller.image.layers import ChainId, LayerTree, Reclaim
from controller.image.reference import ImageId
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation, Store
from controller.plan.verdict.verdict import Verdict


class Bound(StrEnum):
    """How a predicted figure relates to the bytes that are freed; the words stand before the figure."""

    EXACT = "exact"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    ABOUT = "about"


def bound_of(freed: Reclaim, seen: Observation | None) -> Bound:
    """What is certain about a prediction on this engine."""
    if seen is None:
        return Bound.EXACT
    if seen.engine.store is Store.PODMAN:
        return Bound.ABOUT
    may_be_more = not freed.is_exact or seen.engine.store is Store.CONTAINERD
    if seen.has_build_cache:
        return Bound.ABOUT if may_be_more else Bound.AT_MOST
    return Bound.AT_LEAST if may_be_more else Bound.EXACT


def not_counted(seen: Observation | None) -> str:
    """What the size of the layers of all images leaves out of the image store, in words; empty if nothing."""
    if seen is None:
        return ""
    blobs = "the compressed blobs of the containerd store" if seen.engine.store is Store.CONTAINERD else ""
    cache = "BuildKit's cache" if seen.has_build_cache else ""
    return " and ".join(filter(None, (blobs, cache)))


def layer_tree(memory: Memory) -> LayerTree:
    """The layers of all images on the node."""
    return LayerTree(memory.layers.values(), (record.tip for record in memory.records.values()))


def own_top_layers(memory: Memory) -> dict[ImageId, ChainId]:
    """Images whose topmost layer is in no other image: its removal frees that layer at least."""
    holders: Counter[ChainId] = Counter()
    for record in memory.records.values():
        chain = record.tip
        while chain and (layer := memory.layers.get(chain)):
            holders[chain] += 1
            chain = layer.parent
    return {image: record.tip for image, record in memory.records.items() if record.tip and holders[record.tip] == 1}


def last_removal_of_each(removals: Iterable[Verdict], memory: Memory) -> dict[ImageId, Verdict]:
    """The last removal of each image that loses all its names, in the order of removal."""
    names_left: dict[ImageId, int] = {}
    last: dict[ImageId, Verdict] = {}
    images = memory.seen.images if memory.seen else {}
    for verdict in removals:
        left = names_left.get(verdict.image, len(images[verdict.image].removable_references) or 1) - 1
        names_left[verdict.image] = left
        if left == 0:
            last[verdict.image] = verdict
    return last


def freed_in_turn(removals: Sequence[Verdict], memory: Memory) -> list[Reclaim]:
    """Bytes freed by each removal in this order; a removed name of an image with other names frees nothing."""
    last = last_removal_of_each(removals, memory)
    freed = layer_tree(memory).in_turn(memory.records[image].tip for image in last)
    by_verdict = {id(verdict): reclaim for verdict, reclaim in zip(last.values(), freed, strict=True)}
    return [by_verdict.get(id(verdict), Reclaim(0, is_exact=True)) for verdict in removals]


def freed_together(removals: Sequence[Verdict], memory: Memory) -> Reclaim:
    """Bytes freed by all of them: less than the sum of the images' sizes, because layers are shared."""
    last = last_removal_of_each(removals, memory)
    return layer_tree(memory).together(memory.records[image].tip for image in last)
