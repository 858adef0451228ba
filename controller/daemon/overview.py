"""What the page and the API show: the report of the last pass as of now, the disk, and what was freed.

The loop publishes, threads of the HTTP server ask. What costs something is worked out when somebody asks, and once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from controller import __version__
from controller.daemon.ports import DiskPort
from controller.daemon.report import StatusReport
from controller.daemon.status import PassResult
from controller.daemon.vitals import Liveness
from controller.instant import Instant
from controller.plan.memory.disk import ImageDisk
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.history import Day, Today, day_by_day, removals
from controller.plan.report.moments import date, seconds_left, to_display, wall_moment
from controller.plan.verdict.reclaim import freed_in_turn
from controller.plan.verdict.removal import Batch, Removal
from controller.plan.verdict.verdict import Action, Verdict

Values = dict[str, Any]
DAYS = 14
LAST_REMOVALS = 12


class Health(StrEnum):
    """How the controller is, in one word."""

    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It works, and somebody should look after something."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger tells of removals."""

    removals: Sequence[Removal] = ()
    """Since a moment that the reader was asked for, oldest first."""
    batches: Mapping[str, Batch] = field(default_factory=dict)
    total_bytes: int = 0
    total_unknown: int = 0
    """Both since the ledger began."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A reference that goes at a known moment."""

    reference: str
    image: str
    due_at: float
    """Ledger time; of what is due, a moment that has passed."""
    frees_bytes: int
    """When everything before it has gone: these add up."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Where the overview reads what no pass has seen."""

    disk: DiskPort
    history: Callable[[float], History]
    """The removals since a wall time."""
    utc_offset_seconds: Callable[[float], float]
    """Of the host's time zone, at a wall time."""


class Published:
    """One status, with everything that is made of it on demand."""

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
        """What was freed on each of them; the last one is today."""
        return day_by_day(self.history.removals, self.history.batches, self.today, DAYS)

    @cached_property
    def departures(self) -> list[Departure]:
        """What goes, as far as it is known when; the soonest first."""
        decision = self.status.decision
        waiting = (each for each in decision.plan.verdicts if each.action is Action.WAIT and each.due_at is not None)
        turn = [*decision.plan.removals, *sorted(waiting, key=_due_at)]
        freed = freed_in_turn(turn, decision.memory)
        return [
            Departure(each.reference, each.image, _due_at(each), reclaim.at_least_bytes)
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

    def seconds_until(self, due_at: float) -> float:
        """From now, on the ledger's clock; 0 if it has passed."""
        return max(0.0, due_at - self.clock.seconds)


class Overview:
    """Answers what is asked about the last status."""

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
        return Picture(now, *self._health(published), published, clock, disk)

    def references(self) -> Iterator[Values]:
        """Every reference with its verdict, as of now: as `imagectl plan -o json` shows them."""
        picture = self.picture()
        rows = picture.published.report.references() if picture.published else iter(())
        return (to_display(row, picture.clock) for row in rows)

    def values(self) -> Values:
        """All of the status but the references, as plain values."""
        picture = self.picture()
        values: Values = {"version": __version__, "health": picture.health.value, "troubles": list(picture.troubles)}
        if picture.published is None:
            return values
        return values | _values(picture, picture.published)

    def explained(self, image: str) -> list[Values]:
        """Why each reference of an image goes, waits or stays; as of now."""
        picture = self.picture()
        if picture.published is None or not image:
            return []
        return [to_display(row, picture.clock) for row in picture.published.report.explained(image)]

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


def _values(picture: Picture, published: Published) -> Values:
    status, clock, history = published.status, picture.clock, published.history
    next_change_at = status.decision.plan.next_change_at
    return {
        **published.report.summary,
        "at": date(status.at.wall_seconds),
        "duration_seconds": round(status.duration_seconds, 3),
        "last_success_at": date(status.last_success.wall_seconds) if status.last_success else None,
        "next_change_in_seconds": seconds_left(next_change_at, clock),
        "next_change_at": wall_moment(next_change_at, clock),
        "disk": _disk_values(picture.disk),
        "freed": {
            "today_bytes": published.days[-1].freed_bytes,
            "last_7_days_bytes": sum(day.freed_bytes for day in published.days[-7:]),
            "total_bytes": history.total_bytes,
            "total_unknown": history.total_unknown,
            "days": [asdict(day) for day in published.days],
        },
        "documents": [to_display(row, clock) for row in published.report.documents()],
        "removals": removals(history.removals[-LAST_REMOVALS:], history.batches),
    }


def _disk_values(disk: ImageDisk) -> Values:
    usage = disk.usage
    return {
        "path": disk.path,
        "size_bytes": usage.size_bytes if usage else None,
        "available_bytes": usage.available_bytes if usage else None,
        "files": usage.files if usage else None,
        "files_free": usage.files_free if usage else None,
        "why_unknown": disk.why_unknown,
    }
