"""The ledger on real files: what it keeps, and what it does with damaged files and full disks."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controller.adapters.ledger.file import lock_of
from controller.adapters.ledger.ledger import (
    HISTORY_KEEPS_REMOVALS,
    Ledger,
    LedgerReader,
    record_downloads,
)
from controller.adapters.ledger.migrations import _SCHEMA_2, SCHEMA_VERSION
from controller.adapters.ledger.rows import sealed
from controller.errors import InvalidSettings, LedgerHeld, LedgerUnavailable
from controller.image.layers import ChainId, Layer
from controller.image.reference import image_id
from controller.plan.memory.disk import DiskUsage, Pressure
from controller.plan.memory.ledger_clock import Anchor
from controller.plan.memory.memory import (
    Arrival,
    Attempt,
    AwayEngine,
    Evidence,
    ExpectedDownload,
    Memory,
    Pulls,
    Setback,
    Spending,
    TextRecord,
    Watch,
)
from controller.plan.node.agent import Beginning, KeptAnswer, NodeSource
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Batch,
    Exactness,
    Freed,
    Intent,
    Outcome,
    Removal,
)
from tests.builders import a_container, a_memory, a_record, an_answer, an_id, an_image, an_observation
from tests.host import IN_MEMORY


@pytest.fixture
def file() -> Iterator[Path]:
    """On a file system in memory, if there is one: many ledgers are made here."""
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder) / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    ledger = Ledger(file)
    yield ledger
    ledger.close()


def a_full_memory() -> Memory:
    """A memory with a value in every part."""
    app = an_image("app:1", "app:2", digests=["app@" + an_id("d")], parent="base:1", keep=True)
    base, chain = an_image("base:1"), ChainId(an_id("layer"))
    container = a_container(app, of_agent=True, mounts=["base:1"])
    memory = a_memory(
        an_observation([app, base], [container], services=["app:1"], own_container="us"),
        {app.id: a_record(5.0, last_used=0.0, last_touched=7.0, names=["app:1"], tip=chain)},
        watch=Watch(3.0, "the engine was away"),
        gap="a part of the ledger was damaged",
        lost_names={app.id: ("docker.io/library/app:0",)},
        layers={chain: Layer(chain, None, 12)},
        evidence={app.id: Evidence(NodeSource.RECORDED, "in words", 3.0)},
        expected=(ExpectedDownload("soon:1", 4.0),),
        attempts={(app.id, "app:1"): Attempt(Setback.REFUSED, "409", 2, 99.0, "situation")},
        node=KeptAnswer(an_answer(), 8.0),
        agreements={"agreement 1": Beginning(5.0, 6.0)},
        mounted={"c": (base.id,)},
        arriving={app.id: Arrival(5.0, has_old_evidence=True)},
        pulls=Pulls(1.0, 2.0),
        spent=(Spending(1.0, 1_000),),
        event_cursor=123,
        event_run="process 7",
        swarm={app.id: 3.0},
        pressure=Pressure(9.0, DiskUsage(100, 5, 10, 1), 12.0, 4, 6),
        away={"another": AwayEngine(2.0, an_observation([app]), {app.id: a_record(1.0)}, {app.id: ("app:0",)})},
        texts={("doc", "hash"): TextRecord(1.0, 2.0, None, "{}")},
    )
    memory = replace(memory, clock=replace(memory.clock, timeline=(Anchor(1.0, 2.0, True), Anchor(3.0, 9.0))))
    empty = Memory()
    assert all(getattr(memory, part.name) != getattr(empty, part.name) for part in fields(Memory))
    return memory


def reopened(file: Path) -> Memory:
    ledger = Ledger(file)
    try:
        return ledger.load()
    finally:
        ledger.close()


def an_intent(reference: str = "app:1", document: str = "doc") -> Intent:
    return Intent(an_id(reference), reference, reference, document, 0, "hash", 12.5, 1_000)


def a_removal(reference: str = "app:1", **fields: object) -> Removal:
    removal = Removal(an_intent(reference), Outcome.REMOVED, Freed(12, Exactness.EXACT), 100.0)
    return replace(removal, **fields)  # type: ignore[arg-type]


# ── what it keeps ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.load() == Memory()


def test_every_part_of_a_memory_is_loaded_as_it_was_saved(ledger: Ledger, file: Path) -> None:
    memory = a_full_memory()
    ledger.save(memory)
    ledger.close()
    assert reopened(file) == memory


@pytest.mark.parametrize("name", ["[1]", "[half", ""])
def test_others_may_choose_any_name(ledger: Ledger, file: Path, name: str) -> None:
    """An agreement and an engine have IDs of their own; the keys that are JSON lists are of other parts."""
    full = a_full_memory()
    agreements, away = {name: full.agreements["agreement 1"]}, {name: full.away["another"]}
    memory = replace(full, agreements=agreements, away=away)
    ledger.save(memory)
    ledger.close()
    assert reopened(file) == memory


def test_an_id_that_several_rows_name_is_kept_once(ledger: Ledger, file: Path) -> None:
    """Kept for each row, they were 4 MiB of a controller that started again with 5,000 images."""
    ledger.save(a_full_memory())
    ledger.close()
    memory = reopened(file)
    assert memory.seen is not None
    app, chain = an_id("app:1"), an_id("layer")
    of_images = [key for keys in (memory.records, memory.evidence, memory.seen.images) for key in keys if key == app]
    of_layers = [*memory.layers, memory.layers[ChainId(chain)].chain, memory.records[app].tip]
    assert len({id(key) for key in (*of_images, memory.seen.images[app].id, image_id(app))}) == 1
    assert len({id(key) for key in of_layers}) == 1


def test_what_the_memory_drops_is_deleted_from_the_file(ledger: Ledger, file: Path) -> None:
    ledger.save(a_full_memory())
    ledger.save(Memory())
    ledger.close()
    assert reopened(file) == Memory()


def test_only_what_differs_is_written(ledger: Ledger) -> None:
    memory = a_full_memory()
    ledger.save(memory)
    statements: list[str] = []
    assert ledger._db is not None
    ledger._db.set_trace_callback(statements.append)
    ledger.save(replace(memory, event_cursor=124))
    written = [
        statement
        for statement in statements
        if statement.startswith(("INSERT", "DELETE FROM")) and "inbox" not in statement and "room" not in statement
    ]
    assert {statement.split(", ")[0] for statement in written} == {"INSERT INTO memory VALUES ('event_cursor'"}


def test_recorded_names_wait_until_a_memory_contains_them(ledger: Ledger, file: Path) -> None:
    record_downloads(file, ["app:1", "app:2"])
    read_to, names = ledger.inbox()
    record_downloads(file, ["late:1"])
    assert names == ("app:1", "app:2")
    ledger.save(Memory(), read_to)
    assert ledger.inbox()[1] == ("late:1",)
    with closing(LedgerReader(file)) as reader:
        assert reader.inbox() == ("late:1",)


def test_names_can_be_recorded_before_the_first_start_of_a_controller(file: Path) -> None:
    record_downloads(file, ["app:1"])
    ledger = Ledger(file)
    assert ledger.inbox()[1] == ("app:1",)
    ledger.close()


# ── intents and history ───────────────────────────────────────────────────────────────────────────────────────────────


def history(file: Path) -> list[Removal]:
    reader = LedgerReader(file)
    try:
        return list(reader.removals())
    finally:
        reader.close()


def test_an_intent_is_open_until_its_outcome_is_written(ledger: Ledger) -> None:
    ledger.intend([an_intent("a:1"), an_intent("b:1")])
    ledger.record([a_removal("a:1")])
    assert ledger.open_intents() == (an_intent("b:1"),)


def test_open_intents_survive_the_end_of_the_process(ledger: Ledger, file: Path) -> None:
    ledger.intend([an_intent()])
    ledger.close()
    again = Ledger(file)
    assert again.open_intents() == (an_intent(),)
    again.close()


def test_some_intents_can_be_kept(ledger: Ledger) -> None:
    ledger.intend([an_intent("a:1"), an_intent("b:1")])
    ledger.drop_intents(but=[an_intent("b:1")])
    assert ledger.open_intents() == (an_intent("b:1"),)


def test_the_history_has_all_of_a_removal(ledger: Ledger, file: Path) -> None:
    removals = [
        a_removal("a:1", batch="batch 1", freed=FREED_IN_BATCH),
        a_removal("b:1", outcome=Outcome.REFUSED, message="409: in use", freed=NOTHING_FREED),
    ]
    ledger.record(removals)
    assert history(file) == removals


def test_an_image_of_unknown_size_is_in_intents_and_in_the_history(ledger: Ledger, file: Path) -> None:
    """Where the engine's size is invalid, or where its rows of one image differ."""
    unknown = replace(an_intent(), size_bytes=None)
    ledger.intend([unknown, an_intent("b:1")])
    assert ledger.open_intents()[0] == unknown
    removal = replace(a_removal(), intent=unknown)
    ledger.record([removal])
    ledger.close()
    again = Ledger(file)
    assert (again.resets, again.open_intents(), history(file)) == (0, (an_intent("b:1"),), [removal])
    again.close()


