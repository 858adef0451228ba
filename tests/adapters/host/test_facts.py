"""Facts about a host, read from folders with the files of one."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from controller.adapters.host.facts import AnonymousNode, read_host, read_machine
from controller.plan.node.node import ARCH, CPU, HARDWARE_ID, MEMORY, OPERATING_SYSTEM, builtin_properties

MACHINE_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with two processors and one GB of memory under Debian."""
    a_file(tmp_path / "proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n")
    a_file(tmp_path / "proc/meminfo", "MemTotal:        1048576 kB\n")
    a_file(tmp_path / "etc/os-release", "ID=debian\n")
    a_file(tmp_path / "etc/machine-id", f"{MACHINE_ID}\n")
    return tmp_path


def a_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def builtin(root: Path) -> dict[str, object]:
    return {prop.name: prop.value for prop in builtin_properties(read_host(root).facts)}


def test_the_builtin_properties_come_from_proc_and_etc(root: Path) -> None:
    said = builtin(root)
    assert (said[CPU], said[MEMORY], said[OPERATING_SYSTEM]) == (2, 1024, "debian")


def test_missing_facts_have_the_values_of_upstream(tmp_path: Path) -> None:
    said = builtin(tmp_path)
    assert (said[CPU], said[MEMORY], said[OPERATING_SYSTEM]) == (1, 0, "")


def test_the_facts_of_the_real_host_are_plausible() -> None:
    said = builtin(Path("/"))
    assert said[CPU] == os.cpu_count()
    assert said[MEMORY] != 0
    assert said[ARCH] == {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), said[ARCH])


def test_a_system_of_32_bits_on_a_kernel_of_64_runs_programs_of_32(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = os.uname_result(("Linux", "pi", "6.1", "#1", "aarch64"))
    monkeypatch.setattr(os, "uname", lambda: kernel)
    monkeypatch.setattr("sys.maxsize", 2**63 - 1)
    assert builtin(root)[ARCH] == "arm64"
    monkeypatch.setattr("sys.maxsize", 2**31 - 1)
    assert builtin(root)[ARCH] == "arm"


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_in_a_container_the_system_is_that_of_the_host_or_unknown(root: Path, mark: str) -> None:
    a_file(root / mark, "")
    assert builtin(root)[OPERATING_SYSTEM] == ""
    a_file(root / "etc/host-os-release", 'ID="ubuntu"\n')
    assert builtin(root)[OPERATING_SYSTEM] == "ubuntu"


def test_the_identity_is_stable_and_differs_between_machines(root: Path) -> None:
    first = read_host(root).identity
    assert read_host(root).identity == first
    a_file(root / "etc/machine-id", MACHINE_ID[::-1])
    assert read_host(root).identity != first
    assert len(first) == 32


def test_the_machine_id_itself_is_not_shown(root: Path) -> None:
    host = read_host(root)
    said = builtin(root)
    assert MACHINE_ID[:8] not in f"{host}{said}"
    assert said[HARDWARE_ID] not in ("", host.identity)


def test_a_serial_number_is_the_hardware_id(root: Path) -> None:
    a_file(root / "proc/cpuinfo", "processor\t: 0\nSerial\t\t: 00000000f00d\n")
    assert builtin(root)[HARDWARE_ID] == "00000000f00d"


@pytest.mark.parametrize("text", ["", "\n", "uninitialized\n"])
def test_without_a_machine_id_other_sources_give_the_identity(root: Path, text: str) -> None:
    identities = [read_host(root).identity]
    a_file(root / "etc/machine-id", text)
    identities.append(read_host(root).identity)  # the name of this machine
    a_file(root / "proc/cpuinfo", "Serial\t\t: 00000000f00d\n")
    identities.append(read_host(root).identity)
    a_file(root / "sys/class/dmi/id/product_uuid", "4c4c4544-0042\n")
    identities.append(read_host(root).identity)
    a_file(root / "var/lib/dbus/machine-id", MACHINE_ID[::-1])
    identities.append(read_host(root).identity)
    assert len(set(identities)) == 5


def test_an_anonymous_node_has_no_pattern_and_no_policy_but_an_id_of_its_own(root: Path) -> None:
    host = read_host(root)
    answer = AnonymousNode(host).ask()
    assert answer.node
    assert (answer.node.org, answer.node.id, answer.node.pattern) == ("", host.identity, "")
    assert answer.node.properties == builtin_properties(host.facts)
    assert answer.node.constraints == ()
    assert not answer.is_degraded


def test_the_machine_is_known_by_its_hardware_before_its_machine_id(tmp_path: Path) -> None:
    assert read_machine(tmp_path) == ""
    a_file(tmp_path / "etc/machine-id", "1" * 32)
    by_id = read_machine(tmp_path)
    a_file(tmp_path / "sys/class/dmi/id/product_uuid", "4c4c4544-0042")
    by_hardware = read_machine(tmp_path)
    a_file(tmp_path / "etc/machine-id", "2" * 32)  # as in a container, or after a boot with /etc in memory
    assert by_hardware == read_machine(tmp_path) != by_id
    assert "4c4c4544" not in by_hardware
