"""deploy/systemd/install.sh run again on a host that runs, with stand-ins for systemd, Python and pip."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.conftest import SOURCE
from tests.deploy.root import Root, root_on, with_service_manager
from tests.deploy.test_install_options import PYTHON, WHEEL
from tests.with_docker.private_engine import run_script

INSTALL = "CALLS=/dev/null PYTHON=/srv/python /srv/deploy/systemd/install.sh --wheelhouse /srv/wheels"


@pytest.fixture
def host(tmp_path: Path) -> Root:
    """Debian 12 with the group docker and the source tree."""
    root = root_on(run_script("root.sh", "systemd"), tmp_path)
    with_service_manager(root)
    root.sh(f"groupadd --force docker; mkdir -p /srv/wheels; touch /srv/wheels/{WHEEL}")
    shutil.copytree(SOURCE / "deploy", tmp_path / "upper/srv/deploy")
    (tmp_path / "upper/srv/python").write_text(PYTHON)
    (tmp_path / "upper/srv/python").chmod(0o755)
    return root


def running(host: Root) -> list[str]:
    return host.sh("ls /run/running").split()


def test_an_update_restarts_what_runs(host: Root) -> None:
    host.sh(f"{INSTALL} --gitops")
    assert running(host) == ["image-controller", "image-controller-policies.timer"]
    assert "installed and started: systemctl status image-controller.service" in host.sh(INSTALL)
    assert running(host) == ["image-controller", "image-controller-policies.timer"]


def test_what_a_removed_deb_has_masked_is_a_new_installation(host: Root) -> None:
    host.sh("ln -s /dev/null /etc/systemd/system/image-controller.service")
    host.sh(INSTALL)
    assert running(host) == ["image-controller"]


def test_the_root_of_the_running_system_is_no_other_file_system(host: Root) -> None:
    assert "installed and started" in host.sh(f"{INSTALL} --root /")
    host.sh(f"{INSTALL} --uninstall --root /")
    assert running(host) == []


@pytest.mark.parametrize("stop", ["stop", "disable --now"])
def test_an_update_does_not_start_what_was_stopped(host: Root, stop: str) -> None:
    host.sh(f"{INSTALL} --gitops; systemctl {stop} image-controller image-controller-policies.timer")
    said = host.sh(INSTALL)
    for unit in ("image-controller.service", "image-controller-policies.timer"):
        assert f"{unit} did not run before and was not started" in said
    assert running(host) == []
    host.sh(f"{INSTALL} --service")
    assert "image-controller" in running(host)


def test_an_update_of_a_timer_that_was_disabled_starts_no_service_in_its_place(host: Root) -> None:
    host.sh(f"{INSTALL} --once")
    assert running(host) == ["image-controller-once.timer"]
    host.sh("systemctl disable --now image-controller-once.timer")
    host.sh(INSTALL)
    assert running(host) == []


@pytest.mark.parametrize("option", ["--service", "--uninstall"])
def test_the_metrics_of_the_timer_end_with_it(host: Root, option: str) -> None:
    """Else node_exporter serves the last ones, and the alert of a controller without passes never ends."""
    file = "/var/lib/prometheus/node-exporter/image-controller.prom"
    host.sh(f"{INSTALL} --once; mkdir -p $(dirname {file}); touch {file}")
    host.sh(INSTALL)
    host.sh(f"ls {file}")
    host.sh(f"{INSTALL} {option}")
    assert host.tried(f"ls {file}").returncode != 0


def test_an_uninstallation_is_refused_where_the_deb_uses_the_same_settings(host: Root) -> None:
    host.sh(INSTALL)
    host.sh("mkdir -p /usr/lib/image-controller; touch /usr/lib/image-controller/take-over")
    done = host.tried("/srv/deploy/systemd/install.sh --uninstall --purge")
    assert (done.returncode, "apt remove image-controller" in done.stdout) == (1, True)
    assert running(host) == ["image-controller"]
    host.sh("ls /etc/image-controller/config.toml")


def test_a_missing_group_is_named_before_anything_is_installed(host: Root) -> None:
    host.sh("groupdel docker")
    done = host.tried(INSTALL)
    assert (done.returncode, "there is no group 'docker'" in done.stdout) == (1, True)
    assert host.sh("ls /opt /etc/systemd/system | grep image-controller || true") == ""
    drop_in = "/etc/systemd/system/image-controller.service.d/group.conf"
    host.sh(
        f"mkdir {Path(drop_in).parent}; printf '[Service]\\nSupplementaryGroups=\\nSupplementaryGroups=x\\n' >{drop_in}"
    )
    host.sh(INSTALL)
    assert running(host) == ["image-controller"]


def test_an_installation_that_fails_keeps_the_one_before_and_leaves_nothing(host: Root) -> None:
    """As on a full disk, or without a package index."""
    host.sh(f"{INSTALL}; echo before >/opt/image-controller/version")
    host.sh("sed -i 's|^\\*).*|*) exit 1 ;;|' /srv/python")
    assert host.tried(INSTALL).returncode == 1
    assert host.sh("ls /opt; cat /opt/image-controller/version; ls /tmp") == "image-controller\nbefore"
