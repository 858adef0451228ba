"""The file that keeps the clock of passes in which only time passed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.ledger.ledger import Ledger, LedgerReader
from controller.adapters.ledger.report import ReportReader
from controller.plan.memory.memory import Memory
from tests.adapters.ledger.test_ledger import a_full_memory
from tests.builders import an_instant

RESYNC = 300.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db", RESYNC)
    ledger.save(a_full_memory())
    ledger.report({"images": 1}, tuple)
    yield ledger
    ledger.close()


def later(seconds: float, memory: Memory | None = None) -> Memory:
    memory = memory or a_full_memory()
    at = an_instant(1_000.0 + seconds)
    clock = replace(memory.clock, seconds=memory.clock.seconds + seconds, last=at)
    assert memory.seen
    node = replace(memory.node, at=clock.seconds) if memory.node else None
    return replace(memory, clock=clock, seen=replace(memory.seen, at=at), node=node)


def killed(folder: Path) -> Path:
    """The files as a killed controller leaves them."""
    copy = folder / "copy"
    copy.mkdir()
    for each in folder.glob("ledger.db*"):
        shutil.copy(each, copy / each.name)
    return copy / "ledger.db"


def loaded(file: Path) -> Memory:
    ledger = Ledger(file)
    try:
        return ledger.load()
    finally:
        ledger.close()


def test_at_most_one_resync_is_lost(ledger: Ledger, tmp_path: Path) -> None:
    for passes in range(1, 20):
        ledger.save(later(passes * RESYNC))
    assert loaded(killed(tmp_path)).clock.seconds >= later(18 * RESYNC).clock.seconds


def test_the_whole_memory_comes_back_with_the_later_clock(ledger: Ledger, tmp_path: Path) -> None:
    ledger.save(later(2 * RESYNC))
    file = killed(tmp_path)
    reader, report = LedgerReader(file), ReportReader(file)
    assert (reader.load().clock, report.clock()) == (later(2 * RESYNC).clock, later(2 * RESYNC).clock)
    reader.close()
    report.close()
    assert loaded(file) == replace(later(2 * RESYNC), seen=later(2 * RESYNC).seen and a_full_memory().seen)


def test_the_file_counts_only_beside_the_ledger_that_it_follows(ledger: Ledger, tmp_path: Path) -> None:
    ledger.save(later(2 * RESYNC))
    stale = (tmp_path / "ledger.db.clock").read_bytes()
    other = replace(later(10.0), event_cursor=7)
    ledger.save(other)
    (tmp_path / "ledger.db.clock").write_bytes(stale)
    assert loaded(killed(tmp_path)).clock == other.clock


def test_a_flipped_bit_in_the_file_makes_no_image_older(ledger: Ledger, tmp_path: Path) -> None:
    ledger.save(later(2 * RESYNC))
    file = killed(tmp_path)
    clock = file.with_name("ledger.db.clock")
    data = clock.read_bytes()
    reader = LedgerReader(file)
    for bit in range(len(data.rstrip()) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        clock.write_bytes(changed)
        assert reader.load().clock.seconds <= later(2 * RESYNC).clock.seconds
    reader.close()


def test_a_link_in_place_of_the_file_is_not_followed(ledger: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "ledger.db.clock").symlink_to(target)
    ledger.save(later(2 * RESYNC))
    assert not target.exists()
    reader = LedgerReader(tmp_path / "ledger.db")
    assert reader.load().clock == later(2 * RESYNC).clock  # SQLite has it.
    reader.close()
