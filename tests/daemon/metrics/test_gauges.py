"""The last status as gauges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.daemon.metrics.gauges import Gauges
from controller.daemon.status import PassResult, Status
from controller.plan.memory.disk import DiskUsage, ImageDisk, Pressure
from controller.policy.document.parse import FolderReading
from controller.policy.problem import Problem
from tests import sample_node
from tests.page.site import DISK, HIDDEN_DISK, StillDisk, busy_status


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Status:
    return busy_status(60, tmp_path_factory.mktemp("policies"))


def gauges_of(status: Status, disk: ImageDisk = DISK) -> dict[str, float]:
    """Values by name and label."""
    gauges = Gauges(StillDisk(disk))
    gauges.status = status
    return {
        "/".join((sample.name.removeprefix("image_controller_"), *sample.labels.values())): sample.value
        for family in gauges.collect()
        for sample in family.samples
    }


def test_references_are_counted_by_verdict_and_add_up_to_all(busy: Status) -> None:
    values = gauges_of(busy)
    assert (values["references/DUE"], values["references/BACKING_OFF"], values["references/IN_USE"]) == (10, 1, 10)
    assert sum(value for name, value in values.items() if name.startswith("references/")) == values["images"] == 60


def test_documents_are_counted_by_state(busy: Status) -> None:
    values = gauges_of(busy)
    assert {name: value for name, value in values.items() if name.startswith("documents/")} == {
        "documents/in_force": 2,
        "documents/waiting": 1,
        "documents/not_applicable": 1,
        "documents/disabled": 1,
        "documents/no_image_policy": 0,
        "documents/invalid": 0,
    }


def test_files_that_cannot_be_read_count_as_invalid_documents(busy: Status) -> None:
    problems = tuple(
        Problem(f"{name}.yaml", line, 1, "", "error", "cannot be read") for name in "ab" for line in (1, 2)
    )
    warning = Problem("c.yaml", 1, 1, "", "warning", "is mounted by itself")
    reading = replace(busy.reading, problems=(*problems, warning))
    assert gauges_of(replace(busy, reading=reading))["documents/invalid"] == 2


def test_reclaimable_bytes_count_shared_layers_once(busy: Status) -> None:
    values = gauges_of(busy)
    memory = busy.decision.memory
    assert memory.seen is not None
    sizes = sum(memory.seen.images[verdict.image].size_bytes or 0 for verdict in busy.decision.plan.removals)
    assert 0 < values["reclaimable_bytes/due"] < sizes
    assert values["reclaimable_bytes/due"] + values["reclaimable_bytes/waiting"] < values["image_store_bytes"]


def test_the_disk_has_gauges_where_it_can_be_seen(busy: Status) -> None:
    values = gauges_of(busy)
    assert values["filesystem_avail_bytes"] == 21_300_000_000
    assert (values["filesystem_files"], values["filesystem_files_free"]) == (4_000_000, 3_000_000)
    assert [name for name in gauges_of(busy, HIDDEN_DISK) if name.startswith("filesystem")] == []


def test_a_file_system_without_a_fixed_number_of_inodes_has_no_gauges_of_them(busy: Status) -> None:
    values = gauges_of(busy, ImageDisk("/data", DiskUsage(10, 5)))
    assert values["filesystem_size_bytes"] == 10
    assert "filesystem_files" not in values


def test_times_are_unix_times_by_the_hosts_clock(busy: Status) -> None:
    values = gauges_of(busy)
    assert values["last_successful_pass_timestamp_seconds"] == sample_node.NOW.wall_seconds
    assert values["next_deadline_timestamp_seconds"] - sample_node.NOW.wall_seconds == pytest.approx(21 * 60)


def test_a_connection_that_is_down_is_0_and_a_lost_folder_is_1(busy: Status) -> None:
    down = replace(
        busy,
        result=PassResult.FAILED,
        engine_is_up=False,
        event_stream_is_up=False,
        watcher_is_up=False,
        reading=FolderReading("/policies", lost="/policies is empty"),
    )
    for status, up in ((busy, 1), (down, 0)):
        values = gauges_of(status)
        assert [values[name] for name in ("engine_up", "engine_event_stream_up", "watcher_up")] == [up] * 3
        assert values["folder_lost"] == 1 - up


def test_after_a_failed_pass_the_references_are_those_of_the_last_good_one(busy: Status) -> None:
    failed = replace(busy, result=PassResult.FAILED, trouble="the engine is away", engine_is_up=False)
    assert gauges_of(failed)["references/DUE"] == 10


def test_which_program_runs_beside_which_engine(busy: Status, tmp_path: Path) -> None:
    (name,) = [name for name in gauges_of(busy) if name.startswith("build_info")]
    assert name.endswith("/Docker/28.5.2")


def test_disk_pressure_is_1_while_it_lasts(busy: Status) -> None:
    assert gauges_of(busy)["disk_pressure"] == 0
    memory = replace(busy.decision.memory, pressure=Pressure(1.0, DiskUsage(100, 1)))
    pressed = replace(busy, decision=replace(busy.decision, memory=memory))
    assert gauges_of(pressed, HIDDEN_DISK)["disk_pressure"] == 1
