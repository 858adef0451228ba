"""The verdict on one reference: it goes, it waits, or it stays, and why.

The words of `Reason` are the ones that `plan`, `explain`, the status page, the logs and the metric labels use.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.image.reference import ImageId
from controller.image.selector import Selector


class Reason(StrEnum):
    """Why a reference goes, waits or stays; in the order in which they are asked."""

    NO_RULE = "NO_RULE"
    PROTECTED = "PROTECTED"
    IN_USE = "IN_USE"
    HAS_CHILDREN = "HAS_CHILDREN"
    SETTLING = "SETTLING"
    NOT_DOWNLOADED_BY_AGENT = "NOT_DOWNLOADED_BY_AGENT"
    NOT_STARTED = "NOT_STARTED"
    NOT_IDLE_LONG_ENOUGH = "NOT_IDLE_LONG_ENOUGH"
    DUE = "DUE"
    BACKING_OFF = "BACKING_OFF"
    HELD_BACK = "HELD_BACK"


class Action(StrEnum):
    """What follows from a verdict."""

    REMOVE = "remove"
    WAIT = "wait"
    KEEP = "keep"


_WAITING = frozenset(
    (Reason.SETTLING, Reason.NOT_STARTED, Reason.NOT_IDLE_LONG_ENOUGH, Reason.BACKING_OFF, Reason.HELD_BACK)
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `image_policy.removal` of a document that applies to this node."""

    document: str
    number: int
    selector: Selector
    delete_after_seconds: float
    agent_downloaded_only: bool
    text_hash: str
    in_force_from: float | None
    """Ledger time; None while it cannot be known (a written start waits until the wall clock can be believed)."""
    expected_from: float | None = None
    """A best estimate of it meanwhile, to the minute."""

    @property
    def name(self) -> str:
        """How people find it: `document#number`, the number from 0 as in `removal[0]`."""
        return f"{self.document}#{self.number}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of one reference."""

    rule: Rule
    reason: Reason
    until: float | None = None
    """When this answer changes if nothing else happens."""
    due_at: float | None = None
    """When the rule would remove the reference if nothing else happens; None: never, or not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one reference, by which rule, and why. Times are on the ledger's clock."""

    image: ImageId
    reference: str
    """As people write it; the image's ID if it has no name."""
    target: str
    """The text by which the engine is asked to remove it."""
    reason: Reason
    rule: Rule | None = None
    until: float | None = None
    due_at: float | None = None
    detail: str = ""
    """The evidence, in words."""

    @property
    def action(self) -> Action:
        """Remove, wait or keep."""
        if self.reason is Reason.DUE:
            return Action.REMOVE
        return Action.WAIT if self.reason in _WAITING else Action.KEEP
