"""When to try again: arithmetic on the ledger's clock."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.backoff import LONGEST_SECONDS, SHORTEST_SECONDS, attempts_after, backoff_seconds
from controller.plan.memory import Attempt, AttemptKey, Setback
from controller.plan.removal import NOTHING_FREED, Intent, Outcome, Removal
from tests.builders import an_id

KEY = (an_id("app:1"), "app:1")


def a_removal_that(outcome: Outcome) -> Removal:
    return Removal(Intent(*KEY, "app:1", "doc", 0, "text", 1.0, 1), outcome, NOTHING_FREED, 0.0, "why")


def tried(*outcomes: Outcome, situations: str = "", luck: float = 0.0) -> Attempt | None:
    """The attempt that is left after these outcomes; `situations` has a letter for each, the same one if empty."""
    known: Mapping[AttemptKey, Attempt] = {}
    for number, outcome in enumerate(outcomes):
        situation = situations[number] if situations else "same"
        known = attempts_after(known, [a_removal_that(outcome)], {KEY[0]: situation}.__getitem__, 100.0, lambda: luck)
    return known.get(KEY)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 5), (2, 10), (3, 20), (9, 1280), (10, 1800), (11, 1800), (5000, 1800)]
)
def test_it_doubles_from_five_seconds_to_half_an_hour(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures) == seconds


def test_a_failure_waits_by_the_number_of_failures_in_a_row() -> None:
    attempt = tried(Outcome.FAILED, Outcome.FAILED, Outcome.FAILED)
    assert attempt == Attempt(Setback.FAILED, "why", 3, 120.0, "same")


def test_a_refusal_is_an_answer_and_waits_the_longest() -> None:
    attempt = tried(Outcome.REFUSED)
    assert attempt == Attempt(Setback.REFUSED, "why", 1, 100.0 + LONGEST_SECONDS, "same")


@pytest.mark.parametrize("outcome", [Outcome.REMOVED, Outcome.UNTAGGED, Outcome.GONE])
def test_a_success_ends_it(outcome: Outcome) -> None:
    assert tried(Outcome.FAILED, outcome) is None


def test_a_change_of_the_situation_begins_anew() -> None:
    attempt = tried(Outcome.FAILED, Outcome.FAILED, Outcome.FAILED, situations="aab")
    assert attempt is not None
    assert (attempt.failures, attempt.retry_at) == (1, 100.0 + SHORTEST_SECONDS)


def test_others_are_left_as_they_are() -> None:
    other = {(an_id("other"), "other:1"): Attempt(Setback.FAILED, "", 1, 1.0, "")}
    assert attempts_after(other, [a_removal_that(Outcome.REMOVED)], lambda _: "", 100.0, lambda: 0.0) == other


@given(st.floats(0, 1), st.integers(1, 50))
def test_jitter_only_ever_adds_and_at_most_a_fifth(luck: float, failures: int) -> None:
    attempt = tried(*[Outcome.FAILED] * failures, luck=luck)
    assert attempt is not None
    wait = attempt.retry_at - 100.0
    assert backoff_seconds(failures) <= wait <= 1.2 * backoff_seconds(failures) + 1e-9
