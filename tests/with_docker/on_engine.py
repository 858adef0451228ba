"""The controller on a real engine, pass by pass; only the policy folder and the clock are fake."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import docker

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from controller.adapters.engine.events import EventStream
from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.ledger import Ledger
from controller.daemon.ports import EnginePort, Ports
from controller.daemon.reconcile import PassOptions, Reconciler
from controller.daemon.status import Status
from controller.image.reference import ImageId, image_id
from controller.image.selector import parse_selector
from controller.instant import Instant
from controller.plan.memory.event import EventKind
from controller.plan.memory.observation import Store
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits
from controller.plan.verdict.removal import Removal
from controller.plan.verdict.verdict import Verdict
from tests.fakes import FakeFolder, FakeNode, Plain, a_document, a_removal
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine

A_LONG_TIME_SECONDS = 3600.0
NO_LIMITS = Limits()
_PATIENCE_SECONDS = 60.0
_MARKER = "marker.local/marker:1"


class PushedClock:
    """The real clock plus the time that a test skips."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._pushed = 0.0

    def now(self) -> Instant:
        now = self._clock.now()
        return replace(
            now,
            wall_seconds=now.wall_seconds + self._pushed,
            uptime_seconds=now.uptime_seconds + self._pushed,
        )

    def elapse(self, seconds: float) -> None:
        self._pushed += seconds


@dataclass
class OnEngine:
    """One controller on one engine."""

    api: docker.APIClient
    ledger: Ledger
    events: EventStream
    folder: FakeFolder
    clock: PushedClock
    reconciler: Reconciler
    stopping: threading.Event
    woken: threading.Event
    last: Status = field(init=False)
    removals: tuple[Removal, ...] = ()
    """The requested removals of the last call, with their results."""

    def rules(self, *rules: Plain) -> None:
        """Replace the rules of the only policy document."""
        self.folder.files = {"doc.yaml": a_document(*rules)}

    def run_pass(self) -> Status:
        """One pass."""
        self.last = self.reconciler.reconcile()
        self.removals = self.last.removals
        assert not self.last.trouble, self.last.trouble
        return self.last

    def run_pass_later(self) -> Status:
        """A pass with all events, and one at a time at which everything idle is due."""
        self.catch_up()
        at_once = self.run_pass().removals
        self.clock.elapse(A_LONG_TIME_SECONDS)
        status = self.run_pass()
        self.removals = (*at_once, *status.removals)
        return status

    def catch_up(self) -> None:
        """Wait for all events: an image of our own is created and removed last, and its event awaited."""
        mark = self.events.mark()
        marker = images.load_image(self.api, _MARKER, variant="marker", layers=())
        self.api.remove_image(_MARKER)
        self.hear_of_removals({image_id(marker)}, mark)

    def hear_of_removals(self, of: set[ImageId], mark: int) -> None:
        """Wait until the event stream has reported the deletion of these images, after that position."""
        while of - {event.image for event in self.events.after(mark)[0] if event.kind is EventKind.DELETED}:
            assert self.woken.wait(_PATIENCE_SECONDS), "no event arrives"
            self.woken.clear()

    @property
    def came_of(self) -> dict[str, str]:
        """The outcome of each removal of the last call."""
        return {removal.intent.reference: removal.outcome.value for removal in self.removals}

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Verdicts by reference, as displayed."""
        return {verdict.reference: verdict for verdict in self.last.decision.plan.verdicts}

    def reasons(self, *references: str) -> list[str]:
        """The verdict words of these references."""
        return [self.verdicts[reference].reason.value for reference in references]

    @property
    def left(self) -> set[str]:
        """The tags that the engine still has."""
        return images.names_of(self.api)

    @property
    def is_graph_driver(self) -> bool:
        seen = self.last.decision.memory.seen
        return seen is not None and seen.engine.store is Store.GRAPH_DRIVER

    def has(self, image: str) -> bool:
        """True if the engine still has the image with that ID."""
        return image_id(image) in {image_id(row["Id"]) for row in self.api.images(all=True)}


@contextmanager
def on_engine(
    engine: PrivateEngine,
    api: docker.APIClient,
    tmp_path: Path,
    *rules: Plain,
    port: EnginePort | None = None,
    settle_seconds: float = 600.0,
    limits: Limits = NO_LIMITS,
    own_container: str = "",
    protected: tuple[str, ...] = (),
    parallel: int = 4,
) -> Iterator[OnEngine]:
    """A controller whose rules remove unused images after the settle time; `*` if no rule is given."""
    address, clock, woken, stopping = Address(engine.host), PushedClock(), threading.Event(), threading.Event()
    folder = FakeFolder()
    ledger = Ledger(tmp_path / "ledger.db")
    events = EventStream(Connection(address), woken.set)
    events.start(_PATIENCE_SECONDS)
    terms = Terms(settle_seconds, protected=tuple(map(parse_selector, protected)))
    conditions = Conditions(terms, limits, resync_seconds=10 * A_LONG_TIME_SECONDS, trust_new_texts=True)
    engine_port = port or DockerEngine(Connection(address), own_container)
    ports = Ports(clock, folder, FakeNode(), engine_port, events, ledger, lambda: 0.0, own_container)
    reconciler = Reconciler(ports, PassOptions(conditions, parallel_removals=parallel), stopping, lambda: None)
    controller = OnEngine(api, ledger, events, folder, clock, reconciler, stopping, woken)
    controller.rules(*(rules or (a_removal(),)))
    try:
        yield controller
    finally:
        events.stop()
        ledger.close()


def image_ids(api: docker.APIClient) -> set[ImageId]:
    return {image_id(row["Id"]) for row in api.images(all=True)}
