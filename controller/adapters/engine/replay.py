"""Decides, when an event stream starts, whether events since the last known one can be missing.

Docker keeps the last 256 events of all kinds in memory and loses them when its process ends. Podman keeps a log file,
or the journal, for as long as the host runs. A replay is complete if it contains the last known event. A replay without
events is complete only on Docker, if the engine's process is the same and its clock did not go back: Podman opens the
stream first and then reads its whole log, which may take a second on a small host, and until then the replay is empty.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from controller.adapters.engine.answers import identity_of
from controller.adapters.engine.client import Client, ErrorAnswer
from controller.adapters.engine.event_rows import EVENT_FILTER, event_from, event_time_nanoseconds, is_streamed
from controller.adapters.engine.fields import Row
from controller.adapters.engine.json_rows import mapping_of
from controller.plan.memory.event import EventCursor
from controller.value import dataclass

_MOST_EVENTS_KEPT = 256
_REPLAY_OVERLAP_NANOSECONDS = 1_000
"""Podman rounds the start of a replay and would omit an event of exactly that time."""
_PODMAN = "podman "
UNKNOWN_CLOCK = _PODMAN
"""The run of a cursor of Podman if its clock may have stepped since: no replay from there is complete."""
_CLOCK_STEP_SECONDS = 2
_LOG_IS_READ_WITHIN_SECONDS = 10.0
"""The answer of an engine that ignores `stream=false` does not end."""
_ENGINES = ("dockerd", "podman")
_PID_FILE = Path("/run/docker.pid")
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class ReplayStart:
    """Start of an event stream."""

    cursor: int
    """The engine's time in nanoseconds; 0 if unknown."""
    run: str
    """The engine's process, if the cursor is a time without an event; on Podman the boot and its clock. Else empty."""
    is_complete: bool
    """True if no event since the given cursor can be missing."""
    is_provable: bool = True
    """The last known event in the replay proves that none is missing."""
    engine: str = ""
    """Identity of the engine that answers; empty if it is not known."""
    is_late: bool = False
    """The replay may begin some time after the stream."""
    ends_at: int | None = None
    """The engine's time of the last event of the replay; 0 if the replay is empty, None if it is not known."""
    process: str = ""
    """The engine's process that listed its events; empty if it is not known."""
    clock: float | None = None
    """`wall_clock` at the start, if this engine leaves out live events from before the cursor; else None."""

    def once_open(self, address: str) -> ReplayStart:
        """The same after the stream was opened. With socket activation a new process of the engine may answer, without
        the events that the last one had after its list.
        """
        if not self.process or self.process == process_behind(address):
            return self
        return replace(self, is_complete=False, ends_at=None)


@dataclass(frozen=True, slots=True)
class KnownCursors:
    """The cursor of the last stream, and those of all known engines."""

    last: EventCursor = EventCursor()
    engine: str = ""
    """Identity of the engine of the last stream; empty before the first."""
    by_engine: Mapping[str, EventCursor] = field(default_factory=dict)

    def of(self, engine: str) -> EventCursor:
        """The cursor for a stream of this engine; that of the last stream if the engine is not known."""
        return self.last if engine == self.engine else self.by_engine.get(engine, self.last)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The engine of a stream, before it starts."""

    cursor: int
    run: str
    engine: str
    now: int
    """The engine's time in nanoseconds; 0 if it cannot be read."""
    process: str
    """The engine's process; empty on Podman and if it is not known."""
    clock: float | None
    """`wall_clock` on Podman; None on Docker."""

    @property
    def lists_from(self) -> int:
        """The time from which Docker lists its kept events: all of them if it had none at the cursor."""
        return 1 if self.run else replay_begins_at(self.cursor)


def _ask(client: Client, address: str, known: KnownCursors) -> _Asked:
    clock, info = wall_clock(), mapping_of(client.get("/info"))
    engine, is_podman = identity_in(info), _is_podman(info)
    cursor, now = known.of(engine), nanoseconds_of(info.get("SystemTime"))
    process = "" if is_podman or not now else process_behind(address)
    return _Asked(cursor.at, cursor.run, engine, now, process, clock if is_podman else None)


