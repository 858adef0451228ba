"""Files delivered into a folder of their own: written and removed one by one, each whole at every moment.

A hidden list in the folder says which files are ours; no other file is ever touched. What the files hold is not here.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from controller.errors import DeliveryFailed

LIST = ".imagectl-sync.json"
LOCK = ".imagectl-sync.lock"
SCRATCH = ".imagectl-sync.tmp"

Deliveries = dict[str, str]
"""The files that are ours: SHA-256 of what was delivered, or empty where nobody knows whether it got there."""


@dataclass(slots=True)
class FolderDelivery:
    """What one delivery did, by names of files."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    """Delivered before and the same now, but somebody else had changed or removed the file."""
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Files there that are not ours, or no longer known to be: the list may have been lost."""
    failures: list[str] = field(default_factory=list)
    """Sentences: which file could not be written or removed, and why."""


@contextmanager
def exclusive_folder(into: Path, *names: str) -> Iterator[Path]:
    """The folder of these names below `into`, made if need be, which nobody else delivers into meanwhile.

    Raises DeliveryFailed; also if `into` itself is not there, since it may be a disk that is not mounted.
    """
    folder = into.joinpath(*names)
    if not into.is_dir():
        raise DeliveryFailed(f"{into} is not a folder: make it first")
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Nothing is written into it: an event would wake whoever watches, and a full disk must not keep us out.
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with _explained(folder):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(lock)


def deliver(folder: Path, wanted: Mapping[str, bytes]) -> FolderDelivery:
    """Make `wanted` all that an exclusive folder holds of ours. Raises DeliveryFailed if that cannot be told.

    It may end at any moment: each file is then the old or the new one, and the next delivery goes on from there. What
    is out of date never stays for want of room to replace it: a policy that was withdrawn must not go on deleting.
    """
    with _explained(folder):
        return _Round(folder, wanted).deliver()


class _Round:
    """One delivery under way. The list on disk always names at least the files there that are ours."""

    def __init__(self, folder: Path, wanted: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.wanted = wanted
        self.listed = _read_list(folder)
        self.ours = dict(self.listed)
        self.done = FolderDelivery()

    def deliver(self) -> FolderDelivery:
        for file in sorted(self.ours.keys() - self.wanted.keys()):
            self._remove(file)
        self._write_all([file for file, data in self.wanted.items() if not self._is_there(file, data)])
        try:
            self._save_list()
        except OSError as error:  # what it lists beyond what is there does no harm
            self.done.failures.append(f"{self.folder / LIST} cannot be written: {error.strerror}")
        self.done.strangers = sorted(
            filter(_is_plain, {file.name for file in self.folder.iterdir()} - self.ours.keys())
        )
        return self.done

    def _is_there(self, file: str, data: bytes) -> bool:
        """A file with the very bytes is ours, whoever wrote it: the list may have been lost."""
        if not _holds(self.folder / file, data):
            return False
        self.ours[file] = _hash(data)
        self.done.unchanged.append(file)
        return True

    def _write_all(self, files: list[str]) -> None:
        mine = [file for file in files if self._is_ours_to_write(file)]
        before = dict(self.ours)
        self.ours |= {file: before.get(file, "") for file in mine}
        try:
            self._save_list()
        except OSError as error:
            for file in mine:
                self._give_up(file, error)
            return
        for file in mine:
            self._write(file, before.get(file))

    def _is_ours_to_write(self, file: str) -> bool:
        if file in self.ours or not os.path.lexists(self.folder / file):
            return True
        self.done.failures.append(
            f"{self.folder / file} was not delivered by this program and is left as it is: move it away"
        )
        return False

    def _write(self, file: str, before: str | None) -> None:
        data = self.wanted[file]
        try:
            _replace(self.folder, file, data)
        except OSError as error:
            self._give_up(file, error)
            return
        self.ours[file] = _hash(data)
        if not before:
            self.done.added.append(file)
        elif before == self.ours[file]:
            self.done.restored.append(file)
        else:
            self.done.changed.append(file)

    def _give_up(self, file: str, error: OSError) -> None:
        """Better no policy than one that is known to be out of date."""
        self.done.failures.append(f"{self.folder / file} cannot be written: {error.strerror}")
        if os.path.lexists(self.folder / file):
            self._remove(file)

    def _remove(self, file: str) -> None:
        try:
            (self.folder / file).unlink(missing_ok=True)
        except OSError as error:
            self.done.failures.append(f"{self.folder / file} cannot be removed: {error.strerror}")
            return
        self.ours.pop(file)
        self.done.removed.append(file)

    def _save_list(self) -> None:
        """Before the first file that is not in it is written, and at the end."""
        if self.ours != self.listed:
            _replace(self.folder, LIST, json.dumps({"files": self.ours}, indent=2, sort_keys=True).encode())
            _flush(self.folder)
            self.listed = dict(self.ours)


def _read_list(folder: Path) -> Deliveries:
    """Empty if there is none that makes sense: then nothing there is ours but what is as we would write it."""
    try:
        files = json.loads((folder / LIST).read_bytes())["files"]
        return {str(file): str(digest) for file, digest in files.items() if _is_plain(file)}
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _is_plain(file: str) -> bool:
    """Whatever the list says, only files in the folder itself are ours, and no hidden ones."""
    return bool(file) and "/" not in file and not file.startswith(".") and "\0" not in file


def _holds(file: Path, data: bytes) -> bool:
    """Is it a file, not a link or worse, with these bytes?"""
    with suppress(OSError):
        status = file.lstat()
        return stat.S_ISREG(status.st_mode) and status.st_size == len(data) and file.read_bytes() == data
    return False


def _replace(folder: Path, file: str, data: bytes) -> None:
    """The whole file or nothing of it, even over a power cut. The scratch file is hidden: nobody reads it meanwhile."""
    scratch = folder / SCRATCH
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(descriptor)
    scratch.replace(folder / file)


def _flush(folder: Path) -> None:
    """Renames and removals in the folder survive a power cut from here on; not every network file system can do it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise DeliveryFailed(f"{folder}: another process is delivering into it") from error
    except OSError as error:
        raise DeliveryFailed(f"{folder}: cannot be delivered into: {error.strerror}") from error
