"""The .deb (`make deb`): its content, and its life on Debian 12 and 13, in root file systems of both."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.deploy.conftest import SOURCE
from tests.deploy.root import Root, root_on, with_service_manager
from tests.with_docker.private_engine import run_script

_LEFT = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /var/lib/dpkg \\) -prune -o -name '*image-controller*' -print"
)
_ENABLED = "ls /etc/systemd/system/multi-user.target.wants 2>/dev/null || true"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb."""
    return built(tmp_path_factory.mktemp("deb"))


def built(folder: Path, **environment: str) -> Path:
    command = ["bash", "-c", f"umask {environment.pop('UMASK', '022')}; deploy/deb/build.sh {folder}"]
    subprocess.run(command, cwd=SOURCE, env=os.environ | environment, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    return package


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Debian 12."""
    return root_on(run_script("root.sh", "systemd"), tmp_path)


# ── content ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def content_of(package: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
        return [(member, file.read() if file else b"") for member, file in members]


def test_it_is_the_same_to_the_byte_wherever_it_is_built(package: Path, tmp_path: Path) -> None:
    again = built(tmp_path, TZ="Pacific/Auckland", UMASK="077", LANG="tr_TR.UTF-8")
    assert again.name == package.name
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(package.read_bytes()).digest()


def test_it_fits_every_architecture(package: Path) -> None:
    fields = subprocess.run(
        ["dpkg-deb", "--field", package, "Architecture"], check=True, capture_output=True, text=True
    )
    assert fields.stdout == "all\n"
    content = content_of(package)
    assert [member.name for member, data in content if data.startswith(b"\x7fELF")] == []
    assert [member.name for member, _ in content if member.name.endswith((".so", ".pyc"))] == []


def test_everything_in_it_belongs_to_root_and_only_root_may_write(package: Path) -> None:
    members = [member for member, _ in content_of(package)]
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert [member.name for member in members if member.mode & 0o022] == []


def test_it_holds_every_file_that_an_installation_needs(package: Path) -> None:
    names = {member.name for member, _ in content_of(package)}
    assert names >= {
        "./usr/share/image-controller/config.toml",
        "./etc/image-controller/policies",
        "./usr/bin/imagectl",
        "./usr/lib/systemd/system/image-controller.service",
        "./usr/lib/systemd/system/image-controller-once.timer",
        "./usr/lib/systemd/system/image-controller-policies.timer",
        "./usr/lib/systemd/user/image-controller.service",
        "./usr/lib/image-controller/controller/daemon/page/page.css",
        "./usr/share/bash-completion/completions/imagectl",
        "./usr/share/zsh/vendor-completions/_imagectl",
        "./usr/share/fish/vendor_completions.d/imagectl.fish",
        "./usr/share/image-controller/nmp.schema.json",
        "./usr/share/image-controller/grafana/image-controller.json",
        "./usr/share/image-controller/prometheus/rules.yaml",
        "./usr/share/man/man1/imagectl.1.gz",
    }


def test_its_units_name_only_places_of_the_package(package: Path) -> None:
    units = {member.name: data.decode() for member, data in content_of(package) if "/systemd/" in member.name}
    for name, text in units.items():
        assert "/usr/local" not in text, name
        assert "%h/.local/bin" not in text, name
        assert "DynamicUser=yes" not in text, name


def test_lintian_has_no_errors(package: Path) -> None:
    done = subprocess.run(["lintian", "--allow-root", package], check=False, capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("E:")] == []


# ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class TestLife:
    """One package from its installation to its purge; the tests are one story and build on each other."""

    @pytest.fixture(scope="class", params=["systemd", "python"], ids=["debian12", "debian13"])
    def host(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Root:
        return root_on(run_script("root.sh", request.param), tmp_path_factory.mktemp(request.param))

    def test_the_service_is_enabled_and_nothing_is_removed(self, host: Root, package: Path) -> None:
        said = host.sh(f"dpkg --install {host.put(package)}")
        assert "the service is enabled. /etc/image-controller/policies is empty, so nothing is removed." in said
        assert "image-controller.service" in host.sh(_ENABLED)
        assert host.sh("id --groups --name image-controller") == "image-controller"

    def test_it_runs_with_python_alone(self, host: Root) -> None:
        assert host.sh("imagectl version").startswith("imagectl ")
        assert host.sh("imagectl nmp validate /usr/share/image-controller/policies").endswith("0 warnings")
        assert "Traceback" not in host.sh("imagectl run --once 2>&1 || true")

    def test_an_upgrade_keeps_settings_ledger_and_the_choice_of_units(self, host: Root, package: Path) -> None:
        files = "/etc/image-controller/config.toml /var/lib/image-controller/ledger.db"
        host.sh("echo '# mine' >>/etc/image-controller/config.toml; imagectl record-download app:1")
        host.sh("rm /etc/systemd/system/multi-user.target.wants/image-controller.service")
        before = host.sh(f"sha256sum {files}")
        host.sh(f"dpkg --install {host.put(package)}")
        assert host.sh(f"sha256sum {files}") == before
        assert "image-controller.service" not in host.sh(_ENABLED)

    def test_a_removal_keeps_settings_policies_and_ledger(self, host: Root) -> None:
        host.sh("echo 'label: x' >/etc/image-controller/policies/mine.yaml; dpkg --remove image-controller")
        host.sh("cd /etc/image-controller; ls config.toml policies/mine.yaml /var/lib/image-controller/ledger.db")

    def test_a_purge_leaves_nothing(self, host: Root) -> None:
        host.sh("mkdir -p /var/lib/private/image-controller")
        host.sh("dpkg --purge image-controller; rm -f /root/*.deb")
        assert host.sh(_LEFT) == ""
        assert host.tried("getent passwd image-controller").returncode != 0


@pytest.mark.parametrize("architecture", ["arm64", "armhf"])
def test_it_runs_on_another_architecture(architecture: str, package: Path, tmp_path: Path) -> None:
    script = 'source deploy/local/packages.sh; source deploy/local/services.sh; echo "$home/roots"'
    done = subprocess.run(["bash", "-c", script], cwd=SOURCE, check=True, capture_output=True, text=True)
    lower = Path(done.stdout.strip()) / architecture
    if not lower.is_dir():
        pytest.skip(f"make test-arm makes the root file system of {architecture}, and has not been run here")
    root = root_on(str(lower), tmp_path)
    assert root.sh("dpkg --print-architecture") == architecture
    root.sh(f"dpkg --install {root.put(package)}")
    assert root.sh("imagectl version").startswith("imagectl ")
    assert root.sh("imagectl nmp validate /usr/share/image-controller/policies").endswith("0 warnings")


def test_policies_that_exist_already_are_not_put_in_force_and_settings_are_kept(root: Root, package: Path) -> None:
    root.sh("mkdir -p /etc/image-controller/policies; echo 'label: x' >/etc/image-controller/policies/old.yaml")
    root.sh("echo 'settle = \"1h\"' >/etc/image-controller/config.toml")
    said = root.sh(f"dpkg --install {root.put(package)}")
    assert "has policies, so nothing is started" in said
    assert "image-controller.service" not in root.sh(_ENABLED)
    assert root.sh("cat /etc/image-controller/config.toml; ls /etc/image-controller") == (
        'settle = "1h"\nconfig.toml\npolicies'
    )


def test_settings_that_are_here_are_in_force_at_every_moment(root: Root, package: Path) -> None:
    """An installation by install.sh uses them meanwhile, and images may be protected there."""
    config = "/etc/image-controller/config.toml"
    root.sh(f"mkdir -p /etc/image-controller; echo 'protect = [\"app:*\"]' | tee {config} >/root/before")
    for step in (
        f"dpkg --unpack {root.put(package)}",
        "dpkg --configure image-controller",
        "dpkg --remove image-controller",
    ):
        root.sh(step)
        assert root.sh(f"cmp {config} /root/before; ls /etc/image-controller | grep config") == "config.toml"


def test_an_installation_by_install_sh_is_named_and_left_alone(root: Root, package: Path) -> None:
    root.sh("mkdir -p /opt/image-controller/bin /etc/systemd/system /etc/image-controller")
    root.sh("echo 'settle = \"1h\"' >/etc/image-controller/config.toml")
    root.sh("echo '[Service]' >/etc/systemd/system/image-controller.service")
    said = root.sh(f"dpkg --install {root.put(package)}")
    assert "an installation by install.sh is on this host" in said
    assert "/usr/lib/image-controller/take-over" in said
    root.sh("dpkg --purge image-controller")
    assert root.sh("cat /etc/image-controller/config.toml; ls -d /opt/image-controller") == (
        'settle = "1h"\n/opt/image-controller'
    )


_AN_OLD_TIMER = """
mkdir -p /opt/image-controller/bin /usr/local/bin /var/lib/private/image-controller
ln -s /opt/image-controller/bin/imagectl /usr/local/bin/imagectl
echo kept >/var/lib/private/image-controller/ledger.db
ln -s private/image-controller /var/lib/image-controller
cd /etc/systemd/system
mkdir -p timers.target.wants image-controller.service.d
touch image-controller.service image-controller-once.timer image-controller.service.d/own.conf
ln -s /etc/systemd/system/image-controller-once.timer timers.target.wants/
"""


def test_take_over_replaces_units_and_program_and_keeps_ledger_and_drop_ins(root: Root, package: Path) -> None:
    units = "/etc/systemd/system"
    root.sh(_AN_OLD_TIMER)
    root.sh(f"dpkg --install {root.put(package)}")
    assert "timers.target.wants/image-controller-once.timer" in root.sh("/usr/lib/image-controller/take-over")
    assert root.sh("cat /var/lib/image-controller/ledger.db; test ! -L /var/lib/image-controller") == "kept"
    assert root.sh(f"readlink -f {units}/timers.target.wants/image-controller-once.timer").startswith(
        "/usr/lib/systemd"
    )
    assert root.sh(f"find {units} -name 'image-controller*' -type f -o -name own.conf") == (
        f"{units}/image-controller.service.d/own.conf"
    )
    assert root.sh("command -v imagectl") == "/usr/bin/imagectl"
    assert "there is no installation by install.sh" in root.sh("/usr/lib/image-controller/take-over")


def test_take_over_starts_only_what_ran_and_enables_only_what_was_enabled(root: Root, package: Path) -> None:
    root.sh(_AN_OLD_TIMER)
    root.sh("cd /etc/systemd/system; touch image-controller-policies.timer; rm -r timers.target.wants")
    with_service_manager(root, running="image-controller-policies.timer")
    root.sh(f"dpkg --install {root.put(package)}")
    assert "units that are enabled: none" in root.sh("/usr/lib/image-controller/take-over")
    assert root.sh("ls /run/running") == "image-controller-policies.timer"
    assert "image-controller" not in root.sh(_ENABLED)


@pytest.mark.parametrize(
    "setting",
    [
        "/etc/image-controller/config.toml:policies = '/srv/own'",
        "/etc/default/image-controller:IMAGECTL_POLICIES=/srv/own",
        "/etc/systemd/system/image-controller.service.d/own.conf:Environment=IMAGECTL_POLICIES=/srv/own",
    ],
)
def test_policies_in_a_folder_that_settings_name_are_not_put_in_force(root: Root, package: Path, setting: str) -> None:
    file, _, line = setting.partition(":")
    with_service_manager(root)
    root.sh(f"mkdir -p {Path(file).parent} /srv/own; echo 'label: x' >/srv/own/old.yaml; echo \"{line}\" >{file}")
    assert "/srv/own has policies, so nothing is started" in root.sh(f"dpkg --install {root.put(package)}")
    assert ("image-controller" in root.sh(_ENABLED), root.sh("ls /run/running")) == (False, "")


def test_a_package_that_was_removed_and_is_back_runs_again_if_it_was_enabled(root: Root, package: Path) -> None:
    with_service_manager(root)
    root.sh(f"dpkg --install {root.put(package)}")
    assert root.sh("ls /run/running") == "image-controller"
    root.sh("dpkg --remove image-controller")
    assert root.sh("ls /run/running") == ""
    root.sh(f"dpkg --install {root.put(package)}")
    assert root.sh("ls /run/running") == "image-controller"
    root.sh("systemctl stop image-controller.service")
    root.sh(f"dpkg --install {root.put(package)}")
    assert root.sh("ls /run/running") == ""
