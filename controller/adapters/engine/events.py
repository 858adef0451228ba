"""The engine's event stream: read without pause in a thread of its own, kept until a pass takes it, and a bell.

An unread stream slows every call of every client of the engine, so reading never waits for a pass. The stream may break
(the docker library's iterator then just ends), lose events beyond 256, and repeat some: a pass reads everything anew.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import takewhile

import docker
from docker.errors import APIError
from docker.types.daemon import CancellableStream
from docker.utils import convert_filters
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from controller.adapters.engine.answers import EVENT_FILTER, event_from, event_time_nanoseconds
from controller.adapters.engine.connection import Connection, raise_for_status
from controller.errors import EngineUnavailable
from controller.log_events import LogEvent
from controller.plan.memory.event import Event, ReceivedEvents

_LONGEST_PIECE_BYTES = 65_536
_LONGEST_PAUSE_SECONDS = 30.0
_SHORTEST_PAUSE_SECONDS = 0.2
_SILENCE_ENDS_A_REPLAY_SECONDS = 0.5
_A_LITTLE_EARLIER_NANOSECONDS = 1_000
"""Podman rounds the moment from which a replay is wanted, and would leave out an event of exactly that one."""
_A_CLOCK_WAS_SET_BACK_NANOSECONDS = 60 * 10**9
"""By more than this; by less, two events of one moment have overtaken each other."""

_log = logging.getLogger(__name__)


class EventStream:
    """Events since they were last taken; `ring` is called whenever a pass should look."""

    def __init__(self, connection: Connection, ring: Callable[[], None], cursor: int = 0) -> None:
        """`cursor` is the engine's time, in nanoseconds, of the last event that a pass took in; 0: none yet."""
        self.generation = 0
        """Counts connections: after a new one another engine may be answering, and events may be missing."""
        self._connection = connection
        self._ring = ring
        self._cursor = cursor
        self._arrived: dict[Event, int] = {}
        self._count = 0
        self._taken_to = 0
        self._lock = threading.Lock()
        self._has_missed = False
        """Events may have come, since some were last taken, that never arrived here."""
        self._up = threading.Event()
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._stream: CancellableStream[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self, wait_seconds: float) -> None:
        """Begin to read; returns once the stream stands and has replayed what was missed, or once the engine cannot
        be reached, after `wait_seconds` at most.
        """
        self._thread.start()
        self._tried.wait(wait_seconds)
        if self._up.is_set() and self._cursor:
            replayed = -1
            while replayed != self._count:  # A stream does not say where its past ends and the present begins.
                replayed = self._count
                self._stopping.wait(_SILENCE_ENDS_A_REPLAY_SECONDS)

    def stop(self) -> None:
        """Read no more, and hang up."""
        self._stopping.set()
        if self._stream is not None:
            with suppress(OSError, AttributeError):  # It may have ended by itself just now.
                self._stream.close()

    def join(self, seconds: float) -> None:
        """Wait for the end of the reading, at most so long."""
        self._thread.join(seconds)

    @property
    def is_up(self) -> bool:
        """Does the stream stand?"""
        return self._up.is_set()

    @property
    def is_alive(self) -> bool:
        """Does the thread that reads it live?"""
        return self._thread.is_alive()

    def take(self) -> ReceivedEvents:
        """All events since the last call, each kind once, and the cursor that stands for having taken them in.

        They stay known to `after` until the next call, as a mark may be older than this one.
        """
        with self._lock:
            self._arrived = {event: place for event, place in self._arrived.items() if place > self._taken_to}
            self._taken_to = self._count
            has_hole, self._has_missed = self._has_missed, False
            return ReceivedEvents(tuple(self._arrived), self._cursor, self._up.is_set(), has_hole)

    def mark(self) -> int:
        """A place in the stream, for `after`."""
        with self._lock:
            return self._count

    def after(self, mark: int) -> tuple[tuple[Event, ...], int]:
        """Events that came after `mark`, latest first, and a new mark; the next pass will take them all the same."""
        with self._lock:
            newest_first = reversed(self._arrived.items())
            return tuple(event for event, _ in takewhile(lambda item: item[1] > mark, newest_first)), self._count

    def _run(self) -> None:
        barren = 0
        while not self._stopping.is_set():
            known = self._count
            try:
                self._read(self._subscribed())
            except RetryError:
                return
            except Exception as error:  # This thread must not die: it keeps the engine quick.
                broken = {"event": LogEvent.ENGINE_EVENTS_BROKEN}
                _log.warning("the engine's event stream broke (%r); it is read anew", error, extra=broken)
            self._up.clear()
            self._ring()
            barren = barren + 1 if self._count == known else 0
            self._stopping.wait(min(_SHORTEST_PAUSE_SECONDS * 2**barren, _LONGEST_PAUSE_SECONDS))

    def _subscribed(self) -> CancellableStream[bytes]:
        """The stream from where the last one ended, however long that takes. Raises RetryError when told to stop."""
        attempts = Retrying(
            retry=retry_if_exception_type((EngineUnavailable, APIError)),
            wait=wait_exponential(_SHORTEST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=lambda _: self._tried.set(),
        )
        self._stream = attempts(self._connection.request, "events", partial(_stream_of, cursor=self._cursor))
        return self._stream

    def _read(self, stream: Iterable[bytes]) -> None:
        self.generation += 1
        with self._lock:
            had_missed, self._has_missed = self._has_missed, True
        self._up.set()
        self._tried.set()
        self._ring()
        taken_in, replays, last = self._cursor, bool(self._cursor), time.monotonic()
        for told, at in _told(stream):
            now = time.monotonic()
            replays, last = replays and now - last < _SILENCE_ENDS_A_REPLAY_SECONDS, now
            is_new = at != taken_in or not at  # A replay begins with the last event known.
            event = replace(told, is_replayed=replays) if told and is_new else None
            with self._lock:
                if not is_new:  # So it has no hole in it.
                    self._has_missed = had_missed
                self._cursor = cursor_after(self._cursor, at)
                self._count += 1
                if event is not None:
                    self._arrived.pop(event, None)
                    self._arrived[event] = self._count
            if event is not None:
                self._ring()


def _stream_of(client: docker.APIClient, cursor: int) -> CancellableStream[bytes]:
    """The library's own `events` takes an error for the first event, and finds out only when that is read."""
    parameters = {"filters": convert_filters(EVENT_FILTER)}
    if cursor:
        since = max(cursor - _A_LITTLE_EARLIER_NANOSECONDS, 1)
        parameters["since"] = f"{since // 10**9}.{since % 10**9:09}"
    address = f"{client.base_url}/v{client.api_version}/events"
    response = client.get(address, params=parameters, stream=True, timeout=None)
    raise_for_status(response)
    return CancellableStream(response.raw.stream(_LONGEST_PIECE_BYTES), response)


def _told(stream: Iterable[bytes]) -> Iterator[tuple[Event | None, int]]:
    """Each line's event, if it is one that matters, and its time, however the stream is cut into pieces.

    A line that makes no sense is left out: it can only have been news, and a pass reads everything anew.
    """
    rest = b""
    for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        for line in filter(None, lines):
            try:
                row = json.loads(line)
                told = event_from(row), event_time_nanoseconds(row)
            except (ValueError, TypeError, AttributeError):
                invalid = {"event": LogEvent.ENGINE_EVENT_INVALID}
                _log.debug("an event that makes no sense: %.200r", line, extra=invalid)
            else:
                yield told


def cursor_after(cursor: int, at: int) -> int:
    """The engine's time up to which events are known, after one of that time: it follows a clock that was set back."""
    return at if at > cursor or 0 < at < cursor - _A_CLOCK_WAS_SET_BACK_NANOSECONDS else cursor
