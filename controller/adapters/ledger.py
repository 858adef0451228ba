"""The ledger: the controller's memory and the history of its removals, in one SQLite file.

Every change is one transaction, so a power cut between any two writes leaves a ledger that makes sense. One that
makes none is moved aside and a new one begun: everything then looks new, and nothing looks old. SQL is nowhere else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

from controller.adapters.file_lock import FileLock
from controller.adapters.ledger_rows import TABLES, Table, facts_of, memory_from
from controller.errors import LedgerUnavailable
from controller.image.reference import ImageId
from controller.plan.memory import Memory
from controller.plan.removal import Batch, Exactness, Freed, Intent, Outcome, Removal

SCHEMA_VERSION = 1
HISTORY_KEEPS_REMOVALS = 20_000
"""Older ones are forgotten one by one; the totals keep counting them."""
_WAIT_FOR_OTHERS_SECONDS = 10.0

_INTENT = ["image", "reference", "target", "document", "rule", "text_hash", "idle_seconds", "size_bytes"]
_REMOVAL = [*_INTENT, *["outcome", "freed_bytes", "exactness", "wall_seconds", "message", "batch"]]

T = TypeVar("T")


class Ledger:
    """The ledger as its one controller holds it.

    Making one raises LedgerHeld; like every call, or LedgerUnavailable.
    """

    def __init__(self, file: Path) -> None:
        self.resets = 0
        """How often a damaged ledger was moved aside."""
        self._file = file
        self._lock = FileLock(file.with_name(file.name + ".lock"))
        self._db: sqlite3.Connection | None = None
        self._saved = Memory()
        with _unavailable(file):
            self._open()

    def close(self) -> None:
        """Let another controller have it."""
        self._close_file()
        self._lock.release()

    def load(self) -> Memory:
        """The memory as it was last saved."""
        return self._saved

    def save(self, memory: Memory, inbox_read_to: int = 0) -> None:
        """Write what differs from what is on disk; drop the `record-download` names that this memory has taken in."""

        def write(db: sqlite3.Connection) -> None:
            for table in TABLES:
                _save_table(db, table, table.part_of(self._saved), table.part_of(memory))
            _save_facts(db, facts_of(self._saved), facts_of(memory))
            db.execute("DELETE FROM inbox WHERE id <= ?", (inbox_read_to,))

        self._transact(write)
        self._saved = memory

    def inbox(self) -> tuple[int, tuple[str, ...]]:
        """Names given to `record-download` since the last save, and how far that reads."""
        rows = self._transact(lambda db: db.execute("SELECT id, name FROM inbox ORDER BY id").fetchall())
        return (rows[-1][0] if rows else 0), tuple(name for _, name in rows)

    def intend(self, intents: Sequence[Intent]) -> None:
        """Write down what is about to be asked of the engine."""
        self._transact(lambda db: _insert(db, "intents", _INTENT, map(astuple, intents)))

    def open_intents(self) -> tuple[Intent, ...]:
        """Intents whose outcome was never written, because the controller was killed in between."""
        rows = self._transact(lambda db: db.execute(f"SELECT {', '.join(_INTENT)} FROM intents").fetchall())
        return tuple(_intent(row) for row in rows)

    def drop_intents(self) -> None:
        """Forget all open intents: what they led to has been found out."""
        self._transact(lambda db: db.execute("DELETE FROM intents"))

    def record(self, removals: Sequence[Removal], batch: Batch | None = None) -> None:
        """Write outcomes into the history, and close their intents."""

        def write(db: sqlite3.Connection) -> None:
            _insert(db, "removals", _REMOVAL, map(_removal_row, removals))
            done = ((removal.intent.image, removal.intent.reference) for removal in removals)
            db.executemany("DELETE FROM intents WHERE image = ? AND reference = ?", done)
            if batch is not None:
                db.execute(
                    "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)",
                    (batch.name, batch.document, *astuple(batch.freed)),
                )
            _add_to_totals(db, removals, batch)
            _trim_history(db)

        self._transact(write)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _unavailable(self._file):
            db = self._db or self._open()
            try:
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    return work(db)
            except sqlite3.DatabaseError:
                self._close_file()  # The next call opens it with all its checks, and finds whatever is not damaged.
                raise

    def _open(self) -> sqlite3.Connection:
        try:
            self._db, self._saved = _opened(self._file)
        except _DamagedError:
            _move_aside(self._file)
            self.resets += 1
            self._db, self._saved = _opened(self._file)
        return self._db

    def _close_file(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class LedgerReader:
    """A ledger as commands read it, beside a running controller or without one.

    Every call may raise LedgerUnavailable.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with _unavailable(file):
            self._db = _connected(file, "mode=ro")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def load(self) -> Memory:
        """The memory as the last pass saved it."""
        with _unavailable(self._file):
            return _loaded(self._db)

    def removals(
        self, since_wall_seconds: float = 0.0, outcomes: Iterable[Outcome] = tuple(Outcome)
    ) -> tuple[Removal, ...]:
        """The history, oldest first."""
        wanted = [outcome.value for outcome in outcomes]
        query = f"""SELECT {", ".join(_REMOVAL)} FROM removals
            WHERE wall_seconds >= ? AND outcome IN ({", ".join("?" * len(wanted))}) ORDER BY id"""
        with _unavailable(self._file):
            return tuple(_removal(row) for row in self._db.execute(query, (since_wall_seconds, *wanted)))

    def batches(self) -> dict[str, Batch]:
        """Measurements that stand for several removals, by name."""
        with _unavailable(self._file):
            rows = self._db.execute("SELECT batch, document, freed_bytes, exactness FROM batches").fetchall()
        return {
            name: Batch(name, document, Freed(freed, Exactness(exactness))) for name, document, freed, exactness in rows
        }

    def totals(self) -> tuple[Total, ...]:
        """What was removed since the ledger began, by document and outcome."""
        with _unavailable(self._file):
            rows = self._db.execute("SELECT * FROM totals ORDER BY document, outcome").fetchall()
        return tuple(Total(document, Outcome(outcome), *rest) for document, outcome, *rest in rows)


