"""The container that this program runs in, as the mount table shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.engine.own_container import own_container_id

ID = "c" * 64
_ELSEWHERE = b"36 35 8:1 / /media/M\xfcller rw - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (f"/var/lib/docker/containers/{ID}/hostname", ID),
        (f"/containers/storage/overlay-containers/{ID}/userdata/hostname", ID),
        ("/etc/hostname", ""),
    ],
)
def test_a_mount_point_that_is_not_utf_8_hides_no_other(tmp_path: Path, source: str, found: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(_ELSEWHERE + f"37 35 8:1 {source} /etc/hostname rw - ext4 /dev/sda1 rw\n".encode())
    assert own_container_id(table) == found


def test_without_a_mount_table_there_is_no_container(tmp_path: Path) -> None:
    assert own_container_id(tmp_path / "mountinfo") == ""
