"""A lock file: one process at a time, released by the kernel however the holder ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from controller.errors import LedgerHeld, LedgerUnavailable


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
