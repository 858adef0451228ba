"""Events of the engine between two observations.

An event never requests a removal. It is activity of an image, which only makes the image younger, or a change that
makes a measurement of the store's total invalid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from controller.image.reference import ImageId
from controller.value import dataclass


class EventKind(StrEnum):
    """The kinds of events that are read; the words are displayed."""

    USED = "used by a container"
    PULLED = "pulled"
    TAGGED = "tagged"
    LOADED = "loaded"
    IMPORTED = "imported"
    BUILT = "built"
    BUILT_UPON = "built upon"
    SAVED = "saved"
    PUSHED = "pushed"
    UNTAGGED = "untagged"
    DELETED = "deleted"

    @property
    def is_activity(self) -> bool:
        """True if the event shows that the image is wanted."""
        return self not in (EventKind.UNTAGGED, EventKind.DELETED)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one image, which is named by ID, by text, or both (engines differ)."""

    kind: EventKind
    image: ImageId | None = None
    name: str = ""
    """The name in the event: what was pulled, or what a container was created from."""
    by_agent: bool = False
    """The container belongs to a service of the Open Horizon agent."""
    is_creation: bool = False
    """A container was created. Its later events repeat the name, which may have moved by then."""
    is_replayed: bool = False
    """Sent when the stream was opened, perhaps for the second time."""
    at: int = 0
    """Nanoseconds, of a pull without an image ID; else 0. A second pull may have moved the name."""


@dataclass(frozen=True, slots=True)
class EventCursor:
    """Up to where the events of one engine were used."""

    at: int = 0
    """The engine's time, in nanoseconds; 0: none was used."""
    run: str = ""
    """Identifies the engine's process, if that is a time without an event."""


@dataclass(frozen=True, slots=True)
class ReceivedEvents:
    """Events received since the last read of the stream."""

    events: Sequence[Event] = ()
    cursor: int = 0
    """The engine's time of the last event, in nanoseconds; 0 if there was none."""
    is_up: bool = True
    """The stream is connected. If not, more events follow after the reconnection."""
    has_hole: bool = False
    """The stream was reopened and did not start with the last known event: some events are lost."""
    run: str = ""
    """Identifies the engine's process, if the cursor is a time without an event."""
    refusal: str = ""
    """The engine's answer if it refuses the stream."""
    engine: str = ""
    """Identity of the engine of the cursor; empty if it is not known."""

    @property
    def is_all(self) -> bool:
        """True if no event can be missing."""
        return self.is_up and not self.has_hole

    def followed_by(self, later: ReceivedEvents) -> ReceivedEvents:
        """Both together, equal events once."""
        events = tuple(dict.fromkeys((*self.events, *later.events)))
        return replace(later, events=events, has_hole=self.has_hole or later.has_hole)
