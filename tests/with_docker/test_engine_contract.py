"""The behaviour that the controller relies on, checked on a real engine and on the fake one of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import docker
import pytest

from controller.errors import ImageGone, RemovalFailed, RemovalRefused
from controller.image.reference import ImageId
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.observation import Store
from tests.fake_engine import AGENT_LABELS, FakeEngine, Kind
from tests.fakes import FakeClock
from tests.with_docker.private_engine import PrivateEngine
from tests.with_docker.real_engine import RealEngine

APP, ALSO, OTHER = "site.local/app:1", "site.local/app:2", "other.local/app:1"

World = FakeEngine | RealEngine

_NAMES_NO_IMAGE = "the event of Podman 4.3 names no image; an image that is new counts as used at its first observation"
_NOT_ON_PODMAN_4 = {
    "test_a_load_names_its_image": _NAMES_NO_IMAGE,
    "test_a_pull_names_what_was_pulled_even_if_nothing_was_new": _NAMES_NO_IMAGE,
    "test_an_import_names_its_image": "the API of Podman 4.3 cannot import an image under a name",
}


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest, engine: PrivateEngine) -> Iterator[World]:
    kind = engine.fake_kind
    if engine.is_podman4 and (reason := _NOT_ON_PODMAN_4.get(request.node.originalname)):
        pytest.skip(reason)
    if request.param == "fake":
        yield FakeEngine(FakeClock(), kind)
        return
    api: docker.APIClient = request.getfixturevalue("docker_api")
    real = RealEngine(kind, engine.host, api, request.getfixturevalue("registry"))
    real.take_events()
    yield real
    real.close()


def is_graph_driver(world: World) -> bool:
    return world.kind.store is Store.GRAPH_DRIVER


def is_hidden_once_nameless(world: World) -> bool:
    """The containerd store of Docker 26."""
    return world.kind is Kind.D26_C8D


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_is_listed_with_its_names_its_label_and_its_size(world: World) -> None:
    image = world.load(APP, labels={"image-controller.keep": "true"})
    world.tag(APP, OTHER)

    (listed,) = [each for each in world.port.images().values() if each.id == image]

    assert {name.text for name in listed.tags} == {APP, OTHER}
    assert listed.keep
    assert (listed.size_bytes or 0) > 0


def test_an_image_that_has_not_changed_is_the_same_object(world: World) -> None:
    image = world.load(APP)

    assert world.port.images()[image] is world.port.images()[image]


def test_a_container_has_the_id_of_its_image_and_its_owner(world: World) -> None:
    image = world.load(APP)
    container = world.create(APP, name="one", labels=AGENT_LABELS)

    (listed,) = world.port.containers()

    assert (listed.id, listed.name, listed.image, listed.state) == (container, "one", image, "created")
    assert listed.agent_service
    assert not listed.agent_dev


def test_a_container_has_the_id_of_its_image_after_the_tag_has_moved(world: World) -> None:
    old = world.load(APP, content="old")
    world.create(APP)
    world.load(APP, content="new")

    assert [container.image for container in world.port.containers()] == [old]
    assert (old in world.port.images()) is not is_hidden_once_nameless(world)


def test_an_image_whose_tag_has_moved_has_no_tag(world: World) -> None:
    old = world.pull(f"{world.hub}/app:1", content="old")
    new = world.pull(f"{world.hub}/app:1", content="new")

    images = world.port.images()

    assert [tag.tag for tag in images[new].tags] == ["1"]
    if is_hidden_once_nameless(world):
        assert old not in images
    else:
        assert images[old].tags == ()
        assert bool(images[old].digests) is is_graph_driver(world)


def test_an_image_pulled_by_digest_has_only_that_name(world: World) -> None:
    image = world.pull(f"{world.hub}/app@content")

    listed = world.port.images()[image]

    assert listed.tags == ()
    assert [name.is_digest for name in listed.removable_references] == [True]


def test_a_build_leaves_bare_parents(world: World) -> None:
    base = world.load(APP)
    child = world.build(OTHER, APP, "first", "second")

    images = world.port.images()
    parent = images[child].parent

    assert parent is not None
    assert images[parent].removable_references == ()
    if is_graph_driver(world):
        assert images[parent].parent == base


def test_layers_of_images_with_the_same_first_layers_are_shared(world: World) -> None:
    one, two = world.load(APP, "base", "one"), world.load(ALSO, "base", "two")

    layers_of_one, layers_of_two = world.port.layers(one), world.port.layers(two)

    assert layers_of_one[:-1] == layers_of_two[:-1]
    assert layers_of_one[-1] != layers_of_two[-1]


# ── removing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_removal_of_the_only_tag_deletes_the_image(world: World) -> None:
    image = world.load(APP)

    deleted = world.port.remove(APP)

    assert image.removeprefix("sha256:") in [row.removeprefix("sha256:") for row in deleted]
    assert image not in world.port.images()


def test_the_removal_of_one_of_two_tags_keeps_the_image(world: World) -> None:
    image = world.load(APP)
    world.tag(APP, OTHER)

    assert world.port.remove(APP) == ()
    assert [tag.text for tag in world.port.images()[image].tags] == [OTHER]


def test_a_graph_driver_lists_each_deleted_layer(world: World) -> None:
    going = world.load(APP, "base", "one")
    world.load(ALSO, "base", "two")
    *shared, own = world.port.layers(going)
    before = world.port.store_bytes() if is_graph_driver(world) else 0

    deleted = world.port.remove(APP)

    assert (own.chain in deleted) is is_graph_driver(world)
    assert not {layer.chain for layer in shared} & set(deleted)
    if is_graph_driver(world):
        assert world.port.store_bytes() == before - (own.size_bytes or 0)


@pytest.mark.parametrize("state", ["created", "running", "exited"])
def test_the_only_tag_of_an_image_in_use_is_refused(world: World, state: str) -> None:
    image = world.load(APP)
    a_container_in(world, state)

    with pytest.raises(RemovalRefused):
        world.port.remove(APP)

    assert [tag.text for tag in world.port.images()[image].tags] == [APP]


@pytest.mark.parametrize("state", ["created", "running", "exited"])
def test_a_second_tag_of_an_image_in_use_is_removed_without_an_error(world: World, state: str) -> None:
    world.load(APP)
    world.tag(APP, OTHER)
    a_container_in(world, state)

    assert world.port.remove(APP) == ()
    with pytest.raises(RemovalRefused):
        world.port.remove(OTHER)


def a_container_in(world: World, state: str) -> None:
    container = world.create(APP)
    if state != "created":
        world.start(container)
    if state == "exited":
        world.stop(container)


def test_an_image_without_a_name_is_removed_by_its_id(world: World) -> None:
    image = world.load(content="nameless")

    world.port.remove(image)

    assert image not in world.port.images()


def test_an_image_without_a_name_in_use_is_refused(world: World) -> None:
    image = world.load(content="nameless")
    world.create(image)

    with pytest.raises(RemovalRefused):
        world.port.remove(image)


def test_by_id_an_image_of_two_tags_is_refused(world: World) -> None:
    image = world.load(APP)
    world.tag(APP, ALSO)

    with pytest.raises(RemovalRefused):
        world.port.remove(image)


def test_the_containerd_store_removes_a_tag_with_a_digest_only_while_it_means_that_image(world: World) -> None:
    if world.kind.store is not Store.CONTAINERD:
        pytest.skip("graph drivers ignore the tag, and Podman refuses it")
    old, new = world.load(APP), world.load(OTHER)
    world.tag(APP, ALSO)

    with pytest.raises(ImageGone):
        world.port.remove(f"{ALSO}@{new}")
    assert ALSO in {tag.text for tag in world.port.images()[old].tags}

    assert world.port.remove(f"{ALSO}@{old}") == ()
    assert {tag.text for tag in world.port.images()[old].tags} == {APP}


def test_no_graph_driver_removes_a_parent_before_its_children(world: World) -> None:
    world.load(APP)
    child = world.build(OTHER, APP, "first", "second")
    parent = world.port.images()[child].parent
    assert parent is not None

    if is_graph_driver(world):
        with pytest.raises(RemovalRefused):
            world.port.remove(parent)
    else:
        world.port.remove(parent)

    assert child in world.port.images()


def test_the_removal_of_a_parents_only_tag_keeps_it_without_a_name_except_on_podman(world: World) -> None:
    """Graph drivers report that; the containerd store reports that it is gone."""
    base = world.load(APP)
    world.build(OTHER, APP, "first")

    deleted = world.port.remove(APP)

    if world.kind is Kind.PODMAN:
        assert base not in world.port.images()
    else:
        assert (deleted == ()) is is_graph_driver(world)
        assert world.port.images()[base].removable_references == ()


def test_a_parent_that_the_containerd_store_kept_is_removed_by_its_id(world: World) -> None:
    if world.kind.store is not Store.CONTAINERD:
        pytest.skip("only the containerd store keeps it")
    base = world.load(APP)
    world.build(OTHER, APP, "first")
    world.port.remove(APP)

    world.port.remove(base)

    assert base not in world.port.images()


def test_parents_are_kept_when_their_last_child_is_removed(world: World) -> None:
    base = world.load(APP)
    child = world.build(OTHER, APP, "first", "second")
    parent = world.port.images()[child].parent

    world.port.remove(OTHER)

    assert child not in world.port.images()
    assert base in world.port.images()
    assert parent in world.port.images()


def test_the_removal_of_the_last_tag_removes_the_digest(world: World) -> None:
    image = world.pull(f"{world.hub}/app:1")

    world.port.remove(f"{world.hub}/app:1")

    assert image not in world.port.images()


def test_the_removal_of_the_last_tag_removes_a_digest_that_was_pulled_except_on_podman(world: World) -> None:
    image = world.pull(f"{world.hub}/app@content")
    world.tag(world.port.images()[image].digests[0].text, f"{world.hub}/app:1")

    world.port.remove(f"{world.hub}/app:1")

    assert (image in world.port.images()) is (world.kind is Kind.PODMAN)


def test_the_id_removes_a_tag_and_the_digest_that_was_pulled_except_on_podman(world: World) -> None:
    image = world.pull(f"{world.hub}/app@content")
    world.tag(world.port.images()[image].digests[0].text, f"{world.hub}/app:1")
    seen = world.port.images()[image]

    with suppress(RemovalRefused, RemovalFailed):
        world.port.remove(image)

    assert (image in world.port.images()) is (world.kind is Kind.PODMAN)
    assert seen.names_on_podman == 2 or world.kind is not Kind.PODMAN


def test_the_removal_of_a_digest_removes_the_tags_except_on_a_graph_driver(world: World) -> None:
    image = world.pull(f"{world.hub}/app:1")
    (digest,) = world.port.images()[image].digests

    world.port.remove(digest.text)

    assert (image in world.port.images()) is is_graph_driver(world)


def test_an_image_pulled_by_digest_is_removed_by_digest(world: World) -> None:
    image = world.pull(f"{world.hub}/app@content")
    (digest,) = world.port.images()[image].removable_references

    world.port.remove(digest.text)

    assert image not in world.port.images()


@pytest.mark.parametrize("target", [APP, "site.local/app@sha256:" + "1" * 64, "sha256:" + "1" * 64])
def test_a_missing_image_is_gone(world: World, target: str) -> None:
    with pytest.raises(ImageGone):
        world.port.remove(target)


def test_the_layers_of_a_missing_image_are_gone_too(world: World) -> None:
    with pytest.raises(ImageGone):
        world.port.layers(ImageId("sha256:" + "1" * 64))


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def kinds(events: list[Event]) -> list[EventKind]:
    return list(dict.fromkeys(event.kind for event in events))


def test_a_load_names_its_image(world: World) -> None:
    image = world.load(APP)

    (event,) = world.take_events()

    assert (event.kind, event.image) == (EventKind.LOADED, image)


def test_an_import_names_its_image(world: World) -> None:
    image = world.import_(APP)

    events = world.take_events()

    assert {event.image for event in events} == {image}
    assert {
        Kind.PODMAN: [EventKind.TAGGED],
        Kind.D26_C8D: [EventKind.IMPORTED],
    }.get(world.kind, [EventKind.TAGGED, EventKind.IMPORTED]) == kinds(events)


def test_a_pull_names_what_was_pulled_even_if_nothing_was_new(world: World) -> None:
    name = f"{world.hub}/app:1"
    world.pull(name)
    first = world.take_events()
    image = world.pull(name)

    again = world.take_events()

    assert [(event.kind, event.name) for event in again] == [(EventKind.PULLED, name)]
    assert again[0].image == (image if world.kind is Kind.PODMAN else None)
    # Without an image, the second pull may have moved the name, so it must not be dropped as an equal event.
    assert (again == first) is (world.kind is Kind.PODMAN)


def test_a_pull_by_digest_names_the_digest(world: World) -> None:
    image = world.pull(f"{world.hub}/app@content")

    (event,) = world.take_events()

    assert event.name in {name.text for name in world.port.images()[image].digests}


def test_a_tag_names_image_and_tag(world: World) -> None:
    image = world.load(APP)
    world.take_events()
    world.tag(APP, OTHER)

    assert world.take_events() == [Event(EventKind.TAGGED, image, OTHER)]


def test_a_build_names_what_was_built(world: World) -> None:
    world.load(APP)
    world.take_events()
    image = world.build(OTHER, APP, "first")

    events = world.take_events()

    if world.kind is Kind.PODMAN:
        assert events == [Event(EventKind.BUILT, None, image.removeprefix("sha256:"))]
    else:
        assert Event(EventKind.TAGGED, image, OTHER) in events


def test_a_container_names_its_image_by_what_it_was_created_from(world: World) -> None:
    world.load(APP)
    world.take_events()
    container = world.create(APP, labels=AGENT_LABELS)
    world.start(container)
    at_first = world.take_events()
    world.stop(container)
    world.rm(container)
    at_last = world.take_events()

    assert at_first == [
        Event(EventKind.USED, None, APP, by_agent=True, is_creation=True),
        Event(EventKind.USED, None, APP, by_agent=True),
    ]
    assert at_last == [Event(EventKind.USED, None, APP, by_agent=True)]


def test_a_container_created_from_an_id_names_it(world: World) -> None:
    image = world.load(APP)
    world.take_events()
    world.create(image)

    (event,) = world.take_events()

    assert event.name == (APP if world.kind is Kind.PODMAN else image)


def test_an_untag_is_not_activity(world: World) -> None:
    image = world.load(APP)
    world.tag(APP, OTHER)
    world.take_events()
    world.rmi(OTHER)

    events = world.take_events()

    assert {event.image for event in events} == {image}
    assert not any(event.kind.is_activity for event in events)


def test_a_refused_removal_is_not_activity(world: World) -> None:
    world.load(APP)
    world.create(APP)
    world.take_events()
    with pytest.raises(RemovalRefused):
        world.port.remove(APP)

    events = world.take_events()

    assert kinds(events) == ([EventKind.DELETED] if world.kind is Kind.PODMAN else [])


def test_a_removal_is_an_event(world: World) -> None:
    image = world.load(APP)
    world.take_events()
    world.port.remove(APP)

    events = world.take_events()

    assert {event.image for event in events} == {image}
    assert EventKind.DELETED in kinds(events)
