"""Reserved disk space, so that images can be removed on a full disk.

Every removal is written to the ledger before it is requested. So the file has free pages and its log (the WAL) is
larger than necessary: later writes use this space, which no other process can take. That works where files are
overwritten in place (ext4, xfs, tmpfs), not on btrfs. The ballast file gives the engine the few bytes that it needs.

A nearly full disk is the normal case: space is reserved in small steps, and only while several times as much is free.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from controller.adapters.ledger.file import connected, index_of, log_of

ROOM_BYTES = 2 * 2**20
"""Enough for about three thousand removals in one transaction."""
BALLAST_BYTES = 2**20
_STEP_BYTES = 2**18
_FREE_TIMES = 8
"""The file and its log each get at most this fraction of what is free."""
_LEAST_ROOM_BYTES = 2**16
_LOG_IS_EMPTIED_AT_BYTES = 2**19
_LEAST_LOG_BYTES = 2**14
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES, _INDEX_HEADER_BYTES = 32, 24, 48
"""Of SQLite's log and its index: https://www.sqlite.org/walformat.html"""
_REPORT_LEAVES_BYTES = 2**18
CREATE = "CREATE TABLE room (filling)"


def make_room(db: sqlite3.Connection, file: Path) -> None:
    """Grow the file and its log if their reserve is used up and the disk has plenty of room.

    With little room the log is emptied early instead, so that it remains small. An error shows at the next write.
    """
    with suppress(sqlite3.Error, OSError):
        free, page = shutil.disk_usage(file.parent).free, _page_bytes(db)
        log = log_of(file).stat().st_size
        emptied_at = min(_LOG_IS_EMPTIED_AT_BYTES, max(_LEAST_LOG_BYTES, log, free // _FREE_TIMES))
        db.execute(f"PRAGMA wal_autocheckpoint = {emptied_at // page}")
        db.execute(f"PRAGMA journal_size_limit = {2 * ROOM_BYTES}")
        room = min(ROOM_BYTES, free // _FREE_TIMES)
        if room >= _LEAST_ROOM_BYTES and (_spare_bytes(db) < room // 2 or log < room):
            _grow_file(db, room)
            _grow_log(db, log_of(file), room)


def _grow_file(db: sqlite3.Connection, room: int) -> None:
    """In steps, each in the file before the next one, so that a step that fails leaves little in the log."""
    step = min(_STEP_BYTES, room)
    try:
        for _ in range((room - _spare_bytes(db)) // step):
            db.execute("INSERT INTO room VALUES (zeroblob(?))", (step,))
            db.execute("PRAGMA wal_checkpoint(RESTART)")
        db.execute("DELETE FROM room")
        db.execute("PRAGMA wal_checkpoint(RESTART)")
    except sqlite3.Error:
        give_back(db)
        raise


def _grow_log(db: sqlite3.Connection, log: Path, room: int) -> None:
    """SQLite ignores what follows the last valid frame of its log, and writes over it."""
    size = log.stat().st_size
    if size < room:
        with log.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), size, room - size)


def restart_log(db: sqlite3.Connection | None) -> None:
    """Let the next change overwrite the log from its start, as far as the disk allows."""
    with suppress(sqlite3.Error):
        if db is not None:
            db.execute("PRAGMA wal_checkpoint(RESTART)")


def give_back(db: sqlite3.Connection | None) -> None:
    """Shrink the log to nothing and release what fills the file: other processes have taken the rest of the disk."""
    if db is None:
        return
    with suppress(sqlite3.Error):
        db.execute("DELETE FROM room")
    with suppress(sqlite3.Error, OSError):
        _cut_log(db)
    with suppress(sqlite3.Error):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _cut_log(db: sqlite3.Connection) -> None:
    """Cut what a failed change left behind the last valid frame of the log: the file needs this space to take in the
    rest of the log.
    """
    db.execute("BEGIN IMMEDIATE")  # No other process writes meanwhile.
    try:
        file = Path(db.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0])
        used = _LOG_HEADER_BYTES + _frames_in_log(file) * (_FRAME_HEADER_BYTES + _page_bytes(db))
        if log_of(file).stat().st_size > used:
            os.truncate(log_of(file), used)
    finally:
        db.execute("ROLLBACK")


def _frames_in_log(file: Path) -> int:
    """How many frames of the log are valid, by its index. Raises OSError."""
    with index_of(file).open("rb") as opened:
        header, copy = opened.read(_INDEX_HEADER_BYTES), opened.read(_INDEX_HEADER_BYTES)
    if header != copy or len(header) != _INDEX_HEADER_BYTES:
        raise OSError("the index of the log is being written")
    return int.from_bytes(header[16:20], sys.byteorder)


def is_short(db: sqlite3.Connection, file: Path) -> bool:
    """True if there is space only for the removals themselves; the report is then not kept."""
    with suppress(OSError, sqlite3.Error):
        return max(shutil.disk_usage(file.parent).free, _spare_bytes(db)) < _REPORT_LEAVES_BYTES
    return True


def _spare_bytes(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA freelist_count").fetchone()
    return int(pages) * _page_bytes(db)


def _page_bytes(db: sqlite3.Connection) -> int:
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int(size)


def close_and_keep_room(db: sqlite3.Connection, file: Path) -> None:
    """The last connection that closes deletes the log unless it is read-only: so a read-only one closes last."""
    with suppress(sqlite3.Error):
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    reader = None
    with suppress(sqlite3.Error):
        reader = connected(file, "ro")
        reader.execute("SELECT 1 FROM room").fetchone()
    db.close()
    if reader is not None:
        reader.close()


class Ballast:
    """A file beside the ledger, mostly on the engine's disk, that is deleted when the disk is full.

    Measured without a free byte: Docker's graph drivers answer a delete with 500 and the image loses its name; Podman
    forgets the image and keeps its layers until it is restarted. The containerd store works.
    """

    def __init__(self, ledger: Path) -> None:
        self._file = ledger.with_name(f"{ledger.name}.ballast")

    def take_on(self) -> None:
        """Create the file, if it does not exist and the disk has plenty of room."""
        with suppress(OSError):
            if not os.path.lexists(self._file) and self._free_bytes() > _FREE_TIMES * BALLAST_BYTES:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(self._file, flags, 0o600), "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)

    def drop(self) -> None:
        """Delete the file if the disk is full."""
        with suppress(OSError):
            if self._free_bytes() < BALLAST_BYTES:
                self.give_up()

    def give_up(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._file.parent).free
