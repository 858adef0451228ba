"""Idle times: how a record changes at each observation, and what is read from it.

A doubt makes an image younger. A use ends at the first observation that no longer shows it, not at the last one that
did. The build date is not used (design, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from controller.image.reference import ImageId
from controller.plan.memory.event import EventKind
from controller.plan.memory.memory import IN_USE, Memory, Record
from controller.value import dataclass


class Usage(StrEnum):
    """Which containers count as use (`--usage`)."""

    ANY = "any"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class ImageActivity:
    """The activity of one image in one observation and the events before it."""

    in_use: bool = False
    in_use_by_agent: bool = False
    was_used: bool = False
    """A container used it between the last observation and this one."""
    was_used_by_agent: bool = False
    touch: EventKind | None = None
    """Activity other than use."""


NO_ACTIVITY = ImageActivity()


def first_record(activity: ImageActivity, origin: EventKind | None, now: float, before: Record | None = None) -> Record:
    """The record of a new image: its times start now. An image that returned keeps its names and layers."""
    made_of = before or Record(first_seen=now)
    return updated(Record(first_seen=now, origin=origin, names=made_of.names, tip=made_of.tip), activity, now)


def updated(record: Record, activity: ImageActivity, now: float) -> Record:
    """The record after an observation; the same object if nothing changed, so that the ledger writes nothing."""
    last_used = _last_use(record.last_used, activity.in_use, activity.was_used, now)
    by_agent = _last_use(record.last_used_by_agent, activity.in_use_by_agent, activity.was_used_by_agent, now)
    if last_used == record.last_used and by_agent == record.last_used_by_agent and activity.touch is None:
        return record
    touched, touch = (now, activity.touch) if activity.touch else (record.last_touched, record.touch)
    return replace(record, last_used=last_used, last_used_by_agent=by_agent, last_touched=touched, touch=touch)


def with_origin(record: Record, found: EventKind | None) -> Record:
    """The record after a later event of the same arrival: a build, load or import wins over a pull, and remains."""
    return record if found is None or record.origin not in (None, EventKind.PULLED) else replace(record, origin=found)


def used_now(memory: Memory, gap: str) -> Memory:
    """The memory in which every image counts as used now, because uses are unknown for the reason in `gap`; those of an
    engine that is away count as used when it returns.
    """
    away = {name: replace(each, records=_all_used(each.records, each.since)) for name, each in memory.away.items()}
    return replace(memory, gap=gap, records=_all_used(memory.records, memory.clock.seconds), away=away)


def with_every_record(memory: Memory) -> Memory:
    """The memory in which images without a record are first seen now: a damaged ledger may have lost some."""
    images = memory.seen.images if memory.seen else {}
    return replace(memory, records={**dict.fromkeys(images, Record(memory.clock.seconds)), **memory.records})


def _all_used(records: Mapping[ImageId, Record], now: float) -> dict[ImageId, Record]:
    return {image: _used(record, now) for image, record in records.items()}


def _used(record: Record, now: float) -> Record:
    def used(at: float | None) -> float | None:
        return at if at is None or at == IN_USE else now

    by_any = record.last_used if record.last_used == IN_USE else now
    return replace(record, first_seen=now, last_used=by_any, last_used_by_agent=used(record.last_used_by_agent))


def _last_use(before: float | None, in_use: bool, was_used: bool, now: float) -> float | None:
    if in_use:
        return IN_USE
    return now if was_used or before == IN_USE else before


@dataclass(frozen=True, slots=True)
class LastActivity:
    """The last activity of an image; not valid while the image is in use."""

    at: float
    """Ledger time."""
    what: str
    """The kind of activity, for display."""


def last_activity(record: Record) -> LastActivity:
    """The last activity of any kind."""
    used, touched = record.last_used or 0.0, record.last_touched or 0.0
    if used >= touched and used >= record.first_seen:
        return LastActivity(used, EventKind.USED.value)
    if touched >= record.first_seen and record.touch:
        return LastActivity(touched, record.touch.value)
    return _seen_first(record)


def last_use(record: Record, usage: Usage) -> LastActivity:
    """The activity at which the idle time of the image starts.

    With `--usage agent` only containers of the agent count, as the original design says; a pull or another
    container's use then only starts the settle time.
    """
    if usage is Usage.ANY:
        return last_activity(record)
    if record.last_used_by_agent:
        return LastActivity(record.last_used_by_agent, "used by a container of the agent")
    return _seen_first(record)


def idle_since(record: Record, usage: Usage) -> float:
    """Ledger time since which the image is unused; not valid while it is in use."""
    return last_use(record, usage).at


def _seen_first(record: Record) -> LastActivity:
    return LastActivity(record.first_seen, "first seen")
