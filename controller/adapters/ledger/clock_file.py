"""The clock of passes in which only time passed, in a file of one block beside the ledger.

A change in SQLite writes about five blocks; at the default resync that would be 3 MB a day on an SD card. The file
names the clock of the ledger that it follows, and counts only beside exactly this ledger.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from errno import EIO
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from controller.adapters.ledger.codec import decoded, encoded
from controller.plan.memory.ledger_clock import LedgerClock
from controller.value import dataclass

if TYPE_CHECKING:
    from controller.plan.memory.memory import Memory

_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Later:
    follows: int
    """Check of the ledger's own clock."""
    clock: LedgerClock
    node_at: float
    """Ledger time of the last answer about the node; 0 without one."""


class ClockFile:
    """The file of one ledger."""

    def __init__(self, ledger: Path) -> None:
        self._file = ledger.with_name(f"{ledger.name}.clock")

    def write(self, saved: Memory, memory: Memory) -> bool:
        """Write the clock of a memory that differs from the saved one only in time; False if that is not possible."""
        later = _Later(_check_of(saved.clock), memory.clock.undated, memory.node.at if memory.node else 0.0)
        text = encoded(later).encode()
        line = b"%08x %s" % (crc32(text), text)
        if len(line) > _BYTES:
            return False
        for direct in (os.O_DIRECT, 0):
            with suppress(OSError):
                _write_block(self._file, line.ljust(_BYTES), direct)
                return True
        return False

    def clock_after(self, saved: LedgerClock) -> LedgerClock:
        """The ledger's clock, or the later one of the file."""
        later = self._read(saved)
        return replace(later.clock, timeline=saved.timeline) if later else saved

    def applied_to(self, saved: Memory) -> Memory:
        """The ledger's memory with the later clock of the file."""
        later = self._read(saved.clock)
        if later is None:
            return saved
        node = replace(saved.node, at=later.node_at) if saved.node else None
        return replace(saved, clock=replace(later.clock, timeline=saved.clock.timeline), node=node)

    def _read(self, saved: LedgerClock) -> _Later | None:
        with suppress(OSError, ValueError):
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as opened:
                check, _, text = opened.read(_BYTES).rstrip().partition(b" ")
            if check == b"%08x" % crc32(text):
                later: _Later = decoded(_Later, text.decode())
                if later.follows == _check_of(saved) and later.clock.seconds >= saved.seconds:
                    return later
        return None


def _write_block(file: Path, block: bytes, direct: int) -> None:
    """Write the block in place. With O_DIRECT, which not every file system has, the disk gets it alone and not a page
    of 4 KiB. Raises OSError.
    """
    from mmap import mmap  # Commands that only read do not need it.

    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | direct, 0o640)
    try:
        with mmap(-1, len(block)) as aligned:
            aligned[:] = block
            if os.pwritev(descriptor, [aligned], 0) != len(block):
                raise OSError(EIO, "a part of the block was not written")
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _check_of(clock: LedgerClock) -> int:
    return crc32(encoded(clock.undated).encode())
