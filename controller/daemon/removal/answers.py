"""What an answer of the engine means.

Everything that the engine says it deleted is compared with what was asked. After a batch, the results are compared with
a second observation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

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

_STILL_THERE = "the engine answered that it is removed, but it is still there"


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """One request: the last name of an image is removed by the image ID, the others by name."""

    intent: Intent
    is_last_name: bool

    @property
    def target(self) -> str:
        """What the engine is asked to remove."""
        return self.intent.image if self.is_last_name else self.intent.target


@dataclass(frozen=True, slots=True)
class RemovalAnswer:
    """The result of one request."""

    intent: Intent
    outcome: Outcome
    freed: Freed
    message: str = ""
    is_silence: bool = False
    """No answer, or none that can be read: the next observation shows what became of it."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What requests may delete: the images and layers that were observed."""

    observation: Observation
    sizes: Mapping[ChainId, int | None]
    """Of all known layers."""

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
        except EngineUnavailable as silence:
            return RemovalAnswer(intent, Outcome.FAILED, UNKNOWN_BYTES, str(silence), is_silence=True)

    def checked(self, request: RemovalRequest, deleted: Sequence[str]) -> RemovalAnswer:
        """The result of a request after which the engine named these images and layers as deleted."""
        if unexpected := self.unexpected(request, deleted):
            return RemovalAnswer(request.intent, Outcome.UNEXPECTED, UNKNOWN_BYTES, _in_words(unexpected))
        # Podman removes a parent with the last of its names and answers only that it was untagged.
        is_podman = self.observation.engine.store is Store.PODMAN
        is_gone = request.intent.image in deleted or (request.is_last_name and is_podman)
        return RemovalAnswer(request.intent, Outcome.REMOVED if is_gone else Outcome.UNTAGGED, self._freed(deleted))

    def unexpected(self, request: RemovalRequest, deleted: Sequence[str]) -> list[str]:
        """What must not have been deleted.

        By name, while others are left, that is everything. By ID it is every other image that is known. An ID that is
        not known is a layer whose size is not known.
        """
        if not request.is_last_name:
            return list(deleted)
        return [row for row in deleted if row in self.observation.images and row != request.intent.image]

    def _freed(self, deleted: Sequence[str]) -> Freed:
        """Graph drivers name each deleted layer; other stores can only be measured around the whole batch."""
        if self.observation.engine.store is not Store.GRAPH_DRIVER:
            return FREED_IN_BATCH
        freed = freed_bytes(deleted, self.sizes)
        return Freed(freed, Exactness.UNKNOWN if freed is None else Exactness.EXACT)


def _in_words(deleted: Sequence[str]) -> str:
    return f"the engine also deleted {', '.join(deleted[:3])}{' …' if len(deleted) > 3 else ''}"


def confirmed(
    removals: Sequence[Removal], unanswered: Collection[Intent], closing: Observation, active: Collection[ImageId]
) -> tuple[Removal, ...]:
    """The results of removals by a second observation, whatever the engine answered."""
    return tuple(_confirmed(removal, removal.intent in unanswered, closing, active) for removal in removals)


def _confirmed(removal: Removal, is_unanswered: bool, closing: Observation, active: Collection[ImageId]) -> Removal:
    """A removal whose reference is still there has failed, unless events show activity of the image: then it was
    pulled or tagged again meanwhile. One that failed although its reference is gone was done all the same.
    """
    if removal.outcome is Outcome.UNEXPECTED:
        return removal
    became = what_became_of(removal.intent, closing)
    if removal.outcome is Outcome.FAILED and became is not None:
        return replace(removal, outcome=became, freed=FREED_IN_BATCH if removal.batch else UNKNOWN_BYTES)
    if is_unanswered:
        return replace(removal, freed=NOTHING_FREED)
    if not removal.outcome.is_success or removal.intent.image in active:
        return removal
    if became is None:
        return replace(removal, outcome=Outcome.FAILED, freed=NOTHING_FREED, message=_STILL_THERE)
    # An engine may keep a parent, without a name, for its children.
    is_kept = removal.outcome is Outcome.REMOVED and became is Outcome.UNTAGGED
    return replace(removal, outcome=became) if is_kept else removal