def test_the_history_can_be_filtered_by_time_and_outcome(ledger: Ledger, file: Path) -> None:
    year = 365 * 86_400.0
    removals = [("old:1", 40 * year), ("unset:1", 5.0), ("new:1", 50 * year)]
    ledger.record([a_removal(name, wall_seconds=wall) for name, wall in removals])
    ledger.record([a_removal("bad:1", wall_seconds=50 * year, outcome=Outcome.FAILED)])
    reader = LedgerReader(file)
    # A removal of 1970 was recorded before the host's clock was set: its date is unknown.
    assert [each.intent.reference for each in reader.removals(45 * year)] == ["unset:1", "new:1", "bad:1"]
    assert [each.intent.reference for each in reader.removals(0.0, [Outcome.FAILED])] == ["bad:1"]
    reader.close()


def test_the_history_is_bounded_and_the_totals_keep_counting(ledger: Ledger, file: Path) -> None:
    for _ in range(3):
        ledger.record([a_removal(f"app:{number}") for number in range(HISTORY_KEEPS_REMOVALS // 2)])
    reader = LedgerReader(file)
    (total,) = reader.totals()
    reader.close()
    assert len(history(file)) == HISTORY_KEEPS_REMOVALS
    assert (total.removals, total.freed_bytes) == (3 * HISTORY_KEEPS_REMOVALS // 2, 18 * HISTORY_KEEPS_REMOVALS)


def test_a_batch_has_one_figure_for_all_its_removals(ledger: Ledger, file: Path) -> None:
    ledger.record([a_removal(name, batch="batch 1", freed=FREED_IN_BATCH) for name in ("a:1", "b:1")])
    ledger.record((), Batch("batch 1", "doc", Freed(500, Exactness.LOWER_BOUND)))
    reader = LedgerReader(file)
    assert reader.batches() == {"batch 1": Batch("batch 1", "doc", Freed(500, Exactness.LOWER_BOUND))}
    (total,) = reader.totals()
    assert (total.removals, total.freed_bytes, total.unknown) == (2, 500, 0)
    reader.close()


def test_a_batch_that_the_last_controller_did_not_measure_is_unknown(ledger: Ledger, file: Path) -> None:
    ledger.record([a_removal(name, batch="batch 1", freed=FREED_IN_BATCH) for name in ("a:1", "b:1")])
    ledger.close()
    for _ in range(2):  # once, however often a controller starts
        Ledger(file).close()
        reader = LedgerReader(file)
        assert reader.batches() == {"batch 1": Batch("batch 1", "doc", UNKNOWN_BYTES)}
        assert [total.unknown for total in reader.totals()] == [1]
        reader.close()


# ── damaged files ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(ledger: Ledger, file: Path) -> None:
    ledger.save(a_full_memory())
    ledger.close()
    _set_schema(file, SCHEMA_VERSION + 1)
    before = file.read_bytes()
    message = (
        rf"written by a newer version \(schema {SCHEMA_VERSION + 1}, this version knows {SCHEMA_VERSION}\): upgrade"
    )
    for refused in (Ledger, lambda file: LedgerReader(file).load(), lambda file: record_downloads(file, ["app:1"])):
        with pytest.raises(LedgerUnavailable, match=message):
            refused(file)
    assert file.read_bytes() == before
    _set_schema(file, SCHEMA_VERSION)
    assert reopened(file) == a_full_memory()


def _set_schema(file: Path, number: int) -> None:
    _execute(file, f"PRAGMA user_version = {number}")
    row = sealed("schema", "", str(number))
    _execute(file, "UPDATE memory SET value = ?, seal = ? WHERE part = 'schema'", row.value, row.seal)


def test_a_schema_number_that_differs_from_its_second_copy_is_damage(ledger: Ledger, file: Path) -> None:
    ledger.close()
    _execute(file, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    again = Ledger(file)
    assert (again.resets, again.load()) == (1, Memory())
    again.close()


@pytest.mark.parametrize("change", ["word", "field"])
def test_an_unknown_word_or_field_in_a_valid_row_is_of_a_newer_version(ledger: Ledger, file: Path, change: str) -> None:
    ledger.save(a_full_memory())
    ledger.close()
    [(key, value)] = _rows_of(file, "evidence")
    value = value.replace(NodeSource.RECORDED, "foretold") if change == "word" else value.replace("{", '{"more":1,')
    row = sealed("evidence", key, value)
    _execute(file, "UPDATE memory SET value = ?, seal = ? WHERE part = 'evidence'", row.value, row.seal)
    with pytest.raises(LedgerUnavailable, match=r"newer version \(evidence: unknown"):
        Ledger(file)


def _rows_of(file: Path, part: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT key, value FROM memory WHERE part = ?", (part,)).fetchall()


def _execute(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(statement, values)


@pytest.mark.parametrize(
    "content", [b"not a ledger at all" * 100, b"\0" * 5_000, b"SQLite format 3\0" + b"\xff" * 5_000]
)
def test_a_damaged_file_is_moved_aside_and_a_new_one_is_created(file: Path, content: bytes) -> None:
    Ledger(file).close()  # beside its lock, an unreadable file is a damaged ledger
    file.write_bytes(content)
    file.with_name("ledger.db-wal").unlink()
    ledger = Ledger(file)
    ledger.save(a_full_memory())
    assert ledger.resets == 1
    ledger.close()
    assert (file.parent / "ledger.db.damaged").read_bytes() == content
    assert reopened(file) == a_full_memory()


def test_a_write_version_that_sqlite_does_not_know_is_damage(ledger: Ledger, file: Path) -> None:
    """SQLite would open the file read-only."""
    ledger.close()
    data = bytearray(file.read_bytes())
    data[18] = 3
    file.write_bytes(data)
    again = Ledger(file)
    assert (again.resets, again.load()) == (1, Memory())
    again.close()


def test_an_empty_file_is_a_new_ledger(file: Path) -> None:
    file.touch()
    ledger = Ledger(file)
    assert (ledger.resets, ledger.load()) == (0, Memory())
    ledger.close()


def test_a_damaged_page_never_makes_an_image_older(ledger: Ledger, file: Path) -> None:
    """With any single page overwritten, no image is older than it was."""
    ledger.save(a_full_memory())
    ledger.close()
    (file.parent / "ledger.db-wal").unlink()
    copy = file.parent / "copy.db"
    shutil.copy(lock_of(file), lock_of(copy))
    for page in range(0, min(file.stat().st_size, 40 * 1024), 1024):
        data = bytearray(file.read_bytes())
        data[page : page + 1024] = random.Random(page).randbytes(1024)
        copy.write_bytes(data)
        copy.with_name("copy.db-wal").unlink(missing_ok=True)
        again = Ledger(copy)
        require_not_older(again.load(), a_full_memory())
        assert again.load() == a_full_memory() or again.resets == 1
        again.close()


@pytest.mark.parametrize("column", ["idle_seconds", "wall_seconds"])
def test_an_infinite_time_in_the_history_is_damage(ledger: Ledger, file: Path, column: str) -> None:
    """One flipped bit can make one; commands could not show it."""
    ledger.record([a_removal()])
    ledger.close()
    _execute(file, f"UPDATE removals SET {column} = 9e999")
    with pytest.raises(LedgerUnavailable, match="is damaged"):
        history(file)
    again = Ledger(file)
    assert again.resets == 1
    again.close()


def require_not_older(memory: Memory, than: Memory) -> None:
    """No image is older; if something is lost that keeps images, all images are new and there is a gap."""
    assert memory.clock.seconds <= than.clock.seconds
    for image, record in memory.records.items():
        assert record == replace(than.records[image], tip=record.tip)
    keeps_all = all(getattr(memory, part) == getattr(than, part) for part in ("lost_names", "mounted", "agreements"))
    assert keeps_all or not memory.records


VALUES = ("NULL", "''", "'junk'", "'[1]'", "'{}'", "-1", "1e300", "x'00'", "CAST(x'ff' AS TEXT)")
COLUMNS = [
    *(("memory", column) for column in ("part", "key", "value", "seal")),
    *(("intents", column) for column in ("image", "rule", "idle_seconds")),
    *(("removals", column) for column in ("outcome", "freed_bytes", "wall_seconds", "message")),
    *(("totals", column) for column in ("document", "outcome", "removals", "unknown")),
    *(("batches", column) for column in ("document", "freed_bytes", "exactness")),
    ("inbox", "name"),
    ("report", "value"),
]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_any_value_in_any_column_leaves_a_ledger_that_works(
    ledger: Ledger, file: Path, table: str, column: str
) -> None:
    fill_every_table(ledger, file)
    ledger.close()
    shutil.copy(lock_of(file), lock_of(file.with_name("copy.db")))
    for value in VALUES:
        copy = file.with_name("copy.db")
        copy.with_name("copy.db-wal").unlink(missing_ok=True)
        shutil.copy(file, copy)
        try:
            _execute(copy, f"UPDATE {table} SET {column} = {value}")
        except sqlite3.IntegrityError:
            continue  # SQLite does not accept it there either.
        require_a_line_or_nothing(copy)
        again = Ledger(copy)
        require_not_older(again.load(), a_full_memory())
        again.save(again.load())
        again.inbox()
        again.open_intents()
        again.close()
        history(copy)


def require_a_line_or_nothing(file: Path) -> None:
    """Reading commands fail with one line, if they do."""
    reader = LedgerReader(file)
    for read in (reader.load, reader.removals, reader.totals, reader.batches):
        with suppress(LedgerUnavailable):
            read()
    reader.close()


def fill_every_table(ledger: Ledger, file: Path) -> None:
    ledger.save(a_full_memory())
    ledger.intend([an_intent("open:1")])
    ledger.record([a_removal(batch="batch 1", freed=FREED_IN_BATCH)], Batch("batch 1", "doc", UNKNOWN_BYTES))
    ledger.report({"images": 1}, lambda: [(("reference", "a"), {"verdict": "DUE"})])
    record_downloads(file, ["late:1"])


def test_a_damaged_row_makes_only_its_own_image_new(ledger: Ledger, file: Path) -> None:
    app, base = an_image("app:1"), an_image("base:1")
    records = {app.id: a_record(5.0), base.id: a_record(6.0)}
    memory = a_memory(an_observation([app, base], []), records)
    ledger.save(memory)
    ledger.close()
    _execute(file, "UPDATE memory SET value = replace(value, '5.0', '4.0') WHERE part = 'records'")
    again = Ledger(file)
    assert (again.load(), again.resets) == (replace(memory, records={base.id: records[base.id]}), 1)
    again.close()
    assert reopened(file) == again.load()


@pytest.mark.parametrize(
    "statement", ["DELETE FROM memory WHERE part = ?", "UPDATE memory SET seal = 1 WHERE part = ?"]
)
@pytest.mark.parametrize("part", ["clock", "mounted", "lost_names", "watch", "event_cursor", "agreements", "seen"])
def test_without_a_fact_that_keeps_images_all_images_are_new(
    ledger: Ledger, file: Path, part: str, statement: str
) -> None:
    ledger.save(a_full_memory())
    ledger.close()
    _execute(file, "DROP TRIGGER memory_removed")
    _execute(file, statement, part)
    _execute(file, next(sql for sql in _SCHEMA_2 if "memory_removed" in sql))
    again = Ledger(file)
    assert (again.load().records, again.load().gap, again.resets) == ({}, "a part of the ledger was damaged", 1)
    again.close()


def test_a_ledger_that_is_damaged_while_it_is_open_is_recreated_from_the_memory(ledger: Ledger, file: Path) -> None:
    ledger.save(a_full_memory())
    for damaged in (file, file.with_name("ledger.db-wal")):
        damaged.write_bytes(b"\xff" * damaged.stat().st_size)
    with pytest.raises(LedgerUnavailable):  # noqa: PT012 - SQLite finds out when it next reads what it does not know.
        for number in range(1_000):
            ledger.save(replace(a_full_memory(), event_cursor=number))
            ledger.record([a_removal(f"app:{number}")])
    ledger.save(Memory(event_cursor=7))
    assert ledger.resets == 1
    ledger.close()
    assert reopened(file) == Memory(event_cursor=7)


# ── a power cut ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_power_cut_at_any_moment_the_ledger_is_as_before_or_after_a_change(file: Path) -> None:
    """The files are copied before every statement, and each copy also with a log that is cut anywhere."""
    copies = file.parent / "copies"
    copies.mkdir()
    ledger = Ledger(file)
    states = [Memory()]
    ledger.save(states[0])
    cuts = _Cuts(file, copies)
    assert ledger._db is not None
    ledger._db.set_trace_callback(cuts.take)
    for number in range(1, 6):
        states.append(replace(a_full_memory(), event_cursor=number) if number % 2 else Memory(event_cursor=number))
        ledger.intend([an_intent(f"app:{number}")])
        ledger.record([a_removal(f"app:{number}")])
        ledger.save(states[-1])
    ledger.close()
    assert cuts.number > 50
    for copy in sorted(copies.glob("*.db")):
        again = Ledger(copy)
        assert again.resets == 0
        assert again.load() in states
        done = {removal.intent.reference for removal in history(copy)}
        assert not done & {intent.reference for intent in again.open_intents()}
        again.close()


class _Cuts:
    """Copies of a ledger as a power cut would leave it."""

    def __init__(self, file: Path, copies: Path) -> None:
        self._file = file
        self._copies = copies
        self._dice = random.Random(1)
        self.number = 0

    def take(self, _: str) -> None:
        self.number += 1
        for cut in (False, True):
            copy = self._copies / f"{self.number}{'-cut' if cut else ''}.db"
            shutil.copy(self._file, copy)
            log = self._file.with_name("ledger.db-wal").read_bytes()
            kept = self._dice.randrange(len(log)) if cut else len(log)
            copy.with_name(copy.name + "-wal").write_bytes(log[:kept])


# ── a full disk ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> None:
    """Use all free bytes."""
    with (disk / "filling").open("ab", buffering=0) as filling:
        size = 1 << 20
        while size:
            try:
                filling.write(b"x" * size)
            except OSError:
                size //= 2


def test_on_a_full_disk_a_thousand_removals_are_recorded(small_disk: Path) -> None:
    ledger = Ledger(small_disk / "ledger.db")
    ledger.save(a_full_memory())
    fill(small_disk)
    intents = [an_intent(f"registry.local:5000/team/app:{number}") for number in range(1_000)]
    ledger.intend(intents)
    ledger.record([a_removal(intent.reference) for intent in intents])
    ledger.save(replace(a_full_memory(), event_cursor=7))
    ledger.close()
    assert len(history(small_disk / "ledger.db")) == 1_000


def test_on_a_full_disk_a_controller_starts_a_hundred_times(small_disk: Path) -> None:
    file = small_disk / "ledger.db"
    Ledger(file).close()
    fill(small_disk)
    for number in range(100):
        ledger = Ledger(file)
        ledger.intend([an_intent(f"app:{number}")])
        ledger.record([a_removal(f"app:{number}")])
        ledger.save(Memory(event_cursor=number))
        ledger.close()
    assert reopened(file) == Memory(event_cursor=99)


def test_after_a_kill_on_a_full_disk_a_controller_starts(small_disk: Path) -> None:
    file = small_disk / "ledger.db"
    ledger = "from controller.adapters.ledger.ledger import Ledger"
    begin = f"import os, sys, pathlib; {ledger}; Ledger(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", f"{begin}; os._exit(9)", file], check=False)
    fill(small_disk)
    assert reopened(file) == Memory()


def test_a_full_disk_without_any_space_is_one_line(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(LedgerUnavailable, match=r"ledger\.db"):
        Ledger(small_disk / "ledger.db")


def test_a_write_larger_than_the_free_space_is_refused_and_nothing_is_lost(small_disk: Path) -> None:
    ledger = Ledger(small_disk / "ledger.db")
    ledger.save(a_full_memory())
    fill(small_disk)
    with pytest.raises(LedgerUnavailable, match="full"):
        ledger.intend([an_intent(f"app:{number}") for number in range(50_000)])
    ledger.intend([an_intent()])
    assert ledger.open_intents() == (an_intent(),)
    assert ledger.load() == a_full_memory()
    ledger.close()


# ── other processes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_controller_gets_the_process_id_of_the_first(ledger: Ledger, file: Path) -> None:
    with pytest.raises(LedgerHeld, match=rf"the ledger is locked by another controller \(pid {os.getpid()}\)"):
        Ledger(file)


def test_a_released_ledger_can_be_locked_again(file: Path) -> None:
    Ledger(file).close()
    again = Ledger(file)
    assert again.resets == 0
    again.close()


def test_a_reader_sees_the_last_save_beside_a_writing_controller(ledger: Ledger, file: Path) -> None:
    reader = LedgerReader(file)
    for number in range(3):
        ledger.save(Memory(event_cursor=number))
        assert reader.load() == Memory(event_cursor=number)
    reader.close()


def test_a_reader_creates_no_file(ledger: Ledger, file: Path) -> None:
    ledger.save(a_full_memory())
    ledger.close()
    shutil.copy(file, file.with_name("copy.db"))  # as a backup would, without the log
    before = sorted(file.parent.iterdir())
    reader = LedgerReader(file.with_name("copy.db"))
    assert reader.load() == a_full_memory()
    reader.close()
    assert sorted(file.parent.iterdir()) == before


@pytest.mark.parametrize("is_held", [True, False])
def test_a_user_with_read_permission_can_read(ledger: Ledger, file: Path, is_held: bool) -> None:
    ledger.save(a_full_memory())
    if not is_held:
        ledger.close()
    for path in (file, file.with_name("ledger.db-wal"), file.with_name("ledger.db-shm")):
        path.chmod(0o644)
    assert _unprivileged(f"LedgerReader(pathlib.Path({str(file)!r})).load().event_cursor", file.parent) == "123"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    said = _unprivileged(f"Ledger(pathlib.Path({str(tmp_path / 'ledger.db')!r}))", tmp_path)
    assert said.startswith(
        f"LedgerUnavailable: cannot create {tmp_path}/ledger.db.lock: Permission denied (run as root"
    )


def test_a_ledger_that_cannot_be_written_is_one_line(ledger: Ledger, file: Path) -> None:
    ledger.close()
    file.with_name("ledger.db.lock").chmod(0o666)
    said = _unprivileged(f"Ledger(pathlib.Path({str(file)!r}))", file.parent)
    assert said.startswith(f"LedgerUnavailable: cannot open the ledger {file}: Permission denied (run as root")


def test_a_folder_in_place_of_the_file_is_one_line(file: Path) -> None:
    file.mkdir()
    with pytest.raises(InvalidSettings, match="is a folder"):
        Ledger(file)


def test_a_ledger_that_does_not_exist_cannot_be_read(file: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="no ledger"):
        LedgerReader(file).load()


def _unprivileged(expression: str, folder: Path) -> str:
    """What an expression prints for a user who owns none of the files."""
    for path in (folder, *folder.parents):
        if path.owner() == "root" and path.stat().st_mode & 0o005 == 0:
            path.chmod(path.stat().st_mode | 0o055)
    program = f"""
import os, pathlib
from controller.adapters.ledger.ledger import Ledger, LedgerReader
from controller.errors import ControllerError
os.setgid(65534); os.setuid(65534)
try:
    print({expression})
except ControllerError as error:
    print(type(error).__name__ + ":", error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()
