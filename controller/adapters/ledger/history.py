"""The history of removals in the ledger, as commands and the status page read it beside a running controller.

A module of its own, so that a reader of the history does not import the whole memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.adapters.ledger.file import connected, ledger_errors
from controller.image.reference import ImageId
from controller.plan.verdict.removal import Batch, Exactness, Freed, Intent, Outcome, Removal

INTENT = ["image", "reference", "target", "document", "rule", "text_hash", "idle_seconds", "size_bytes"]
REMOVAL = [*INTENT, *["outcome", "freed_bytes", "exactness", "wall_seconds", "message", "batch"]]
"""Columns, in the order of the fields of Intent and Removal."""


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
    """Reads the history. Every call may raise LedgerUnavailable."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with ledger_errors(file):
            self._db = connected(file, "ro")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def removals(
        self, since_wall_seconds: float = 0.0, outcomes: Iterable[Outcome] = tuple(Outcome)
    ) -> tuple[Removal, ...]:
        """The history, oldest first."""
        wanted = [outcome.value for outcome in outcomes]
        query = f"""SELECT {", ".join(REMOVAL)} FROM removals
            WHERE wall_seconds >= ? AND outcome IN ({", ".join("?" * len(wanted))}) ORDER BY id"""
        with ledger_errors(self._file):
            return tuple(_removal(row) for row in self._db.execute(query, (since_wall_seconds, *wanted)))

    def batches(self) -> dict[str, Batch]:
        """Measurements of several removals together, by name."""
        with ledger_errors(self._file):
            rows = self._db.execute("SELECT batch, document, freed_bytes, exactness FROM batches").fetchall()
        return {
            name: Batch(name, document, Freed(freed, Exactness(exactness))) for name, document, freed, exactness in rows
        }

    def totals(self) -> tuple[Total, ...]:
        """All removals since the ledger was created, by document and outcome."""
        with ledger_errors(self._file):
            rows = self._db.execute("SELECT * FROM totals ORDER BY document, outcome").fetchall()
        return tuple(Total(document, Outcome(outcome), *rest) for document, outcome, *rest in rows)


def open_intents(db: sqlite3.Connection) -> tuple[Intent, ...]:
    """Intents whose outcome was never written."""
    return tuple(_intent(row) for row in db.execute(f"SELECT {', '.join(INTENT)} FROM intents").fetchall())


def _intent(row: Sequence[Any]) -> Intent:
    return Intent(ImageId(row[0]), *row[1:])


def _removal(row: Sequence[Any]) -> Removal:
    intent, rest = _intent(row[: len(INTENT)]), row[len(INTENT) :]
    outcome, freed, exactness, wall, message, batch = rest
    return Removal(intent, Outcome(outcome), Freed(freed, Exactness(exactness)), wall, message, batch)
