"""The tables of a ledger, and the numbered steps from each older schema to the present one.

The schema number is in `PRAGMA user_version` and, with a check, in a row of its own: only both together prove that a
newer version wrote a ledger. A new stored word (an outcome, an exactness) needs a new number too, so that an older
version refuses the ledger. All steps run in one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

from controller.adapters.ledger.codec import decoded
from controller.adapters.ledger.file import APPLICATION_ID, OUR_TABLES, DamagedError, NewerError
from controller.adapters.ledger.history import INTENT, REMOVAL
from controller.adapters.ledger.report import CREATE as CREATE_REPORT
from controller.adapters.ledger.reserve import CREATE as CREATE_ROOM
from controller.adapters.ledger.rows import PARTS, StoredRow, key_text, row_of, sealed
from controller.errors import LedgerUnavailable
from controller.json_text import decoded as read_json
from controller.plan.memory.memory import Memory

SCHEMA_VERSION = 3
GUARD = "clock#"
"""The part of the row that counts all others and adds up their checks: a lost row shows. It sorts beside the clock."""
_PUT = """INSERT INTO memory VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, seal = excluded.seal"""
_SCHEMA_2 = (
    "CREATE TABLE memory (part TEXT, key TEXT, value, seal, PRIMARY KEY (part, key)) WITHOUT ROWID",
    f"""CREATE TRIGGER memory_added AFTER INSERT ON memory WHEN NEW.part <> '{GUARD}' BEGIN
        UPDATE memory SET value = value + 1, seal = seal + NEW.seal WHERE part = '{GUARD}'; END""",
    f"""CREATE TRIGGER memory_changed AFTER UPDATE ON memory WHEN NEW.part <> '{GUARD}' BEGIN
        UPDATE memory SET seal = seal - OLD.seal + NEW.seal WHERE part = '{GUARD}'; END""",
    f"""CREATE TRIGGER memory_removed AFTER DELETE ON memory WHEN OLD.part <> '{GUARD}' BEGIN
        UPDATE memory SET value = value - 1, seal = seal - OLD.seal WHERE part = '{GUARD}'; END""",
    "CREATE TABLE inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, name, seal)",
    f"CREATE TABLE intents (id INTEGER PRIMARY KEY, {', '.join(INTENT)})",
    f"CREATE TABLE removals (id INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(REMOVAL)})",
    "CREATE TABLE batches (batch PRIMARY KEY, document, freed_bytes, exactness) WITHOUT ROWID",
    "CREATE TABLE totals (document, outcome, removals, freed_bytes, unknown, PRIMARY KEY (document, outcome))"
    " WITHOUT ROWID",
    CREATE_REPORT,
    CREATE_ROOM,
)
_SCHEMA_3 = ("CREATE TABLE marks (id INTEGER PRIMARY KEY AUTOINCREMENT, wall_seconds, message)",)
"""What schema 3 added."""
_KEPT_FROM_1 = ("intents", "removals", "batches", "totals")
_FROM_1: Mapping[str, tuple[str, int]] = {
    "images": ("image, tags, digests, parent, size_bytes, keep", 1),
    "records": ("image, first_seen, last_used, last_used_by_agent, last_touched, touch, origin, names, tip", 1),
    "layers": ("chain, parent, size_bytes", 1),
    "evidence": ("image, source, detail, since", 1),
    "attempts": ("image, reference, setback, message, failures, retry_at, situation", 2),
    "texts": ("document, text_hash, first_seen, last_present, started_at, text", 2),
    "agreements": ("agreement, began_after, first_seen", 1),
    "expected_downloads": ("name, since", 0),
}
"""Tables of schema 1 with their columns; the first ones are the key."""


def up_to_date(db: sqlite3.Connection) -> None:
    """Create the tables or run the steps that are missing; within a transaction. Raises DamagedError, NewerError."""
    number = _schema_of(db)
    if number > SCHEMA_VERSION:
        raise NewerError(f"schema {number}, this version knows {SCHEMA_VERSION}")
    for step in _STEPS[number:] if number else (_create,):
        step(db)
    if number < SCHEMA_VERSION:
        put(db, [sealed("schema", "", str(SCHEMA_VERSION))])
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if _shape(db) != _EXPECTED:
        raise DamagedError("its tables differ from those of this version")


def require_known(db: sqlite3.Connection) -> None:
    """For readers, which change nothing. Raises DamagedError, NewerError, LedgerUnavailable."""
    number = _schema_of(db)
    if number > SCHEMA_VERSION:
        raise NewerError(f"schema {number}, this version knows {SCHEMA_VERSION}")
    if 0 < number < SCHEMA_VERSION:
        raise LedgerUnavailable("an older version wrote the ledger: start the controller of this version once")


def put(db: sqlite3.Connection, rows: Iterable[StoredRow]) -> None:
    """Write rows of the memory."""
    db.executemany(_PUT, rows)


def guard_of(db: sqlite3.Connection) -> tuple[Any, Any]:
    """How many rows the memory should have, and the sum of their checks."""
    found = db.execute("SELECT value, seal FROM memory WHERE part = ?", (GUARD,)).fetchone()
    return tuple(found) if found else (None, None)


def _schema_of(db: sqlite3.Connection) -> int:
    """The number of the schema, 0 for a new file. Raises DamagedError where its two copies differ."""
    (number,) = db.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if not tables and number == 0:
        return 0
    if "memory" not in tables:
        if number == 1 and tables >= OUR_TABLES:
            return 1
        raise DamagedError("its schema number does not fit its tables")
    row = db.execute("SELECT part, key, value, seal FROM memory WHERE part = 'schema'").fetchone()
    if row is None or tuple(row) != sealed("schema", "", str(number)):
        raise DamagedError("the two copies of its schema number differ")
    return int(number)


def _create(db: sqlite3.Connection) -> None:
    _create_2(db)
    _from_2(db)


def _from_2(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA_3:
        db.execute(statement)


def _create_2(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA_2:
        db.execute(statement)
    db.execute("INSERT INTO memory VALUES (?, '', 0, 0)", (GUARD,))
    put(db, (row_of(part, key, value) for part in PARTS.values() for key, value in part.of(Memory()).items()))


def _shape(db: sqlite3.Connection) -> frozenset[str]:
    return frozenset(sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _expected() -> frozenset[str]:
    db = sqlite3.connect(":memory:")
    try:
        _create(db)
        return _shape(db)
    finally:
        db.close()


# ── from schema 1, which version 0.1.0 wrote ─────────────────────────────────────────────────────────────────────────


def _from_1(db: sqlite3.Connection) -> None:
    try:
        rows = [*_rows_of_1(db)]
        for row in rows:
            decoded(PARTS[row.part].kind, row.value)  # Without checks, only valid values are taken over.
        kept = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in _KEPT_FROM_1}
        names = db.execute("SELECT name FROM inbox ORDER BY id").fetchall()
    except (sqlite3.OperationalError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"schema 1 cannot be converted: {error}") from error
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (table,) in db.execute(tables).fetchall():
        db.execute(f'DROP TABLE "{table}"')
    _create_2(db)
    put(db, rows)
    for table, found in kept.items():
        if found:
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(found[0]))})", found)
    put_names(db, (name for (name,) in names if isinstance(name, str)))  # Else only this download is not known.


def _rows_of_1(db: sqlite3.Connection) -> Iterator[StoredRow]:
    expected = []
    for table, (columns, keys) in _FROM_1.items():
        names = columns.split(", ")
        for row in db.execute(f"SELECT {columns} FROM {table}"):
            if table == "expected_downloads":
                expected.append(dict(zip(names, row, strict=True)))
                continue
            key = row[0] if keys == 1 else row[:keys]
            yield sealed(table, key_text(key), json.dumps(_VALUE_OF_1[table](dict(zip(names, row, strict=True)))))
    yield sealed("expected", "", json.dumps(expected))
    yield from _facts_of_1({name: read_json(value) for name, value in db.execute("SELECT name, value FROM facts")})


def _without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {name: value for name, value in row.items() if name not in names}


_VALUE_OF_1: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "images": lambda row: {
        "id": row.pop("image"),
        **row,
        "tags": read_json(row["tags"]),
        "digests": read_json(row["digests"]),
        "keep": bool(row["keep"]),
    },
    "records": lambda row: {**_without("image")(row), "names": read_json(row["names"])},
    "layers": lambda row: row,
    "evidence": _without("image"),
    "attempts": _without("image", "reference"),
    "texts": _without("document", "text_hash"),
    "agreements": lambda row: {"after": row["began_after"], "first_seen": row["first_seen"]},
}


def _facts_of_1(facts: dict[str, Any]) -> Iterator[StoredRow]:
    """Facts of schema 1; one that is missing never differed from that of an empty memory."""
    around, node = facts.get("around"), facts.get("node")
    if facts.get("engine") and around:
        seen = {
            "engine": facts["engine"],
            "images": {},
            "containers": facts.get("containers", []),
            "at": {"wall_seconds": 0.0, "boot": "", "uptime_seconds": 0.0},
            "service_images": around["services"],
            "own_container": around["own_container"],
        }
        yield sealed("seen", "", json.dumps(seen))
    if node:
        yield sealed("node", "", json.dumps(node["answer"]))
        yield sealed("node_at", "", json.dumps(node["at"]))
    for name in ("clock", "watch", "lost_names", "mounted", "pulls", "spent", "event_cursor"):
        if name in facts:
            yield sealed(name, "", json.dumps(facts[name]))


def put_names(db: sqlite3.Connection, names: Iterable[str]) -> None:
    """Write names for `record-download`."""
    rows = ((name, sealed("inbox", "", name).seal) for name in names)
    db.executemany("INSERT INTO inbox (name, seal) VALUES (?, ?)", rows)


def names_of(db: sqlite3.Connection) -> tuple[int, tuple[str, ...]]:
    """The ID of the last name for `record-download`, 0 without one, and all names whose check holds."""
    rows = db.execute("SELECT id, CAST(name AS BLOB), seal FROM inbox ORDER BY id").fetchall()
    names = [name.decode() for _, name, seal in rows if name is not None and seal == crc32(b"inbox\0\0" + name)]
    return (rows[-1][0] if rows else 0), tuple(names)


_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create, _from_1, _from_2)
"""By the schema that each one starts from. A new file needs only the first one, which makes the present schema."""
_EXPECTED = _expected()
