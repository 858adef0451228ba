"""A node management policy and its removal rules as values, frozen and valid by construction.

Upgrade policies belong to the agent and are not kept.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256

from controller.constraint.property import Property
from controller.image.selector import Selector
from controller.value import dataclass

MOST_MINUTES = 2**53
MOST_SECONDS = 2**53
"""The largest whole number that every JSON reader keeps exactly."""
MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class ImageRemovalPolicy:
    """One rule: which images, and how long they must have been idle."""

    selector: Selector
    delete_after_minutes: int
    """An integer, because a timedelta ends at 10^9 days. 0: as soon as unused."""
    agent_downloaded_only: bool
    number: int
    """Its index in the document's list, from 0."""
    line: int
    keep_last: int = 0
    """The rule never removes this many most recently used images of each repository."""
    lost_tag_only: bool = False
    """True if the rule covers only images that had a tag and lost it."""
    delete_after_minutes_under_pressure: int | None = None
    """The limit while the disk is under pressure; None: `delete_after_minutes`."""

    def __post_init__(self) -> None:
        if not 0 <= self.delete_after_minutes <= MOST_MINUTES:
            raise ValueError(f"delete_after_minutes is {self.delete_after_minutes}, not from 0 to 2^53")
        if not 0 <= self.keep_last <= MOST_KEPT:
            raise ValueError(f"keep_last is {self.keep_last}, not from 0 to {MOST_KEPT}")
        under_pressure = self.delete_after_minutes_under_pressure
        if under_pressure is not None and not 0 <= under_pressure < self.delete_after_minutes:
            raise ValueError(f"delete_after_minutes_under_pressure is {under_pressure}, not below delete_after_minutes")

    @property
    def delete_after_seconds(self) -> int:
        return self.delete_after_minutes * 60

    @property
    def delete_after_seconds_under_pressure(self) -> int | None:
        minutes = self.delete_after_minutes_under_pressure
        return None if minutes is None else minutes * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeManagementPolicy:
    """One valid document, independent of its form and spelling."""

    name: str
    label: str
    description: str
    constraints: tuple[str, ...]
    properties: tuple[Property, ...]
    patterns: tuple[str, ...]
    enabled: bool
    start: datetime | None
    """With a time zone; None is `now`: when this text was first seen."""
    start_window_seconds: int
    removal: tuple[ImageRemovalPolicy, ...] | None
    """None: the document has no image policy."""
    text_hash: str
    """`hash_of(content_of(policy))`: depends on the content only, not on file, spelling, form or layout."""
    file: str
    line: int

    def __post_init__(self) -> None:
        if self.constraints and self.patterns:
            raise ValueError(f"{self.name} has both constraints and patterns")
        if self.start is not None and self.start.tzinfo is None:
            raise ValueError(f"the start of {self.name} has no time zone")
        if not 0 <= self.start_window_seconds <= MOST_SECONDS:
            raise ValueError(f"the start window of {self.name} is not from 0 to 2^53 seconds")


def content_of(policy: NodeManagementPolicy) -> dict[str, object]:
    """The document as plain values in the design's spelling; as YAML or JSON it is a document again.

    Without: its name and place, comments, and the fields of the Exchange (owner, created, lastUpdated).
    """
    content: dict[str, object] = {
        "label": policy.label,
        "description": policy.description,
        "constraints": list(policy.constraints),
        "properties": [_property(given) for given in policy.properties],
        "patterns": list(policy.patterns),
        "enabled": policy.enabled,
        "start": "now" if policy.start is None else policy.start.isoformat(),
        "startWindow": policy.start_window_seconds,
    }
    if policy.removal is not None:
        content["image_policy"] = {"removal": [_rule(rule) for rule in policy.removal]}
    return content


def hash_of(content: dict[str, object]) -> str:
    """SHA-256 of the content as JSON with sorted keys, in hexadecimal."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _property(given: Property) -> dict[str, object]:
    declared: dict[str, object] = {"type": given.type} if given.type else {}
    return {"name": given.name, "value": given.value, **declared}


def _rule(rule: ImageRemovalPolicy) -> dict[str, object]:
    """Optional fields only where they are set: the hash of a text without them never changes."""
    optional: dict[str, object] = {
        "keep_last": rule.keep_last or None,
        "lost_tag_only": rule.lost_tag_only or None,
        "delete_after_minutes_under_pressure": rule.delete_after_minutes_under_pressure,
    }
    return {
        "image_name": rule.selector.text,
        "delete_after_minutes": rule.delete_after_minutes,
        "agent_downloaded_only": rule.agent_downloaded_only,
        **{name: value for name, value in optional.items() if value is not None},
    }
