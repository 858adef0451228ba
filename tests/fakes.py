"""Fakes for time, the event stream, the policy folder and the source of the node.

The engine is in `fake_engine`. The ledger needs no fake: SQLite is fast enough on a file system in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from controller.adapters.engine.event_rows import event_from, event_time_nanoseconds
from controller.adapters.engine.events import cursor_after
from controller.instant import Instant
from controller.plan.memory.disk import DiskUsage, ImageDisk
from controller.plan.memory.event import Event, EventCursor, ReceivedEvents
from controller.plan.memory.observation import Engine
from controller.plan.node.agent import NodeAnswer
from controller.policy.document.parse import FolderReading, Parsed, parse_documents, refuse_duplicates
from tests.fake_engine import FakeEngine, Kind, Row

A_DAY_IN_2027 = 1_800_000_000.0


class FakeClock:
    """All clocks of a host. Only `elapse` is ordinary time; the other methods are faults of clocks."""

    def __init__(self, wall_seconds: float = A_DAY_IN_2027, uptime_seconds: float = 1_000.0) -> None:
        self._now = Instant(wall_seconds, "boot 1", uptime_seconds)
        self._boots = 1

    def now(self) -> Instant:
        return self._now

    def elapse(self, seconds: float) -> None:
        """Advance all clocks."""
        self._now = replace(
            self._now,
            wall_seconds=self._now.wall_seconds + seconds,
            uptime_seconds=self._now.uptime_seconds + seconds,
        )

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock to any year."""
        self._now = replace(self._now, wall_seconds=seconds)

    def step_wall(self, seconds: float) -> None:
        self.set_wall(self._now.wall_seconds + seconds)

    def suspend(self, seconds: float) -> None:
        """The wall clock advances, CLOCK_MONOTONIC does not."""
        self.step_wall(seconds)

    def reboot(self, off_seconds: float = 60.0, uptime_seconds: float = 10.0) -> None:
        """A new boot, `uptime_seconds` old, after `off_seconds` without power."""
        self._boots += 1
        wall = self._now.wall_seconds + off_seconds + uptime_seconds
        self._now = Instant(wall, f"boot {self._boots}", uptime_seconds)


class FakeEvents:
    """The event stream of a fake engine, without a thread; it can break, and lose, repeat and reorder events.

    On Podman it leaves out live events from before its start, by their time, as Podman does.
    """

    def __init__(
        self, engine: FakeEngine, cursor: int = 0, run: str = "", on_delivery: Callable[[Row], None] = lambda _: None
    ) -> None:
        """`on_delivery` is called with every row that arrives."""
        self.generation = 0
        self._is_connected = False
        self.refusal = ""
        self.is_complete = False
        """True if no event before the last connection can be missing."""
        self.is_late = False
        """Events wait until `flush`, and then arrive in one burst."""
        self._waiting: list[Row] = []
        self.loses_events = False
        """Events are lost now, as for a client that is too slow."""
        self._engine = engine
        self._on_delivery = on_delivery
        self._cursor = cursor
        self._run = run
        self._arrived: dict[Event, int] = {}
        self._count = 0
        self._has_missed = False
        self._filters_from: int | None = None
        """The time before which live events are left out; None on Docker."""
        self._wall_clock = engine.wall_clock()
        self._has_hidden = False
        engine.listeners.append(self._heard)
        self.connect()

    @property
    def is_up(self) -> bool:
        return self._is_connected and not self._is_set_back()

    def beat(self) -> None:
        """The heartbeat, and what follows: after a step back of Podman's clock the stream starts again."""
        if self._is_connected and self._is_set_back():
            self.connect()

    def _is_set_back(self) -> bool:
        is_behind = self._engine.wall_clock() < self._wall_clock - 0.5
        return self._filters_from is not None and (is_behind or self._has_hidden)

    def _hides(self, row: Row) -> bool:
        """True if Podman leaves it out. A real heartbeat would follow in two seconds."""
        hides = self._filters_from is not None and event_time_nanoseconds(row) < self._filters_from
        self._has_hidden |= hides
        return hides

    def connect(self) -> None:
        """Connect, with a replay from the end of the last stream."""
        self.generation += 1
        is_first, hides_events = not self._cursor, self._is_set_back()
        self._is_connected, self.refusal = True, ""
        known = self._cursor in map(event_time_nanoseconds, self._engine.replay(self._cursor))
        is_whole = known or self._engine.is_same_run(self._run, self._cursor)
        self.is_complete = is_whole and not is_first and not hides_events
        self._has_missed |= not self.is_complete
        if is_first:
            self._cursor, self._run = self._engine.event_cursor()
        if self._engine.kind is Kind.PODMAN:
            self._cursor = min(self._cursor, self._engine.now_nanoseconds())
            self._filters_from, self._wall_clock = self._cursor, self._engine.wall_clock()
            self._has_hidden = False
        taken_in = self._cursor
        replayed = self._engine.replay(taken_in)
        for row in replayed:
            if event_time_nanoseconds(row) != taken_in:
                self._take_in(row, is_replayed=True)

    def refuse(self, answer: str) -> None:
        """The engine answers the request for the stream with an error."""
        self.disconnect()
        self.refusal = answer

    def disconnect(self) -> None:
        self._is_connected = False
        self._waiting.clear()

    def close(self) -> None:
        """The controller's process ends."""
        self._is_connected = False
        self._engine.listeners.remove(self._heard)

    def deliver(self, rows: Sequence[Row]) -> None:
        """Deliver rows again, or in another order."""
        for row in rows:
            self._take_in(row, is_replayed=True)

    def take(self) -> ReceivedEvents:
        events, self._arrived = tuple(self._arrived), {}
        has_hole, self._has_missed = self._has_missed, False
        return ReceivedEvents(events, self._cursor, self.is_up, has_hole, self._run, self.refusal)

    def keep(self, cursors: Mapping[str, EventCursor]) -> None:
        """It has one engine."""

    def mark(self) -> int:
        return self._count

    def after(self, mark: int) -> tuple[tuple[Event, ...], int]:
        newest_first = reversed(self._arrived.items())
        return tuple(event for event, place in newest_first if place > mark), self._count

    def flush(self) -> None:
        """Late events arrive, all at once."""
        waiting, self._waiting = self._waiting, []
        for row in waiting:
            self._take_in(row)

    def _heard(self, row: Row) -> None:
        if not self._is_connected or self.loses_events or self._hides(row):
            return
        if self.is_late:
            self._waiting.append(row)
        else:
            self._take_in(row)

    def _take_in(self, row: Row, *, is_replayed: bool = False) -> None:
        self._on_delivery(row)
        cursor = cursor_after(self._cursor, event_time_nanoseconds(row))
        self._cursor, self._run = cursor, self._run if cursor == self._cursor else ""
        self._count += 1
        if (parsed := event_from(row)) is not None:
            event = replace(parsed, is_replayed=is_replayed)
            self._arrived.pop(event, None)
            self._arrived[event] = self._count


