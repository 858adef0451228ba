"""A status → the report of it: rows at rest for every reference and document, and a summary.

The ledger keeps the last one for commands; the page and the API show it. Rows are made whenever somebody asks: a node
may have thousands of images, and none is kept in memory twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from controller import __version__
from controller.daemon.status import Status
from controller.plan.report.explanation import explained, explanations_at_rest
from controller.plan.report.moments import key_of
from controller.plan.report.report import documents_at_rest, folder_values, node_values, reclaimable, references_at_rest
from controller.plan.verdict.planner import Terms

Values = dict[str, Any]
Row = tuple[tuple[str, str], Values]
"""A row with its kind (reference, explanation, document, summary) and a key among these."""


@dataclass(frozen=True)
class StatusReport:
    """The report of one pass; after a failed one the references are still those of the last good one."""

    status: Status
    terms: Terms

    def references(self, places: Sequence[int] | None = None) -> Iterator[Values]:
        """One row for each reference, at rest; or only for those in these places among them."""
        return references_at_rest(self.status.decision, self.terms.usage, places)

    def documents(self) -> list[Values]:
        """One row for each document, at rest."""
        return documents_at_rest(self.status.decision)

    def explained(self, text: str) -> list[Values]:
        """All there is to say of each reference that `text` means, at rest."""
        return explained(self.status.decision, self.terms, text)

    def rows(self) -> Iterator[Row]:
        """Everything but the summary."""
        decision = self.status.decision
        yield from (_of("reference", row) for row in self.references())
        yield from (_of("explanation", row) for row in explanations_at_rest(decision, self.terms))
        for row in self.documents():
            yield ("document", key_of(row["name"], row["file"], row["line"])), row

    @cached_property
    def summary(self) -> Values:
        """What there is only one of."""
        status = self.status
        seen = status.decision.memory.seen
        return {
            "version": __version__,
            "result": status.result.value,
            "degraded": list(status.degraded),
            "dry_run": status.dry_run,
            "engine": {"product": seen.engine.product, "version": seen.engine.version} if seen else None,
            "images": len(seen.images) if seen else 0,
            "image_store_bytes": sum(layer.size_bytes or 0 for layer in status.decision.memory.layers.values()),
            "reclaimable": reclaimable(status.decision),
            "folder": folder_values(status.reading),
            "node": node_values(status.decision.node),
        }

    def differs_from(self, other: StatusReport | None) -> bool:
        """Can a row be another one? Most parts of a decision stay the same objects while nothing happens."""
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


def _of(kind: str, row: Values) -> Row:
    return (kind, key_of(row["reference"], row["image"])), row
