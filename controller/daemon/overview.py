"""What the page and the API show: the report of the last pass as of now, the disk, and the bytes freed.

The loop publishes, threads of the HTTP server read. Expensive parts are computed on demand, and once per status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from functools import cached_property

from controller import __version__
from controller.daemon.ports import DiskPort
from controller.daemon.report import StatusReport
from controller.daemon.status import PassResult, Status
from controller.daemon.vitals import Liveness
from controller.instant import Instant
from controller.plan.memory.disk import ImageDisk
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.history import Day, RemovalRow, Today, day_by_day, removal_rows
from controller.plan.report.meaning import last_removals_of
from controller.plan.report.rows import ShownExplanation, ShownReference, as_values, seconds_left, wall_moment
from controller.plan.verdict.reclaim import freed_in_turn
from controller.plan.verdict.removal import Batch, Removal
from controller.plan.verdict.verdict import Action, Verdict
from controller.quantity import date
from controller.value import dataclass

DAYS = 14
LAST_REMOVALS = 12


class Health(StrEnum):
    """Health of the controller."""

    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It works, but something needs attention."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class History:
    """Removals from the ledger."""

    removals: Sequence[Removal] = ()
    """Since the moment given to the reader, oldest first."""
    batches: Mapping[str, Batch] = field(default_factory=dict)
    total_bytes: int = 0
    total_unknown: int = 0
    """Both totals since the ledger was created."""


@dataclass(frozen=True, slots=True)
class PlannedRemoval:
    """A reference whose removal time is known."""

    reference: str
    image: str
    due_at: float
    """Ledger time; in the past if the removal is due."""
    frees_bytes: int
    """Bytes freed after the removals before it, so that the values can be added."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Readers for what a pass does not observe."""

    disk: DiskPort
    history: Callable[[float], History]
    """The removals since a wall time."""
    utc_offset_seconds: Callable[[float], float]
    """UTC offset of the host's time zone at a wall time."""
    host_name: str = ""
    """Shown where neither a node file nor an agent names the node."""


