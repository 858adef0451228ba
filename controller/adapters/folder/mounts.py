"""The mount table: a mount can hide new documents in three ways.

A bind mount of a directory or a file, unlike a mount of its parent folder, keeps its source when that is replaced. On
some file systems inotify does not report changes that another host makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from controller.value import dataclass

_TABLE = Path("/proc/self/mountinfo")
_DELETED = "//deleted"
_REMOTE = frozenset({"9p", "afs", "ceph", "cifs", "fuse", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"})
_SHARED_WITH_THE_HOST = frozenset({"fakeowner", "prl_fs", "vboxsf", "virtiofs", "vmhgfs"})
_MADE_BY_THE_KERNEL = frozenset({"proc", "sysfs"})
_WITHOUT_REMOTE_EVENTS = _REMOTE | _SHARED_WITH_THE_HOST | _MADE_BY_THE_KERNEL
"""inotify(7) accepts a watch on these, and reports only changes that this host makes."""
_octal = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount, as this process sees it."""

    point: Path
    """The mount point, without links."""
    kind: str
    """The type of its file system."""
    has_deleted_source: bool
    """The source was deleted, or replaced by another of the same name, after it was mounted."""

    @property
    def reports_all_changes(self) -> bool:
        """True if inotify reports every change."""
        return self.kind not in _WITHOUT_REMOTE_EVENTS and not self.kind.startswith("fuse.")


def mounts(table: Path = _TABLE) -> tuple[Mount, ...]:
    """All mounts, in the order in which they were made; none where the table cannot be read."""
    try:
        text = table.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    return tuple(_mount(line.split(" ")) for line in text.split("\n") if line)


def mount_of(path: Path, among: Iterable[Mount]) -> Mount | None:
    """The mount that holds a path without links; of several on one mount point the last one made."""
    holders = (mount for mount in among if path.is_relative_to(mount.point))
    return max(reversed(tuple(holders)), key=lambda mount: len(mount.point.parts), default=None)


def _mount(fields: Sequence[str]) -> Mount:
    """36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue (proc_pid_mountinfo(5))"""
    kind = fields[fields.index("-", 6) + 1]
    return Mount(Path(_unescaped(fields[4])), kind, fields[3].endswith(_DELETED))


def _unescaped(field: str) -> str:
    return _octal.sub(lambda found: chr(int(found[1], 8)), field)
