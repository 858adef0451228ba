"""The report in the ledger: written as differences, read while a controller writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from controller.adapters.ledger.ledger import Ledger
from controller.adapters.ledger.report import KeyedRow, ReportReader
from controller.errors import InvalidSettings, LedgerUnavailable
from controller.instant import Instant
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import Memory


@dataclass(frozen=True)
class Row:
    verdict: str = ""


A_ROW, ANOTHER = Row("DUE"), Row("IN_USE")
MEMORY = Memory(LedgerClock(77.0, Instant(1_000.0, "boot", 5.0)))
ROWS: list[KeyedRow] = [
    (("reference", "a\t1"), A_ROW),
    (("reference", "b\t2"), ANOTHER),
]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.save(MEMORY)
    yield ledger
    ledger.close()


@pytest.fixture
def reader(ledger: Ledger, tmp_path: Path) -> Iterator[ReportReader]:
    reader = ReportReader(tmp_path / "ledger.db")
    yield reader
    reader.close()


def test_before_the_first_report_there_is_none(reader: ReportReader) -> None:
    assert (reader.clock(), reader.rows("reference", Row), reader.keys("reference")) == (None, [], [])


def test_rows_are_read_as_they_were_written_and_in_the_order_of_their_keys(
    ledger: Ledger, reader: ReportReader
) -> None:
    ledger.report(Row(), lambda: ROWS)
    assert reader.rows("reference", Row) == [A_ROW, ANOTHER]
    assert reader.keys("reference") == ["a\t1", "b\t2"]
    assert reader.clock() == MEMORY.clock


def test_the_next_report_replaces_the_last(ledger: Ledger, reader: ReportReader) -> None:
    ledger.report(Row(), lambda: ROWS)
    ledger.report(Row("images 1"), lambda: [(("reference", "b\t2"), A_ROW)])
    assert reader.rows("reference", Row) == [A_ROW]
    assert reader.rows("summary", Row) == [Row("images 1")]


def test_a_reader_sees_one_report_however_many_follow(ledger: Ledger, reader: ReportReader) -> None:
    ledger.report(Row(), lambda: ROWS)
    assert len(reader.rows("reference", Row)) == 2
    ledger.report(Row("images 1"), lambda: [(("reference", "c\t3"), A_ROW)])
    assert reader.keys("reference") == ["a\t1", "b\t2"]
    assert reader.rows("summary", Row) == [Row()]


def test_if_no_row_differs_only_the_summary_is_written(ledger: Ledger, reader: ReportReader) -> None:
    ledger.report(Row(), lambda: ROWS)
    ledger.report(Row("images 2"))
    assert reader.keys("reference") == ["a\t1", "b\t2"]
    assert reader.rows("summary", Row) == [Row("images 2")]


def test_equal_rows_are_not_written_again(ledger: Ledger, tmp_path: Path) -> None:
    ledger.report(Row(), lambda: ROWS)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("CREATE TRIGGER t BEFORE UPDATE ON report BEGIN SELECT RAISE(ABORT, 'written again'); END")
    other.close()
    ledger.report(Row(), lambda: ROWS)
    with pytest.raises(LedgerUnavailable, match="written again"):
        ledger.report(Row("images 3"))


def test_a_new_process_replaces_the_rows_of_an_older_one(tmp_path: Path) -> None:
    another: list[KeyedRow] = [(("reference", "c\t3"), Row())]
    for rows in (ROWS, another):
        ledger = Ledger(tmp_path / "ledger.db")
        ledger.report(Row(), partial(iter, rows))
        ledger.close()
    reader = ReportReader(tmp_path / "ledger.db")
    assert reader.keys("reference") == ["c\t3"]
    reader.close()


def test_a_report_that_cannot_be_read_is_one_line(ledger: Ledger, reader: ReportReader, tmp_path: Path) -> None:
    ledger.report(Row(), lambda: ROWS)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("UPDATE report SET value = '{'")
    other.close()
    with pytest.raises(LedgerUnavailable, match="the report cannot be read"):
        reader.rows("reference", Row)


@pytest.mark.parametrize("change", ["DELETE FROM report", "UPDATE report SET value = ''"])
def test_a_report_without_its_summary_is_one_line(
    ledger: Ledger, reader: ReportReader, tmp_path: Path, change: str
) -> None:
    ledger.report(Row(), lambda: ROWS)
    assert reader.only_row("summary", Row) == Row()
    reader.close()
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute(f"{change} WHERE kind = 'summary'")
    other.close()
    damaged = ReportReader(tmp_path / "ledger.db")
    with pytest.raises(LedgerUnavailable, match="the report cannot be read"):
        damaged.only_row("summary", Row)
    damaged.close()


def test_a_file_that_is_not_a_ledger_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"nonsense" * 1_000)
    with pytest.raises(InvalidSettings, match=r"--ledger .*x\.db: not a ledger of this program; it was not changed"):
        ReportReader(tmp_path / "x.db")
