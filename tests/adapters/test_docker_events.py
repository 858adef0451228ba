"""The event stream against a connection that says what it is told to."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from controller.adapters.docker_events import EventStream
from controller.plan.event import Event, Happening

SECOND = 10**9


class Script:
    """A connection whose event streams say these rows, one stream after the other; the last one stays open."""

    def __init__(self, *streams: list[dict[str, Any]]) -> None:
        self.asked: list[str | None] = []
        self.said = threading.Event()
        self.ended = threading.Event()
        self._streams = deque(streams)

    def request(self, operation: str, ask: Callable[[Any], Any]) -> Any:
        return ask(SimpleNamespace(events=self._events))

    def _events(self, since: str | None, **_: object) -> Iterator[dict[str, Any]]:
        self.asked.append(since)
        return self._rows(self._streams.popleft())

    def _rows(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        yield from rows
        if not self._streams:
            self.said.set()
            self.ended.wait(10)


def a_use(of: str, at: int) -> dict[str, Any]:
    actor = {"ID": "c", "Attributes": {"image": of}}
    return {"Type": "container", "Action": "die", "Actor": actor, "timeNano": at}


@pytest.fixture
def listen() -> Iterator[Callable[..., tuple[EventStream, Script]]]:
    open_streams: list[tuple[EventStream, Script]] = []

    def start(*streams: list[dict[str, Any]], cursor: int = 0) -> tuple[EventStream, Script]:
        script = Script(*streams)
        stream = EventStream(script, lambda: None, cursor)  # type: ignore[arg-type]
        open_streams.append((stream, script))
        stream.start(10)
        assert script.said.wait(10)
        return stream, script

    yield start
    for stream, script in open_streams:
        stream.stop()
        script.ended.set()


Listen = Callable[..., tuple[EventStream, Script]]


def names(events: tuple[Event, ...]) -> list[str]:
    return [event.name for event in events]


def test_events_are_taken_once(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", SECOND)])

    assert stream.take() == ((Event(Happening.USED, None, "app:1"),), SECOND)
    assert stream.take() == ((), SECOND)


def test_a_stream_that_ends_begins_anew_where_it_ended(listen: Listen) -> None:
    stream, script = listen([a_use("app:1", SECOND)], [a_use("app:2", 2 * SECOND)])

    assert script.asked == [None, "1.000000000"]
    assert names(stream.take()[0]) == ["app:1", "app:2"]
    assert stream.generation == 2


def test_the_replay_does_not_tell_the_last_known_event_again(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", SECOND), a_use("app:2", 2 * SECOND)], cursor=SECOND)

    assert names(stream.take()[0]) == ["app:2"]


def test_whoever_waits_for_the_stream_has_its_replay(listen: Listen) -> None:
    stream, _ = listen([a_use(f"app:{second}", second * SECOND) for second in range(1, 257)], cursor=SECOND)

    assert len(stream.take()[0]) == 255


def test_an_event_that_was_overtaken_does_not_move_the_cursor_back(listen: Listen) -> None:
    stream, _ = listen([a_use("app:2", 2 * SECOND), a_use("app:1", 2 * SECOND - 1)])

    assert stream.take() == (
        (Event(Happening.USED, None, "app:2"), Event(Happening.USED, None, "app:1")),
        2 * SECOND,
    )


def test_the_cursor_follows_a_clock_that_was_set_back(listen: Listen) -> None:
    stream, script = listen([a_use("app:1", 4_000_000_000 * SECOND), a_use("app:2", SECOND)], [])

    assert script.asked == [None, "1.000000000"]
    assert len(stream.take()[0]) == 2


def test_an_event_without_a_time_counts_and_leaves_the_cursor(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", 0)], cursor=SECOND)

    assert stream.take() == ((Event(Happening.USED, None, "app:1"),), SECOND)


def test_events_after_a_mark_are_seen_and_stay_to_be_taken(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", SECOND)])

    seen, mark = stream.after(0)

    assert names(seen) == ["app:1"]
    assert stream.after(mark) == ((), mark)
    assert names(stream.take()[0]) == ["app:1"]
