"""Room for a clean-up, made while there is some on the disk: a full disk is what this program is for.

Nothing is removed that was not written down first. So the ledger's file has free pages and its log (the WAL) is larger
than it need be: what a clean-up writes then goes where room was made before, and no other process can take it. That
holds where files are overwritten in place (ext4, xfs, tmpfs), not on btrfs. The engine needs a few bytes as well, which
is what the ballast is for.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from controller.adapters.ledger.file import connected, log_of

ROOM_BYTES = 2 * 2**20
"""Enough to write down some three thousand removals at once."""
BALLAST_BYTES = 2**20
_LOG_IS_EMPTIED_AT_PAGES = 128
CREATE = "CREATE TABLE IF NOT EXISTS room (filling)"


def make_room(db: sqlite3.Connection, file: Path) -> None:
    """Let the file and its log grow, if they have no room any more. On a full disk they stay as they are; any other
    trouble will show itself when something is written that matters.
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
    """Whoever is the last to close a ledger deletes its log, unless it may only read: so a reader closes last."""
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
    """A file beside the ledger, so mostly on the engine's disk, that does nothing but go when that is full.

    Measured with not a byte left: Docker's graph drivers answer a delete with 500 and leave the image without its name,
    Podman forgets the image and keeps its layers until it is restarted. The containerd store gets along.
    """

    def __init__(self, ledger: Path) -> None:
        self._file = ledger.with_name(f"{ledger.name}.ballast")

    def take_on(self) -> None:
        """Make the file, if there is none and room enough."""
        with suppress(OSError):
            if not self._file.exists() and self._free_bytes() > 10 * BALLAST_BYTES:
                with self._file.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)

    def drop(self) -> None:
        """Give its bytes to whoever needs them now, if the disk is full."""
        with suppress(OSError):
            if self._free_bytes() < BALLAST_BYTES:
                self._file.unlink(missing_ok=True)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._file.parent).free
