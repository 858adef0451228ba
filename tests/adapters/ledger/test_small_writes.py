"""How much a quiet host writes: SD cards wear out by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.ledger.ledger import Ledger
from controller.adapters.ledger.reserve import ROOM_BYTES
from controller.plan.memory.memory import Memory
from tests.builders import DAY, HOUR
from tests.fakes import a_removal
from tests.quiet_host import QuietHost, written_bytes

_MOST_BYTES_A_DAY = 2**20


@pytest.fixture
def host(tmp_path: Path) -> Iterator[QuietHost]:
    host = QuietHost(tmp_path / "ledger.db")
    for number in range(40):
        host.engine.load(f"registry.local:5000/team/app:{number}", f"layer {number}")
    host.engine.run("registry.local:5000/team/app:0")
    host.rules(a_removal(minutes=30 * 24 * 60))
    yield host
    host.stop()


def test_a_quiet_host_writes_at_most_a_mebibyte_a_day(host: QuietHost) -> None:
    host.publish()
    hours = [host.written_in(HOUR) for _ in range(int(DAY / HOUR))]
    print(f"an idle hour writes {max(hours):,} bytes at most, an idle day {sum(hours):,}")
    assert 0 < sum(hours) <= _MOST_BYTES_A_DAY


def test_the_reserve_is_written_only_into_the_log_and_into_the_file(tmp_path: Path) -> None:
    """SQLite as Debian compiles it also writes zeros over pages that become free."""
    before = written_bytes()
    Ledger(tmp_path / "ledger.db").close()
    assert ROOM_BYTES < written_bytes() - before < 2.5 * ROOM_BYTES


def test_a_save_deletes_the_rows_of_all_removed_images_with_one_statement(host: QuietHost) -> None:
    assert isinstance(host.ledger, Ledger)
    assert host.ledger._db is not None
    statements: list[str] = []
    host.ledger._db.set_trace_callback(statements.append)
    host.ledger.save(Memory())
    assert len({each for each in statements if each.startswith("DELETE FROM memory")}) == 1  # Triggers repeat it.
