"""Figures: their sizes, and their texts for screen readers."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.daemon.overview import Health, Picture, PlannedRemoval
from controller.daemon.page.charts import _LABEL, _LABEL_ON_PHONES, days_chart, disk_bar, timeline
from controller.plan.memory.disk import DiskMark, DiskUsage, ImageDisk, PressureMarks
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.history import Day
from tests.sample_node import DAY, HOUR, NOW

PICTURE = Picture(NOW, Health.HEALTHY, (), None, LedgerClock(1_000.0, NOW), ImageDisk())


def bars_of(svg: str, kind: str) -> list[tuple[float, float, float]]:
    """Left edge, right edge and height of each bar of a kind."""
    found = re.findall(rf'<rect class="{kind}" x="([\d.]+)%" width="([\d.]+)%" y="[\d.-]+" height="([\d.]+)"', svg)
    return [(float(x), float(x) + float(width), float(height)) for x, width, height in found]


def label_of(svg: str) -> str:
    return str(re.findall(r'aria-label="([^"]*)"', svg)[0])


MARKS = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))


def marks_of(svg: str) -> dict[str, float]:
    """The place of each mark of disk pressure, in percent."""
    return {kind: float(at) for kind, at in re.findall(r'<line class="mark (\w+)" x1="([\d.]+)%"', svg)}


@given(st.integers(0, 10**13), st.integers(1, 10**13), st.integers(0, 10**13), st.integers(0, 10**14))
def test_the_parts_of_a_disk_never_exceed_it(images: int, size: int, available: int, free: int) -> None:
    marks = PressureMarks(DiskMark(free_bytes=free), DiskMark(free_bytes=free + 1))
    svg = disk_bar(images, DiskUsage(size, min(available, size)), marks)
    assert all(0 <= at <= 100 for at in marks_of(svg).values())
    for kind in ("images", "other", "rest"):
        for left, right, _ in bars_of(svg, kind):
            assert 0 <= left <= right <= 100.02


def test_a_disk_has_a_text() -> None:
    usage, words = DiskUsage(4 * 10**9, 10**9), "1.0 GB images, 2.0 GB other data, 1.0 GB free of 4.0 GB"
    assert label_of(disk_bar(10**9, usage)) == words
    assert label_of(disk_bar(10**9, usage, MARKS)) == f"{words}; disk pressure begins at 85 % and ends at 75 %"


def test_the_marks_of_disk_pressure_are_drawn_on_the_disk() -> None:
    usage = DiskUsage(100, 10)
    assert marks_of(disk_bar(1, usage)) == {}
    assert marks_of(disk_bar(1, usage, MARKS)) == {"start": 85.0, "stop": 75.0}
    free = PressureMarks(DiskMark(free_bytes=20), DiskMark(free_bytes=40))
    assert marks_of(disk_bar(1, usage, free)) == {"start": 80.0, "stop": 60.0}


def test_the_bar_of_a_day_is_in_proportion_to_its_bytes() -> None:
    days = [Day(f"2026-11-{number:02}", freed, 1, 0) for number, freed in ((19, 0), (20, 50), (21, 100))]
    svg = days_chart(days)
    heights = [height for _, _, height in (*bars_of(svg, "day"), *bars_of(svg, "today"))]
    assert heights == [2.0, 35.0, 70.0]
    assert label_of(svg) == "Freed on the last 3 days: 2026-11-20 50 B, 2026-11-21 100 B"


def test_days_without_removals_have_a_text() -> None:
    assert label_of(days_chart([Day("2026-11-21", 0, 0, 0)])) == "Freed on the last 1 day: nothing"


def a_removal(in_seconds: float, frees: int = 1_000) -> PlannedRemoval:
    return PlannedRemoval("app:1", "sha256:1", 1_000.0 + in_seconds, frees)


class TestTimeline:
    def test_due_removals_are_a_mark_of_their_own_at_the_start(self) -> None:
        svg = timeline([a_removal(0), a_removal(-50), a_removal(3 * DAY)], PICTURE)
        assert len(bars_of(svg, "now")) == len(bars_of(svg, "later")) == 1
        assert bars_of(svg, "now")[0][1] < bars_of(svg, "later")[0][0]

    def test_later_removals_are_visible_beside_any_amount_of_due_bytes(self) -> None:
        svg = timeline([a_removal(0, 10**12), a_removal(HOUR, 1_000), a_removal(DAY, 500)], PICTURE)
        assert [height for _, _, height in bars_of(svg, "later")] == [88.0, 44.0]

    def test_later_removals_are_further_to_the_right(self) -> None:
        bars = bars_of(timeline([a_removal(at) for at in (HOUR, 6 * HOUR, DAY, 7 * DAY, 29 * DAY)], PICTURE), "later")
        assert all(left[1] < right[0] for left, right in pairwise(bars))
        assert len(bars) == 5

    @pytest.mark.parametrize("days", [0.01, 1, 6.9, 30, 89, 364, 4_000, 400_000])
    def test_any_time_has_a_place_on_the_axis(self, days: float) -> None:
        svg = timeline([a_removal(days * DAY)], PICTURE)
        assert all(right <= 100 for _, right, _ in bars_of(svg, "later"))

    def test_it_has_a_text(self) -> None:
        removals = [a_removal(0, 5), a_removal(HOUR, 10), a_removal(2 * DAY, 100)]
        assert label_of(timeline(removals, PICTURE)) == (
            "Removals over time: 5 B now, 15 B within an hour, 15 B within a day, 115 B within a week"
        )

    @given(st.floats(0.01, 4_000), st.sampled_from((_LABEL, _LABEL_ON_PHONES)))
    def test_labels_do_not_overlap(self, days: float, width: float) -> None:
        svg = timeline([a_removal(days * DAY)], PICTURE)
        labels = re.findall(r'<text x="([\d.]+)%" y="\d+" text-anchor="(\w+)"( class="wide")?', svg)
        shown = [(float(x), anchor) for x, anchor, wide in labels if width == _LABEL or not wide]
        before = {"start": 0.0, "middle": 50 * width, "end": 100 * width}
        spans = [(x - before[anchor], x - before[anchor] + 100 * width) for x, anchor in shown]
        assert all(right <= left + 0.02 for (_, right), (left, _) in pairwise(spans))
        assert shown[0] == (0.0, "start")


def test_figures_have_no_inline_style(tmp_path: Path) -> None:
    for svg in (
        disk_bar(1, DiskUsage(2, 1), MARKS),
        days_chart([Day("x", 1, 1, 0)]),
        timeline([a_removal(0)], PICTURE),
    ):
        assert "style=" not in svg
