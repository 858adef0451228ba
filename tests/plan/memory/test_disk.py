"""Marks of disk pressure, and the state between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.memory.disk import (
    PAUSE_SECONDS,
    DiskMark,
    DiskUsage,
    Pressure,
    PressureMarks,
    calls_for_pass,
    paused,
    pressure_after,
    pressure_in_words,
)

MARKS = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
FREE = PressureMarks(DiskMark(free_bytes=2_000), DiskMark(free_bytes=4_000))


def used(percent: float, inodes: float | None = None) -> DiskUsage:
    """A disk of 10,000 bytes and 1,000 inodes."""
    free = None if inodes is None else round(1_000 * (1 - inodes / 100))
    return DiskUsage(10_000, round(10_000 * (1 - percent / 100)), None if free is None else 1_000, free)


usages = st.builds(used, st.floats(0, 100), st.none() | st.floats(0, 100))
all_marks = st.sampled_from([MARKS, FREE])


@pytest.mark.parametrize(
    ("marks", "usage", "begins", "ends"),
    [
        (MARKS, used(84), False, False),
        (MARKS, used(85), True, False),
        (MARKS, used(75), False, True),
        (MARKS, used(10, inodes=85), True, False),
        (MARKS, used(10, inodes=80), False, False),
        (MARKS, used(80, inodes=10), False, False),
        (MARKS, used(75, inodes=75), False, True),
        (FREE, used(80), True, False),
        (FREE, used(79), False, False),
        (FREE, used(60), False, True),
        (FREE, used(10, inodes=100), False, True),
    ],
)
def test_pressure_begins_at_the_start_mark_and_ends_at_the_stop_mark(
    marks: PressureMarks, usage: DiskUsage, begins: bool, ends: bool
) -> None:
    assert (pressure_after(None, usage, marks, 5.0) is not None) == begins
    lasting = Pressure(1.0, used(90))
    assert (pressure_after(lasting, usage, marks, 5.0) is None) == ends


@given(usages, all_marks)
def test_between_the_marks_the_state_decides(usage: DiskUsage, marks: PressureMarks) -> None:
    fresh, lasting = (pressure_after(before, usage, marks, 5.0) for before in (None, Pressure(1.0, used(90))))
    if marks.start.is_reached(usage):
        assert fresh == Pressure(5.0, usage)
        assert lasting == Pressure(1.0, usage)
    elif marks.is_relieved(usage):
        assert fresh is lasting is None
    else:
        assert (fresh, lasting) == (None, Pressure(1.0, usage))


@given(usages, all_marks)
def test_when_what_is_missing_is_freed_the_pressure_ends(usage: DiskUsage, marks: PressureMarks) -> None:
    missing, files = marks.stop.missing_bytes(usage), marks.stop.missing_files(usage)
    freed = replace(
        usage,
        available_bytes=usage.available_bytes + missing,
        files_free=None if usage.files_free is None else usage.files_free + files,
    )
    assert marks.is_relieved(freed)
    if missing:
        assert not marks.is_relieved(replace(freed, available_bytes=freed.available_bytes - 1))


def test_a_stop_mark_that_is_not_smaller_than_the_disk_is_no_pressure() -> None:
    """It would never end, and every image that a rule allows would be removed."""
    too_large = PressureMarks(DiskMark(free_bytes=9_000), DiskMark(free_bytes=10_000))
    for before in (None, Pressure(1.0, used(99))):
        assert pressure_after(before, used(99), too_large, 5.0) is None
    fits = PressureMarks(DiskMark(free_bytes=9_000), DiskMark(free_bytes=9_999))
    assert pressure_after(None, used(99), fits, 5.0) == Pressure(5.0, used(99))


def test_a_disk_that_cannot_be_measured_and_a_controller_without_marks_know_no_pressure() -> None:
    lasting = Pressure(1.0, used(90))
    assert pressure_after(lasting, None, MARKS, 5.0) is None
    assert pressure_after(lasting, used(99), None, 5.0) is None


def test_after_removals_the_pressure_pauses_until_their_effect_can_be_measured() -> None:
    pressure = paused(Pressure(1.0, used(90)), 1_000, 100.0)
    same = pressure_after(pressure, used(90), MARKS, 101.0)
    assert same is not None
    assert same.pauses(101.0)
    assert not same.pauses(100.0 + PAUSE_SECONDS)
    assert not calls_for_pass(pressure, same, 101.0)


@pytest.mark.parametrize(("percent", "waits"), [(89, True), (85.1, True), (85, False), (80, False)])
def test_the_pause_ends_when_half_of_the_estimate_is_visible(percent: float, waits: bool) -> None:
    pressure = paused(Pressure(1.0, used(90)), 1_000, 100.0)
    after = pressure_after(pressure, used(percent), MARKS, 101.0)
    assert after is not None
    assert after.pauses(101.0) == waits
    assert calls_for_pass(pressure, after, 101.0) != waits


def test_a_disk_that_fills_up_further_ends_the_pause() -> None:
    pressure = paused(Pressure(1.0, used(90)), 1_000, 100.0)
    fuller = pressure_after(pressure, used(92), MARKS, 101.0)
    assert fuller is not None
    assert not fuller.pauses(101.0)
    assert calls_for_pass(pressure, fuller, 101.0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, Pressure(1.0, used(90)), True),
        (Pressure(1.0, used(90)), None, True),
        (None, None, False),
        (Pressure(1.0, used(90)), Pressure(1.0, used(91)), False),
    ],
)
def test_the_begin_and_the_end_of_pressure_call_for_a_pass(
    before: Pressure | None, after: Pressure | None, expected: bool
) -> None:
    assert calls_for_pass(before, after, 5.0) == expected


@pytest.mark.parametrize(
    ("usage", "marks", "words"),
    [
        (used(91), MARKS, "disk pressure: 91 % used, start 85 %"),
        (used(10, inodes=92), MARKS, "disk pressure: 92 % of inodes used, start 85 %"),
        (used(90), FREE, "disk pressure: 1.0 kB free, start 2.0 kB free"),
    ],
)
def test_pressure_in_words(usage: DiskUsage, marks: PressureMarks, words: str) -> None:
    assert pressure_in_words(usage, marks) == words
