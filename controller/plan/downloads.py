"""Which images count as downloaded by the agent, and on what evidence (design, section 6).

Evidence is found from outside, because upstream's own mark cannot be read; once found it stays with the image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from controller.image.reference import ImageId, reference_from_engine
from controller.plan.agent import Source
from controller.plan.event import Event, Happening
from controller.plan.memory import Evidence, ExpectedDownload, Record
from controller.plan.names import Names
from controller.plan.observation import Observation

A_RECORDED_NAME_WAITS_SECONDS = 24 * 3600.0
_MADE_HERE = (Happening.BUILT, Happening.IMPORTED, Happening.LOADED)


def from_containers(seen: Observation, now: float) -> dict[ImageId, Evidence]:
    """Images that containers of the agent's services are made from; those of `hzn dev` do not count."""
    return {
        container.image: Evidence(Source.AGENT_CONTAINER, f"container {container.name}", now)
        for container in seen.containers
        if container.agent_service and not container.agent_dev
    }


def from_events(events: Iterable[Event], names: Names, now: float) -> dict[ImageId, Evidence]:
    """Images of agent containers that came and went between two looks."""
    return {
        image: Evidence(Source.AGENT_CONTAINER, f"a container created from {event.name}", now)
        for event in events
        if event.by_agent
        for image in names.all_meant([event])
    }


def from_records(
    recorded: Collection[str], expected: Sequence[ExpectedDownload], events: Sequence[Event], names: Names, now: float
) -> tuple[dict[ImageId, Evidence], tuple[ExpectedDownload, ...]]:
    """Images named to `record-download`, and the names that still wait for an image.

    A name that an image bears counts at once. One that none bears waits, at most a day, for a pull of exactly that
    name.
    """
    found: dict[ImageId, Evidence] = {}
    waiting: list[ExpectedDownload] = []
    for name in dict.fromkeys(recorded):
        meant = names.meant(name)
        found |= {image: Evidence(Source.RECORDED, name, now) for image in meant}
        if not meant:
            waiting.append(ExpectedDownload(name, now))
    pulled = {reference_from_engine(event.name).canonical for event in events if event.happening is Happening.PULLED}
    for wish in expected:
        if reference_from_engine(wish.name).canonical in pulled and (meant := names.meant(wish.name)):
            found |= {image: Evidence(Source.RECORDED, wish.name, now) for image in meant}
        elif now - wish.since < A_RECORDED_NAME_WAITS_SECONDS:
            waiting.append(wish)
    return found, tuple(waiting)


def from_agent(
    named: Mapping[str, Source], names: Names, records: Mapping[ImageId, Record], seen: Observation, now: float
) -> dict[ImageId, Evidence]:
    """Images that the agent's agreements and services name, unless events told that they were made on this host."""
    return {
        image: Evidence(source, name, now)
        for name, source in named.items()
        for image in names.meant(name)
        if image in seen.images and _was_pulled(image, name, records, seen)
    }


def _was_pulled(image: ImageId, name: str, records: Mapping[ImageId, Record], seen: Observation) -> bool:
    origin = records[image].origin if image in records else None
    if origin is not None:
        return origin not in _MADE_HERE
    repository = reference_from_engine(name).repository
    return any(digest.repository == repository for digest in seen.images[image].digests)
