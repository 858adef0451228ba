"""The watch on real folders with real inotify.

Tests of events that do not count need no waiting: events arrive in order, so after the event of a mark that the test
makes last, all earlier events have arrived.
"""

from __future__ import annotations

import errno
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from watchdog.events import FileSystemEvent
from watchdog.observers.api import BaseObserver

from controller.adapters.folder import places as watch_places
from controller.adapters.folder import watch as policy_watch
from controller.adapters.folder.mounts import Mount
from controller.adapters.folder.watch import PolicyWatch

PATIENCE_SECONDS = 20.0


class Listener:
    """A watch on one folder, and all its events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watch = PolicyWatch(folder, self._wake)
        self._wake_ups = 0
        self._marks = 0
        self._events: Queue[tuple[str, bool]] = Queue()
        self._handle = self.watch.handle
        self.watch.handle = self._note  # type: ignore[method-assign]
        self.watch.follow()

    def _wake(self) -> None:
        self._wake_ups += 1

    def _note(self, event: FileSystemEvent, place: Any) -> None:
        before = self._wake_ups
        self._handle(event, place)
        self._events.put((str(event.dest_path or event.src_path), self._wake_ups > before))

    def notices(self, wanted: Path) -> bool:
        """Wait for an event of that path; does it count as a change?"""
        while True:
            path, woken = self._events.get(timeout=PATIENCE_SECONDS)
            if path == str(wanted):
                return woken

    def noticed_names(self) -> set[str]:
        """The names that have counted as a change up to now."""
        self._marks += 1
        mark = self.folder / f"mark-{self._marks}.yaml"
        mark.write_text("")
        names = set[str]()
        while True:
            path, woken = self._events.get(timeout=PATIENCE_SECONDS)
            if path == str(mark):
                return {name for name in names if not name.startswith("mark-")}
            names |= {Path(path).name} if woken else set()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def listen() -> Iterator[Callable[[Path], Listener]]:
    listeners: list[Listener] = []

    def listener(folder: Path) -> Listener:
        listeners.append(Listener(folder))
        return listeners[-1]

    yield listener
    for each in listeners:
        each.watch.stop()


Listen = Callable[[Path], Listener]


def is_up(watch: PolicyWatch) -> bool:
    return watch.is_up


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def swapped(link: Path, target: str) -> None:
    """As git-sync does it: a new link, renamed over the old one."""
    scratch = link.with_name("tmp-link")
    scratch.symlink_to(target)
    scratch.replace(link)


# --- What counts as a change ---


def test_every_change_of_a_file_is_noticed(top: Path, listen: Listen) -> None:
    listener = listen(top)
    for change in (
        lambda: (top / "a.yaml").write_text("label: a\n"),
        lambda: (top / "a.yaml").write_text("label: b\n"),
        lambda: os.truncate(top / "a.yaml", 3),
        lambda: (top / "a.yaml").rename(top / "b.yaml"),
        lambda: (top / "b.yaml").unlink(),
        lambda: (top / "link.yaml").symlink_to("nowhere"),
    ):
        change()
        assert listener.noticed_names()


def test_changes_in_old_and_new_subfolders_are_noticed(top: Path, listen: Listen) -> None:
    made(top / "old/deep")
    listener = listen(top)
    (top / "old/deep/a.yaml").write_text("")
    assert "a.yaml" in listener.noticed_names()
    made(top / "new/deep")
    assert "new" in listener.noticed_names()
    listener.watch.follow()
    (top / "new/deep/b.yaml").write_text("")
    assert "b.yaml" in listener.noticed_names()


def test_a_folder_that_appears_later_and_its_files_are_noticed(top: Path, listen: Listen) -> None:
    listener = listen(top / "policies")
    assert is_up(listener.watch)
    made(top / "policies")
    assert listener.notices(top / "policies")
    listener.watch.follow()
    (top / "policies/a.yaml").write_text("")
    assert listener.notices(top / "policies/a.yaml")


def test_parents_that_appear_one_after_the_other_are_noticed(top: Path, listen: Listen) -> None:
    listener = listen(top / "etc/images/policies")
    for name in ("etc", "etc/images", "etc/images/policies", "etc/images/policies/team"):
        (top / name).mkdir()
        assert listener.notices(top / name)
        listener.watch.follow()


def test_the_removal_and_the_return_of_the_folder_are_noticed(top: Path, listen: Listen) -> None:
    listener = listen(made(top / "policies"))
    for _ in range(3):
        (top / "policies").rmdir()
        assert listener.notices(top / "policies")
        listener.watch.follow()
        (top / "policies").mkdir()
        assert listener.notices(top / "policies")
        listener.watch.follow()
        assert is_up(listener.watch)


def test_a_replaced_folder_is_no_longer_watched(top: Path, listen: Listen) -> None:
    """inotify keeps watching the old directory, which has another name now."""
    old, new = made(top / "policies"), made(top / "policies.new")
    listener = listen(old)
    old.rename(top / "policies.old")
    new.rename(top / "policies")
    assert listener.notices(top / "policies")
    listener.watch.follow()
    (top / "policies/a.yaml").write_text("")
    assert listener.notices(top / "policies/a.yaml")
    (top / "policies.old/b.yaml").write_text("")
    assert "b.yaml" not in listener.noticed_names()


def test_a_folder_may_become_a_file_and_a_folder_again(top: Path, listen: Listen) -> None:
    listener = listen(made(top / "policies"))
    (top / "policies").rmdir()
    (top / "policies").write_text("label: a\n")
    assert listener.notices(top / "policies")
    listener.watch.follow()
    assert is_up(listener.watch)
    (top / "policies").unlink()
    made(top / "policies")
    assert listener.notices(top / "policies")
    listener.watch.follow()
    (top / "policies/a.yaml").write_text("")
    assert listener.notices(top / "policies/a.yaml")


# --- Links ---


@pytest.mark.parametrize("below", ["", "site/policies"])
def test_a_swapped_link_anywhere_on_the_path_is_noticed(top: Path, listen: Listen, below: str) -> None:
    for version in ("v1", "v2", "v3"):
        made(top / "git" / version / (below or "."))
    swapped(top / "git/current", "v1")
    listener = listen(top / "git/current" / below)
    for version in ("v2", "v3"):
        swapped(top / "git/current", version)
        assert listener.notices(top / "git/current")
        listener.watch.follow()
        (top / "git" / version / below / "a.yaml").write_text("")
        assert listener.notices(top / "git" / version / below / "a.yaml")


def test_each_of_two_links_in_a_row_is_noticed(top: Path, listen: Listen) -> None:
    for name in ("a/v1", "a/v2", "b"):
        made(top / name)
    swapped(top / "a/current", "v1")
    swapped(top / "b/policies", "../a/current")
    listener = listen(top / "b/policies")
    swapped(top / "a/current", "v2")
    assert listener.notices(top / "a/current")
    swapped(top / "b/policies", "../a/v1")
    assert listener.notices(top / "b/policies")


def test_the_target_of_a_link_that_appears_later_is_noticed(top: Path, listen: Listen) -> None:
    swapped(top / "current", "trees/v1")
    listener = listen(top / "current")
    assert is_up(listener.watch)
    made(top / "trees")
    assert listener.notices(top / "trees")
    listener.watch.follow()
    made(top / "trees/v1")
    assert listener.notices(top / "trees/v1")


# --- What does not count ---


def test_our_own_reading_is_not_a_change(top: Path, listen: Listen) -> None:
    (made(top / "team") / "a.yaml").write_text("label: a\n")
    listener = listen(top)
    for _ in range(3):
        assert [path.read_text() for path in top.rglob("a.yaml")] == ["label: a\n"]
        listener.watch.follow()
    assert listener.noticed_names() == set()


def test_changes_beside_the_folder_do_not_count(top: Path, listen: Listen) -> None:
    """The ledger may lie there, which every pass writes."""
    listener = listen(made(top / "policies"))
    (top / "ledger.sqlite").write_text("")
    (top / "ledger.sqlite").write_text("more")
    (top / "ledger.sqlite-journal").write_text("")
    (top / "ledger.sqlite-journal").unlink()
    made(top / "policies.new").rename(top / "policies.old")
    assert listener.noticed_names() == set()


def test_permissions_and_times_count_only_while_they_matter(top: Path, listen: Listen) -> None:
    (top / "a.yaml").write_text("")
    listener = listen(top)
    (top / "a.yaml").chmod(0o600)
    os.utime(top / "a.yaml", (0, 0))
    top.chmod(0o750)
    assert listener.noticed_names() == set()
    listener.watch.permissions_matter = True
    (top / "a.yaml").chmod(0o644)
    assert "a.yaml" in listener.noticed_names()


# --- Being up, and coming up again ---


def test_it_is_up_from_follow_until_stop(top: Path) -> None:
    watch = PolicyWatch(top, lambda: None)
    assert not is_up(watch)
    watch.follow()
    assert is_up(watch)
    watch.stop()
    assert not is_up(watch)
    watch.stop()


def threads_of(watch: PolicyWatch) -> dict[str, threading.Thread]:
    return {type(thread).__name__: thread for thread in watch._threads}


@pytest.mark.parametrize("victim", ["InotifyEmitter", "InotifyObserver", "InotifyFD"])
def test_the_end_of_any_of_its_threads_is_noticed_and_repaired(top: Path, listen: Listen, victim: str) -> None:
    listener = listen(made(top / "policies"))
    thread = threads_of(listener.watch)[victim]
    thread.stop()  # type: ignore[attr-defined]
    thread.join(PATIENCE_SECONDS)
    assert not is_up(listener.watch)
    listener.watch.follow()
    assert is_up(listener.watch)
    (top / "policies/a.yaml").write_text("")
    assert listener.notices(top / "policies/a.yaml")


def test_a_handler_that_fails_is_noticed_too(top: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = listen(top)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(listener, "_note", lambda *_: 1 / 0)
    monkeypatch.setattr(listener.watch, "handle", lambda *_: 1 / 0)
    (top / "a.yaml").write_text("")
    threads_of(listener.watch)["InotifyObserver"].join(PATIENCE_SECONDS)
    assert not is_up(listener.watch)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "limit reached"), "limit reached (raise fs.inotify.max_user_instances)"),
        (OSError(errno.ENOSPC, "limit reached"), "limit reached (raise fs.inotify.max_user_watches)"),
        (OSError(errno.ENOENT, "it has gone"), "it has gone"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
)
def test_a_watch_that_fails_is_logged_once_and_tried_again(
    top: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    watch = PolicyWatch(top, lambda: None)
    with monkeypatch.context() as broken:
        broken.setattr(policy_watch, "Observer", raising(error))
        for _ in range(3):
            watch.follow()
            assert not is_up(watch)
    assert caplog.messages == [f"{top}: not all changes are noticed at once: {reason} (the next resync finds them)"]
    watch.follow()
    assert is_up(watch)
    watch.stop()


def raising(error: Exception) -> Callable[[], BaseObserver]:
    def fail() -> BaseObserver:
        raise error

    return fail


def test_a_failure_half_way_leaves_no_thread_and_no_descriptor(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_things()
    watch = PolicyWatch(made(top / "policies"), lambda: None)
    schedule = BaseObserver.schedule
    calls: list[str] = []

    def fail_at_the_second(observer: BaseObserver, handler: Any, path: Any, **options: Any) -> Any:
        calls.append(str(path))
        if len(calls) % 2 == 0:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return schedule(observer, handler, path, **options)

    monkeypatch.setattr(BaseObserver, "schedule", fail_at_the_second)
    for _ in range(5):
        watch.follow()
        assert not is_up(watch)
    assert len(calls) == 10
    assert open_things() == before


def test_a_folder_that_cannot_be_listed_is_not_shown_as_watched(
    top: Path, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    made(top / "open/closed")
    with monkeypatch.context() as forbidden:
        forbidden.setattr(os, "access", lambda path, *_, **__: Path(path).name != "closed")
        listener = listen(top / "open")
        assert not is_up(listener.watch)
    listener.watch.follow()
    assert is_up(listener.watch)


def test_a_file_system_without_remote_events_is_not_shown_as_watched(
    top: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, listen: Listen
) -> None:
    monkeypatch.setattr(watch_places, "mounts", lambda: (Mount(Path("/"), "nfs4", False),))
    listener = listen(top)
    assert not is_up(listener.watch)
    assert "file system type nfs4 does not report changes made on other hosts" in caplog.text
    (top / "a.yaml").write_text("")
    assert "a.yaml" in listener.noticed_names()


def test_a_swap_while_the_watch_is_set_is_not_missed(
    top: Path, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    made(top / "v1")
    made(top / "v2")
    swapped(top / "current", "v1")
    schedule, swaps = BaseObserver.schedule, iter(["v2"])

    def swap_before_it(observer: BaseObserver, handler: Any, path: Any, **options: Any) -> Any:
        for version in swaps:
            swapped(top / "current", version)
        return schedule(observer, handler, path, **options)

    monkeypatch.setattr(BaseObserver, "schedule", swap_before_it)
    listener = listen(top / "current")
    (top / "v2/a.yaml").write_text("")
    assert listener.notices(top / "v2/a.yaml")


def test_following_a_folder_that_changes_all_the_time_ends(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = iter(range(10**6))
    made(top / "v")
    schedule = BaseObserver.schedule

    def swap_each_time(observer: BaseObserver, handler: Any, path: Any, **options: Any) -> Any:
        swapped(top / "current", f"v{next(versions)}")
        return schedule(observer, handler, path, **options)

    monkeypatch.setattr(BaseObserver, "schedule", swap_each_time)
    watch = PolicyWatch(top / "current", lambda: None)
    watch.follow()
    watch.stop()
    assert next(versions) < 20


def test_following_an_unchanged_folder_keeps_the_watch(top: Path, listen: Listen) -> None:
    listener = listen(made(top / "policies"))
    before = listener.watch._threads
    listener.watch.follow()
    assert listener.watch._threads is before


# --- Leaks ---


def open_things() -> tuple[int, int]:
    """Threads, and file descriptors."""
    gc.collect()  # What earlier tests left may otherwise be closed between two counts.
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def test_two_hundred_swaps_leave_no_thread_and_no_descriptor_behind(top: Path, listen: Listen) -> None:
    made(top / "v0")
    swapped(top / "current", "v0")
    listener = listen(top / "current")
    before = open_things()
    for number in range(1, 201):
        made(top / f"v{number}")
        swapped(top / "current", f"v{number}")
        (top / f"v{number - 1}").rmdir()
        listener.watch.follow()
        assert is_up(listener.watch)
    assert open_things() == before
    listener.watch.stop()
    assert open_things()[0] < before[0]


def test_many_failures_leave_no_thread_and_no_descriptor(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_things()
    watch = PolicyWatch(top / "policies", lambda: None)
    for _ in range(50):
        made(top / "policies")
        watch.follow()
        (top / "policies").rmdir()
    watch.stop()
    assert open_things() == before