def replay_start(client: Client, address: str, known: KnownCursors) -> ReplayStart:
    """Start of a stream that continues from the engine's own cursor; 0: the first stream."""
    asked = _ask(client, address, known)
    if asked.clock is not None or not asked.now:
        return _without_count(asked)
    try:
        return _with_count(asked, _kept_events(client, asked))
    except (ErrorAnswer, ValueError):
        run = asked.run if asked.cursor else ""
        return ReplayStart(asked.cursor or asked.now, run, is_complete=False, engine=asked.engine)


def events_until_now(client: Client, address: str, known: KnownCursors) -> tuple[ReplayStart, list[Row]]:
    """What such a stream would replay, by one request with an end. Raises ErrorAnswer, ValueError."""
    asked = _ask(client, address, known)
    if asked.clock is None:
        rows = _kept_events(client, asked)
        start = (_with_count(asked, rows) if asked.now else _without_count(asked)).once_open(address)
    else:
        start = _without_count(asked)
        rows = _logged_events(client, start.cursor)
        is_known = any(event_time_nanoseconds(row) == start.cursor for row in rows)
        start = replace(start, is_complete=start.is_provable and is_known)
    since = replay_begins_at(start.cursor)
    return start, [row for row in rows if is_streamed(row) and (event_time_nanoseconds(row) or since) >= since]


def wall_clock() -> float:
    """The wall time of this host less the time since its boot, in seconds. Only a step changes it: a clock that NTP
    slows down, or a suspended host, changes both.
    """
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)


def has_other_clock(client: Client, run: str) -> bool:
    """True if Podman's clock has stepped since that run by more than two seconds. Raises ErrorAnswer, ValueError."""
    now = nanoseconds_of(mapping_of(client.get("/info")).get("SystemTime"))
    return not _is_same_clock(run, _run_of_podman(now))


def identity_in(info: Mapping[str, Any]) -> str:
    """The identity of the engine in `GET /info`; empty if it cannot be read."""
    try:
        identity = identity_of(info, _is_podman(info))
    except ValueError:
        return ""
    return "" if identity.startswith(" ") else identity


def _is_podman(info: Mapping[str, Any]) -> bool:
    return "BuildahVersion" in info


def run_after_event(run: str) -> str:
    """What is kept with a cursor that an event has moved."""
    return run if run.startswith(_PODMAN) else ""


def _without_count(asked: _Asked) -> ReplayStart:
    """Podman selects the events of its log by their time, so a step of the clock can hide some."""
    cursor, run, now = asked.cursor, asked.run, asked.now
    start = ReplayStart(cursor, run, is_complete=False, engine=asked.engine, clock=asked.clock)
    if not now:
        return start
    current = _run_of_podman(now)
    if not cursor:
        return replace(start, cursor=now, run=current)
    if now < cursor or not _is_same_clock(run, current):
        return replace(start, cursor=min(cursor, now), run=current, is_provable=False)
    return replace(start, is_late=True)


def _run_of_podman(now: int) -> str:
    return f"{_PODMAN}{_boot()} {now // 10**9 - int(time.clock_gettime(time.CLOCK_BOOTTIME))}"


def _is_same_clock(run: str, current: str) -> bool:
    """The same boot, and no step of the clock since: its distance to the time since the boot is the same."""
    (boot, clock), (boot_now, clock_now) = _boot_and_clock(run), _boot_and_clock(current)
    return boot == boot_now and clock.isdigit() and abs(int(clock) - int(clock_now)) <= _CLOCK_STEP_SECONDS


def _boot_and_clock(run: str) -> tuple[str, str]:
    boot, _, clock = run.removeprefix(_PODMAN).partition(" ")
    return boot, clock


