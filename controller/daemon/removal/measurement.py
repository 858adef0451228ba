"""Measures the bytes that a batch of removals freed, by the total of the store before and after the batch.

The figure is unknown, and is reported as unknown, if another change of the store falls between the two readings or
within a second after them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from controller.daemon.ports import EnginePort, EventsPort
from controller.errors import EngineUnavailable
from controller.image.reference import ImageId
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.observation import Store
from controller.plan.verdict.removal import UNKNOWN_BYTES, Batch, Exactness, Freed
from controller.value import dataclass

QUIET_FOR_SECONDS = 1.0
"""Events may arrive late; after this time without a foreign one the figure is final."""

_CHANGES_THE_STORE = frozenset(EventKind) - {
    EventKind.USED,
    EventKind.BUILT_UPON,
    EventKind.SAVED,
    EventKind.PUSHED,
}


@dataclass(frozen=True, slots=True)
class StoreReading:
    """The total of the store, and the bytes written by containers, which the containerd store includes in the total."""

    total_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a batch is compared with."""

    reading: StoreReading | None
    """None: unknown, so the figure will be unknown."""
    mark: int
    """Place in the event stream before the reading."""


def reading_before(engine: EnginePort, store: Store) -> StoreReading | None:
    """Read the bytes written by containers first here, last after the batch: equal values show that none wrote between.

    None if the engine gives no figure: the containerd store, while images are added or removed (moby#51978).
    """
    try:
        written = _written_bytes(engine, store)
        return StoreReading(_total_bytes(engine, store), written)
    except EngineUnavailable:
        return None


def reading_after(engine: EnginePort, store: Store) -> StoreReading | None:
    """The reading after the batch, in the opposite order."""
    try:
        total = _total_bytes(engine, store)
        return StoreReading(total, _written_bytes(engine, store))
    except EngineUnavailable:
        return None


def fall(before: StoreReading | None, after: StoreReading | None) -> int | None:
    """The decrease of the store's total in bytes; None if unknown, or if something else changed the store."""
    if before is None or after is None or before.written_bytes != after.written_bytes:
        return None
    fell = before.total_bytes - after.total_bytes
    return fell if fell >= 0 else None


def _total_bytes(engine: EnginePort, store: Store) -> int:
    """The total as it is now. Docker answers requests that come during one with the answer to that: its total may be
    from before the removals. When it is answered, the next one is new.
    """
    if store is Store.CONTAINERD:
        engine.store_bytes()
    return engine.store_bytes()


def _written_bytes(engine: EnginePort, store: Store) -> int:
    return engine.written_bytes() if store is Store.CONTAINERD else 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A batch whose measurement is not final yet."""

    name: str
    document: str
    fell_bytes: int | None
    images_before: Collection[ImageId]
    mark: int
    """Up to where the event stream has been searched for foreign changes."""
    final_at: float
    """Uptime."""
    is_lower_bound: bool
    stream: int = 0
    """The generation of the event stream at the first reading: after a reconnection events may be missing."""
    is_invalid: bool = False

    def with_events(self, events: Iterable[Event], mark: int, own: Collection[ImageId]) -> Measurement:
        """The same after more events were read; `own` are the images whose names the controller removed itself."""
        foreign = any(event.kind in _CHANGES_THE_STORE and not _is_own(event, own) for event in events)
        return replace(self, mark=mark, is_invalid=self.is_invalid or foreign)

    def with_stream(self, events: EventsPort) -> Measurement:
        """The same after it was checked that the stream shows every event."""
        return replace(self, is_invalid=self.is_invalid or not events.is_up or events.generation != self.stream)

    def with_images(self, images: Collection[ImageId], removed: Collection[ImageId]) -> Measurement:
        """The same after one more observation: not every engine has an event for every change. `removed` are the images
        that the controller removed itself, with their last name.
        """
        foreign = (set(self.images_before) ^ set(images)) - set(removed)
        return replace(self, is_invalid=self.is_invalid or bool(foreign))

    @property
    def is_hopeless(self) -> bool:
        """True if the figure will remain unknown."""
        return self.is_invalid or self.fell_bytes is None

    @property
    def batch(self) -> Batch:
        """The batch with its measured bytes."""
        if self.is_invalid or self.fell_bytes is None:
            return Batch(self.name, self.document, UNKNOWN_BYTES)
        exactness = Exactness.LOWER_BOUND if self.is_lower_bound else Exactness.EXACT
        return Batch(self.name, self.document, Freed(self.fell_bytes, exactness))


def _is_own(event: Event, own: Collection[ImageId]) -> bool:
    return event.kind in (EventKind.DELETED, EventKind.UNTAGGED) and event.image in own


@dataclass(frozen=True, slots=True)
class Measurements:
    """The batches whose measurements are not final yet; kept between passes."""

    pending: tuple[Measurement, ...] = ()
    own: frozenset[ImageId] = frozenset()
    """Images of which the engine removed a name at the controller's request since the oldest batch began."""
    removed: frozenset[ImageId] = frozenset()
    """Those of which it was the last name."""
    beginning: Beginning | None = None
    """Of the next batch in the same pass; None if the total must be read."""

    def before_pass(self) -> Measurements:
        """The same before the first batch of a pass."""
        return replace(self, beginning=None) if self.pending else Measurements()

    def after_removal(self, own: Iterable[ImageId], removed: Iterable[ImageId]) -> Measurements:
        """The same after names of these images were removed, and these images. Those that the engine refused to remove
        are not among them: if they disappear, something else removed them, or the engine did it later than it answered.
        """
        return replace(self, own=self.own.union(own), removed=self.removed.union(removed))

    def followed_by(self, measurement: Measurement, beginning: Beginning | None) -> Measurements:
        """The same after one more batch."""
        return replace(self, pending=(*self.pending, measurement), beginning=beginning)

    def invalidated(self) -> Measurements:
        """The same after something that makes every figure unknown."""
        return replace(self, pending=tuple(replace(each, is_invalid=True) for each in self.pending))

    def compared(self, images: Collection[ImageId]) -> Measurements:
        """The same after the observation that follows all batches of a pass."""
        return replace(self, pending=tuple(each.with_images(images, self.removed) for each in self.pending))

    def with_events(self, events: EventsPort) -> Measurements:
        """The same after the events that have arrived meanwhile."""
        pending = (each.with_events(*events.after(each.mark), self.own).with_stream(events) for each in self.pending)
        return replace(self, pending=tuple(pending))

    def final(self, now: float) -> tuple[Batch, ...]:
        """Batches whose figures are final at this uptime."""
        return tuple(each.batch for each in self.pending if each.final_at <= now or each.is_hopeless)

    def without(self, names: Collection[str]) -> Measurements:
        """The same without the batches of these names."""
        return replace(self, pending=tuple(each for each in self.pending if each.name not in names))

    @property
    def next_final_at(self) -> float | None:
        """Uptime at which the first figure may be final."""
        return min((each.final_at for each in self.pending), default=None)
