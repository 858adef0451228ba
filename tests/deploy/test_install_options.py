"""deploy/systemd/install.sh for Podman, for a user and from a wheelhouse, with a stand-in for Python and pip."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.conftest import SOURCE

_PYTHON = """#!/bin/sh
case "$*" in
"-c "*) exit 0 ;;
"-m venv --clear "*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; printf '#!python\\n' >"$4/bin/imagectl" ;;
*) echo "$*" >>"$CALLS" ;;
esac
"""
_WHEEL = "edge_image_controller-0.2.0-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class Host:
    """An empty file system, a home folder and a wheelhouse."""

    folder: Path

    @property
    def units(self) -> Path:
        return self.folder / "root/etc/systemd/system"

    @property
    def pip_calls(self) -> list[str]:
        return [line for line in (self.folder / "calls").read_text().splitlines() if line.startswith("-m pip install")]

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder / "home")}
        environment |= {"PYTHON": str(self.folder / "python"), "CALLS": str(self.folder / "calls")}
        command = [str(SOURCE / "deploy/systemd/install.sh"), *arguments]
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    def install_in_root(self, *arguments: str) -> None:
        wheels = ("--wheelhouse", str(self.folder / "wheels"))
        done = self.install(*arguments, *wheels, "--root", str(self.folder / "root"))
        assert done.returncode == 0, done.stderr


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for name in ("root", "home", "wheels"):
        (tmp_path / name).mkdir()
    (tmp_path / "wheels" / _WHEEL).touch()
    (tmp_path / "python").write_text(_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return Host(tmp_path)


def test_a_wheelhouse_replaces_the_package_index(host: Host) -> None:
    host.install_in_root()
    assert len(host.pip_calls) == 2
    assert all(f"--no-index --find-links {host.folder}/wheels" in call for call in host.pip_calls)
    assert "--require-hashes" in host.pip_calls[0]
    assert host.pip_calls[1].endswith(f"--no-deps {host.folder}/wheels/{_WHEEL}")


def test_a_wheelhouse_without_the_controller_is_refused(host: Host) -> None:
    (host.folder / "wheels" / _WHEEL).unlink()
    done = host.install("--wheelhouse", str(host.folder / "wheels"), "--root", str(host.folder / "root"))
    assert (done.returncode, "make it with deploy/wheelhouse.sh" in done.stderr) == (1, True)


@pytest.mark.parametrize("option", ["--root", "--wheelhouse"])
def test_a_folder_that_does_not_exist_is_refused(host: Host, option: str) -> None:
    done = host.install(option, str(host.folder / "missing"))
    assert (done.returncode, done.stderr) == (
        1,
        f"install.sh: {option} {host.folder}/missing: not a directory "
        + ("(create it or choose another)\n" if option == "--root" else "(make it with deploy/wheelhouse.sh)\n"),
    )


def test_for_podman_the_service_runs_as_root_without_the_group_docker(host: Host) -> None:
    host.install_in_root("--engine", "podman")
    for unit in ("image-controller", "image-controller-once"):
        lines = (host.units / f"{unit}.service.d/podman.conf").read_text().splitlines()
        assert {"User=root", "DynamicUser=no", "SupplementaryGroups="} <= set(lines)
        assert "Environment=IMAGECTL_DOCKER_HOST=unix:///run/podman/podman.sock" in lines


def test_an_update_keeps_the_engine_until_another_is_named(host: Host) -> None:
    settings = host.units / "image-controller.service.d/podman.conf"
    host.install_in_root("--engine", "podman")
    host.install_in_root()
    assert settings.exists()
    host.install_in_root("--engine", "docker")
    assert not settings.exists()


@pytest.mark.parametrize(("engine", "socket"), [("podman", "%t/podman/podman.sock"), ("docker", "%t/docker.sock")])
def test_a_user_gets_a_unit_for_the_rootless_engine_and_a_purge_removes_all(
    host: Host, engine: str, socket: str
) -> None:
    home = host.folder / "home"
    assert host.install("--user", "--engine", engine, "--wheelhouse", str(host.folder / "wheels")).returncode == 0
    unit = (home / ".config/systemd/user/image-controller.service").read_text()
    assert f"Environment=IMAGECTL_DOCKER_HOST=unix://{socket}\n" in unit
    assert (home / ".local/bin/imagectl").readlink() == home / ".local/share/image-controller/bin/imagectl"
    assert (home / ".config/image-controller/policies").is_dir()
    assert host.install("--user", "--uninstall", "--purge").returncode == 0
    assert [path for path in home.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("script", ["systemd/install.sh", "wheelhouse.sh", "gitops/deliver.sh"])
def test_the_usage_of_a_script_is_its_whole_head(script: str) -> None:
    file = SOURCE / "deploy" / script
    done = subprocess.run([file, "--unknown"], check=False, capture_output=True, text=True)
    head = [line[1:].removeprefix(" ") for line in file.read_text().partition("\nset -")[0].splitlines()[1:]]
    assert (done.returncode, done.stderr.splitlines()) == (2, head)
