"""Intents, and the results of open intents after a restart."""

from __future__ import annotations

import pytest

from controller.plan.verdict.removal import UNKNOWN_BYTES, Intent, Outcome, intent_of, resolved
from controller.plan.verdict.verdict import Reason, Verdict
from tests.builders import a_rule, an_id, an_image, an_observation

APP = an_image("app:1")
DUE = Verdict(APP.id, "app:1", "app:1", Reason.DUE, a_rule("*", document="old", number=2))


def test_an_intent_says_what_by_which_rule_of_which_text() -> None:
    assert intent_of(DUE, 60.0, 1_000) == Intent(APP.id, "app:1", "app:1", "old", 2, "text of old", 60.0, 1_000)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.DUE])
def test_only_a_due_verdict_requests_a_removal(reason: Reason) -> None:
    with pytest.raises(ValueError, match="app:1 is not due"):
        intent_of(Verdict(APP.id, "app:1", "app:1", reason, a_rule("*")), 60.0, 1_000)


def an_intent(reference: str, target: str = "") -> Intent:
    return Intent(APP.id, reference, target or reference, "old", 0, "text", 1.0, 1)


def test_after_a_restart_what_is_absent_was_removed_and_its_bytes_are_unknown() -> None:
    (removal,) = resolved([an_intent("app:1")], an_observation())
    assert (removal.outcome, removal.freed) == (Outcome.REMOVED, UNKNOWN_BYTES)


def test_a_name_that_is_gone_from_an_image_that_is_not_was_untagged() -> None:
    (removal,) = resolved([an_intent("app:2")], an_observation([APP]))
    assert removal.outcome is Outcome.UNTAGGED


@pytest.mark.parametrize("intent", [an_intent("app:1"), an_intent(an_id("app:1"), an_id("app:1"))])
def test_an_intent_whose_reference_exists_has_no_result(intent: Intent) -> None:
    assert resolved([intent], an_observation([APP])) == []


def test_a_name_that_moved_to_another_image_is_gone_from_this_one() -> None:
    (removal,) = resolved([an_intent("app:1")], an_observation([an_image("app:1", id="new")]))
    assert removal.outcome is Outcome.REMOVED


def test_an_image_that_is_gone_with_two_names_was_removed_once() -> None:
    outcomes = [removal.outcome for removal in resolved([an_intent("app:1"), an_intent("app:2")], an_observation())]
    assert outcomes == [Outcome.UNTAGGED, Outcome.REMOVED]


def test_the_reference_shows_the_result_of_a_removal_and_not_the_sent_id() -> None:
    (removal,) = resolved([an_intent("app:2", target=APP.id)], an_observation([APP]))
    assert removal.outcome is Outcome.UNTAGGED
