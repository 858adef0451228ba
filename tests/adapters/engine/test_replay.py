"""Whether events since the last known one can be missing, by recorded answers."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import responses

from controller.adapters.engine import replay
from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.replay import (
    KnownCursors,
    ReplayStart,
    nanoseconds_of,
    process_behind,
    replay_start,
    run_after_event,
)
from controller.plan.memory.event import EventCursor

API = "http://engine:2375/v1.41"
SECOND = 10**9
NOW = 1_800_000_000 * SECOND
DOCKER: dict[str, Any] = {"SystemTime": "2027-01-15T08:00:00Z"}
PODMAN = {**DOCKER, "BuildahVersion": "1.39.0"}


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(replay, "process_behind", lambda _: "process 1")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def start(
    http: responses.RequestsMock, info: dict[str, Any], *times: int, cursor: int = 0, run: str = ""
) -> ReplayStart:
    http.get(f"{API}/info", json=info)
    http.get(f"{API}/events", body="".join(json.dumps({"timeNano": at}) + "\n" for at in times))
    connection = Connection(Address("tcp://engine:2375"), api_version="1.41")
    return connection.request("events", lambda client: replay_start(client, "", KnownCursors(EventCursor(cursor, run))))


def test_the_first_stream_starts_at_the_last_event_that_the_engine_has(http: responses.RequestsMock) -> None:
    assert start(http, DOCKER, 1 * SECOND, 2 * SECOND) == ReplayStart(2 * SECOND, "", is_complete=False)


def test_on_an_engine_without_events_the_first_stream_starts_now(http: responses.RequestsMock) -> None:
    assert start(http, DOCKER) == ReplayStart(NOW, "process 1", is_complete=False)


def test_a_replay_with_the_last_known_event_is_complete(http: responses.RequestsMock) -> None:
    assert start(http, DOCKER, SECOND, cursor=SECOND).is_complete


def test_a_replay_without_the_last_known_event_is_not_complete(http: responses.RequestsMock) -> None:
    assert not start(http, DOCKER, 2 * SECOND, cursor=SECOND).is_complete


@pytest.mark.parametrize("times", [(), (NOW - 1,)])
def test_a_replay_since_a_time_is_complete_if_the_process_is_the_same(
    http: responses.RequestsMock, times: tuple[int, ...]
) -> None:
    assert start(http, DOCKER, *times, cursor=NOW - SECOND, run="process 1").is_complete


@pytest.mark.parametrize(
    ("cursor", "run", "times"),
    [
        (NOW - SECOND, "process 2", ()),
        (NOW - SECOND, "", ()),
        (NOW + SECOND, "process 1", ()),
        (NOW - SECOND, "process 1", range(NOW - 256, NOW)),
        (NOW - SECOND, "process 1", (NOW - 9 * SECOND,)),
    ],
    ids=[
        "another process",
        "an unknown process",
        "a clock behind",
        "more events than are kept",
        "a clock that went back",
    ],
)
def test_a_replay_since_a_time_of_another_process_is_not_complete(
    http: responses.RequestsMock, cursor: int, run: str, times: tuple[int, ...]
) -> None:
    assert not start(http, DOCKER, *times, cursor=cursor, run=run).is_complete


def test_a_replay_is_not_complete_if_another_process_opened_the_stream(
    http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = start(http, DOCKER, SECOND, cursor=SECOND)
    assert listed.once_open("unix:///run/docker.sock") == listed
    monkeypatch.setattr(replay, "process_behind", lambda _: "process 2")
    opened = listed.once_open("unix:///run/docker.sock")
    assert (listed.is_complete, opened.is_complete, opened.ends_at) == (True, False, None)


def test_without_the_kept_events_a_replay_is_not_complete(http: responses.RequestsMock) -> None:
    """The engine's process is the same, but more events may have come than it keeps."""
    http.get(f"{API}/info", json=DOCKER)
    http.get(f"{API}/events", status=500, json={"message": "no"})
    known = KnownCursors(EventCursor(NOW - SECOND, "process 1"))
    connection = Connection(Address("tcp://engine:2375"), api_version="1.41")
    start = connection.request("events", lambda client: replay_start(client, "", known))
    assert start == ReplayStart(NOW - SECOND, "process 1", is_complete=False, ends_at=None)


def test_a_replay_ends_with_the_last_kept_event_that_is_streamed(http: responses.RequestsMock) -> None:
    """Events of other kinds are counted and not streamed; earlier ones are not streamed again."""
    rows: list[dict[str, Any]] = [
        {"Type": "image", "Action": "pull", "Actor": {"ID": "app:1"}, "timeNano": at} for at in (5, 7, 9)
    ]
    rows += [{"Type": "network", "Action": "connect", "timeNano": 11}]
    http.get(f"{API}/info", json=DOCKER)
    http.get(f"{API}/events", body="".join(json.dumps(row) + "\n" for row in rows))
    connection = Connection(Address("tcp://engine:2375"), api_version="1.41")

    def ends_at(cursor: int) -> int | None:
        known = KnownCursors(EventCursor(cursor))
        return connection.request("events", lambda client: replay_start(client, "", known)).ends_at

    assert (ends_at(7), ends_at(10_000)) == (9, 0)


