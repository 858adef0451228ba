"""States that the page shows without calling them a trouble: a file STOP, and disk pressure."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from controller.daemon.page.page import status_page
from controller.daemon.page.query import Query
from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.plan.memory.disk import DiskMark, DiskUsage, Pressure, PressureMarks
from controller.plan.verdict.judge import Terms
from tests.page.site import Site, busy_status

MARKS = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Status:
    return busy_status(60, tmp_path_factory.mktemp("policies"))


def page_of(status: Status, pressure: PressureMarks | None = None) -> str:
    site = Site()
    site.publish(status)
    site.overview.publish(StatusReport(replace(status, pressure_marks=pressure), Terms(pressure=pressure)))
    return status_page(site.overview.picture(), Query())


def notices_of(page: str) -> list[str]:
    (found,) = re.findall(r'<div id="notices".*?</div>', page, re.DOTALL)
    return re.findall(r"<li>(.*?)</li>", found)


def test_a_healthy_node_has_no_notice(busy: Status) -> None:
    assert notices_of(page_of(busy)) == []
    assert notices_of(page_of(busy, MARKS)) == []


def test_a_file_stop_is_a_notice_and_no_trouble(busy: Status) -> None:
    page = page_of(replace(busy, reading=replace(busy.reading, is_stopped=True)))
    assert notices_of(page) == ["All removals are stopped: the policy folder has a file STOP. Delete it to continue."]
    assert 'class="state healthy"' in page


def test_disk_pressure_is_a_notice_and_its_marks_are_on_the_disk_bar(busy: Status) -> None:
    memory = replace(busy.decision.memory, pressure=Pressure(1.0, DiskUsage(100, 9)))
    page = page_of(replace(busy, decision=replace(busy.decision, memory=memory)), MARKS)
    assert notices_of(page) == [
        "Disk pressure: 91 % used, start 85 %."
        " Rules with delete_after_minutes_under_pressure use that limit until 75 %."
    ]
    assert re.findall(r'<line class="mark (\w+)"', page) == ["stop", "start"]


def test_due_images_that_cannot_be_pulled_again_are_counted(busy: Status, tmp_path: Path) -> None:
    records = {image: replace(record, origin=None) for image, record in busy.decision.memory.records.items()}
    images = {i: replace(each, digests=()) for i, each in busy.decision.memory.seen.images.items()}  # type: ignore[union-attr]
    seen = replace(busy.decision.memory.seen, images=images)  # type: ignore[type-var]
    memory = replace(busy.decision.memory, records=records, seen=seen)
    page = page_of(replace(busy, decision=replace(busy.decision, memory=memory)))
    assert re.search(r"\d+ due images? \([\d.]+ [kMG]B\) cannot be pulled again", page)
