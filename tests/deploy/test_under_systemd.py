"""A node with a real systemd, in a container: installed from this tree, confined, with policies from git, uninstalled.

The tests are one story and build on each other.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator

import docker
import pytest

from tests.deploy.conftest import SOURCE
from tests.deploy.node import Node, booted, import_base, this_tree
from tests.deploy.waiting import eventually
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine

POLICY = """
label: old versions of the shop
enabled: true
image_policy:
  removal: [{image_name: "shop:1.*", delete_after_minutes: 0, agent_downloaded_only: false}]
"""


@pytest.fixture(scope="module")
def node(
    docker_api: docker.APIClient, engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A running node with this source tree."""
    image = import_base(docker_api, tmp_path_factory.mktemp("systemd"))
    with booted(docker_api, engine, image, this_tree()) as node:
        yield node


def test_one_command_installs_and_starts_it(node: Node) -> None:
    assert "installed and started" in node.sh("/srv/source/deploy/systemd/install.sh --gitops")
    assert node.shown("image-controller", "ActiveState") == "active"
    assert "policies in force: 0" in node.shown("image-controller", "StatusText")


def test_it_runs_without_rights_behind_a_filter_of_system_calls(node: Node) -> None:
    assert user_of_confined(node, node.shown("image-controller", "MainPID")) != "0"


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


def test_the_service_writes_for_node_exporter_with_the_settings_of_the_page(node: Node) -> None:
    folder = "/var/lib/prometheus/node-exporter"
    (settings,) = re.findall(
        r"^    \[Service\]\n(?:    .+\n)+", (SOURCE / "manifests/README.md").read_text(), re.MULTILINE
    )
    drop_in = "/etc/systemd/system/image-controller.service.d/textfile.conf"
    node.sh(
        f"groupadd prometheus; mkdir -p {folder} $(dirname {drop_in}); chgrp prometheus {folder}; chmod g+w {folder}"
    )
    node.sh(f"cat >{drop_in} <<'END'\n{textwrap.dedent(settings)}END\nsystemctl daemon-reload")
    node.sh("systemctl restart image-controller")
    assert node.sh(f"stat --format %a {folder}/image-controller.prom") == "644"
    node.sh(f"rm {drop_in}; systemctl daemon-reload; systemctl restart image-controller")


def test_it_stops_with_exit_code_0(node: Node) -> None:
    node.sh("systemctl stop image-controller")
    assert node.shown("image-controller", "Result") == "success"
    assert node.shown("image-controller", "ExecMainStatus") == "0"


def test_a_pass_of_the_timer_runs_with_the_same_ledger(node: Node) -> None:
    node.sh("systemctl start image-controller-once.service")
    assert node.shown("image-controller-once.service", "Result") == "success"
    assert len(json.loads(node.sh("imagectl get removals -o json"))) == 1


def test_for_podman_it_runs_as_root_without_rights_at_the_socket_that_the_unit_names(node: Node) -> None:
    """The same engine at the place of the system's Podman, which only root can open. The ledger is kept."""
    node.sh("mkdir --mode 700 /run/podman; ln -s /engine.sock /run/podman/podman.sock")
    node.sh("sed -i /DOCKER_HOST/d /etc/default/image-controller")
    node.sh("/srv/source/deploy/systemd/install.sh --service --engine podman")
    assert user_of_confined(node, node.shown("image-controller", "MainPID")) == "0"
    assert "engine unix:///run/podman/podman.sock (--docker-host)" in node.sh("journalctl --unit image-controller")
    images.load_image(node.api, "shop:1.1", variant="of podman")
    eventually(lambda: "shop:1.1" not in images.names_of(node.api))
    assert len(json.loads(node.sh("imagectl get removals -o json"))) == 2


def test_a_user_runs_it_at_the_socket_that_the_unit_of_users_names(node: Node) -> None:
    node.sh("systemctl stop image-controller")
    user = node.with_user("edge")
    user.sh("mkdir $XDG_RUNTIME_DIR/podman; ln -s /engine.sock $XDG_RUNTIME_DIR/podman/podman.sock")
    user.sh(
        "mkdir -p ~/.config/image-controller/policies; cp /etc/default/image-controller ~/.config/image-controller/env"
    )
    user.sh(f"cat >~/.config/image-controller/policies/shop.yaml <<END{POLICY}END")
    assert "installed and started" in user.sh("/srv/source/deploy/systemd/install.sh --user")
    process = user.sh("systemctl --user show image-controller --property MainPID --value")
    assert user_of_confined(node, process) == node.sh("id --user edge")
    images.load_image(node.api, "shop:1.2", variant="of a user")
    eventually(lambda: "shop:1.2" not in images.names_of(node.api))
    (removal,) = json.loads(user.sh("~/.local/bin/imagectl get removals -o json"))
    assert (removal["reference"], removal["outcome"]) == ("shop:1.2", "removed")
    user.sh("/srv/source/deploy/systemd/install.sh --user --uninstall --purge")
    assert user.sh("find ~ -path '*image-controller*'") == ""


def test_uninstalling_removes_everything(node: Node) -> None:
    node.sh("/srv/source/deploy/systemd/install.sh --uninstall --purge")
    left = "find /etc /opt /usr/local /var/lib -path '*image-controller*' ! -path '*/systemd/*stamp*'"
    assert node.sh(left) == ""
    assert "image-controller" not in node.sh("systemctl list-unit-files --no-pager")


def user_of_confined(node: Node, process: str) -> str:
    """The ID of the user of a process without capabilities that gains no rights, behind a filter of system calls."""
    status = node.sh(f"cat /proc/{process}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (facts["CapEff"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "1", "2")
    (user,) = set(facts["Uid"].split())
    return user
