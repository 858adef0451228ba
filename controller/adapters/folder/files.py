"""Lists the files of a policy folder and reads one: its bytes, or a problem that says why it was not read.

Only regular files below the folder are opened: a FIFO would block, opening a device may have effects, and the content
behind a link out of the folder must not appear in a message. `policy` parses the bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from controller.policy.problem import Problem, Severity
from controller.policy.text.source import MOST_BYTES
from controller.printable import printable
from controller.value import dataclass

ENDINGS = (".yaml", ".yml", ".json")
STOP_FILE = "STOP"
"""An entry of this name in the policy folder, or in a folder below, stops all removals."""
LIST = ".imagectl-sync.json"
"""`imagectl sync` keeps it in each folder that it delivers into."""

MOST_FILES = 10_000
"""In one folder, with those below it."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file that should contain documents."""

    path: Path
    shown: str
    """The path that messages and the ledger show, in printable characters: a file name may be no UTF-8."""
    name: str
    """Name of a document without a name: the path in the folder, without the extension."""
    folder: Path | None = None
    """The resolved folder; links out of it are not read. None: a person named this file."""


@dataclass(frozen=True, slots=True)
class FileListing:
    """The files below a folder at one moment, sorted by path."""

    files: tuple[PolicyFile, ...]
    problems: tuple[Problem, ...]
    """Subfolders that could not be listed; the files of the others count."""
    has_changed_meanwhile: bool
    """A folder was removed during the scan: scan again."""
    lists: tuple[Path, ...] = ()
    """The lists of `imagectl sync`, each of which names the files that it delivered."""
    folders: tuple[Path, ...] = ()
    """All folders that were listed, relative to the folder."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """One file at one moment: either `data` or `problem`."""

    file: PolicyFile
    sha256: str = ""
    """Of the data, in hexadecimal."""
    data: bytes | None = None
    problem: Problem | None = None
    is_gone: bool = False
    """The file was listed but is missing, or its link has no target: scan again."""
    warning: Problem | None = None
    """Of a file that was read."""


def named_policy_file(path: Path) -> PolicyFile:
    """A file that a person named; it may be in any folder."""
    return PolicyFile(path, printable(str(path)), str(path.with_suffix("")))


def policy_files_below(folder: Path) -> FileListing:
    """All `*.yaml *.yml *.json`, recursively and through links, each folder once; hidden names are skipped.

    The folder is resolved once, so that a link to it that is swapped during the scan does not mix two versions.
    Raises OSError if the folder itself cannot be listed, TooLargeError if it has too many files or folders.
    """
    scan = _FileScan(folder)
    scan.list_folder(scan.root)
    while scan.has_more():
        # Folders before links: a file is named by its path without links if it has one.
        scan.list_subfolder(scan.folders.pop() if scan.folders else scan.links.pop())
    files = tuple(sorted(scan.files, key=lambda file: file.path))
    folders = tuple(path.relative_to(scan.root) for path in scan.listed)
    return FileListing(files, tuple(scan.problems), scan.has_changed_meanwhile, tuple(scan.lists), folders)


def read_policy_file(file: PolicyFile) -> FileContent:
    """The present content of the file, at most one byte more than the limit for a file of documents."""
    try:
        real = Path(os.path.realpath(file.path))
        # A named file may be a pipe such as /dev/fd/63, whose real path, `pipe:[4711]`, does not exist.
        mode = (real if file.folder else file.path).stat().st_mode
        if not stat.S_ISREG(mode):
            return _no_file(file, mode)
        if file.folder and not real.is_relative_to(file.folder):
            return _unread(
                file, "links out of the folder, so it was not read", hint="put the file itself into the folder"
            )
        data = read_regular(real)
        warning = _open_to_all(real, mode, file.shown) if file.folder else None
    except FileNotFoundError:
        return replace(_unread(file, "does not exist, or is a link without a target"), is_gone=True)
    except OSError as error:
        return _unread(file, f"cannot be read: {error.strerror}")
    return FileContent(file, sha256(data).hexdigest(), data, warning=warning)


def read_regular(file: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Content of a file that others can replace, at most one byte more than the limit.

    Raises OSError; FileNotFoundError also for a link or anything else, which is not opened. O_NONBLOCK, because a FIFO
    may replace the file after the check.
    """
    _require_regular(file, file.stat(follow_symlinks=False))
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        _require_regular(file, os.fstat(descriptor))
        return opened.read(most_bytes + 1)


