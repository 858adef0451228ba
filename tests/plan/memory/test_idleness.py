"""Changes of a record at each observation, and the start of the idle time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.memory.event import EventKind
from controller.plan.memory.idleness import (
    NO_ACTIVITY,
    ImageActivity,
    Usage,
    first_record,
    idle_since,
    last_activity,
    last_use,
    updated,
)
from controller.plan.memory.memory import IN_USE, Record
from tests.builders import a_record

PULLED = ImageActivity(touch=EventKind.PULLED)


def test_a_new_image_starts_now() -> None:
    record = first_record(NO_ACTIVITY, None, 100.0)
    assert record == Record(first_seen=100.0)
    assert idle_since(record, Usage.ANY) == idle_since(record, Usage.AGENT) == 100.0


def test_an_image_that_returned_is_new_except_its_names_and_layers() -> None:
    before = a_record(1.0, last_used=2.0, last_used_by_agent=2.0, last_touched=3.0, names=["app:1"], tip="sha256:top")
    record = first_record(PULLED, EventKind.PULLED, 100.0, before)
    assert (record.names, record.tip) == (before.names, before.tip)
    assert idle_since(record, Usage.AGENT) == 100.0


def test_without_activity_the_record_is_the_same_object() -> None:
    record = a_record(1.0, last_used=2.0)
    assert updated(record, NO_ACTIVITY, 100.0) is record


def test_while_it_is_in_use_the_last_use_is_zero() -> None:
    assert updated(a_record(1.0), ImageActivity(in_use=True), 100.0).last_used == IN_USE


def test_a_use_ends_at_the_observation_that_no_longer_shows_it() -> None:
    """Not at the last one that showed it: the use may have lasted nearly until the next one."""
    assert updated(a_record(1.0, last_used=IN_USE), NO_ACTIVITY, 100.0).last_used == 100.0


def test_a_use_between_two_observations_counts_from_the_later_one() -> None:
    assert updated(a_record(1.0, last_used=2.0), ImageActivity(was_used=True), 100.0).last_used == 100.0


def test_a_pull_is_activity_and_not_use() -> None:
    record = updated(a_record(1.0), PULLED, 100.0)
    assert (record.last_used, record.last_touched, record.touch) == (None, 100.0, EventKind.PULLED)
    assert idle_since(record, Usage.ANY) == 100.0


def test_with_usage_agent_only_its_containers_count() -> None:
    record = updated(a_record(1.0), ImageActivity(in_use=True, touch=EventKind.PULLED), 100.0)
    record = updated(record, NO_ACTIVITY, 200.0)
    assert idle_since(record, Usage.ANY) == 200.0
    assert idle_since(record, Usage.AGENT) == 1.0


def test_with_usage_agent_the_end_of_its_use_counts() -> None:
    by_agent = updated(a_record(1.0), ImageActivity(in_use=True, in_use_by_agent=True), 100.0)
    assert idle_since(updated(by_agent, NO_ACTIVITY, 200.0), Usage.AGENT) == 200.0


@pytest.mark.parametrize(
    ("record", "sign"),
    [
        (a_record(5.0), "first seen"),
        (a_record(5.0, last_used=6.0), "used by a container"),
        (a_record(5.0, last_touched=6.0, touch=EventKind.TAGGED), "tagged"),
        (a_record(5.0, last_used=6.0, last_touched=6.0, touch=EventKind.PULLED), "used by a container"),
        (a_record(5.0, last_touched=5.0, touch=EventKind.LOADED), "loaded"),
    ],
)
def test_the_last_activity_has_a_text(record: Record, sign: str) -> None:
    assert last_activity(record).what == sign


def test_the_start_of_the_idle_time_has_a_text() -> None:
    record = a_record(1.0, last_used=9.0, last_used_by_agent=5.0)
    assert last_use(record, Usage.AGENT).what == "used by a container of the agent"
    assert last_use(replace(record, last_used_by_agent=None), Usage.AGENT).what == "first seen"


moments = st.none() | st.floats(1.0, 1e6)
records = st.builds(a_record, st.floats(1.0, 1e6), last_used=moments, last_used_by_agent=moments, last_touched=moments)
activities = st.builds(
    ImageActivity,
    in_use=st.booleans(),
    in_use_by_agent=st.booleans(),
    was_used=st.booleans(),
    was_used_by_agent=st.booleans(),
    touch=st.none() | st.sampled_from([EventKind.PULLED, EventKind.TAGGED]),
)


@given(records, activities, st.floats(1e6, 2e6), st.sampled_from(Usage))
def test_no_observation_makes_an_image_older(record: Record, activity: ImageActivity, now: float, usage: Usage) -> None:
    after = updated(record, activity, now)
    in_use = activity.in_use if usage is Usage.ANY else activity.in_use_by_agent
    assert in_use or idle_since(after, usage) >= idle_since(record, usage)
    assert last_activity(after).at >= last_activity(record).at or activity.in_use


@given(records, activities, st.floats(1e6, 2e6))
def test_repeated_activity_changes_nothing(record: Record, activity: ImageActivity, now: float) -> None:
    once = updated(record, activity, now)
    assert updated(once, activity, now) == once
