"""The event stream, read from a small engine on a real socket that sends given events."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.events import EventStream, events_since
from controller.adapters.engine.replay import KnownCursors, identity_in
from controller.plan.memory.event import Event, EventCursor, EventKind, ReceivedEvents
from tests.adapters.engine.unix_server import Handler, serving

SECOND = 10**9


class Script:
    """An engine that sends these rows, one stream after the other; the last stream remains open."""

    def __init__(self, *streams: list[dict[str, Any]]) -> None:
        self.asked: list[str | None] = []
        self.said = threading.Event()
        self.ended = threading.Event()
        self._streams = deque(streams)
        self.engines: list[str] = []
        """The ID of the engine of each stream; of later ones too, the last."""

    def __call__(self, handler: Handler) -> None:
        if handler.path.endswith("/info"):
            place = min(len(self.asked), len(self.engines) - 1)
            handler.answer({"ID": self.engines[place]} if self.engines else {})
            return
        self.asked.extend(parse_qs(urlparse(handler.path).query).get("since") or [None])
        rows = self._streams.popleft()
        handler.begin_stream()
        for row in rows:
            handler.send_chunk(json.dumps(row).encode() + b"\n")
        if not self._streams:
            self.said.set()
            self.ended.wait(60)
        handler.hang_up()


def a_use(of: str, at: int) -> dict[str, Any]:
    actor = {"ID": "c", "Attributes": {"image": of}}
    return {"Type": "container", "Action": "die", "Actor": actor, "timeNano": at}


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., tuple[EventStream, Script]]]:
    with ExitStack() as stack:

        def start(*streams: list[dict[str, Any]], cursor: int = 0) -> tuple[EventStream, Script]:
            script = Script(*streams)
            stack.enter_context(serving(tmp_path / "s", script))
            stack.callback(script.ended.set)
            stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), lambda: None, cursor)
            stack.callback(stream.stop)
            stream.start(10)
            assert script.said.wait(60)
            while stream.mark() < sum(map(len, streams)):
                threading.Event().wait(0.01)
            return stream, script

        yield start


Listen = Callable[..., tuple[EventStream, Script]]


def names(events: Sequence[Event]) -> list[str]:
    return [event.name for event in events]


def test_events_are_returned_once(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", SECOND)])

    first, second = stream.take(), stream.take()
    assert (first.events, first.cursor) == ((Event(EventKind.USED, None, "app:1"),), SECOND)
    assert (second.events, second.cursor) == ((), SECOND)


def test_a_stream_that_ends_is_continued_where_it_ended(listen: Listen) -> None:
    stream, script = listen([a_use("app:1", SECOND)], [a_use("app:2", 2 * SECOND)])

    assert script.asked == [None, "0.999999000"]
    assert names(stream.take().events) == ["app:1", "app:2"]
    assert stream.generation == 2


def test_a_stream_of_another_engine_starts_at_its_own_cursor(tmp_path: Path) -> None:
    """Another engine answers for a moment; the pass that used the last events of the first one failed."""
    script = Script([a_use("app:1", 5 * SECOND)], [a_use("other:1", 9 * SECOND)], [a_use("app:1", 5 * SECOND)])
    script.engines = ["mine", "another", "mine"]
    mine = {identity_in({"ID": "mine"}): EventCursor(3 * SECOND)}
    with serving(tmp_path / "s", script):
        connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
        stream = EventStream(connection, lambda: None, 2 * SECOND, cursors=mine)
        stream.start(10)
        assert script.said.wait(60)
        while stream.mark() < 3:
            threading.Event().wait(0.01)
        received = stream.take()
        stream.stop()
        script.ended.set()
    assert script.asked == ["2.999999000", "4.999999000", "2.999999000"]
    assert (received.engine, received.cursor) == (identity_in({"ID": "mine"}), 5 * SECOND)
    assert "app:1" in names(received.events)


def test_the_replay_does_not_repeat_the_last_known_event(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", SECOND), a_use("app:2", 2 * SECOND)], cursor=SECOND)

    assert names(stream.take().events) == ["app:2"]


@pytest.mark.parametrize(
    ("streams", "is_all"),
    [
        ([[a_use("app:1", SECOND), a_use("app:2", 2 * SECOND)]], True),
        ([[a_use("app:2", 2 * SECOND)]], False),
        ([[]], False),
        ([[a_use("app:1", SECOND)], [a_use("app:1", SECOND)]], True),
        ([[a_use("app:1", SECOND)], [a_use("app:2", 2 * SECOND)]], False),
        ([[a_use("app:2", 2 * SECOND)], [a_use("app:2", 2 * SECOND)]], False),
    ],
    ids=["whole", "overrun", "engine restarted", "broken and whole", "broken and overrun", "overrun and then whole"],
)
def test_a_replay_that_does_not_start_with_the_last_known_event_is_incomplete(
    listen: Listen, streams: list[list[dict[str, Any]]], is_all: bool
) -> None:
    stream, _ = listen(*streams, cursor=SECOND)

    assert [stream.take().is_all, stream.take().is_all] == [is_all, True]


def test_start_waits_for_the_replay(listen: Listen) -> None:
    stream, _ = listen([a_use(f"app:{second}", second * SECOND) for second in range(1, 257)], cursor=SECOND)

    assert len(stream.take().events) == 255


@pytest.mark.parametrize(("cursor", "is_replayed"), [(SECOND, True), (0, False)])
def test_a_replayed_event_is_marked(listen: Listen, cursor: int, is_replayed: bool) -> None:
    stream, _ = listen([a_use("app:1", 2 * SECOND)], cursor=cursor)

    assert [event.is_replayed for event in stream.take().events] == [is_replayed]


def test_another_event_of_the_time_of_the_last_known_one_counts(listen: Listen) -> None:
    """Some clocks move only every few milliseconds."""
    stream, _ = listen([a_use("app:1", SECOND), a_use("app:2", SECOND)], cursor=SECOND)

    assert names(stream.take().events) == ["app:2"]


def test_an_event_that_was_overtaken_does_not_move_the_cursor_back(listen: Listen) -> None:
    stream, _ = listen([a_use("app:2", 2 * SECOND), a_use("app:1", 2 * SECOND - 1)])

    received = stream.take()
    assert received.events == (Event(EventKind.USED, None, "app:2"), Event(EventKind.USED, None, "app:1"))
    assert received.cursor == 2 * SECOND


def test_the_cursor_follows_a_clock_that_was_set_back(listen: Listen) -> None:
    stream, script = listen([a_use("app:1", 4_000_000_000 * SECOND), a_use("app:2", SECOND)], [])

    assert script.asked == [None, "0.999999000"]
    assert len(stream.take().events) == 2


def test_an_event_without_a_time_counts_and_leaves_the_cursor(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", 0)], cursor=SECOND)

    received = stream.take()
    assert (received.events, received.cursor) == ((Event(EventKind.USED, None, "app:1", is_replayed=True),), SECOND)


def test_events_after_a_mark_are_returned_and_not_consumed(listen: Listen) -> None:
    stream, _ = listen([a_use("app:1", SECOND)])

    seen, mark = stream.after(0)

    assert names(seen) == ["app:1"]
    assert stream.after(mark) == ((), mark)
    assert names(stream.take().events) == ["app:1"]


# ── single events ─────────────────────────────────────────────────────────────────────────────────────────────────────


class LineSender:
    """An engine that sends the lines of a test to each subscriber, from its subscription on."""

    def __init__(self) -> None:
        self.subscriptions: list[dict[str, list[str]]] = []
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self.subscribed = threading.Semaphore(0)
        self.info: dict[str, str] = {}
        self.kept: list[bytes] = []
        """The answer to a request with an end."""

    def send(self, *lines: bytes) -> None:
        for line in lines:
            self._lines.put(line)

    def hang_up(self) -> None:
        """Close the current stream."""
        self._lines.put(None)

    def __call__(self, handler: Handler) -> None:
        if handler.path.endswith("/info"):
            handler.answer(self.info)
            return
        query = parse_qs(urlparse(handler.path).query)
        if "until" in query:
            handler.begin_stream()
            handler.send_chunk(b"".join((*self.kept, b"\n")))
            handler.send_chunk(b"")
            return
        self.subscriptions.append(query)
        handler.begin_stream()
        self.subscribed.release()
        while (line := self._lines.get()) is not None:
            handler.send_chunk(line)
        handler.hang_up()


def a_line(of: str, at: int) -> bytes:
    return json.dumps(a_use(of, at)).encode() + b"\n"


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[LineSender]:
    sender = LineSender()
    with serving(tmp_path / "s", sender):
        yield sender
        sender.hang_up()


class WakeUps:
    """Counts wake-ups."""

    def __init__(self) -> None:
        self.wake_ups = threading.Semaphore(0)

    def __call__(self) -> None:
        self.wake_ups.release()


@pytest.fixture
def wake_up() -> WakeUps:
    return WakeUps()


@pytest.fixture
def stream(sender: LineSender, wake_up: WakeUps, tmp_path: Path) -> Iterator[EventStream]:
    stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), wake_up)
    stream.start(10)
    yield stream
    stream.stop()


def received_names(stream: EventStream, wake_up: WakeUps, number: int) -> list[str]:
    """Wait for `number` events; return their names."""
    while len(stream.after(0)[0]) < number:
        assert wake_up.wake_ups.acquire(timeout=60)
    return sorted(names(stream.after(0)[0]))


def test_only_relevant_events_are_requested(stream: EventStream, sender: LineSender) -> None:
    (asked,) = sender.subscriptions
    wanted = json.loads(asked["filters"][0])
    assert wanted["type"] == ["container", "image"]
    assert not {"exec_start", "health_status", "top"} & set(wanted["event"])
    assert "since" not in asked


def test_every_event_wakes_the_loop(stream: EventStream, sender: LineSender, wake_up: WakeUps) -> None:
    assert wake_up.wake_ups.acquire(timeout=60)  # for the stream itself
    sender.send(a_line("app:1", SECOND))
    assert wake_up.wake_ups.acquire(timeout=60)
    assert received_names(stream, wake_up, 1) == ["app:1"]


def test_lines_are_joined_from_pieces_of_any_length(stream: EventStream, sender: LineSender, wake_up: WakeUps) -> None:
    lines = a_line("app:1", SECOND) + a_line("app:2", 2 * SECOND) + a_line("app:3", 3 * SECOND)
    sender.send(lines[:10], lines[10:200], lines[200:])
    assert received_names(stream, wake_up, 3) == ["app:1", "app:2", "app:3"]


@pytest.mark.parametrize(
    "nonsense",
    [b"garbage\n", b"[]\n", b"null\n", b'{"Actor": 5}\n', b'{"Actor": {"Attributes": []}}\n', b"\n\n", b"{}\n"],
)
def test_an_invalid_line_is_skipped(stream: EventStream, sender: LineSender, wake_up: WakeUps, nonsense: bytes) -> None:
    sender.send(a_line("app:1", SECOND), nonsense, a_line("app:2", 2 * SECOND))
    assert received_names(stream, wake_up, 2) == ["app:1", "app:2"]
    assert stream.generation == 1


def test_after_the_stream_broke_it_continues_from_the_last_event(
    stream: EventStream, sender: LineSender, wake_up: WakeUps
) -> None:
    sender.send(a_line("app:1", SECOND + 5))
    received_names(stream, wake_up, 1)
    assert sender.subscribed.acquire(timeout=60)
    sender.hang_up()
    assert sender.subscribed.acquire(timeout=60)
    sender.send(a_line("app:1", SECOND + 5), a_line("app:2", 2 * SECOND))
    assert received_names(stream, wake_up, 2) == ["app:1", "app:2"]
    assert sender.subscriptions[1]["since"] == ["0.999999005"]
    assert stream.generation == 2


def test_an_endless_replay_does_not_block_the_start(
    tmp_path: Path, wake_up: WakeUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = EventStream(Connection(Address(f"unix://{tmp_path}/s")), wake_up, cursor=5)
    pauses: list[float] = []

    def one_more_event(seconds: float) -> bool:
        pauses.append(seconds)
        stream._count += 1
        return False

    monkeypatch.setattr(stream._has_replayed, "wait", one_more_event)
    stream._wait_for_replay(10, lambda: False)
    assert len(pauses) == 10
    stream._wait_for_replay(10, lambda: True)
    assert len(pauses) == 10


@pytest.mark.parametrize(("is_late", "most_pauses"), [(True, 10), (False, 1)])
def test_the_start_waits_longer_for_a_replay_that_has_not_begun(
    tmp_path: Path, wake_up: WakeUps, monkeypatch: pytest.MonkeyPatch, is_late: bool, most_pauses: int
) -> None:
    stream = EventStream(Connection(Address(f"unix://{tmp_path}/s")), wake_up, cursor=5)
    pauses: list[float] = []
    monkeypatch.setattr(stream._has_replayed, "wait", pauses.append)
    monkeypatch.setattr(stream, "_is_replay_late", is_late)
    stream._wait_for_replay(10, lambda: False)
    assert len(pauses) == most_pauses


@pytest.mark.parametrize("streamed", [[], [SECOND + 5], [SECOND + 5, 2 * SECOND]])
def test_the_start_does_not_wait_after_the_last_event_of_the_replay(
    sender: LineSender, wake_up: WakeUps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: list[int]
) -> None:
    """Docker lists the kept events before the stream starts, so its replay has a known end."""
    sender.info = {"SystemTime": "2027-01-15T08:00:00Z"}
    health = json.dumps({"Type": "container", "Action": "health_status: healthy", "timeNano": 3 * SECOND}).encode()
    sender.kept = [*(a_line("app:1", at) for at in streamed), health]
    sender.send(*(a_line("app:1", at) for at in streamed))
    connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
    stream = EventStream(connection, wake_up, cursor=SECOND)
    replays = []
    wait = stream._has_replayed.wait

    def without_time_limit(_: float) -> bool:
        replays.append(wait(60))
        return replays[-1]

    monkeypatch.setattr(stream._has_replayed, "wait", without_time_limit)
    stream.start(60)
    assert replays == [True]
    assert len(stream.take().events) == bool(streamed)  # They are equal.
    stream.stop()


def test_an_event_of_a_slow_replay_is_marked(
    sender: LineSender, wake_up: WakeUps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name may have moved to another image since."""
    monkeypatch.setattr("controller.adapters.engine.events._REPLAY_ENDS_AFTER_SECONDS", 1e-9)
    sender.info = {"SystemTime": "2027-01-15T08:00:00Z"}
    sender.kept = [a_line("app:1", 2 * SECOND)]
    sender.send(a_line("app:1", 2 * SECOND), a_line("app:2", 3 * SECOND))
    stream = opened(tmp_path, wake_up, ReceivedEvents(cursor=SECOND))
    while stream.mark() < 2:
        assert wake_up.wake_ups.acquire(timeout=60)
    assert [event.is_replayed for event in stream.take().events] == [True, False]
    stream.stop()


