"""The ledger: the controller's memory and the history of its removals, in one SQLite file.

Every change is one transaction, so a power cut between any two writes leaves a consistent ledger. A damaged ledger is
moved aside and a new one is created: then every image counts as new, none as old. SQL is only in the ledger's modules.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from controller.adapters.ledger.file import DamagedError, FileLock, NewerError, connected, ledger_errors
from controller.adapters.ledger.history import INTENT, REMOVAL, HistoryReader, open_intents
from controller.adapters.ledger.report import CREATE as CREATE_REPORT
from controller.adapters.ledger.report import Row, write_report
from controller.adapters.ledger.reserve import CREATE as CREATE_ROOM
from controller.adapters.ledger.reserve import Ballast, close_and_keep_room, make_room
from controller.adapters.ledger.rows import TABLES, Table, facts_of, memory_from
from controller.plan.memory.memory import Memory
from controller.plan.verdict.removal import UNKNOWN_BYTES, Batch, Exactness, Intent, Outcome, Removal

SCHEMA_VERSION = 1
_PAGES_KEPT_KIB = 256
"""SQLite's default is 2,000. Each row is read once, at the start, and then only written."""
HISTORY_KEEPS_REMOVALS = 20_000
"""Older ones are deleted; the totals still count them."""

_intent_row = attrgetter(*INTENT)

T = TypeVar("T")


