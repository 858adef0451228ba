"""A node with a real systemd, in a container: installed from this tree, confined, with policies from git, uninstalled.

The tests are one story and build on each other.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.deploy.conftest import SOURCE, archive_of
from tests.deploy.waiting import eventually
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine, free_address

POLICY = """
label: old versions of the shop
enabled: true
image_policy:
  removal: [{image_name: "shop:1.*", delete_after_minutes: 0, agent_downloaded_only: false}]
"""
_SOURCES = ("controller", "deploy", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")


@dataclass(frozen=True, slots=True)
class Node:
    """A separate host, except for the engine and the network."""

    api: docker.APIClient
    container: str

    def sh(self, script: str) -> str:
        """The output of a shell script, which must not fail."""
        code, said = self.tried(script)
        assert code == 0, said
        return said.strip()

    def tried(self, script: str) -> tuple[int, str]:
        made = self.api.exec_create(self.container, ["bash", "-ec", script])
        said = self.api.exec_start(made["Id"]).decode()
        return int(self.api.exec_inspect(made["Id"])["ExitCode"]), said

    def shown(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.sh(f"systemctl show {unit} --property {name} --value")

    def commit(self, files: dict[str, str]) -> str:
        """A commit to the repository that the node follows; returns it."""
        writes = "\n".join(
            f"mkdir -p $(dirname {name})\ncat >{name} <<'END'\n{text}\nEND" for name, text in files.items()
        )
        person = "-c user.name=Test -c user.email=test@example.org"
        self.sh(f"cd /srv/policies\n{writes}\ngit add --all\ngit {person} commit --quiet -m change")
        self.sh("chown -R image-controller-policies: /srv/policies")  # Git trusts no folder of another user.
        return self.sh("cd /srv/policies; git -c safe.directory=/srv/policies rev-parse HEAD")


@pytest.fixture(scope="module")
def node(
    docker_api: docker.APIClient, engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A running node with this source tree; the group `docker` owns the engine's socket."""
    archive = archive_of("systemd", tmp_path_factory.mktemp("systemd"))
    docker_api.import_image_from_file(str(archive), "debian-with-systemd", "12", changes=['CMD ["/sbin/init"]'])
    socket = engine.host.removeprefix("unix://")
    host_config = docker_api.create_host_config(
        network_mode="host",
        cgroupns="host",
        cap_add=["SYS_ADMIN"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        tmpfs={"/run": "", "/run/lock": "", "/tmp": "exec"},
        binds=["/sys/fs/cgroup:/sys/fs/cgroup:rw", f"{socket}:/engine.sock"],
    )
    made = docker_api.create_container(
        "debian-with-systemd:12", host_config=host_config, environment={"container": "docker"}
    )
    node = Node(docker_api, made["Id"])
    docker_api.put_archive(node.container, "/srv", _source_archive())
    docker_api.start(node.container)
    eventually(lambda: node.tried("systemctl is-system-running")[1].strip() in ("running", "degraded"))
    gid, listen = Path(socket).stat().st_gid, free_address()
    settings = f"DOCKER_HOST=unix:///engine.sock\nIMAGECTL_SETTLE=1s\nIMAGECTL_LISTEN={listen}"
    node.sh(f"groupadd --non-unique --gid {gid} docker; echo '{settings}' >/etc/default/image-controller")
    yield node
    docker_api.remove_container(node.container, force=True, v=True)


def _source_archive() -> bytes:
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as tar:
        for name in _SOURCES:
            tar.add(
                SOURCE / name, f"source/{name}", filter=lambda entry: None if "__pycache__" in entry.name else entry
            )
    return archived.getvalue()


def test_one_command_installs_and_starts_it(node: Node) -> None:
    assert "installed and started" in node.sh("/srv/source/deploy/systemd/install.sh --gitops")
    assert node.shown("image-controller", "ActiveState") == "active"
    assert "policies in force: 0" in node.shown("image-controller", "StatusText")


def test_it_runs_without_rights_behind_a_filter_of_system_calls(node: Node) -> None:
    status = node.sh("cat /proc/$(systemctl show image-controller --property MainPID --value)/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (facts["CapEff"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "1", "2")
    assert "0" not in facts["Uid"].split()


def test_a_commit_reaches_it_through_the_delivery_and_removes_an_image(node: Node) -> None:
    images.load_image(node.api, "shop:1.0")
    images.load_image(node.api, "shop:2.0", variant="new")
    node.sh("git init --quiet --initial-branch main /srv/policies")
    commit = node.commit({"policies/shop.yaml": POLICY})
    node.sh("sed -i 's|^POLICIES_REPOSITORY=.*|POLICIES_REPOSITORY=/srv/policies|' /etc/image-controller/gitops.conf")
    node.sh("systemctl start image-controller-policies.service")
    eventually(lambda: "shop:1.0" not in images.names_of(node.api))
    assert "shop:2.0" in images.names_of(node.api)
    assert commit in node.shown("image-controller", "StatusText")


def test_the_commands_of_an_administrator_show_what_the_service_shows(node: Node) -> None:
    (removal,) = json.loads(node.sh("imagectl get removals -o json"))
    assert (removal["reference"], removal["document"], removal["outcome"]) == ("shop:1.0", "policies/shop", "removed")


def test_a_failed_delivery_is_shown_and_removes_no_policy(node: Node) -> None:
    before = node.sh("readlink /var/lib/image-controller-policies/current")
    node.sh("mv /srv/policies /srv/away")
    code, _ = node.tried("systemctl start image-controller-policies.service")
    assert (code != 0, node.shown("image-controller-policies.service", "Result")) == (True, "exit-code")
    assert node.sh("readlink /var/lib/image-controller-policies/current") == before


def test_a_reload_ends_when_everything_was_read_again(node: Node) -> None:
    node.sh("systemctl reload image-controller")
    eventually(lambda: node.shown("image-controller", "ActiveState") == "active")


def test_it_stops_with_exit_code_0(node: Node) -> None:
    node.sh("systemctl stop image-controller")
    assert node.shown("image-controller", "Result") == "success"
    assert node.shown("image-controller", "ExecMainStatus") == "0"


def test_a_pass_of_the_timer_runs_with_the_same_ledger(node: Node) -> None:
    node.sh("systemctl start image-controller-once.service")
    assert node.shown("image-controller-once.service", "Result") == "success"
    assert len(json.loads(node.sh("imagectl get removals -o json"))) == 1


def test_uninstalling_removes_everything(node: Node) -> None:
    node.sh("/srv/source/deploy/systemd/install.sh --uninstall --purge")
    left = "find /etc /opt /usr/local /var/lib -path '*image-controller*' ! -path '*/systemd/*stamp*'"
    assert node.sh(left) == ""
    assert "image-controller" not in node.sh("systemctl list-unit-files --no-pager")
