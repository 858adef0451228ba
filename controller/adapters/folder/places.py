"""Where to listen for changes of a folder, and why that may not be enough.

In the folder and all below it; and in every folder in which a name on the way to it could be swapped, deleted or
appear.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.folder.mounts import mount_of, mounts
from controller.adapters.folder.symlinks import trail_of


@dataclass(frozen=True, slots=True)
class Directory:
    """Two equal directories are the same one, not just of the same name."""

    path: Path
    device: int
    inode: int
    is_readable: bool
    """Without that inotify refuses it, and watchdog keeps quiet about it."""


@dataclass(frozen=True, slots=True)
class WatchPlace:
    """A directory, alone or with all below it."""

    directories: tuple[Directory, ...]
    """The first one holds the others."""
    paths: frozenset[str] = frozenset()
    """Only events about these count: beside the folder anything may lie, even the ledger, which every pass writes.
    None: everything counts, and so does all that lies below.
    """

    @property
    def top(self) -> Path:
        return self.directories[0].path

    @property
    def is_whole(self) -> bool:
        return not self.paths


def places_around(folder: Path) -> tuple[WatchPlace, ...]:
    """The folder itself comes first, if it is there. Never raises.

    When watches run out in the middle of a tree, watchdog says nothing; the ones asked for after that then fail aloud.
    """
    trail = trail_of(folder)
    below = tuple(_directories_below(trail.end))
    paths: dict[Path, set[str]] = defaultdict(set)
    for path in (*(link.place for link in trail.links), _nearest(trail.end)):
        paths[path.parent] |= {str(path), str(path.parent)}
    above = [WatchPlace((directory,), frozenset(paths[path])) for path in paths for directory in _directory(path)]
    return (WatchPlace(below), *above) if below else tuple(above)


def doubts(places: Sequence[WatchPlace]) -> Iterator[str]:
    """Why changes in these places may go unheard although they are watched."""
    directories = [directory for place in places for directory in place.directories]
    yield from (f"{each.path} cannot be listed" for each in directories if not each.is_readable)
    table, walked = mounts(), {each.path for each in directories}
    for place in places:
        mount = mount_of(place.top, table)
        if mount and not mount.tells_of_changes:
            yield f"a file system of the type {mount.kind} does not tell of changes made elsewhere"
        if place.is_whole:  # What is mounted below and was not walked through is a file.
            points = (each.point for each in table if each.point.is_relative_to(place.top))
            yield from (f"{point} is mounted by itself" for point in points if point not in walked)


def _nearest(path: Path) -> Path:
    """The path, or the one above it whose parent is there."""
    while not any(_directory(path.parent)):
        path = path.parent
    return path


def _directories_below(top: Path) -> Iterator[Directory]:
    """With the top itself; none if that is no directory."""
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
    """None, if it is something else, or has just gone."""
    try:
        status = path.lstat()
    except OSError:
        return
    if stat.S_ISDIR(status.st_mode):
        yield Directory(path, status.st_dev, status.st_ino, os.access(path, os.R_OK, effective_ids=True))
