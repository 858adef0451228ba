"""One removal: the intent, the outcome, and the bytes that it freed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from controller.image.reference import ImageId
from controller.value import dataclass

if TYPE_CHECKING:  # Commands that read the history need neither.
    from controller.plan.memory.observation import Observation
    from controller.plan.verdict.verdict import Verdict


class Outcome(StrEnum):
    """The result of one request to remove a reference."""

    REMOVED = "removed"
    """The image is removed."""
    UNTAGGED = "untagged"
    """The name is removed; the image is kept under another one."""
    GONE = "gone"
    """There was nothing to remove: another program removed it first."""
    REFUSED = "refused"
    FAILED = "failed"
    UNEXPECTED = "unexpected"
    """The engine deleted more than was requested."""

    @property
    def is_success(self) -> bool:
        """True if the reference was removed, and nothing else."""
        return self in (Outcome.REMOVED, Outcome.UNTAGGED, Outcome.GONE)


class Exactness(StrEnum):
    """The exactness of a number of freed bytes."""

    EXACT = "exact"
    LOWER_BOUND = "lower bound"
    UNKNOWN = "unknown"
    IN_BATCH = "in the batch's figure"
    """Several removals were measured together: the batch has the bytes."""


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes freed on disk; `bytes` is None unless exactness is EXACT or LOWER_BOUND."""

    bytes: int | None
    exactness: Exactness


_NO_ANSWER = "found removed: the engine's answer was not recorded"
"""The process was killed, or the connection broke and no observation followed in that pass."""
NOTHING_FREED = Freed(0, Exactness.EXACT)
UNKNOWN_BYTES = Freed(None, Exactness.UNKNOWN)
FREED_IN_BATCH = Freed(None, Exactness.IN_BATCH)


@dataclass(frozen=True, slots=True)
class Intent:
    """A removal that will be requested. It is stored before the request, so that it is known after a power cut."""

    image: ImageId
    reference: str
    target: str
    document: str
    rule: int
    text_hash: str
    idle_seconds: float
    size_bytes: int | None
    pressure: str = ""
    """The disk pressure that made it due, in words; it is not in the ledger's row of an intent."""


@dataclass(frozen=True, slots=True)
class Removal:
    """An intent and its result."""

    intent: Intent
    outcome: Outcome
    freed: Freed
    wall_seconds: float
    """Wall time, as far as the host knows it."""
    message: str = ""
    """The engine's message if it refused or failed; what else it deleted if that was unexpected; the disk pressure that
    made the removal due.
    """
    batch: str = ""
    """The batch whose bytes were measured together; empty if each removal has its own number."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Bytes freed by several removals of one document together."""

    name: str
    document: str
    freed: Freed


@dataclass(frozen=True, slots=True)
class Mark:
    """Something in the history that is not a removal: another engine answered."""

    wall_seconds: float
    message: str


def intent_of(verdict: Verdict, idle_seconds: float, size_bytes: int | None) -> Intent:
    """The removal that a verdict requires. Raises ValueError if the verdict is not DUE."""
    from controller.plan.verdict.verdict import Reason

    rule = verdict.rule
    if rule is None or verdict.reason is not Reason.DUE:
        raise ValueError(f"{verdict.reference} is not due: {verdict.reason}")
    return Intent(
        image=verdict.image,
        reference=verdict.reference,
        target=verdict.target,
        document=rule.document,
        rule=rule.number,
        text_hash=rule.text_hash,
        idle_seconds=idle_seconds,
        size_bytes=size_bytes,
        pressure=verdict.detail if verdict.is_under_pressure else "",
    )


def resolved(intents: Sequence[Intent], seen: Observation) -> list[Removal]:
    """The results of intents without a recorded answer: an absent reference was removed, and the bytes are unknown.

    An image that is gone with several names was removed once, with the last of them. A reference that still exists has
    no result.
    """
    last = {intent.image: intent for intent in intents}
    removals: list[Removal] = []
    for intent in intents:
        outcome = what_became_of(intent, seen)
        if outcome is Outcome.REMOVED and last[intent.image] is not intent:
            outcome = Outcome.UNTAGGED
        if outcome is not None:
            freed = UNKNOWN_BYTES if outcome is Outcome.REMOVED else NOTHING_FREED
            removals.append(Removal(intent, outcome, freed, seen.at.wall_seconds, _NO_ANSWER))
    return removals


def what_became_of(intent: Intent, seen: Observation) -> Outcome | None:
    """REMOVED if the image no longer exists, UNTAGGED if it lost the name, None if nothing has changed.

    It compares the reference and not the request: the last name of an image is removed by the image ID.
    """
    image = seen.images.get(intent.image)
    if image is None:
        return Outcome.REMOVED
    if intent.reference == image.id or any(name.familiar == intent.reference for name in (*image.tags, *image.digests)):
        return None
    return Outcome.UNTAGGED
