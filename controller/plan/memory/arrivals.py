"""How images arrived, for the first time or again: by a pull, a load, a build or an import.

A pass takes the events before it lists the images, and a pass that removes lists them once more at its end. So a list
may show an image whose event is taken in the next pass. Until then its arrival is open, and the next events complete
it: what was known before of an image that returned ends, and a build or load wins over a pull by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from controller.image.reference import ImageId
from controller.plan.memory.event import Event, EventKind, ReceivedEvents
from controller.plan.memory.memory import Arrival, Memory, Record
from controller.plan.memory.names import Names, spellings
from controller.plan.memory.observation import Observation
from controller.value import dataclass

EVENTS_ARRIVE_WITHIN_SECONDS = 10.0
"""After the list that shows their image; Podman reads its events from a log."""

_ORIGINS = {
    EventKind.TAGGED: EventKind.BUILT,
    EventKind.PULLED: EventKind.PULLED,
    EventKind.LOADED: EventKind.LOADED,
    EventKind.IMPORTED: EventKind.IMPORTED,
    EventKind.BUILT: EventKind.BUILT,
}
"""A tag event without a pull means a build."""
_PROOF = tuple(_ORIGINS)
"""From weak to strong evidence."""
_NOT_LISTED_YET = Arrival(inf, has_old_evidence=True)
"""An arrival since the last list: all that is known is from before."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The arrivals that one observation and the events before it show."""

    arrived: Mapping[ImageId, Arrival]
    """Images whose arrival an event shows."""
    origins: Mapping[ImageId, EventKind]
    """Their origin; the strongest evidence wins."""
    arriving: Mapping[ImageId, Arrival]
    """Open arrivals, as in the memory."""

    def is_before(self, record: Record, image: ImageId) -> bool:
        """True if the record is from before the arrival of the image."""
        return image in self.arrived and record.first_seen < self.arrived[image].since


def arrivals_in(
    known: Memory, seen: Observation, received: ReceivedEvents | None, names: Names, now: float
) -> Arrivals:
    """The arrivals in an observation; `names` are those of it and of the one before, `now` is ledger time."""
    events = received.events if received else ()
    deleted = {event.image for event in events if event.image and event.kind is EventKind.DELETED}
    shown = sorted((e for e in events if e.kind in _ORIGINS), key=lambda event: _PROOF.index(event.kind))
    named_here = {(event.image, event.name) for event in shown if event.kind is EventKind.TAGGED}
    names_of_now = Names(seen.images, events=events)
    arrived: dict[ImageId, Arrival] = {}
    origins: dict[ImageId, EventKind] = {}
    for event in shown:
        for image in names.images_of(event):
            if image in deleted or image not in known.records:
                arrived[image] = _NOT_LISTED_YET
            elif image in known.arriving and not _is_another_tag(event, image, known):
                arrived[image] = known.arriving[image]
            else:
                continue
            # Docker's pull events have no image ID: an image that was tagged with this name was not pulled, nor was
            # one that lost this name to the pulled image.
            if event.image or (image in names_of_now.images_of(event) and (image, event.name) not in named_here):
                origins[image] = _ORIGINS[event.kind]
    # Podman sends the event of a deletion for a refused removal too, so it alone shows no return.
    listed_now = {image: Arrival(now, image in known.evidence) for image in (*deleted, *_new(known, seen))}
    arriving = {
        image: replace(arrival, has_old_evidence=arrival.has_old_evidence and image not in arrived)
        for image, arrival in (_waiting(known, received, now) | listed_now).items()
        if image in seen.images
    }
    return Arrivals(arrived, origins, known.arriving if arriving == known.arriving else arriving)


def _is_another_tag(event: Event, image: ImageId, known: Memory) -> bool:
    """True if the event added a tag to an image that was listed with other names before."""
    listed = known.seen.images.get(image) if known.seen else None
    names = {name.canonical for name in (*listed.tags, *listed.digests)} if listed else set()
    return event.kind is EventKind.TAGGED and bool(names) and names.isdisjoint(spellings(event.name))


def _waiting(known: Memory, received: ReceivedEvents | None, now: float) -> dict[ImageId, Arrival]:
    """Arrivals that remain open: not all events since their list were taken, or one may be late."""
    is_all = received is not None and received.is_all
    closed = now - EVENTS_ARRIVE_WITHIN_SECONDS if is_all else -inf
    return {image: arrival for image, arrival in known.arriving.items() if arrival.since > closed}


def _new(known: Memory, seen: Observation) -> list[ImageId]:
    """Images that the last list did not have. What the first list has was there before."""
    if known.seen is None:
        return []
    before = known.seen.images
    return [image for image in seen.images if image not in before and image not in known.records]
