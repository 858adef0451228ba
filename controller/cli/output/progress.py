"""The progress of removals: one line on a terminal that is overwritten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TextIO

from controller.quantity import bytes_in_words

_CLEAR = "\x1b[K"
_SHOWN_EVERY_SECONDS = 0.1


class ProgressLine:
    """`removing 12 of 340, 1.2 GB freed so far`; the cursor returns to its start, so the next text overwrites it."""

    def __init__(self, terminal: TextIO, uptime: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._uptime = uptime
        self._lock = threading.Lock()
        self._shown_at = float("-inf")
        self._removals = self._answered = self._freed_bytes = 0

    def began(self, removals: int) -> None:
        """Number of removals that will be requested."""
        self._removals, self._answered, self._freed_bytes = removals, 0, 0
        self._show()

    def answered(self, freed_bytes: int) -> None:
        """One was answered."""
        with self._lock:
            self._answered += 1
            self._freed_bytes += freed_bytes
            if self._answered == self._removals:
                self._write("")
            elif self._uptime() - self._shown_at >= _SHOWN_EVERY_SECONDS:
                self._show()

    def _show(self) -> None:
        self._shown_at = self._uptime()
        freed = f", {bytes_in_words(self._freed_bytes)} freed so far" if self._freed_bytes else ""
        self._write(f"removing {self._answered + 1} of {self._removals}{freed}")

    def _write(self, text: str) -> None:
        self._terminal.write(f"{_CLEAR}{text}\r")
        self._terminal.flush()
