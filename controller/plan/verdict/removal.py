"""One removal: the intent, the outcome, and the bytes that it freed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.image.reference import ImageId
from controller.plan.memory.observation import Observation
from controller.plan.verdict.verdict import Reason, Verdict


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
    """The engine deleted more than it was asked to."""

    @property
    def is_success(self) -> bool:
        """Is the reference removed, and nothing else?"""
        return self in (Outcome.REMOVED, Outcome.UNTAGGED, Outcome.GONE)


class Exactness(StrEnum):
    """How exact a figure of freed bytes is."""

    EXACT = "exact"
    LOWER_BOUND = "lower bound"
    UNKNOWN = "unknown"
    IN_BATCH = "in the batch's figure"
    """The store can only be measured around several removals: the batch has the figure."""


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes that left the disk; `bytes` is None unless exactness is EXACT or LOWER_BOUND."""

    bytes: int | None
    exactness: Exactness


NOTHING_FREED = Freed(0, Exactness.EXACT)
UNKNOWN_BYTES = Freed(None, Exactness.UNKNOWN)
FREED_IN_BATCH = Freed(None, Exactness.IN_BATCH)


@dataclass(frozen=True, slots=True)
class Intent:
    """A removal that is about to be requested; it is in the ledger first, so that a power cut leaves a trace."""

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
    """When, as far as the host knows the date."""
    message: str = ""
    """The engine's message if it refused or failed; what else it deleted if that was unexpected; the disk pressure that
    made the removal due.
    """
    batch: str = ""
    """Names the batch whose bytes were measured together; empty where each removal has its own figure."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What several removals of one document freed together."""

    name: str
    document: str
    freed: Freed


def intent_of(verdict: Verdict, idle_seconds: float, size_bytes: int | None) -> Intent:
    """The removal that a verdict requires. Raises ValueError if the verdict is not DUE."""
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
    """Intents of a controller that was killed: a reference that is absent now was removed, and the bytes are unknown.

    An image that is gone with several names was removed once, with the last of them. A reference that is still there
    has no result.
    """
    last = {intent.image: intent for intent in intents}
    removals: list[Removal] = []
    for intent in intents:
        outcome = what_became_of(intent, seen)
        if outcome is Outcome.REMOVED and last[intent.image] is not intent:
            outcome = Outcome.UNTAGGED
        if outcome is not None:
            freed = UNKNOWN_BYTES if outcome is Outcome.REMOVED else NOTHING_FREED
            removals.append(Removal(intent, outcome, freed, seen.at.wall_seconds, "found done after a restart"))
    return removals


def what_became_of(intent: Intent, seen: Observation) -> Outcome | None:
    """REMOVED if the image is no longer there, UNTAGGED if it lost the name; None: nothing has changed.

    The reference decides, and not what was sent: the last name of an image is removed by the image ID.
    """
    image = seen.images.get(intent.image)
    if image is None:
        return Outcome.REMOVED
    if intent.reference == image.id or any(name.familiar == intent.reference for name in (*image.tags, *image.digests)):
        return None
    return Outcome.UNTAGGED
