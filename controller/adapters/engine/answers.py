"""Convert an engine's JSON to our values. Differences between engines end here. No requests, no decisions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from controller.image.image import Container, Image
from controller.image.layers import Layer, layers_of
from controller.image.reference import image_id, reference_from_engine
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.observation import Engine, Store

KEEP_LABEL = "image-controller.keep"
AGENT_SERVICE_LABEL = "openhorizon.anax.service_name"
AGENT_DEV_LABEL = "openhorizon.anax.dev_service"
"""Labels that the agent sets on its containers (anax container/container.go)."""

_NO_NAME = ("<none>:<none>", "<none>@<none>")
_NO_LABELS: Mapping[str, str] = {}
_YEAR_10000 = 253_402_300_800

_decode = json.JSONDecoder().raw_decode
_skip_blanks: Callable[[str, int], re.Match[str]] = re.compile(r"\s*").match  # type: ignore[assignment]

# Every list repeats the same names: parse each once.
_reference = lru_cache(maxsize=32_768)(reference_from_engine)


def rows_of(answer: bytes) -> Iterator[Mapping[str, Any]]:
    """The elements of a JSON list, one by one: a parsed list of thousands of images takes many megabytes.

    Raises ValueError if this is not a complete list.
    """
    text = answer.decode()
    at = _expected("[", text, 0)
    if text.startswith("]", at):
        return
    while True:
        row, at = _decode(text, at)
        yield row
        at = _skip_blanks(text, at).end()
        if text.startswith("]", at):
            return
        at = _expected(",", text, at)


def _expected(sign: str, text: str, at: int) -> int:
    """Position of the text after this sign."""
    at = _skip_blanks(text, at).end()
    if not text.startswith(sign, at):
        raise ValueError(f"expected {sign} at character {at}")
    return _skip_blanks(text, at + 1).end()


def image_from(row: Mapping[str, Any]) -> Image:
    """One row of `GET /images/json`. Raises KeyError or TypeError for a row of the wrong form."""
    names = [name for name in row.get("RepoTags") or () if name not in _NO_NAME]
    # The containerd store, and Podman, list names by digest among the tags.
    tags = tuple(_reference(name) for name in names if "@" not in name)
    by_digest = (name for name in (*names, *(row.get("RepoDigests") or ())) if "@" in name and name not in _NO_NAME)
    parent = row.get("ParentId")
    return Image(
        id=image_id(row["Id"]),
        tags=tags,
        digests=tuple(dict.fromkeys(map(_reference, by_digest))),
        parent=image_id(parent) if parent else None,
        size_bytes=row["Size"],
        keep=(row.get("Labels") or _NO_LABELS).get(KEEP_LABEL) == "true",
        created=_date(row.get("Created")),
    )


def _date(value: object) -> float:
    """Unix time; 0 for anything else, such as the year 1 of a build without a date."""
    return float(value) if type(value) is int and 0 < value < _YEAR_10000 else 0.0


def container_from(row: Mapping[str, Any]) -> Container:
    """One row of `GET /containers/json?all=1`. Raises KeyError or TypeError for a row of the wrong form."""
    labels = row.get("Labels") or _NO_LABELS
    names = row.get("Names") or [row["Id"][:12]]
    return Container(
        id=row["Id"],
        name=names[0].removeprefix("/"),
        image=image_id(row["ImageID"]),
        state=row.get("State") or "unknown",
        agent_service=AGENT_SERVICE_LABEL in labels,
        agent_dev=AGENT_DEV_LABEL in labels,
        mounted_images=tuple(_mounted_images(row.get("Mounts") or ())),
        created_from=row.get("Image") or "",
    )


def _mounted_images(mounts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for mount in mounts:
        if mount.get("Type") == "image":
            yield from (text for text in (mount.get("Source"), mount.get("Name")) if text)


def layers_from(inspected: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> tuple[Layer, ...]:
    """The layers of one image, lowest first, from its inspection and its history."""
    diffs = (inspected.get("RootFS") or {}).get("Layers") or []
    return layers_of(diffs, [entry.get("Size") or 0 for entry in history])


def engine_from(info: Mapping[str, Any], version: Mapping[str, Any]) -> Engine:
    """Which engine this is, from `GET /info` and `GET /version`."""
    components = {component.get("Name"): component for component in version.get("Components") or ()}
    podman = "Podman Engine" in components
    drivers = dict(pair[:2] for pair in info.get("DriverStatus") or () if len(pair) >= 2)
    containerd = str(drivers.get("driver-type", "")).startswith("io.containerd.snapshotter")
    store = Store.PODMAN if podman else Store.CONTAINERD if containerd else Store.GRAPH_DRIVER
    root, number = info.get("DockerRootDir") or "", version.get("Version") or ""
    # Podman returns a new random ID with each answer.
    host = info.get("Name") if podman else info.get("ID")
    return Engine(
        identity=f"{host} {store.value} {info.get('Driver')} {root}",
        store=store,
        product="Podman" if podman else "Docker",
        version=number,
        data_root=root,
        containerd_address=str((info.get("Containerd") or {}).get("Address") or ""),
        manages_swarm=bool((info.get("Swarm") or {}).get("ControlAvailable")),
        totals_are_lower_bounds=store is Store.CONTAINERD and number.partition(".")[0] in ("23", "24", "25", "26"),
    )


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────

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


def event_from(row: Mapping[str, Any]) -> Event | None:
    """One row of `GET /events` in the form of API 1.52 (`Type`, `Action`, `Actor`), which older versions send too."""
    actor = row.get("Actor") or {}
    attributes: Mapping[str, str] = actor.get("Attributes") or {}
    if row.get("Type") == "container" and row.get("Action") in _CONTAINER_EVENTS:
        by_agent = AGENT_SERVICE_LABEL in attributes and AGENT_DEV_LABEL not in attributes
        return Event(EventKind.USED, None, attributes.get("image", ""), by_agent, row["Action"] == "create")
    if row.get("Type") == "image" and row.get("Action") in _IMAGE_EVENTS:
        return _image_event(_IMAGE_EVENTS[row["Action"]], actor.get("ID") or "", attributes.get("name") or "")
    return None


def _image_event(kind: EventKind, actor: str, name: str) -> Event:
    """The actor is the image ID, except for a pull on Docker: there it is the name that was pulled, with its tag."""
    if reference_from_engine(actor).has_name:
        return Event(kind, None, actor)
    return Event(kind, image_id(actor) if actor else None, name)


def event_time_nanoseconds(row: Mapping[str, Any]) -> int:
    """The engine's time of the event; 0 if it is missing."""
    return int(row.get("timeNano") or 0)