@dataclass(frozen=True, slots=True)
class Total:
    """All removals of one document with one outcome since the ledger began."""

    document: str
    outcome: Outcome
    removals: int
    freed_bytes: int
    unknown: int
    """Removals, or batches of them, whose bytes are not known."""


def record_downloads(file: Path, names: Iterable[str]) -> None:
    """Tell the controller what the agent downloaded, through its ledger, while it runs or not.

    Raises LedgerUnavailable.
    """
    with _unavailable(file):
        db, _ = _opened(file)
        with db:
            db.executemany("INSERT INTO inbox (name) VALUES (?)", ((name,) for name in names))
        db.close()


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _DamagedError(Exception):
    """The file is no ledger, or its rows make no sense."""


@contextmanager
def _unavailable(file: Path) -> Iterator[None]:
    """SQLite's errors become ours, in words."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"the ledger {file} cannot be used: {error}") from error
    except _DamagedError as error:
        raise LedgerUnavailable(
            f"the ledger {file} is damaged ({error}); the controller will begin a new one"
        ) from error


def _opened(file: Path) -> tuple[sqlite3.Connection, Memory]:
    """The ledger and the memory in it, made if it does not exist. Raises _DamagedError."""
    db = _connected(file, "mode=rwc")
    try:
        _check(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            _create(db)
        return db, _loaded(db)
    except BaseException:
        db.close()
        raise


def _connected(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=_WAIT_FOR_OTHERS_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _check(db: sqlite3.Connection) -> None:
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise _DamagedError(str(error)) from error
    if verdict != "ok":
        raise _DamagedError(verdict)
    if version > SCHEMA_VERSION:
        raise sqlite3.NotSupportedError(
            f"a newer version of this program wrote it (schema {version}, this one knows {SCHEMA_VERSION})"
        )


def _create(db: sqlite3.Connection) -> None:
    for table in TABLES:
        key = ", ".join(table.columns[: table.keys])
        db.execute(
            f"CREATE TABLE IF NOT EXISTS {table.name} ({', '.join(table.columns)}, PRIMARY KEY ({key})) WITHOUT ROWID"
        )
    db.execute("CREATE TABLE IF NOT EXISTS facts (name PRIMARY KEY, value) WITHOUT ROWID")
    db.execute("CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, name)")
    db.execute(f"CREATE TABLE IF NOT EXISTS intents (id INTEGER PRIMARY KEY, {', '.join(_INTENT)})")
    db.execute(f"CREATE TABLE IF NOT EXISTS removals (id INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(_REMOVAL)})")
    db.execute("CREATE TABLE IF NOT EXISTS batches (batch PRIMARY KEY, document, freed_bytes, exactness) WITHOUT ROWID")
    columns = "document, outcome, removals, freed_bytes, unknown, PRIMARY KEY (document, outcome)"
    db.execute(f"CREATE TABLE IF NOT EXISTS totals ({columns}) WITHOUT ROWID")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _move_aside(file: Path) -> None:
    """Keep the damaged file for whoever wants to know, one generation of it."""
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
    except (KeyError, TypeError, ValueError) as error:
        raise _DamagedError(f"its rows make no sense: {error!r}") from error


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


def _intent(row: Sequence[Any]) -> Intent:
    return Intent(ImageId(row[0]), *row[1:])


def _removal_row(removal: Removal) -> tuple[Any, ...]:
    return (
        *astuple(removal.intent),
        removal.outcome,
        *astuple(removal.freed),
        removal.wall_seconds,
        removal.message,
        removal.batch,
    )


def _removal(row: Sequence[Any]) -> Removal:
    intent, rest = _intent(row[: len(_INTENT)]), row[len(_INTENT) :]
    outcome, freed, exactness, wall, message, batch = rest
    return Removal(intent, Outcome(outcome), Freed(freed, Exactness(exactness)), wall, message, batch)


def _add_to_totals(db: sqlite3.Connection, removals: Iterable[Removal], batch: Batch | None) -> None:
    figures = [(removal.intent.document, removal.outcome, 1, removal.freed) for removal in removals]
    if batch is not None:
        figures.append((batch.document, Outcome.REMOVED, 0, batch.freed))
    rows = (
        (document, outcome, count, freed.bytes or 0, freed.exactness is Exactness.UNKNOWN)
        for document, outcome, count, freed in figures
    )
    db.executemany(
        """INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           removals = removals + excluded.removals,
           freed_bytes = freed_bytes + excluded.freed_bytes,
           unknown = unknown + excluded.unknown""",
        rows,
    )


def _trim_history(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM removals WHERE id <= (SELECT MAX(id) FROM removals) - ?", (HISTORY_KEEPS_REMOVALS,))
    db.execute("DELETE FROM batches WHERE batch NOT IN (SELECT batch FROM removals)")
