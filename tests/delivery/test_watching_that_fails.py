"""Watchers that cannot be made, get no events, get too many, or end: modes 11 to 15."""

from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from controller.adapters.folder import folder as policy_folder
from controller.adapters.folder import watch as policy_watch
from controller.daemon.loop import DISTANCE_IN_PASSES, GATHERED_AT_MOST_SECONDS, Loop
from controller.daemon.status import Status
from controller.policy.document.parse import Parsed, parse_documents
from tests.delivery.apart import Apart, apart
from tests.delivery.deliverers import put
from tests.delivery.node import Node, a_node, a_policy

INSTANCES = "/proc/sys/user/max_inotify_instances"
WATCHES = "/proc/sys/user/max_inotify_watches"
"""The same limits as fs.inotify.*, for a user namespace of its own."""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    put(tmp_path / "policies", {"p.yaml": a_policy(1)})
    return tmp_path / "policies"


def reads(reader: Apart, minutes: int) -> bool:
    """True if it reads this value and is watching."""
    found = reader.read()
    assert found["minutes"] == {"p": minutes}
    return bool(found["is_watched"])


# --- Limits ---


def test_without_an_inotify_instance_the_folder_is_still_read(policies: Path) -> None:
    with apart(policies, first=f"echo 0 >{INSTANCES}") as reader:
        assert not reads(reader, 1)
        assert reader.logs("inotify instance limit reached (raise fs.inotify.max_user_instances)")
        put(policies, {"p.yaml": a_policy(2)})
        assert not reads(reader, 2)
        reader.run(f"echo 128 >{INSTANCES}")
        assert reads(reader, 2)
        put(policies, {"p.yaml": a_policy(3)})
        assert reader.notices_change()
        assert reads(reader, 3)


@pytest.mark.parametrize("most", [0, 1, 3, 6, 11])
def test_without_enough_watches_the_folder_is_not_shown_as_watched(policies: Path, most: int) -> None:
    """Ten subfolders need twelve watches. watchdog does not report that they run out half-way."""
    put(policies, {f"{name}/q.txt": "" for name in "abcdefghij"})
    with apart(policies, first=f"echo {most} >{WATCHES}") as reader:
        assert not reads(reader, 1)
        reader.run(f"echo 12 >{WATCHES}")
        assert reads(reader, 1)
        put(policies, {"j/p.yaml": a_policy(2)})
        assert reader.notices_change()


def test_a_folder_made_later_for_which_there_is_no_watch_is_noticed(policies: Path) -> None:
    with apart(policies, first=f"echo 2 >{WATCHES}") as reader:
        assert reads(reader, 1)
        put(policies, {"team/q.txt": ""})
        assert reader.notices_change()
        assert not reads(reader, 1)
        reader.run(f"echo 3 >{WATCHES}")
        assert reads(reader, 1)