def test_a_replay_of_podman_that_has_not_begun_is_not_an_empty_one(
    sender: LineSender, wake_up: WakeUps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens the stream and then reads its whole log: an image that was used meanwhile would be removed as idle."""
    monkeypatch.setattr("controller.adapters.engine.replay.time.clock_gettime", lambda _: 1_000.0)
    sender.info = {"SystemTime": "2027-01-15T08:00:00Z", "BuildahVersion": "1.39.0"}
    first = opened(tmp_path, wake_up, ReceivedEvents())
    known = first.take()
    first.stop()
    sender.hang_up()
    for is_all, has_begun in ((False, False), (True, True)):
        stream = opened(tmp_path, wake_up, known)
        if has_begun:
            sender.send(a_line("app:1", known.cursor), a_line("app:2", known.cursor + SECOND))
            assert received_names(stream, wake_up, 1) == ["app:2"]
        received = stream.take()
        stream.stop()
        sender.hang_up()
        assert (received.is_up, received.is_all) == (True, is_all)
        assert all(event.is_replayed for event in received.events)


@pytest.mark.parametrize(("process", "is_all"), [("process 1", True), ("process 2", False)])
def test_events_may_be_missing_if_the_engine_was_started_again_after_it_listed_its_events(
    sender: LineSender,
    wake_up: WakeUps,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    process: str,
    is_all: bool,
) -> None:
    """With socket activation the stream is opened all the same, by the new process, which has no old events."""
    monkeypatch.setattr(
        "controller.adapters.engine.replay.process_behind", lambda _: process if sender.subscriptions else "process 1"
    )
    sender.info = {"SystemTime": "2027-01-15T08:00:00Z"}
    sender.kept = [a_line("app:1", SECOND)]
    stream = opened(tmp_path, wake_up, ReceivedEvents(cursor=SECOND))
    received = stream.take()
    assert (received.is_up, received.is_all) == (True, is_all)
    stream.stop()


def opened(tmp_path: Path, wake_up: WakeUps, known: ReceivedEvents) -> EventStream:
    """A stream that is up, and continues from there."""
    connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
    stream = EventStream(connection, wake_up, known.cursor, known.run)
    stream.start(0)
    while not stream.is_up:
        assert wake_up.wake_ups.acquire(timeout=60)
    return stream


def test_a_start_without_an_engine_ends_when_the_program_stops(tmp_path: Path, wake_up: WakeUps) -> None:
    stream = EventStream(Connection(Address(f"unix://{tmp_path}/s")), wake_up)
    stream.start(1e6, lambda: True)
    stream.stop()
    assert not stream.is_up


def test_while_the_engine_is_not_reachable_the_stream_is_down(tmp_path: Path, wake_up: WakeUps) -> None:
    stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), wake_up)
    stream.start(0)
    was_up = [stream.is_up]
    sender = LineSender()
    with serving(tmp_path / "s", sender):
        assert wake_up.wake_ups.acquire(timeout=60)
        was_up.append(stream.is_up)
        sender.hang_up()
        assert wake_up.wake_ups.acquire(timeout=60)
    was_up.append(stream.is_up)
    stream.stop()
    assert was_up == [False, True, False]


@pytest.mark.parametrize(
    ("lived_seconds", "expected"), [(0.0, [0.4, 0.8, 1.6, 3.2]), (60.0, [0.2, 0.2, 0.2, 0.2])], ids=["soon", "late"]
)
def test_the_pause_grows_only_after_empty_streams_that_end_soon(
    tmp_path: Path, wake_up: WakeUps, monkeypatch: pytest.MonkeyPatch, lived_seconds: float, expected: list[float]
) -> None:
    """A proxy that cuts idle streams costs each time only the shortest pause."""
    stream, now, pauses = EventStream(Connection(Address(f"unix://{tmp_path}/s")), wake_up), [1_000.0], []

    def read(_: object) -> None:
        now[0] += lived_seconds

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == len(expected):
            stream.stop()

    monkeypatch.setattr("controller.adapters.engine.events.time.monotonic", lambda: now[0])
    monkeypatch.setattr(stream, "_subscribed", list)
    monkeypatch.setattr(stream, "_read", read)
    monkeypatch.setattr(stream._stopping, "wait", pause)
    stream._run()
    assert pauses == expected


def test_an_engine_with_an_invalid_answer_is_asked_again(tmp_path: Path, wake_up: WakeUps) -> None:
    sender, refusals = LineSender(), [500, 404]

    def respond(handler: Handler) -> None:
        handler.answer({"message": "not yet"}, refusals.pop()) if refusals else sender(handler)

    with serving(tmp_path / "s", respond):
        stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), wake_up)
        stream.start(10)
        assert wake_up.wake_ups.acquire(timeout=60)
        assert stream.is_up
        stream.stop()
        sender.hang_up()


def test_the_stream_is_read_although_its_events_are_not_used(
    stream: EventStream, sender: LineSender, wake_up: WakeUps
) -> None:
    """An unread stream slows every client of the engine; repeated events need no memory."""
    sender.send(*(a_line(f"app:{number % 10}", number) for number in range(1, 20_001)))
    while stream.mark() < 20_000:
        assert wake_up.wake_ups.acquire(timeout=60)
    assert len(stream.take().events) == 10


def test_stopping_closes_the_stream_at_once(sender: LineSender, wake_up: WakeUps, tmp_path: Path) -> None:
    stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), wake_up)
    stream.start(10)
    stream.stop()
    stream.join(10)
    assert not stream.is_alive


# ── a reader that did not run ─────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_late_heartbeat_the_stream_starts_again_from_the_last_event_received_in_time(
    stream: EventStream, sender: LineSender, wake_up: WakeUps
) -> None:
    """Docker drops events of a client that does not read, and keeps the connection open."""
    sender.send(a_line("app:1", SECOND))
    received_names(stream, wake_up, 1)
    assert sender.subscribed.acquire(timeout=60)
    now = time.monotonic()
    stream.beat(now)
    sender.send(a_line("app:9", 9 * SECOND))
    received_names(stream, wake_up, 2)
    stream.beat(now + 6.5)
    assert not stream.is_up
    sender.hang_up()
    assert sender.subscribed.acquire(timeout=60)
    assert sender.subscriptions[1]["since"] == ["0.999999000"]
    assert not stream.take().is_all


def test_a_stream_that_was_not_read_for_seconds_is_not_up(stream: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.monotonic() + 6.5
    monkeypatch.setattr("controller.adapters.engine.events.time.monotonic", lambda: later)
    assert not stream.is_up


def test_an_engine_that_refuses_its_events_is_shown_with_its_answer(tmp_path: Path, wake_up: WakeUps) -> None:
    with serving(tmp_path / "s", lambda handler: handler.answer({"message": "Forbidden"}, 403)):
        stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), wake_up)
        stream.start(10)
        received = stream.take()
        stream.stop()
    assert (received.is_up, received.refusal) == (False, "403: Forbidden")


def test_events_from_before_a_mark_that_were_taken_do_not_hide_those_after_it(
    stream: EventStream, sender: LineSender, wake_up: WakeUps
) -> None:
    """A measurement of the store starts at a mark; a pass takes events meanwhile, and the measurement must see them."""
    mark = stream.mark()
    sender.send(a_line("app:1", SECOND))
    received_names(stream, wake_up, 1)
    stream.take()
    assert names(stream.after(mark)[0]) == ["app:1"]


# ── a clock that was set back ─────────────────────────────────────────────────────────────────────────────────────────


class HostClock:
    """The wall clock of this host, less the time since the boot, in seconds; a test sets it."""

    def __init__(self) -> None:
        self.distance = 1_000_000.0

    def __call__(self) -> float:
        return self.distance


@pytest.fixture
def host_clock(monkeypatch: pytest.MonkeyPatch) -> HostClock:
    clock = HostClock()
    for module in ("events", "replay"):
        monkeypatch.setattr(f"controller.adapters.engine.{module}.wall_clock", clock)
    return clock


PODMAN = {"SystemTime": "2027-01-15T08:00:00Z", "BuildahVersion": "1.39.0"}
NOW = 1_800_000_000 * SECOND


@pytest.fixture
def podman(sender: LineSender, host_clock: HostClock, tmp_path: Path, wake_up: WakeUps) -> Iterator[EventStream]:
    sender.info = dict(PODMAN)
    stream = opened(tmp_path, wake_up, ReceivedEvents())
    assert sender.subscribed.acquire(timeout=60)
    sender.send(a_line("app:1", NOW + 1))
    received_names(stream, wake_up, 1)
    stream.take()
    stream.beat(time.monotonic())
    sender.info["SystemTime"] = "2027-01-15T08:00:01Z"
    yield stream
    stream.stop()


def reopened(stream: EventStream, sender: LineSender, wake_up: WakeUps) -> ReceivedEvents:
    """The events that a stream has received since it was reopened, with a replay of the last known event."""
    sender.hang_up()
    assert sender.subscribed.acquire(timeout=60)
    sender.send(a_line("app:1", NOW + 1), a_line("app:2", NOW + 2))
    while "app:2" not in names(stream.after(0)[0]):
        assert wake_up.wake_ups.acquire(timeout=60)
    return stream.take()


@pytest.mark.parametrize("is_before_heartbeat", [False, True], ids=["heartbeat", "broken before the heartbeat"])
def test_on_podman_events_are_missing_after_the_clock_was_set_back(
    podman: EventStream, sender: LineSender, host_clock: HostClock, wake_up: WakeUps, is_before_heartbeat: bool
) -> None:
    """It leaves out live events with a time before the start of the stream. The last known event proves nothing."""
    host_clock.distance -= 1.0
    assert not podman.is_up
    assert not podman.take().is_up
    if not is_before_heartbeat:
        podman.beat(time.monotonic())
        host_clock.distance += 1.0
    received = reopened(podman, sender, wake_up)
    assert (received.is_up, received.has_hole) == (True, True)
    assert len(sender.subscriptions) == 2


@pytest.mark.parametrize("stepped_by", [-0.1, 3600.0])
def test_on_podman_a_clock_that_was_not_set_back_hides_no_events(
    podman: EventStream, host_clock: HostClock, stepped_by: float
) -> None:
    host_clock.distance += stepped_by
    podman.beat(time.monotonic())
    assert podman.take().is_all


def test_on_docker_a_clock_that_was_set_back_hides_no_events(stream: EventStream, host_clock: HostClock) -> None:
    host_clock.distance -= 3600.0
    stream.beat(time.monotonic())
    assert stream.is_up


@pytest.mark.parametrize(("time_of_engine", "is_up"), [("2027-01-15T08:00:01Z", True), ("2027-01-15T07:00:00Z", False)])
def test_the_clock_of_podman_on_another_host_is_compared_when_a_pass_takes_the_events(
    podman: EventStream,
    sender: LineSender,
    wake_up: WakeUps,
    monkeypatch: pytest.MonkeyPatch,
    time_of_engine: str,
    is_up: bool,
) -> None:
    monkeypatch.setattr(podman._connection, "address", Address("tcp://engine:2375"))
    sender.info["SystemTime"] = time_of_engine
    assert (podman.take().is_up, podman.is_up) == (is_up, is_up)
    assert reopened(podman, sender, wake_up).has_hole is not is_up


# ── one request with an end ──────────────────────────────────────────────────────────────────────────────────────────


class Listing:
    """An engine that lists these rows, as Docker or as Podman does."""

    def __init__(self, *rows: Any, info: dict[str, str] | None = None, status: int = 200) -> None:
        self.info = {"SystemTime": "1970-01-01T00:01:00Z", **(info or {})}
        self.queries: list[dict[str, list[str]]] = []
        self._rows, self._status = rows, status

    def __call__(self, handler: Handler) -> None:
        if "/events" not in handler.path:
            handler.answer(self.info)
            return
        query = parse_qs(urlparse(handler.path).query)
        self.queries.append(query)
        if self._status != 200:
            handler.answer({"message": "Forbidden"}, self._status)
            return
        has_end = ("until" in query) != ("BuildahVersion" in self.info)
        rows = self._rows if has_end else ()
        handler.begin_stream()
        handler.send_chunk(b"".join(json.dumps(row).encode() + b"\n" for row in rows) + b"\n")
        handler.send_chunk(b"")


def once(tmp_path: Path, listing: Listing, cursor: int = SECOND, run: str = "") -> ReceivedEvents:
    with serving(tmp_path / "s", listing):
        connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
        return events_since(connection, KnownCursors(EventCursor(cursor, run)))


def a_health_check(at: int) -> dict[str, Any]:
    return {"Type": "container", "Action": f"exec_create: {'x' * 5_000}", "timeNano": at}


def test_the_events_since_a_cursor_are_read_without_a_stream(tmp_path: Path) -> None:
    """Docker's list holds the events of all kinds: one request shows the uses and whether events are missing."""
    listing = Listing(a_use("app:1", SECOND), a_use("app:2", 2 * SECOND), a_health_check(3 * SECOND))
    received = once(tmp_path, listing)
    assert (names(received.events), received.is_all, received.cursor) == (["app:2"], True, SECOND)
    assert [event.is_replayed for event in received.events] == [True]
    assert len(listing.queries) == 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [a_use("app:2", 2 * SECOND)],
        [a_use("app:1", SECOND), {"Type": "image", "Action": "pull", "Actor": 5, "timeNano": 2 * SECOND}],
        [a_use("app:1", SECOND), "no event"],
    ],
    ids=["engine restarted", "overrun", "an invalid event", "an invalid list"],
)
def test_events_since_a_cursor_may_be_missing_as_in_a_stream(tmp_path: Path, rows: list[Any]) -> None:
    received = once(tmp_path, Listing(*rows))
    assert (received.is_up, received.has_hole) == (True, True)


