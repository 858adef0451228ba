"""The system clock."""

from __future__ import annotations

import os
import time
from pathlib import Path

from controller.instant import Instant

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """Wall time, boot and CLOCK_MONOTONIC of this machine; in a container those of the host."""

    def __init__(self, boot_id_file: Path = _BOOT_ID) -> None:
        self._boot = _boot_id(boot_id_file)

    def now(self) -> Instant:
        """The present instant."""
        return Instant(time.time(), self._boot, time.monotonic())


def _boot_id(file: Path) -> str:
    """The boot ID; without one each process counts as a boot, so that no uptimes are compared across a restart."""
    try:
        boot = file.read_text().strip()
    except OSError:
        boot = ""
    return boot or f"process-{os.urandom(16).hex()}"
