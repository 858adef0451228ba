from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.folder.mounts import Mount, mount_of, mounts

TABLE = r"""
22 27 0:21 / /proc rw,nosuid shared:12 - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:40 / /mnt/nfs rw shared:5 master:2 - nfs4 server:/export rw
41 27 254:0 /git/abc//deleted /policies rw,relatime - ext4 /dev/vda rw
42 27 0:41 / /mnt/with\040blank ro - fuse.sshfs user@host: rw
43 27 254:0 /git/p.yaml /policies/p.yaml rw - ext4 /dev/vda rw
44 27 254:0 /git/p.yaml//deleted /policies/p.yaml rw - ext4 /dev/vda rw
"""


@pytest.fixture
def table(tmp_path: Path) -> tuple[Mount, ...]:
    file = tmp_path / "mountinfo"
    file.write_text(TABLE.lstrip())
    return mounts(file)


def on(path: str, table: tuple[Mount, ...]) -> Mount:
    found = mount_of(Path(path), table)
    assert found
    return found


def test_a_path_is_on_the_nearest_mount_above_it(table: tuple[Mount, ...]) -> None:
    assert on("/mnt/nfs/policies", table).point == Path("/mnt/nfs")
    assert on("/mnt/nfs", table).point == Path("/mnt/nfs")
    assert on("/mnt/nfs2", table).point == Path("/")
    assert mount_of(Path("/anything"), ()) is None


def test_of_several_mounts_on_one_mount_point_the_last_one_counts(table: tuple[Mount, ...]) -> None:
    assert on("/policies/p.yaml", table).has_deleted_source


def test_a_mount_shows_that_its_source_was_deleted(table: tuple[Mount, ...]) -> None:
    assert on("/policies/sub", table).has_deleted_source
    assert not on("/etc", table).has_deleted_source


def test_names_with_blanks_are_found(table: tuple[Mount, ...]) -> None:
    assert on("/mnt/with blank/x", table).kind == "fuse.sshfs"


def test_file_systems_that_other_hosts_change_do_not_report_all_changes(table: tuple[Mount, ...]) -> None:
    places = ("/etc", "/mnt/nfs", "/mnt/with blank", "/proc/sys")
    assert [on(place, table).reports_all_changes for place in places] == [True, False, False, False]


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "tmpfs", "overlay", "zfs", "f2fs", "fuseblk"])
def test_local_file_systems_report_all_changes(kind: str) -> None:
    assert Mount(Path("/"), kind, False).reports_all_changes


def test_the_table_of_this_machine_can_be_read() -> None:
    assert on("/proc/self", mounts()).kind == "proc"
    assert mount_of(Path("/"), mounts())


def test_without_a_mount_table_no_mount_is_known(tmp_path: Path) -> None:
    assert mounts(tmp_path / "missing") == ()
