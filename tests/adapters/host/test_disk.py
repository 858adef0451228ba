"""The file system of the image root is measured, for every kind of engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.folder.mounts import Mount
from controller.adapters.host.disk import ImageRootDisk, image_root
from controller.plan.memory.disk import DiskUsage
from controller.plan.memory.observation import Engine, Store

DOCKER = Engine("id", Store.GRAPH_DRIVER, "Docker", "29.7.2", "/var/lib/docker")
SYSTEM_SOCKET = "/run/containerd/containerd.sock"


def on_containerd(address: str, root: str = "/var/lib/docker") -> Engine:
    return replace(DOCKER, store=Store.CONTAINERD, containerd_address=address, data_root=root)


@pytest.mark.parametrize(
    ("engine", "has_containerd", "root"),
    [
        (DOCKER, True, "/var/lib/docker"),
        (replace(DOCKER, store=Store.PODMAN, data_root="/home/me/storage"), True, "/home/me/storage"),
        (on_containerd(SYSTEM_SOCKET), True, "/var/lib/containerd"),
        (on_containerd(f"unix:///var{SYSTEM_SOCKET}"), False, "/var/lib/containerd"),
        (on_containerd("/run/docker/containerd/containerd.sock"), True, "/var/lib/docker/containerd/daemon"),
        (on_containerd("/run/user/7/containerd.sock", "/home/me"), True, "/home/me/containerd/daemon"),
        (on_containerd("/run/docker/containerd/containerd.sock", ""), True, ""),
        (on_containerd(""), True, "/var/lib/containerd"),
        (on_containerd(""), False, ""),
    ],
)
def test_the_image_root_of_each_kind_of_engine(engine: Engine, has_containerd: bool, root: str) -> None:
    assert image_root(engine, lambda: has_containerd) == root


def statvfs(
    blocks: int = 100,
    files: int = 10,
    denied: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    block: int = 4096,
) -> tuple[Callable[[str], os.statvfs_result], list[str]]:
    """A `statvfs` of a file system with blocks of 4 kB, a quarter of them free, and the paths that it measured."""
    measured: list[str] = []

    def call(path: str) -> os.statvfs_result:
        if path in denied:
            raise PermissionError(13, "Permission denied")
        if path in missing:
            raise FileNotFoundError(2, "No such file or directory")
        measured.append(path)
        of_blocks, of_files = (blocks, blocks // 2, blocks // 4), (files, files // 2, files // 2)
        return os.statvfs_result((block, block, *of_blocks, *of_files, 0, 255))

    return call, measured


def mounted(*points: str) -> Callable[[], tuple[Mount, ...]]:
    return lambda: tuple(Mount(Path(point), "ext4", False) for point in points)


def test_bytes_and_inodes_of_the_image_root() -> None:
    call, measured = statvfs()
    disk = ImageRootDisk(statvfs=call).measure(DOCKER)
    assert disk.usage == DiskUsage(100 * 4096, 25 * 4096, 10, 5)
    assert (disk.path, measured) == ("/var/lib/docker", ["/var/lib/docker"])


def test_a_real_folder_is_measured_as_the_system_measures_it(tmp_path: Path) -> None:
    usage = ImageRootDisk().measure(replace(DOCKER, data_root=str(tmp_path))).usage
    real = os.statvfs(tmp_path)
    assert usage is not None
    assert usage.size_bytes == real.f_blocks * real.f_frsize


def test_a_file_system_without_inode_numbers_has_unknown_inodes() -> None:
    call, _ = statvfs(files=0)
    usage = ImageRootDisk(statvfs=call).measure(DOCKER).usage
    assert usage is not None
    assert (usage.files, usage.files_free) == (None, None)


def test_a_folder_that_cannot_be_entered_is_measured_by_the_mount_that_holds_it() -> None:
    root = "/var/lib/docker/containerd/daemon"
    call, measured = statvfs(denied=(root,))
    disk = ImageRootDisk(statvfs=call, mounts=mounted("/", "/var/lib/docker", "/var/lib"))
    result = disk.measure(on_containerd("/run/docker/containerd/containerd.sock"))
    assert result.usage is not None
    assert (result.path, measured) == (root, ["/var/lib/docker"])


def test_a_folder_that_cannot_be_measured_at_all_is_unknown() -> None:
    without = ({"denied": ("/var/lib/docker", "/")}, {"missing": ("/var/lib/docker",)}, {"blocks": 0}, {"block": 0})
    for call, _ in (statvfs(**each) for each in without):
        disk = ImageRootDisk(statvfs=call, mounts=mounted("/")).measure(DOCKER)
        assert disk.usage is None
        assert "/var/lib/docker" in disk.why_unknown
        assert "--disk" in disk.why_unknown


def test_without_a_mount_table_a_denied_folder_is_unknown() -> None:
    call, _ = statvfs(denied=("/var/lib/docker",))
    assert ImageRootDisk(statvfs=call, mounts=mounted()).measure(DOCKER).usage is None


def test_in_a_container_only_a_mounted_root_is_measured() -> None:
    call, measured = statvfs()
    inside = ImageRootDisk(is_in_container=True, statvfs=call, mounts=mounted("/", "/etc/hosts"))
    disk = inside.measure(DOCKER)
    assert (disk.usage, measured) == (None, [])
    assert "-v /var/lib/docker:/var/lib/docker:ro" in disk.why_unknown
    assert replace(inside, mounts=mounted("/", "/var/lib/docker")).measure(DOCKER).usage is not None


def test_the_disk_of_a_remote_engine_is_unknown() -> None:
    call, measured = statvfs()
    assert "another host" in ImageRootDisk(is_local=False, statvfs=call).measure(DOCKER).why_unknown
    assert measured == []


def test_a_containerd_that_nothing_names_is_unknown() -> None:
    disk = ImageRootDisk(has_containerd=lambda: False).measure(on_containerd(""))
    assert (disk.path, disk.usage) == ("", None)
    assert "--disk" in disk.why_unknown


@pytest.mark.parametrize("is_in_container", [False, True])
@pytest.mark.parametrize("is_local", [False, True])
def test_a_path_that_the_operator_names_is_used(is_local: bool, is_in_container: bool) -> None:
    call, measured = statvfs()
    disk = ImageRootDisk(is_local, is_in_container, Path("/image-disk"), mounted("/"), call)
    assert disk.measure(DOCKER).usage is not None
    assert measured == ["/image-disk"]
