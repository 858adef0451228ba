"""Memory ↔ rows: each row has a part of the memory, a key, a value as JSON and a check over all three.

A mapping with many entries has one row for each; every other field of the memory is one row. A new field of the memory
needs no change here. No SQL is executed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from sys import intern
from typing import Any, NamedTuple, get_args, get_origin
from zlib import crc32

from controller.adapters.ledger.codec import UnknownValueError, decoded, encoded
from controller.adapters.ledger.file import DamagedError, NewerError
from controller.image.image import Image
from controller.instant import Instant
from controller.plan.memory.ledger_clock import Anchor, LedgerClock
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation
from controller.plan.node.agent import KeptAnswer, NodeAnswer
from controller.value import dataclass, types_of

_TYPES = types_of(Memory)
_BY_ROW = ("records", "layers", "evidence", "attempts", "texts", "agreements", "away")
"""Mappings of the memory with one row for each entry."""
_KEYED_BY_TEXTS = frozenset(name for name in _BY_ROW if get_origin(get_args(_TYPES[name])[0]) is tuple)
_NOWHERE = Instant(0.0, "", 0.0)
CLOCK = "clock"
TIMELINE = "timeline"
"""Apart from the clock, because it seldom changes."""
NODE_AT = "node_at"
ONLY_TIME = frozenset({CLOCK, NODE_AT})
"""Parts that change with every pass and contain only times."""
_PASSIVE = frozenset({"records", "images", "layers", "evidence", "attempts", "texts", "away", "timeline", "pressure"})
"""A lost row of these only makes its own image new, or lets something wait longer."""


class StoredRow(NamedTuple):
    """One row of the table `memory`."""

    part: str
    key: str
    value: str
    seal: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the memory that is stored as rows."""

    name: str
    kind: Any
    """Type of a value."""
    of: Callable[[Memory], Mapping[Any, Any]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A memory as it was read, and how many of its rows were damaged."""

    memory: Memory
    damaged_rows: int = 0


def sealed(part: str, key: str, value: str) -> StoredRow:
    """The row with its check, which no change of a single bit leaves valid."""
    return StoredRow(part, key, value, crc32("\0".join((part, key, value)).encode()))


def row_of(part: Part, key: Any, value: Any) -> StoredRow:
    """The row of one entry."""
    return sealed(part.name, key_text(key), encoded(value))


def key_text(key: Any) -> str:
    """A key of several texts is a JSON list."""
    return key if isinstance(key, str) else json.dumps(key)


def _parts() -> Iterable[Part]:
    yield Part("images", Image, lambda memory: memory.seen.images if memory.seen else {})
    yield _single("seen", Observation | None, _without_images)
    yield _single("node", NodeAnswer | None, lambda memory: memory.node.answer if memory.node else None)
    yield _single(NODE_AT, float, lambda memory: memory.node.at if memory.node else 0.0)
    yield _single(CLOCK, LedgerClock, lambda memory: memory.clock.undated)
    yield _single(TIMELINE, tuple[Anchor, ...], lambda memory: memory.clock.timeline)
    for name in (each.name for each in fields(Memory)):
        if name in _BY_ROW:
            yield Part(name, get_args(_TYPES[name])[1], lambda memory, name=name: getattr(memory, name))  # type: ignore[misc]
        elif name not in ("seen", "node", CLOCK):
            yield _single(name, _TYPES[name], lambda memory, name=name: getattr(memory, name))  # type: ignore[misc]


def _single(name: str, kind: Any, value_of: Callable[[Memory], Any]) -> Part:
    return Part(name, kind, lambda memory: {"": value_of(memory)})


def _without_images(memory: Memory) -> Observation | None:
    return replace(memory.seen, images={}, at=_NOWHERE) if memory.seen else None


PARTS: Mapping[str, Part] = {part.name: part for part in _parts()}


def memory_from(rows: Iterable[tuple[Any, Any, Any, Any]], is_complete: Callable[[int, int], bool]) -> Loaded:
    """The memory in these rows of bytes. Rows whose check fails are left out, and what depended on them is new.

    `is_complete` checks the number of rows and the sum of their checks. Raises DamagedError, NewerError.
    """
    values: dict[str, dict[Any, Any]] = {name: {} for name in PARTS}
    damaged, number, total = list[object](), 0, 0
    for row in rows:
        number, total = number + 1, total + (row[3] if isinstance(row[3], int) else 0)
        found = _checked(row)
        if found is None:
            damaged.append(row[0])
        elif found.part in PARTS:
            key, value = _entry(found)
            values[found.part][key] = value
    is_doubtful = not is_complete(number, total) or any(_name(part) not in _PASSIVE for part in damaged)
    memory = _consistent(_assembled(values), CLOCK in damaged or not values[CLOCK])
    if is_doubtful and number:
        memory = without_records(memory, "a part of the ledger was damaged")
    return Loaded(memory, len(damaged) + (is_doubtful and number > 0 and not damaged))


def without_records(memory: Memory, gap: str) -> Memory:
    """The memory in which every image is first seen at the next pass, and settles."""
    return replace(memory, records={}, gap=gap)


def _checked(row: tuple[Any, Any, Any, Any]) -> StoredRow | None:
    if not all(isinstance(text, bytes) for text in row[:3]) or crc32(b"\0".join(row[:3])) != row[3]:
        return None
    part, key, value = (text.decode() for text in row[:3])
    return StoredRow(part, key, value, row[3])


def _name(part: object) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else ""


def _entry(row: StoredRow) -> tuple[Any, Any]:
    """Key and value; an ID is kept once, as key and in the values that name it."""
    try:
        key = decoded(tuple[str, ...], row.key) if row.part in _KEYED_BY_TEXTS else intern(row.key)
        return key, decoded(PARTS[row.part].kind, row.value)
    except UnknownValueError as error:
        raise NewerError(f"{row.part}: {error}") from error
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{row.part}: {error}") from error


def _assembled(values: Mapping[str, Mapping[Any, Any]]) -> Memory:
    single: dict[str, Any] = {
        name: found[""] for name, found in values.items() if name not in (*_BY_ROW, "images") and found
    }
    seen, node, node_at = (single.pop(name, None) for name in ("seen", "node", NODE_AT))
    timeline, clock = single.pop(TIMELINE, ()), single.pop(CLOCK, LedgerClock())
    single[CLOCK] = replace(clock, timeline=timeline)
    memory = Memory(**single, **{name: values[name] for name in _BY_ROW})  # type: ignore[arg-type]
    if seen and memory.clock.last:
        memory = replace(memory, seen=replace(seen, images=values["images"], at=memory.clock.last))
    return replace(memory, node=KeptAnswer(node, node_at) if node and node_at is not None else None)


def _consistent(memory: Memory, has_lost_clock: bool) -> Memory:
    """Without records of images that are not there, and without the tips of layers that are not there.

    Without its clock the memory continues from the latest time in it, so that no image becomes older.
    """
    images = memory.seen.images if memory.seen else {}
    users = memory.seen.users if memory.seen else {}
    records = {
        image: record
        if record.tip is None or not record.tip or record.tip in memory.layers
        else replace(record, tip=None)
        for image, record in memory.records.items()
        if image in images or image in users
    }
    if has_lost_clock:
        memory = replace(memory, clock=LedgerClock(_latest_time(memory), timeline=memory.clock.timeline))
    return replace(memory, records=records)


def _latest_time(memory: Memory) -> float:
    records = memory.records.values()
    times = [1.0, *(each.since for each in memory.evidence.values()), *(each.first_seen for each in records)]
    times += [time for each in records for time in (each.last_used, each.last_touched) if time]
    return max(times + [time for text in memory.texts.values() for time in (text.first_seen, text.last_present)])