@pytest.mark.parametrize(
    "last",
    [
        {"Type": "container", "Action": f"exec_create: {'x' * 5_000}", "timeNano": 8},
        {"Type": "image", "Action": "pull", "Actor": {"ID": "app:1"}, "timeNano": 7},
    ],
    ids=["an event that cannot be read", "two events of one time"],
)
def test_a_replay_is_complete_although_its_end_is_not_known(http: responses.RequestsMock, last: dict[str, Any]) -> None:
    """The text of a command in a container is as long as the command."""
    rows = [{"Type": "image", "Action": "pull", "Actor": {"ID": "app:1"}, "timeNano": 7}, last]
    http.get(f"{API}/info", json=DOCKER)
    http.get(f"{API}/events", body="".join(json.dumps(row) + "\n" for row in rows))
    connection = Connection(Address("tcp://engine:2375"), api_version="1.41")
    known = KnownCursors(EventCursor(5, "process 1"))
    start = connection.request("events", lambda client: replay_start(client, "", known))
    assert (start.is_complete, start.ends_at) == (True, None)


def test_the_kept_events_are_those_that_are_streamed(http: responses.RequestsMock) -> None:
    """Docker sends none before an event that is earlier, so one that was overtaken would hide the last known event."""
    start(http, DOCKER, NOW - SECOND, cursor=NOW - SECOND)
    assert f"since={NOW // SECOND - 2}.999998999&" in str(http.calls[-1].request.url)


def test_each_engine_continues_from_its_own_cursor(http: responses.RequestsMock) -> None:
    """After another engine answered for a moment, the events since this one left are replayed."""
    http.get(f"{API}/info", json={**DOCKER, "ID": "mine", "Driver": "overlay2", "DockerRootDir": "/data"})
    http.get(f"{API}/events", body="".join(json.dumps({"timeNano": at}) + "\n" for at in (SECOND, 2 * SECOND)))
    connection = Connection(Address("tcp://engine:2375"), api_version="1.41")
    mine = "mine graph driver overlay2 /data"

    def begun(known: KnownCursors) -> ReplayStart:
        return connection.request("events", lambda client: replay_start(client, "", known))

    cursors = {mine: EventCursor(SECOND)}
    for last in ("", "another"):
        start = begun(KnownCursors(EventCursor(9 * SECOND, "process 9"), last, cursors))
        assert (start.cursor, start.run, start.is_complete, start.engine) == (SECOND, "", True, mine)
    assert begun(KnownCursors(EventCursor(2 * SECOND), mine, cursors)).cursor == 2 * SECOND
    assert begun(KnownCursors(EventCursor(2 * SECOND), "another", {})).cursor == 2 * SECOND


def test_on_podman_only_the_last_known_event_in_the_stream_proves_that_none_is_missing(
    http: responses.RequestsMock,
) -> None:
    """It opens the stream before it reads its log: a replay that has not begun yet looks empty."""
    first = start(http, PODMAN)
    assert (first.cursor, first.is_late) == (NOW, False)
    again = start(http, PODMAN, cursor=first.cursor, run=first.run)
    assert (again.is_complete, again.is_provable, again.is_late) == (False, True, True)
    assert not start(http, PODMAN, cursor=first.cursor, run="podman another boot").is_provable
    assert not start(http, PODMAN, cursor=first.cursor, run="podman another 1").is_provable


@pytest.mark.parametrize("stepped_by", [-3600, 3600])
def test_on_podman_a_step_of_the_clock_may_hide_events(
    http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, stepped_by: int
) -> None:
    """Podman selects the events of its log by their time: not even the last known one proves that none is missing."""
    first = start(http, PODMAN)
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr("controller.adapters.engine.replay.time.clock_gettime", lambda _: uptime - stepped_by)
    second = start(http, PODMAN, cursor=first.cursor - SECOND, run=run_after_event(first.run))
    assert (second.is_complete, second.is_provable, second.cursor) == (False, False, first.cursor - SECOND)
    assert start(http, PODMAN, cursor=second.cursor, run=second.run).is_provable


def test_a_cursor_in_the_future_of_podman_starts_again_now(http: responses.RequestsMock) -> None:
    assert start(http, PODMAN, cursor=NOW + SECOND, run=start(http, PODMAN).run).cursor == NOW


def test_an_event_that_moves_the_cursor_replaces_the_process_but_on_podman() -> None:
    assert [run_after_event(run) for run in ("12 34 boot", "podman boot 1")] == ["", "podman boot 1"]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2027-01-15T08:00:00.123456789Z", NOW + 123_456_789),
        ("2027-01-15T09:00:00.5+01:00", NOW + 500_000_000),
        ("2027-01-15T08:00:00Z", NOW),
        ("today", 0),
        (None, 0),
        ("2027-99-15T08:00:00Z", 0),
    ],
)
def test_the_time_of_an_engine_is_read_to_the_nanosecond(text: str | None, nanoseconds: int) -> None:
    assert nanoseconds_of(text) == nanoseconds


def test_only_the_process_of_an_engine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        assert process_behind(f"unix://{tmp_path}/s", tmp_path / "none") == ""
        name = Path("/proc/self/comm").read_text().strip()
        monkeypatch.setattr(replay, "_ENGINES", (name,))
        assert process_behind(f"unix://{tmp_path}/s", tmp_path / "none").startswith(f"{os.getpid()} ")


def test_behind_an_address_of_another_host_no_process_is_known(tmp_path: Path) -> None:
    assert process_behind("tcp://engine:2375", tmp_path / "none") == ""
