"""`imagectl plan` with a real decision on a sample observation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.ledger import Ledger
from controller.cli import plan as plan_command
from controller.cli.view import View
from controller.daemon.conditions import deciding_settings
from controller.daemon.report import StatusReport
from controller.instant import Instant
from controller.plan.memory.disk import DiskMark, DiskUsage, ImageDisk, Pressure, PressureMarks
from controller.plan.node.agent import NodeAnswer
from controller.plan.verdict.judge import Terms
from controller.policy.document.parse import FolderReading
from controller.settings import Settings
from tests import sample_node
from tests.cli.conftest import Imagectl, Said
from tests.policy.drafts import a_draft, posted_forms


@pytest.fixture(autouse=True)
def observed(node: Path, now: Instant, monkeypatch: pytest.MonkeyPatch) -> View:
    """The observation that every command of this file uses."""
    memory = sample_node.memory_of(60, now)
    reading = PolicyFolder(node / "policies").read()
    seen = View(sample_node.decision_on(memory, node / "policies"), reading, "unix:///var/run/docker.sock")
    monkeypatch.setattr(plan_command, "live_view", lambda settings: seen)
    return seen


def test_due_references_come_first_then_waiting_ones_then_kept_ones(imagectl: Imagectl) -> None:
    rows = json.loads(imagectl("plan", "-o", "json").out)["references"]
    actions = [row["action"] for row in rows]
    assert actions == sorted(actions, key=["remove", "wait", "keep"].index)
    waits = [row["due_in_seconds"] for row in rows if row["action"] == "wait" and row["due_in_seconds"]]
    assert waits == sorted(waits)


_RULE = {"image_name": "acme/*:*", "delete_after_minutes": 60, "agent_downloaded_only": False}


@pytest.mark.parametrize(
    "data",
    posted_forms(
        a_draft(
            image_policy=...,
            properties=[{"name": "image_policy", "type": "string", "value": json.dumps({"removal": [_RULE]})}],
        )
    ),
    ids=["exported", "saved answer", "list of hzn"],
)
def test_a_posted_form_is_planned_like_a_policy_file(
    imagectl: Imagectl, tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "posted.json").write_bytes(data)
    memory = sample_node.memory_of(60, SystemClock().now())
    reading = PolicyFolder(tmp_path).read()
    seen = View(sample_node.decision_on(memory, tmp_path), reading, "unix:///var/run/docker.sock")
    monkeypatch.setattr(plan_command, "live_view", lambda settings: seen)
    rows = json.loads(imagectl("plan", "--policies", str(tmp_path), "-o", "json").out)["references"]
    removed = {row["reference"]: row["document"] for row in rows if row["action"] == "remove"}
    assert "acme/updater:1.0" in removed
    assert set(removed.values()) == {document.name for document in reading.documents}


def test_the_last_line_counts_and_the_lines_before_name_policies_that_are_not_in_force(imagectl: Imagectl) -> None:
    lines = imagectl("plan").out.splitlines()
    assert lines[-1] == (
        "10 due now (1.2 GB), 28 later (2.6 GB), 22 kept;"
        " 225.7 MB are kept: no evidence that the agent downloaded them."
    )
    assert "! policy spring-cleaning: waiting for its start" in lines


def test_disk_pressure_is_shown(imagectl: Imagectl, observed: View, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
    memory = replace(observed.decision.memory, pressure=Pressure(1.0, DiskUsage(100, 9)))
    usage = ImageDisk("/images", DiskUsage(100, 9))
    seen = replace(observed, decision=replace(observed.decision, memory=memory), disk=usage, marks=marks)
    monkeypatch.setattr(plan_command, "live_view", lambda settings: seen)
    words = "disk pressure: 91 % used, start 85 %"
    assert f"! {words}: rules may remove images earlier" in imagectl("plan").out.splitlines()
    assert json.loads(imagectl("plan", "-o", "json").out)["disk_pressure"] == words


def test_a_disk_that_cannot_be_measured_is_named_only_with_marks(
    imagectl: Imagectl, observed: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert imagectl("plan").err == ""
    marks = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
    seen = replace(observed, disk=ImageDisk(why_unknown="The engine runs on another host."), marks=marks)
    monkeypatch.setattr(plan_command, "live_view", lambda settings: seen)
    said = "disk pressure is not known, so no limit changes: The engine runs on another host."
    assert imagectl("plan").err.strip() == said


def test_a_stop_mark_that_is_not_smaller_than_the_disk_is_named(
    imagectl: Imagectl, observed: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = PressureMarks(DiskMark(free_bytes=2_000_000), DiskMark(free_bytes=3_000_000))
    seen = replace(observed, disk=ImageDisk("/images", DiskUsage(3_000_000, 9)), marks=marks)
    monkeypatch.setattr(plan_command, "live_view", lambda settings: seen)
    said = "disk pressure is not known, so no limit changes: --disk-pressure-stop (3.0 MB free) is not smaller than the"
    assert imagectl("plan").err.strip() == f"{said} disk (3.0 MB)."


def test_names_are_those_of_due_references(imagectl: Imagectl) -> None:
    assert len(imagectl("plan", "-o", "name").out.splitlines()) == 10


@pytest.mark.parametrize(
    ("reading", "code"),
    [
        (FolderReading("/policies", lost="/policies cannot be read: Permission denied"), 3),
        (FolderReading("/policies", lost="/policies holds no policy documents", is_empty=True), 0),
    ],
)
def test_a_policy_folder_that_is_not_available_is_exit_code_3(
    imagectl: Imagectl, observed: View, monkeypatch: pytest.MonkeyPatch, reading: FolderReading, code: int
) -> None:
    monkeypatch.setattr(plan_command, "live_view", lambda settings: replace(observed, reading=reading))
    said = imagectl("plan")
    assert (said.code, f"! {reading.lost}" in said.out) == (code, True)


def test_a_node_that_is_not_available_is_exit_code_3(
    imagectl: Imagectl, observed: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = NodeAnswer(None, "node.yaml:1:1: error: does not exist", is_silence=True)
    view = replace(observed, decision=replace(observed.decision, node=unknown))
    monkeypatch.setattr(plan_command, "live_view", lambda settings: view)
    assert imagectl("plan", "--exit-code").code == 3


def test_the_exit_code_says_that_something_is_due_only_with_exit_code(imagectl: Imagectl) -> None:
    assert imagectl("plan").code == 0
    assert imagectl("plan", "--exit-code").code == 1
    assert imagectl("plan", "--exit-code", "-l", "verdict=IN_USE").code == 0


class TestAt:
    def test_later_more_is_due(self, imagectl: Imagectl) -> None:
        def due(*arguments: str) -> set[str]:
            return set(imagectl("plan", "-o", "name", *arguments).out.split())

        now, soon, later = due(), due("--at", "+2h"), due("--at", "+30d")
        assert now < soon < later
        assert soon - now == {"acme/telemetry:1.0", "acme/telemetry:1.2"}

    def test_a_start_before_that_time_has_passed(self, imagectl: Imagectl) -> None:
        values = json.loads(imagectl("plan", "--at", "+400d", "-o", "json").out)
        states = {document["name"]: document["state"] for document in values["documents"]}
        assert states["spring-cleaning"] == "in_force"

    def test_it_says_that_this_is_a_forecast(self, imagectl: Imagectl) -> None:
        assert imagectl("plan", "--at", "2h").err == "as it will be in 2h if nothing happens until then\n"

    def test_json_and_yaml_have_the_time(self, imagectl: Imagectl) -> None:
        now = datetime.fromisoformat(json.loads(imagectl("plan", "-o", "json").out)["at"])
        later = yaml.safe_load(imagectl("plan", "--at", "+2h", "-o", "yaml").out)["at"]
        assert datetime.fromisoformat(later) - now == timedelta(hours=2)

    @pytest.mark.parametrize("text", ["noon", "", "+", "-2h", "9" * 400 + "d"])
    def test_an_invalid_time_is_refused(self, imagectl: Imagectl, text: str) -> None:
        said = imagectl("plan", f"--at={text}")
        assert (said.code, "+2h" in said.err) == (2, True)

    @pytest.mark.timeout(20)
    @pytest.mark.parametrize("text", ["+3654d", "+99999999999d"])
    def test_a_time_more_than_ten_years_ahead_is_refused(self, imagectl: Imagectl, text: str) -> None:
        said = imagectl("plan", "--at", text)
        assert (said.code, "is more than ten years from now" in said.err) == (2, True)
        assert imagectl("plan", "--at", "+3653d").code == 0


def test_a_selector_and_an_order_work_as_in_any_list(imagectl: Imagectl) -> None:
    rows = json.loads(imagectl("plan", "-l", "document=agent", "--sort-by", "-size", "-o", "json").out)["references"]
    assert {row["document"] for row in rows} == {"agent"}
    assert [row["size_bytes"] for row in rows] == sorted((row["size_bytes"] for row in rows), reverse=True)


class TestOtherSettings:
    """The controller's settings are in its ledger; `plan` names those that differ from its own."""

    @pytest.fixture
    def run_with(self, node: Path, tmp_path: Path, imagectl: Imagectl) -> Callable[..., Said]:
        """`plan` on a ledger whose controller ran with these settings."""
        now = SystemClock().now()
        decision = sample_node.decision_on(sample_node.memory_of(6, now), node / "policies")
        status = sample_node.status_of(decision, node / "policies", now)
        ledger = Ledger(tmp_path / "ledger.db")
        base = Settings(policies=node / "policies", docker_host="unix:///var/run/docker.sock")

        def run(*arguments: str, **of_controller: Any) -> Said:
            report = StatusReport(status, Terms(), deciding_settings(replace(base, **of_controller)))
            ledger.save(decision.memory)
            ledger.report(report.summary, report.rows)
            ledger.close()
            return imagectl("plan", "--ledger", str(tmp_path / "ledger.db"), *arguments)

        return run

    def test_equal_settings_are_not_mentioned(self, run_with: Callable[..., Said]) -> None:
        assert run_with("--settle", "30m", settle=1800.0).err == ""

    def test_every_setting_that_differs_is_named_with_both_values(self, run_with: Callable[..., Said]) -> None:
        said = run_with("--usage", "agent", settle=1800.0, protect=("a:*", "b:*"))
        assert said.err == (
            "the controller ran with other settings in its last pass:"
            " settle 30m (here 10m), usage any (here agent), protect a:* b:* (here none)\n"
        )
