"""What the service manager hears of us, by sd_notify(3): ready, alive, reloading, stopping. Nothing without systemd."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class ServiceManager:
    """The systemd that has started this process, if one has. Telling it never fails: who does not listen misses it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watches = "WATCHDOG_USEC" in environment

    def ready(self, status: str) -> None:
        """A pass is done; `status` is the line that `systemctl status` shows."""
        self._tell("READY=1", f"STATUS={' '.join(status.split())}")

    def alive(self) -> None:
        """The loop goes on. To be called by the loop itself: a thread that lives beside a stuck loop proves nothing."""
        if self._watches:
            self._tell("WATCHDOG=1")

    def reloading(self) -> None:
        """Everything is read anew; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notices:
            notices.sendto("\n".join(lines).encode(), self._address)
