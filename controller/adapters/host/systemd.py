"""Notifications to systemd, by sd_notify(3): ready, alive, reloading, stopping. No effect without systemd."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from controller.printable import printable

_LONGEST_STATUS_BYTES = 4_000
"""systemd ignores a notification of more than 4,096 bytes, with its `READY=1`."""


class ServiceManager:
    """The systemd that started this process, if any. Notifications never raise."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watches = "WATCHDOG_USEC" in environment

    def ready(self, status: str) -> None:
        """A pass has ended; `status` is the line that `systemctl status` shows."""
        self._notify("READY=1", f"STATUS={_fitting(printable(' '.join(status.split())))}")

    def alive(self) -> None:
        """The loop runs. Only the loop calls this: another thread would run on while the loop is stuck."""
        if self._watches:
            self._notify("WATCHDOG=1")

    def reloading(self) -> None:
        """Everything is read again; `ready` ends it."""
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The shutdown has started."""
        self._notify("STOPPING=1")

    def _notify(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notices:
            notices.sendto("\n".join(lines).encode(), self._address)


def _fitting(text: str) -> str:
    return text.encode()[:_LONGEST_STATUS_BYTES].decode(errors="ignore")
