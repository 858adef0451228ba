"""For how long an image has been unused: how a record changes at each inputs, and what is read from it.

Whatever is in doubt makes an image younger. A use counts from the look that notices its end, not from the last one
that saw it, and a build date counts for nothing (design, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from controller.plan.memory.event import EventKind
from controller.plan.memory.memory import IN_USE, Record


class Usage(StrEnum):
    """Which containers keep an image young (`--usage`)."""

    ANY = "any"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class ImageActivity:
    """What one inputs, and the events before it, tell of one image."""

    in_use: bool = False
    in_use_by_agent: bool = False
    was_used: bool = False
    """A container used it between the last look and this one."""
    was_used_by_agent: bool = False
    touch: EventKind | None = None
    """A sign of life other than use."""


NO_ACTIVITY = ImageActivity()


def first_record(activity: ImageActivity, origin: EventKind | None, now: float, before: Record | None = None) -> Record:
    """An image seen for the first time is as young as can be. One that came back keeps what it is made of."""
    made_of = before or Record(first_seen=now)
    return updated(Record(first_seen=now, origin=origin, names=made_of.names, tip=made_of.tip), activity, now)


def updated(record: Record, activity: ImageActivity, now: float) -> Record:
    """The record after a look; the very same object if nothing changed, so that the ledger has nothing to write."""
    last_used = _last_use(record.last_used, activity.in_use, activity.was_used, now)
    by_agent = _last_use(record.last_used_by_agent, activity.in_use_by_agent, activity.was_used_by_agent, now)
    if last_used == record.last_used and by_agent == record.last_used_by_agent and activity.touch is None:
        return record
    touched, touch = (now, activity.touch) if activity.touch else (record.last_touched, record.touch)
    return replace(record, last_used=last_used, last_used_by_agent=by_agent, last_touched=touched, touch=touch)


def _last_use(before: float | None, in_use: bool, was_used: bool, now: float) -> float | None:
    if in_use:
        return IN_USE
    return now if was_used or before == IN_USE else before


@dataclass(frozen=True, slots=True)
class LastActivity:
    """A sign that somebody wants an image; both are meaningless while it is in use."""

    at: float
    """Ledger time."""
    what: str
    """In words."""


def last_activity(record: Record) -> LastActivity:
    """The last sign of any kind."""
    used, touched = record.last_used or 0.0, record.last_touched or 0.0
    if used >= touched and used >= record.first_seen:
        return LastActivity(used, EventKind.USED.value)
    if touched >= record.first_seen and record.touch:
        return LastActivity(touched, record.touch.value)
    return _seen_first(record)


def last_use(record: Record, usage: Usage) -> LastActivity:
    """What the idle time of the image is counted from.

    With `--usage agent` only containers of the agent count, as the original design says; a pull or another
    container's use then only starts the settle time.
    """
    if usage is Usage.ANY:
        return last_activity(record)
    if record.last_used_by_agent:
        return LastActivity(record.last_used_by_agent, "used by a container of the agent")
    return _seen_first(record)


def idle_since(record: Record, usage: Usage) -> float:
    """Ledger time from which the image counts as unused; meaningless while it is in use."""
    return last_use(record, usage).at


def _seen_first(record: Record) -> LastActivity:
    return LastActivity(record.first_seen, "first seen")
