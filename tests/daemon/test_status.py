"""Status: the next change, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.daemon.status import PassResult
from controller.image.reference import ImageId
from controller.log_events import LogEvent
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.node import Node
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.removal import NOTHING_FREED, Intent, Outcome, Removal
from controller.policy.document.parse import FolderReading
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
    assert host.run_pass().next_change_at == host.clock.now().uptime_seconds + SETTLE


def test_a_new_text_is_read_again_before_that(host: Host) -> None:
    host.engine.load("app:1")
    host.folder.files["new.yaml"] = host.folder.files["doc.yaml"]
    assert host.run_pass().next_change_at == host.clock.now().uptime_seconds + 2.0


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
        (
            {"event_stream_is_up": False},
            "engine events not available: the event stream is down; nothing is removed, because image use may go"
            " unnoticed",
        ),
        ({"watcher_is_up": False}, "the policy folder is not watched; changes are noticed at each resync"),
        ({"ledger_resets": 1}, "the ledger was damaged and recreated: all images count as first seen now"),
    ],
)
def test_everything_that_needs_attention_is_reported(host: Host, fields: dict[str, object], words: str) -> None:
    assert words in replace(host.last, **fields).degraded  # type: ignore[arg-type]


def test_a_lost_folder_is_never_healthy(host: Host) -> None:
    host.folder.lost = "policies holds no policy documents"
    assert host.run_pass().degraded == ("no policies: policies holds no policy documents",)


def test_an_empty_folder_into_which_nothing_was_delivered_is_not_degraded() -> None:
    with a_host() as host:
        status = host.run_pass()
        assert (status.degraded, status.has_no_policies_yet, status.is_folder_lost) == ((), True, False)


def test_an_empty_folder_that_had_a_policy_is_degraded(host: Host) -> None:
    host.folder.files.clear()
    status = host.run_pass()
    assert (status.has_no_policies_yet, status.is_folder_lost) == (False, True)
    assert status.degraded == ("no policies: policies holds no policy documents",)


_LOST = FolderReading("policies", lost="policies cannot be read: Permission denied")
_EMPTY = FolderReading("policies", lost="policies holds no policy documents", is_empty=True)
_INTENT = Intent(ImageId("image"), "app:1", "app:1", "doc", 0, "", 0.0, None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"reading": _EMPTY}, 0),
        ({"reading": FolderReading("policies", is_stopped=True)}, 0),
        ({"watcher_is_up": False}, 0),
        ({"reading": _LOST}, 3),
        ({"event_stream_is_up": False}, 3),
        ({"trouble": "the connection was interrupted", "result": PassResult.PARTIAL}, 3),
        ({"trouble": "no such socket", "result": PassResult.FAILED, "engine_is_up": False}, 3),
        ({"trouble": "the disk is full", "result": PassResult.FAILED}, 3),
    ],
)
def test_the_exit_code_of_one_pass_says_what_kind_of_trouble_there_is(
    host: Host, fields: dict[str, object], code: int
) -> None:
    assert replace(host.last, **fields).exit_code == code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.REMOVED, 0), (Outcome.GONE, 0), (Outcome.REFUSED, 1), (Outcome.FAILED, 1)]
)
def test_a_removal_that_failed_is_1_also_if_the_events_are_down(host: Host, outcome: Outcome, code: int) -> None:
    status = replace(host.last, removals=(Removal(_INTENT, outcome, NOTHING_FREED, 0.0),))
    assert status.exit_code == code
    assert replace(status, event_stream_is_up=False).exit_code == (code or 3)


@pytest.mark.parametrize(
    ("pressure", "outcome", "seconds"),
    [
        ("disk pressure: 91 % used", Outcome.UNTAGGED, 5.0),
        ("disk pressure: 91 % used", Outcome.REMOVED, None),
        ("", Outcome.UNTAGGED, None),
    ],
)
def test_a_removal_under_pressure_that_took_only_the_name_is_followed_by_a_pass(
    host: Host, pressure: str, outcome: Outcome, seconds: float | None
) -> None:
    """Docker without a free inode sends no event then, and the resync is minutes away."""
    removal = Removal(replace(_INTENT, pressure=pressure), outcome, NOTHING_FREED, 0.0)
    status = replace(host.last, removals=(removal,))
    ended = status.at.uptime_seconds + status.duration_seconds
    assert status.next_change_at == (None if seconds is None else ended + seconds)


@pytest.mark.parametrize(("node", "code"), [(None, 3), (Node(), 0)])
def test_a_node_that_gave_no_answer_is_3_unless_a_former_answer_is_used(
    host: Host, node: Node | None, code: int
) -> None:
    decision = replace(host.last.decision, node=NodeAnswer(node, "node.yaml:1:1: error", is_silence=True))
    assert replace(host.last, decision=decision).exit_code == code


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"trouble": "in words", "engine_is_up": False}, LogEvent.ENGINE_UNREACHABLE),
        ({"trouble": "in words"}, LogEvent.LEDGER_UNAVAILABLE),
        ({"trouble": "in words", "is_interrupted": True}, LogEvent.REMOVALS_INTERRUPTED),
        ({"event_stream_is_up": False}, LogEvent.ENGINE_EVENTS_DOWN),
        ({"watcher_is_up": False}, LogEvent.POLICY_FOLDER_NOT_WATCHED),
        ({"ledger_resets": 1}, LogEvent.LEDGER_RESET),
    ],
)
def test_every_degradation_has_an_event_for_logs(host: Host, fields: dict[str, object], event: LogEvent) -> None:
    assert [each.event for each in replace(host.last, **fields).degradations] == [event]  # type: ignore[arg-type]
