"""The engine's event stream: a thread reads it, keeps the events until a pass takes them, and wakes the loop.

An unread stream slows all clients of the engine, so reading never waits for a pass. The stream may break (the docker
library's iterator then ends), lose events beyond 256, and repeat some: a pass reads everything again.

Podman compares live events too with the start of the stream, by their time: after a step back of its clock they are
left out until that time has passed again. So its stream starts again after such a step, with a gap. This host's clock
is compared at each heartbeat, and that of an engine on another host when a pass takes the events. A step on a host
behind a forwarded socket is not noticed.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from urllib.parse import urlencode

from docker.types.daemon import CancellableStream

from controller.adapters.engine.client import Client, ErrorAnswer
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.event_rows import EVENT_FILTER, event_from, event_time_nanoseconds
from controller.adapters.engine.fields import Row
from controller.adapters.engine.json_rows import mapping_of
from controller.adapters.engine.replay import (
    UNKNOWN_CLOCK,
    KnownCursors,
    ReplayStart,
    events_until_now,
    has_other_clock,
    in_seconds,
    replay_begins_at,
    replay_start,
    run_after_event,
    wall_clock,
)
from controller.errors import EngineUnavailable
from controller.log_events import LogEvent
from controller.plan.memory.event import Event, EventCursor, ReceivedEvents

_LONGEST_PIECE_BYTES = 65_536
_LONGEST_LINE_BYTES = 2**20
_LONGEST_PAUSE_SECONDS = 30.0
_SHORTEST_PAUSE_SECONDS = 0.2
_SHORT_STREAM_SECONDS = 10.0
"""A proxy may close idle streams after a longer time."""
_REPLAY_ENDS_AFTER_SECONDS = 0.5
_START_LOOKS_EVERY_SECONDS = 0.1
_CLOCK_STEP_NANOSECONDS = 60 * 10**9
"""A smaller step back means two events in the wrong order."""

_BEAT_SECONDS = 2.0
"""Each beat wakes an idle process."""
_LATE_AFTER_SECONDS = 6.0
"""After the last beat. Every longer pause of this process is noticed."""
_SET_BACK_SECONDS = 0.5
"""Two clocks are not read at the same moment."""

_log = logging.getLogger(__name__)


class EventStream:
    """Events since the last `take`; calls `wake` when a pass should run."""

    def __init__(
        self,
        connection: Connection,
        wake: Callable[[], None],
        cursor: int = 0,
        run: str = "",
        cursors: Mapping[str, EventCursor] | None = None,
    ) -> None:
        """`cursor` is the engine's time (ns) up to which a pass used its events; 0: none. `run` is the engine's
        process, if that is a time without an event. `cursors` are those of all known engines, by identity.
        """
        self.generation = 0
        """Counts reconnects: after one, another engine may answer and events may be missing."""
        self._connection = connection
        self._wake = wake
        self._cursor = cursor
        self._run_of_cursor = run
        self._engine = ""
        """Identity of the engine of the stream."""
        self._cursors: Mapping[str, EventCursor] = cursors or {}
        self._cursor_at_beat = cursor
        self._last_beat = time.monotonic()
        self._is_stale = False
        """The engine may have dropped events, without an end of the stream."""
        self._clock: float | None = None
        """`wall_clock` at the start of the stream, if a step back would hide events; else None."""
        self.refusal = ""
        """The answer of an engine that refuses the stream."""
        self._arrived: dict[Event, int] = {}
        self._count = 0
        self._taken_to = 0
        self._lock = threading.Lock()
        self._is_complete = False
        self._is_provable = True
        self._is_replay_late = False
        """The replay has not begun, although the stream is up."""
        self._replay_ends_at: int | None = None
        self._has_replayed = threading.Event()
        self._has_missed = False
        """Events since the last `take` may be missing."""
        self._up = threading.Event()
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._stream: CancellableStream[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)
        self._heartbeat = threading.Thread(target=self._beat_on, name="engine-events-heartbeat", daemon=True)

    def start(self, wait_seconds: float, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Start reading. Returns when the stream is up and has replayed the missed events, when the engine is not
        reachable, after `wait_seconds` for each of both, or soon after `is_stopping`.
        """
        self._last_beat = time.monotonic()
        self._thread.start()
        self._heartbeat.start()
        for _ in range(int(wait_seconds / _START_LOOKS_EVERY_SECONDS)):
            if is_stopping() or self._tried.wait(_START_LOOKS_EVERY_SECONDS):
                break
        if self._up.is_set() and self._cursor:
            self._wait_for_replay(int(wait_seconds / _REPLAY_ENDS_AFTER_SECONDS), is_stopping)

    def _wait_for_replay(self, most_pauses: int, is_stopping: Callable[[], bool]) -> None:
        """Without a known last event, the replay ends when no event arrives for a moment: the stream does not mark its
        end. On a busy engine that may never happen.
        """
        replayed = self._count
        for _ in range(most_pauses):
            if is_stopping() or self._has_replayed.wait(_REPLAY_ENDS_AFTER_SECONDS):
                return
            if replayed == self._count and not self._is_replay_late:
                return
            replayed = self._count

    def stop(self) -> None:
        """Stop reading and close the stream."""
        self._stopping.set()
        self._close()

    def join(self, seconds: float) -> None:
        """Wait for the reading thread to end, at most this long."""
        self._thread.join(seconds)

    @property
    def is_up(self) -> bool:
        """True if the stream is connected, read and hides no event."""
        return self._up.is_set() and not self._is_late(time.monotonic()) and not self._is_set_back()

    @property
    def is_alive(self) -> bool:
        """True while the reading thread runs."""
        return self._thread.is_alive()

    def take(self) -> ReceivedEvents:
        """All events since the last call, equal events once, with the cursor after them.

        `after` returns them until the next call, because a mark may be older than this call.
        """
        self._compare_clock_of_other_host()
        with self._lock:
            self._arrived = {event: place for event, place in self._arrived.items() if place > self._taken_to}
            self._taken_to = self._count
            has_hole, self._has_missed = self._has_missed, False
            is_up, run = self.is_up, self._run_of_cursor
            return ReceivedEvents(tuple(self._arrived), self._cursor, is_up, has_hole, run, self.refusal, self._engine)

    def keep(self, cursors: Mapping[str, EventCursor]) -> None:
        """The cursors of all known engines, by identity: a stream of another engine than now starts there."""
        self._cursors = cursors

    def mark(self) -> int:
        """The current position in the stream, for `after`."""
        with self._lock:
            return self._count

    def after(self, mark: int) -> tuple[tuple[Event, ...], int]:
        """Events after `mark`, latest first, and a new mark. The next pass takes them too."""
        with self._lock:
            newest_first = reversed(self._arrived.items())
            return tuple(event for event, _ in takewhile(lambda item: item[1] > mark, newest_first)), self._count

    def beat(self, now: float) -> None:
        """Every two seconds. If that is late, this process did not run: Docker drops the events of a client that does
        not read, so the stream starts again from the last event that was certainly received in time. It starts again
        also if the clock was set back.
        """
        with self._lock:
            if (self._is_late(now) or self._is_set_back()) and self._up.is_set():
                self._is_stale, self._cursor = True, self._cursor_at_beat
                self._run_of_cursor = self._run_or_unknown()
                self._up.clear()
            self._last_beat, self._cursor_at_beat = now, self._cursor
            is_stale = self._is_stale
        if is_stale:
            self._close()

    def _compare_clock_of_other_host(self) -> None:
        if self._clock is None or self._connection.address.url.startswith("unix:") or not self._up.is_set():
            return
        run = self._run_of_cursor
        with suppress(EngineUnavailable, ErrorAnswer, ValueError):  # A pass that cannot read it fails too.
            if self._connection.request("info", lambda client: has_other_clock(client, run)):
                with self._lock:
                    self._is_stale, self._run_of_cursor = True, UNKNOWN_CLOCK
                    self._up.clear()
                self._close()

    def _is_set_back(self) -> bool:
        """True if the clock was set back since the stream started. A step forward hides nothing."""
        clock = self._clock
        return clock is not None and wall_clock() < clock - _SET_BACK_SECONDS

    def _run_or_unknown(self) -> str:
        """The run of the cursor. Podman's replay from there has a gap if the clock was set back."""
        return UNKNOWN_CLOCK if self._is_set_back() else self._run_of_cursor

    def _close(self) -> None:
        if self._stream is not None:
            with suppress(OSError, AttributeError):  # It may have just ended.
                self._stream.close()

    def _is_late(self, now: float) -> bool:
        return now - self._last_beat > _LATE_AFTER_SECONDS

    def _beat_on(self) -> None:
        while not self._stopping.wait(_BEAT_SECONDS):
            self.beat(time.monotonic())

    def _run(self) -> None:
        empty_streams = 0
        while not self._stopping.is_set():
            known, began = self._count, time.monotonic()
            try:
                stream = self._subscribed()
                if stream is None:
                    return
                began = time.monotonic()
                self._read(stream)
            except Exception as error:  # This thread must not die: an unread stream slows the engine.
                broken = {"event": LogEvent.ENGINE_EVENTS_BROKEN}
                _log.warning("the engine's event stream broke (%r); reconnecting", error, extra=broken)
            self._up.clear()
            self._wake()
            is_short = time.monotonic() - began < _SHORT_STREAM_SECONDS
            empty_streams = empty_streams + 1 if is_short and self._count == known else 0
            self._stopping.wait(min(_SHORTEST_PAUSE_SECONDS * 2**empty_streams, _LONGEST_PAUSE_SECONDS))

    def _subscribed(self) -> CancellableStream[bytes] | None:
        """The stream from the end of the last one; retries until it succeeds. None when stopping."""
        pause = _SHORTEST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                return self._subscribed_to(*self._connection.request("events", self._begin))
            except (EngineUnavailable, ErrorAnswer) as error:
                self._refused(error)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return None

    def _subscribed_to(self, stream: CancellableStream[bytes], start: ReplayStart) -> CancellableStream[bytes]:
        self._stream = stream
        with self._lock:
            self._cursor, self._run_of_cursor, self._is_stale = start.cursor, start.run, False
            if start.engine != self._engine:
                self._engine, self._cursor_at_beat = start.engine, start.cursor
            self._is_complete, self._is_provable, self.refusal = start.is_complete, start.is_provable, ""
            self._is_replay_late, self._replay_ends_at, self._clock = start.is_late, start.ends_at, start.clock
        if start.ends_at == 0:
            self._has_replayed.set()
        else:
            self._has_replayed.clear()
        return stream

    def _begin(self, client: Client) -> tuple[CancellableStream[bytes], ReplayStart]:
        known = KnownCursors(EventCursor(self._cursor, self._run_or_unknown()), self._engine, self._cursors)
        address = self._connection.address.url
        start = replay_start(client, address, known)
        stream = _stream_of(client, start.cursor)
        return stream, start.once_open(address)

    def _refused(self, error: EngineUnavailable | ErrorAnswer) -> None:
        """Report an answer that is not a stream. An unreachable engine is reported elsewhere."""
        self.refusal = f"{error.status}: {error}" if isinstance(error, ErrorAnswer) else ""
        self._tried.set()

    def _read(self, stream: Iterable[bytes]) -> None:
        self.generation += 1
        with self._lock:
            had_missed, self._has_missed = self._has_missed, self._has_missed or not self._is_complete
        self._up.set()
        self._tried.set()
        self._wake()
        last_read, replays, last = self._cursor, bool(self._cursor), time.monotonic()
        replays_to = self._replay_ends_at or 0
        for line in _lines_of(stream):
            now = time.monotonic()
            replays = replays and (self._is_replay_late or now - last < _REPLAY_ENDS_AFTER_SECONDS)
            last = now
            try:
                row = mapping_of(line)
                event, at = event_from(row), event_time_nanoseconds(row)
            except ValueError as error:
                self._skip(line, error)
                continue
            is_new = at != last_read or not at  # A replay starts with the last known event.
            if not is_new:
                event, last_read = None, 0  # Another event may have the same time.
            if event is not None and (replays or 0 < at <= replays_to):
                event = replace(event, is_replayed=True)
            with self._lock:
                if self._is_stale:
                    return
                if not is_new and self._is_provable:  # So the replay is complete.
                    self._has_missed = had_missed
                self._move_cursor(at)
                self._count += 1
                self._is_replay_late = False
                if event is not None:
                    self._arrived.pop(event, None)
                    self._arrived[event] = self._count
            if event is not None:
                self._wake()
            if at == self._replay_ends_at:
                self._has_replayed.set()

    def _skip(self, line: bytes, error: ValueError) -> None:
        """An invalid event may be any event: from now on some are missing."""
        invalid = {"event": LogEvent.ENGINE_EVENT_INVALID}
        _log.debug("skipped an invalid event (%s): %.200r", error, line, extra=invalid)
        with self._lock:
            self._has_missed = True
            self._count += 1
        self._wake()

    def _move_cursor(self, at: int) -> None:
        cursor = cursor_after(self._cursor, at)
        if cursor != self._cursor:
            self._cursor, self._run_of_cursor = cursor, run_after_event(self._run_of_cursor)


