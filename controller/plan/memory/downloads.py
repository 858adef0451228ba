"""Which images count as downloaded by the agent, and on what evidence (design, section 6).

Upstream's own mark cannot be read, so the evidence comes from outside. Once found, it is kept with the image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from controller.image.reference import ImageId, reference_from_engine
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.memory import Evidence, ExpectedDownload, Record
from controller.plan.memory.names import Names, spellings
from controller.plan.memory.observation import Observation, Store
from controller.plan.node.agent import NodeSource

A_RECORDED_NAME_WAITS_SECONDS = 24 * 3600.0
MADE_HERE = (EventKind.BUILT, EventKind.IMPORTED, EventKind.LOADED)


def from_containers(seen: Observation, now: float) -> dict[ImageId, Evidence]:
    """Images of the agent's service containers, without those of `hzn dev`."""
    return {
        container.image: Evidence(NodeSource.AGENT_CONTAINER, f"container {container.name}", now)
        for container in seen.containers
        if container.agent_service and not container.agent_dev
    }


def from_events(events: Sequence[Event], names: Names, now: float) -> dict[ImageId, Evidence]:
    """Images of agent containers that were created and removed between two observations.

    An event counts only if the image is certain: a creation, received live, by a name that did not move meanwhile.
    """
    renamed = _names_of(events, EventKind.PULLED) | _names_of(events, EventKind.TAGGED)
    if any(event.kind in MADE_HERE for event in events):
        return {}
    return {
        image: Evidence(NodeSource.AGENT_CONTAINER, f"a container of {event.name}", now)
        for event in events
        if event.by_agent and event.is_creation and not event.is_replayed
        if renamed.isdisjoint(spellings(event.name))
        if len(meant := frozenset({event.image}) if event.image else names.images_named(event.name)) == 1
        for image in meant
    }


def _names_of(events: Iterable[Event], kind: EventKind) -> set[str]:
    return {spelling for event in events if event.kind is kind for spelling in spellings(event.name)}


def from_records(
    recorded: Iterable[str],
    expected: Iterable[ExpectedDownload],
    events: Sequence[Event],
    names: Names,
    now: float,
) -> tuple[dict[ImageId, Evidence], tuple[ExpectedDownload, ...]]:
    """Images named by `record-download`, and the names that still wait for an image; `expected` waits from before.

    A new name counts at once if an image has it, unless the name moved there since the last observation. Otherwise it
    waits, at most a day, for a pull of exactly that name. A name that was tagged here meanwhile does not count.
    """
    found: dict[ImageId, Evidence] = {}
    waiting: list[ExpectedDownload] = []
    pulled, tagged = _names_of(events, EventKind.PULLED), _names_of(events, EventKind.TAGGED)
    new = {name: ExpectedDownload(name, now) for name in recorded}
    for download in ({download.name: download for download in expected} | new).values():
        images = names.images_now_named(download.name)
        is_certain = download.name in new and names.images_named(download.name) == images
        was_pulled = not pulled.isdisjoint(spellings(download.name))
        if images and (is_certain or was_pulled) and tagged.isdisjoint(spellings(download.name)):
            found |= {image: Evidence(NodeSource.RECORDED, download.name, now) for image in images}
        elif now - download.since < A_RECORDED_NAME_WAITS_SECONDS:
            waiting.append(download)
    return found, tuple(waiting)


def from_agent(
    named: Mapping[str, NodeSource],
    names: Names,
    records: Mapping[ImageId, Record],
    seen: Observation,
    now: float,
    words: Mapping[str, str] = MappingProxyType({}),
) -> dict[ImageId, Evidence]:
    """Images with names from the agent's agreements and services, unless they were built or loaded on this host."""
    return {
        image: Evidence(source, name, now, words.get(name, ""))
        for name, source in named.items()
        for image in names.images_now_named(name)
        if _was_pulled(image, name, records, seen)
    }


def without_earlier_pulls(
    found: Mapping[ImageId, Evidence],
    active: Collection[str],
    records: Mapping[ImageId, Record],
    last_answer_at: float,
) -> dict[ImageId, Evidence]:
    """The result of `from_agent` without images whose pull was observed while the agent did not need them.

    An archived record always names an image, also after a person pulled it. So for an observed pull the name must
    be active in the last answer before or the first answer after it. `active` has the active names of both;
    `last_answer_at` is the time of the answer before the current one.
    """

    def is_confirmed(image: ImageId, name: str) -> bool:
        record = records.get(image)
        if record is None or record.origin is not EventKind.PULLED:
            return True
        is_recent = record.touch is EventKind.PULLED and (record.last_touched or 0.0) >= last_answer_at
        return is_recent and name in active

    return {image: evidence for image, evidence in found.items() if is_confirmed(image, evidence.detail)}


def _was_pulled(image: ImageId, name: str, records: Mapping[ImageId, Record], seen: Observation) -> bool:
    """True if events show a pull, or if an image of unknown origin has a digest of this repository.

    The digest counts only on graph drivers: other stores give every image a digest, also a built one.
    """
    origin = records[image].origin if image in records else None
    if origin is not None:
        return origin not in MADE_HERE
    if seen.engine.store is not Store.GRAPH_DRIVER:
        return False
    repository = reference_from_engine(name).repository
    return any(digest.repository == repository for digest in seen.images[image].digests)
