"""deploy/systemd/install.sh, into a file system that is not running."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from controller import __version__
from tests.deploy.conftest import SOURCE

PYTHON = "/usr/bin/python3"
FROM_GIT = 'policies = "/var/lib/image-controller-policies/current"'


def install(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the Python of the system, not that of the tests."""
    return subprocess.run(
        [SOURCE / "deploy" / "systemd" / "install.sh", *map(str, arguments)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHON": PYTHON, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built once."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([SOURCE / "deploy" / "build.sh", folder], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with the service and the delivery in it."""
    root = tmp_path_factory.mktemp("root")
    done = install("--gitops", "--wheel", wheel, "--root", root)
    assert done.returncode == 0, done.stderr
    return root


def files(root: Path) -> set[str]:
    """The files in it, without the program's own files."""
    found = (str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    return {path for path in found if not path.startswith("opt/image-controller/")}


def test_units_settings_and_programs_are_where_they_belong(installed: Path) -> None:
    assert files(installed) == {
        "etc/image-controller/config.toml",
        "etc/image-controller/gitops.conf",
        "etc/systemd/system/image-controller.service",
        "etc/systemd/system/image-controller-once.service",
        "etc/systemd/system/image-controller-once.timer",
        "etc/systemd/system/image-controller-policies.service",
        "etc/systemd/system/image-controller-policies.timer",
        "etc/sysusers.d/image-controller-policies.conf",
        "usr/local/bin/imagectl",
        "usr/local/lib/image-controller/deliver.sh",
    }


def test_settings_that_may_hold_a_password_are_for_root_only(installed: Path) -> None:
    assert (installed / "etc/image-controller/gitops.conf").stat().st_mode & 0o777 == 0o600


def test_the_program_runs(installed: Path) -> None:
    module = [str(installed / "opt/image-controller/bin/python"), "-m", "controller", "version"]
    assert subprocess.run(module, check=True, capture_output=True, text=True).stdout.startswith(
        f"imagectl {__version__}"
    )
    assert (
        (installed / "opt/image-controller/bin/imagectl").read_text().startswith("#!/opt/image-controller/bin/python\n")
    )
    assert (installed / "usr/local/bin/imagectl").readlink() == Path("/opt/image-controller/bin/imagectl")


def test_with_gitops_all_commands_read_the_delivered_policies(installed: Path) -> None:
    assert FROM_GIT in (installed / "etc/image-controller/config.toml").read_text().splitlines()


def test_a_second_run_is_an_update_that_touches_no_settings(installed: Path, wheel: Path) -> None:
    config, before = installed / "etc/image-controller/config.toml", files(installed)
    config.write_text("# mine\n")
    done = install("--gitops", "--wheel", wheel, "--root", installed)
    assert (done.returncode, config.read_text(), files(installed)) == (0, "# mine\n", before)
    assert f"to take policies from git, set in {config}: {FROM_GIT}" in done.stderr


def test_uninstalling_leaves_settings_and_purging_leaves_nothing(wheel: Path, tmp_path: Path) -> None:
    assert install("--once", "--wheel", wheel, "--root", tmp_path).returncode == 0
    ledger = tmp_path / "var/lib/private/image-controller/ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.touch()
    for _ in range(2):
        assert install("--uninstall", "--root", tmp_path).returncode == 0
        assert files(tmp_path) == {"etc/image-controller/config.toml", str(ledger.relative_to(tmp_path))}
    assert install("--uninstall", "--purge", "--root", tmp_path).returncode == 0
    assert files(tmp_path) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--purge"], ["--once", "now"]])
def test_an_unknown_option_prints_the_usage(arguments: list[str]) -> None:
    done = install(*arguments)
    assert (done.returncode, "install.sh --uninstall [--purge] [--root FOLDER|--user]" in done.stderr) == (2, True)


def test_a_python_that_the_service_could_not_see_is_refused(tmp_path: Path) -> None:
    hidden = Path("/root/python-of-root")
    done = install("--root", tmp_path, PYTHON=str(hidden))
    assert (done.returncode, f"the service cannot see {hidden} in a home folder" in done.stderr) == (1, True)
