"""What a pass needs of the outside, and nothing more. The adapters fit these protocols and do not import them."""

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
        """The engine that answers."""
        ...

    def images(self) -> Mapping[ImageId, Image]:
        """All images; an unchanged one is the same object as last time."""
        ...

    def containers(self) -> Sequence[Container]:
        """All containers, in every state."""
        ...

    def service_images(self) -> frozenset[str]:
        """Names of images of swarm services."""
        ...

    def layers(self, image: ImageId) -> tuple[Layer, ...]:
        """The layers of one image, lowest first; raises ImageGone too."""
        ...

    def image_named(self, name: str) -> ImageId:
        """The image that has this name now; raises ImageGone too."""
        ...

    def store_bytes(self) -> int:
        """The size of the image store, by the engine's count."""
        ...

    def written_bytes(self) -> int:
        """What containers have written into their own layers, by the engine's count."""
        ...

    def remove(self, target: str) -> tuple[str, ...]:
        """Remove one name, or the image of one ID, and return what the answer names as deleted.

        The request is sent once. Raises ImageGone, RemovalRefused and RemovalFailed too; EngineUnreachable: it was not
        sent; EngineUnavailable: no answer shows whether it was done.
        """
        ...


class EventsPort(Protocol):
    """The event stream of the engine, read by a thread of its own."""

    @property
    def generation(self) -> int:
        """Changes whenever the stream is connected again."""
        ...

    @property
    def is_up(self) -> bool:
        """Is the stream connected, and is it read?"""
        ...

    def take(self) -> ReceivedEvents:
        """The events since the last call."""
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
        """How often a damaged ledger was moved aside and recreated."""
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
        """Write down what is about to be requested from the engine."""
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
        """Do changes wake the loop, or only the timer?"""
        ...

    @property
    def is_stopped(self) -> bool:
        """Is there a file STOP in the folder now?"""
        ...

    def read(self) -> FolderReading:
        """Everything in it; never raises."""
        ...


class NodePort(Protocol):
    """The source of the node's identity."""

    def ask(self) -> NodeAnswer:
        """The current answer; never raises."""
        ...


class DiskPort(Protocol):
    """The file system that holds the images."""

    def measure(self, engine: Engine) -> ImageDisk:
        """Size and free space now; never raises."""
        ...


class ProgressPort(Protocol):
    """Shows the progress of many removals."""

    def began(self, removals: int) -> None:
        """So many are about to be requested."""
        ...

    def answered(self, freed_bytes: int) -> None:
        """One was answered; bytes that are not known yet are 0. Called from several threads."""
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
    """Shows the progress of removals, if set."""
    disk: DiskPort | None = None
    """None: the disk is not measured."""
