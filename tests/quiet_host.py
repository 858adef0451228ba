"""A host on which nothing happens, and the bytes that its passes write: SD cards wear out by them."""

from __future__ import annotations

from pathlib import Path

from controller.adapters.ledger.ledger import Ledger
from controller.daemon.report import StatusReport
from controller.plan.verdict.judge import Terms
from controller.settings import Settings
from tests.host import Host

RESYNC = Settings().resync


class QuietHost(Host):
    """A host whose ledger may lose one resync, as that of the daemon; every pass is reported."""

    _report: StatusReport | None = None

    def open_ledger(self) -> Ledger:
        return Ledger(self.ledger_file, RESYNC)

    def publish(self) -> None:
        """Report the last pass, as the daemon does."""
        assert isinstance(self.ledger, Ledger)
        report = StatusReport(self.last, Terms())
        self.ledger.report(report.summary, report.rows if report.differs_from(self._report) else None)
        self._report = report

    def written_in(self, seconds: float) -> int:
        """The bytes that are written to any file while this time passes, with a pass at each resync."""
        before = written_bytes()
        for _ in range(int(seconds / RESYNC)):
            self.clock.elapse(RESYNC)
            self.run_pass()
            self.publish()
        return written_bytes() - before


def written_bytes() -> int:
    """By this thread so far, to any file."""
    return int(Path("/proc/thread-self/io").read_text().partition("wchar: ")[2].split()[0])
