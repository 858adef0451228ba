"""The report of a status: a stored row for each reference and document, and a summary.

The ledger keeps the last report for commands; the page and the API show it. Rows are made on demand to save memory: a
node may have thousands of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from controller import __version__
from controller.daemon.status import Status
from controller.plan.memory.observation import Observation
from controller.plan.report.explanation import Explained, explained, explanation_rows
from controller.plan.report.report import (
    disk_pressure,
    document_rows,
    folder_row,
    node_row,
    reclaimable,
    reference_rows,
    without_events,
)
from controller.plan.report.rows import (
    DocumentRow,
    EngineRow,
    ExplanationRow,
    ReferenceRow,
    SettingRow,
    SummaryRow,
    key_of,
)
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.reclaim import not_counted
from controller.value import dataclass

KeyedRow = tuple[tuple[str, str], ReferenceRow | ExplanationRow | DocumentRow | SettingRow]
"""A row with its kind (reference, explanation, document, setting) and a key among these."""


@dataclass(frozen=True)
class StatusReport:
    """The report of one pass; after a failed pass the references are those of the last good one."""

    status: Status
    terms: Terms
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings that the decision depends on, in words."""

    def references(self, places: Sequence[int] | None = None) -> Iterator[ReferenceRow]:
        """One row for each reference, or for those in these places among all."""
        return reference_rows(self.status.decision, self.terms.usage, places)

    def documents(self) -> list[DocumentRow]:
        """One row for each document."""
        return document_rows(self.status.decision)

    def explained(self, text: str) -> list[Explained]:
        """The explanations of all references that `text` matches."""
        return explained(self.status.decision, self.terms, text)

    def rows(self) -> Iterator[KeyedRow]:
        """All rows except the summary."""
        decision = self.status.decision
        yield from ((("reference", key_of(row.reference, row.image)), row) for row in self.references())
        for explanation in explanation_rows(decision, self.terms):
            yield ("explanation", key_of(explanation.reference, explanation.image)), explanation
        for row in self.documents():
            yield ("document", key_of(row.name, row.file, row.line)), row
        for name, value in self.settings.items():
            yield ("setting", name), SettingRow(name, value)

    @cached_property
    def summary(self) -> SummaryRow:
        """The summary row."""
        status = self.status
        seen = status.decision.memory.seen
        return SummaryRow(
            version=__version__,
            result=status.result.value,
            degraded=status.degraded,
            dry_run=status.dry_run,
            engine=EngineRow(seen.engine.product, seen.engine.version) if seen else None,
            images=len(seen.images) if seen else 0,
            image_store_bytes=sum(layer.size_bytes or 0 for layer in status.decision.memory.layers.values()),
            reclaimable=reclaimable(status.decision),
            folder=folder_row(status.reading),
            node=node_row(status.decision.node),
            disk_pressure=disk_pressure(status.decision, self.terms.pressure),
            image_store_without=not_counted(seen),
            without_events=without_events(status.decision),
            information=status.decision.information,
        )

    def differs_from(self, other: StatusReport | None) -> bool:
        """True if a row may differ. Unchanged parts of a decision are the same objects."""
        if other is None:
            return True
        was, now = other.status.decision.memory, self.status.decision.memory
        return (
            other.status.decision.plan.verdicts != self.status.decision.plan.verdicts
            or other.documents() != self.documents()
            or was.records != now.records
            or was.evidence != now.evidence
            or was.layers != now.layers
            or was.attempts != now.attempts
            or _shown_of(was.seen) != _shown_of(now.seen)
        )


def _shown_of(seen: Observation | None) -> tuple[object, ...]:
    return (seen.images, seen.users, seen.has_build_cache) if seen else ()
