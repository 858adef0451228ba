"""The ledger: the controller's memory and the history of its removals, in one SQLite file.

Every change is one transaction, so a power cut between any two writes leaves a consistent ledger. A damaged ledger is
moved aside and a new one is created; a damaged row is left out. Then images count as new, none as older. SQL is only in
the ledger's modules.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from controller.adapters.ledger.clock_file import ClockFile
from controller.adapters.ledger.file import (
    DamagedError,
    FileLock,
    connected,
    create_private,
    damage_found,
    files_of,
    is_full,
    ledger_errors,
    lock_of,
    require_ours,
    require_writable_format,
)
from controller.adapters.ledger.history import (
    INTENT,
    REMOVAL,
    HistoryReader,
    open_intents,
    require_readable_history,
)
from controller.adapters.ledger.migrations import (
    GUARD,
    SCHEMA_VERSION,
    guard_of,
    names_of,
    put,
    put_names,
    require_known,
    up_to_date,
)
from controller.adapters.ledger.report import KeyedRow, delete_report, require_readable_report, write_report
from controller.adapters.ledger.reserve import (
    Ballast,
    close_and_keep_room,
    give_back,
    is_short,
    make_room,
    restart_log,
)
from controller.adapters.ledger.rows import (
    ONLY_TIME,
    PARTS,
    Loaded,
    Part,
    StoredRow,
    key_text,
    memory_from,
    row_of,
    sealed,
)
from controller.adapters.ledger.save_mark import SaveMark
from controller.errors import LedgerUnavailable
from controller.log_events import LogEvent
from controller.plan.memory.idleness import used_now
from controller.plan.memory.memory import Memory
from controller.plan.verdict.removal import UNKNOWN_BYTES, Batch, Exactness, Intent, Mark, Outcome, Removal

_PAGE_BYTES = 1024
"""Small, as a pass changes a few rows only: each changed page is written twice."""
_PAGES_KEPT_KIB = 256
"""SQLite's default is 2,000. Each row is read once, at the start, and then only written."""
_MARKS_KEPT = 1_000
_ROWS_OF_A_LARGE_SAVE, _ROWS_OF_A_PIECE = 32, 16
HISTORY_KEEPS_REMOVALS = 20_000
"""Older ones are deleted; the totals still count them."""

_log = logging.getLogger(__name__)
_intent_row = attrgetter(*INTENT)

T = TypeVar("T")


