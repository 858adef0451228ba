"""`start` and `startWindow`: when a document comes into force on this node.

`now` and the offset use ledger time. A written date counts once the wall clock has passed it and can be trusted: edge
hosts start in 1970.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import TextRecord


def offset_seconds(node: str, document: str, window_seconds: int) -> float:
    """Offset of this node in the window: spread evenly over nodes, constant for one node and document."""
    if window_seconds <= 0:
        return 0.0
    fingerprint = sha256(f"{node}\n{document}".encode()).digest()
    return int.from_bytes(fingerprint[:8], "big") / 2**64 * window_seconds


def has_started(start: datetime | None, clock: LedgerClock) -> bool:
    """True if the start has passed on a trusted wall clock; None (`now`) always has."""
    if start is None:
        return True
    return clock.last is not None and clock.wall_is_trusted() and clock.last.wall_seconds >= start.timestamp()


def in_force_from(text: TextRecord, offset: float) -> float | None:
    """Ledger time from which the document is in force; None while its written start has not passed."""
    return None if text.started_at is None else text.started_at + offset


def expected_from(start: datetime | None, text: TextRecord, offset: float, clock: LedgerClock) -> float | None:
    """Like `in_force_from`, but with an estimate for a future start or while the wall clock is not trusted."""
    if (certain := in_force_from(text, offset)) is not None or start is None or clock.last is None:
        return certain
    return clock.seconds + max(clock.wall_is_trusted_in(), start.timestamp() - clock.last.wall_seconds) + offset
