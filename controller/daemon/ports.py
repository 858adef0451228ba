"""The interfaces that a pass needs. The adapters implement these protocols and do not import them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from controller.image.image import Container, Image
from controller.image.layers import Layer
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory.disk import ImageDisk
from controller.plan.memory.event import Event, EventCursor, ReceivedEvents
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Engine
from controller.plan.node.agent import NodeAnswer
from controller.plan.verdict.removal import Batch, Intent, Mark, Removal
from controller.policy.document.parse import FolderReading
from controller.value import dataclass


class EnginePort(Protocol):
    """The container engine. Every call may raise EngineUnavailable."""

    @property
    def generation(self) -> int:
        """Changes when another engine may answer."""
        ...

    def identify(self) -> Engine:
        """The engine that answers."""
        ...

    def images(self) -> Mapping[ImageId, Image]:
        """All images; an unchanged image is the same object as in the last call."""
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

    def has_build_cache(self) -> bool:
        """True if the engine's builder holds layers, which are then not freed with their images."""
        ...

    def remove(self, target: str) -> tuple[str, ...]:
        """Remove one name, or the image of one ID; return the deleted IDs in the answer.

        The request is sent once. Raises also ImageGone, RemovalRefused and RemovalFailed. EngineUnreachable: it was not
        sent. EngineUnavailable: it is unknown whether it was executed.
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
        """True if the stream is connected and read."""
        ...

    @property
    def refusal(self) -> str:
        """The engine's answer if it refuses the stream; else empty."""
        ...

    def take(self) -> ReceivedEvents:
        """The events since the last call."""
        ...

    def keep(self, cursors: Mapping[str, EventCursor]) -> None:
        """The cursors of all known engines, by identity: a stream of another engine than now starts there."""
        ...

    def mark(self) -> int:
        """A place in the stream."""
        ...

    def after(self, mark: int) -> tuple[tuple[Event, ...], int]:
        """Events since that place, and the new place; the next pass still receives them."""
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

    def save(self, memory: Memory, inbox_read_to: int = 0, mark: Mark | None = None) -> None:
        """Write the differences, and a mark into the history."""
        ...

    def inbox(self) -> tuple[int, tuple[str, ...]]:
        """Names given to `record-download` since the last save."""
        ...

    def intend(self, intents: Sequence[Intent]) -> None:
        """Store removals before they are requested from the engine."""
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
        """True if changes wake the loop, false if only the timer does."""
        ...

    @property
    def is_stopped(self) -> bool:
        """True if there is a file STOP in the folder now."""
        ...

    def read(self) -> FolderReading:
        """All documents and problems; never raises."""
        ...


class NodePort(Protocol):
    """The source of the node's identity."""

    def ask(self) -> NodeAnswer:
        """The current answer; never raises."""
        ...

    def ask_again(self, may_wait: Callable[[], bool]) -> NodeAnswer | None:
        """An answer of the agent to a question that begins now; None without an agent. Never raises.

        Waits at most 30 s, as long as `may_wait` is true.
        """
        ...


class DiskPort(Protocol):
    """The file system that holds the images."""

    def measure(self, engine: Engine) -> ImageDisk:
        """Size and free space now; never raises."""
        ...


class ProgressPort(Protocol):
    """Shows the progress of many removals."""

    def began(self, removals: int) -> None:
        """Number of removals that will be requested."""
        ...

    def answered(self, freed_bytes: int) -> None:
        """One removal was answered; bytes that are not known yet are 0. Called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of a pass."""

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