class Ledger:
    """The ledger as its one controller uses it.

    The constructor may raise InvalidSettings and LedgerHeld; it and every call may raise LedgerUnavailable.
    """

    def __init__(self, file: Path, may_lose_seconds: float = 0.0, mark: SaveMark | None = None) -> None:
        """A save in which only time has passed may be delayed by `may_lose_seconds` (one resync, design §5). The mark
        of the last save shows that the file is an older copy.
        """
        self.resets = 0
        """Number of times that a damaged ledger was moved aside or damaged rows were left out."""
        require_ours(file)
        self._file = file
        self._may_lose_seconds = may_lose_seconds
        self._mark = mark or SaveMark(None, file)
        self._clock_file = ClockFile(file)
        self._noted_seconds = 0.0
        """The last clock that is in the ledger or in its clock file."""
        self._lock = FileLock(lock_of(file))
        self._ballast = Ballast(file)
        self._db: sqlite3.Connection | None = None
        self._saved = self._memory = Memory()
        try:
            require_ours(file)
            self._transact(_give_up_unfinished_batches)
            self._memory = self._checked_by_mark(self._clock_file.applied_to(self._saved))
            self._noted_seconds = self._memory.clock.seconds
        except BaseException:
            self.close()
            raise

    def _checked_by_mark(self, memory: Memory) -> Memory:
        if not self._mark.is_later_than(memory.clock.last):
            return memory
        _log.warning(
            "the ledger %s is an older copy than the last one of this boot; all images count as used now",
            self._file,
            extra={"event": LogEvent.LEDGER_RESTORED},
        )
        return used_now(memory, "an older copy of the ledger was put back")

    def close(self) -> None:
        """Write what waits, close the file and release the lock."""
        if self._db is not None and self._memory is not self._saved:
            self._flush()
        self._close_file()
        self._lock.release()

    def load(self) -> Memory:
        """The memory as it was last saved."""
        return self._memory

    def save(self, memory: Memory, inbox_read_to: int = 0, mark: Mark | None = None) -> None:
        """Write what differs from the file, and a mark; delete the `record-download` names in this memory."""
        if not inbox_read_to and mark is None and self._is_noted(memory):
            self._memory = memory
            return
        if self._db is not None and is_short(self._db, self._file):
            self._save_in_pieces(memory)

        def write(db: sqlite3.Connection) -> None:
            _save_memory(db, self._saved, memory)
            db.execute("DELETE FROM inbox WHERE id <= ?", (inbox_read_to,))
            if mark is not None:
                _insert(db, "marks", ("wall_seconds", "message"), [(mark.wall_seconds, mark.message)])
                db.execute("DELETE FROM marks WHERE id <= (SELECT MAX(id) FROM marks) - ?", (_MARKS_KEPT,))

        self._transact(write)
        self._saved = self._memory = memory
        self._noted_seconds = memory.clock.seconds
        self._mark.write(memory.clock.last)
        self._ballast.take_on()
        if self._db is not None:
            make_room(self._db, self._file)

    def inbox(self) -> tuple[int, tuple[str, ...]]:
        """Names given to `record-download` since the last save, with the ID of the last one."""
        return self._transact(names_of)

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
        if not removals and batch is None:
            return

        def write(db: sqlite3.Connection) -> None:
            _insert(db, "removals", REMOVAL, map(_removal_row, removals))
            _close_intents(db, removals)
            _add_to_totals(db, removals)
            if batch is not None:
                _add_batch(db, batch)
            _trim_history(db)

        self._transact(write)

    def report(self, summary: object, rows: Callable[[], Iterable[KeyedRow]] | None = None) -> None:
        """Write what differs from the last report; None: no row differs. Rows are made one by one while they are
        written: all of them take many megabytes.

        On a full disk it is deleted instead: removals need the room, and commands then decide by themselves.
        """
        if rows is None and self._memory is not self._saved:
            return  # Nothing but time has passed; the summary waits with the memory.

        def write(db: sqlite3.Connection) -> None:
            if is_short(db, self._file):
                delete_report(db)
            else:
                write_report(db, summary, rows() if rows else None)

        self._transact(write)

    def _save_in_pieces(self, memory: Memory) -> None:
        """Save what is much on a disk on which it does not fit into the log and the file at the same time.

        The records are the last piece: if a piece fails, the images count as new.
        """
        rows = [row for part in PARTS.values() for row in _changed(part, self._saved, memory)]
        gone = [key for part in PARTS.values() for key in _gone(part, self._saved, memory)]
        if len(rows) + len(gone) < _ROWS_OF_A_LARGE_SAVE:
            return
        records = [row_of(PARTS["records"], *item) for item in memory.records.items()]
        rows = [*(row for row in rows if row.part != "records"), *records]
        gone = [*(("records", key) for key in self._saved.records), *(key for key in gone if key[0] != "records")]
        for first in range(0, len(gone), _ROWS_OF_A_PIECE):
            self._save_piece(partial(_delete, keys=gone[first : first + _ROWS_OF_A_PIECE]))
        for first in range(0, len(rows), _ROWS_OF_A_PIECE):
            self._save_piece(partial(put, rows=rows[first : first + _ROWS_OF_A_PIECE]))
        self._saved = memory

    def _save_piece(self, work: Callable[[sqlite3.Connection], None]) -> None:
        self._transact(work)
        give_back(self._db)

    def _is_noted(self, memory: Memory) -> bool:
        """True if only time has passed, and that is in the clock's file or need not be written yet.

        The mark of the last save is not written: a copy without this time makes no image older. In a container it
        would cost blocks of a disk.
        """
        if self._may_lose_seconds <= 0.0 or self._db is None or not _only_time_differs(self._saved, memory):
            return False
        if memory.clock.seconds - self._noted_seconds <= self._may_lose_seconds:
            return True
        if not self._clock_file.write(self._saved, memory):
            return False
        self._noted_seconds = memory.clock.seconds
        return True

    def _flush(self) -> None:
        with suppress(LedgerUnavailable):
            self._transact(lambda db: _save_memory(db, self._saved, self._memory))

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with ledger_errors(self._file):
            try:
                for make_free in (restart_log, self._give_back):
                    try:
                        return self._run(work)
                    except sqlite3.Error as error:
                        if not is_full(error):
                            raise
                        make_free(self._db)
                return self._run(work)
            except sqlite3.Error:
                self._close_file()  # The next call opens it again, with all checks.
                raise

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db = self._db or self._open()
        with db:
            db.execute("BEGIN IMMEDIATE")
            return work(db)

    def _open(self) -> sqlite3.Connection:
        try:
            self._db, loaded = _opened(self._file)
        except DamagedError as error:
            self._report_damage(
                f"the ledger {self._file} is damaged ({error}); it is kept as {self._file.name}.damaged"
            )
            _move_aside(self._file)
            self._db, loaded = _opened(self._file)
        if loaded.damaged_rows:
            rows = f"{loaded.damaged_rows} damaged row{'s' * (loaded.damaged_rows > 1)}"
            self._report_damage(f"the ledger {self._file} had {rows}; the images concerned count as first seen now")
        self._saved = loaded.memory
        return self._db

    def _report_damage(self, sentence: str) -> None:
        self.resets += 1
        _log.error("%s", sentence, extra={"event": LogEvent.LEDGER_RESET})

    def _give_back(self, db: sqlite3.Connection | None) -> None:
        self._ballast.give_up()
        give_back(db)

    def _close_file(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            close_and_keep_room(db, self._file)


class LedgerReader(HistoryReader):
    """A ledger as commands read it, whether a controller runs or not.

    The constructor may raise InvalidSettings; it and every call may raise LedgerUnavailable.
    """

    def load(self) -> Memory:
        """The memory as it was last saved."""
        with ledger_errors(self._file):
            require_known(self._db)
            return ClockFile(self._file).applied_to(_loaded(self._db).memory)

    def inbox(self) -> tuple[str, ...]:
        """Names given to `record-download` that no saved memory contains."""
        with ledger_errors(self._file):
            require_known(self._db)
            return names_of(self._db)[1]


def record_downloads(file: Path, names: Iterable[str]) -> Memory:
    """Write names of images that the agent downloaded, for the next pass, whether a controller runs or not.

    Returns the memory as it was last saved. Raises InvalidSettings, LedgerUnavailable.
    """
    require_ours(file)
    with ledger_errors(file):
        db, loaded = _opened(file)
        try:
            with db:
                put_names(db, names)
            return loaded.memory
        finally:
            close_and_keep_room(db, file)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _opened(file: Path) -> tuple[sqlite3.Connection, Loaded]:
    """The ledger and its memory; creates the file if it does not exist. Raises DamagedError, NewerError."""
    create_private(file)
    require_writable_format(file)
    db = connected(file, "rwc")
    try:
        loaded = checked(db)
        make_room(db, file)
        return db, loaded
    except BaseException:
        db.close()
        raise


def checked(db: sqlite3.Connection) -> Loaded:
    """The memory in the present schema, after every row was read. Raises DamagedError, NewerError."""
    with damage_found():
        _prepare(db)
        loaded = _loaded(db)
        require_readable_history(db)
        require_readable_report(db)
        if loaded.damaged_rows:
            _rewrite(db, loaded.memory)
    return loaded


def _prepare(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    db.execute(f"PRAGMA cache_size = -{_PAGES_KEPT_KIB}")  # Before the check, which reads every page.
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(verdict)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = FAST")  # Debian's SQLite writes each page that becomes free, twice.
    with db:
        db.execute("BEGIN IMMEDIATE")
        up_to_date(db)


def _move_aside(file: Path) -> None:
    """Rename the damaged file, so that it can be examined; only the last one is kept."""
    for part in files_of(file):
        if part.exists():
            part.replace(part.with_name(part.name.replace(file.name, f"{file.name}.damaged", 1)))


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _loaded(db: sqlite3.Connection) -> Loaded:
    number, total = guard_of(db)
    db.text_factory = bytes
    try:
        rows = db.execute("SELECT part, key, value, seal FROM memory WHERE part <> ?", (GUARD,))
        return memory_from(rows, lambda found, added: (found, added) == (number, total))
    finally:
        db.text_factory = str


def _rewrite(db: sqlite3.Connection, memory: Memory) -> None:
    """Replace all rows by those of this memory."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM memory")
        db.execute("INSERT INTO memory VALUES (?, '', 0, 0)", (GUARD,))
        put(db, [sealed("schema", "", str(SCHEMA_VERSION))])
        put(db, (row_of(part, key, value) for part in PARTS.values() for key, value in part.of(memory).items()))


def _only_time_differs(before: Memory, after: Memory) -> bool:
    """True if both differ at most in the clock and in the time of the last answer about the node."""
    return all(_is_same(part.of(before), part.of(after)) for part in PARTS.values() if part.name not in ONLY_TIME)


def _is_same(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> bool:
    return before is after or before == after


def _save_memory(db: sqlite3.Connection, before: Memory, after: Memory) -> None:
    for part in PARTS.values():
        put(db, _changed(part, before, after))
    _delete(db, [key for part in PARTS.values() for key in _gone(part, before, after)])


def _delete(db: sqlite3.Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Delete rows by part and key, in one statement."""
    if keys:
        rows = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
        db.execute(f"DELETE FROM memory WHERE (part, key) IN ({rows})", (json.dumps(keys),))


def _gone(part: Part, before: Memory, after: Memory) -> list[tuple[str, str]]:
    """Part and key of the rows that are no longer there."""
    old, new = part.of(before), part.of(after)
    return [] if old is new else [(part.name, key_text(key)) for key in old.keys() - new.keys()]


def _changed(part: Part, before: Memory, after: Memory) -> Iterator[StoredRow]:
    """The rows that are new or have another value."""
    old, new = part.of(before), part.of(after)
    if old is new:
        return
    for key, value in new.items():
        if key not in old or (old[key] is not value and old[key] != value):
            yield row_of(part, key, value)


def _insert(db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)


def _close_intents(db: sqlite3.Connection, removals: Sequence[Removal]) -> None:
    done = json.dumps([f"{removal.intent.image} {removal.intent.reference}" for removal in removals])
    db.execute("DELETE FROM intents WHERE image || ' ' || reference IN (SELECT value FROM json_each(?))", (done,))


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
    if db.execute("INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?)", row).rowcount:  # Else it is counted already.
        _add_to_totals(db, (), batch)


def _trim_history(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM removals WHERE id <= (SELECT MAX(id) FROM removals) - ?", (HISTORY_KEEPS_REMOVALS,))
    db.execute("DELETE FROM batches WHERE batch NOT IN (SELECT batch FROM removals)")
