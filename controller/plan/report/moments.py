"""Rows of a report at rest → rows as of now: moments on the ledger's clock become dates and seconds from now.

At rest a row changes only when something happens, so it can be kept, compared and written down. Told, every moment is
given twice: in seconds on the ledger's clock, which decides, and as the wall time that this amounts to at best.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controller.plan.memory.ledger_clock import LedgerClock

Values = dict[str, Any]

_KEY_PARTS = "\t"
_SECONDS_LEFT: Mapping[str, str] = {"until": "until_seconds", "due_at": "due_in_seconds"}
_DATES = frozenset(("last_used", "first_seen", "last_sign_at", "in_force_from"))


def to_display(row: Values, clock: LedgerClock) -> Values:
    """One row as of the clock's moment."""
    values: Values = {}
    for name, value in row.items():
        if name in _SECONDS_LEFT:
            values[_SECONDS_LEFT[name]] = seconds_left(value, clock)
            values[name] = wall_moment(value, clock)
        elif name == "idle_since":
            values["idle_seconds"] = None if value is None else round(clock.seconds - value, 1)
        elif name in _DATES and not isinstance(value, str):
            values[name] = wall_moment(value, clock)
        elif isinstance(value, list):
            values[name] = [to_display(each, clock) if isinstance(each, dict) else each for each in value]
        else:
            values[name] = value
    return values


def seconds_left(at: float | None, clock: LedgerClock) -> float | None:
    """Until then, on the ledger's clock; negative if it has passed."""
    return None if at is None else round(at - clock.seconds, 1)


def wall_moment(at: float | None, clock: LedgerClock) -> str | None:
    """The date that this amounts to at best."""
    wall = None if at is None else clock.wall_at(at)
    return None if wall is None else date(wall)


def date(wall_seconds: float) -> str:
    """As ISO 8601 writes it, or the number of seconds where a clock is so wrong that there is no date for it."""
    try:
        return datetime.fromtimestamp(wall_seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{wall_seconds:.0f} s"


def key_of(name: str, *apart: object) -> str:
    """The key of a row among those of its kind: what it is called, and what tells it from others called so."""
    return _KEY_PARTS.join((name, *map(str, apart)))


def name_in(key: str) -> str:
    """What the row of that key is called."""
    return key.partition(_KEY_PARTS)[0]
