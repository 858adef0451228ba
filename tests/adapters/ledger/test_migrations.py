"""Ledgers of released versions, as binary files that the code of that version wrote, opened by this version."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.ledger import migrations
from controller.adapters.ledger.file import APPLICATION_ID
from controller.adapters.ledger.ledger import Ledger, LedgerReader
from controller.adapters.ledger.migrations import SCHEMA_VERSION
from controller.errors import LedgerUnavailable
from controller.plan.memory.memory import Memory
from controller.plan.verdict.removal import FREED_IN_BATCH, NOTHING_FREED, Batch, Exactness, Freed, Outcome
from tests.adapters.ledger.test_ledger import a_full_memory, a_removal, an_intent

RELEASES = Path(__file__).parents[2] / "data/ledgers"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The ledger of version 0.1.0, with a value in every part of the memory and a row in every table."""
    return Path(shutil.copy(RELEASES / "0.1.0.db", tmp_path / "ledger.db"))


def what_0_1_0_knew() -> Memory:
    """Later fields have their defaults."""
    clock = a_full_memory().clock.undated
    return replace(a_full_memory(), clock=clock, gap="", event_run="", arriving={}, swarm={}, away={}, pressure=None)


def test_a_ledger_of_schema_2_is_kept(tmp_path: Path) -> None:
    """A development version wrote it."""
    file = Path(shutil.copy(RELEASES / "schema-2.db", tmp_path / "ledger.db"))
    for _ in range(2):
        ledger = Ledger(file)
        assert (ledger.resets, ledger.load()) == (
            0,
            replace(a_full_memory(), clock=a_full_memory().clock.undated, arriving={}, away={}, pressure=None),
        )
        assert ledger.inbox()[1] == ("late:1",)
        ledger.close()
    reader = LedgerReader(file)
    assert (len(reader.removals()), reader.marks()) == (1, ())
    reader.close()


def test_every_part_of_a_memory_of_0_1_0_is_kept(file: Path) -> None:
    ledger = Ledger(file)
    assert (ledger.resets, ledger.load()) == (0, what_0_1_0_knew())
    ledger.close()
    again = Ledger(file)
    assert (again.resets, again.load()) == (0, what_0_1_0_knew())
    again.close()


def test_the_history_the_intents_and_the_inbox_of_0_1_0_are_kept(file: Path) -> None:
    ledger = Ledger(file)
    assert ledger.open_intents() == (an_intent("open:1"),)
    assert ledger.inbox()[1] == ("late:1",)
    ledger.close()
    reader = LedgerReader(file)
    assert reader.removals() == (
        a_removal("old:1", batch="batch 1", freed=FREED_IN_BATCH),
        a_removal("old:2", outcome=Outcome.REFUSED, message="409: in use", freed=NOTHING_FREED),
    )
    assert reader.batches() == {"batch 1": Batch("batch 1", "doc", Freed(500, Exactness.LOWER_BOUND))}
    assert [(total.outcome, total.removals) for total in reader.totals()] == [
        (Outcome.REFUSED, 1),
        (Outcome.REMOVED, 1),
    ]
    reader.close()


def test_a_converted_ledger_has_our_application_id_and_the_present_schema(file: Path) -> None:
    Ledger(file).close()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_reading_command_does_not_convert_an_older_ledger(file: Path) -> None:
    before = file.read_bytes()
    reader = LedgerReader(file)
    with pytest.raises(LedgerUnavailable, match="older version wrote the ledger: start the controller"):
        reader.load()
    reader.close()
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE records DROP COLUMN tip",
        "ALTER TABLE texts DROP COLUMN started_at",
        "DROP TABLE evidence",
        "UPDATE records SET first_seen = 'yesterday'",
        "UPDATE facts SET value = '{' WHERE name = 'clock'",
        "UPDATE evidence SET source = 'foretold'",
        "UPDATE removals SET outcome = 'vanished'",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 7",
    ],
)
def test_a_schema_1_that_no_release_wrote_is_damaged(file: Path, change: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(change)
        db.commit()
    ledger = Ledger(file)
    assert (ledger.resets, ledger.load()) == (1, Memory())
    assert file.with_name("ledger.db.damaged").exists()
    ledger.close()


@pytest.mark.parametrize("name", ["NULL", "1", "2.5", "x'ff'"])
def test_a_name_for_record_download_that_is_no_text_is_left_out(file: Path, name: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"INSERT INTO inbox (name) VALUES ({name})")
        db.commit()
    ledger = Ledger(file)
    assert (ledger.resets, ledger.load(), ledger.inbox()[1]) == (0, what_0_1_0_knew(), ("late:1",))
    ledger.close()


def test_a_conversion_that_is_interrupted_leaves_the_old_ledger(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(migrations, "put_names", fail)
        with pytest.raises(KeyboardInterrupt):
            Ledger(file)
    ledger = Ledger(file)
    assert (ledger.resets, ledger.load()) == (0, what_0_1_0_knew())
    ledger.close()
