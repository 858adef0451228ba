"""Is the controller itself alive, and can it do its work? Written by its threads, read by those of the HTTP server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.daemon.status import PassResult, Status
from controller.instant import Clock

ALIVE_WITHIN_SECONDS = 60.0
"""The loop is heard of every ten seconds; a removal or a list may keep it longer, and says so meanwhile."""


@dataclass
class Liveness:
    """Signs of life."""

    clock: Clock
    threads_alive: Callable[[], bool]
    status: Status | None = None
    last_heartbeat: float = 0.0
    """Uptime."""

    def beat(self) -> None:
        """The loop is alive."""
        self.last_heartbeat = self.clock.now().uptime_seconds

    def health(self) -> str:
        """What is wrong with the controller itself; empty if nothing is."""
        silent_for = self.clock.now().uptime_seconds - self.last_heartbeat
        if silent_for > ALIVE_WITHIN_SECONDS:
            return f"the loop has not been heard of for {silent_for:.0f} s"
        return "" if self.threads_alive() else "a thread has died"

    def readiness(self) -> str:
        """Why the controller cannot do its work now; empty if it can."""
        if self.status is None or self.status.last_success is None:
            return "no pass has succeeded yet" + (f": {self.status.trouble}" if self.status else "")
        return self.status.trouble if self.status.result is PassResult.FAILED else ""
