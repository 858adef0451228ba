"""Every bit of every used page of a small ledger is flipped: no image may be older afterwards, and nothing may crash.

The ledger is read by the same code as at a start, from memory, because a file for each flip takes hours.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from controller.adapters.ledger.codec import decoded
from controller.adapters.ledger.file import DamagedError, NewerError, files_of, is_system_error, lock_of
from controller.adapters.ledger.ledger import Ledger, checked
from controller.adapters.ledger.migrations import names_of
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import IN_USE, Memory
from tests.adapters.ledger.test_ledger import a_full_memory, fill_every_table
from tests.builders import a_record, an_id, an_instant
from tests.host import IN_MEMORY

_ROLLBACK_JOURNAL = b"\x01\x01"
"""Bytes 18 and 19 of the header. A database in memory has no write-ahead log."""
HEADER_BITS = 800


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
        return file.read_bytes()


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
            names_of(db)
        except DamagedError:
            return "moved aside"
        except NewerError:
            return "newer"
        except sqlite3.DatabaseError as error:
            return f"traceback {error!r}" if is_system_error(error) else "moved aside"
        except Exception as error:
            return f"traceback {error!r}"
    return judged(loaded.memory, before)


def outcome_of_header(data: bytes, before: Memory, folder: Path) -> str:
    """The same for a flip in the header of the file, which a database in memory does not use completely."""
    file = folder / "ledger.db"
    for each in (*files_of(file), lock_of(file)):
        each.unlink(missing_ok=True)
    lock_of(file).write_text("1\n")
    file.write_bytes(data)
    try:
        ledger = Ledger(file)
        memory = ledger.load()
        ledger.save(replace(memory, event_cursor=memory.event_cursor + 1))
        ledger.close()
    except Exception as error:
        return f"traceback {error!r}"
    return "moved aside" if memory == Memory() else judged(memory, before)


def judged(after: Memory, before: Memory) -> str:
    """The effect on a memory of which a fault has changed some part."""
    if after == before:
        return "unchanged"
    limits = idle_seconds(before)
    if any(seconds > limits.get(key, 0.0) for key, seconds in idle_seconds(after).items()):
        return "older"
    if after.records and any(getattr(after, part) != getattr(before, part) for part in _KEEPS):
        return "older"  # A fact that keeps images is not as it was, and some images are not new.
    return "older" if any(map(_has_other_values, _entries(after), _entries(before))) else "rows left out"


_KEEPS = (
    "lost_names",
    "mounted",
    "arriving",
    "swarm",
    "agreements",
    "watch",
    "node",
    "event_cursor",
    "event_run",
    "pulls",
    "spent",
)


def _entries(memory: Memory) -> list[Mapping[Any, object]]:
    """What is kept row by row. A record does not depend on the row of its topmost layer."""
    records = {image: replace(record, tip=None) for image, record in memory.records.items()}
    images = memory.seen.images if memory.seen else {}
    return [records, images, memory.layers, memory.evidence, memory.attempts, memory.texts]


def _has_other_values(after: Mapping[Any, object], before: Mapping[Any, object]) -> bool:
    return any(key not in before or before[key] != value for key, value in after.items())


def flipped(data: bytes, bits: Iterable[int], outcome: Callable[[bytes], str]) -> Counter[str]:
    """How often each outcome came, over flips of these bits."""
    outcomes: Counter[str] = Counter()
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        outcomes[outcome(bytes(changed))] += 1
    return outcomes


def in_memory(data: bytes) -> bytes:
    """The same database for SQLite's databases in memory, which have no write-ahead log."""
    return data[:18] + _ROLLBACK_JOURNAL + data[20:]


def main() -> int:
    """Flip every bit; prints the counts."""
    logging.disable(logging.ERROR)  # Each of thousands of damaged ledgers is a line.
    memory = a_small_memory()
    data = a_small_ledger(memory)
    # Most flips leave most values as they are, so each value is decoded once.
    with patch("controller.adapters.ledger.rows.decoded", lru_cache(decoded)), TemporaryDirectory(dir=IN_MEMORY) as at:
        outcomes = flipped(in_memory(data), range(HEADER_BITS, len(data) * 8), partial(outcome_of, before=memory))
        of_header = partial(outcome_of_header, before=memory, folder=Path(at))
        outcomes += flipped(data, range(HEADER_BITS), of_header)
    older = outcomes["older"]
    tracebacks = sum(number for outcome, number in outcomes.items() if outcome.startswith("traceback"))
    others = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(outcomes.items()) if outcome != "older")
    print(f"bits: {sum(outcomes.values()):,} flips: {older} older images, {tracebacks} tracebacks ({others})")
    return int(bool(older or tracebacks or outcomes["newer"]))


if __name__ == "__main__":
    sys.exit(main())
