"""The report of the last pass: the controller writes it into its ledger, commands read it there.

Commands show what the controller decided, by its own settings, and need only SQLite and JSON for it.
Moments in it are on the ledger's clock (see `plan.report.rows`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from controller.adapters.ledger.clock_file import ClockFile
from controller.adapters.ledger.codec import decoded
from controller.adapters.ledger.file import DamagedError, ledger_errors, reader_of
from controller.json_text import decoded as read_json
from controller.plan.memory.ledger_clock import Anchor, LedgerClock
from controller.plan.report.rows import as_values, row_from

CREATE = "CREATE TABLE report (kind, key, value, PRIMARY KEY (kind, key)) WITHOUT ROWID"
SUMMARY = ("summary", "")
_WRITE = """INSERT INTO report VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value
    WHERE value <> excluded.value"""

T = TypeVar("T")
KeyedRow = tuple[tuple[str, str], object]
"""A row with its kind (reference, explanation, document) and a key among these."""


def delete_report(db: sqlite3.Connection) -> None:
    """Delete all of it."""
    db.execute("DELETE FROM report")


def write_report(db: sqlite3.Connection, summary: object, rows: Iterable[KeyedRow] | None) -> None:
    """Write what differs from what is there, row by row; None: no row but the summary does."""
    db.execute(_WRITE, (*SUMMARY, json.dumps(summary, default=as_values)))
    if rows is None:
        return
    gone = set(db.execute("SELECT kind, key FROM report").fetchall()) - {SUMMARY}

    def written() -> Iterator[tuple[str, str, str]]:
        for key, row in rows:
            gone.discard(key)
            yield *key, json.dumps(row, default=as_values)

    db.executemany(_WRITE, written())
    for kind in {kind for kind, _ in gone}:
        keys = json.dumps([key for of, key in gone if of == kind])
        db.execute("DELETE FROM report WHERE kind = ? AND key IN (SELECT value FROM json_each(?))", (kind, keys))


def require_readable_report(db: sqlite3.Connection) -> None:
    """Read every row once. Raises DamagedError."""
    for row in db.execute("SELECT kind, key, value FROM report"):
        if not all(isinstance(text, str) for text in row):
            raise DamagedError("a row of the report is not text")


class ReportReader:
    """Reads the last report, whether a controller runs or not.

    The constructor may raise InvalidSettings; it and every call may raise LedgerUnavailable. All calls see the ledger
    as it was at the first one.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._db = reader_of(file)
        with ledger_errors(file):
            self._db.execute("BEGIN")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def clock(self) -> LedgerClock | None:
        """The ledger's clock at the reported pass; None before the first pass."""
        if len(self._select("SELECT name FROM sqlite_master WHERE name IN ('memory', 'report')")) < 2:
            return None
        if not self._select("SELECT 1 FROM report LIMIT 1"):
            return None
        with self._parsing():
            clock = self._part("clock", LedgerClock)
            if clock is None:
                return None
            timeline = self._part("timeline", tuple[Anchor, ...]) or ()
            return ClockFile(self._file).clock_after(replace(clock, timeline=timeline))

    def _part(self, part: str, kind: Any) -> Any:
        """One row of the memory; None without it. Raises DamagedError."""
        found = self._db.execute("SELECT value, seal FROM memory WHERE part = ?", (part,)).fetchone()
        if found is None:
            return None
        if not isinstance(found[0], str) or crc32(f"{part}\0\0{found[0]}".encode()) != found[1]:
            raise DamagedError(f"the check of its {part} fails")
        return decoded(kind, found[0])

    def rows(self, kind: str, row_type: type[T], keys: Iterable[str] | None = None) -> list[T]:
        """All rows of a kind, or those with these keys, in the order of their keys."""
        chosen = "" if keys is None else "AND key IN (SELECT value FROM json_each(?))"
        parameters = (kind,) if keys is None else (kind, json.dumps(list(keys)))
        values = self._select(f"SELECT value FROM report WHERE kind = ? {chosen} ORDER BY key", *parameters)
        with self._parsing():
            return [row_from(row_type, each) for each in read_json(f"[{','.join(values)}]")]

    def only_row(self, kind: str, row_type: type[T]) -> T:
        """The row of a kind that has one."""
        with self._parsing():
            (row,) = self.rows(kind, row_type)
            return row

    def keys(self, kind: str) -> list[str]:
        """The keys of all rows of a kind."""
        return self._select("SELECT key FROM report WHERE kind = ? ORDER BY key", kind)

    def _select(self, query: str, *parameters: str) -> list[str]:
        with ledger_errors(self._file):
            return [value for (value,) in self._db.execute(query, parameters)]

    @contextmanager
    def _parsing(self) -> Iterator[None]:
        with ledger_errors(self._file):
            try:
                yield
            except (TypeError, ValueError) as error:
                raise DamagedError(f"the report cannot be read: {error}") from error
