"""A status → the report of it: rows at rest for every reference and document, and a summary.

The ledger keeps the last one for commands; the page and the API show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller import __version__
from controller.daemon.status import Status
from controller.plan.decision import Decision
from controller.plan.explanation import explanations_at_rest
from controller.plan.moments import key_of
from controller.plan.planner import Terms
from controller.plan.report import documents_at_rest, folder_values, node_values, reclaimable, references_at_rest

Values = dict[str, Any]
Report = Mapping[tuple[str, str], Values]
"""Rows by their kind (reference, explanation, document, summary) and a key among these."""


class Reporter:
    """Makes reports; anew only where something has changed, as most passes change nothing."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._decision = Decision()
        self._rows: dict[tuple[str, str], Values] = {}
        self._reclaimable: Values = {}

    def report(self, status: Status) -> Report:
        """The report of one pass; after a failed one the references are still those of the last good one."""
        decision = status.decision
        if not self._rows or _has_changed(self._decision, decision):
            self._rows = self._rows_of(decision)
            self._reclaimable = reclaimable(decision)
        self._decision = decision
        return {**self._rows, ("summary", ""): self._summary(status)}

    def _rows_of(self, decision: Decision) -> dict[tuple[str, str], Values]:
        references = references_at_rest(decision, self._terms.usage)
        explanations = explanations_at_rest(decision, self._terms)
        return {
            **{("reference", _key(row)): row for row in references},
            **{("explanation", _key(row)): row for row in explanations},
            **{("document", key_of(row["name"], row["file"], row["line"])): row for row in documents_at_rest(decision)},
        }

    def _summary(self, status: Status) -> Values:
        seen = status.decision.memory.seen
        return {
            "version": __version__,
            "result": status.result.value,
            "degraded": list(status.degraded),
            "dry_run": status.dry_run,
            "engine": {"product": seen.engine.product, "version": seen.engine.version} if seen else None,
            "images": len(seen.images) if seen else 0,
            "image_store_bytes": sum(layer.size_bytes or 0 for layer in status.decision.memory.layers.values()),
            "reclaimable": self._reclaimable,
            "folder": folder_values(status.reading),
            "node": node_values(status.decision.node),
        }


def _key(row: Values) -> str:
    return key_of(row["reference"], row["image"])


def _has_changed(before: Decision, after: Decision) -> bool:
    """Can a row be another one than before? Most parts of a memory stay the same objects while nothing happens."""
    was, now = before.memory, after.memory
    return (
        before.plan.verdicts != after.plan.verdicts
        or documents_at_rest(before) != documents_at_rest(after)
        or was.records != now.records
        or was.evidence != now.evidence
        or was.layers != now.layers
        or was.attempts != now.attempts
        or (was.seen and (was.seen.images, was.seen.users)) != (now.seen and (now.seen.images, now.seen.users))
    )
