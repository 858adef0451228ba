"""Nearly full disks, and a disk that is full at any single write: images are removed, and nothing is lost.

`python -m tests.campaigns.disks`. For each size of a file system a controller starts twice, with images that are due at
each start. Then, on a disk with room, SQLite finds no space at the first, second, third … write of such a life, for one
write or for all that follow. The file systems need root.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from controller.adapters.ledger.history import HistoryReader
from controller.adapters.ledger.ledger import Ledger
from controller.daemon.reconcile import PassOptions
from controller.daemon.report import StatusReport
from controller.errors import LedgerUnavailable
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from tests.fakes import a_document, a_removal
from tests.host import IN_MEMORY, Host

IMAGES = 39
"""Due at each start."""
SIZES_KIB = range(200, 8 * 1024 + 1, 100)
_EXT4_MIB = 32
_FEW_IMAGES = 5
"""Where each of hundreds of writes is a life of its own."""
_TERMS = Terms(settle_seconds=0.0)


# ── one controller ───────────────────────────────────────────────────────────────────────────────────────────────────


def removed_in_one_life(file: Path, number: int, images: int = IMAGES) -> int:
    """How many of so many due images a controller removes that starts with this ledger, and ends."""
    host = Host.__new__(Host)
    try:
        Host.__init__(host, file, options=PassOptions(Conditions(_TERMS), parallel_removals=1))
    except LedgerUnavailable:
        return 0
    try:
        host.folder.files["doc.yaml"] = a_document(a_removal())
        for each in range(images):
            host.engine.load(f"registry.local:5000/team/app:{number}-{each}", f"layer {number} {each}")
        for _ in range(4):
            _pass(host)
        return images - len(host.engine.images_now())
    finally:
        host.stop()


def _pass(host: Host) -> None:
    """A pass and its report, as the daemon writes it."""
    status = host.run_pass()
    report = StatusReport(status, _TERMS)
    with suppress(LedgerUnavailable):
        assert isinstance(host.ledger, Ledger)
        host.ledger.report(report.summary, report.rows)
    host.clock.elapse(61.0)


def removals_in_history(file: Path) -> int:
    """How many the ledger has."""
    reader = HistoryReader(file)
    try:
        return len(reader.removals())
    finally:
        reader.close()


# ── small file systems ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Lives:
    """How many images were removed with so much free space, at a first start and after a restart."""

    kib: int
    first: int
    second: int
    recorded: int

    @property
    def is_good(self) -> bool:
        return self.first == self.second == IMAGES and self.recorded == 2 * IMAGES


def lives_on(folder: Path, kib: int) -> Lives:
    """Two lives with a ledger in an empty folder; what it then knows shows where there is room."""
    file = folder / "ledger.db"
    first, second = removed_in_one_life(file, 1), removed_in_one_life(file, 2)
    with TemporaryDirectory(dir=IN_MEMORY) as with_room:
        copy = Path(shutil.copytree(folder, Path(with_room) / "copy")) / file.name
        removed_in_one_life(copy, 3, 0)
        return Lives(kib, first, second, removals_in_history(copy))


def on_tmpfs(sizes_kib: Iterable[int]) -> Iterator[Lives]:
    """A file system in memory of each size."""
    for kib in sizes_kib:
        with TemporaryDirectory() as folder, _mounted("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder):
            yield lives_on(Path(folder), kib)


def on_ext4(sizes_kib: Iterable[int]) -> Iterator[Lives]:
    """One file system in a file, filled up to each size."""
    with TemporaryDirectory(dir=IN_MEMORY) as image, TemporaryDirectory() as folder:
        disk = Path(image) / "disk"
        with disk.open("wb") as opened:
            opened.truncate(_EXT4_MIB * 2**20)
        subprocess.run(["/sbin/mkfs.ext4", "-q", "-m", "0", disk], check=True)
        with _mounted("-o", "loop", str(disk), folder):
            for kib in sizes_kib:
                below = Path(folder) / "below"
                below.mkdir()
                _fill(Path(folder) / "filling", kib)
                yield lives_on(below, kib)
                for each in (*below.iterdir(), Path(folder) / "filling"):
                    each.unlink()
                below.rmdir()


@contextmanager
def _mounted(*arguments: str) -> Iterator[None]:
    subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)


def _fill(file: Path, leave_kib: int) -> None:
    with file.open("wb") as opened:
        free = os.statvfs(file.parent)
        os.posix_fallocate(opened.fileno(), 0, free.f_bavail * free.f_bsize - leave_kib * 1024)


# ── no space at one write ────────────────────────────────────────────────────────────────────────────────────────────

_PWRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_SET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_GET = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)


class _FileSystem(ctypes.Structure):
    """`sqlite3_vfs` of sqlite3.h: SQLite's own tests replace system calls through it."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("version", "file_bytes", "longest_path")),
        *((name, ctypes.c_void_p) for name in ("next", "name", "app_data")),
        *((f"method_{number}", ctypes.c_void_p) for number in range(13)),
        ("set_system_call", _SET),
        ("get_system_call", _GET),
    )


