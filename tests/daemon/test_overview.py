"""The data of the page and the API."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.daemon.overview import DAYS, Health, History, Overview, Readers
from controller.daemon.report import StatusReport
from controller.daemon.status import PassResult, Status
from controller.daemon.vitals import Liveness
from controller.plan.report.report import reclaimable
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.verdict import Action
from tests.page.site import HIDDEN_DISK, Site, StillClock, StillDisk, busy_status
from tests.sample_node import DAY, NOW


@pytest.fixture
def busy(tmp_path: Path) -> Status:
    return busy_status(60, tmp_path)


class TestHealth:
    def test_health_has_four_values(self, busy: Status) -> None:
        site = Site()
        assert site.overview.picture().health is Health.STARTING
        site.publish(busy)
        assert site.overview.picture().health is Health.HEALTHY
        site.publish(replace(busy, watcher_is_up=False))
        assert site.overview.picture().health is Health.DEGRADED
        site.publish(replace(busy, result=PassResult.FAILED, trouble="the engine is away"))
        assert site.overview.picture().health is Health.FAILING

    def test_a_stuck_loop_is_reported_first(self, busy: Status) -> None:
        site = Site()
        site.publish(busy)
        site.clock.later_by += 3_600
        picture = site.overview.picture()
        assert picture.health is Health.FAILING
        assert picture.troubles[0].startswith("the control loop has not reported for 36")


class TestPlannedRemovals:
    def test_they_add_up_to_the_reclaimable_bytes(self, busy: Status) -> None:
        site = Site()
        site.publish(busy)
        published = site.overview.picture().published
        assert published is not None
        due = [each for each in published.planned_removals if each.due_at <= busy.decision.plan.now]
        total = reclaimable(busy.decision)
        assert sum(each.frees_bytes for each in due) == total.due_bytes
        actions = [verdict.action for verdict in busy.decision.plan.verdicts]
        assert len(published.planned_removals) == actions.count(Action.REMOVE) + actions.count(Action.WAIT)

    def test_the_soonest_come_first(self, busy: Status) -> None:
        site = Site()
        site.publish(busy)
        picture = site.overview.picture()
        assert picture.published is not None
        waits = [picture.seconds_until(each.due_at) for each in picture.published.planned_removals]
        assert waits == sorted(waits)
        assert waits[0] == 0.0


class TestHistory:
    def test_the_ledger_is_read_once_for_each_status_and_only_on_request(self, busy: Status) -> None:
        asked: list[float] = []

        def history(since: float) -> History:
            asked.append(since)
            return History()

        clock = StillClock()
        readers = Readers(StillDisk(HIDDEN_DISK), history, lambda _: 0.0)
        overview = Overview(Liveness(clock, lambda: True), readers, 300.0)
        for _ in range(2):
            overview.publish(StatusReport(busy, Terms()))
        assert asked == []
        for _ in range(3):
            overview.values()
        assert len(asked) == 1
        assert NOW.wall_seconds - DAYS * DAY < asked[0] < NOW.wall_seconds - (DAYS - 1) * DAY


def next_change(site: Site) -> float:
    seconds = site.overview.values()["next_change_in_seconds"]
    assert isinstance(seconds, float)
    return seconds


def test_time_advances_between_passes_by_at_most_one_resync(busy: Status) -> None:
    site = Site()
    site.publish(busy)
    first = next_change(site)
    site.clock.later_by += 60
    assert next_change(site) == first - 60
    site.clock.later_by += 86_400
    assert next_change(site) == 21 * 60 - 300
