"""The policy folder: all its documents, read completely each time; only changed content is parsed again.

The path is resolved at every reading. A reading during which something changed is repeated, so that the documents of
two deliveries do not mix.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from controller.adapters.folder.files import (
    STOP_FILE,
    FileContent,
    PolicyFile,
    TooLargeError,
    policy_files_below,
    read_policy_file,
    read_regular,
)
from controller.adapters.folder.mounts import Mount, mount_of, mounts
from controller.adapters.folder.revision import Delivery, date_of, delivery_of
from controller.errors import InvalidSettings
from controller.json_text import decoded
from controller.policy.document.parse import FolderReading, Parsed, parse_documents, refuse_duplicates
from controller.policy.problem import Problem, Severity
from controller.value import dataclass

if TYPE_CHECKING:
    from controller.adapters.folder.watch import PolicyWatch

_SCANS = 5
"""Number of scans of a folder that changes while it is read. The last result counts, unless it is of two deliveries."""
_MOST_BYTES = 16 * 2**20
"""Of all files."""
_REPLACED = "is a mount of its own whose source was deleted or replaced"
_MOUNTED = "is a mount of its own: an update that replaces the file does not arrive here"
_HINT = "mount the folder that holds it"


class PolicyFolder:
    """Reads the folder that the path leads to at each reading."""

    def __init__(self, folder: Path, on_change: Callable[[], None] | None = None) -> None:
        """`on_change` is called from another thread; without it the folder is not watched."""
        self._folder = folder
        self._watch = _watch(folder, on_change) if on_change else None
        self._parsed: dict[tuple[str, str], Parsed] = {}
        self._folders: tuple[Path, ...] = (Path(),)
        """The folder and those below it, as scanned last, relative to it: one that replaces it has the same ones."""

    @property
    def is_watched(self) -> bool:
        """True if a change is noticed at once, false if only at the next resync."""
        return self._watch is not None and self._watch.is_up

    @property
    def is_stopped(self) -> bool:
        """True if there is a file STOP now, or if a folder exists and cannot be searched."""
        return any(_is_there(self._folder / folder / STOP_FILE) for folder in self._folders)

    def read(self) -> FolderReading:
        """The present content of the folder; never raises."""
        if self._watch:
            self._watch.follow()  # Before the scan, so that later changes are noticed.
        try:
            scan = _scan(self._folder)
        except OSError as error:
            self._watch_permissions(True)
            return FolderReading(str(self._folder), lost=f"{self._folder} cannot be read: {error.strerror}")
        self._watch_permissions(any(problem.is_error for problem in scan.problems))
        if not scan.is_one_delivery:
            lost = f"{self._folder} cannot be read: a new delivery arrived during each of {_SCANS} attempts"
            return FolderReading(str(self._folder), lost=lost, is_stopped=self.is_stopped)
        return self._reading_of(scan)

    def stop(self) -> None:
        """Stop watching."""
        if self._watch:
            self._watch.stop()

    def _watch_permissions(self, matter: bool) -> None:
        if self._watch:
            self._watch.permissions_matter = matter

    def _reading_of(self, scan: _FolderScan) -> FolderReading:
        self._folders = scan.folders
        files = refuse_duplicates(self._parse(scan.contents))
        documents = tuple(chain.from_iterable(file.documents for file in files))
        problems = (*scan.problems, *chain.from_iterable(file.problems for file in files))
        is_stopped = self.is_stopped
        is_empty = not documents and not scan.has_lost_source and not any(problem.is_error for problem in problems)
        why = f"{_REPLACED}: {_HINT}" if scan.has_lost_source else "holds no policy documents"
        is_fine = documents or is_stopped or (is_empty and scan.was_emptied)
        return FolderReading(
            str(self._folder),
            documents,
            tuple(sorted(problems)),
            "" if is_fine else f"{self._folder} {why}",
            is_stopped,
            scan.delivery.revision,
            is_empty=is_empty,
            delivered_at=scan.delivered_at,
        )

    def _parse(self, contents: Iterable[FileContent]) -> list[Parsed]:
        """Parse new content, reuse known results, drop results of content that is no longer there."""
        known, self._parsed = self._parsed, {}
        for content in contents:
            if content.data is not None:
                key = content.file.shown, content.sha256
                parsed = known.get(key) or parse_documents(content.data, content.file.shown, content.file.name)
                self._parsed[key] = parsed
        return list(self._parsed.values())


def named_folder(folder: Path, on_change: Callable[[], None] | None = None) -> PolicyFolder:
    """The folder of `--policies`. Raises InvalidSettings if it is a file; a missing folder may be created later."""
    if _is_no_folder(folder):
        raise InvalidSettings(f"--policies {folder}: is not a folder (name the folder that contains it)")
    return PolicyFolder(folder, on_change)


def _is_there(path: Path) -> bool:
    """True also if that cannot be known."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _is_no_folder(path: Path) -> bool:
    """True if there is something else at this path."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _FolderScan:
    """The result of one scan."""

    delivery: Delivery
    contents: tuple[FileContent, ...]
    problems: tuple[Problem, ...]
    """Files and folders that could not be read."""
    has_lost_source: bool
    """The folder is on a mount whose source was deleted or replaced."""
    lists: tuple[Path, ...]
    """The lists of `imagectl sync`."""
    folders: tuple[Path, ...]
    """All folders that were listed, relative to the folder."""
    is_one_delivery: bool
    """No other delivery arrived during the scan."""
    is_complete: bool
    """Everything that was listed was still there when it was read."""

    @property
    def was_emptied(self) -> bool:
        """True if a delivery emptied the folder on purpose: a commit, or each delivery of `imagectl sync`."""
        return bool(self.delivery.commit) or (bool(self.lists) and all(map(_names_no_file, self.lists)))

    @property
    def delivered_at(self) -> float | None:
        """Wall time of the last delivery that succeeded; the oldest, if several deliver into the folder."""
        dates = [self.delivery.succeeded_at, *map(date_of, self.lists)]
        return min((date for date in dates if date is not None), default=None)


def _watch(folder: Path, on_change: Callable[[], None]) -> PolicyWatch:
    from controller.adapters.folder.watch import PolicyWatch  # Reading commands do not load watchdog.

    return PolicyWatch(folder, on_change)


def _scan(folder: Path) -> _FolderScan:
    """Raises OSError if the folder cannot be listed."""
    for _ in range(_SCANS - 1):
        try:
            scan = _scan_once(folder)
        except TooLargeError:
            raise
        except OSError:
            continue
        if scan.is_one_delivery and scan.is_complete:
            return scan
    return _scan_once(folder)


def _scan_once(folder: Path) -> _FolderScan:
    delivery, table = delivery_of(folder), mounts()
    listing = policy_files_below(folder)
    mounted = {mount.point: mount for mount in table}
    read = [_checked(content, mounted.get(content.file.path)) for content in contents_of(listing.files)]
    contents = tuple(content for content, _ in read)
    is_gone = listing.has_changed_meanwhile or any(content.is_gone for content in contents)
    on = mount_of(delivery.trail.end, table)
    return _FolderScan(
        delivery,
        contents,
        (*listing.problems, *chain.from_iterable(problems for _, problems in read)),
        on is not None and on.has_deleted_source,
        listing.lists,
        listing.folders,
        is_one_delivery=delivery_of(folder) == delivery,
        is_complete=not is_gone,
    )


def contents_of(files: Iterable[PolicyFile]) -> Iterator[FileContent]:
    """The contents of all files of one folder. Raises TooLargeError."""
    total = 0
    for file in files:
        content = read_policy_file(file)
        total += len(content.data or b"")
        if total > _MOST_BYTES:
            raise TooLargeError(f"larger than {_MOST_BYTES // 2**20} MiB")
        yield content


def _names_no_file(file: Path) -> bool:
    """True for a list of `imagectl sync` without a file."""
    try:
        return bool(decoded(read_regular(file)) == {"files": {}})
    except (OSError, ValueError):
        return False


def _checked(content: FileContent, mounted: Mount | None) -> tuple[FileContent, tuple[Problem, ...]]:
    """The content and its problems; no content if it is known to differ from what was delivered."""
    if content.problem:
        return content, (content.problem,)
    of_file = (content.warning,) if content.warning else ()
    if mounted is None:
        return content, of_file
    severity: Severity = "error" if mounted.has_deleted_source else "warning"
    message = _REPLACED if mounted.has_deleted_source else _MOUNTED
    problem = Problem(content.file.shown, 1, 1, "", severity, message, _HINT)
    return (FileContent(content.file, problem=problem) if problem.is_error else content), (problem, *of_file)
