"""How much a quiet host writes: SD cards wear out by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.ledger.ledger import Ledger
from controller.daemon.ports import LedgerPort
from controller.daemon.report import StatusReport
from controller.plan.memory.memory import Memory
from controller.plan.verdict.judge import Terms
from tests.builders import DAY, HOUR
from tests.fakes import a_removal
from tests.host import Host

_MOST_BYTES_A_DAY = 2**20
_IO_OF_THIS_THREAD = Path("/proc/thread-self/io")
RESYNC = 300.0


class QuietHost(Host):
    """A host whose ledger may lose one resync, as that of the daemon; every pass is reported."""

    def open_ledger(self) -> LedgerPort:
        return Ledger(self.ledger_file, RESYNC)

    def publish(self, before: StatusReport | None) -> StatusReport:
        report = StatusReport(self.last, Terms())
        assert isinstance(self.ledger, Ledger)
        differs = report.differs_from(before)
        self.ledger.report(report.summary, report.rows if differs else None)
        return report


@pytest.fixture
def host(tmp_path: Path) -> Iterator[QuietHost]:
    host = QuietHost(tmp_path / "ledger.db")
    for number in range(40):
        host.engine.load(f"registry.local:5000/team/app:{number}", f"layer {number}")
    host.engine.run("registry.local:5000/team/app:0")
    host.rules(a_removal(minutes=30 * 24 * 60))
    yield host
    host.stop()


def written_bytes() -> int:
    """By this thread so far, to any file."""
    return int(_IO_OF_THIS_THREAD.read_text().partition("wchar: ")[2].split()[0])


def test_a_quiet_host_writes_at_most_a_mebibyte_a_day(host: QuietHost) -> None:
    report = host.publish(None)
    hours: list[int] = []
    for _ in range(int(DAY / HOUR)):
        before = written_bytes()
        for _ in range(int(HOUR / RESYNC)):
            host.clock.elapse(RESYNC)
            host.run_pass()
            report = host.publish(report)
        hours.append(written_bytes() - before)
    print(f"an idle hour writes {max(hours):,} bytes at most, an idle day {sum(hours):,}")
    assert 0 < sum(hours) <= _MOST_BYTES_A_DAY


def test_a_save_deletes_the_rows_of_all_removed_images_with_one_statement(host: QuietHost) -> None:
    assert isinstance(host.ledger, Ledger)
    assert host.ledger._db is not None
    statements: list[str] = []
    host.ledger._db.set_trace_callback(statements.append)
    host.ledger.save(Memory())
    assert len({each for each in statements if each.startswith("DELETE FROM memory")}) == 1  # Triggers repeat it.
