"""Freed bytes by day."""

from __future__ import annotations

from controller.image.reference import ImageId
from controller.plan.report.history import Today, day_by_day, removal_rows
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    UNKNOWN_BYTES,
    Batch,
    Exactness,
    Freed,
    Intent,
    Outcome,
    Removal,
)

HOUR, DAY = 3_600.0, 86_400.0
NOON = 1_795_262_400.0
"""Of 21 November 2026, UTC."""


def a_removal(ago: float, freed: Freed | int = 0, outcome: Outcome = Outcome.REMOVED, batch: str = "") -> Removal:
    intent = Intent(ImageId("sha256:1"), "app:1", "app:1", "services", 0, "", 60.0, 1_000)
    figure = freed if isinstance(freed, Freed) else Freed(freed, Exactness.EXACT)
    return Removal(intent, outcome, figure, NOON - ago, batch=batch)


def freed_on(days: int, *history: Removal, today: Today = Today(NOON), **batches: Batch) -> list[int]:
    return [day.freed_bytes for day in day_by_day(history, batches, today, days)]


def test_each_removal_counts_on_its_day_and_the_last_day_is_today() -> None:
    assert freed_on(3, a_removal(2 * DAY, 5), a_removal(DAY, 30), a_removal(DAY, 20), a_removal(0, 7)) == [5, 50, 7]


def test_a_day_starts_at_midnight_of_the_hosts_time_zone() -> None:
    one_past_eleven_in_the_evening_utc = a_removal(13 * HOUR, 9)
    assert freed_on(2, one_past_eleven_in_the_evening_utc) == [9, 0]
    assert freed_on(2, one_past_eleven_in_the_evening_utc, today=Today(NOON, 2 * HOUR)) == [0, 9]


def test_a_removal_with_a_future_date_counts_on_no_day() -> None:
    assert freed_on(2, a_removal(-3 * DAY, 9)) == [0, 0]


def test_a_batch_counts_once_on_the_day_of_its_last_removal() -> None:
    history = [a_removal(DAY, FREED_IN_BATCH, batch="b"), a_removal(0, FREED_IN_BATCH, batch="b")]
    assert freed_on(2, *history, b=Batch("b", "services", Freed(40, Exactness.EXACT))) == [0, 40]


def test_an_unknown_figure_is_counted_as_unknown() -> None:
    (day,) = day_by_day([a_removal(0, UNKNOWN_BYTES), a_removal(0, 3)], {}, Today(NOON), 1)
    assert (day.freed_bytes, day.removals, day.unknown, day.date) == (3, 2, 1, "2026-11-21")


def test_a_refusal_is_not_a_removal() -> None:
    (day,) = day_by_day([a_removal(0, 0, Outcome.REFUSED)], {}, Today(NOON), 1)
    assert day.removals == 0


def test_the_start_of_a_day_is_a_midnight_of_the_hosts_time_zone() -> None:
    assert NOON - Today(NOON).beginning(0) == 12 * HOUR
    assert NOON - Today(NOON, 2 * HOUR).beginning(1) == 38 * HOUR


def test_a_removal_is_shown_with_the_figure_of_its_batch() -> None:
    batch = Batch("b", "services", Freed(40, Exactness.LOWER_BOUND))
    (row,) = removal_rows([a_removal(0, FREED_IN_BATCH, batch="b")], {"b": batch})
    assert (row.freed_bytes, row.batch_freed_bytes, row.batch_exactness) == (None, 40, "lower bound")
    assert row.at == "2026-11-21T12:00:00+00:00"
