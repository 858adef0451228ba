"""What happened at the engine between two looks, as its event stream tells it.

An event never asks for a removal. It is a sign of life of an image (which only makes it younger), or a change that
spoils a reading of the store's total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.image.reference import ImageId


class EventKind(StrEnum):
    """The kinds of events that matter; the words are shown to people."""

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
        """Does somebody want the image, as far as this event tells?"""
        return self not in (EventKind.UNTAGGED, EventKind.DELETED)


@dataclass(frozen=True, slots=True)
class Event:
    """One event about one image, which it names by ID, by text, or both (engines differ)."""

    kind: EventKind
    image: ImageId | None = None
    name: str = ""
    """The text by which the event names the image: what was pulled, or what a container was created from."""
    by_agent: bool = False
    """The container belongs to a service of the Open Horizon agent."""
    is_creation: bool = False
    """A container was created just now. Its later events repeat the name, whatever that means by then."""
    is_replayed: bool = False
    """It was told as the stream began, and perhaps not for the first time."""


@dataclass(frozen=True, slots=True)
class ReceivedEvents:
    """What the event stream told since it was last listened to."""

    events: Sequence[Event] = ()
    cursor: int = 0
    """The engine's time of the last of them, in nanoseconds; 0: there never was one."""
    is_up: bool = True
    """The stream stood. If it did not, more is to come once it stands again."""
    has_hole: bool = False
    """It began anew, and not with the last known event: some have come that nobody will ever tell."""

    run: str = ""
    """The engine's process, if the cursor is a time without an event."""
    refusal: str = ""
    """The answer of an engine that refuses the stream."""

    @property
    def is_all(self) -> bool:
        """Can nothing have been missed?"""
        return self.is_up and not self.has_hole

    def followed_by(self, later: ReceivedEvents) -> ReceivedEvents:
        """Both together, each kind of event once."""
        events = tuple(dict.fromkeys((*self.events, *later.events)))
        return replace(later, events=events, has_hole=self.has_hole or later.has_hole)
