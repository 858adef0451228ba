"""The report of a status: rows at rest for every reference and document, and a summary.

The ledger keeps the last one for commands; the page and the API show it. Rows are made on demand: a node may have
thousands of images, and none is kept in memory twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from controller import __version__
from controller.daemon.status import Status
from controller.plan.report.explanation import Explained, explained, explanation_rows
from controller.plan.report.report import (
    disk_pressure,
    document_rows,
    folder_row,
    node_row,
    reclaimable,
    reference_rows,
)
from controller.plan.report.rows import DocumentRow, EngineRow, ExplanationRow, ReferenceRow, SummaryRow, key_of
from controller.plan.verdict.planner import Terms

KeyedRow = tuple[tuple[str, str], ReferenceRow | ExplanationRow | DocumentRow]
"""A row with its kind (reference, explanation, document) and a key among these."""


@dataclass(frozen=True)
class StatusReport:
    """The report of one pass; after a failed pass the references are those of the last good one."""

    status: Status
    terms: Terms

    def references(self, places: Sequence[int] | None = None) -> Iterator[ReferenceRow]:
        """One row for each reference, or for those in these places among all."""
        return reference_rows(self.status.decision, self.terms.usage, places)

    def documents(self) -> list[DocumentRow]:
        """One row for each document."""
        return document_rows(self.status.decision)

    def explained(self, text: str) -> list[Explained]:
        """All that is known of each reference that `text` names."""
        return explained(self.status.decision, self.terms, text)

    def rows(self) -> Iterator[KeyedRow]:
        """Everything but the summary."""
        decision = self.status.decision
        yield from ((("reference", key_of(row.reference, row.image)), row) for row in self.references())
        for explanation in explanation_rows(decision, self.terms):
            yield ("explanation", key_of(explanation.reference, explanation.image)), explanation
        for row in self.documents():
            yield ("document", key_of(row.name, row.file, row.line)), row

    @cached_property
    def summary(self) -> SummaryRow:
        """What the report has one of."""
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
        )

    def differs_from(self, other: StatusReport | None) -> bool:
        """Can a row differ? Most parts of a decision remain the same objects while nothing changes."""
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
            or (was.seen and (was.seen.images, was.seen.users)) != (now.seen and (now.seen.images, now.seen.users))
        )
