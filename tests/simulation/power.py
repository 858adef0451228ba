"""A ledger with power cuts: it keeps what is on disk at that moment, a half-written transaction included."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from controller.adapters.ledger.ledger import Ledger
from controller.plan.memory.memory import Memory
from controller.plan.verdict.removal import Batch, Intent, Mark, Removal


class PowerCut(BaseException):
    """The controller is killed at this point."""


@dataclass
class Cut:
    """A future power cut: in which of the next writes, and whether that write reaches the disk."""

    writes_left: int
    is_written: bool


class FragileLedger:
    """A real ledger; the controller may be killed in any write."""

    def __init__(self, file: Path, random: Random) -> None:
        self.cut: Cut | None = None
        self.file = file
        self.saves = 0
        """Number of memories that have reached the disk."""
        self._random = random
        self._ledger = Ledger(file)
        self._copied = file.with_name(f"{file.stem}+{file.suffix}")

    @property
    def resets(self) -> int:
        return self._ledger.resets

    def close(self) -> None:
        self._ledger.close()

    def load(self) -> Memory:
        return self._ledger.load()

    def inbox(self) -> tuple[int, tuple[str, ...]]:
        return self._ledger.inbox()

    def open_intents(self) -> tuple[Intent, ...]:
        return self._ledger.open_intents()

    def save(self, memory: Memory, inbox_read_to: int = 0, mark: Mark | None = None) -> None:
        with self._write():
            self._ledger.save(memory, inbox_read_to, mark)
            self.saves += 1

    def intend(self, intents: Sequence[Intent]) -> None:
        with self._write():
            self._ledger.intend(intents)

    def drop_intents(self, but: Sequence[Intent] = ()) -> None:
        with self._write():
            self._ledger.drop_intents(but)

    def record(self, removals: Sequence[Removal], batch: Batch | None = None) -> None:
        with self._write():
            self._ledger.record(removals, batch)

    @contextmanager
    def _write(self) -> Iterator[None]:
        if self.cut is None or self.cut.writes_left:
            if self.cut:
                self.cut.writes_left -= 1
            yield
            return
        before, saves = _size(_log_of(self.file)), self.saves
        yield
        self._copy()
        if not self.cut.is_written and (size := _size(_log_of(self._copied))) > before:
            with _log_of(self._copied).open("r+b") as log:
                log.truncate(self._random.randrange(before, size))
            self.saves = saves
        raise PowerCut

    def _copy(self) -> None:
        shutil.copyfile(self.file, self._copied)
        shutil.copyfile(_log_of(self.file), _log_of(self._copied))

    def lose_power(self) -> None:
        """Keep only what was on disk at the cut."""
        self.close()
        for part in (self._copied, _log_of(self._copied)):
            part.replace(part.with_name(part.name.replace("+", "")))


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
