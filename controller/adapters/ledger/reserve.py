"""Reserved disk space, so that images can be removed on a full disk.

Every removal is written to the ledger before it is requested. So the file has free pages and its log (the WAL) is
larger than necessary: later writes use this space, which no other process can take. That works where files are
overwritten in place (ext4, xfs, tmpfs), not on btrfs. The ballast file gives the engine the few bytes that it needs.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from controller.adapters.ledger.file import connected, log_of

ROOM_BYTES = 2 * 2**20
"""Enough for about three thousand removals in one transaction."""
BALLAST_BYTES = 2**20
_LOG_IS_EMPTIED_AT_PAGES = 128
CREATE = "CREATE TABLE IF NOT EXISTS room (filling)"


def make_room(db: sqlite3.Connection, file: Path) -> None:
    """Grow the file and its log if their reserve is used up. On a full disk they remain as they are; any other error
    shows at the next write.
    """
    with suppress(sqlite3.Error, OSError):
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_IS_EMPTIED_AT_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {2 * ROOM_BYTES}")
        if _free_bytes(db) < ROOM_BYTES // 2 or log_of(file).stat().st_size < ROOM_BYTES:
            db.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM_BYTES,))
            db.execute("DELETE FROM room")
            db.execute("PRAGMA wal_checkpoint(RESTART)")


def _free_bytes(db: sqlite3.Connection) -> int:
    (pages,), (size,) = db.execute("PRAGMA freelist_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


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
        """Create the file, if it does not exist and the disk has enough room."""
        with suppress(OSError):
            if not self._file.exists() and self._free_bytes() > 10 * BALLAST_BYTES:
                with self._file.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)

    def drop(self) -> None:
        """Delete the file if the disk is full."""
        with suppress(OSError):
            if self._free_bytes() < BALLAST_BYTES:
                self._file.unlink(missing_ok=True)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._file.parent).free