Plain = Mapping[str, Any]


@dataclass
class FakeDisk:
    """A disk that holds the images of a fake engine and other data."""

    engine: FakeEngine
    size_bytes: int = 0
    """0: it cannot be measured."""
    other_bytes: int = 0
    path: str = "/images"

    def measure(self, engine: Engine) -> ImageDisk:
        if not self.size_bytes:
            return ImageDisk(self.path, why_unknown=f"The disk with {self.path} cannot be measured.")
        used = self.engine.used_bytes() + self.other_bytes
        return ImageDisk(self.path, DiskUsage(self.size_bytes, max(0, self.size_bytes - used)))


@dataclass
class FakeFolder:
    """Policy documents by file name, each as text or as plain values."""

    files: dict[str, str | Plain] = field(default_factory=dict)
    lost: str = ""
    is_watched: bool = True
    is_stopped: bool = False

    def read(self) -> FolderReading:
        return replace(self._read(), is_stopped=self.is_stopped)

    def _read(self) -> FolderReading:
        if self.lost:
            return FolderReading("policies", lost=self.lost)
        parsed = refuse_duplicates([self._parsed(file) for file in sorted(self.files)])
        problems = tuple(sorted(problem for each in parsed for problem in each.problems))
        documents = tuple(document for each in parsed for document in each.documents)
        lost = "" if documents else "policies holds no policy documents"
        is_empty = not documents and not any(problem.is_error for problem in problems)
        return FolderReading("policies", documents, problems, lost, is_empty=is_empty)

    def _parsed(self, file: str) -> Parsed:
        content = self.files[file]
        return _parsed(content if isinstance(content, str) else json.dumps(content), file)


@lru_cache(maxsize=256)
def _parsed(text: str, file: str) -> Parsed:
    """Parsed once, as the real folder does."""
    return parse_documents(text.encode(), file)


@dataclass
class FakeNode:
    """The source of the node."""

    answer: NodeAnswer = field(default_factory=NodeAnswer)

    new: NodeAnswer | None = None
    """The answer to a question before a removal; None: the same as `answer`."""

    def ask(self) -> NodeAnswer:
        return self.answer

    def ask_again(self, may_wait: Callable[[], bool]) -> NodeAnswer | None:
        return (self.new or self.answer) if may_wait() else None


def a_document(*rules: Plain, **fields: object) -> Plain:
    """A document with these removal rules that applies to every node."""
    return {"label": "test", "enabled": True, "image_policy": {"removal": list(rules)}, **fields}


def a_removal(image_name: str = "*", minutes: int = 0, agent_only: bool = False, **optional: object) -> Plain:
    """One removal rule of a document."""
    required = {"image_name": image_name, "delete_after_minutes": minutes, "agent_downloaded_only": agent_only}
    return {**required, **optional}
