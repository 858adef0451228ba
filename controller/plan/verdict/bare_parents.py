"""Engines that prune: with an image, Podman before 4.6 deletes each parent that has neither a name nor another child,
except through its own API from 4.3 on. Removals use that; this rule does not rely on it.

Such a parent is an image with a verdict of its own. So it is removed before its child, by a request of its own; and as
long as it is not due, its child waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from controller.image.reference import ImageId
from controller.plan.memory.observation import Observation
from controller.plan.verdict.verdict import Reason, Verdict


def without_pruned_parents(verdicts: Sequence[Verdict], seen: Observation) -> tuple[Verdict, ...]:
    """The verdicts, with every removal waiting that would delete a parent which is not due."""
    if not seen.bare_parents:
        return tuple(verdicts)
    kept = {verdict.image for verdict in verdicts if verdict.reason is not Reason.DUE}
    children = children_by_parent(seen)
    return tuple(
        _waiting(verdict, parent)
        if verdict.reason is Reason.DUE
        and verdict.image not in kept  # Of an image that keeps a name, only other names are removed.
        and (parent := pruned_although_kept(verdict.image, kept, children, seen.bare_parents))
        else verdict
        for verdict in verdicts
    )


def children_by_parent(seen: Observation) -> Mapping[ImageId, Collection[ImageId]]:
    """The children of every parent, with names or without."""
    children: dict[ImageId, list[ImageId]] = {}
    for image in seen.images.values():
        if image.parent is not None:
            children.setdefault(image.parent, []).append(image.id)
    return children


def pruned_although_kept(
    image: ImageId,
    kept: Collection[ImageId],
    children: Mapping[ImageId, Collection[ImageId]],
    bare_parents: Mapping[ImageId, ImageId],
) -> ImageId | None:
    """The nearest parent that is not due and would be deleted with the image. A child that is kept keeps its parent."""
    parent = bare_parents.get(image)
    while parent is not None and not any(child in kept for child in children[parent]):
        if parent in kept:
            return parent
        parent = bare_parents.get(parent)
    return None


def _waiting(verdict: Verdict, parent: ImageId) -> Verdict:
    detail = f"the engine might also remove its parent {parent.removeprefix('sha256:')[:12]}, which is not due"
    return replace(verdict, reason=Reason.PARENT_NOT_DUE, until=None, due_at=None, detail=detail)
