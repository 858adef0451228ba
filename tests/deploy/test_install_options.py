"""deploy/systemd/install.sh for Podman, for a user and from a wheelhouse, with a stand-in for Python and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.conftest import SOURCE

PYTHON = """#!/bin/sh
case "$*" in
"-c "*) exit 0 ;;
"-m venv --clear "*)
    mkdir -p "$4/bin"; cp "$0" "$4/bin/python"
    printf '#!/bin/sh\nexec "%s/bin/python"\n' "$4" >"$4/bin/imagectl" ;;
*) echo "$*" >>"$CALLS" ;;
esac
"""
WHEEL = "edge_image_controller-0.2.0-py3-none-any.whl"


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

    def install(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{self.folder}", "HOME": str(self.folder / "home")}
        own |= {"PYTHON": str(self.folder / "python"), "CALLS": str(self.folder / "calls")}
        command = [str(SOURCE / "deploy/systemd/install.sh"), *arguments]
        return subprocess.run(command, env=own | environment, cwd="/root", check=False, capture_output=True, text=True)

    def install_in_root(self, *arguments: str, **environment: str) -> None:
        wheels = ("--wheelhouse", str(self.folder / "wheels"))
        done = self.install(*arguments, *wheels, "--root", str(self.folder / "root"), **environment)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for name in ("root", "home", "wheels"):
        (tmp_path / name).mkdir()
    (tmp_path / "wheels" / WHEEL).touch()
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return Host(tmp_path)


def test_a_wheelhouse_replaces_the_package_index(host: Host) -> None:
    host.install_in_root()
    assert len(host.pip_calls) == 2
    assert all(f"--no-index --find-links {host.folder}/wheels" in call for call in host.pip_calls)
    assert "--require-hashes" in host.pip_calls[0]
    assert host.pip_calls[1].endswith(f"--no-deps {host.folder}/wheels/{WHEEL}")


def test_a_wheelhouse_without_the_controller_is_refused(host: Host) -> None:
    (host.folder / "wheels" / WHEEL).unlink()
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


def test_an_update_of_a_user_keeps_the_engine(host: Host) -> None:
    wheels = ("--wheelhouse", str(host.folder / "wheels"))
    for options in (("--engine", "docker"), ()):
        assert host.install("--user", *options, *wheels).returncode == 0
    unit = (host.folder / "home/.config/systemd/user/image-controller.service").read_text()
    assert "Environment=IMAGECTL_DOCKER_HOST=unix://%t/docker.sock\n" in unit


def test_a_command_of_another_installation_is_neither_replaced_nor_removed(host: Host) -> None:
    command = host.folder / "home/.local/bin/imagectl"
    command.parent.mkdir(parents=True)
    command.symlink_to("/opt/pipx/venvs/edge-image-controller/bin/imagectl")
    done = host.install("--user", "--wheelhouse", str(host.folder / "wheels"))
    assert (done.returncode, f"{command} is of another installation" in done.stderr) == (1, True)
    assert host.install("--user", "--uninstall", "--purge").returncode == 0
    assert command.is_symlink()


def test_drop_ins_of_the_administrator_are_settings(host: Host) -> None:
    host.install_in_root("--engine", "podman")
    own = host.units / "image-controller.service.d/own.conf"
    own.write_text("[Service]\nEnvironment=IMAGECTL_PROTECT=team/*:*\n")
    root = ("--root", str(host.folder / "root"))
    assert "drop-ins, policies and the ledger were kept" in host.install("--uninstall", *root).stdout
    assert [path for path in host.units.rglob("*") if not path.is_dir()] == [own]
    assert "were removed too" in host.install("--uninstall", "--purge", *root).stdout
    assert list(host.units.iterdir()) == []


def test_the_service_can_read_what_a_root_with_a_strict_umask_installs(host: Host) -> None:
    before = os.umask(0o077)
    try:
        host.install_in_root()
    finally:
        os.umask(before)
    installed = [path for path in (host.folder / "root").rglob("*") if not path.is_symlink()]
    assert [path for path in installed if path.stat().st_mode & 0o044 != 0o044] == []


def test_a_python_that_is_named_without_its_folder_is_found_from_a_home_folder_too(host: Host) -> None:
    (host.folder / "python").rename(host.folder / "stand-in-python")
    host.install_in_root(PYTHON="stand-in-python")


def test_a_home_folder_with_blanks_is_in_the_script_that_pip_wrote(host: Host) -> None:
    (host.folder / "home").rename(host.folder / "a home")
    done = host.install("--user", "--wheelhouse", str(host.folder / "wheels"), HOME=str(host.folder / "a home"))
    assert done.returncode == 0, done.stderr
    program = (host.folder / "a home/.local/bin/imagectl").read_text()
    assert (
        program == f'#!/bin/sh\nexec "{host.folder}/a home/.local/share/image-controller/bin/python"\n'
    )  # As pip does.


def test_a_script_finds_its_tree_also_with_a_cdpath(tmp_path: Path) -> None:
    """`cd` prints where it goes then, and may go to a folder of the same name elsewhere."""
    shutil.copytree(SOURCE / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("gitops.conf"))
    done = subprocess.run(
        ["deploy/wheelhouse.sh", tmp_path / "wheels"],
        env={"PATH": "/usr/bin:/bin", "CDPATH": str(tmp_path), "PYTHON": "false"},
        cwd=SOURCE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("script", ["systemd/install.sh", "wheelhouse.sh", "gitops/deliver.sh"])
def test_the_usage_of_a_script_is_its_whole_head(script: str) -> None:
    file = SOURCE / "deploy" / script
    done = subprocess.run([file, "--unknown"], check=False, capture_output=True, text=True)
    head = [line[1:].removeprefix(" ") for line in file.read_text().partition("\nset -")[0].splitlines()[1:]]
    assert (done.returncode, done.stderr.splitlines()) == (2, head)
