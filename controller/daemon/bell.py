"""The bell: anybody may ring it, from any thread; the loop waits for it. It says *look*, never *what*."""

from __future__ import annotations

import threading


class Bell:
    """Rings are remembered until somebody has waited for them."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """End the wait."""
        self._rung.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, or so long; was there one?"""
        was_rung = self._rung.wait(max(0.0, seconds))
        self._rung.clear()
        return was_rung
