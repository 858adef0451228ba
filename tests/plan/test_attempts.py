"""When a removal that came to nothing still counts, and what is worth telling of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.image.image import Container, Image
from controller.plan.attempts import is_news, situation_of
from controller.plan.memory import Attempt, Setback
from controller.plan.removal import NOTHING_FREED, Intent, Outcome, Removal
from tests.builders import a_container, an_id, an_image, an_observation

APP = an_image("app:1", digests=["app@sha256:" + "d" * 64])
INTENT = Intent(APP.id, "app:1", "app:1", "doc", 0, "text", 1.0, 1)


def situation(image: Image = APP, containers: tuple[Container, ...] = (), children: tuple[Image, ...] = ()) -> str:
    return situation_of(image, an_observation([image, *children], containers))


def test_the_same_look_is_the_same_situation() -> None:
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
def test_the_first_outcome_is_news(outcome: Outcome) -> None:
    assert is_news(Removal(INTENT, outcome, NOTHING_FREED, 0.0), {})


def test_only_another_setback_than_last_time_is_news() -> None:
    before = {(APP.id, "app:1"): Attempt(Setback.REFUSED, "in use", 1, 0.0, "")}
    assert not is_news(Removal(INTENT, Outcome.REFUSED, NOTHING_FREED, 0.0), before)
    assert is_news(Removal(INTENT, Outcome.FAILED, NOTHING_FREED, 0.0), before)
    assert is_news(Removal(INTENT, Outcome.REMOVED, NOTHING_FREED, 0.0), before)
