"""The report of the controller's last pass from the ledger, for commands that must answer at once.

It is the controller's own decision, by its own settings; the engine is not read and nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.report import ReportReader
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.rows import (
    DocumentRow,
    ExplanationRow,
    IdentityRow,
    ReferenceRow,
    ShownDocument,
    ShownExplanation,
    ShownReference,
    SummaryRow,
    key_of,
    name_in,
)
from controller.plan.report.words import STOPPED
from controller.quantity import seconds_in_words
from controller.settings import Settings
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class LastReport:
    """The report of one pass, and how old it is."""

    reader: ReportReader
    clock: LedgerClock
    """As of now."""
    age_seconds: float | None
    """Since the pass; None if that was in another boot."""

    def references(self) -> list[ShownReference]:
        """Every reference, as of now."""
        return [row.shown(self.clock) for row in self.reader.rows("reference", ReferenceRow)]

    def explanations(self, of: Iterable[IdentityRow]) -> list[ShownExplanation]:
        """The explanations of these references, as of now, without those whose other row is lost."""
        keys = [key_of(row.reference, row.image) for row in of]
        rows = {(row.reference, row.image): row for row in self.reader.rows("reference", ReferenceRow, keys)}
        found = self.reader.rows("explanation", ExplanationRow, keys)
        pairs = ((each, rows.get((each.reference, each.image))) for each in found)
        return [each.shown(row, self.clock) for each, row in pairs if row]

    def documents(self) -> list[ShownDocument]:
        """Every document, as of now."""
        return [row.shown(self.clock) for row in self.reader.rows("document", DocumentRow)]

    def summary(self) -> SummaryRow:
        """The summary."""
        return self.reader.only_row("summary", SummaryRow)

    def notes(self) -> list[str]:
        """The lines below a table."""
        when = "before the last reboot" if self.age_seconds is None else f"{seconds_in_words(self.age_seconds)} ago"
        stopped = [STOPPED] if self.summary().folder.stopped else []
        return [*stopped, f"from the controller's last pass, {when}; --live reads the engine"]


@contextmanager
def last_report(settings: Settings) -> Iterator[LastReport | None]:
    """None if no controller has ever written one into this ledger. Raises LedgerUnavailable."""
    if not settings.ledger.exists():
        yield None
        return
    reader = ReportReader(settings.ledger)
    try:
        clock = reader.clock()
        if clock is None or clock.last is None:
            yield None
            return
        now = SystemClock().now()
        age = now.uptime_seconds - clock.last.uptime_seconds if clock.last.boot == now.boot else None
        yield LastReport(reader, clock.advanced(now, settings.resync), age)
    finally:
        reader.close()


def reported_names(settings: Settings, kind: str) -> list[str]:
    """The names of all rows of a kind, for completion."""
    with last_report(settings) as report:
        return [name_in(key) for key in report.reader.keys(kind)] if report else []