@pytest.mark.parametrize(("is_known", "is_same_clock"), [(True, True), (False, True), (True, False)])
def test_the_events_of_podman_are_listed_without_an_end(tmp_path: Path, is_known: bool, is_same_clock: bool) -> None:
    """With `until` its answer is empty. Only the last known event proves that none is missing."""
    known = [a_use("app:1", SECOND)] if is_known else []
    listing = Listing(*known, a_use("app:2", 2 * SECOND), info=PODMAN)
    run = once(tmp_path, listing, cursor=0).run if is_same_clock else "podman another boot"
    received = once(tmp_path, listing, run=run)
    assert (names(received.events), received.is_all) == (["app:2"], is_known and is_same_clock)
    assert listing.queries[-1]["stream"] == ["false"]


def test_another_event_of_the_time_of_the_cursor_counts(tmp_path: Path) -> None:
    """As in the stream: only the last known event is known."""
    received = once(tmp_path, Listing(a_use("app:1", SECOND), a_use("app:2", SECOND)))
    assert names(received.events) == ["app:2"]


def test_a_refusal_of_the_events_is_an_answer(tmp_path: Path) -> None:
    received = once(tmp_path, Listing(status=403))
    assert (received.is_up, received.refusal) == (False, "403: Forbidden")


def test_without_an_engine_no_events_are_known(tmp_path: Path) -> None:
    assert not events_since(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), KnownCursors()).is_up
