"""What the controller remembers between passes; the ledger stores exactly this.

All times are seconds of the ledger clock. A memory is a value: each pass makes a new one, and the ledger writes the
differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from controller.image.layers import ChainId, Layer
from controller.image.reference import ImageId
from controller.plan.memory.disk import Pressure
from controller.plan.memory.event import EventKind
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.observation import Observation
from controller.plan.node.agent import Beginning, KeptAnswer, NodeSource
from controller.value import dataclass

IN_USE = 0.0
"""A last use of 0: the image is in use now."""


@dataclass(frozen=True, slots=True)
class Record:
    """Use, activity, origin and names of one image."""

    first_seen: float
    last_used: float | None = None
    """By any container; 0 while in use, None if never seen in use."""
    last_used_by_agent: float | None = None
    """By an agent container; 0 while in use, None if never."""
    last_touched: float | None = None
    """The last activity other than use."""
    touch: EventKind | None = None
    """The kind of that activity."""
    origin: EventKind | None = None
    """Pulled, loaded, imported or built; None if no event showed it."""
    names: tuple[str, ...] = ()
    """Canonical names: its tags and digests. If it lost all tags (or all digests), the last ones are kept."""
    tip: ChainId | None = None
    """The chain ID of its top layer; None until it was inspected, empty if it has no layers."""
    has_returned_bare: bool = False
    """It was gone and returned without a tag: the tags among its names are from before; no newer image took them."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why an image counts as downloaded by the agent."""

    source: NodeSource
    detail: str
    since: float
    record: str = ""
    """The agent's record that named it, in words."""

    @property
    def is_by_name(self) -> bool:
        """True if the agent named it in a record: then it is of an image that was pulled."""
        return self.source in (NodeSource.AGREEMENT, NodeSource.SERVICE)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An image that was listed, perhaps before the event that shows how it arrived."""

    since: float
    """Ledger time of that list. An older record is not of this arrival."""
    has_old_evidence: bool
    """Evidence was known before: it is not of this arrival."""


@dataclass(frozen=True, slots=True)
class ExpectedDownload:
    """A name from `record-download` that no image has yet; it waits for a pull of that name."""

    name: str
    since: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when uses are observed without a gap. A use before may have gone unnoticed."""

    since: float = 0.0
    gap: str = ""
    """The cause of the gap, for display."""
    is_blind: bool = False
    """The gap has not ended: the engine's events are not available."""


@dataclass(frozen=True, slots=True)
class Pulls:
    """A series of pulls without a long pause; on Podman removals pause during it."""

    first: float
    last: float

    def continues_at(self, now: float) -> bool:
        """True if a pull at `now` belongs to this series."""
        return now - self.last < A_ROW_OF_PULLS_ENDS_AFTER_SECONDS

    def has_lasted(self, now: float) -> bool:
        """True if removals have paused for long enough."""
        return now - self.first >= A_ROW_OF_PULLS_ENDS_AFTER_SECONDS


A_ROW_OF_PULLS_ENDS_AFTER_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Spending:
    """Bytes that were freed, and when."""

    at: float
    bytes: int


class Setback(StrEnum):
    """How a removal did not succeed."""

    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last refused or failed removal of one reference, and when to retry."""

    setback: Setback
    message: str
    failures: int
    """Consecutive failures; the backoff doubles with each."""
    retry_at: float
    situation: str
    """Fingerprint of the image and of what uses it; the attempt is forgotten when it changes."""


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One text of one document: when it was first seen and since when it is in force."""

    first_seen: float
    last_present: float
    """Updated once an hour; of the texts of one document, the latest has the greatest value."""
    started_at: float | None
    """When its start time had passed; for `start: now` equal to first seen; None before."""
    text: str
    """The document as JSON; the history of removals refers to it by its hash."""
    file: str = ""
    """The file that had it last."""


@dataclass(frozen=True, slots=True)
class AwayEngine:
    """What is known of an engine while another one answers. It holds again when this one returns."""

    since: float
    """Ledger time of its last observation."""
    seen: Observation
    records: Mapping[ImageId, Record] = field(default_factory=dict)
    lost_names: Mapping[ImageId, tuple[str, ...]] = field(default_factory=dict)
    layers: Mapping[ChainId, Layer] = field(default_factory=dict)
    evidence: Mapping[ImageId, Evidence] = field(default_factory=dict)
    mounted: Mapping[str, tuple[ImageId, ...]] = field(default_factory=dict)
    arriving: Mapping[ImageId, Arrival] = field(default_factory=dict)
    swarm: Mapping[ImageId, float] = field(default_factory=dict)
    pulls: Pulls | None = None
    event_cursor: int = 0
    event_run: str = ""


AttemptKey = tuple[ImageId, str]
"""Image and the reference of the removal."""
TextKey = tuple[str, str]
"""Document name and hash of its text."""


@dataclass(frozen=True, slots=True)
class Memory:
    """All state that is kept between passes."""

    clock: LedgerClock = LedgerClock()
    seen: Observation | None = None
    """The last successful observation; None before the first."""
    watch: Watch = Watch()
    gap: str = ""
    """Why uses before the next pass may go unnoticed, apart from elapsed time; empty if there is no reason."""
    records: Mapping[ImageId, Record] = field(default_factory=dict)
    lost_names: Mapping[ImageId, tuple[str, ...]] = field(default_factory=dict)
    """Names that images lost recently: a late event may still use them."""
    layers: Mapping[ChainId, Layer] = field(default_factory=dict)
    evidence: Mapping[ImageId, Evidence] = field(default_factory=dict)
    expected: tuple[ExpectedDownload, ...] = ()
    attempts: Mapping[AttemptKey, Attempt] = field(default_factory=dict)
    node: KeptAnswer | None = None
    """The last valid answer about this node."""
    agreements: Mapping[str, Beginning] = field(default_factory=dict)
    """Active agreements of the agent by ID, with their start."""
    mounted: Mapping[str, tuple[ImageId, ...]] = field(default_factory=dict)
    """For each container that mounts images: every image that the names of its mounts have referred to since.

    Engines show the name of a mount but not the image ID, and they remove a mounted image after its name has moved."""
    arriving: Mapping[ImageId, Arrival] = field(default_factory=dict)
    """Arrivals that the next events complete."""
    swarm: Mapping[ImageId, float] = field(default_factory=dict)
    """When a container of a swarm service last used an image, 0 while one does: a swarm worker does not know the
    services.
    """
    pulls: Pulls | None = None
    spent: tuple[Spending, ...] = ()
    """Bytes freed in the last hour, for `--max-bytes-per-hour`."""
    event_cursor: int = 0
    """The engine's time, in nanoseconds, up to which its events have been processed."""
    event_run: str = ""
    """Identifies the engine's process, if the cursor is a time without an event."""
    texts: Mapping[TextKey, TextRecord] = field(default_factory=dict)
    pressure: Pressure | None = None
    """The state of the disk with the images; None: it is not under pressure."""
    away: Mapping[str, AwayEngine] = field(default_factory=dict)
    """Engines that answered before, by identity."""
