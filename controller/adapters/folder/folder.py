"""The policy folder: all its documents, read anew each time; only content that has changed is parsed again.

The folder is given by name, and the name is followed at every reading. A reading during which something changed is
made again, so that documents of two deliveries do not mix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from controller.adapters.folder.files import FileContent, policy_files_below, read_policy_file
from controller.adapters.folder.mounts import Mount, mount_of, mounts
from controller.adapters.folder.revision import Delivery, delivery_of
from controller.policy.document.parse import FolderReading, Parsed, parse_documents, refuse_duplicates
from controller.policy.problem import Problem, Severity

if TYPE_CHECKING:
    from controller.adapters.folder.watch import PolicyWatch

_SCANS = 5
"""A folder that changes while it is read is read again, so often; what is missing then is believed to be gone."""
_REPLACED = "was mounted by itself, and what it was mounted from has been deleted or replaced since"
_MOUNTED = "is mounted by itself: an update that replaces the file will not arrive here"
_HINT = "mount the folder that holds it"


class PolicyFolder:
    """Reads the folder of that name, wherever it leads at the moment."""

    def __init__(self, folder: Path, ring: Callable[[], None] | None = None) -> None:
        """`ring` is called on changes, from another thread; without it nothing is watched."""
        self._folder = folder
        self._watch = _watch(folder, ring) if ring else None
        self._parsed: dict[tuple[str, str], Parsed] = {}

    @property
    def is_watched(self) -> bool:
        """Do changes ring, or does only the clock?"""
        return self._watch is not None and self._watch.is_up

    def read(self) -> FolderReading:
        """Everything in the folder as it is now; never raises."""
        if self._watch:
            self._watch.follow()  # Before the scan: what changes after it rings.
        try:
            scan = _scan(self._folder)
        except OSError as error:
            self._heed_permissions(True)
            return FolderReading(str(self._folder), lost=f"{self._folder} cannot be read: {error.strerror}")
        self._heed_permissions(bool(scan.problems))
        return self._reading_of(scan)

    def stop(self) -> None:
        """Watch no longer."""
        if self._watch:
            self._watch.stop()

    def _heed_permissions(self, matter: bool) -> None:
        if self._watch:
            self._watch.permissions_matter = matter

    def _reading_of(self, scan: _FolderScan) -> FolderReading:
        files = refuse_duplicates(self._parse(scan.contents))
        documents = tuple(chain.from_iterable(file.documents for file in files))
        problems = (*scan.problems, *chain.from_iterable(file.problems for file in files))
        lost = "" if documents else f"{self._folder} {scan.why_empty}"
        return FolderReading(str(self._folder), documents, tuple(sorted(problems)), lost, scan.delivery.revision)

    def _parse(self, contents: Iterable[FileContent]) -> list[Parsed]:
        """What has been parsed before is not parsed again; what is not there any more is forgotten."""
        known, self._parsed = self._parsed, {}
        for content in contents:
            if content.data is not None:
                key = content.file.shown, content.sha256
                parsed = known.get(key) or parse_documents(content.data, content.file.shown, content.file.name)
                self._parsed[key] = parsed
        return list(self._parsed.values())


@dataclass(frozen=True, slots=True)
class _FolderScan:
    """What was found in one go."""

    delivery: Delivery
    contents: tuple[FileContent, ...]
    problems: tuple[Problem, ...]
    """Of all that stands in the way of reading it."""
    why_empty: str
    """In case there is no document in it."""
    is_whole: bool
    """As far as one can tell, nothing changed meanwhile."""


def _watch(folder: Path, ring: Callable[[], None]) -> PolicyWatch:
    from controller.adapters.folder.watch import PolicyWatch  # Who only reads need not wait for watchdog.

    return PolicyWatch(folder, ring)


def _scan(folder: Path) -> _FolderScan:
    """Raises OSError if the folder cannot be listed."""
    for _ in range(_SCANS - 1):
        with suppress(OSError):
            scan = _scan_once(folder)
            if scan.is_whole:
                return scan
    return _scan_once(folder)


def _scan_once(folder: Path) -> _FolderScan:
    delivery, table = delivery_of(folder), mounts()
    listing = policy_files_below(folder)
    mounted = {mount.point: mount for mount in table}
    read = [_judged(read_policy_file(file), mounted.get(file.path)) for file in listing.files]
    contents = tuple(content for content, _ in read)
    is_gone = listing.has_changed_meanwhile or any(content.is_gone for content in contents)
    on = mount_of(delivery.trail.end, table)
    return _FolderScan(
        delivery,
        contents,
        (*listing.problems, *chain.from_iterable(problems for _, problems in read)),
        f"{_REPLACED}: {_HINT}" if on and on.is_of_something_deleted else "holds no policy documents",
        is_whole=not is_gone and delivery_of(folder) == delivery,
    )


def _judged(content: FileContent, mounted: Mount | None) -> tuple[FileContent, tuple[Problem, ...]]:
    """The content and its problems; no content, if it is known to be another than was delivered."""
    if content.problem:
        return content, (content.problem,)
    if mounted is None:
        return content, ()
    severity: Severity = "error" if mounted.is_of_something_deleted else "warning"
    message = _REPLACED if mounted.is_of_something_deleted else _MOUNTED
    problem = Problem(content.file.shown, 1, 1, "", severity, message, _HINT)
    return (FileContent(content.file, problem=problem) if problem.is_error else content), (problem,)
