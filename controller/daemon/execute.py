"""Ask the engine for removals: once for every reference, never with force; what came of it is a value.

The engine's refusal is a last guard and not a lock: it takes one of several names from under a running container
without a word. So containers are asked for again right before, and an image that the event stream shows alive is left
alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from controller.daemon.ports import EnginePort, EventsPort
from controller.errors import EngineUnavailable, ImageGone, RemovalFailed, RemovalRefused
from controller.image.layers import ChainId, freed_bytes
from controller.image.reference import ImageId, image_id
from controller.plan.names import Names
from controller.plan.observation import Observation, Store, users_of
from controller.plan.removal import FREED_IN_BATCH, NOTHING_FREED, Exactness, Freed, Intent, Outcome

IN_FLIGHT_GETS_SECONDS = 8.0
"""After SIGTERM, for removals that the engine is already at."""
_HEARTBEAT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for one reference."""

    intent: Intent
    outcome: Outcome
    freed: Freed
    message: str = ""


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
class Hands:
    """What removals are carried out with."""

    engine: EnginePort
    events: EventsPort
    stopping: threading.Event
    heartbeat: Callable[[], None]
    parallel: int = 4
    """Removals under way at once."""


@dataclass
class Execution:
    """Removals under way: what is known of the engine, and what was answered so far."""

    hands: Hands
    seen: Observation
    sizes: Mapping[ChainId, int | None]
    mark: int
    """Where the event stream stood before the look that the plan rests on."""
    answers: list[Answer] = field(default_factory=list)
    trouble: EngineUnavailable | None = None
    """Why the rest was not asked for."""
    in_flight: int = 0
    """Removals that were still under way when time was up."""

    def __post_init__(self) -> None:
        self._names = Names(self.seen.images)
        self._removed: set[ImageId] = set()
        self._lively: set[ImageId] = set()
        self._lock = threading.Lock()

    def run(self, tasks: Iterable[Task]) -> None:
        """Ask for everything, as far as nothing gets in the way."""
        pool = ThreadPoolExecutor(self.hands.parallel, thread_name_prefix="removal")
        try:
            for wave in waves_of(tasks):
                if self._must_stop():
                    break
                self._lively |= users_of(self.seen.images, self.hands.engine.containers()).keys()
                self._await([pool.submit(self._remove_image, task) for task in wave])
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
        done, pending = wait(pending, IN_FLIGHT_GETS_SECONDS)
        _raise_if_broken(done)
        self.in_flight = len(pending)

    def _remove_image(self, task: Task) -> None:
        """Every name of one image that is to go, as long as nothing tells against it."""
        names_left = len(self.seen.images[task.image].removable_references)
        try:
            for intent in task.intents:
                if self._must_stop() or not self._may_go(task, is_last_name=names_left <= 1):
                    return
                answer = self._ask(intent)
                self.answers.append(answer)
                names_left -= 1
                if answer.outcome is Outcome.REMOVED:
                    self._removed.add(task.image)
                if not answer.outcome.is_success:
                    return
        except EngineUnavailable as error:
            self.trouble = error

    def _must_stop(self) -> bool:
        return self.hands.stopping.is_set() or self.trouble is not None

    def _may_go(self, task: Task, is_last_name: bool) -> bool:
        """Is the image still as unwanted as the plan found it? Asks for containers where the engine would not."""
        if not task.children <= self._removed:
            return False
        users = () if is_last_name else users_of(self.seen.images, self.hands.engine.containers()).keys()
        with self._lock:
            self._lively.update(users)
            events, self.mark = self.hands.events.after(self.mark)
            self._lively |= self._names.all_meant(event for event in events if event.happening.is_sign_of_life)
            return task.image not in self._lively

    def _ask(self, intent: Intent) -> Answer:
        try:
            deleted = [image_id(row) for row in self.hands.engine.remove(intent.target)]
        except ImageGone as gone:
            return Answer(intent, Outcome.GONE, NOTHING_FREED, str(gone))
        except RemovalRefused as refusal:
            return Answer(intent, Outcome.REFUSED, NOTHING_FREED, str(refusal))
        except RemovalFailed as failure:
            return Answer(intent, Outcome.FAILED, NOTHING_FREED, str(failure))
        outcome = Outcome.REMOVED if intent.image in deleted else Outcome.UNTAGGED
        return Answer(intent, outcome, self._freed(deleted))

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
