"""Rows at rest become rows as of now."""

from __future__ import annotations

import pytest

from controller.instant import Instant
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.moments import date, key_of, name_in, to_display

CLOCK = LedgerClock(1_000.0, Instant(1_795_253_400.0, "boot", 5_000.0))


@pytest.mark.parametrize(
    ("at_rest", "now"),
    [
        ({"until": 1_060.0}, {"until_seconds": 60.0, "until": "2026-11-21T09:31:00+00:00"}),
        ({"due_at": 940.0}, {"due_in_seconds": -60.0, "due_at": "2026-11-21T09:29:00+00:00"}),
        ({"due_at": None}, {"due_in_seconds": None, "due_at": None}),
        ({"idle_since": 400.0}, {"idle_seconds": 600.0}),
        ({"idle_since": None}, {"idle_seconds": None}),
        ({"last_used": "in use"}, {"last_used": "in use"}),
        ({"last_used": 1_000.0}, {"last_used": "2026-11-21T09:30:00+00:00"}),
        ({"rules": [{"due_at": None}]}, {"rules": [{"due_in_seconds": None, "due_at": None}]}),
        ({"names": ["a", "b"], "rules": 3}, {"names": ["a", "b"], "rules": 3}),
    ],
)
def test_a_moment_is_told_in_seconds_from_now_and_as_a_date(at_rest: dict[str, object], now: dict[str, object]) -> None:
    assert to_display(at_rest, CLOCK) == now


def test_without_any_pass_there_are_no_dates() -> None:
    assert to_display({"first_seen": 5.0}, LedgerClock()) == {"first_seen": None}


def test_a_clock_so_wrong_that_there_is_no_date_for_it_gives_a_number() -> None:
    assert date(1e20) == "100000000000000000000 s"


def test_a_key_begins_with_the_name_of_its_row() -> None:
    assert name_in(key_of("a name:1", "sha256:0", 3)) == "a name:1"
    assert key_of("a", "b") != key_of("a", "c")
