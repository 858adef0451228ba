"""Opens and locks the ledger's file and turns SQLite's errors into ours. Knows nothing of the content."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from controller.errors import LedgerHeld, LedgerUnavailable

_WAIT_FOR_OTHERS_SECONDS = 10.0


class DamagedError(Exception):
    """The file is not a database, or its rows cannot be read."""


class NewerError(Exception):
    """A newer version of this program wrote the file."""


@contextmanager
def ledger_errors(file: Path) -> Iterator[None]:
    """Raises LedgerUnavailable for each error of SQLite or of the content inside the block."""
    try:
        yield
    except (sqlite3.Error, NewerError) as error:
        raise LedgerUnavailable(f"the ledger {file} cannot be used: {error}") from error
    except DamagedError as error:
        raise LedgerUnavailable(
            f"the ledger {file} is damaged ({error}); the controller replaces it when it starts"
        ) from error


def connected(file: Path, mode: str) -> sqlite3.Connection:
    """A connection; `mode` is `ro`, or `rwc` to create the file if it does not exist.

    A reader creates no file: without a log there is no writer, and the file is opened as immutable.
    """
    if mode == "ro" and not file.exists():
        raise LedgerUnavailable(f"no ledger {file} (no controller has run here, or --ledger names another file)")
    is_at_rest = mode == "ro" and not log_of(file).exists()
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}{'&immutable=1' if is_at_rest else ''}",
        uri=True,
        timeout=_WAIT_FOR_OTHERS_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def log_of(file: Path) -> Path:
    """SQLite's log of changes, beside the file."""
    return file.with_name(f"{file.name}-wal")


class FileLock:
    """A lock, held until `release`. Raises LedgerHeld if another process has it, else LedgerUnavailable."""

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerUnavailable(f"cannot create {file}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LedgerHeld(f"{file}: the ledger is locked by another controller (pid {holder})") from error
        with suppress(OSError):  # On a full disk the lock is valid, only without the process ID.
            os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