class Ledger:
    """The ledger as its one controller uses it.

    The constructor may raise LedgerHeld; it and every call may raise LedgerUnavailable.
    """

    def __init__(self, file: Path) -> None:
        self.resets = 0
        """How often a damaged ledger was moved aside."""
        self._file = file
        self._lock = FileLock(file.with_name(file.name + ".lock"))
        self._ballast = Ballast(file)
        self._db: sqlite3.Connection | None = None
        self._saved = Memory()
        try:
            self._transact(_give_up_unfinished_batches)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and release the lock."""
        self._close_file()
        self._lock.release()

    def load(self) -> Memory:
        """The memory as it was last saved."""
        return self._saved

    def save(self, memory: Memory, inbox_read_to: int = 0) -> None:
        """Write what differs from the file; delete the `record-download` names that this memory contains."""

        def write(db: sqlite3.Connection) -> None:
            for table in TABLES:
                _save_table(db, table, table.part_of(self._saved), table.part_of(memory))
            _save_facts(db, facts_of(self._saved), facts_of(memory))
            db.execute("DELETE FROM inbox WHERE id <= ?", (inbox_read_to,))

        self._transact(write)
        self._saved = memory
        self._ballast.take_on()
        if self._db is not None:
            make_room(self._db, self._file)

    def inbox(self) -> tuple[int, tuple[str, ...]]:
        """Names given to `record-download` since the last save, with the ID of the last one."""
        rows = self._transact(lambda db: db.execute("SELECT id, name FROM inbox ORDER BY id").fetchall())
        return (rows[-1][0] if rows else 0), tuple(name for _, name in rows)

    def intend(self, intents: Sequence[Intent]) -> None:
        """Write the removals that are about to be requested; on a full disk, free a little room for the engine too."""
        self._ballast.drop()
        self._transact(lambda db: _insert(db, "intents", INTENT, map(_intent_row, intents)))

    def open_intents(self) -> tuple[Intent, ...]:
        """Intents without an outcome, because the controller was killed in between."""
        return self._transact(open_intents)

    def drop_intents(self, but: Sequence[Intent] = ()) -> None:
        """Delete all open intents but these: their outcomes are known."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM intents")
            _insert(db, "intents", INTENT, map(_intent_row, but))

        self._transact(write)

    def record(self, removals: Sequence[Removal], batch: Batch | None = None) -> None:
        """Write outcomes into the history and close their intents."""

        def write(db: sqlite3.Connection) -> None:
            _insert(db, "removals", REMOVAL, map(_removal_row, removals))
            done = ((removal.intent.image, removal.intent.reference) for removal in removals)
            db.executemany("DELETE FROM intents WHERE image = ? AND reference = ?", done)
            _add_to_totals(db, removals)
            if batch is not None:
                _add_batch(db, batch)
            _trim_history(db)

        self._transact(write)

    def report(self, summary: Mapping[str, Any], rows: Iterable[Row] | None = None) -> None:
        """Write what differs from the last report; None: no row differs."""
        self._transact(lambda db: write_report(db, summary, rows))

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with ledger_errors(self._file):
            db = self._db or self._open()
            try:
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    return work(db)
            except sqlite3.DatabaseError:
                self._close_file()  # The next call opens it again, with all checks.
                raise

    def _open(self) -> sqlite3.Connection:
        try:
            self._db, self._saved = _opened(self._file)
        except DamagedError:
            _move_aside(self._file)
            self.resets += 1
            self._db, self._saved = _opened(self._file)
        return self._db

    def _close_file(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            close_and_keep_room(db, self._file)


class LedgerReader(HistoryReader):
    """A ledger as commands read it, beside a running controller or without one.

    Every call may raise LedgerUnavailable.
    """

    def load(self) -> Memory:
        """The memory as the last pass saved it."""
        with ledger_errors(self._file):
            return _loaded(self._db)


def record_downloads(file: Path, names: Iterable[str]) -> None:
    """Write names of images that the agent downloaded, for the next pass, whether a controller runs or not.

    Raises LedgerUnavailable.
    """
    with ledger_errors(file):
        db, _ = _opened(file)
        try:
            with db:
                db.executemany("INSERT INTO inbox (name) VALUES (?)", ((name,) for name in names))
        finally:
            close_and_keep_room(db, file)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _opened(file: Path) -> tuple[sqlite3.Connection, Memory]:
    """The ledger and its memory; creates the file if it does not exist. Raises DamagedError."""
    db = connected(file, "rwc")
    try:
        _check(db)
        db.execute(f"PRAGMA cache_size = -{_PAGES_KEPT_KIB}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            _create(db)
        make_room(db, file)
        return db, _loaded(db)
    except sqlite3.DatabaseError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedError(str(error)) from error
        raise
    except BaseException:
        db.close()
        raise


def _check(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise NewerError(
            f"it was written by a newer version (schema {version}, this version knows {SCHEMA_VERSION}):"
            " upgrade, or use another --ledger"
        )
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(verdict)


def _create(db: sqlite3.Connection) -> None:
    for table in TABLES:
        key = ", ".join(table.columns[: table.keys])
        db.execute(
            f"CREATE TABLE IF NOT EXISTS {table.name} ({', '.join(table.columns)}, PRIMARY KEY ({key})) WITHOUT ROWID"
        )
    db.execute("CREATE TABLE IF NOT EXISTS facts (name PRIMARY KEY, value) WITHOUT ROWID")
    db.execute("CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, name)")
    db.execute(f"CREATE TABLE IF NOT EXISTS intents (id INTEGER PRIMARY KEY, {', '.join(INTENT)})")
    db.execute("CREATE INDEX IF NOT EXISTS intents_by_name ON intents (image, reference)")
    db.execute(f"CREATE TABLE IF NOT EXISTS removals (id INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(REMOVAL)})")
    db.execute("CREATE TABLE IF NOT EXISTS batches (batch PRIMARY KEY, document, freed_bytes, exactness) WITHOUT ROWID")
    columns = "document, outcome, removals, freed_bytes, unknown, PRIMARY KEY (document, outcome)"
    db.execute(f"CREATE TABLE IF NOT EXISTS totals ({columns}) WITHOUT ROWID")
    db.execute(CREATE_REPORT)
    db.execute(CREATE_ROOM)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _move_aside(file: Path) -> None:
    """Rename the damaged file, so that it can be examined; only the last one is kept."""
    for suffix in ("", "-wal", "-shm"):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(file.with_name(f"{file.name}.damaged{suffix}"))


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _loaded(db: sqlite3.Connection) -> Memory:
    try:
        facts = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM facts")}
        parts = {table.name: dict(_rows(db, table)) for table in TABLES}
        return memory_from(parts, facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"rows cannot be read: {error!r}") from error


def _rows(db: sqlite3.Connection, table: Table[Any, Any]) -> Iterator[tuple[Any, Any]]:
    for row in db.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}"):
        yield table.from_row(*row)


def _save_table(
    db: sqlite3.Connection, table: Table[Any, Any], before: Mapping[Any, Any], after: Mapping[Any, Any]
) -> None:
    if before is after:
        return
    changed = (
        table.to_row(key, value)
        for key, value in after.items()
        if before.get(key) is not value and before.get(key) != value
    )
    db.executemany(f"INSERT OR REPLACE INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})", changed)
    gone = (table.to_key(key) for key in before.keys() - after.keys())
    db.executemany(
        f"DELETE FROM {table.name} WHERE {' AND '.join(f'{column} = ?' for column in table.columns[: table.keys])}",
        gone,
    )


def _save_facts(db: sqlite3.Connection, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    changed = ((name, json.dumps(value)) for name, value in after.items() if before.get(name) != value)
    db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", changed)


def _insert(db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)


def _removal_row(removal: Removal) -> tuple[Any, ...]:
    return (
        *_intent_row(removal.intent),
        removal.outcome,
        removal.freed.bytes,
        removal.freed.exactness,
        removal.wall_seconds,
        removal.message,
        removal.batch,
    )


def _add_to_totals(db: sqlite3.Connection, removals: Iterable[Removal], batch: Batch | None = None) -> None:
    figures = [(removal.intent.document, removal.outcome, 1, removal.freed) for removal in removals]
    if batch is not None:
        figures.append((batch.document, Outcome.REMOVED, 0, batch.freed))
    counts, freed_bytes, unknown = (Counter[tuple[str, Outcome]]() for _ in range(3))
    for document, outcome, count, freed in figures:
        counts[document, outcome] += count
        freed_bytes[document, outcome] += freed.bytes or 0
        unknown[document, outcome] += freed.exactness is Exactness.UNKNOWN
    rows = ((*key, count, freed_bytes[key], unknown[key]) for key, count in counts.items())
    db.executemany(
        """INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           removals = removals + excluded.removals,
           freed_bytes = freed_bytes + excluded.freed_bytes,
           unknown = unknown + excluded.unknown""",
        rows,
    )


def _give_up_unfinished_batches(db: sqlite3.Connection) -> None:
    """Batches whose measurement the last controller did not finish get unknown bytes."""
    unfinished = db.execute(
        "SELECT DISTINCT batch, document FROM removals WHERE batch <> '' AND batch NOT IN (SELECT batch FROM batches)"
    ).fetchall()
    for name, document in unfinished:
        _add_batch(db, Batch(name, document, UNKNOWN_BYTES))


def _add_batch(db: sqlite3.Connection, batch: Batch) -> None:
    row = (batch.name, batch.document, batch.freed.bytes, batch.freed.exactness)
    db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", row)
    _add_to_totals(db, (), batch)


def _trim_history(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM removals WHERE id <= (SELECT MAX(id) FROM removals) - ?", (HISTORY_KEEPS_REMOVALS,))
    db.execute("DELETE FROM batches WHERE batch NOT IN (SELECT batch FROM removals)")
