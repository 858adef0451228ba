"""What the controller's last pass decided, as it wrote it into the ledger: for commands that must answer at once.

It is the controller's own decision, by its own settings; no engine is asked and nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.report import ReportReader
from controller.cli.output.render import Values
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.moments import name_in, to_display
from controller.quantity import seconds_in_words
from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class Reported:
    """Rows of one kind, and how old what they rest on is."""

    at_rest: list[Values]
    clock: LedgerClock
    """As of now."""
    age_seconds: float | None
    """Since the pass; None if that was in another boot."""

    @property
    def rows(self) -> list[Values]:
        """As of now."""
        return [self.to_display(row) for row in self.at_rest]

    def to_display(self, row: Values) -> Values:
        """One row as of now."""
        return to_display(row, self.clock)

    @property
    def age_in_words(self) -> str:
        """For people, below a table."""
        when = "before the last reboot" if self.age_seconds is None else f"{seconds_in_words(self.age_seconds)} ago"
        return f"as the controller's last pass saw it, {when}; --live looks anew"


def last_report(settings: Settings, kind: str) -> Reported | None:
    """None if no controller has ever written one into this ledger. Raises LedgerUnavailable."""
    if not settings.ledger.exists():
        return None
    reader = ReportReader(settings.ledger)
    try:
        clock = reader.clock()
        if clock is None or clock.last is None:
            return None
        now = SystemClock().now()
        age = now.uptime_seconds - clock.last.uptime_seconds if clock.last.boot == now.boot else None
        return Reported(reader.rows(kind), clock.advanced(now, settings.resync), age)
    finally:
        reader.close()


def reported_names(settings: Settings, kind: str) -> list[str]:
    """What the rows of a kind are called, for completion."""
    if not settings.ledger.exists():
        return []
    reader = ReportReader(settings.ledger)
    try:
        return [name_in(key) for key in reader.keys(kind)] if reader.clock() else []
    finally:
        reader.close()
