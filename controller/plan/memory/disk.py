"""The file system that holds the images, as a value; `adapters/host/disk.py` measures it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Size and free space of one file system."""

    size_bytes: int
    available_bytes: int
    """Available to unprivileged users."""
    files: int | None = None
    """Number of inodes; None on a file system without a fixed number (btrfs)."""
    files_free: int | None = None


@dataclass(frozen=True, slots=True)
class ImageDisk:
    """The result of one measurement."""

    path: str = ""
    """What was measured, or was to be; empty if the image root is not known."""
    usage: DiskUsage | None = None
    why_unknown: str = ""
    """A sentence that says why `usage` is None, and what to do; empty if it is known."""
