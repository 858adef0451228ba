"""The report of a pass: its content, and that it is written only after a change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.instant import Instant
from controller.plan.report.report import document_rows, shown_references
from controller.plan.report.rows import EngineRow, ReferenceRow, name_in
from controller.plan.verdict.judge import Terms
from tests import sample_node
from tests.page.site import busy_status
from tests.sample_node import HOUR, NOW


@pytest.fixture
def busy(tmp_path: Path) -> Status:
    return busy_status(60, tmp_path)


def test_its_rows_are_those_that_the_commands_show(busy: Status) -> None:
    rows = list(StatusReport(busy, Terms()).rows())
    clock = busy.decision.memory.clock
    shown = [row.shown(clock) for _, row in rows if isinstance(row, ReferenceRow)]
    assert shown == shown_references(busy.decision, Terms().usage)
    assert [row for (kind, _), row in rows if kind == "document"] == document_rows(busy.decision)


def test_every_reference_has_an_explanation(busy: Status) -> None:
    rows = dict(StatusReport(busy, Terms()).rows())
    keys = {kind: {key for its_kind, key in rows if its_kind == kind} for kind in ("reference", "explanation")}
    assert keys["reference"] == keys["explanation"]
    assert len(keys["reference"]) == 60


def later(status: Status, policies: Path, seconds: float) -> Status:
    """The status of a pass `seconds` later in which nothing else has changed; clocks are not exact."""
    memory = status.decision.memory
    passed = Instant(NOW.wall_seconds + seconds + 0.003, NOW.boot, NOW.uptime_seconds + seconds)
    clock = replace(memory.clock, seconds=memory.clock.seconds + seconds, last=passed)
    return replace(status, at=passed, decision=sample_node.decision_on(replace(memory, clock=clock), policies))


def test_a_pass_in_which_nothing_changed_changes_no_row(busy: Status, tmp_path: Path) -> None:
    first, second = StatusReport(busy, Terms()), StatusReport(later(busy, tmp_path, 240), Terms())
    assert not second.differs_from(first)
    assert list(second.rows()) == list(first.rows())
    assert second.summary == first.summary


def test_a_deadline_that_has_passed_changes_the_rows_that_it_concerns(busy: Status, tmp_path: Path) -> None:
    first, second = StatusReport(busy, Terms()), StatusReport(later(busy, tmp_path, 2 * HOUR), Terms())
    assert second.differs_from(first)
    were = dict(first.rows())
    changed = {name_in(key) for (kind, key), row in second.rows() if kind == "reference" and were[kind, key] != row}
    assert changed == {"acme/telemetry:1.0", "acme/telemetry:1.2"}


def test_the_summary_reports_what_is_wrong(busy: Status) -> None:
    summary = StatusReport(replace(busy, watcher_is_up=False), Terms()).summary
    assert summary.degraded == replace(busy, watcher_is_up=False).degraded
    assert summary.engine == EngineRow("Docker", "28.5.2")
    assert summary.node.name == "factory/gateway-12"