def _with_count(asked: _Asked, rows: Sequence[Row]) -> ReplayStart:
    """Docker keeps its events in order. With `run` it had none at the cursor, so every kept event is a later one.

    An earlier time shows that the clock went back; a stream from the cursor on leaves such an event out.
    """
    cursor, kept = asked.cursor, [event_time_nanoseconds(row) for row in rows]
    start = ReplayStart(cursor, asked.run, is_complete=False, engine=asked.engine)
    if not cursor:
        return replace(start, cursor=max(kept, default=asked.now), run="" if kept else asked.process)
    is_same_process = bool(asked.run) and asked.run == asked.process
    is_whole = asked.now >= cursor and len(kept) < _MOST_EVENTS_KEPT and all(at >= cursor for at in kept)
    is_complete = cursor in kept or (is_same_process and is_whole)
    later = [row for row, at in zip(rows, kept, strict=True) if at >= replay_begins_at(cursor)]
    return replace(start, is_complete=is_complete, ends_at=_time_of_last(later), process=asked.process)


def _time_of_last(rows: Iterable[Row]) -> int | None:
    """The time of the last of these events that is streamed; 0 if none is, None if it is not known."""
    try:
        streamed = [event_time_nanoseconds(row) for row in rows if event_from(row)]
    except ValueError:  # Possibly of a kind that is not streamed.
        return None
    if not streamed:
        return 0
    return streamed[-1] if streamed.count(streamed[-1]) == 1 else None


def _kept_events(client: Client, asked: _Asked) -> list[Row]:
    """All events in Docker's memory, of every kind. Raises ErrorAnswer, ValueError."""
    times = f"since={in_seconds(asked.lists_from - 1)}&until={in_seconds(asked.now)}"
    return _rows_in(client.get(f"/events?{times}"))


def _logged_events(client: Client, cursor: int) -> list[Row]:
    """The events in Podman's log from there on. With `until` its answer is empty. Raises ErrorAnswer, ValueError."""
    query = {"since": in_seconds(replay_begins_at(cursor)), "stream": "false", "filters": json.dumps(EVENT_FILTER)}
    with closing(client.open("GET", f"/events?{urlencode(query)}", _LOG_IS_READ_WITHIN_SECONDS)) as answer:
        return _rows_in(answer.content)


def _rows_in(answer: bytes) -> list[Row]:
    return [mapping_of(line) for line in answer.splitlines() if line.strip()]


def replay_begins_at(cursor: int) -> int:
    """The time from which events are requested, for a cursor."""
    return max(cursor - _REPLAY_OVERLAP_NANOSECONDS, 1)


def in_seconds(nanoseconds: int) -> str:
    """A time in the format of the API."""
    return f"{max(nanoseconds, 0) // 10**9}.{max(nanoseconds, 0) % 10**9:09}"


def nanoseconds_of(text: Any) -> int:
    """A time of RFC 3339 in nanoseconds; 0 if it is invalid."""
    match = _RFC3339.fullmatch(str(text))
    if match is None:
        return 0
    whole, fraction, zone = match.groups()
    try:
        seconds = int(datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp())
    except (ValueError, OverflowError):
        return 0
    return seconds * 10**9 + int((fraction or "").ljust(9, "0")[:9])


def process_behind(address: str, pid_file: Path = _PID_FILE) -> str:
    """The engine's process behind a socket of this host: its ID, start and boot; empty if it is not known.

    With socket activation the socket belongs to systemd, and then only Docker's own file has the process ID.
    """
    path = address.partition("://")[2]
    for pid in (_owner_of(path), _pid_in(pid_file) if path.endswith("/run/docker.sock") else 0):
        if started := _start_of(pid):
            return f"{pid} {started} {_boot()}"
    return ""


def _owner_of(path: str) -> int:
    """The process that listens on a socket; 0 if it is not found or in another process namespace."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", credentials)[0])
    except OSError:
        return 0


def _pid_in(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _start_of(pid: int) -> str:
    """When an engine's process started, in ticks since the boot; empty if the process is no engine."""
    try:
        name, _, fields = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        return fields.split()[19] if name in _ENGINES else ""
    except (OSError, IndexError):
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
