"""The files of a folder of policies, and what is in one: bytes, or a problem that says why they were not read.

Only regular files below the folder are ever opened: a FIFO would block, a device may act on being opened, and what lies
behind a link out of the folder must not end up in a message. What the bytes mean is not here.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from controller.policy.problem import Problem, Severity
from controller.policy.text.source import MOST_BYTES

ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file that should hold documents."""

    path: Path
    shown: str
    """How messages call it."""
    name: str
    """What a document without a name of its own is called: the path in the folder, without its ending."""
    folder: Path | None = None
    """The folder, resolved; what leads out of it is not read. None: somebody named the very file."""


@dataclass(frozen=True, slots=True)
class FileListing:
    """The files below a folder at one moment, in a lasting order."""

    files: tuple[PolicyFile, ...]
    problems: tuple[Problem, ...]
    """Of folders below it that could not be listed; the others count."""
    has_changed_meanwhile: bool
    """Something went away in mid-scan: scan again."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """One file at one moment: either `data` or `problem`."""

    file: PolicyFile
    sha256: str = ""
    """Of the data, in hexadecimal."""
    data: bytes | None = None
    problem: Problem | None = None
    is_gone: bool = False
    """It was there a moment ago, or a link leads nowhere for a moment: scan again, and believe it then."""


def named_policy_file(path: Path) -> PolicyFile:
    """A file that somebody named, wherever it is."""
    return PolicyFile(path, str(path), str(path.with_suffix("")))


def policy_files_below(folder: Path) -> FileListing:
    """All `*.yaml *.yml *.json`, recursively, through links as well, each folder once; hidden names are not looked at.

    The folder is resolved once, so that swapping a link to it in mid-scan does not mix two versions.
    Raises OSError if the folder itself cannot be listed.
    """
    scan = _FileScan(folder)
    scan.look_into(scan.root)
    while scan.folders or scan.links:
        # A link never gives a file its name where there is a way without one.
        scan.look_into_safely(scan.folders.pop() if scan.folders else scan.links.pop())
    return FileListing(
        tuple(sorted(scan.files, key=lambda file: file.path)), tuple(scan.problems), scan.has_changed_meanwhile
    )


def read_policy_file(file: PolicyFile) -> FileContent:
    """What is in the file now, at most one byte more than a file of documents may have."""
    try:
        real = Path(os.path.realpath(file.path))
        # What somebody named may be a pipe, /dev/fd/63, whose real path is only a word of Linux: `pipe:[4711]`.
        mode = (real if file.folder else file.path).stat().st_mode
        if not stat.S_ISREG(mode):
            return _no_file(file, mode)
        if file.folder and not real.is_relative_to(file.folder):
            return _unread(file, "leads out of the folder and was not read", hint="put the file itself into the folder")
        data = _read_regular(real)
    except FileNotFoundError:
        return replace(_unread(file, "does not exist, or is a link that leads nowhere"), is_gone=True)
    except OSError as error:
        return _unread(file, f"cannot be read: {error.strerror}")
    return FileContent(file, sha256(data).hexdigest(), data)


def _read_regular(real: Path) -> bytes:
    """Does not wait for a FIFO that has taken the file's place since it was looked at."""
    descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(real)
        return opened.read(MOST_BYTES + 1)


class _FileScan:
    """What is still to look into, and what has been found."""

    def __init__(self, folder: Path) -> None:
        self.given = folder
        self.root = Path(os.path.realpath(folder))
        self.folders: list[Path] = []
        self.links: list[Path] = []
        self.files: list[PolicyFile] = []
        self.problems: list[Problem] = []
        self.has_changed_meanwhile = False
        self._seen: set[tuple[int, int]] = set()

    def look_into_safely(self, folder: Path) -> None:
        shown = str(self.given / folder.relative_to(self.root))
        try:
            if Path(os.path.realpath(folder)).is_relative_to(self.root):
                self.look_into(folder)
            else:
                self.problems.append(_problem(shown, "leads out of the folder and was not read", "error"))
        except FileNotFoundError:
            self.has_changed_meanwhile = True
        except OSError as error:
            self.problems.append(_problem(shown, f"cannot be listed: {error.strerror}", "error"))

    def look_into(self, folder: Path) -> None:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in self._seen:
            return
        self._seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.name.startswith("."):
                    self._add(entry)

    def _add(self, entry: os.DirEntry[str]) -> None:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            self.folders.append(path)
        elif entry.is_symlink() and _leads_to_a_folder(entry):
            self.links.append(path)
        elif entry.name.endswith(ENDINGS):
            inside = path.relative_to(self.root)
            self.files.append(PolicyFile(path, str(self.given / inside), str(inside.with_suffix("")), self.root))


def _leads_to_a_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:
        return False


def _no_file(file: PolicyFile, mode: int) -> FileContent:
    """In a folder it is passed over; whoever names it believes that it is read."""
    if file.folder:
        return _unread(file, f"is {_kind(mode)} and was skipped", "warning")
    hint = "name the files in it" if stat.S_ISDIR(mode) else "imagectl nmp validate - reads standard input"
    return _unread(file, f"is {_kind(mode)}, not a file, and cannot be read", hint=hint)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _unread(file: PolicyFile, message: str, severity: Severity = "error", hint: str = "") -> FileContent:
    return FileContent(file, problem=_problem(file.shown, message, severity, hint))


def _problem(shown: str, message: str, severity: Severity, hint: str = "") -> Problem:
    return Problem(shown, 1, 1, "", severity, message, hint)