def _require_regular(file: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(file)


class TooLargeError(OSError):
    """The folder has more than any folder of policies: probably another folder was named."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EFBIG, f"{why} (is it the folder of the policies?)")


class _FileScan:
    """The folders that are still to be listed, and what was found so far."""

    def __init__(self, folder: Path) -> None:
        self.given = folder
        self.root = Path(os.path.realpath(folder))
        self.folders: list[Path] = []
        self.links: list[Path] = []
        self.files: list[PolicyFile] = []
        self.problems: list[Problem] = []
        self.lists: list[Path] = []
        self.listed: list[Path] = []
        self.has_changed_meanwhile = False
        self._seen: set[tuple[int, int]] = set()

    def has_more(self) -> bool:
        """True if folders are left to list. Raises TooLargeError."""
        if max(len(self.files), len(self.listed)) > MOST_FILES:
            raise TooLargeError(f"more than {MOST_FILES} files or folders")
        return bool(self.folders or self.links)

    def list_subfolder(self, folder: Path) -> None:
        shown = self._shown(folder)
        try:
            if Path(os.path.realpath(folder)).is_relative_to(self.root):
                self.list_folder(folder)
            else:
                self.problems.append(_problem(shown, "links out of the folder, so it was not read", "error"))
        except FileNotFoundError:
            self.has_changed_meanwhile = True
        except OSError as error:
            self.problems.append(_problem(shown, f"cannot be listed: {error.strerror}", "error"))

    def list_folder(self, folder: Path) -> None:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in self._seen:
            return
        self._seen.add((status.st_dev, status.st_ino))
        if warning := _open_to_all(folder, status.st_mode, self._shown(folder)):
            self.problems.append(warning)
        with os.scandir(folder) as entries:
            self.listed.append(folder)
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.name.startswith("."):
                    self._add(entry)
                elif entry.name == LIST:
                    self.lists.append(Path(entry.path))

    def _shown(self, path: Path) -> str:
        return printable(str(self.given / path.relative_to(self.root)))

    def _add(self, entry: os.DirEntry[str]) -> None:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            self.folders.append(path)
        elif entry.is_symlink() and _is_link_to_folder(entry):
            self.links.append(path)
        elif entry.name.endswith(ENDINGS):
            name = str(path.relative_to(self.root).with_suffix(""))
            self.files.append(PolicyFile(path, self._shown(path), name, self.root))
        elif entry.name.lower().endswith(ENDINGS):
            hint = f"rename it: names end with {', '.join(ENDINGS)}"
            self.problems.append(_problem(self._shown(path), "has another ending and is not read", "warning", hint))
        elif entry.name != STOP_FILE and path.stem.upper() == STOP_FILE:
            hint = f"rename it to {STOP_FILE} to stop them"
            self.problems.append(_problem(self._shown(path), "does not stop removals", "warning", hint))


def _open_to_all(path: Path, mode: int, shown: str) -> Problem | None:
    """A warning if every user of this host may change a file or a folder. A mount that is read-only cannot be judged:
    kubelet makes the folders of its volumes so.
    """
    if not mode & stat.S_IWOTH or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    hint = f"chmod o-w {shown}"
    return _problem(shown, "may be written by every user of this host, who can thus remove images", "warning", hint)


def _is_link_to_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:
        return False


def _no_file(file: PolicyFile, mode: int) -> FileContent:
    """A warning for an entry of a folder; an error for a file that a person named."""
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