def test_after_a_full_event_queue_changes_are_noticed(policies: Path) -> None:
    """fs.inotify.max_queued_events, 16,384 by default, while the process does not run; the one that counts is lost."""
    with apart(policies) as reader:
        assert reads(reader, 1)
        with reader.frozen():
            most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
            for number in range(most // 2 + 100):
                (policies / f"{number % 7}.tmp").touch()
                (policies / f"{number % 7}.tmp").unlink()
            put(policies, {"p.yaml": a_policy(2)})
        assert reader.notices_change()
        assert reads(reader, 2)
        assert reader.logs("Inotify queue overflowed")
        put(policies, {"team/q.yaml": a_policy(3), "p.yaml": a_policy(4)})
        assert reader.notices_change()
        assert reader.read()["minutes"] == {"p": 4, "team/q": 3}


# --- File systems without events ---


def test_changes_below_an_overlay_are_found_without_events(tmp_path: Path, policies: Path) -> None:
    """inotify accepts the watch and never reports an event."""
    upper, work, merged = (tmp_path / name for name in ("upper", "work", "merged"))
    for folder in (upper, work, merged):
        folder.mkdir()
    options = f"lowerdir={policies},upperdir={upper},workdir={work}"
    with apart(merged, first=f"mount -t overlay overlay -o {options} {merged}") as reader:
        assert reads(reader, 1)
        put(policies, {"p.yaml": a_policy(2)})
        assert reads(reader, 2)
        assert reader.run(f"touch {merged}/mark") == 0
        assert reader.notices_change()


def test_a_folder_of_the_kernel_is_not_shown_as_watched() -> None:
    with apart(Path("/proc/sys/kernel")) as reader:
        found = reader.read()
        assert found["lost"] == "/proc/sys/kernel holds no policy documents"
        assert not found["is_watched"]


def test_without_events_every_pass_finds_what_has_changed(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS, SMB, Docker Desktop: only the resync finds changes."""
    monkeypatch.setattr(BaseObserver, "schedule", lambda *_, **__: None)
    with a_node(policies) as node:
        node.settle()
        resync = node.options.conditions.resync_seconds
        put(policies, {"p.yaml": a_policy(2), "q.yaml": a_policy(3)})
        node.live(resync + 2.0)
        assert node.minutes == {"p": 2, "q": 3}
        assert node.wake_up.wake_ups == 0


# --- Watchers that end ---


@pytest.mark.parametrize("victim", ["InotifyEmitter", "InotifyObserver", "InotifyFD"])
def test_a_watcher_that_has_ended_is_recreated_by_the_next_pass(policies: Path, victim: str) -> None:
    with a_node(policies) as node:
        node.settle()
        kill(victim)
        assert not node.watched.is_watched
        put(policies, {"p.yaml": a_policy(2)})
        node.live(node.options.conditions.resync_seconds)
        assert node.minutes == {"p": 2}
        assert node.last.watcher_is_up
        put(policies, {"p.yaml": a_policy(3)})
        assert node.notices_change()
        assert node.minutes == {"p": 3}


def kill(victim: str) -> None:
    """End exactly one of watchdog's threads."""
    for thread in threading.enumerate():
        if type(thread).__name__ == victim:
            thread.stop()  # type: ignore[attr-defined]
            thread.join(20.0)


def test_a_watcher_that_cannot_be_recreated_does_not_stop_the_passes(
    policies: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = "the policy folder is not watched; changes are noticed at each resync"
    with a_node(policies) as node:
        assert trouble not in node.settle().degraded
        kill("InotifyObserver")
        monkeypatch.setattr(policy_watch, "Observer", no_more_instances)
        for minutes in (2, 3, 4):
            put(policies, {"p.yaml": a_policy(minutes)})
            status = node.settle()
            assert node.minutes == {"p": minutes}
            assert not status.watcher_is_up
            assert trouble in status.degraded
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "inotify instance limit reached" in caplog.text
        monkeypatch.undo()
        assert trouble not in node.run_pass().degraded


def no_more_instances() -> BaseObserver:
    raise OSError(errno.EMFILE, "inotify instance limit reached")


# --- Storms ---


class Storm:
    """A wake-up that is always set; each wait takes a hundredth of a second."""

    def __init__(self, node: Node, seconds: float, stopping: threading.Event) -> None:
        self.node = node
        self.ends_at = node.clock.now().uptime_seconds + seconds
        self.stopping = stopping

    def wait(self, seconds: float) -> bool:
        self.node.clock.elapse(0.01)
        if self.node.clock.now().uptime_seconds >= self.ends_at:
            self.stopping.set()
        return True


def passes_in_a_storm(node: Node, seconds: float) -> list[Status]:
    passes, stopping = list[Status](), threading.Event()
    wake_up = Storm(node, seconds, stopping)
    Loop(node.run_pass, passes.append, lambda: None, wake_up, node.clock, stopping, resync_seconds=300.0).run()
    return passes


def test_many_events_lead_to_few_passes(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = list[str]()

    def parse_and_note(data: bytes, file: str, name: str) -> Parsed:
        parsed.append(file)
        return parse_documents(data, file, name)

    monkeypatch.setattr(policy_folder, "parse_documents", parse_and_note)
    with a_node(policies) as node:
        node.settle()
        passes = passes_in_a_storm(node, 60.0)
        assert 60 / GATHERED_AT_MOST_SECONDS <= len(passes) <= 60 / GATHERED_AT_MOST_SECONDS + 2
        assert parsed == [str(policies / "p.yaml")]


def test_a_single_run_waits_two_seconds_among_many_events_too(policies: Path) -> None:
    with a_node(policies) as node:
        storm, passes_run = Storm(node, 60.0, node.stopping), list[Status]()
        Loop(node.run_pass, passes_run.append, lambda: None, storm, node.clock, node.stopping, 300.0).run_once()
        assert (node.in_force, len(passes_run)) == ({"p"}, 2)


def test_with_long_passes_many_events_leave_pauses_for_the_engine(policies: Path) -> None:
    with a_node(policies) as node:
        node.settle()
        node.engine.on_call = lambda _: node.clock.elapse(1.0)
        passes = passes_in_a_storm(node, 120.0)
        took = passes[-1].duration_seconds
        assert took == 2.0
        assert len(passes) <= 120 / (took + DISTANCE_IN_PASSES * took) + 1
