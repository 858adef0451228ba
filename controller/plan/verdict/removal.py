"""One removal: what was intended, what came of it, and what it really freed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.image.reference import ImageId
from controller.plan.memory.observation import Observation
from controller.plan.verdict.verdict import Reason, Verdict


class Outcome(StrEnum):
    """What came of asking the engine to remove a reference."""

    REMOVED = "removed"
    """The image is gone."""
    UNTAGGED = "untagged"
    """The name is gone; the image stays under another one."""
    GONE = "gone"
    """There was nothing to remove: somebody else was faster."""
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_success(self) -> bool:
        """Is the reference gone?"""
        return self in (Outcome.REMOVED, Outcome.UNTAGGED, Outcome.GONE)


class Exactness(StrEnum):
    """How a figure of freed bytes is to be read."""

    EXACT = "exact"
    LOWER_BOUND = "lower bound"
    UNKNOWN = "unknown"
    IN_BATCH = "in the batch's figure"
    """The store can only be measured around several removals: the figure stands with the batch."""


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
    """A removal that is about to be asked for; written down first, so that a power cut leaves a trace."""

    image: ImageId
    reference: str
    target: str
    document: str
    rule: int
    text_hash: str
    idle_seconds: float
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Removal:
    """An intent and what came of it."""

    intent: Intent
    outcome: Outcome
    freed: Freed
    wall_seconds: float
    """When, as far as the host knows the date."""
    message: str = ""
    """The engine's words where it refused or failed."""
    batch: str = ""
    """Names the batch whose bytes were measured together; empty where each removal has its own figure."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What several removals of one document freed together."""

    name: str
    document: str
    freed: Freed


def intent_of(verdict: Verdict, idle_seconds: float, size_bytes: int | None) -> Intent:
    """The removal that a verdict asks for. Raises ValueError if it asks for none."""
    rule = verdict.rule
    if rule is None or verdict.reason is not Reason.DUE:
        raise ValueError(f"nothing removes {verdict.reference}: {verdict.reason}")
    return Intent(
        image=verdict.image,
        reference=verdict.reference,
        target=verdict.target,
        document=rule.document,
        rule=rule.number,
        text_hash=rule.text_hash,
        idle_seconds=idle_seconds,
        size_bytes=size_bytes,
    )


def resolved(intents: Iterable[Intent], seen: Observation) -> list[Removal]:
    """Intents of a controller that was killed: where the reference is absent now, it was removed, and the bytes are
    unknown.

    Where it is still there, nothing happened that anybody could tell.
    """
    return [
        Removal(intent, outcome, UNKNOWN_BYTES, seen.at.wall_seconds, "found done after a restart")
        for intent in intents
        if (outcome := what_became_of(intent, seen)) is not None
    ]


def what_became_of(intent: Intent, seen: Observation) -> Outcome | None:
    """REMOVED if the image is no longer there, UNTAGGED if it has lost the name; None: all is as it was."""
    image = seen.images.get(intent.image)
    if image is None:
        return Outcome.REMOVED
    if intent.target == image.id or any(name.familiar == intent.reference for name in (*image.tags, *image.digests)):
        return None
    return Outcome.UNTAGGED
