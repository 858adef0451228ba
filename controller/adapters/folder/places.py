"""The directories to watch for changes of a folder, and the reasons why that may not be enough.

These are the folder with everything below it, and each directory in which a part of the path to it can be created,
replaced or deleted.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from controller.adapters.folder.mounts import mount_of, mounts
from controller.adapters.folder.symlinks import trail_of
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Directory:
    """Equal values mean the same directory, not only the same path."""

    path: Path
    device: int
    inode: int
    is_readable: bool
    """If not, inotify refuses the watch and watchdog does not report that."""


@dataclass(frozen=True, slots=True)
class WatchPlace:
    """A directory, alone or with everything below it."""

    directories: tuple[Directory, ...]
    """The first one contains the others."""
    paths: frozenset[str] = frozenset()
    """Only events about these paths count, because other files in the directory (such as the ledger) change often.
    Empty: all events count, also those of subfolders.
    """

    @property
    def top(self) -> Path:
        return self.directories[0].path

    @property
    def is_recursive(self) -> bool:
        return not self.paths


def places_around(folder: Path) -> tuple[WatchPlace, ...]:
    """The places to watch; the folder itself comes first, if it exists. Never raises.

    watchdog does not report that it ran out of watches inside a tree; the watches requested after that raise an error.
    """
    trail = trail_of(folder)
    below = tuple(_directories_below(trail.end))
    paths: dict[Path, set[str]] = defaultdict(set)
    for path in (*(link.place for link in trail.links), _nearest(trail.end)):
        paths[path.parent] |= {str(path), str(path.parent)}
    above = [WatchPlace((directory,), frozenset(paths[path])) for path in paths for directory in _directory(path)]
    return (WatchPlace(below), *above) if below else tuple(above)


def watch_problems(places: Sequence[WatchPlace]) -> Iterator[str]:
    """Why changes in these places may not be noticed although they are watched."""
    directories = [directory for place in places for directory in place.directories]
    yield from (f"{each.path} cannot be listed" for each in directories if not each.is_readable)
    table, walked = mounts(), {each.path for each in directories}
    for place in places:
        mount = mount_of(place.top, table)
        if mount and not mount.reports_all_changes:
            yield f"file system type {mount.kind} does not report changes made on other hosts"
        if place.is_recursive:  # A mount point below that is not a directory of the walk is a file.
            points = (each.point for each in table if each.point.is_relative_to(place.top))
            yield from (f"{point} is a mount of its own" for point in points if point not in walked)


def _nearest(path: Path) -> Path:
    """The path, or the nearest ancestor whose parent exists."""
    while not any(_directory(path.parent)):
        path = path.parent
    return path


def _directories_below(top: Path) -> Iterator[Directory]:
    """The top and all directories below it; none if the top is not a directory."""
    ahead = [top]
    while ahead:
        for directory in _directory(ahead.pop()):
            yield directory
            ahead += _folders_in(directory.path)


def _folders_in(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _directory(path: Path) -> Iterator[Directory]:
    """The directory; none if the path is something else or was just deleted."""
    try:
        status = path.lstat()
    except OSError:
        return
    if stat.S_ISDIR(status.st_mode):
        yield Directory(path, status.st_dev, status.st_ino, os.access(path, os.R_OK, effective_ids=True))
