"""The image of deploy/Dockerfile: its content, and its controller on the engine that runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from controller import __version__
from tests.deploy.waiting import eventually
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine, free_address

POLICY = {
    "label": "the controller's own image and another one",
    "enabled": True,
    "image_policy": {
        "removal": [
            {"image_name": name, "delete_after_minutes": 0, "agent_downloaded_only": False}
            for name in ("image-controller:*", "unused:*")
        ]
    },
}


@dataclass(frozen=True, slots=True)
class Running:
    """A container of the controller."""

    api: docker.APIClient
    id: str

    def execute(self, *command: str) -> tuple[int, str]:
        """Run a command in it; returns the exit code and the output."""
        made = self.api.exec_create(self.id, list(command))
        said = self.api.exec_start(made["Id"]).decode()
        return int(self.api.exec_inspect(made["Id"])["ExitCode"]), said

    @property
    def references(self) -> dict[str, str]:
        """Every reference with its verdict."""
        _, said = self.execute("sh", "-c", "imagectl get images -o json 2>&1")
        return {row["reference"]: row["verdict"] for row in json.loads(said)} if said.startswith("[") else {}


@pytest.fixture
def running(
    docker_api: docker.APIClient, engine: PrivateEngine, controller_image: str, tmp_path: Path
) -> Iterator[Running]:
    """Run it as in the README: read-only, without rights, with the engine's socket and the group that owns it."""
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    tmp_path.chmod(0o755)
    socket = Path(engine.host.removeprefix("unix://"))
    host_config = docker_api.create_host_config(
        network_mode="host",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        group_add=[str(socket.stat().st_gid)],
        binds=[f"{socket}:/var/run/docker.sock", f"{tmp_path}:/policies:ro"],
    )
    container = docker_api.create_container(
        controller_image,
        ["run", "--settle", "1s", "--listen", free_address()],
        host_config=host_config,
        environment={},
    )["Id"]
    docker_api.start(container)
    yield Running(docker_api, container)
    docker_api.remove_container(container, force=True, v=True)


@pytest.fixture
def settings(docker_api: docker.APIClient, controller_image: str) -> dict[str, object]:
    """The configuration of the image."""
    return dict(images.inspect(docker_api, controller_image)["Config"])


def test_it_runs_without_privileges_and_has_labels(settings: dict[str, object]) -> None:
    assert settings["User"] == "65532:65532"
    assert settings["Labels"] == {
        "org.opencontainers.image.title": "image-controller",
        "org.opencontainers.image.description": (
            "Removes container images that an edge node no longer needs, by policy"
        ),
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": __version__,
    }


def test_its_health_check_asks_the_controller(settings: dict[str, object]) -> None:
    check = settings["Healthcheck"]
    assert isinstance(check, dict)
    assert check["Test"] == ["CMD", "imagectl", "health"]


def test_it_adds_little_to_its_base_and_has_no_compiler_and_no_pip(
    docker_api: docker.APIClient, controller_image: str, running: Running
) -> None:
    base, own = (images.inspect(docker_api, name)["Size"] for name in ("debian-with-python:13", controller_image))
    assert own - base < 20_000_000
    code, said = running.execute("sh", "-c", "command -v gcc cc pip /pip/bin/pip; ls /opt/image-controller/bin")
    assert (code, said.split()) == (0, ["imagectl", "python", "python3", "python3.13"])


def test_it_works_on_the_engine_that_runs_it_and_keeps_its_own_image(
    docker_api: docker.APIClient, controller_image: str, running: Running
) -> None:
    images.load_image(docker_api, "unused:1")
    eventually(lambda: "unused:1" not in images.names_of(docker_api))
    eventually(lambda: "unused:1" not in running.references)
    assert running.references[controller_image] == "PROTECTED"
    assert controller_image in images.names_of(docker_api)


def test_it_is_healthy(running: Running) -> None:
    listen = running.api.inspect_container(running.id)["Args"][-1]
    eventually(lambda: running.execute("imagectl", "health", "--listen", listen) == (0, "ok\n"))
    ready = (0, "ok, engine unix:///var/run/docker.sock (the first socket that exists)\n")
    eventually(lambda: running.execute("imagectl", "health", "--ready", "--listen", listen) == ready)


def test_it_can_write_only_its_ledger(running: Running) -> None:
    eventually(lambda: running.execute("imagectl", "get", "images")[0] == 0)
    code, said = running.execute("sh", "-c", "touch /x /tmp/x /opt/image-controller/x")
    assert (code, said.count("Read-only file system")) == (1, 3)


def test_it_ends_with_exit_code_0(running: Running) -> None:
    eventually(lambda: running.execute("imagectl", "get", "images")[0] == 0)
    running.api.stop(running.id, timeout=15)
    assert running.api.inspect_container(running.id)["State"]["ExitCode"] == 0
