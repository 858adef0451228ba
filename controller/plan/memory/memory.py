"""What the controller remembers from pass to pass; the ledger keeps exactly this on disk.

All times are seconds of the ledger's clock. A memory is a value: a pass makes a new one, and the ledger writes what
differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.image.layers import ChainId, Layer
from controller.image.reference import ImageId
from controller.plan.memory.disk import Pressure
from controller.plan.memory.event import EventKind
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.observation import Observation
from controller.plan.node.agent import Beginning, KeptAnswer, NodeSource

IN_USE = 0.0
"""A last use of 0: the image is in use now."""


@dataclass(frozen=True, slots=True)
class Record:
    """For how long one image has been unused, and what it was called."""

    first_seen: float
    last_used: float | None = None
    """By any container; 0 while in use, None if never seen in use."""
    last_used_by_agent: float | None = None
    """By a container of an agent's service; 0 while in use, None if never."""
    last_touched: float | None = None
    """The last pull, tag, load, import or build."""
    touch: EventKind | None = None
    """Which of them it was."""
    origin: EventKind | None = None
    """How it came here, if events told: pulled, loaded, imported or built."""
    names: tuple[str, ...] = ()
    """Canonical names: the tags and the digests that it bears, or, where it lost all of a kind, those that it bore
    last.
    """
    tip: ChainId | None = None
    """The chain ID of its topmost layer; None until the engine was asked, empty if it has no layers."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why an image counts as downloaded by the agent; sticky once found."""

    source: NodeSource
    detail: str
    since: float


@dataclass(frozen=True, slots=True)
class ExpectedDownload:
    """A name from `record-download` that no image bears yet: it waits for a pull of that name."""

    name: str
    since: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when nothing can have escaped notice. What was used before may have been used unseen."""

    since: float = 0.0
    gap: str = ""
    """What kept anybody from watching, in words."""


@dataclass(frozen=True, slots=True)
class Pulls:
    """A row of pulls with no long pause in it; on Podman removals keep away from it."""

    first: float
    last: float

    def goes_on(self, now: float) -> bool:
        """Would a pull at `now` belong to this row?"""
        return now - self.last < A_ROW_OF_PULLS_ENDS_AFTER_SECONDS

    def has_lasted(self, now: float) -> bool:
        """Have removals kept away from it for long enough?"""
        return now - self.first >= A_ROW_OF_PULLS_ENDS_AFTER_SECONDS


A_ROW_OF_PULLS_ENDS_AFTER_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Spending:
    """Bytes that were freed, and when."""

    at: float
    bytes: int


class Setback(StrEnum):
    """How a removal came to nothing."""

    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last removal of one reference that came to nothing, and when to try again."""

    setback: Setback
    message: str
    failures: int
    """In a row; the backoff doubles with each."""
    retry_at: float
    situation: str
    """Fingerprint of what was asked to be removed and of what held it; the attempt counts only while this is so."""


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One text of one document: first seen when, in force from when."""

    first_seen: float
    last_present: float
    """Kept up to the hour; of the texts of one document, the greatest is that of the one that stood last."""
    started_at: float | None
    """When its written start was found to have passed; for `start: now` the same as first seen; None before."""
    text: str
    """What it says, as JSON: the history of removals names its hash."""


AttemptKey = tuple[ImageId, str]
"""Image and the reference by which it was to be removed."""
TextKey = tuple[str, str]
"""Document name and hash of its text."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that outlives a pass."""

    clock: LedgerClock = LedgerClock()
    seen: Observation | None = None
    """The last successful look; None before the first."""
    watch: Watch = Watch()
    gap: str = ""
    """What may have hidden uses before the next pass, other than time; empty if nothing did."""
    records: Mapping[ImageId, Record] = field(default_factory=dict)
    lost_names: Mapping[ImageId, tuple[str, ...]] = field(default_factory=dict)
    """Names that images have lost a moment ago: an event that is still on its way may mean them by these."""
    layers: Mapping[ChainId, Layer] = field(default_factory=dict)
    evidence: Mapping[ImageId, Evidence] = field(default_factory=dict)
    expected: tuple[ExpectedDownload, ...] = ()
    attempts: Mapping[AttemptKey, Attempt] = field(default_factory=dict)
    node: KeptAnswer | None = None
    """The last good answer to the question which node this is."""
    agreements: Mapping[str, Beginning] = field(default_factory=dict)
    """Active agreements of the agent by ID, and when each began."""
    mounted: Mapping[str, tuple[ImageId, ...]] = field(default_factory=dict)
    """Containers that mount images, by ID: every image that the names of their mounts have meant since.

    Engines show the text of a mount and never what it meant, and remove a mounted image once its name has moved on."""
    swarm: Mapping[ImageId, float] = field(default_factory=dict)
    """When an image last had a container of a swarm service: a swarm worker does not know the services."""
    pulls: Pulls | None = None
    spent: tuple[Spending, ...] = ()
    """Bytes freed in the last hour, for `--max-bytes-per-hour`."""
    event_cursor: int = 0
    """The engine's time, in nanoseconds, up to which its events have been taken in."""
    event_run: str = ""
    """The engine's process, if that is a time without an event."""
    texts: Mapping[TextKey, TextRecord] = field(default_factory=dict)
    pressure: Pressure | None = None
    """The state of the disk with the images; None: it is not under pressure."""
