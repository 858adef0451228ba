"""How much a batch of removals freed, where only the store's own total can tell: the fall between two readings around
it.

A reading is costly, and worth nothing if anything else changed the store in between or within a second after; then
the figure is unknown, and said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from controller.image.reference import ImageId
from controller.plan.event import Event, Happening
from controller.plan.removal import UNKNOWN_BYTES, Batch, Exactness, Freed

QUIET_FOR_SECONDS = 1.0
"""Events may come late; after this long without a foreign one the figure counts."""

_CHANGES_THE_STORE = frozenset(Happening) - {Happening.USED, Happening.BUILT_UPON}


@dataclass(frozen=True, slots=True)
class Measurement:
    """A batch that was measured and whose figure does not count yet."""

    name: str
    document: str
    before_bytes: int
    after_bytes: int
    own: frozenset[ImageId]
    """Images of which this batch removed names."""
    mark: int
    """Up to where the event stream has been searched for foreign changes."""
    counts_at: float
    """Uptime."""
    is_lower_bound: bool
    is_spoiled: bool = False

    def with_events(self, events: Iterable[Event], mark: int) -> Measurement:
        """The same after more of the event stream was seen."""
        foreign = any(e.happening in _CHANGES_THE_STORE and not self._is_own(e) for e in events)
        return replace(self, mark=mark, is_spoiled=self.is_spoiled or foreign)

    def _is_own(self, event: Event) -> bool:
        return event.happening in (Happening.DELETED, Happening.UNTAGGED) and event.image in self.own

    @property
    def batch(self) -> Batch:
        """The batch with its figure."""
        fell = self.before_bytes - self.after_bytes
        if self.is_spoiled or fell < 0:
            return Batch(self.name, self.document, UNKNOWN_BYTES)
        return Batch(
            self.name, self.document, Freed(fell, Exactness.LOWER_BOUND if self.is_lower_bound else Exactness.EXACT)
        )
