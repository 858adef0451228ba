"""Images, containers and their relations in one observation."""

from __future__ import annotations

import pytest

from controller.plan.memory.observation import Store
from tests.builders import a_container, an_id, an_image, an_observation

APP, OTHER = an_image("app:1", digests=["app@sha256:" + "d" * 64]), an_image("other:1")


@pytest.mark.parametrize("state", ["created", "running", "paused", "restarting", "exited", "dead", "removing", ""])
def test_a_container_in_any_state_uses_its_image(state: str) -> None:
    container = a_container(APP, state=state)
    assert an_observation([APP], [container]).users == {APP.id: (container,)}


@pytest.mark.parametrize(
    "created_from",
    ["app:1", "app@sha256:" + "d" * 64, "app:1@sha256:" + "d" * 64, an_id("app:1"), an_id("app:1")[7:15], "other:1"],
)
def test_the_name_that_it_was_created_from_has_no_effect(created_from: str) -> None:
    """Engines show an ID there after the name has moved, and there are six spellings."""
    assert an_observation([APP, OTHER], [a_container(APP, created_from=created_from)]).users.keys() == {APP.id}


@pytest.mark.parametrize("mounted", ["app:1", "docker.io/library/app:1", "app@sha256:" + "d" * 64, an_id("app:1")])
def test_a_container_uses_what_it_mounts(mounted: str) -> None:
    container = a_container(OTHER, mounts=[mounted])
    assert an_observation([APP, OTHER], [container]).users == {OTHER.id: (container,), APP.id: (container,)}


def test_a_container_is_listed_once_for_an_image() -> None:
    container = a_container(APP, mounts=["app:1", "app:1"])
    assert an_observation([APP], [container]).users == {APP.id: (container,)}


def test_an_image_that_is_not_listed_can_be_in_use() -> None:
    """Docker 26's containerd store hides it after its tag has moved."""
    assert an_id("hidden") in an_observation([APP], [a_container("hidden")]).users


def test_children_are_listed_by_parent_where_the_engine_refuses_its_removal() -> None:
    child, stranger = an_image("child:1", parent="app:1"), an_image("stranger:1", parent="elsewhere")
    assert an_observation([APP, child, stranger]).children == {APP.id: (child.id,)}
    assert an_observation([APP, child], store=Store.CONTAINERD).children == {}
