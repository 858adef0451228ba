"""A bell that rings when something in the policy folder changes. Only a wake-up: it may be deaf, full or dead at any
time.

Watched are the folder as it is now, with all below it, and the folder that holds its name: delivery by swapping a
symlink shows only there. inotify follows a link once, when the watch is made, so every reading of the folder asks for
the watch to follow again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
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

# Our own reading must not ring: watchdog tells of files being opened and closed as well.
_CHANGES = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]

_log = logging.getLogger(__name__)


class PolicyWatch:
    """Watches one folder, by name, wherever that leads."""

    def __init__(self, folder: Path, ring: Callable[[], None]) -> None:
        self._folder = folder.absolute()
        # Beside the folder anything may lie, even the ledger, which every pass writes.
        self._handlers = (_Ringer(ring), _Ringer(ring, only_for=str(self._folder)))
        self._observer: BaseObserver | None = None
        self._watched: tuple[str, ...] = ()

    @property
    def is_up(self) -> bool:
        """Would a change ring now, as far as one can tell?"""
        observer = self._observer
        return observer is not None and observer.is_alive() and all(each.is_alive() for each in observer.emitters)

    def follow(self) -> None:
        """Watch where the name leads now, if that has changed or the watch has died."""
        wanted = self._wanted()
        if self.is_up and wanted == self._watched and all(map(os.path.isdir, wanted)):
            return
        self.stop()
        observer = Observer()
        try:
            for handler, path, recursive in zip(self._handlers, wanted, (True, False), strict=True):
                observer.schedule(handler, path, recursive=recursive, event_filter=_CHANGES)
            observer.start()
        except OSError as error:
            _log.debug("cannot watch %s: %s", self._folder, error)
            return
        self._observer, self._watched = observer, wanted

    def stop(self) -> None:
        """Watch nothing."""
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
        self._observer = None

    def _wanted(self) -> tuple[str, ...]:
        return os.path.realpath(self._folder), str(self._folder.parent)


class _Ringer(FileSystemEventHandler):
    """Rings for every event, or for those about one path; an exception here would kill the observer's thread."""

    def __init__(self, ring: Callable[[], None], only_for: str = "") -> None:
        self._ring = ring
        self._only_for = only_for

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring, whatever it was."""
        if not self._only_for or self._only_for in (event.src_path, event.dest_path):
            self._ring()