class Published:
    """One status, and what is computed from it on demand."""

    def __init__(self, report: StatusReport, readers: Readers) -> None:
        self.status = report.status
        self.report = report
        self._readers = readers

    @cached_property
    def today(self) -> Today:
        """The day of this status."""
        at = self.status.at.wall_seconds
        return Today(at, self._readers.utc_offset_seconds(at))

    @cached_property
    def history(self) -> History:
        """The removals of the last days."""
        return self._readers.history(self.today.beginning(DAYS - 1))

    @cached_property
    def days(self) -> list[Day]:
        """The bytes freed on each of the last days; the last one is today."""
        return day_by_day(self.history.removals, self.history.batches, self.today, DAYS)

    @cached_property
    def planned_removals(self) -> list[PlannedRemoval]:
        """References whose removal time is known, the earliest first."""
        decision = self.status.decision
        waiting = (each for each in decision.plan.verdicts if each.action is Action.WAIT and each.due_at is not None)
        turn = [*decision.plan.removals, *sorted(waiting, key=_due_at)]
        freed = freed_in_turn(turn, decision.memory)
        return [
            PlannedRemoval(each.reference, each.image, _due_at(each), reclaim.at_least_bytes)
            for each, reclaim in zip(turn, freed, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything as of now."""

    now: Instant
    health: Health
    troubles: tuple[str, ...]
    published: Published | None
    """None before the first pass has ended."""
    clock: LedgerClock
    disk: ImageDisk
    """The file system that holds the images."""
    host_name: str = ""

    @property
    def node(self) -> str:
        """The node's name as `org/id`, or the host's name."""
        return (self.published.report.summary.node.name if self.published else "") or self.host_name

    def seconds_until(self, due_at: float) -> float:
        """From now, on the ledger's clock; 0 if it has passed."""
        return max(0.0, due_at - self.clock.seconds)


class Overview:
    """Answers queries about the last status."""

    def __init__(self, vitals: Liveness, readers: Readers, resync_seconds: float) -> None:
        self._vitals = vitals
        self._readers = readers
        self._resync_seconds = resync_seconds
        self._published: Published | None = None

    def publish(self, report: StatusReport) -> None:
        """Show this from now on."""
        self._published = Published(report, self._readers)

    def picture(self) -> Picture:
        """Everything as of now."""
        published, now = self._published, self._vitals.clock.now()
        clock, disk = LedgerClock(), ImageDisk()
        if published is not None:
            memory = published.status.decision.memory
            clock = memory.clock.advanced(now, self._resync_seconds)
            disk = self._readers.disk.measure(memory.seen.engine) if memory.seen else disk
        return Picture(now, *self._health(published), published, clock, disk, self._readers.host_name)

    def references(self) -> Iterator[ShownReference]:
        """Every reference with its verdict, as of now: as `imagectl plan -o json` shows them."""
        picture = self.picture()
        rows = picture.published.report.references() if picture.published else iter(())
        return (row.shown(picture.clock) for row in rows)

    def values(self) -> dict[str, object]:
        """All of the status but the references, as JSON has it; rows in it need `as_values`."""
        picture = self.picture()
        health = {"version": __version__, "health": picture.health.value, "troubles": picture.troubles}
        return health | (_values(picture, picture.published) if picture.published else {})

    def explained(self, image: str) -> list[ShownExplanation]:
        """Why each reference of an image is removed, waits or is kept; as of now."""
        picture = self.picture()
        if picture.published is None or not image:
            return []
        found = picture.published.report.explained(image)
        return [explanation.shown(reference, picture.clock) for reference, explanation in found]

    def removed(self, image: str) -> list[RemovalRow]:
        """The last removals of an image, oldest first; of the whole history."""
        if not image:
            return []
        history = self._readers.history(0.0)
        return last_removals_of(image, history.removals, history.batches)

    def _health(self, published: Published | None) -> tuple[Health, tuple[str, ...]]:
        if trouble := self._vitals.health():
            return Health.FAILING, (trouble,)
        if published is None:
            return Health.STARTING, ()
        troubles = published.status.degraded
        if published.status.result is PassResult.FAILED:
            return Health.FAILING, troubles
        return (Health.DEGRADED if troubles else Health.HEALTHY), troubles


def _due_at(verdict: Verdict) -> float:
    return verdict.due_at or 0.0


def _values(picture: Picture, published: Published) -> dict[str, object]:
    status, clock, history = published.status, picture.clock, published.history
    next_change_at = status.decision.plan.next_change_at
    return {
        **as_values(published.report.summary),
        "at": date(status.at.wall_seconds),
        "duration_seconds": round(status.duration_seconds, 3),
        "last_success_at": date(status.last_success.wall_seconds) if status.last_success else None,
        "next_change_in_seconds": seconds_left(next_change_at, clock),
        "next_change_at": wall_moment(next_change_at, clock),
        "disk": _disk_values(picture.disk, status),
        "freed": {
            "today_bytes": published.days[-1].freed_bytes,
            "last_7_days_bytes": sum(day.freed_bytes for day in published.days[-7:]),
            "total_bytes": history.total_bytes,
            "total_unknown": history.total_unknown,
            "days": published.days,
        },
        "documents": [row.shown(clock) for row in published.report.documents()],
        "removals": removal_rows(history.removals[-LAST_REMOVALS:], history.batches),
    }


def _disk_values(disk: ImageDisk, status: Status) -> dict[str, object]:
    usage, marks, pressure = disk.usage, status.pressure_marks, status.decision.memory.pressure
    return {
        "path": disk.path,
        "size_bytes": usage.size_bytes if usage else None,
        "available_bytes": usage.available_bytes if usage else None,
        "files": usage.files if usage else None,
        "files_free": usage.files_free if usage else None,
        "why_unknown": disk.why_unknown,
        "pressure_start": str(marks.start) if marks else None,
        "pressure_stop": str(marks.stop) if marks else None,
        "pressure_since": wall_moment(pressure.since, status.decision.memory.clock) if pressure else None,
    }
