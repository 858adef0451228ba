"""The history of removals in the ledger, as commands and the status page read it beside a running controller.

A module of its own, so that a reader of the history does not import the whole memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from controller.adapters.ledger.file import DamagedError, ledger_errors, reader_of
from controller.image.reference import ImageId
from controller.plan.verdict.removal import Batch, Exactness, Freed, Intent, Mark, Outcome, Removal
from controller.value import dataclass

INTENT = ["image", "reference", "target", "document", "rule", "text_hash", "idle_seconds", "size_bytes"]
REMOVAL = [*INTENT, *["outcome", "freed_bytes", "exactness", "wall_seconds", "message", "batch"]]
"""Columns, in the order of the fields of Intent and Removal."""
_CLOCK_IS_SET_SECONDS = 365 * 86_400
"""An earlier wall time means that the host's clock was not set."""
_NUMBER, _BYTES = (float, int), (int, type(None))
_INTENT_TYPES = (str, str, str, str, int, str, _NUMBER, _BYTES)
_REMOVAL_TYPES = (*_INTENT_TYPES, str, _BYTES, str, _NUMBER, str, str)


@dataclass(frozen=True, slots=True)
class Total:
    """All removals of one document with one outcome since the ledger was created."""

    document: str
    outcome: Outcome
    removals: int
    freed_bytes: int
    unknown: int
    """Removals, or batches of them, whose bytes are unknown."""


class HistoryReader:
    """Reads the history. The constructor may raise InvalidSettings; it and every call may raise LedgerUnavailable."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._db = reader_of(file)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def removals(
        self, since_wall_seconds: float = 0.0, outcomes: Iterable[Outcome] = tuple(Outcome)
    ) -> tuple[Removal, ...]:
        """The history, oldest first, with all removals of times at which the host's clock was not set."""
        words = [outcome.value for outcome in outcomes]
        query = f"""SELECT {", ".join(REMOVAL)} FROM removals
            WHERE (wall_seconds >= ? OR wall_seconds < {_CLOCK_IS_SET_SECONDS})
            AND outcome IN ({", ".join("?" * len(words))}) ORDER BY id"""
        with ledger_errors(self._file):
            return tuple(map(_removal, self._db.execute(query, (since_wall_seconds, *words))))

    def marks(self, since_wall_seconds: float = 0.0) -> tuple[Mark, ...]:
        """What happened beside removals, oldest first; an older ledger has none."""
        with ledger_errors(self._file):
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'marks'").fetchone():
                return ()
            return tuple(each for each in _marks(self._db) if _is_since(each.wall_seconds, since_wall_seconds))

    def batches(self) -> dict[str, Batch]:
        """Measurements of several removals together, by name."""
        with ledger_errors(self._file):
            return {batch.name: batch for batch in _batches(self._db)}

    def totals(self) -> tuple[Total, ...]:
        """All removals since the ledger was created, by document and outcome."""
        with ledger_errors(self._file):
            return _totals(self._db)


def _marks(db: sqlite3.Connection) -> Iterator[Mark]:
    for row in db.execute("SELECT wall_seconds, message FROM marks ORDER BY id"):
        _require(row, (_NUMBER, str))
        yield Mark(*row)


def open_intents(db: sqlite3.Connection) -> tuple[Intent, ...]:
    """Intents whose outcome was never written."""
    return tuple(map(_intent, db.execute(f"SELECT {', '.join(INTENT)} FROM intents").fetchall()))


def require_readable_history(db: sqlite3.Connection) -> None:
    """Read every row once. Raises DamagedError."""
    open_intents(db)
    _batches(db)
    _totals(db)
    list(_marks(db))
    for row in db.execute(f"SELECT {', '.join(REMOVAL)} FROM removals"):
        _removal(row)


def _is_since(wall_seconds: float, since: float) -> bool:
    return wall_seconds >= since or wall_seconds < _CLOCK_IS_SET_SECONDS


def _intent(row: Sequence[Any]) -> Intent:
    _require(row, _INTENT_TYPES)
    return Intent(ImageId(row[0]), *row[1:])


def _removal(row: Sequence[Any]) -> Removal:
    _require(row, _REMOVAL_TYPES)
    intent, rest = Intent(ImageId(row[0]), *row[1 : len(INTENT)]), row[len(INTENT) :]
    outcome, freed, exactness, wall, message, batch = rest
    return Removal(intent, _outcome(outcome), Freed(freed, _exactness(exactness)), wall, message, batch)


def _batches(db: sqlite3.Connection) -> list[Batch]:
    batches = []
    for row in db.execute("SELECT batch, document, freed_bytes, exactness FROM batches").fetchall():
        _require(row, (str, str, _BYTES, str))
        batches.append(Batch(row[0], row[1], Freed(row[2], _exactness(row[3]))))
    return batches


def _totals(db: sqlite3.Connection) -> tuple[Total, ...]:
    totals = []
    for row in db.execute("SELECT * FROM totals ORDER BY document, outcome").fetchall():
        _require(row, (str, str, int, int, int))
        totals.append(Total(row[0], _outcome(row[1]), *row[2:]))
    return tuple(totals)


def _require(row: Sequence[Any], types: Sequence[Any]) -> None:
    for value, kind in zip(row, types, strict=True):
        if not isinstance(value, kind) or (isinstance(value, float) and not isfinite(value)):
            raise DamagedError(f"{value!r:.80} in the history")


def _outcome(word: str) -> Outcome:
    try:
        return Outcome(word)
    except ValueError as error:
        raise DamagedError(f"unknown outcome {word!r:.80}") from error


def _exactness(word: str) -> Exactness:
    try:
        return Exactness(word)
    except ValueError as error:
        raise DamagedError(f"unknown exactness {word!r:.80}") from error
