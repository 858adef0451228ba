"""Settings of disk pressure: which marks are valid, and what they mean."""

from __future__ import annotations

import pytest

from controller.daemon.conditions import conditions_of
from controller.errors import InvalidSettings
from controller.plan.memory.disk import DiskMark, PressureMarks
from controller.settings import load


def marks(start: str | None, stop: str | None) -> PressureMarks | None:
    return conditions_of(load({"disk_pressure_start": start, "disk_pressure_stop": stop}, {})).terms.pressure


def test_disk_pressure_is_off_by_default() -> None:
    assert marks(None, None) is None


def test_marks_are_percentages_or_sizes() -> None:
    assert marks("85%", "75.5 %") == PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.755))
    assert marks("free:1GiB", "free:2GiB") == PressureMarks(DiskMark(free_bytes=2**30), DiskMark(free_bytes=2**31))
    assert marks("free:1KiB", "free:2KB") == PressureMarks(DiskMark(free_bytes=1024), DiskMark(free_bytes=2000))


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [
        ("85%", None, "--disk-pressure-start also needs --disk-pressure-stop"),
        (None, "75%", "--disk-pressure-stop also needs --disk-pressure-start"),
        ("85%", "free:2GiB", "both be a percentage or both free:SIZE"),
        ("75%", "85%", "must be a smaller percentage"),
        ("75%", "75%", "must be a smaller percentage"),
        ("free:2GiB", "free:1GiB", "must be a larger free size"),
        ("85", "75", "write a mark as 85% (used) or free:2GiB"),
        ("101%", "75%", "write a mark as"),
        ("0%", "0%", "write a mark as"),
        ("free:much", "free:more", "write a size as"),
    ],
)
def test_other_marks_are_refused(start: str | None, stop: str | None, message: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        marks(start, stop)
    assert message in str(refused.value)
