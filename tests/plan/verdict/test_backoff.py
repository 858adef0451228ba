"""The time of a retry, on the ledger clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.image import Container, Image
from controller.plan.memory.memory import Attempt, AttemptKey, Setback
from controller.plan.memory.observation import situation_of
from controller.plan.verdict.backoff import LONGEST_SECONDS, SHORTEST_SECONDS, attempts_after, backoff_seconds, is_news
from controller.plan.verdict.removal import NOTHING_FREED, Intent, Outcome, Removal
from tests.builders import a_container, an_id, an_image, an_observation

KEY = (an_id("app:1"), "app:1")


def a_removal_that(outcome: Outcome) -> Removal:
    return Removal(Intent(*KEY, "app:1", "doc", 0, "text", 1.0, 1), outcome, NOTHING_FREED, 0.0, "why")


def tried(*outcomes: Outcome, situations: str = "", jitter: float = 0.0) -> Attempt | None:
    """The attempt that is left after these outcomes; `situations` has a letter for each, the same one if empty."""
    known: Mapping[AttemptKey, Attempt] = {}
    for number, outcome in enumerate(outcomes):
        situation = situations[number] if situations else "same"
        known = attempts_after(known, [a_removal_that(outcome)], {KEY[0]: situation}.__getitem__, 100.0, lambda: jitter)
    return known.get(KEY)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 5), (2, 10), (3, 20), (9, 1280), (10, 1800), (11, 1800), (5000, 1800)]
)
def test_it_doubles_from_five_seconds_to_half_an_hour(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures) == seconds


def test_a_failure_waits_by_the_number_of_failures_in_a_row() -> None:
    attempt = tried(Outcome.FAILED, Outcome.FAILED, Outcome.FAILED)
    assert attempt == Attempt(Setback.FAILED, "why", 3, 120.0, "same")


def test_a_refusal_waits_for_the_longest_backoff() -> None:
    attempt = tried(Outcome.REFUSED)
    assert attempt == Attempt(Setback.REFUSED, "why", 1, 100.0 + LONGEST_SECONDS, "same")


@pytest.mark.parametrize("outcome", [Outcome.REMOVED, Outcome.UNTAGGED, Outcome.GONE])
def test_a_success_ends_the_backoff(outcome: Outcome) -> None:
    assert tried(Outcome.FAILED, outcome) is None


def test_a_change_of_the_situation_resets_the_backoff() -> None:
    attempt = tried(Outcome.FAILED, Outcome.FAILED, Outcome.FAILED, situations="aab")
    assert attempt is not None
    assert (attempt.failures, attempt.retry_at) == (1, 100.0 + SHORTEST_SECONDS)


def test_other_attempts_are_unchanged() -> None:
    other = {(an_id("other"), "other:1"): Attempt(Setback.FAILED, "", 1, 1.0, "")}
    assert attempts_after(other, [a_removal_that(Outcome.REMOVED)], lambda _: "", 100.0, lambda: 0.0) == other


@given(st.floats(0, 1), st.integers(1, 50))
def test_jitter_only_adds_and_at_most_a_fifth(jitter: float, failures: int) -> None:
    attempt = tried(*[Outcome.FAILED] * failures, jitter=jitter)
    assert attempt is not None
    wait = attempt.retry_at - 100.0
    assert backoff_seconds(failures) <= wait <= 1.2 * backoff_seconds(failures) + 1e-9


APP = an_image("app:1", digests=["app@sha256:" + "d" * 64])
INTENT = Intent(APP.id, "app:1", "app:1", "doc", 0, "text", 1.0, 1)


def situation(image: Image = APP, containers: tuple[Container, ...] = (), children: tuple[Image, ...] = ()) -> str:
    return situation_of(image, an_observation([image, *children], containers))


def test_the_same_observation_is_the_same_situation() -> None:
    assert situation() == situation()


def test_names_containers_children_and_the_image_make_a_situation() -> None:
    others = [
        situation(replace(APP, tags=())),
        situation(replace(APP, digests=())),
        situation(replace(APP, id=an_id("other"))),
        situation(APP, (a_container(APP),)),
        situation(APP, (), (an_image("child:1", parent="app:1"),)),
    ]
    assert len({situation(), *others}) == 6


def test_state_and_name_of_a_container_and_the_order_of_names_do_not() -> None:
    two = an_image("app:1", "app:2")
    assert situation(two) == situation(replace(two, tags=two.tags[::-1]))
    running, stopped = a_container(APP), a_container(APP, state="exited")
    assert situation(APP, (running,)) == situation(APP, (stopped,))


@pytest.mark.parametrize("outcome", Outcome)
def test_the_first_outcome_is_reported(outcome: Outcome) -> None:
    assert is_news(Removal(INTENT, outcome, NOTHING_FREED, 0.0), {})


def test_only_another_setback_than_last_time_is_reported() -> None:
    before = {(APP.id, "app:1"): Attempt(Setback.REFUSED, "in use", 1, 0.0, "")}
    assert not is_news(Removal(INTENT, Outcome.REFUSED, NOTHING_FREED, 0.0), before)
    assert is_news(Removal(INTENT, Outcome.FAILED, NOTHING_FREED, 0.0), before)
    assert is_news(Removal(INTENT, Outcome.REMOVED, NOTHING_FREED, 0.0), before)
