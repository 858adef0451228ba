"""The file system that holds the images, and whether it is under pressure (design §7).

`adapters/host/disk.py` measures it. Pressure begins at the start mark and ends at the stop mark; between them the state
decides, which the ledger keeps.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from controller.quantity import bytes_in_words
from controller.value import dataclass

PAUSE_SECONDS = 30.0
"""After removals under pressure: some file systems (btrfs) show freed space only after their next commit."""
_TOLERATED_FALL = 0.01
"""Share of the size by which free space may fall during the pause; a larger fall ends it."""

_VISIBLE_SHARE = 0.5
"""Of the bytes that removals should have freed, by estimate: if so much more is available, their effect is visible."""


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Size and free space of one file system."""

    size_bytes: int
    available_bytes: int
    """Available to unprivileged users."""
    files: int | None = None
    """Number of inodes; None on a file system without a fixed number (btrfs)."""
    files_free: int | None = None

    @property
    def used_share(self) -> float:
        """`1 - available/size`, as the recording rules compute it."""
        return 1 - self.available_bytes / self.size_bytes

    @property
    def used_files_share(self) -> float:
        """The same for inodes; 0 without a fixed number of them."""
        return 1 - self.files_free / self.files if self.files and self.files_free is not None else 0.0


@dataclass(frozen=True, slots=True)
class ImageDisk:
    """The result of one measurement."""

    path: str = ""
    """What was measured, or was to be; empty if the image root is not known."""
    usage: DiskUsage | None = None
    why_unknown: str = ""
    """A sentence that says why `usage` is None, and what to do; empty if it is known."""


@dataclass(frozen=True, slots=True)
class DiskMark:
    """A share of the file system that is used, or an amount of free space; one of them is None."""

    used_share: float | None = None
    """From 0 to 1, of bytes and, separately, of inodes."""
    free_bytes: int | None = None

    def missing_bytes(self, usage: DiskUsage) -> int:
        """How many bytes must become available until no more than the mark is used; 0 if that is so already."""
        free = ceil(usage.size_bytes * (1 - self.used_share)) if self.used_share is not None else self.free_bytes or 0
        return max(0, free - usage.available_bytes)

    def missing_files(self, usage: DiskUsage) -> int:
        """The same for inodes."""
        if self.used_share is None or not usage.files or usage.files_free is None:
            return 0
        return max(0, ceil(usage.files * (1 - self.used_share)) - usage.files_free)

    def is_reached(self, usage: DiskUsage) -> bool:
        """True if the used bytes or inodes have reached the mark."""
        if self.used_share is None:
            return usage.available_bytes <= (self.free_bytes or 0)
        return usage.used_share >= self.used_share or (
            usage.files is not None and usage.used_files_share >= self.used_share
        )

    def share_of(self, usage: DiskUsage) -> float:
        """The place of the mark on a bar of used bytes, from 0 to 1."""
        if self.used_share is not None:
            return self.used_share
        return max(0.0, 1 - (self.free_bytes or 0) / usage.size_bytes)

    def __str__(self) -> str:
        if self.used_share is not None:
            return f"{self.used_share * 100:g} %"
        return f"{bytes_in_words(self.free_bytes)} free"


@dataclass(frozen=True, slots=True)
class PressureMarks:
    """Where pressure begins and ends; both marks are of one kind."""

    start: DiskMark
    stop: DiskMark

    def can_be_relieved(self, usage: DiskUsage) -> bool:
        """False if the stop mark demands more free bytes than the file system has: pressure would never end."""
        return (self.stop.free_bytes or 0) < usage.size_bytes

    def is_relieved(self, usage: DiskUsage) -> bool:
        """True if the stop mark is reached, in bytes and in inodes."""
        return not (self.stop.missing_bytes(usage) or self.stop.missing_files(usage))


@dataclass(frozen=True, slots=True)
class Pressure:
    """The state of a disk under pressure. The ledger keeps it from pass to pass."""

    since: float
    """Ledger time."""
    usage: DiskUsage
    """As measured last."""
    pause_ends: float = 0.0
    """Ledger time until which no removal is due only because of the pressure, unless the pause ends before."""
    pause_from_bytes: int = 0
    """Available bytes before the removals after which the pause began."""
    pause_until_bytes: int = 0
    """Available bytes that show the effect of these removals, and end the pause."""
    path: str = ""
    """What was measured: the state of one disk says nothing about another one."""

    def pauses(self, now: float) -> bool:
        """True if removals wait until their effect can be measured."""
        return now < self.pause_ends


def pressure_after(
    before: Pressure | None, usage: DiskUsage | None, marks: PressureMarks | None, now: float
) -> Pressure | None:
    """The state after a measurement; None: no pressure. A disk that cannot be measured is not under pressure, nor is
    one that is too small for the stop mark.
    """
    if usage is None or marks is None or not marks.can_be_relieved(usage):
        return None
    if before is None:
        return Pressure(now, usage) if marks.start.is_reached(usage) else None
    if marks.is_relieved(usage):
        return None
    fell = before.pause_from_bytes - usage.available_bytes
    is_over = fell > usage.size_bytes * _TOLERATED_FALL or usage.available_bytes >= before.pause_until_bytes
    is_over |= not before.pauses(now)
    return replace(before, usage=usage, pause_ends=0.0 if is_over else before.pause_ends)


def paused(pressure: Pressure, freed_bytes: int, now: float) -> Pressure:
    """The state after removals under pressure, which began with its measurement and should have freed that much."""
    available = pressure.usage.available_bytes
    until = available + max(1, int(freed_bytes * _VISIBLE_SHARE))
    return replace(pressure, pause_ends=now + PAUSE_SECONDS, pause_from_bytes=available, pause_until_bytes=until)


def calls_for_pass(before: Pressure | None, after: Pressure | None, now: float) -> bool:
    """True if a new measurement requires a pass: the pressure has started or ended, or the pause has ended."""
    if before is None or after is None:
        return before is not after
    return before.pauses(now) and not after.pauses(now)


def pressure_in_words(usage: DiskUsage, marks: PressureMarks) -> str:
    """`disk pressure: 91 % used, start 85 %`: for verdicts, the history and the log."""
    if marks.start.used_share is None:
        return f"disk pressure: {bytes_in_words(usage.available_bytes)} free, start {marks.start}"
    if usage.used_files_share > usage.used_share:
        return f"disk pressure: {usage.used_files_share * 100:.0f} % of inodes used, start {marks.start}"
    return f"disk pressure: {usage.used_share * 100:.0f} % used, start {marks.start}"
