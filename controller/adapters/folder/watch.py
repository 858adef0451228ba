"""A bell that rings when something in the policy folder changes. Only a wake-up: it may be deaf, full or dead at any
time, and whoever reads the folder asks it to `follow` first.

inotify stays with the directories that it was given, whatever becomes of their names. So each time it is asked what is
to be watched, and when any of that is another directory than before, all are watched anew.
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

from controller.adapters.folder.places import WatchPlace, doubts, places_around
from controller.log_events import LogEvent

_OF_PERMISSIONS = (DirAttribEvent, FileAttribEvent)
# Our own reading must not ring: watchdog tells of files being opened, and closed unchanged, as well.
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
"""So often is a folder followed that changes while it is being followed; the next reading goes on from there."""

_log = logging.getLogger(__name__)


class PolicyWatch:
    """Watches one folder, by name, wherever that leads."""

    def __init__(self, folder: Path, ring: Callable[[], None]) -> None:
        self.permissions_matter = False
        """Does a change of permissions or times ring? It can change nothing while everything can be read."""
        self._folder = folder.absolute()
        self._ring = ring
        self._observer: BaseObserver | None = None
        self._threads: tuple[Thread, ...] = ()
        self._places: tuple[WatchPlace, ...] = ()
        self._trouble = ""
        _quieten_watchdog()

    @property
    def is_up(self) -> bool:
        """Would every change ring now, as far as one can tell?"""
        return self._is_alive and not self._trouble

    @property
    def _is_alive(self) -> bool:
        return self._observer is not None and all(thread.is_alive() for thread in self._threads)

    def follow(self) -> None:
        """Watch where the name leads now, unless that is what is being watched. Never raises."""
        for _ in range(_TRIES):
            places = places_around(self._folder)
            if self._is_alive and places == self._places:
                break
            trouble = self._watch(places) or next(doubts(places), "")
            if trouble and trouble != self._trouble:
                sentence = "%s: not all changes are noticed at once: %s (the next resync finds them)"
                event = {"event": LogEvent.POLICY_FOLDER_NOT_WATCHED}
                _log.warning(sentence, self._folder, trouble, extra=event)
            self._trouble = trouble
            if not self._is_alive:
                break

    def stop(self) -> None:
        """Watch nothing."""
        if self._observer is not None:
            self._observer.stop()  # Even if it has died: its other threads and its descriptors live on.
            with suppress(RuntimeError):  # It was never started.
                self._observer.join()
        self._observer, self._threads, self._places = None, (), ()

    def _watch(self, places: tuple[WatchPlace, ...]) -> str:
        """Watch these places and no others; returns why that is not possible."""
        self.stop()
        try:
            self._observer = Observer()
            self._observer.start()
            for place in places:
                handler = _Handler(self, place)
                self._observer.schedule(handler, place.top, recursive=place.is_whole, event_filter=_CHANGES)
        except (OSError, RuntimeError) as error:  # RuntimeError: no more threads.
            self.stop()
            return _in_words(error)
        self._threads = tuple(_threads_of(self._observer))
        self._places = places
        return ""

    def hear(self, event: FileSystemEvent, place: WatchPlace) -> None:
        """Ring if the event may matter."""
        if isinstance(event, _OF_PERMISSIONS) and not self.permissions_matter:
            return
        if place.is_whole or not place.paths.isdisjoint((event.src_path, event.dest_path)):
            self._ring()


class _Handler(FileSystemEventHandler):
    """Tells of the events in one place."""

    def __init__(self, watch: PolicyWatch, place: WatchPlace) -> None:
        self._watch = watch
        self._place = place

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._watch.hear(event, self._place)


def _in_words(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    hint = _LIMITS.get(error.errno or 0)
    return f"{error.strerror} (raise {hint})" if hint else str(error.strerror)


def _quieten_watchdog() -> None:
    """It complains of folders that are made quickly one inside the other, and of events that come while it is stopped:
    neither does any harm, and nobody could do anything about it.
    """
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
    logging.getLogger("watchdog.observers.inotify").setLevel(logging.CRITICAL)


def _threads_of(observer: BaseObserver) -> Iterator[Thread]:
    """All that must live for an event to arrive; watchdog keeps the one that reads from the kernel to itself."""
    for holder in (observer, *observer.emitters):
        yield holder
        yield from (value for value in vars(holder).values() if isinstance(value, Thread))
