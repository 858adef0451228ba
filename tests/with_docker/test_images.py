"""The test images are as declared on every engine: names, sharing, parents, digests, and containers that run."""

from __future__ import annotations

from contextlib import suppress

import docker
import pytest
from docker.errors import APIError

from tests.deploy.waiting import eventually
from tests.with_docker import containers, images
from tests.with_docker.images import Layer, Recipe, StreamError
from tests.with_docker.private_engine import PrivateEngine


def test_an_image_has_the_names_and_labels_of_its_recipe(docker_api: docker.APIClient) -> None:
    images.load_image(docker_api, "shop/app:1", "shop/app:2", "other/app:1", labels={"team": "blue"})
    assert images.names_of(docker_api) == {"shop/app:1", "shop/app:2", "other/app:1"}
    assert [row["Labels"] for row in docker_api.images()] == [{"team": "blue"}]


def test_equal_recipes_make_equal_images(docker_api: docker.APIClient) -> None:
    first = images.load_image(docker_api, "a:1")
    assert images.load_image(docker_api, "b:1") == first
    assert images.load_image(docker_api, "c:1", variant="another") != first


def test_an_image_without_a_name_is_listed_by_its_id(docker_api: docker.APIClient) -> None:
    bare = images.load_image(docker_api)
    assert [row["Id"] for row in docker_api.images()] == [bare]
    assert images.names_of(docker_api) == set()


def test_many_images_share_their_layers(docker_api: docker.APIClient) -> None:
    images.load(docker_api, (Recipe((f"many/app:{n}",), variant=str(n)) for n in range(50)))
    assert images.names_of(docker_api) == {f"many/app:{n}" for n in range(50)}
    assert (docker_api.df().get("LayersSize") or 0) < 500_000


def test_a_tag_that_is_loaded_again_moves_to_the_new_image(docker_api: docker.APIClient) -> None:
    old = images.load_image(docker_api, "app:1", variant="old")
    new = images.load_image(docker_api, "app:1", variant="new")
    assert images.image_id(docker_api, "app:1") == new != old


def test_an_imported_image_runs(docker_api: docker.APIClient, engine: PrivateEngine) -> None:
    if engine.is_podman4:
        pytest.skip("the API of Podman 4.3 cannot import an image under a name")
    images.import_image(docker_api, "imported:1", Layer("own"))
    assert containers.state_of(docker_api, containers.run(docker_api, "imported:1")) == "running"


def test_a_build_leaves_its_base_as_the_parent(docker_api: docker.APIClient) -> None:
    parent = images.build(docker_api, "parent:1", "scratch", Layer("one"))
    child = images.build(docker_api, "child:1", "parent:1", Layer("two"))
    assert images.inspect(docker_api, child)["Parent"].removeprefix("sha256:") == parent.removeprefix("sha256:")


def test_a_committed_container_is_an_image_that_runs(docker_api: docker.APIClient) -> None:
    images.load_image(docker_api, "app:1")
    containers.commit(docker_api, containers.create(docker_api, "app:1"), "committed:1")
    assert containers.state_of(docker_api, containers.run(docker_api, "committed:1")) == "running"


def test_a_built_image_runs(docker_api: docker.APIClient) -> None:
    images.build(docker_api, "built:1", "scratch", Layer("one"))
    assert containers.state_of(docker_api, containers.run(docker_api, "built:1")) == "running"


def test_a_pull_that_fails_is_an_error(docker_api: docker.APIClient, registry: str) -> None:
    with pytest.raises((StreamError, APIError)):
        images.pull(docker_api, f"{registry}/missing:1")


def test_a_pushed_image_can_be_pulled_by_its_digest(docker_api: docker.APIClient, registry: str) -> None:
    images.load_image(docker_api, f"{registry}/app:1")
    digest = images.push(docker_api, f"{registry}/app:1")
    docker_api.remove_image(f"{registry}/app:1")
    images.pull(docker_api, f"{registry}/app@{digest}")
    assert [row["RepoDigests"] for row in docker_api.images()] == [[f"{registry}/app@{digest}"]]


def test_containers_can_have_every_state(docker_api: docker.APIClient) -> None:
    images.load_image(docker_api, "app:1")
    made = {
        "created": containers.create(docker_api, "app:1"),
        "running": containers.run(docker_api, "app:1"),
        "paused": containers.run(docker_api, "app:1"),
        "exited": containers.run_briefly(docker_api, "app:1"),
    }
    containers.pause(docker_api, made["paused"])
    assert {state: containers.state_of(docker_api, container) for state, container in made.items()} == {
        state: state for state in made
    }


def test_sigterm_ends_a_running_container_which_remains_exited(docker_api: docker.APIClient) -> None:
    images.load_image(docker_api, "app:1")
    container = containers.run(docker_api, "app:1")

    def has_ended() -> bool:
        """The first process of a container ignores a signal until it has a handler for it."""
        with suppress(APIError):  # It is not running any more.
            docker_api.kill(container, "SIGTERM")
        return containers.state_of(docker_api, container) == "exited"

    eventually(has_ended)
    assert docker_api.inspect_container(container)["State"]["ExitCode"] == 0


def test_a_container_that_docker_fails_to_remove_is_dead(docker_api: docker.APIClient, engine: PrivateEngine) -> None:
    if engine.is_podman:
        pytest.skip("Podman has no dead containers")
    images.load_image(docker_api, "app:1")
    container = containers.create(docker_api, "app:1")
    with containers.dead(docker_api, container, engine.folder / "data"):
        assert docker_api.inspect_container(container)["State"]["Dead"]
        assert containers.state_of(docker_api, container) in {"dead", "removing"}
    assert docker_api.containers(all=True) == []


def test_an_image_is_mounted_where_the_engine_supports_it(docker_api: docker.APIClient) -> None:
    images.load_image(docker_api, "app:1")
    images.load_image(docker_api, "tools:1", variant="mounted")
    if not containers.can_mount_images(docker_api):
        with pytest.raises(APIError, match="mount type unknown"):
            containers.create(docker_api, "app:1", mounted_image="tools:1")
        pytest.skip("this engine cannot mount images: it refused")
    containers.create(docker_api, "app:1", mounted_image="tools:1")
    assert [mount["Type"] for mount in docker_api.containers(all=True)[0]["Mounts"]] == ["image"]


def test_images_survive_a_restart_of_the_engine(docker_api: docker.APIClient, engine: PrivateEngine) -> None:
    images.load_image(docker_api, "app:1")
    engine.stop()
    engine.start()
    assert images.names_of(docker_api) == {"app:1"}
