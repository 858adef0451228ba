"""The requests of one batch: one for every reference, never with force, children before parents. Where the engine
prunes parents without a name, these are removed before their children.

Of an image with several names, the first ones are removed by name, the last one by the image ID, so that the image
that was judged is removed even if its name moves to another image in the same moment.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import field

from controller.daemon.ports import EnginePort, EventsPort, ProgressPort
from controller.daemon.removal.answers import Expectation, RemovalAnswer, RemovalRequest
from controller.daemon.removal.checks import Checks
from controller.errors import EngineUnavailable, ExternalError, ImageGone, ObservationOutdated
from controller.image.reference import ImageId
from controller.plan.memory.observation import Engine, Store
from controller.plan.verdict.removal import NOTHING_FREED, Intent, Outcome
from controller.value import dataclass

IN_FLIGHT_GETS_SECONDS = 8.0
"""Wait after SIGTERM for open requests."""
_HEARTBEAT_SECONDS = 0.5
_NOT_ANSWERED = "the engine did not answer a removal ({}); the next pass continues"


@dataclass(frozen=True, slots=True)
class Task:
    """All removals of one image, one name after the other."""

    image: ImageId
    intents: tuple[Intent, ...]
    removed_before: frozenset[ImageId]
    """Images that are removed first, its children or its parent; it is removed only if all of them were."""

    @property
    def is_under_pressure(self) -> bool:
        """True if a removal is due only because the disk is under pressure."""
        return any(intent.pressure for intent in self.intents)


def tasks_of(intents: Iterable[Intent], removed_before: Callable[[ImageId], Iterable[ImageId]]) -> list[Task]:
    """Removals by image, in the order of the first removal of each."""
    by_image: dict[ImageId, list[Intent]] = {}
    for intent in intents:
        by_image.setdefault(intent.image, []).append(intent)
    return [
        Task(image, tuple(own), frozenset(removed_before(image)) & by_image.keys()) for image, own in by_image.items()
    ]


def waves_of(tasks: Iterable[Task]) -> list[list[Task]]:
    """Tasks that may run in parallel: an image in a later wave than those that are removed before it (`tasks` has these
    first).
    """
    height: dict[ImageId, int] = {}
    waves: list[list[Task]] = []
    for task in tasks:
        height[task.image] = max((height[other] + 1 for other in task.removed_before), default=0)
        waves += [[]] * (height[task.image] == len(waves))
        waves[height[task.image]].append(task)
    return waves


@dataclass(frozen=True, slots=True)
class RemovalContext:
    """Interfaces and options for removals."""

    engine: EnginePort
    events: EventsPort
    stopping: threading.Event
    heartbeat: Callable[[], None]
    parallel: int = 4
    """Requests in flight at once."""
    progress: ProgressPort | None = None
    is_stopped: Callable[[], bool] = lambda: False
    """True if the policy folder has a file STOP. Checked before each request."""
    is_relieved: Callable[[Engine], bool] = lambda engine: False
    """True if the disk with the images is not under pressure. Checked before each image that pressure made due."""


@dataclass
class Execution:
    """The requests of one batch and the answers so far."""

    context: RemovalContext
    checks: Checks
    expectation: Expectation
    has_failed_under_pressure: bool = False
    """Without free inodes an engine cannot remove, but may take the name of each image: the next pass continues."""
    names_removed: Counter[ImageId] = field(default_factory=Counter)
    """Names of each image that this pass removed, in earlier batches too: rules of several documents may cover it."""
    in_flight: set[Intent] = field(default_factory=set)
    """Sent and not answered yet; each leaves this set only after its answer is among `answers`."""
    answers: list[RemovalAnswer] = field(default_factory=list)
    trouble: ExternalError | None = None
    """Why the rest was not requested."""
    _removed: set[ImageId] = field(init=False, default_factory=set)
    _one_by_one: threading.Lock = field(init=False, default_factory=threading.Lock)
    """Under pressure: each removal may be the one that the disk needs last."""

    def run(self, tasks: Iterable[Task]) -> None:
        """Send all requests that the checks permit."""
        # Where images are listed before each request, a list beside a removal fails (Podman 4).
        is_alone = self.expectation.observation.engine.prunes_parents
        parallel = 1 if is_alone else self.context.parallel
        pool = ThreadPoolExecutor(parallel, thread_name_prefix="removal")
        try:
            for wave in waves_of(tasks):
                if self._must_stop():
                    break
                self.checks.before_batch()
                ahead = iter(wave)
                self._await([pool.submit(self._remove_images, ahead) for _ in range(parallel)])
        except (EngineUnavailable, ObservationOutdated) as error:
            self.trouble = error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _await(self, futures: Iterable[Future[None]]) -> None:
        pending = set(futures)
        while pending and not self.context.stopping.is_set():
            done, pending = wait(pending, _HEARTBEAT_SECONDS)
            _raise_if_broken(done)
            self.context.heartbeat()
        done, _ = wait(pending, IN_FLIGHT_GETS_SECONDS)
        _raise_if_broken(done)

    def _must_stop(self) -> bool:
        if self.context.stopping.is_set() or self.context.is_stopped():
            return True
        return self.trouble is not None or self.checks.pauses_for_pull

    def _remove_images(self, ahead: Iterator[Task]) -> None:
        """Take one image after the other; several threads share the iterator."""
        for task in ahead:
            try:
                if task.is_under_pressure:
                    self._remove_unless_relieved(task)
                else:
                    self._remove_image(task)
            except (EngineUnavailable, ObservationOutdated) as error:
                self.trouble = error

    def _remove_unless_relieved(self, task: Task) -> None:
        with self._one_by_one:
            if self.has_failed_under_pressure or self.context.is_relieved(self.expectation.observation.engine):
                return
            self._remove_image(task)

    def _remove_image(self, task: Task) -> None:
        """Every name of one image that is due, as long as the checks permit it."""
        image, store = self.expectation.observation.images[task.image], self.expectation.observation.engine.store
        names = image.names_on_podman if store is Store.PODMAN else len(image.removable_references)
        for intent in task.intents:
            if self._must_stop() or not task.removed_before <= self._removed:
                return
            is_last_name = names - self.names_removed[task.image] <= 1
            is_containerd = store is Store.CONTAINERD
            answer = self._answer(RemovalRequest(intent, is_last_name, is_compare_and_swap=is_containerd))
            if answer is None or not answer.outcome.is_success:
                return
            self.names_removed[task.image] += 1
            if answer.outcome is Outcome.REMOVED:
                self._removed.add(task.image)

    def _answer(self, request: RemovalRequest) -> RemovalAnswer | None:
        """The checked answer; None if the checks do not permit the request."""
        try:
            if not self._permits(request):
                return None
        except ImageGone as gone:
            return self._answered(RemovalAnswer(request.intent, Outcome.GONE, NOTHING_FREED, str(gone)))
        self.in_flight.add(request.intent)
        try:
            return self._answered(self.expectation.answer(request, self.context.engine.remove))
        finally:
            self.in_flight.discard(request.intent)

    def _permits(self, request: RemovalRequest) -> bool:
        image = request.intent.image
        is_permitted = (
            self.checks.permit_image(image)
            if request.is_last_name
            else self.checks.permit_name(image, request.intent.target)
        )
        return is_permitted and not self._must_stop()  # The checks may have taken seconds.

    def _answered(self, answer: RemovalAnswer) -> RemovalAnswer:
        self.answers.append(answer)
        if answer.intent.pressure and answer.outcome is Outcome.FAILED:
            self.has_failed_under_pressure = True
        if answer.is_unanswered:
            self.trouble = ObservationOutdated(_NOT_ANSWERED.format(answer.message))
        if self.context.progress:
            self.context.progress.answered(answer.freed.bytes or 0)
        return answer


def _raise_if_broken(futures: Iterable[Future[None]]) -> None:
    """Raise errors of tasks: a task handles all external errors, so any other is a bug."""
    for future in futures:
        future.result()
