"""Health and readiness of the controller. Its threads write them; the HTTP server reads them."""

from __future__ import annotations

from collections.abc import Callable

from controller.daemon.status import PassResult, Status
from controller.instant import Clock
from controller.quantity import seconds_in_words
from controller.value import dataclass

ALIVE_WITHIN_SECONDS = 60.0
"""The loop reports every five seconds, during removals, and after each answer of the engine."""
ENGINE_CALL_SECONDS = 600.0
"""One engine call may take this long. The loop does not report meanwhile, and the adapter then ends the call."""


@dataclass
class Liveness:
    """When the loop last reported, and the last status."""

    clock: Clock
    threads_alive: Callable[[], bool]
    status: Status | None = None
    last_heartbeat: float = 0.0
    """Uptime."""
    engine: str = ""
    """Which engine was chosen, and why, in words."""
    engine_waits_seconds: Callable[[], float] = lambda: 0.0
    """How long the oldest engine call has been waiting for its answer."""
    needs_restart: Callable[[], str] = lambda: ""
    """Why only a restart of this container helps; empty if that is not so."""

    def beat(self) -> None:
        """Record that the loop is alive."""
        self.last_heartbeat = self.clock.now().uptime_seconds

    def health(self) -> str:
        """What is wrong with the controller itself; empty if it is healthy."""
        silent_for = self.clock.now().uptime_seconds - self.last_heartbeat
        if silent_for > ALIVE_WITHIN_SECONDS + min(self.engine_waits_seconds(), ENGINE_CALL_SECONDS):
            return f"the control loop has not reported for {silent_for:.0f} s"
        if not self.threads_alive():
            return "the thread that reads engine events has ended"
        return self.needs_restart()

    def waiting(self) -> str:
        """How long the loop has been waiting for one engine call; empty unless that is long."""
        waits = self.engine_waits_seconds()
        return f"waiting for the engine for {seconds_in_words(waits)}" if waits > ALIVE_WITHIN_SECONDS else ""

    def readiness(self) -> str:
        """Why the controller cannot work now; empty if it can."""
        if waiting := self.waiting():
            return waiting
        if self.status is None or self.status.last_success is None:
            return "no pass has succeeded yet" + (f": {self.status.trouble}" if self.status else "")
        return self.status.trouble if self.status.result is PassResult.FAILED else self.status.without_events
