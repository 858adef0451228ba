"""Measure the file system of the image root (design §13): where an engine keeps images is not always its data root."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.adapters.folder.mounts import Mount, mount_of, mounts
from controller.plan.memory.disk import DiskUsage, ImageDisk
from controller.plan.memory.observation import Engine, Store
from controller.value import dataclass

SYSTEM_CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
SYSTEM_CONTAINERD_ROOT = "/var/lib/containerd"


def has_system_containerd() -> bool:
    """True if the socket of a system containerd exists."""
    try:
        return SYSTEM_CONTAINERD_SOCKET.is_socket()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class ImageRootDisk:
    """Measures the image root of an engine, or the path that `--disk` names."""

    is_local: bool = True
    """True if the engine runs on this host."""
    is_in_container: bool = False
    override: Path | None = None
    mounts: Callable[[], Sequence[Mount]] = mounts
    statvfs: Callable[[str], os.statvfs_result] = os.statvfs
    has_containerd: Callable[[], bool] = has_system_containerd

    def measure(self, engine: Engine) -> ImageDisk:
        """Size and free space; never raises. What cannot be seen is unknown."""
        if self.override is not None:
            return self._measured(str(self.override))
        if not self.is_local:
            return ImageDisk(why_unknown="The disk with the images is not measured: the engine runs on another host.")
        root = image_root(engine, self.has_containerd)
        if not root:
            why = "The disk with the images is not known: the engine does not name its containerd (set --disk)."
            return ImageDisk(why_unknown=why)
        if self.is_in_container and self._is_hidden(root):
            return ImageDisk(root, why_unknown=_how_to_mount(root))
        return self._measured(root)

    def _is_hidden(self, root: str) -> bool:
        """True if the path is not mounted into our container: it is on the container's own root, or missing."""
        mount = mount_of(Path(os.path.realpath(root)), self.mounts())
        return mount is None or mount.point == Path("/")

    def _measured(self, path: str) -> ImageDisk:
        try:
            return _disk_of(path, self._statvfs_of(path))
        except OSError as error:
            reason = error.strerror or str(error)
            return ImageDisk(path, why_unknown=f"The disk with {path} cannot be measured: {reason} (set --disk).")

    def _statvfs_of(self, path: str) -> os.statvfs_result:
        """Engines keep their folders at mode 0710: without permission to enter, the mount that holds it is measured."""
        try:
            return self.statvfs(path)
        except PermissionError:
            mount = mount_of(Path(os.path.realpath(path)), self.mounts())
            if mount is None:
                raise
            return self.statvfs(str(mount.point))


def image_root_disk(docker_host: str, own_container: str, override: Path | None) -> ImageRootDisk:
    """The disk of the engine at that address, for a controller that runs in that container (empty: in none)."""
    return ImageRootDisk(docker_host.startswith("unix://"), bool(own_container), override)


def image_root(engine: Engine, has_containerd: Callable[[], bool]) -> str:
    """The folder in which this engine keeps images; empty if it is not known.

    The containerd store uses the root of the containerd. `/info` gives only the socket, and only since Docker 28.
    """
    if engine.store is not Store.CONTAINERD:
        return engine.data_root
    if not engine.containerd_address:
        return SYSTEM_CONTAINERD_ROOT if has_containerd() else ""
    if _is_system_containerd(engine.containerd_address):
        return SYSTEM_CONTAINERD_ROOT
    return f"{engine.data_root}/containerd/daemon" if engine.data_root else ""


def _is_system_containerd(address: str) -> bool:
    path = address.removeprefix("unix://")
    return path.removeprefix("/var") == str(SYSTEM_CONTAINERD_SOCKET)


def _disk_of(path: str, measured: os.statvfs_result) -> ImageDisk:
    block = measured.f_frsize or measured.f_bsize
    if measured.f_blocks * block <= 0:
        return ImageDisk(path, why_unknown=f"The file system with {path} reports no size (set --disk).")
    has_files = measured.f_files > 0
    usage = DiskUsage(
        size_bytes=measured.f_blocks * block,
        available_bytes=measured.f_bavail * block,
        files=measured.f_files if has_files else None,
        files_free=measured.f_ffree if has_files else None,
    )
    return ImageDisk(path, usage)


def _how_to_mount(root: str) -> str:
    return (
        f"The disk with {root} cannot be seen from this container: mount that folder (-v {root}:{root}:ro),"
        " or mount another folder of the same disk and name it with --disk."
    )
