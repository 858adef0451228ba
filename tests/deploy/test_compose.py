"""deploy/compose.yaml, read and run by Compose 2; and that what it mounts for monitoring fits together."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.deploy.conftest import SOURCE
from tests.with_docker.private_engine import PrivateEngine, free_address, run_script

DEPLOY = SOURCE / "deploy"
ON_THIS_ENGINE = """
services:
  controller:
    network_mode: host # a private engine has no bridge
    ports: !reset []
    environment: {{IMAGECTL_LISTEN: "{listen}"}}
    healthcheck: {{test: [CMD, imagectl, health], interval: 1s}}
"""


@dataclass(frozen=True, slots=True)
class Compose:
    """Compose 2 of Debian, on our file."""

    program: Path
    environment: Mapping[str, str]
    files: tuple[Path, ...] = (DEPLOY / "compose.yaml",)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        files = [word for file in self.files for word in ("--file", str(file))]
        return subprocess.run(
            [self.program, *files, *arguments],
            env={"PATH": os.environ["PATH"], **self.environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def configuration(self, *profiles: str) -> dict[str, Any]:
        """The configuration that results from the file."""
        done = self(*(f"--profile={profile}" for profile in profiles), "config", "--format=json")
        assert (done.returncode, done.stderr) == (0, "")
        return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def program() -> Path:
    """Compose 2, from a root file system of its own."""
    return Path(run_script("root.sh", "compose")) / "usr/libexec/docker/cli-plugins/docker-compose"


@pytest.fixture
def compose(program: Path) -> Compose:
    return Compose(program, {"DOCKER_GID": "999"})


def test_by_default_there_is_the_controller_alone(compose: Compose) -> None:
    assert set(compose.configuration()["services"]) == {"controller"}


@pytest.mark.parametrize(("profile", "services"), [("monitoring", {"prometheus", "grafana"}), ("gitops", {"git-sync"})])
def test_a_profile_adds_its_services(compose: Compose, profile: str, services: set[str]) -> None:
    assert set(compose.configuration(profile)["services"]) == {"controller"} | services


@pytest.mark.parametrize(("shell", "passed"), [({}, (None, None)), ({"IMAGECTL_SETTLE": "1d"}, ("1d", None))])
def test_a_setting_that_the_shell_does_not_set_hides_nothing_in_a_configuration_file(
    program: Path, shell: Mapping[str, str], passed: tuple[str | None, ...]
) -> None:
    controller = Compose(program, {"DOCKER_GID": "999", **shell}).configuration()["services"]["controller"]
    assert tuple(controller["environment"].get(name) for name in ("IMAGECTL_SETTLE", "IMAGECTL_PROTECT")) == passed


def test_without_the_group_of_the_socket_one_line_says_what_to_do(program: Path) -> None:
    done = Compose(program, {})("config")
    assert done.returncode != 0
    assert "set it to the group that owns the socket: stat -c %g /var/run/docker.sock" in done.stderr


def test_all_ports_are_published_on_loopback_only(compose: Compose) -> None:
    services = compose.configuration("monitoring", "gitops")["services"].values()
    published = [port["host_ip"] for service in services for port in service.get("ports", ())]
    assert published == ["127.0.0.1"] * 3


def test_everything_that_it_mounts_from_this_tree_exists(compose: Compose) -> None:
    services = compose.configuration("monitoring", "gitops")["services"].values()
    mounts = [mount for service in services for mount in service["volumes"] if mount["type"] == "bind"]
    sources = {Path(mount["source"]) for mount in mounts} - {Path("/var/run")}
    assert len(sources) == 5
    assert {source for source in sources if not source.exists()} == set()


def test_git_sync_delivers_to_the_folder_that_the_controller_reads(compose: Compose) -> None:
    services = compose.configuration("gitops")["services"]
    git_sync, controller = services["git-sync"], services["controller"]
    assert [mount["source"] for mount in git_sync["volumes"] if mount["target"] == "/git"] == ["delivered"]
    delivered = [mount for mount in controller["volumes"] if mount["source"] == "delivered"]
    assert [(mount["target"], mount["read_only"]) for mount in delivered] == [("/delivered", True)]
    assert (git_sync["environment"]["GITSYNC_ROOT"], git_sync["environment"]["GITSYNC_LINK"]) == ("/git", "current")


@pytest.fixture
def running(
    compose: Compose, engine: PrivateEngine, controller_image: str, tmp_path: Path
) -> Iterator[tuple[Compose, str]]:
    """The project on the private engine, and where its controller listens."""
    listen = free_address()
    override = tmp_path / "override.yaml"
    override.write_text(ON_THIS_ENGINE.format(listen=listen))
    socket = engine.host.removeprefix("unix://")
    environment = {
        "DOCKER_HOST": engine.host,
        "DOCKER_SOCKET_FOLDER": str(Path(socket).parent),
        "DOCKER_SOCKET_NAME": Path(socket).name,
        "DOCKER_GID": str(Path(socket).stat().st_gid),
        "IMAGE_CONTROLLER_IMAGE": controller_image,
    }
    project = Compose(compose.program, environment, (*compose.files, override))
    yield project, listen
    done = project("down", "--volumes", "--timeout=15")
    assert done.returncode == 0, done.stderr


def test_the_controller_comes_up_healthy(running: tuple[Compose, str]) -> None:
    project, listen = running
    done = project("up", "--detach", "--no-build", "--wait")
    assert done.returncode == 0, done.stderr
    as_prometheus_asks = Request(f"http://{listen}/metrics", headers={"Host": "controller:9847"})
    with urlopen(as_prometheus_asks) as answer:
        assert "image_controller_engine_up 1.0" in answer.read().decode()


def test_prometheus_finds_its_configuration_and_its_rules_valid(compose: Compose, tmp_path: Path) -> None:
    """In a folder with the layout of the mounts."""
    for mount in compose.configuration("monitoring")["services"]["prometheus"]["volumes"]:
        if mount["type"] == "bind":
            inside = tmp_path / Path(mount["target"]).relative_to("/etc/prometheus")
            inside.symlink_to(mount["source"])
    done = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yaml"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule files found" in done.stdout or "rules found" in done.stdout, done.stdout


def test_the_sample_scrape_configuration_is_valid() -> None:
    file = SOURCE / "manifests" / "prometheus" / "scrape.yaml"
    assert subprocess.run(["promtool", "check", "config", file], check=False, capture_output=True).returncode == 0


def test_grafana_reads_a_folder_that_holds_the_dashboard(compose: Compose) -> None:
    provisioning = DEPLOY / "monitoring" / "grafana"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "image-controller.yaml").read_text())["providers"]
    mounts = compose.configuration("monitoring")["services"]["grafana"]["volumes"]
    (folder,) = [Path(mount["source"]) for mount in mounts if mount["target"] == provider["options"]["path"]]
    assert [json.loads(file.read_text())["title"] for file in folder.glob("*.json")]
