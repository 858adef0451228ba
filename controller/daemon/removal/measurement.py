"""How much a batch of removals freed, where only the store's own total can tell: the fall between two readings around
it.

A reading is costly, and worth nothing if anything else changed the store in between or within a second after; then
the figure is unknown, and said to be unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from controller.daemon.ports import EnginePort
from controller.errors import EngineUnavailable
from controller.image.reference import ImageId
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.observation import Store
from controller.plan.verdict.removal import UNKNOWN_BYTES, Batch, Exactness, Freed

QUIET_FOR_SECONDS = 1.0
"""Events may come late; after this long without a foreign one the figure counts."""

_CHANGES_THE_STORE = frozenset(EventKind) - {EventKind.USED, EventKind.BUILT_UPON}


@dataclass(frozen=True, slots=True)
class StoreReading:
    """The store's total, and what containers have written: the containerd store counts that in."""

    total_bytes: int
    written_bytes: int


def reading_before(engine: EnginePort, store: Store) -> StoreReading | None:
    """What containers have written is read first here and last after the batch: if both agree, none wrote between.

    None if the engine cannot tell, as the containerd store cannot while images come and go (moby#51978).
    """
    try:
        written = _written_bytes(engine, store)
        return StoreReading(engine.store_bytes(), written)
    except EngineUnavailable:
        return None


def reading_after(engine: EnginePort, store: Store) -> StoreReading | None:
    """The counterpart, in the opposite order."""
    try:
        total = engine.store_bytes()
        return StoreReading(total, _written_bytes(engine, store))
    except EngineUnavailable:
        return None


def fall(before: StoreReading | None, after: StoreReading | None) -> int | None:
    """By how much the store's total fell; None if nobody knows, or if something else changed it meanwhile."""
    if before is None or after is None or before.written_bytes != after.written_bytes:
        return None
    fell = before.total_bytes - after.total_bytes
    return fell if fell >= 0 else None


def _written_bytes(engine: EnginePort, store: Store) -> int:
    return engine.written_bytes() if store is Store.CONTAINERD else 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A batch whose figure does not count yet."""

    name: str
    document: str
    fell_bytes: int | None
    images_before: Collection[ImageId]
    mark: int
    """Up to where the event stream has been searched for foreign changes."""
    counts_at: float
    """Uptime."""
    is_lower_bound: bool
    is_spoiled: bool = False

    def with_events(self, events: Iterable[Event], mark: int, own: Collection[ImageId]) -> Measurement:
        """The same after more of the event stream was seen; `own` are the images that we ask to remove ourselves."""
        foreign = any(event.kind in _CHANGES_THE_STORE and not _is_own(event, own) for event in events)
        return replace(self, mark=mark, is_spoiled=self.is_spoiled or foreign)

    def with_look(self, images: Collection[ImageId], own: Collection[ImageId]) -> Measurement:
        """The same after one more look: not every engine tells of every image that comes or goes."""
        foreign = (set(self.images_before) ^ set(images)) - set(own)
        return replace(self, is_spoiled=self.is_spoiled or bool(foreign))

    @property
    def is_hopeless(self) -> bool:
        """Will there never be a figure?"""
        return self.is_spoiled or self.fell_bytes is None

    @property
    def batch(self) -> Batch:
        """The batch with its figure."""
        if self.is_spoiled or self.fell_bytes is None:
            return Batch(self.name, self.document, UNKNOWN_BYTES)
        exactness = Exactness.LOWER_BOUND if self.is_lower_bound else Exactness.EXACT
        return Batch(self.name, self.document, Freed(self.fell_bytes, exactness))


def _is_own(event: Event, own: Collection[ImageId]) -> bool:
    return event.kind in (EventKind.DELETED, EventKind.UNTAGGED) and event.image in own
