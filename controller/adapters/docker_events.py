"""The engine's event stream: read without pause in a thread of its own, kept until a pass takes it, and a bell.

An unread stream slows every call of every client of the engine, so reading never waits for a pass. The stream may break
(the docker library's iterator then just ends), lose events beyond 256, and repeat some: a pass reads everything anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any

from docker.errors import APIError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from controller.adapters.docker_connection import Connection
from controller.adapters.docker_json import EVENT_FILTER, event_from, event_time_nanoseconds
from controller.errors import EngineUnavailable
from controller.plan.event import Event

_LONGEST_PAUSE_SECONDS = 30.0
_SHORTEST_PAUSE_SECONDS = 0.2

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
        self._lock = threading.Lock()
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self, wait_seconds: float) -> None:
        """Begin to read; returns once the stream stands, or after `wait_seconds` without one."""
        self._thread.start()
        self._up.wait(wait_seconds)

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()

    @property
    def is_up(self) -> bool:
        """Does the stream stand?"""
        return self._up.is_set()

    @property
    def is_alive(self) -> bool:
        """Does the thread that reads it live?"""
        return self._thread.is_alive()

    def take(self) -> tuple[tuple[Event, ...], int]:
        """All events since the last call, each kind once, and the cursor that stands for having taken them in."""
        with self._lock:
            events, self._arrived = tuple(self._arrived), {}
            return events, self._cursor

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
        while not self._stopping.is_set():
            try:
                self._read(self._subscribed())
            except RetryError:
                return
            except Exception:  # This thread must not die: it keeps the engine quick.
                _log.exception("reading the engine's events came to an unforeseen end; it begins again")
            self._up.clear()
            self._ring()
            self._stopping.wait(_SHORTEST_PAUSE_SECONDS)

    def _subscribed(self) -> Iterable[dict[str, Any]]:
        """The stream from where the last one ended, however long that takes. Raises RetryError when told to stop."""
        attempts = Retrying(
            retry=retry_if_exception_type((EngineUnavailable, APIError)),
            wait=wait_exponential(_SHORTEST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
        )
        since = f"{self._cursor // 10**9}.{self._cursor % 10**9:09}" if self._cursor else None
        return attempts(
            self._connection.request,
            "events",
            lambda client: client.events(since, filters=EVENT_FILTER, decode=True),
        )

    def _read(self, stream: Iterable[dict[str, Any]]) -> None:
        self.generation += 1
        self._up.set()
        self._ring()
        for row in stream:
            event = event_from(row)
            with self._lock:
                self._cursor = max(self._cursor, event_time_nanoseconds(row))
                self._count += 1
                if event is not None:
                    self._arrived.pop(event, None)
                    self._arrived[event] = self._count
            if event is not None:
                self._ring()
