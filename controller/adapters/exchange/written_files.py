"""Deliver files into a folder of their own; each file is complete at every moment.

A hidden list in the folder names the delivered files; no other file is touched.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from hashlib import sha256
from pathlib import Path

from controller.adapters.folder.files import LIST, read_regular
from controller.errors import DeliveryFailed
from controller.json_text import decoded
from controller.value import dataclass

LOCK = ".imagectl-sync.lock"
SCRATCH = ".imagectl-sync.tmp"
_LONGEST_LIST = 64 * 2**20
"""In bytes, as an answer of the Exchange. A longer list is invalid."""

Deliveries = dict[str, str]
"""Delivered files with their SHA-256, which is empty if it is unknown whether the write succeeded."""


@dataclass(slots=True)
class FolderDelivery:
    """The result of one delivery, as file names."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    """Delivered before and unchanged, but the file was modified or removed."""
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Other files in the folder, or delivered files after a loss of the list."""
    failures: list[str] = field(default_factory=list)
    """Which file cannot be written or removed, and why, as sentences."""


@contextmanager
def exclusive_folder(into: Path, *names: str) -> Iterator[Path]:
    """The locked folder of these names below `into`, created if missing.

    Raises DeliveryFailed; also if `into` itself is missing, because it may be a disk that is not mounted.
    """
    folder = into.joinpath(*names)
    if not into.is_dir():
        raise DeliveryFailed(f"{into}: not a directory (create it first)")
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Empty: a write would wake the folder watcher and fail on a full disk.
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with _explained(folder):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(lock)


def deliver(folder: Path, wanted: Mapping[str, bytes]) -> FolderDelivery:
    """Make `wanted` the delivered files of a locked folder. Raises DeliveryFailed.

    It may be interrupted at any moment: each file is then old or new, and the next delivery continues. An outdated file
    that cannot be replaced is removed, so that a withdrawn policy removes no more images.
    """
    with _explained(folder):
        return _Round(folder, wanted).deliver()


class _Round:
    """One delivery. The list on disk always names at least all delivered files."""

    def __init__(self, folder: Path, wanted: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.wanted = wanted
        self.listed = _read_list(folder)
        self.ours = dict(self.listed or {})
        self.done = FolderDelivery()

    def deliver(self) -> FolderDelivery:
        for file in sorted(self.ours.keys() - self.wanted.keys()):
            self._remove(file)
        self._write_all([file for file, data in self.wanted.items() if not self._is_there(file, data)])
        try:
            self._save_list()
            self._mark_success()
        except OSError as error:  # surplus entries in the list are harmless
            self.done.failures.append(f"{self.folder / LIST} cannot be written: {error.strerror}")
        self.done.strangers = sorted(
            filter(_is_plain, {file.name for file in self.folder.iterdir()} - self.ours.keys())
        )
        return self.done

    def _is_there(self, file: str, data: bytes) -> bool:
        """A file with the same bytes counts as delivered, because the list may have been lost."""
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
            f"{self.folder / file} was not delivered by this program and is not touched (move it away)"
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
        """Remove an outdated file that cannot be replaced."""
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
        """Called before a file that is not in the list is written, and at the end."""
        if self.ours != self.listed:
            _replace(self.folder, LIST, json.dumps({"files": self.ours}, indent=2, sort_keys=True).encode())
            _flush(self.folder)
            self.listed = dict(self.ours)

    def _mark_success(self) -> None:
        """The date of the list is the time of the last complete delivery; the controller reports its age."""
        if not self.done.failures:
            os.utime(self.folder / LIST)


def _read_list(folder: Path) -> Deliveries | None:
    """None if the list is missing or invalid."""
    try:
        files = decoded(read_regular(folder / LIST, _LONGEST_LIST))["files"]
        return {str(file): str(digest) for file, digest in files.items() if _is_plain(file)}
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_plain(file: str) -> bool:
    """Only visible files directly in the folder count, even if the list names others."""
    return bool(file) and "/" not in file and not file.startswith(".") and "\0" not in file


def _holds(file: Path, data: bytes) -> bool:
    """True for a regular file with these bytes."""
    with suppress(OSError):
        return read_regular(file, len(data)) == data
    return False


def _replace(folder: Path, file: str, data: bytes) -> None:
    """Write the complete file or nothing, even over a power cut. The scratch file is hidden."""
    scratch = folder / SCRATCH
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(descriptor)
    scratch.replace(folder / file)


def _flush(folder: Path) -> None:
    """Make renames and removals durable; not every network file system supports it."""
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
        raise DeliveryFailed(f"{folder}: another process delivers into it") from error
    except OSError as error:
        raise DeliveryFailed(f"{folder}: cannot deliver: {error.strerror}") from error
