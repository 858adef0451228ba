"""A served status page of a sample node; only the node is generated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.daemon.http.access import Access
from controller.daemon.http.app import HttpApp, Sources
from controller.daemon.http.server import HttpServer
from controller.daemon.metrics.collector import Metrics
from controller.daemon.overview import History, Overview, Readers
from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.daemon.vitals import Liveness
from controller.instant import Instant
from controller.plan.memory.disk import DiskUsage, ImageDisk
from controller.plan.memory.observation import Engine
from controller.plan.verdict.judge import Terms
from tests import sample_node

DISK = ImageDisk("/var/lib/docker", DiskUsage(62_000_000_000, 21_300_000_000, 4_000_000, 3_000_000))
HIDDEN_DISK = ImageDisk("/var/lib/docker", why_unknown="The disk cannot be seen from this container.")


@dataclass(frozen=True)
class StillDisk:
    """A disk that always has the same values."""

    disk: ImageDisk = DISK

    def measure(self, engine: Engine) -> ImageDisk:
        return self.disk


SECONDS_AFTER_THE_PASS = 42.0


@dataclass
class StillClock:
    """A clock that is always shortly after the sample's last pass."""

    instant: Instant = sample_node.NOW
    later_by: float = SECONDS_AFTER_THE_PASS

    def now(self) -> Instant:
        wall, uptime = self.instant.wall_seconds + self.later_by, self.instant.uptime_seconds + self.later_by
        return replace(self.instant, wall_seconds=wall, uptime_seconds=uptime)


@dataclass
class Site:
    """The served data; `publish` replaces the end of a pass."""

    disk: ImageDisk = DISK
    history: History = field(default_factory=lambda: sample_history())
    clock: StillClock = field(default_factory=StillClock)
    host_name: str = ""

    def __post_init__(self) -> None:
        self.vitals = Liveness(self.clock, lambda: True)
        self.vitals.beat()
        self.metrics = Metrics(StillDisk(self.disk))
        reading = Readers(StillDisk(self.disk), lambda _: self.history, lambda _: 0.0, self.host_name)
        self.overview = Overview(self.vitals, reading, 300.0)
        self.access = Access()

    def publish(self, status: Status) -> None:
        self.metrics.publish(status)
        self.vitals.status = status
        self.overview.publish(StatusReport(status, Terms()))

    @property
    def app(self) -> HttpApp:
        return HttpApp(Sources(self.vitals, self.metrics, self.overview), lambda: self.access)


def sample_history() -> History:
    """Three weeks of removals."""
    removals, batches = sample_node.history()
    since = sample_node.NOW.wall_seconds - 13.4 * sample_node.DAY
    recent = tuple(removal for removal in removals if removal.wall_seconds >= since)
    return History(recent, {batch.name: batch for batch in batches}, 48_700_000_000, 2)


def busy_status(images: int, folder: Path, **policies: str) -> Status:
    """A node with so many images, and some more policies."""
    written = sample_node.write_policies(folder, **policies)
    return sample_node.status_of(sample_node.decision_on(sample_node.memory_of(images), written), written)


@contextmanager
def served(site: Site) -> Iterator[str]:
    """The address of the page."""
    server = HttpServer(site.app, ("127.0.0.1", 0))
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
