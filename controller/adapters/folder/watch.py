"""Calls back when something in the policy folder changes. Only a wake-up: it may miss changes or fail at any time, and
the reader of the folder calls `follow` first.

inotify watches directories, not paths. So `follow` computes the directories to watch each time, and replaces all
watches if any of them is another directory than before.
"""

from __future__ import annotations

import errno
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

from watchdog.events import (
    DirAttribEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from controller.adapters.folder.places import WatchPlace, places_around, watch_problems
from controller.log_events import LogEvent

_OF_PERMISSIONS = (DirAttribEvent, FileAttribEvent)
# Without the events "opened" and "closed unchanged": our own reading causes them.
_CHANGES: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
    *_OF_PERMISSIONS,
]
_LIMITS = {errno.EMFILE: "fs.inotify.max_user_instances", errno.ENOSPC: "fs.inotify.max_user_watches"}
_TRIES = 5
"""Number of attempts if the folder changes while its watches are set; the next reading continues."""

_log = logging.getLogger(__name__)


class PolicyWatch:
    """Watches the folder that a path leads to."""

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self.permissions_matter = False
        """True if changes of permissions or times count: only needed while something cannot be read."""
        self._folder = folder.absolute()
        self._on_change = on_change
        self._observer: BaseObserver | None = None
        self._threads: tuple[Thread, ...] = ()
        self._places: tuple[WatchPlace, ...] = ()
        self._trouble = ""
        _silence_watchdog()

    @property
    def is_up(self) -> bool:
        """True if every change is noticed, as far as known."""
        return self._is_alive and not self._trouble

    @property
    def _is_alive(self) -> bool:
        return self._observer is not None and all(thread.is_alive() for thread in self._threads)

    def follow(self) -> None:
        """Watch what the path leads to now, unless it is watched already. Never raises."""
        for _ in range(_TRIES):
            places = places_around(self._folder)
            if self._is_alive and places == self._places:
                break
            trouble = self._watch(places) or next(watch_problems(places), "")
            if trouble and trouble != self._trouble:
                sentence = "%s: not all changes are noticed at once: %s (the next resync finds them)"
                event = {"event": LogEvent.POLICY_FOLDER_NOT_WATCHED}
                _log.warning(sentence, self._folder, trouble, extra=event)
            self._trouble = trouble
            if not self._is_alive:
                break

    def stop(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()  # Even if its thread ended: its other threads and descriptors remain.
            with suppress(RuntimeError):  # The thread was never started.
                self._observer.join()
        self._observer, self._threads, self._places = None, (), ()

    def _watch(self, places: tuple[WatchPlace, ...]) -> str:
        """Watch exactly these places; returns the reason if that is not possible."""
        self.stop()
        try:
            self._observer = Observer()
            self._observer.start()
            for place in places:
                handler = _Handler(self, place)
                self._observer.schedule(handler, place.top, recursive=place.is_recursive, event_filter=_CHANGES)
        except (OSError, RuntimeError) as error:  # RuntimeError: no more threads.
            self.stop()
            return _text_of(error)
        self._threads = tuple(_threads_of(self._observer))
        self._places = places
        return ""

    def handle(self, event: FileSystemEvent, place: WatchPlace) -> None:
        """Call back if the event may matter."""
        if isinstance(event, _OF_PERMISSIONS) and not self.permissions_matter:
            return
        if place.is_recursive or not place.paths.isdisjoint((event.src_path, event.dest_path)):
            self._on_change()


class _Handler(FileSystemEventHandler):
    """Passes the events of one place to the watch."""

    def __init__(self, watch: PolicyWatch, place: WatchPlace) -> None:
        self._watch = watch
        self._place = place

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._watch.handle(event, self._place)


def _text_of(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    hint = _LIMITS.get(error.errno or 0)
    return f"{error.strerror} (raise {hint})" if hint else str(error.strerror)


def _silence_watchdog() -> None:
    """Hide its warnings about quickly made nested folders and about events during a stop: both are harmless."""
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
    logging.getLogger("watchdog.observers.inotify").setLevel(logging.CRITICAL)


def _threads_of(observer: BaseObserver) -> Iterator[Thread]:
    """All threads that must run for an event to arrive; watchdog keeps the one that reads inotify in an attribute."""
    for holder in (observer, *observer.emitters):
        yield holder
        yield from (value for value in vars(holder).values() if isinstance(value, Thread))
