"""What a pass needs of the outside, and nothing more. The adapters fit these protocols and know nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.image.image import Container, Image
from controller.image.layers import Layer
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory.disk import ImageDisk
from controller.plan.memory.event import Event, ReceivedEvents
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Engine
from controller.plan.node.agent import NodeAnswer
from controller.plan.verdict.removal import Batch, Intent, Removal
from controller.policy.document.parse import FolderReading


class EnginePort(Protocol):
    """The container engine. Every call may raise EngineUnavailable."""

    @property
    def generation(self) -> int:
        """Changes whenever the engine may be another one than before."""
        ...

    def identify(self) -> Engine:
        """Which engine answers."""
        ...

    def images(self) -> Mapping[ImageId, Image]:
        """All images; an unchanged one is the same object as last time."""
        ...

    def containers(self) -> Sequence[Container]:
        """All containers, in whatever state."""
        ...

    def service_images(self) -> frozenset[str]:
        """Names of images of swarm services."""
        ...

    def layers(self, image: ImageId) -> tuple[Layer, ...]:
        """The layers of one image, lowest first; raises ImageGone too."""
        ...

    def store_bytes(self) -> int:
        """What the image store occupies, by its own count."""
        ...

    def written_bytes(self) -> int:
        """What containers have written into their own layers, by the engine's count."""
        ...

    def remove(self, target: str) -> tuple[str, ...]:
        """Remove one name, or the image of one ID; raises ImageGone, RemovalRefused and RemovalFailed too.

        EngineUnreachable: nobody was asked. EngineUnavailable: no answer tells whether it was done.
        """
        ...


class EventsPort(Protocol):
    """The engine's event stream, read by somebody else all the time."""

    @property
    def generation(self) -> int:
        """Changes whenever the stream was connected anew."""
        ...

    @property
    def is_up(self) -> bool:
        """Does the stream stand?"""
        ...

    def take(self) -> ReceivedEvents:
        """What was told since the last call."""
        ...

    def mark(self) -> int:
        """A place in the stream."""
        ...

    def after(self, mark: int) -> tuple[tuple[Event, ...], int]:
        """Events since that place, and a new one; the next pass takes them all the same."""
        ...


class LedgerPort(Protocol):
    """The memory on disk. Every call may raise LedgerUnavailable."""

    @property
    def resets(self) -> int:
        """How often a damaged ledger was moved aside and begun anew."""
        ...

    def load(self) -> Memory:
        """The memory as it was last saved."""
        ...

    def save(self, memory: Memory, inbox_read_to: int = 0) -> None:
        """Write what differs."""
        ...

    def inbox(self) -> tuple[int, tuple[str, ...]]:
        """Names given to `record-download` since the last save."""
        ...

    def intend(self, intents: Sequence[Intent]) -> None:
        """Write down what is about to be asked of the engine."""
        ...

    def open_intents(self) -> tuple[Intent, ...]:
        """Intents whose outcome is not known."""
        ...

    def drop_intents(self, but: Sequence[Intent] = ()) -> None:
        """Forget all open intents but these."""
        ...

    def record(self, removals: Sequence[Removal], batch: Batch | None = None) -> None:
        """Write outcomes, and close their intents."""
        ...


class FolderPort(Protocol):
    """The policy folder."""

    @property
    def is_watched(self) -> bool:
        """Do changes ring the bell, or only the clock?"""
        ...

    @property
    def is_stopped(self) -> bool:
        """Is there a file STOP in the folder now?"""
        ...

    def read(self) -> FolderReading:
        """Everything in it, anew; never raises."""
        ...


class NodePort(Protocol):
    """Whoever knows which node this is."""

    def ask(self) -> NodeAnswer:
        """The answer of this moment; never raises."""
        ...


class DiskPort(Protocol):
    """The file system that holds the images."""

    def measure(self, engine: Engine) -> ImageDisk:
        """Size and free space now; never raises."""
        ...


class ProgressPort(Protocol):
    """Somebody who waits for a long row of removals."""

    def began(self, removals: int) -> None:
        """So many are about to be asked for."""
        ...

    def answered(self, freed_bytes: int) -> None:
        """One was answered, by whatever outcome; bytes that are not known yet are 0. Called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside, as one value."""

    clock: Clock
    folder: FolderPort
    node: NodePort
    engine: EnginePort
    events: EventsPort
    ledger: LedgerPort
    jitter: Callable[[], float]
    """A number from 0 to 1, for jitter."""
    own_container: str = ""
    """ID of the container in which this program runs, or empty."""
    progress: ProgressPort | None = None
    """Whoever wants to hear of removals while they are under way."""
