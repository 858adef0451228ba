"""Rows become JSON with stable fields, and are read from the values in the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.instant import Instant
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.explanation import explained
from controller.plan.report.history import removal_rows
from controller.plan.report.report import plan_frame, shown_references
from controller.plan.report.rows import (
    DocumentRow,
    ExplanationRow,
    ReferenceRow,
    SummaryRow,
    as_values,
    key_of,
    name_in,
    row_from,
)
from controller.plan.verdict.judge import Terms
from tests import sample_node
from tests.page.site import Site, busy_status
from tests.rows import a_row

CLOCK = LedgerClock(1_000.0, Instant(1_795_253_400.0, "boot", 5_000.0))
PROMISED = Path(__file__).parents[2] / "data" / "rows" / "as_json.json"
KINDS = {"reference": ReferenceRow, "explanation": ExplanationRow, "document": DocumentRow, "summary": SummaryRow}


@pytest.fixture
def busy(tmp_path: Path) -> Status:
    return busy_status(12, tmp_path, broken=sample_node.A_BROKEN_POLICY)


def everything(status: Status) -> dict[str, Any]:
    """Every kind of JSON that shows rows: the ledger's, `plan`, `explain`, `get removals`, the API."""
    decision, clock, terms = status.decision, status.decision.memory.clock, Terms()
    found = (each for verdict in decision.plan.verdicts for each in explained(decision, terms, verdict.image))
    history, batches = sample_node.history()
    site = Site()
    site.publish(status)
    references = shown_references(decision, terms.usage)
    return {
        "at_rest": [[*key, row] for key, row in StatusReport(status, terms).rows()],
        "plan": {"references": references, **as_values(plan_frame(decision, status.reading))},
        "explained": [explanation.shown(reference, clock) for reference, explanation in found],
        "removals": removal_rows(history, {batch.name: batch for batch in batches})[-12:],
        "status": site.overview.values(),
    }


def test_json_has_stable_keys_in_a_stable_order_and_stable_values(busy: Status) -> None:
    text = json.dumps(everything(busy), indent=1, ensure_ascii=False, default=as_values)
    assert text.replace(busy.reading.folder, "policies") + "\n" == PROMISED.read_text()


def test_a_row_that_was_stored_is_read_as_it_was(busy: Status) -> None:
    report = StatusReport(busy, Terms())
    rows = [*((kind, row) for (kind, _), row in report.rows()), ("summary", report.summary)]
    for kind, row in rows:
        assert row_from(KINDS[kind], json.loads(json.dumps(row, default=as_values))) == row


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"size_bytes": "12"}, "a row has '12'"),
        ({"names_remembered": "app:1"}, "a row has 'app:1'"),
        ({"names_remembered": [1]}, "a row has 1"),
        ({"detail": None}, "a row has None"),
        ({"frees_alone_bytes": True}, "a row has True"),
    ],
)
def test_a_stored_value_of_another_type_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        row_from(ReferenceRow, asdict(a_row()) | {"names_remembered": []} | changed)


def test_a_stored_row_that_lacks_a_field_or_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="a row is incomplete"):
        row_from(ReferenceRow, {})
    with pytest.raises(ValueError, match="a row is not an object"):
        row_from(ReferenceRow, [])


def test_a_field_that_a_newer_version_stored_is_ignored() -> None:
    stored = asdict(a_row()) | {"names_remembered": [], "of_the_future": 1}
    assert row_from(ReferenceRow, stored) == a_row()


def test_a_time_is_shown_in_seconds_from_now_and_as_a_date() -> None:
    shown = a_row(until=1_060.0, due_at=940.0, idle_since=400.0, last_used=1_000.0).shown(CLOCK)
    assert (shown.until_seconds, shown.until) == (60.0, "2026-11-21T09:31:00+00:00")
    assert (shown.due_in_seconds, shown.due_at) == (-60.0, "2026-11-21T09:29:00+00:00")
    assert (shown.idle_seconds, shown.last_used) == (600.0, "2026-11-21T09:30:00+00:00")


def test_what_has_no_time_shows_none() -> None:
    shown = a_row(idle_since=None, last_used="in use").shown(CLOCK)
    assert (shown.due_in_seconds, shown.due_at, shown.idle_seconds, shown.last_used) == (None, None, None, "in use")


def test_without_any_pass_there_are_no_dates() -> None:
    assert a_row(first_seen=5.0).shown(LedgerClock()).first_seen is None


def test_a_key_starts_with_the_name_of_its_row() -> None:
    assert name_in(key_of("a name:1", "sha256:0", 3)) == "a name:1"
    assert key_of("a", "b") != key_of("a", "c")


def test_values_of_something_else_are_refused() -> None:
    with pytest.raises(TypeError):
        json.dumps({"a": object()}, default=as_values)
    assert replace(a_row(), detail="x") != a_row()
