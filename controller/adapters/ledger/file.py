"""Opening the ledger's file; SQLite's errors become ours, in words. What is in the file is not known here."""

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
    """The file is no ledger, or its rows make no sense."""


class NewerError(Exception):
    """The file is of a version of this program that is yet to come here."""


@contextmanager
def ledger_errors(file: Path) -> Iterator[None]:
    """Raises LedgerUnavailable for whatever goes wrong with the file inside."""
    try:
        yield
    except (sqlite3.Error, NewerError) as error:
        raise LedgerUnavailable(f"the ledger {file} cannot be used: {error}") from error
    except DamagedError as error:
        raise LedgerUnavailable(
            f"the ledger {file} is damaged ({error}); the controller will begin a new one"
        ) from error


def connected(file: Path, mode: str) -> sqlite3.Connection:
    """A connection; `mode` is `ro`, or `rwc` to make the file if it does not exist.

    Whoever only reads leaves nothing behind: where there is no log nobody writes, and none is made.
    """
    if mode == "ro" and not file.exists():
        why = "no controller has run here, or --ledger names another file"
        raise LedgerUnavailable(f"there is no ledger {file}: {why}")
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
    """Held from its making on. Raises LedgerHeld if another process has it, LedgerUnavailable if there can be none."""

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerUnavailable(f"cannot make {file}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LedgerHeld(f"{file}: another controller, process {holder}, works with this ledger") from error
        with suppress(OSError):  # On a full disk the lock holds all the same; only its holder may stay unnamed.
            os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let another process have it; once more does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
