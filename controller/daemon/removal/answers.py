"""Interprets the engine's answers to removal requests.

Everything that the engine reports as deleted is compared with the request. After a batch, the results are compared with
a second observation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace

from controller.errors import EngineUnavailable, EngineUnreachable, ImageGone, RemovalFailed, RemovalRefused
from controller.image.layers import ChainId, freed_bytes
from controller.image.reference import ImageId, image_id
from controller.plan.memory.observation import Observation, Store
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Exactness,
    Freed,
    Intent,
    Outcome,
    Removal,
    what_became_of,
)
from controller.value import dataclass

_STILL_THERE = "the engine answered that it is removed, but it is still there"


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """One request: the last name of an image is removed by the image ID, the others by name."""

    intent: Intent
    is_last_name: bool
    is_compare_and_swap: bool = False
    """The containerd store removes `repo:tag@digest` only while that tag means that image."""

    @property
    def target(self) -> str:
        """The name or ID in the request."""
        intent = self.intent
        if self.is_last_name:
            return intent.image
        is_tag = "@" not in intent.target
        return f"{intent.target}@{intent.image}" if self.is_compare_and_swap and is_tag else intent.target


@dataclass(frozen=True, slots=True)
class RemovalAnswer:
    """The result of one request."""

    intent: Intent
    outcome: Outcome
    freed: Freed
    message: str = ""
    is_unanswered: bool = False
    """No answer, or an invalid one: the next observation shows the result."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What requests may delete: the images and layers that were observed."""

    observation: Observation
    sizes: Mapping[ChainId, int | None]
    """Of all known layers."""
    own_top_layers: Mapping[ImageId, ChainId] = field(default_factory=dict)
    """The topmost layer of each image, if no other image has it."""

    def answer(self, request: RemovalRequest, send: Callable[[str], Sequence[str]]) -> RemovalAnswer:
        """Send a request and check its answer. Raises EngineUnreachable: no request was sent."""
        intent = request.intent
        try:
            return self.checked(request, [image_id(row) for row in send(request.target)])
        except ImageGone as gone:
            return RemovalAnswer(intent, Outcome.GONE, NOTHING_FREED, str(gone))
        except RemovalRefused as refusal:
            return RemovalAnswer(intent, Outcome.REFUSED, NOTHING_FREED, str(refusal))
        except RemovalFailed as failure:
            return RemovalAnswer(intent, Outcome.FAILED, NOTHING_FREED, str(failure))
        except EngineUnreachable:
            raise
        except EngineUnavailable as error:
            return RemovalAnswer(intent, Outcome.FAILED, UNKNOWN_BYTES, str(error), is_unanswered=True)

    def checked(self, request: RemovalRequest, deleted: Sequence[str]) -> RemovalAnswer:
        """The result of a request; the engine reported these images and layers as deleted."""
        if unexpected := self.unexpected(request, deleted):
            is_measured = self.observation.engine.store is not Store.GRAPH_DRIVER
            freed = FREED_IN_BATCH if is_measured else UNKNOWN_BYTES
            return RemovalAnswer(request.intent, Outcome.UNEXPECTED, freed, _in_words(unexpected))
        # Podman removes a parent with the last of its names and answers only that it was untagged.
        is_podman = self.observation.engine.store is Store.PODMAN
        is_gone = request.intent.image in deleted or (request.is_last_name and is_podman)
        if not is_gone:
            return RemovalAnswer(request.intent, Outcome.UNTAGGED, self._freed(deleted))
        freed = UNKNOWN_BYTES if self._is_held_elsewhere(request.intent.image, deleted) else self._freed(deleted)
        return RemovalAnswer(request.intent, Outcome.REMOVED, freed)

    def _is_held_elsewhere(self, image: ImageId, deleted: Sequence[str]) -> bool:
        """Does something else, such as a push, still hold the image's own layers? Then they are freed later, and no
        answer names them. BuildKit's cache keeps them for longer.
        """
        if self.observation.engine.store is not Store.GRAPH_DRIVER or self.observation.has_build_cache:
            return False
        return image in self.own_top_layers and self.own_top_layers[image] not in deleted

    def unexpected(self, request: RemovalRequest, deleted: Sequence[str]) -> list[str]:
        """Deleted IDs that the request does not explain.

        By name, while other names are left: all. By ID: every other image. An unknown ID is a layer of unknown size;
        but Podman lists no layers, so there it is an image that came after the observation.
        """
        if not request.is_last_name:
            return list(deleted)
        known = deleted if self.observation.engine.store is Store.PODMAN else self.observation.images
        return [row for row in deleted if row in known and row != request.intent.image]

    def _freed(self, deleted: Sequence[str]) -> Freed:
        """Graph drivers report each deleted layer; other stores can only be measured around the batch."""
        if self.observation.engine.store is not Store.GRAPH_DRIVER:
            return FREED_IN_BATCH
        freed = freed_bytes(deleted, self.sizes)
        return Freed(freed, Exactness.UNKNOWN if freed is None else Exactness.EXACT)


def _in_words(deleted: Sequence[str]) -> str:
    return f"the engine also deleted {', '.join(deleted[:3])}{' …' if len(deleted) > 3 else ''}"


def confirmed(
    removals: Sequence[Removal], unanswered: Collection[Intent], closing: Observation, active: Collection[ImageId]
) -> tuple[Removal, ...]:
    """The results of removals according to a second observation, regardless of the engine's answers."""
    return in_batches(_confirmed(removal, removal.intent in unanswered, closing, active) for removal in removals)


def in_batches(removals: Iterable[Removal]) -> tuple[Removal, ...]:
    """The removals, without the batches in which no image was removed after all: these need no figure."""
    removals = tuple(removals)
    with_figure = {each.batch for each in removals if each.outcome in (Outcome.REMOVED, Outcome.UNEXPECTED)}
    return tuple(each if each.batch in with_figure else _without_batch(each) for each in removals)


def _without_batch(removal: Removal) -> Removal:
    return replace(removal, batch="", freed=NOTHING_FREED if removal.freed == FREED_IN_BATCH else removal.freed)


def _confirmed(removal: Removal, is_unanswered: bool, closing: Observation, active: Collection[ImageId]) -> Removal:
    """Correct one result.

    A removal whose reference still exists has failed, unless events show that the image was pulled or tagged again
    meanwhile. A failed removal whose reference is gone has succeeded.
    """
    if removal.outcome is Outcome.UNEXPECTED:
        return removal
    became = what_became_of(removal.intent, closing)
    if removal.outcome is Outcome.FAILED and became is Outcome.UNTAGGED:
        return replace(removal, outcome=became, freed=NOTHING_FREED)
    if removal.outcome is Outcome.FAILED and became is not None:
        return replace(removal, outcome=became, freed=FREED_IN_BATCH if removal.batch else UNKNOWN_BYTES)
    if is_unanswered:
        return replace(removal, freed=NOTHING_FREED)
    if not removal.outcome.is_success or removal.intent.image in active:
        return removal
    if became is None:
        answer = f": {removal.message}" if removal.outcome is Outcome.GONE else ""
        return replace(removal, outcome=Outcome.FAILED, freed=NOTHING_FREED, message=_STILL_THERE + answer)
    # An engine may keep a parent, without a name, for its children.
    is_kept = removal.outcome is Outcome.REMOVED and became is Outcome.UNTAGGED
    return replace(removal, outcome=became) if is_kept else removal
