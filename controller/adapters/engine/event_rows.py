"""The events in the answer to `GET /events`."""

from __future__ import annotations

from dataclasses import replace

from controller.adapters.engine import fields
from controller.adapters.engine.containers import AGENT_SERVICE_LABEL, is_of_development
from controller.adapters.engine.fields import Row
from controller.image.reference import image_id, is_image_id, reference_from_engine
from controller.plan.memory.event import Event, EventKind

_LATEST_NANOSECONDS = 2**63

_CONTAINER_EVENTS = {
    "create": EventKind.USED,
    "start": EventKind.USED,
    "die": EventKind.USED,
    "destroy": EventKind.USED,
    "remove": EventKind.USED,
}
_IMAGE_EVENTS = {
    "pull": EventKind.PULLED,
    "tag": EventKind.TAGGED,
    "save": EventKind.SAVED,
    "push": EventKind.PUSHED,
    "load": EventKind.LOADED,
    "loadfromarchive": EventKind.LOADED,
    "import": EventKind.IMPORTED,
    "build": EventKind.BUILT,
    "create": EventKind.BUILT,
    "untag": EventKind.UNTAGGED,
    "delete": EventKind.DELETED,
    "prune": EventKind.DELETED,
}
EVENT_FILTER = {"type": ["container", "image"], "event": sorted(_CONTAINER_EVENTS.keys() | _IMAGE_EVENTS.keys())}
"""Life-cycle events only: health checks would fill the engine's buffer of 256 events."""


def is_streamed(row: Row) -> bool:
    """True if the filter lets this row pass."""
    return row.get("Type") in EVENT_FILTER["type"] and row.get("Action") in EVENT_FILTER["event"]


def event_from(row: Row) -> Event | None:
    """One row of `GET /events` in the form of API 1.52 (`Type`, `Action`, `Actor`), which older versions send too.

    Raises ValueError.
    """
    actor = fields.mapping(row, "Actor")
    attributes = fields.mapping(actor, "Attributes")
    kind, action = fields.text(row, "Type"), fields.text(row, "Action")
    if kind == "container" and action in _CONTAINER_EVENTS:
        by_agent = AGENT_SERVICE_LABEL in attributes and not is_of_development(attributes)
        return Event(EventKind.USED, None, fields.text(attributes, "image"), by_agent, action == "create")
    if kind == "image" and action in _IMAGE_EVENTS:
        event = _image_event(_IMAGE_EVENTS[action], fields.text(actor, "ID"), fields.text(attributes, "name"))
        is_pull_of_name = event.kind is EventKind.PULLED and not event.image
        return replace(event, at=event_time_nanoseconds(row)) if is_pull_of_name else event
    return None


def _image_event(kind: EventKind, actor: str, name: str) -> Event:
    """The actor is the image ID, except for a pull on Docker: there it is the name that was pulled, with its tag."""
    if not is_image_id(actor) and reference_from_engine(actor).has_name:
        return Event(kind, None, actor)
    return Event(kind, image_id(actor) if actor else None, name)


def event_time_nanoseconds(row: Row) -> int:
    """The engine's time of the event; 0 if it is missing. Raises ValueError."""
    at = row.get("timeNano") or 0
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < _LATEST_NANOSECONDS:
        raise ValueError(f"timeNano is not a time: {fields.shown(at)}")
    return at
