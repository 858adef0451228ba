"""What must hold before each request.

The engine's refusal is not sufficient: without an error it removes one of several names of an image in use, and
an image that a container mounts. So containers are listed again before such requests, and an image
that the event stream shows active is kept. A controller that may have missed an event sends no request at all.
"""

from __future__ import annotations

import threading
from collections.abc import Set
from dataclasses import field

from controller.daemon.ports import EnginePort, EventsPort
from controller.errors import ObservationOutdated
from controller.image.reference import ImageId
from controller.plan.memory.event import EventKind
from controller.plan.memory.names import LostNames, Names, renamed
from controller.plan.memory.observation import Observation, Store, pruned_with, users_of
from controller.value import dataclass

_INTERRUPTED = "the {} was interrupted after the images were listed, so events may be missing; the next pass continues"

_MOST_READS = 10
_TOO_BUSY = "containers are created or images are changed faster than they can be listed; the next pass continues"


@dataclass(frozen=True, slots=True)
class Position:
    """Positions of the event stream and of the connection to the engine at the start of the observation."""

    mark: int
    """Place in the event stream before the observation."""
    stream: int
    connection: int

    def interruption(self, events: EventsPort, engine: EnginePort) -> str:
        """What has been interrupted since; empty if nothing was."""
        if not events.is_up or events.generation != self.stream:
            return "event stream of the engine"
        return "connection to the engine" if engine.generation != self.connection else ""


@dataclass
class Checks:
    """What is known of the engine while a batch runs; shared by the threads that send its requests."""

    engine: EnginePort
    events: EventsPort
    observation: Observation
    position: Position
    lost_names: LostNames = field(default_factory=dict)
    """Names that images had lost before the observation: late events may still use them."""
    mark: int = field(init=False)
    """Up to where the event stream was read."""
    pauses_for_pull: bool = field(init=False, default=False)
    """Set on Podman after a pull: a removal can break a pull that shares layers."""
    _active: set[ImageId] = field(init=False, default_factory=set)
    _names: Names = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.mark = self.position.mark
        self._names = Names(self.observation.images, lost=self.lost_names)

    def before_batch(self) -> None:
        """List the containers again. Raises ObservationOutdated, EngineUnavailable."""
        self.raise_if_interrupted()
        self._active |= self._used_now()

    def raise_if_interrupted(self) -> None:
        """Raises ObservationOutdated if events may be missing since the observation."""
        if what := self.position.interruption(self.events, self.engine):
            raise ObservationOutdated(_INTERRUPTED.format(what))

    def permit_image(self, image: ImageId) -> bool:
        """True if the image is still unused. Raises ObservationOutdated, EngineUnavailable."""
        permitted = self._is_inactive(image, frozenset()) and not self._would_prune_a_parent(image)
        self.raise_if_interrupted()
        return permitted

    def _would_prune_a_parent(self, image: ImageId) -> bool:
        """Would the engine delete a parent with it? The parent may have lost its name, or another child, just now.

        Parents that are due were removed before.
        """
        if not self.observation.engine.prunes_parents or self.observation.images[image].parent is None:
            return False
        return pruned_with(image, self.engine.images()) is not None

    def permit_name(self, image: ImageId, name: str) -> bool:
        """The same before one of several names is removed; in addition the name must still refer to the image.

        Raises also ImageGone.
        """
        permitted = self._is_inactive(image, self._used_now()) and self.engine.image_named(name) == image
        self.raise_if_interrupted()
        return permitted

    def _is_inactive(self, image: ImageId, used: Set[ImageId]) -> bool:
        with self._lock:
            self._active |= used
            for _ in range(_MOST_READS):  # Requests for lists take time as well.
                if not self._read_events():
                    return image not in self._active and not self.pauses_for_pull
        raise ObservationOutdated(_TOO_BUSY)

    def _read_events(self) -> bool:
        """Read the new events of the stream; true if one of them is activity."""
        events, self.mark = self.events.after(self.mark)
        activity = [event for event in events if event.kind.is_activity]
        self._active.update(*map(self._names.affected_by, activity))
        if self.observation.engine.store is Store.PODMAN and any(event.kind is EventKind.PULLED for event in activity):
            self.pauses_for_pull = True
        if any(event.is_creation for event in activity):  # It may mount any image.
            self._active |= self._used_now()
        if any(map(self._names.may_move_others, activity)):
            self._active |= renamed(self.observation.images, self.engine.images())
        return bool(activity)

    def _used_now(self) -> Set[ImageId]:
        return users_of(self.observation.images, self.engine.containers()).keys()