class FullAt:
    """Counts SQLite's writes; from the given one on, so many of them find no space."""

    def __init__(self, first: int, writes: int) -> None:
        self.count = 0
        self._refused = range(first, first + writes)

    @contextmanager
    def installed(self) -> Iterator[FullAt]:
        """Between SQLite and the system."""
        import _sqlite3

        find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
        find.restype = ctypes.POINTER(_FileSystem)
        vfs = find(None)
        here = ctypes.cast(vfs, ctypes.c_void_p)
        real = _PWRITE(vfs.contents.get_system_call(here, b"pwrite64"))

        def write(descriptor: int, data: int, size: int, offset: int) -> int:
            self.count += 1
            if self.count in self._refused:
                ctypes.set_errno(ENOSPC)
                return -1
            return int(real(descriptor, data, size, offset))

        replaced = _PWRITE(write)
        vfs.contents.set_system_call(here, b"pwrite64", ctypes.cast(replaced, ctypes.c_void_p))
        try:
            yield self
        finally:
            vfs.contents.set_system_call(here, b"pwrite64", None)


def faults_with_full_writes(first: int, writes: int) -> Iterator[str]:
    """What is wrong after a life in which these writes find no space, and one with room."""
    with TemporaryDirectory(dir=IN_MEMORY) as folder, _small_reserve():
        file = Path(folder) / "ledger.db"
        with FullAt(first, writes).installed():
            removed = removed_in_one_life(file, 1, _FEW_IMAGES)
        again = removed_in_one_life(file, 2, _FEW_IMAGES)
        ledger = Ledger(file)
        open_intents, resets = len(ledger.open_intents()), ledger.resets
        ledger.close()
        recorded = removals_in_history(file)
        if again != _FEW_IMAGES:
            yield f"{again} of {_FEW_IMAGES} removed once there is room"
        if resets or list(Path(folder).glob("*.damaged")):
            yield "the ledger counts as damaged"
        if open_intents:
            yield f"{open_intents} intents are open"
        if recorded != removed + again:
            yield f"{recorded} removals recorded of {removed + again}"


def writes_of_a_life() -> int:
    """How often SQLite writes if the disk has room."""
    with TemporaryDirectory(dir=IN_MEMORY) as folder, FullAt(0, 0).installed() as counted, _small_reserve():
        removed_in_one_life(Path(folder) / "ledger.db", 1, _FEW_IMAGES)
        return counted.count


def _small_reserve() -> AbstractContextManager[object]:
    """Thousands of equal writes fill the real one."""
    return patch("controller.adapters.ledger.reserve.ROOM_BYTES", 2**17)


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(name: str, run: Callable[[Iterable[int]], Iterator[Lives]]) -> list[Lives]:
    lives = list(run(SIZES_KIB))
    for each in lives:
        if not each.is_good:
            print(f"  {name}, {each.kib} KiB: {each.first} and {each.second} of {IMAGES}, {each.recorded} recorded")
    return lives


def main() -> int:
    """Every size, then every write; prints what is wrong and one line."""
    if os.geteuid() != 0:
        print("disks: not run (mounting file systems needs root)")
        return 0
    disks = {name: _table(name, run) for name, run in (("tmpfs", on_tmpfs), ("ext4", on_ext4))}
    total, faults = writes_of_a_life(), 0
    for writes in (1, sys.maxsize):
        for first in range(1, total + 1):
            for fault in faults_with_full_writes(first, writes):
                faults += 1
                print(f"  no space at write {first} of {total}{'' if writes == 1 else ' and after it'}: {fault}")
    good = ", ".join(
        f"{sum(each.is_good for each in lives)} of {len(lives)} sizes on {n}" for n, lives in disks.items()
    )
    print(f"disks: {good} removed all images at both starts; {2 * total} lives with a full write: {faults} faults")
    return int(bool(faults) or not all(each.is_good for lives in disks.values() for each in lives))


if __name__ == "__main__":
    sys.exit(main())
