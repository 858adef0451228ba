"""Rows of a report with plain values, for tests of their output."""

from __future__ import annotations

from typing import Any

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.rows import ExplanationRow, ReferenceRow, ShownReference

IMAGE = "sha256:0123456789abcdef"


def a_row(reference: str = "app:1", **values: Any) -> ReferenceRow:
    """A reference that no rule covers, or with these values."""
    plain: dict[str, Any] = {
        **dict.fromkeys(("until", "due_at", "last_used", "last_sign", "last_sign_at", "origin", "agent_downloaded")),
        **dict.fromkeys(("document", "rule", "local")),
        "reference": reference,
        "image": IMAGE,
        "names_remembered": (),
        "size_bytes": 1,
        "frees_alone_bytes": 0,
        "verdict": "NO_RULE",
        "action": "keep",
        "detail": "",
        "idle_since": 5.0,
        "first_seen": 1.0,
    }
    return ReferenceRow(**plain | values)


def a_shown_row(reference: str = "app:1", **values: Any) -> ShownReference:
    """The same at ledger time 10."""
    return a_row(reference, **values).shown(LedgerClock(10.0))


def an_explanation(reference: str, image: str, *names: str) -> ExplanationRow:
    """An explanation with only the names of the image."""
    return ExplanationRow(reference, image, names, (), (), (), None, None)
