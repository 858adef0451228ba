"""The units: valid for systemd, with a small attack surface."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.adapters.engine.transport import ANSWER_WITHIN_SECONDS
from controller.settings import CONFIG_FILE, DECLARED
from tests.deploy.conftest import SOURCE

UNITS = sorted(path for ending in ("service", "timer") for path in (SOURCE / "deploy").glob(f"*/*.{ending}"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
MOST_EXPOSURE = 1.5
_INSTALLED = re.compile(r"/usr/local/\S+")


def section(path: Path, name: str = "Service") -> dict[str, str]:
    """One section of a unit; of settings that are written twice, the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return dict(parser[name])


def test_there_are_a_service_a_timer_variant_and_the_delivery() -> None:
    assert {path.name for path in UNITS} == {
        "image-controller.service",
        "image-controller-once.service",
        "image-controller-once.timer",
        "image-controller-policies.service",
        "image-controller-policies.timer",
    }


def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    """With an existing program in place of those that are installed later."""
    for unit in UNITS:
        (tmp_path / unit.name).write_text(_INSTALLED.sub(sys.executable, unit.read_text()))
    done = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_nothing_wrong_with_the_unit_of_a_user_and_the_settings_for_podman(tmp_path: Path) -> None:
    folder = SOURCE / "deploy" / "systemd"
    (tmp_path / "image-controller.service.d").mkdir()
    (tmp_path / "image-controller.service.d/podman.conf").write_text((folder / "podman.conf").read_text())
    system, user = tmp_path / "image-controller.service", tmp_path / "image-controller-user.service"
    system.write_text(_INSTALLED.sub(sys.executable, (folder / "image-controller.service").read_text()))
    of_user = (folder / "user/image-controller.service").read_text()
    user.write_text(of_user.replace("%h/.local/bin/imagectl", sys.executable))
    for options, unit in (([], system), (["--user"], user)):
        done = subprocess.run(
            ["systemd-analyze", *options, "verify", unit],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_its_exposure_is_limited(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        check=True,
        capture_output=True,
        text=True,
    )
    (exposure,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert float(exposure) <= MOST_EXPOSURE


def test_both_ways_to_run_the_controller_are_hardened_alike() -> None:
    always, once = (
        section(SOURCE / "deploy" / "systemd" / f"image-controller{kind}.service") for kind in ("", "-once")
    )
    of_each = {"Type", "NotifyAccess", "ExecStart", "ExecReload", "ExecStopPost"}
    of_each |= {"WatchdogSec", "TimeoutStopSec", "Restart", "RestartSec", "RestartPreventExitStatus"}
    assert {key: value for key, value in always.items() if key not in of_each} == {
        key: value for key, value in once.items() if key not in of_each
    }


def test_the_unit_of_the_timer_hides_no_exit_code() -> None:
    once = section(SOURCE / "deploy" / "systemd" / "image-controller-once.service")
    assert "SuccessExitStatus" not in once
    assert not once["ExecStart"].startswith("-")


def test_the_watchdog_waits_longer_than_any_answer_of_the_engine() -> None:
    watchdog = section(SOURCE / "deploy" / "systemd" / "image-controller.service")["WatchdogSec"]
    assert watchdog == "15min"
    assert ANSWER_WITHIN_SECONDS < 15 * 60


def test_the_timer_and_the_idle_time_that_counts_between_two_passes_agree() -> None:
    folder = SOURCE / "deploy" / "systemd"
    period = section(folder / "image-controller-once.timer", "Timer")["OnUnitInactiveSec"]
    assert (
        section(folder / "image-controller-once.service")["ExecStart"]
        .split(" --textfile ")[0]
        .endswith(f"run --once --resync {period}")
    )


@pytest.mark.parametrize("unit", ["image-controller", "image-controller-once"])
def test_a_service_without_its_configuration_does_not_start(unit: str) -> None:
    """Images may be protected there. A missing file is an error only if it is named."""
    environment = section(SOURCE / f"deploy/systemd/{unit}.service")["Environment"]
    assert environment == f"IMAGECTL_CONFIG={CONFIG_FILE}"


def test_the_settings_that_are_installed_are_settings() -> None:
    text = (SOURCE / "deploy" / "systemd" / "config.toml").read_text()
    assert set(re.findall(r"^#?(\w+) = ", text, re.MULTILINE)) <= set(DECLARED)


def test_in_the_quadlet_the_folder_of_the_ledger_belongs_to_the_user_of_the_container() -> None:
    """Without capabilities root cannot write into the folder of the image's user."""
    container = section(SOURCE / "deploy/podman/image-controller.container", "Container")
    dockerfile = (SOURCE / "deploy/Dockerfile").read_text()
    assert (container["User"], container["DropCapability"]) == ("0:0", "all")
    assert "--owner 65532" in dockerfile
    volumes = (SOURCE / "deploy/podman/image-controller.container").read_text().splitlines()
    assert "Volume=image-controller:/var/lib/image-controller:U" in volumes
