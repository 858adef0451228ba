"""Selects the removals for a disk under pressure, besides those that are due in any case: as few as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from controller.image.layers import ChainId
from controller.image.reference import ImageId
from controller.plan.memory.disk import DiskMark, DiskUsage
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation
from controller.plan.verdict.bare_parents import children_by_parent, pruned_although_kept
from controller.plan.verdict.reclaim import freed_in_turn
from controller.plan.verdict.verdict import Verdict


def needed_for_relief(
    due: Sequence[Verdict], more: Sequence[Verdict], memory: Memory, usage: DiskUsage, stop: DiskMark
) -> Sequence[Verdict]:
    """The first of `more` that must be removed, after all that is `due`, until the stop mark is reached by estimate.

    `more` has the longest idle images first, and children before parents. An image whose removal would free nothing is
    left out: a base of images that are kept, or an image that keeps another name. How many inodes an image has is not
    known; while they are missing, all that can free space are needed, and the measurement before each request decides.
    """
    useful = _that_free_space(due, more, memory)
    missing_bytes, missing_files = stop.missing_bytes(usage), stop.missing_files(usage)
    freed = [reclaim.at_least_bytes for reclaim in freed_in_turn((*due, *useful), memory)]
    total, needed = sum(freed[: len(due)]), list[Verdict]()
    for verdict, freed_bytes in zip(useful, freed[len(due) :], strict=True):
        if total >= missing_bytes and not missing_files:
            break
        needed.append(verdict)
        total += freed_bytes
    return _that_free_space(due, needed, memory)


def _that_free_space(due: Sequence[Verdict], more: Sequence[Verdict], memory: Memory) -> list[Verdict]:
    """Those of `more` whose image is removed with all its names, and whose top layer no image that is kept uses."""
    removed = _removed_images((*due, *more), memory)
    kept = _layers_of_others(removed, memory)
    children = memory.seen.children if memory.seen else {}
    done, useful = {verdict.image for verdict in due} & removed, list[Verdict]()
    for verdict in more:
        tip = memory.records[verdict.image].tip
        frees = tip is None or (tip != "" and tip not in kept)
        if verdict.image in removed and frees and done.issuperset(children.get(verdict.image, ())):
            useful.append(verdict)
            done.add(verdict.image)
    return _without_pruned_parents(useful, done, memory.seen) if memory.seen else useful


def _without_pruned_parents(more: Sequence[Verdict], removed: set[ImageId], seen: Observation) -> list[Verdict]:
    """Those after which the engine prunes no parent that is kept."""
    if not seen.bare_parents:
        return list(more)
    kept, children = seen.images.keys() - removed, children_by_parent(seen)
    return [each for each in more if not pruned_although_kept(each.image, kept, children, seen.bare_parents)]


def _removed_images(removals: Sequence[Verdict], memory: Memory) -> set[ImageId]:
    images = memory.seen.images if memory.seen else {}
    names = Counter(verdict.image for verdict in removals)
    return {image for image, count in names.items() if count == (len(images[image].removable_references) or 1)}


def _layers_of_others(removed: set[ImageId], memory: Memory) -> set[ChainId]:
    """The layers that images use which are kept."""
    used: set[ChainId] = set()
    for image, record in memory.records.items():
        chain = record.tip if image not in removed else None
        while chain and chain not in used:
            used.add(chain)
            chain = layer.parent if (layer := memory.layers.get(chain)) else None
    return used
