"""The start of a document: the offset of each node, and written starts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.instant import Instant
from controller.plan.memory.ledger_clock import WALL_IS_TRUSTED_AFTER_SECONDS, LedgerClock
from controller.plan.memory.memory import TextRecord
from controller.plan.scope.window import expected_from, has_started, in_force_from, offset_seconds

DAY = 86_400
NODES = [f"myorg/gw-{number:05}" for number in range(10_000)]
START = datetime(2027, 1, 31, 22, tzinfo=UTC)

# Chi-square with 99 degrees of freedom is above (below) these values once in a thousand times.
MOST_UNEVEN, MOST_EVEN = 148.2, 60.9


def chi_square(offsets: list[float], window: int, bins: int = 100) -> float:
    counts = [0] * bins
    for offset in offsets:
        counts[int(offset / window * bins)] += 1
    expected = len(offsets) / bins
    return sum((count - expected) ** 2 / expected for count in counts)


def correlation(xs: list[float], ys: list[float]) -> float:
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return covariance / sqrt(sum((x - mean_x) ** 2 for x in xs) * sum((y - mean_y) ** 2 for y in ys))


@pytest.mark.parametrize("window", [60, DAY, 30 * DAY])
@pytest.mark.parametrize("document", ["old-images", "myorg/sweep", "ü"])
def test_ten_thousand_nodes_are_spread_evenly(document: str, window: int) -> None:
    offsets = [offset_seconds(node, document, window) for node in NODES]
    assert MOST_EVEN < chi_square(offsets, window) < MOST_UNEVEN


@pytest.mark.parametrize("document", ["old-images", "myorg/sweep"])
def test_nodes_that_have_only_an_identity_are_spread_as_evenly(document: str) -> None:
    offsets = [offset_seconds(f"/{number:032x}", document, DAY) for number in range(10_000)]
    assert MOST_EVEN < chi_square(offsets, DAY) < MOST_UNEVEN


def test_neighbours_do_not_start_together() -> None:
    offsets = [offset_seconds(node, "old-images", DAY) for node in NODES]
    gaps = [abs(one - next_one) for one, next_one in pairwise(offsets)]
    assert sum(gaps) / len(gaps) == pytest.approx(DAY / 3, rel=0.03)


def test_a_node_is_not_first_for_every_document() -> None:
    one = [offset_seconds(node, "a", DAY) for node in NODES]
    other = [offset_seconds(node, "b", DAY) for node in NODES]
    assert abs(correlation(one, other)) < 0.03


def test_no_second_has_more_than_a_handful_of_nodes() -> None:
    seconds = Counter(int(offset_seconds(node, "a", 6 * 3600)) for node in NODES)
    assert max(seconds.values()) < 8


@given(node=st.text(), document=st.text(), window=st.integers(1, 2**53))
def test_the_offset_lies_in_the_window_and_never_changes(node: str, document: str, window: int) -> None:
    offset = offset_seconds(node, document, window)
    assert 0 <= offset <= window
    assert offset_seconds(node, document, window) == offset


@given(node=st.text(), document=st.text())
def test_without_a_window_there_is_no_offset(node: str, document: str) -> None:
    assert offset_seconds(node, document, 0) == 0.0


def test_the_offset_is_the_same_in_every_version_of_this_program() -> None:
    """A release that changed it would change the offset of every node."""
    assert offset_seconds("myorg/gw-1", "old-images", DAY) == pytest.approx(15802.880715789492)


# ── written starts ────────────────────────────────────────────────────────────────────────────────────────────────────


def a_clock(wall: float, steady_for: float = WALL_IS_TRUSTED_AFTER_SECONDS) -> LedgerClock:
    return LedgerClock(1000.0, Instant(wall, "boot", 5000.0), steady_since=5000.0 - steady_for)


def test_now_has_started_on_any_clock() -> None:
    assert has_started(None, LedgerClock())
    assert has_started(None, a_clock(0.0, steady_for=0.0))


@pytest.mark.parametrize(
    ("seconds_after", "steady_for", "started"),
    [(-1, 600, False), (0, 600, True), (1, 600, True), (0, 599, False), (1e9, 599, False), (1e9, 0, False)],
)
def test_a_written_start_counts_once_a_trusted_wall_clock_has_passed_it(
    seconds_after: float, steady_for: float, started: bool
) -> None:
    assert has_started(START, a_clock(START.timestamp() + seconds_after, steady_for)) is started


def test_before_the_first_pass_no_written_start_has_passed() -> None:
    assert not has_started(START, LedgerClock())


def test_in_force_is_the_start_and_the_offset() -> None:
    text = TextRecord(first_seen=100.0, last_present=100.0, started_at=200.0, text="")
    assert in_force_from(text, 50.0) == 250.0
    assert in_force_from(TextRecord(100.0, 100.0, None, ""), 50.0) is None


def test_a_future_start_is_estimated_by_a_trusted_wall_clock() -> None:
    waiting = TextRecord(first_seen=100.0, last_present=100.0, started_at=None, text="")
    clock = a_clock(START.timestamp() - 3600.0)
    assert expected_from(START, waiting, 50.0, clock) == pytest.approx(clock.seconds + 3600.0 + 50.0)
    passed_but_not_believed = a_clock(START.timestamp() + 10.0, steady_for=0.0)
    assert expected_from(START, waiting, 50.0, passed_but_not_believed) == pytest.approx(clock.seconds + 600.0 + 50.0)
