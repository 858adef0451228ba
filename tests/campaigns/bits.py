"""Every bit of every used page of a small ledger is flipped: no image may be older afterwards, and nothing may crash.

The ledger is read by the same code as at a start, from memory, because a file for each flip takes hours.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from controller.adapters.ledger.codec import decoded
from controller.adapters.ledger.file import DamagedError, NewerError
from controller.adapters.ledger.ledger import Ledger, checked
from controller.errors import ControllerError
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import IN_USE, Memory
from tests.adapters.ledger.test_ledger import a_full_memory, fill_every_table
from tests.builders import a_record, an_id, an_instant
from tests.host import IN_MEMORY

_ROLLBACK_JOURNAL = b"\x01\x01"
"""Bytes 18 and 19 of the header. A database in memory has no write-ahead log."""


def a_small_memory() -> Memory:
    """Two images, one of them idle for a long time."""
    memory = replace(a_full_memory(), clock=LedgerClock(100_000.0, an_instant()), gap="")
    images = {image: a_record(70_000.0, last_used=90_000.0, names=["app:1"]) for image in memory.seen.images}  # type: ignore[union-attr]
    return replace(memory, records=images, lost_names={an_id("base:1"): ("docker.io/library/base:0",)})


def a_small_ledger(memory: Memory) -> bytes:
    """The file of a ledger that has a row in every table."""
    without_reserve = patch("controller.adapters.ledger.ledger.make_room")
    with without_reserve, TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = Path(folder) / "ledger.db"
        ledger = Ledger(file)
        fill_every_table(ledger, file)
        ledger.save(memory)
        ledger.close()
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = file.read_bytes()
    return data[:18] + _ROLLBACK_JOURNAL + data[20:]


def idle_seconds(memory: Memory) -> dict[tuple[str, Usage], float]:
    """For how long each image counts as idle, and nothing for one that is in use or new."""
    return {
        (image, usage): memory.clock.seconds - idle_since(record, usage)
        for image, record in memory.records.items()
        for usage in Usage
        if IN_USE not in (record.last_used, record.last_used_by_agent)
    }


def outcome_of(data: bytes, before: Memory) -> str:
    """What a start makes of the file: unchanged, damaged, partly damaged, newer, or one of the faults."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        try:
            db.deserialize(data)
            loaded = checked(db)
        except (DamagedError, ControllerError):
            return "moved aside"
        except sqlite3.DatabaseError:
            return "moved aside"
        except NewerError:
            return "newer"
        except Exception as error:
            return f"traceback {error!r}"
    return _judged(loaded.memory, before)


def _judged(after: Memory, before: Memory) -> str:
    if after == before:
        return "unchanged"
    limits = idle_seconds(before)
    if any(seconds > limits.get(key, 0.0) for key, seconds in idle_seconds(after).items()):
        return "older"
    keeps = ("lost_names", "mounted", "agreements", "watch", "node", "event_cursor", "pulls", "spent", "expected")
    has_lost = any(getattr(after, part) != getattr(before, part) for part in keeps) or after.seen != before.seen
    return "older" if has_lost and after.records and after.seen is None else "rows left out"


def flipped(data: bytes, bits: Iterable[int], before: Memory) -> Counter[str]:
    """How often each outcome came, over flips of these bits."""
    outcomes: Counter[str] = Counter()
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        outcomes[outcome_of(bytes(changed), before)] += 1
    return outcomes


def main() -> int:
    """Flip every bit; prints the counts."""
    memory = a_small_memory()
    data = a_small_ledger(memory)
    # Most flips leave most values as they are, so each value is decoded once.
    with patch("controller.adapters.ledger.rows.decoded", lru_cache(decoded)):
        outcomes = flipped(data, range(len(data) * 8), memory)
    older = outcomes["older"]
    tracebacks = sum(number for outcome, number in outcomes.items() if outcome.startswith("traceback"))
    others = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(outcomes.items()) if outcome != "older")
    print(f"bits: {sum(outcomes.values()):,} flips: {older} older images, {tracebacks} tracebacks ({others})")
    return int(bool(older or tracebacks or outcomes["newer"]))


if __name__ == "__main__":
    sys.exit(main())
