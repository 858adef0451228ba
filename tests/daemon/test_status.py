"""Status: the next change, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.log_events import LogEvent
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.planner import Terms
from tests.fakes import a_removal
from tests.host import Host, a_host

SETTLE = 600.0


@pytest.fixture
def host() -> Iterator[Host]:
    with a_host(conditions=Conditions(Terms(settle_seconds=SETTLE))) as host:
        host.rules(a_removal())
        yield host


def test_the_next_change_is_the_end_of_the_settle_time(host: Host) -> None:
    host.engine.load("app:1")
    assert host.look().next_change_at == host.clock.now().uptime_seconds + SETTLE


def test_a_new_text_is_read_again_before_that(host: Host) -> None:
    host.engine.load("app:1")
    host.folder.files["new.yaml"] = host.folder.files["doc.yaml"]
    assert host.look().next_change_at == host.clock.now().uptime_seconds + 2.0


def test_without_a_future_change_there_is_no_time(host: Host) -> None:
    assert host.last.next_change_at is None


def test_an_open_measurement_is_a_reason_for_a_pass(host: Host) -> None:
    assert replace(host.last, next_figure_at=7.0).next_change_at == 7.0


def test_a_host_without_problems_is_not_degraded(host: Host) -> None:
    assert host.last.degraded == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trouble": "in words"}, "in words"),
        ({"event_stream_is_up": False}, "the engine's event stream is down; image use between passes may go unnoticed"),
        ({"watcher_is_up": False}, "the policy folder is not watched; changes are noticed at each resync"),
        ({"ledger_resets": 1}, "the ledger was damaged and recreated: all images count as first seen now"),
    ],
)
def test_everything_that_needs_attention_is_reported(host: Host, fields: dict[str, object], words: str) -> None:
    assert words in replace(host.last, **fields).degraded  # type: ignore[arg-type]


def test_a_lost_folder_is_never_healthy(host: Host) -> None:
    host.folder.lost = "policies holds no policy documents"
    assert host.look().degraded == ("no policies: policies holds no policy documents",)


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"trouble": "in words", "engine_is_up": False}, LogEvent.ENGINE_UNREACHABLE),
        ({"trouble": "in words"}, LogEvent.LEDGER_UNAVAILABLE),
        ({"event_stream_is_up": False}, LogEvent.ENGINE_EVENTS_DOWN),
        ({"watcher_is_up": False}, LogEvent.POLICY_FOLDER_NOT_WATCHED),
        ({"ledger_resets": 1}, LogEvent.LEDGER_RESET),
    ],
)
def test_every_degradation_has_an_event_for_logs(host: Host, fields: dict[str, object], event: LogEvent) -> None:
    assert [each.event for each in replace(host.last, **fields).degradations] == [event]  # type: ignore[arg-type]