def events_since(connection: Connection, known: KnownCursors) -> ReceivedEvents:
    """What a stream from the engine's cursor would replay, by two requests: for commands that do not follow it."""
    address = connection.address.url
    try:
        start, rows = connection.request("events", lambda client: events_until_now(client, address, known))
    except ErrorAnswer as error:
        return ReceivedEvents((), known.last.at, is_up=False, refusal=f"{error.status}: {error}")
    except EngineUnavailable:
        return ReceivedEvents((), known.last.at, is_up=False)
    except ValueError:
        return ReceivedEvents((), known.last.at, has_hole=True)
    events, has_invalid = _replayed_events(rows, start.cursor)
    return ReceivedEvents(events, start.cursor, has_hole=has_invalid or not start.is_complete, run=start.run)


def _replayed_events(rows: Iterable[Row], cursor: int) -> tuple[tuple[Event, ...], bool]:
    """Equal events once, and true if a row is invalid: it may be any event."""
    events: dict[Event, None] = {}
    last_read, has_invalid = cursor, False
    for row in rows:
        if last_read and event_time_nanoseconds(row) == last_read:
            last_read = 0  # Another event may have the same time.
            continue
        try:
            event = event_from(row)
        except ValueError:
            has_invalid = True
        else:
            events |= {replace(event, is_replayed=True): None} if event else {}
    return tuple(events), has_invalid


def _stream_of(client: Client, cursor: int) -> CancellableStream[bytes]:
    query = {"filters": json.dumps(EVENT_FILTER)}
    if cursor:
        query["since"] = in_seconds(replay_begins_at(cursor))
    response = client.open("GET", f"/events?{urlencode(query)}", None)
    return CancellableStream(response.raw.stream(_LONGEST_PIECE_BYTES), response)


def _lines_of(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream. Lines may be split between pieces. Raises ValueError for an endless line."""
    rest = b""
    for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            raise ValueError(f"an event is longer than {_LONGEST_LINE_BYTES} bytes")
        yield from filter(None, lines)


def cursor_after(cursor: int, at: int) -> int:
    """The new cursor after an event of time `at`. It follows a clock that was set back."""
    return at if at > cursor or 0 < at < cursor - _CLOCK_STEP_NANOSECONDS else cursor
