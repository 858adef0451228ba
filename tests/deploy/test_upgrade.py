"""A real installation of version 0.1.0 becomes this version: by install.sh, by the .deb and by the container image."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.deploy.conftest import BASE, SOURCE
from tests.deploy.node import Node, archive_with, booted, import_base, this_tree
from tests.deploy.waiting import eventually
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine

_RELEASE = "1d9fef9"
"""The commit of version 0.1.0."""
_POLICY = """
label: old versions of the bakery
enabled: true
image_policy:
  removal: [{image_name: "bakery:1.*", delete_after_minutes: 0, agent_downloaded_only: false}]
"""
_SETTINGS = '# mine\npolicies = "/etc/image-controller/policies"\n'


@pytest.fixture(scope="module")
def release() -> bytes:
    """The source tree of version 0.1.0 as an archive, in a folder `old`."""
    command = ["git", "-C", str(SOURCE), "archive", "--prefix=old/", _RELEASE]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"the history of this repository is not here, so {_RELEASE} (0.1.0) cannot be installed")
    return done.stdout


@pytest.fixture(scope="module")
def with_release(
    docker_api: docker.APIClient, engine: PrivateEngine, release: bytes, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """An image of a host on which 0.1.0, installed by its own install.sh, has removed bakery:1.0."""
    base = import_base(docker_api, tmp_path_factory.mktemp("base"))
    with booted(docker_api, engine, base, release) as node:
        node.sh("/srv/old/deploy/systemd/install.sh")
        assert "imagectl 0.1.0" in node.sh("imagectl version")
        _let_it_remove(docker_api, node)
        node.sh("systemctl stop image-controller; rm -rf /srv/old")
        docker_api.commit(node.container, "host-with-release", "1")
    return "host-with-release:1"


def _let_it_remove(api: docker.APIClient, node: Node) -> None:
    images.load_image(api, "bakery:1.0")
    images.load_image(api, "bakery:2.0", variant="new")
    node.sh(f"cd /etc/image-controller; cat >config.toml <<'END'\n{_SETTINGS}END")
    node.sh(f"cat >/etc/image-controller/policies/bakery.yaml <<'END'{_POLICY}END")
    node.sh("systemctl restart image-controller")
    eventually(lambda: "bakery:1.0" not in images.names_of(api))
    eventually(lambda: len(json.loads(node.sh("imagectl get removals -o json"))) == 1)


@pytest.fixture
def node(docker_api: docker.APIClient, engine: PrivateEngine, with_release: str) -> Iterator[Node]:
    """A host with 0.1.0; its service runs."""
    with booted(docker_api, engine, with_release, this_tree()) as node:
        node.sh("systemctl start image-controller")
        yield node


def _remembered(node: Node) -> tuple[Any, Any]:
    """The removals in the history, and since when bakery:2.0 is known."""
    removals = json.loads(node.sh("imagectl get removals -o json"))
    rows = json.loads(node.sh("imagectl get images -o json"))
    first_seen = next(row["first_seen"] for row in rows if row["reference"] == "bakery:2.0")
    shown = ("at", "reference", "document", "rule", "outcome", "freed_bytes", "idle_seconds")
    return [{name: each[name] for name in shown} for each in removals], first_seen


def _expect_taken_over(node: Node, before: tuple[Any, Any]) -> None:
    eventually(lambda: node.shown("image-controller", "ActiveState") == "active")
    assert "imagectl 0.1.0" not in node.sh("imagectl version")
    eventually(lambda: "policies in force: 1" in node.shown("image-controller", "StatusText"))
    assert _remembered(node) == before
    assert node.sh("cat /etc/image-controller/config.toml") == _SETTINGS.strip()
    assert node.sh("ls /var/lib/image-controller | grep damaged || true") == ""


def test_install_sh_takes_over_ledger_settings_and_units(node: Node) -> None:
    before = _remembered(node)
    assert "installed and started" in node.sh("/srv/source/deploy/systemd/install.sh")
    _expect_taken_over(node, before)


def test_the_deb_takes_over_ledger_settings_and_units(docker_api: docker.APIClient, node: Node, tmp_path: Path) -> None:
    subprocess.run([SOURCE / "deploy/deb/build.sh", tmp_path], check=True, capture_output=True)
    (package,) = tmp_path.glob("*.deb")
    docker_api.put_archive(node.container, "/root", archive_with([(package, "new.deb")]))
    before = _remembered(node)
    said = node.sh("dpkg --install /root/new.deb 2>&1")
    assert "an installation by install.sh is on this host" in said
    assert "imagectl 0.1.0" in node.sh("imagectl version")  # Still what runs: nothing changes without the next command.
    node.sh("/usr/lib/image-controller/take-over")
    _expect_taken_over(node, before)
    assert node.shown("image-controller", "FragmentPath") in (
        "/lib/systemd/system/image-controller.service",
        "/usr/lib/systemd/system/image-controller.service",
    )
    node.sh("dpkg --purge image-controller")
    left = "find /etc /opt /usr /var/lib -path '*image-controller*' ! -path '*/systemd/*stamp*' ! -path '*/dpkg/*'"
    assert node.sh(left) == ""


def test_the_image_takes_over_the_volume(
    docker_api: docker.APIClient, engine: PrivateEngine, release: bytes, controller_image: str, tmp_path: Path
) -> None:
    with tarfile.open(fileobj=io.BytesIO(release)) as tar:
        tar.extractall(tmp_path, filter="data")
    old = "image-controller:0.1.0"
    answers = docker_api.build(
        path=str(tmp_path / "old"),
        dockerfile="deploy/Dockerfile",
        tag=old,
        buildargs={"BASE": BASE},
        network_mode="host",
        rm=True,
        decode=True,
    )
    assert "errorDetail" not in [dict(answer) for answer in answers][-1]
    policies = tmp_path / "policies"
    policies.mkdir(mode=0o755)
    (policies / "bakery.yaml").write_text(_POLICY)
    images.load_image(docker_api, "bakery:1.1")
    images.load_image(docker_api, "bakery:2.1", variant="new")

    def run(image: str, *arguments: str) -> str:
        socket = engine.host.removeprefix("unix://")
        config = docker_api.create_host_config(
            network_mode="none",
            group_add=[str(Path(socket).stat().st_gid)],
            binds=[f"{socket}:/var/run/docker.sock", f"{policies}:/policies:ro", "bakery:/var/lib/image-controller"],
        )
        made = docker_api.create_container(image, list(arguments), host_config=config)
        docker_api.start(made)
        code = docker_api.wait(made)["StatusCode"]
        said = docker_api.logs(made, stderr=False).decode(), docker_api.logs(made, stdout=False).decode()
        docker_api.remove_container(made, v=False)
        assert code == 0, said
        return said[0]

    for _ in range(2):  # In the first pass everything is seen for the first time.
        run(old, "run", "--once", "--settle", "0")
    removals = json.loads(run(old, "get", "removals", "-o", "json"))
    assert [each["reference"] for each in removals] == ["bakery:1.1"]
    run(controller_image, "run", "--once", "--settle", "0")
    after = json.loads(run(controller_image, "get", "removals", "-o", "json"))
    assert [(each["at"], each["reference"]) for each in after] == [(each["at"], each["reference"]) for each in removals]
    docker_api.remove_volume("bakery")
