"""Ask the engine for removals: once for every reference, never with force; what came of it is a value.

The engine's refusal is a last guard and not a lock: it takes one of several names from under a running container, and
an image from under a mount, without a word. So containers are asked for again right before, and an image that the event
stream shows alive is left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from controller.daemon.ports import EnginePort, EventsPort, ProgressPort
from controller.errors import EngineUnavailable, EngineUnreachable, ImageGone, RemovalFailed, RemovalRefused
from controller.image.layers import ChainId, freed_bytes
from controller.image.reference import ImageId, image_id
from controller.plan.memory.event import EventKind
from controller.plan.memory.names import LostNames, Names, renamed
from controller.plan.memory.observation import Observation, Store, users_of
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Exactness,
    Freed,
    Intent,
    Outcome,
)

IN_FLIGHT_GETS_SECONDS = 8.0
"""After SIGTERM, for removals that the engine is already at."""
_HEARTBEAT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RemovalAnswer:
    """What came of asking for one reference."""

    intent: Intent
    outcome: Outcome
    freed: Freed
    message: str = ""
    is_silence: bool = False
    """The engine gave no answer: whether it did what it was asked is for the next look to tell."""


@dataclass(frozen=True, slots=True)
class Task:
    """All that goes of one image, one name after the other."""

    image: ImageId
    intents: tuple[Intent, ...]
    children: frozenset[ImageId]
    """Images built on it that go first; it goes only if all of them went."""


def tasks_of(intents: Iterable[Intent], children: Mapping[ImageId, Iterable[ImageId]]) -> list[Task]:
    """Removals by image, in the order of the first removal of each."""
    by_image: dict[ImageId, list[Intent]] = {}
    for intent in intents:
        by_image.setdefault(intent.image, []).append(intent)
    return [
        Task(image, tuple(own), frozenset(children.get(image, ())) & by_image.keys()) for image, own in by_image.items()
    ]


def waves_of(tasks: Iterable[Task]) -> list[list[Task]]:
    """Tasks that may run beside each other: an image in a later wave than its children (`tasks` has children first)."""
    height: dict[ImageId, int] = {}
    waves: list[list[Task]] = []
    for task in tasks:
        height[task.image] = max((height[child] + 1 for child in task.children), default=0)
        waves += [[]] * (height[task.image] == len(waves))
        waves[height[task.image]].append(task)
    return waves


@dataclass(frozen=True, slots=True)
class RemovalContext:
    """What removals are carried out with."""

    engine: EnginePort
    events: EventsPort
    stopping: threading.Event
    heartbeat: Callable[[], None]
    parallel: int = 4
    """Removals under way at once."""
    progress: ProgressPort | None = None
    is_stopped: Callable[[], bool] = lambda: False
    """Is there a file STOP in the policy folder now? Checked before each request."""


@dataclass
class Execution:
    """Removals under way: what is known of the engine, and what was answered so far."""

    hands: RemovalContext
    seen: Observation
    sizes: Mapping[ChainId, int | None]
    mark: int
    """Where the event stream stood before the look that the plan rests on."""
    lost_names: LostNames = field(default_factory=dict)
    """Names that images had lost by that look: what was used by them just before may be told only now."""
    in_flight: set[Intent] = field(default_factory=set)
    """Asked for and not answered yet; each leaves this set only after its answer is among `answers`."""
    answers: list[RemovalAnswer] = field(default_factory=list)
    trouble: EngineUnavailable | None = None
    """Why the rest was not asked for."""

    def __post_init__(self) -> None:
        self._names = Names(self.seen.images, lost=self.lost_names)
        self._removed: set[ImageId] = set()
        self._lively: set[ImageId] = set()
        self._keeps_clear = False
        self._lock = threading.Lock()

    def run(self, tasks: Iterable[Task]) -> None:
        """Ask for everything, as far as nothing gets in the way."""
        pool = ThreadPoolExecutor(self.hands.parallel, thread_name_prefix="removal")
        try:
            for wave in waves_of(tasks):
                if self._must_stop():
                    break
                self._lively |= self._used_now()
                ahead = iter(wave)
                self._await([pool.submit(self._remove_images, ahead) for _ in range(self.hands.parallel)])
        except EngineUnavailable as error:
            self.trouble = error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _await(self, futures: Iterable[Future[None]]) -> None:
        pending = set(futures)
        while pending and not self.hands.stopping.is_set():
            done, pending = wait(pending, _HEARTBEAT_SECONDS)
            _raise_if_broken(done)
            self.hands.heartbeat()
        done, _ = wait(pending, IN_FLIGHT_GETS_SECONDS)
        _raise_if_broken(done)

    def _must_stop(self) -> bool:
        return self.hands.stopping.is_set() or self.trouble is not None or self._keeps_clear or self.hands.is_stopped()

    def _remove_images(self, ahead: Iterator[Task]) -> None:
        """One after the other, whichever nobody else has begun yet."""
        for task in ahead:
            self._remove_image(task)

    def _remove_image(self, task: Task) -> None:
        """Every name of one image that is to go, as long as nothing tells against it."""
        names_left = len(self.seen.images[task.image].removable_references)
        try:
            for intent in task.intents:
                is_last_name = names_left <= 1
                if self._must_stop() or not self._may_go(task, is_last_name):
                    return
                answer = self._ask(intent, is_last_name)
                names_left -= 1
                if answer.outcome is Outcome.REMOVED:
                    self._removed.add(task.image)
                if not answer.outcome.is_success:
                    return
        except EngineUnavailable as error:
            self.trouble = error

    def _may_go(self, task: Task, is_last_name: bool) -> bool:
        """Is the image still as unwanted as the plan found it, and do its names still mean it?

        Asks for containers where the engine would not: before one of several names goes, and after a container was
        made, which may mount anything. Asks for images after an event that may have moved names without telling them.
        """
        if not task.children <= self._removed:
            return False
        used = frozenset[ImageId]() if is_last_name else self._used_now()
        with self._lock:
            self._lively |= used
            while self._hear():  # Asking takes its time, too.
                pass
            return task.image not in self._lively and not self._keeps_clear

    def _hear(self) -> bool:
        """Take in what the event stream has told since it was last asked; was there anything?"""
        events, self.mark = self.hands.events.after(self.mark)
        alive = [event for event in events if event.kind.is_activity]
        self._lively.update(*map(self._names.affected_by, alive))
        if self.seen.engine.store is Store.PODMAN and any(event.kind is EventKind.PULLED for event in alive):
            self._keeps_clear = True  # The next pull may share layers with what is left to be removed.
        if any(event.is_creation for event in alive):
            self._lively |= self._used_now()
        if any(map(self._names.may_move_others, alive)):
            self._lively |= renamed(self.seen.images, self.hands.engine.images())
        return bool(alive)

    def _used_now(self) -> Set[ImageId]:
        return users_of(self.seen.images, self.hands.engine.containers()).keys()

    def _ask(self, intent: Intent, is_last_name: bool) -> RemovalAnswer:
        self.in_flight.add(intent)
        try:
            answer = self._answer(intent, is_last_name)
            self.answers.append(answer)
            if self.hands.progress:
                self.hands.progress.answered(answer.freed.bytes or 0)
            return answer
        finally:
            self.in_flight.discard(intent)

    def _answer(self, intent: Intent, is_last_name: bool) -> RemovalAnswer:
        """Raises EngineUnreachable: nobody was asked."""
        try:
            deleted = [image_id(row) for row in self.hands.engine.remove(intent.target)]
        except ImageGone as gone:
            return RemovalAnswer(intent, Outcome.GONE, NOTHING_FREED, str(gone))
        except RemovalRefused as refusal:
            return RemovalAnswer(intent, Outcome.REFUSED, NOTHING_FREED, str(refusal))
        except RemovalFailed as failure:
            return RemovalAnswer(intent, Outcome.FAILED, NOTHING_FREED, str(failure))
        except EngineUnreachable:
            raise
        except EngineUnavailable as silence:
            return RemovalAnswer(intent, Outcome.FAILED, UNKNOWN_BYTES, str(silence), is_silence=True)
        # Podman drops a parent with the last of its names and says only that it was untagged.
        is_gone = intent.image in deleted or (is_last_name and self.seen.engine.store is Store.PODMAN)
        return RemovalAnswer(intent, Outcome.REMOVED if is_gone else Outcome.UNTAGGED, self._freed(deleted))

    def _freed(self, deleted: Sequence[str]) -> Freed:
        """Graph drivers name each layer that is gone; other stores can only be measured around the whole batch."""
        if self.seen.engine.store is not Store.GRAPH_DRIVER:
            return FREED_IN_BATCH
        freed = freed_bytes(deleted, self.sizes)
        return Freed(freed, Exactness.UNKNOWN if freed is None else Exactness.EXACT)


def _raise_if_broken(futures: Iterable[Future[None]]) -> None:
    """A task answers for all that can go wrong outside; anything else is our own mistake and must be seen."""
    for future in futures:
        future.result()
