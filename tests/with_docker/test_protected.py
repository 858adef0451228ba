"""Protected images are kept on every engine, although a rule covers them and nothing uses them."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from tests.with_docker import containers, images
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine

APP, OTHER = "site.local/app:1", "other.local/app:1"


def test_the_operators_pattern_protects_all_names_of_an_image(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path
) -> None:
    images.load_image(docker_api, APP, "also.local/app:1")
    images.load_image(docker_api, OTHER, variant="other")
    with on_engine(engine, docker_api, tmp_path, protected=("site.local/*:*",)) as controller:
        controller.run_pass_later()
    assert controller.left == {APP, "also.local/app:1"}
    assert controller.verdicts["also.local/app:1"].detail == "protected by --protect site.local/*:*"


def test_the_label_protects(engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path) -> None:
    images.load_image(docker_api, APP, labels={"image-controller.keep": "true"})
    images.load_image(docker_api, OTHER, labels={"image-controller.keep": "false"})
    with on_engine(engine, docker_api, tmp_path) as controller:
        controller.run_pass_later()
    assert controller.left == {APP}
    assert controller.reasons(APP) == ["PROTECTED"]


@pytest.mark.parametrize(
    "name",
    [
        "openhorizon/amd64_anax:2.31.0",
        "openhorizon/arm64_cloud-sync-service:1.10.1",
        "docker.io/openhorizon/ppc64le_anax:1",
    ],
)
def test_the_agents_own_images_are_protected(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path, name: str
) -> None:
    images.load_image(docker_api, name)
    with on_engine(engine, docker_api, tmp_path) as controller:
        controller.run_pass_later()
    assert {verdict.reason.value for verdict in controller.verdicts.values()} == {"PROTECTED"}
    assert len(controller.left) == 1


def test_the_whole_repository_of_our_own_container_is_protected(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path
) -> None:
    images.load_image(docker_api, "us.local/imagectl:2")
    images.load_image(docker_api, "us.local/imagectl:1", variant="older")
    images.load_image(docker_api, APP, variant="other")
    own = containers.run(docker_api, "us.local/imagectl:2")
    with on_engine(engine, docker_api, tmp_path, own_container=own) as controller:
        controller.run_pass_later()
    assert controller.left == {"us.local/imagectl:1", "us.local/imagectl:2"}
    assert controller.reasons("us.local/imagectl:1") == ["PROTECTED"]


def test_our_own_image_is_protected_after_its_tag_has_moved(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path
) -> None:
    images.load_image(docker_api, "us.local/imagectl:1", variant="older")
    own = containers.run(docker_api, "us.local/imagectl:1")
    images.load_image(docker_api, "us.local/imagectl:1", variant="newer")
    with on_engine(engine, docker_api, tmp_path, own_container=own) as controller:
        controller.run_pass_later()
    assert controller.left == {"us.local/imagectl:1"}


def test_a_swarm_managers_service_images_are_protected(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path
) -> None:
    if engine.is_podman:
        pytest.skip("Podman has no swarm")
    images.load_image(docker_api, APP)
    images.load_image(docker_api, OTHER, variant="other")
    docker_api.init_swarm(advertise_addr="127.0.0.1", listen_addr="127.0.0.1")
    try:
        template = docker.types.TaskTemplate(docker.types.ContainerSpec(APP, command=["/wait"]))
        scale = docker.types.ServiceMode("replicated", replicas=0)
        service = docker_api.create_service(template, name="one", mode=scale)  # type: ignore[no-untyped-call]
        with on_engine(engine, docker_api, tmp_path) as controller:
            controller.run_pass_later()
        docker_api.remove_service(service["ID"])  # type: ignore[no-untyped-call]
    finally:
        docker_api.leave_swarm(force=True)
    assert controller.left == {APP}
    assert controller.verdicts[APP].detail == "used by a swarm service"
