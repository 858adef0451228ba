"""What is mounted where: three ways in which a mount keeps new documents from being seen.

A mount of a directory or a file, unlike one of a folder above it, stays with what it was made from when that is
replaced; and on some file systems nobody is told of changes that are made elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_DELETED = "//deleted"
_REMOTE = frozenset({"9p", "afs", "ceph", "cifs", "fuse", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"})
_SHARED_WITH_THE_HOST = frozenset({"fakeowner", "prl_fs", "vboxsf", "virtiofs", "vmhgfs"})
_MADE_BY_THE_KERNEL = frozenset({"proc", "sysfs"})
_DEAF = _REMOTE | _SHARED_WITH_THE_HOST | _MADE_BY_THE_KERNEL
"""inotify(7) accepts a watch on these, and hears only of what is changed from here."""
_octal = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount, as this process sees it."""

    point: Path
    """Where it is, without links."""
    kind: str
    """The type of its file system."""
    is_of_something_deleted: bool
    """What was mounted has been deleted, or replaced by another of its name, since."""

    @property
    def tells_of_changes(self) -> bool:
        """Does inotify hear of every change?"""
        return self.kind not in _DEAF and not self.kind.startswith("fuse.")


def mounts(table: Path = _TABLE) -> tuple[Mount, ...]:
    """All of them, in the order in which they were made; none where the system does not tell."""
    try:
        text = table.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    return tuple(_mount(line.split(" ")) for line in text.split("\n") if line)


def mount_of(path: Path, among: Iterable[Mount]) -> Mount | None:
    """The mount that a path without links is on; of several on top of each other the last one made."""
    holders = (mount for mount in among if path.is_relative_to(mount.point))
    return max(reversed(tuple(holders)), key=lambda mount: len(mount.point.parts), default=None)


def _mount(fields: Sequence[str]) -> Mount:
    """36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue (proc_pid_mountinfo(5))"""
    kind = fields[fields.index("-", 6) + 1]
    return Mount(Path(_unescaped(fields[4])), kind, fields[3].endswith(_DELETED))


def _unescaped(field: str) -> str:
    return _octal.sub(lambda found: chr(int(found[1], 8)), field)
