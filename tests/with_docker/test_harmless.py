"""An image that a container uses keeps all its references, on every engine, in every state of the container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from controller.image.reference import image_id
from tests.fakes import a_removal
from tests.with_docker import containers, images
from tests.with_docker.images import Layer
from tests.with_docker.on_engine import OnEngine, image_ids, on_engine
from tests.with_docker.private_engine import PrivateEngine

APP, ALSO, OTHER = "site.local/app:1", "site.local/app:2", "other.local/app:1"


@pytest.fixture
def controller(engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path) -> Iterator[OnEngine]:
    with on_engine(engine, docker_api, tmp_path) as controller:
        yield controller


def _created(api: docker.APIClient) -> None:
    containers.create(api, APP)


def _running(api: docker.APIClient) -> None:
    containers.run(api, APP)


def _paused(api: docker.APIClient) -> None:
    containers.pause(api, containers.run(api, APP))


def _exited(api: docker.APIClient) -> None:
    containers.run_briefly(api, APP)


def _made_by_id(api: docker.APIClient) -> None:
    containers.create(api, images.image_id(api, APP))


@pytest.mark.parametrize("use", [_created, _running, _paused, _exited, _made_by_id])
def test_an_image_in_use_keeps_all_its_names(controller: OnEngine, use: Callable[[docker.APIClient], None]) -> None:
    images.load_image(controller.api, APP, ALSO, OTHER)
    use(controller.api)

    controller.run_pass_later()

    assert controller.reasons(APP, ALSO, OTHER) == ["IN_USE"] * 3
    assert controller.left == {APP, ALSO, OTHER}


def test_an_image_is_removed_after_its_last_container(controller: OnEngine) -> None:
    images.load_image(controller.api, APP, ALSO)
    container = containers.run(controller.api, APP)
    controller.run_pass_later()
    containers.remove(controller.api, container)

    controller.run_pass_later()

    assert controller.left == set()


def test_an_image_is_removed_only_after_the_settle_time(controller: OnEngine) -> None:
    images.load_image(controller.api, APP)
    controller.catch_up()
    controller.run_pass()
    controller.clock.elapse(590)
    controller.run_pass()
    assert controller.reasons(APP) == ["SETTLING"]
    controller.clock.elapse(11)
    controller.run_pass()
    assert controller.came_of == {APP: "removed"}


def test_a_dead_container_counts_as_use(controller: OnEngine, engine: PrivateEngine) -> None:
    images.load_image(controller.api, APP, ALSO)
    container = containers.create(controller.api, APP)
    if engine.is_podman:
        pytest.skip("Podman has no dead containers")
    with containers.dead(controller.api, container, engine.folder / "data"):
        controller.run_pass_later()
    assert controller.left == {APP, ALSO}


def test_an_image_that_is_mounted_keeps_all_its_names(controller: OnEngine) -> None:
    images.load_image(controller.api, APP)
    images.load_image(controller.api, OTHER, ALSO, variant="mounted")
    if not containers.can_mount_images(controller.api):
        pytest.skip("this engine cannot mount images")
    controller.api.start(containers.create(controller.api, APP, mounted_image=OTHER))

    controller.run_pass_later()

    assert controller.reasons(OTHER, ALSO) == ["IN_USE"] * 2
    assert controller.left == {APP, OTHER, ALSO}


def test_a_mounted_image_whose_tag_moves_is_kept(controller: OnEngine) -> None:
    """The engine shows only the name of a mount, and removes the image that it meant without an error."""
    images.load_image(controller.api, APP)
    mounted = images.load_image(controller.api, OTHER, variant="mounted")
    if not containers.can_mount_images(controller.api):
        pytest.skip("this engine cannot mount images")
    containers.create(controller.api, APP, mounted_image=OTHER)
    controller.run_pass_later()
    images.load_image(controller.api, OTHER, variant="newer")

    controller.run_pass_later()

    assert controller.has(mounted)


def test_an_image_in_use_whose_tag_has_moved_is_kept(controller: OnEngine) -> None:
    old = images.load_image(controller.api, APP, variant="old")
    container = containers.run(controller.api, APP)
    images.load_image(controller.api, APP, variant="new")

    controller.run_pass_later()

    assert controller.left == set()
    containers.stop(controller.api, container)
    controller.api.start(container)
    assert controller.api.inspect_container(container)["Image"].endswith(old.removeprefix("sha256:"))


def test_the_parent_of_an_image_in_use_says_that_it_has_children(controller: OnEngine) -> None:
    images.build(controller.api, "parent.local/base:1", "scratch", Layer("one"))
    images.build(controller.api, APP, "parent.local/base:1", Layer("two"), Layer("three"))
    containers.create(controller.api, APP)

    controller.run_pass_later()

    assert controller.left >= {APP}
    if not controller.is_graph_driver:
        pytest.skip("only graph drivers refuse to remove a parent; the image in use was kept")
    assert controller.left == {APP, "parent.local/base:1"}
    assert controller.reasons("parent.local/base:1") == ["HAS_CHILDREN"]


def test_children_are_removed_before_their_parents_in_one_pass(controller: OnEngine) -> None:
    images.build(controller.api, "parent.local/base:1", "scratch", Layer("one"))
    for number in range(3):
        images.build(
            controller.api, f"site.local/app:{number}", "parent.local/base:1", Layer("two"), Layer(f"{number}")
        )

    controller.run_pass_later()

    assert set(controller.came_of.values()) == {"removed"}
    assert controller.api.images(all=True) == []


def test_no_parent_is_pruned_with_a_child(engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path) -> None:
    """A bare parent is removed by a rule that covers it (`*`), or it is kept."""
    images.build(docker_api, "parent.local/base:1", "scratch", Layer("one"))
    child = images.build(docker_api, APP, "parent.local/base:1", Layer("two"), Layer("three"))
    kept = image_ids(docker_api)
    if not engine.is_podman4:  # it would delete the bare parent too, so the child waits
        kept -= {image_id(child)}
    with on_engine(engine, docker_api, tmp_path, a_removal("site.local/app:*")) as controller:
        controller.run_pass_later()
        controller.run_pass_later()
    assert image_ids(docker_api) == kept
