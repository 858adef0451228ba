"""When the next pass runs, after every mixture of rings, deadlines and slow passes."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.daemon.schedule import (
    DISTANCE_IN_PASSES,
    GATHERED_AT_MOST_SECONDS,
    QUIET_SECONDS,
    Schedule,
    retry_after_seconds,
)

RESYNC = 300.0


def after_a_pass(took: float = 0.1, deadline: float = RESYNC) -> Schedule:
    """The pass ended at 0."""
    return Schedule(last_pass_ended=0.0, last_pass_took=took, deadline=deadline)


def rung_at(schedule: Schedule, *times: float) -> Schedule:
    return reduce(Schedule.rung, times, schedule)


def test_without_a_ring_the_next_pass_is_at_the_deadline() -> None:
    assert after_a_pass(deadline=42.0).next_pass == 42.0


def test_a_ring_is_answered_after_a_quiet_second() -> None:
    assert rung_at(after_a_pass(), 10.0).next_pass == 10.0 + QUIET_SECONDS


def test_rings_in_a_row_are_gathered_until_they_end() -> None:
    assert rung_at(after_a_pass(), 10.0, 10.5, 11.2).next_pass == 11.2 + QUIET_SECONDS


def test_rings_that_never_end_are_answered_after_five_seconds() -> None:
    assert rung_at(after_a_pass(), *(10.0 + 0.5 * n for n in range(100))).next_pass == 10.0 + GATHERED_AT_MOST_SECONDS


def test_passes_that_rings_ask_for_keep_a_distance_of_five_passes() -> None:
    assert rung_at(after_a_pass(took=7.0), 1.0).next_pass == 5 * 7.0


def test_a_deadline_knows_no_distance() -> None:
    assert rung_at(after_a_pass(took=7.0, deadline=3.0), 1.0).next_pass == 3.0


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=50).map(sorted),
    st.floats(0, 100),
    st.floats(0, 1000),
)
def test_a_ring_never_makes_a_pass_later_than_the_deadline_nor_sooner_than_it_may_be(
    rings: list[float], took: float, deadline: float
) -> None:
    next_pass = rung_at(after_a_pass(took, deadline), *rings).next_pass
    assert next_pass <= deadline
    assert next_pass == deadline or next_pass >= max(rings[0] + QUIET_SECONDS, DISTANCE_IN_PASSES * took)
    assert next_pass <= max(rings[0] + GATHERED_AT_MOST_SECONDS, DISTANCE_IN_PASSES * took)


@pytest.mark.parametrize(("failed", "seconds"), [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (10_000, 300)])
def test_passes_that_fail_are_tried_again_ever_later_up_to_the_resync(failed: int, seconds: float) -> None:
    assert retry_after_seconds(failed, RESYNC) == seconds
