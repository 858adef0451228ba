"""The verdict on one reference: it is removed now, it waits, or it is kept, and why.

`plan`, `explain`, the status page, the logs and the metric labels use the words of `Reason`.
"""

from __future__ import annotations

from enum import StrEnum

from controller.image.reference import ImageId
from controller.image.selector import Selector
from controller.value import dataclass


class Reason(StrEnum):
    """Why a reference is removed, waits or is kept; in the order in which the planner checks them."""

    NO_RULE = "NO_RULE"
    PROTECTED = "PROTECTED"
    IN_USE = "IN_USE"
    HAS_CHILDREN = "HAS_CHILDREN"
    SETTLING = "SETTLING"
    NOT_DOWNLOADED_BY_AGENT = "NOT_DOWNLOADED_BY_AGENT"
    KEPT_AS_RECENT = "KEPT_AS_RECENT"
    NOT_STARTED = "NOT_STARTED"
    NOT_IDLE_LONG_ENOUGH = "NOT_IDLE_LONG_ENOUGH"
    DUE = "DUE"
    BACKING_OFF = "BACKING_OFF"
    PARENT_NOT_DUE = "PARENT_NOT_DUE"
    HELD_BACK = "HELD_BACK"


class Action(StrEnum):
    """What the controller does after a verdict."""

    REMOVE = "remove"
    WAIT = "wait"
    KEEP = "keep"


_WAITING = frozenset(
    (
        Reason.SETTLING,
        Reason.NOT_STARTED,
        Reason.NOT_IDLE_LONG_ENOUGH,
        Reason.BACKING_OFF,
        Reason.PARENT_NOT_DUE,
        Reason.HELD_BACK,
    )
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
    """Ledger time; None while it is not known (a written start waits until the wall clock can be trusted)."""
    expected_from: float | None = None
    """An estimate to the minute while `in_force_from` is not known."""
    keep_last: int = 0
    """The rule never removes this many most recently used images of each repository."""
    lost_tag_only: bool = False
    """True if the rule covers only images that had a tag and lost it."""
    delete_after_seconds_under_pressure: float | None = None
    """The limit while the disk is under pressure; None: `delete_after_seconds`."""

    def limit_seconds(self, is_under_pressure: bool) -> float:
        """How long an image must have been idle."""
        under_pressure = self.delete_after_seconds_under_pressure if is_under_pressure else None
        return self.delete_after_seconds if under_pressure is None else under_pressure

    @property
    def name(self) -> str:
        """`document#number`; the number counts from 0, as in `removal[0]`."""
        return f"{self.document}#{self.number}"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one rule for one reference."""

    rule: Rule
    reason: Reason
    until: float | None = None
    """When this result changes if nothing else happens."""
    due_at: float | None = None
    """When the rule removes the reference if nothing else happens; None: never, or not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one reference, by which rule, and why. Times are ledger times."""

    image: ImageId
    reference: str
    """As displayed; the image ID if the image has no name."""
    target: str
    """The name or ID in the request to the engine."""
    reason: Reason
    rule: Rule | None = None
    until: float | None = None
    due_at: float | None = None
    detail: str = ""
    """The evidence, for display."""
    is_under_pressure: bool = False
    """True if it is due only because the disk is under pressure."""

    @property
    def action(self) -> Action:
        """Remove, wait or keep."""
        if self.reason is Reason.DUE:
            return Action.REMOVE
        return Action.WAIT if self.reason in _WAITING else Action.KEEP
