"""One look, and the events before it, turned into memory: memory × observation × news → memory.

Pure, so that `plan` and `explain` can ask what would be remembered without writing it, and a simulation can live
through years in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from controller.image.image import Container, Image
from controller.image.layers import ChainId, Layer, merge_layers
from controller.image.reference import ImageId, reference_from_engine
from controller.plan.memory import downloads
from controller.plan.memory.event import Event, EventKind, HeardEvents
from controller.plan.memory.idleness import NOTHING_NEW, ImageActivity, first_record, updated
from controller.plan.memory.memory import Attempt, AttemptKey, Evidence, ExpectedDownload, Memory, Pulls, Record, Watch
from controller.plan.memory.names import Names
from controller.plan.memory.observation import Observation, situation_of
from controller.plan.node.agent import AgentAnswer, NodeAnswer, beginnings_after, kept_after

_EVIDENCE_OF_GONE_IMAGES = 5_000
"""So many images that are gone keep their evidence, in case they come back."""

NO_LAYERS = ChainId("")


@dataclass(frozen=True, slots=True)
class News:
    """What a pass learned besides the look itself."""

    heard: HeardEvents | None = None
    """None: nobody listened for this look."""
    layers: Mapping[ImageId, tuple[Layer, ...]] = field(default_factory=dict)
    """The layers of images that were inspected in this pass, lowest first."""
    recorded_downloads: Collection[str] = ()
    """Names given to `record-download` since the last pass."""

    @property
    def events(self) -> Sequence[Event]:
        return self.heard.events if self.heard else ()


@dataclass(frozen=True, slots=True)
class _Look:
    """One look with all that it is read against."""

    known: Memory
    seen: Observation
    news: News
    agent: AgentAnswer
    now: float
    names: Names


def remember(memory: Memory, seen: Observation, news: News, node: NodeAnswer, resync_seconds: float) -> Memory:
    """The memory after a successful look; `node` is the answer to go by."""
    clock = memory.clock.advanced(seen.at, resync_seconds)
    known = memory if _is_same_engine(memory, seen) else _of_another_engine(memory)
    before = known.seen.images if known.seen else {}
    names = Names(before, seen.images, lost=known.lost_names, events=news.events)
    now = clock.seconds
    look = _Look(known, seen, news, node.agent, now, names)
    mounted = _mounted(look)
    records = _records(look, mounted)
    evidence, expected = _evidence(look, records)
    return replace(
        known,
        clock=clock,
        seen=seen,
        watch=_watch(look, memory.clock.gap_before(seen.at, resync_seconds)),
        records=records,
        lost_names=_lost_names(look, before),
        layers=_layers(look, records),
        evidence=evidence,
        expected=expected,
        attempts=_attempts(known.attempts, seen),
        node=kept_after(known.node, node, now),
        agreements=beginnings_after(known.agreements, node.agent.agreements, _last_heard(known, now), now),
        mounted=mounted,
        pulls=_pulls(known.pulls, news.events, now),
        event_cursor=news.heard.cursor if news.heard else known.event_cursor,
    )


def _last_heard(known: Memory, now: float) -> float:
    """When the agent answered last."""
    return known.node.at if known.node else now


def _is_same_engine(memory: Memory, seen: Observation) -> bool:
    return memory.seen is None or memory.seen.engine.identity == seen.engine.identity


def _of_another_engine(memory: Memory) -> Memory:
    """A ledger is bound to its engine: what it knew of another one's images counts for nothing here."""
    return replace(memory, seen=None, records={}, lost_names={}, layers={}, attempts={}, evidence={}, pulls=None)


def _watch(look: _Look, gap: str) -> Watch:
    """Whoever did not watch cannot say what was used; from here on it counts."""
    if not gap and look.known.seen and look.news.heard and not look.news.heard.is_all:
        gap = "not all events of the engine were heard"
    return Watch(look.now, gap) if gap else look.known.watch


def _lost_names(look: _Look, before: Mapping[ImageId, Image]) -> Mapping[ImageId, tuple[str, ...]]:
    """Names that images have lost since the last look. An event of before the loss may arrive after the look that
    shows it; one that was not taken in with that look certainly does.
    """
    heard = look.news.heard
    lost = {} if heard and heard.is_all else dict(look.known.lost_names)
    for image_id, image in look.seen.images.items():
        was = before.get(image_id)
        if was is not None and was is not image and (names := _names(was) - _names(image)):
            lost[image_id] = (*lost.get(image_id, ()), *sorted(names))
    return look.known.lost_names if lost == look.known.lost_names else lost


def _names(image: Image) -> set[str]:
    return {name.canonical for name in (*image.tags, *image.digests)}


# ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _records(look: _Look, mounted: Mapping[str, tuple[ImageId, ...]]) -> dict[ImageId, Record]:
    glimpses, origins, returned = _glimpses(look, mounted), _origins(look), _returned(look)
    images_before = look.known.seen.images if look.known.seen else {}
    records: dict[ImageId, Record] = {}
    for image_id, image in look.seen.images.items():
        record = look.known.records.get(image_id)
        glimpse = glimpses.get(image_id, NOTHING_NEW)
        if record is None or image_id in returned:
            record = first_record(glimpse, origins.get(image_id), look.now, record)
        else:
            record = updated(record, glimpse, look.now)
        if images_before.get(image_id) is not image:
            record = _named(record, image)
        if image_id in look.news.layers:
            record = replace(record, tip=_tip(look.news.layers[image_id]))
        records[image_id] = record
    return records | _hidden_but_used(look, records, glimpses)


def _returned(look: _Look) -> set[ImageId]:
    """Images that were removed and brought back between two looks: they are as new as any other that appears."""
    deleted = {e.image for e in look.news.events if e.image and e.happening is EventKind.DELETED}
    if not deleted:
        return set()
    return deleted & look.names.all_meant(event for event in look.news.events if event.happening in _ORIGINS)


def _tip(layers: Sequence[Layer]) -> ChainId:
    return layers[-1].chain if layers else NO_LAYERS


def _named(record: Record, image: Image) -> Record:
    """With the names that the image bears now; where it has lost all tags, or all digests, it keeps the last."""
    before = [reference_from_engine(name) for name in record.names]
    tags = image.tags or [name for name in before if not name.is_digest]
    digests = image.digests or [name for name in before if name.is_digest]
    names = tuple(name.canonical for name in (*tags, *digests))
    return replace(record, names=names) if names != record.names else record


def _hidden_but_used(
    look: _Look, records: Mapping[ImageId, Record], glimpses: Mapping[ImageId, ImageActivity]
) -> dict[ImageId, Record]:
    """Docker 26's containerd store hides an image in use once its tag has moved; while a container needs it, its
    record goes on.
    """
    before = look.known.records
    hidden = [image for image in look.seen.users if image in before and image not in records]
    return {image: updated(before[image], glimpses[image], look.now) for image in hidden}


def _glimpses(look: _Look, mounted: Mapping[str, tuple[ImageId, ...]]) -> dict[ImageId, ImageActivity]:
    """What this look and the events before it tell, for the images about which they tell anything."""
    glimpses: dict[ImageId, ImageActivity] = {}
    for event in look.news.events:
        for image in look.names.meant_by(event):
            glimpses[image] = _with_event(glimpses.get(image, NOTHING_NEW), event)
    for image in _built_upon(look):
        glimpses[image] = replace(glimpses.get(image, NOTHING_NEW), touch=EventKind.BUILT_UPON)
    for image, users in look.seen.users.items():
        glimpses[image] = _in_use(glimpses.get(image, NOTHING_NEW), any(is_of_agent(user) for user in users))
    for image in chain.from_iterable(mounted.values()):
        glimpses[image] = replace(glimpses.get(image, NOTHING_NEW), in_use=True)
    for name in look.agent.images_in_use:
        for image in look.names.meant(name) & look.seen.images.keys():
            glimpses[image] = _in_use(glimpses.get(image, NOTHING_NEW), by_agent=True)
    return glimpses


def _mounted(look: _Look) -> Mapping[str, tuple[ImageId, ...]]:
    """Images by container that mounts them: all that the names of its mounts have meant, for as long as it exists."""
    before = look.known.mounted
    mounted: dict[str, tuple[ImageId, ...]] = {}
    for container in look.seen.containers:
        if container.mounted_images:
            meant = chain.from_iterable(map(look.names.meant, container.mounted_images))
            known = before[container.id] if container.id in before else _perhaps_mounted(look, container)
            mounted[container.id] = tuple(dict.fromkeys((*known, *meant)))
    return before if mounted == before else mounted


def _perhaps_mounted(look: _Look, container: Container) -> Iterable[ImageId]:
    """What a container that is new to us may have mounted by a name that has moved on before any look: images without
    a tag, as far as they may be of that repository.
    """
    repositories = {reference_from_engine(name).repository for name in container.mounted_images}
    for image_id, image in look.seen.images.items():
        record = look.known.records.get(image_id)
        last = [reference_from_engine(name) for name in record.names] if record else list(image.digests)
        if not image.tags and (not last or any(name.repository in repositories for name in last)):
            yield image_id


def _in_use(glimpse: ImageActivity, by_agent: bool) -> ImageActivity:
    return replace(glimpse, in_use=True, in_use_by_agent=glimpse.in_use_by_agent or by_agent)


def is_of_agent(container: Container) -> bool:
    """Does the container belong to a service that the agent runs (and not to `hzn dev`)?"""
    return container.agent_service and not container.agent_dev


def _with_event(glimpse: ImageActivity, event: Event) -> ImageActivity:
    if event.happening is EventKind.USED:
        return replace(glimpse, was_used=True, was_used_by_agent=glimpse.was_used_by_agent or event.by_agent)
    return replace(glimpse, touch=event.happening) if event.happening.is_activity else glimpse


def _built_upon(look: _Look) -> list[ImageId]:
    """Images whose layers are the beginning of a newly appeared image's: somebody builds on them."""
    before = look.known.records
    new = (layers for image, layers in look.news.layers.items() if image not in before or before[image].tip is None)
    appeared = {layer.chain for layers in new for layer in layers}
    if not appeared:
        return []
    return [image for image in look.seen.images if image in before and before[image].tip in appeared]


def _origins(look: _Look) -> dict[ImageId, EventKind]:
    """How images came here, by the events since the last look; of several the one that proves least."""
    events = look.news.events
    named_here = {(e.image, e.name) for e in events if e.happening is EventKind.TAGGED}
    origins: dict[ImageId, EventKind] = {}
    for event in sorted((e for e in events if e.happening in _ORIGINS), key=lambda e: _PROOF.index(e.happening)):
        for image in look.names.meant_by(event):
            # A pull names no image on Docker: one that bears the name because somebody tagged it was not pulled.
            if event.happening is not EventKind.PULLED or event.image or (image, event.name) not in named_here:
                origins[image] = _ORIGINS[event.happening]
    return origins


_ORIGINS = {
    EventKind.TAGGED: EventKind.BUILT,
    EventKind.PULLED: EventKind.PULLED,
    EventKind.LOADED: EventKind.LOADED,
    EventKind.IMPORTED: EventKind.IMPORTED,
    EventKind.BUILT: EventKind.BUILT,
}
"""A bare tag without a pull is what a build leaves."""
_PROOF = tuple(_ORIGINS)
"""The later, the surer."""


# ── the rest of what is remembered ───────────────────────────────────────────────────────────────────────────────────


def _layers(look: _Look, records: Mapping[ImageId, Record]) -> Mapping[ChainId, Layer]:
    """The layers of all images that are here, and of no others."""
    new = [layer for layers in look.news.layers.values() for layer in layers]
    if not new and records.keys() >= look.known.records.keys():
        return look.known.layers
    every = merge_layers((*look.known.layers.values(), *new))
    needed: dict[ChainId, Layer] = {}
    for record in records.values():
        chain = record.tip
        while chain and chain in every and chain not in needed:
            needed[chain] = every[chain]
            chain = every[chain].parent
    return needed


def _evidence(
    look: _Look, records: Mapping[ImageId, Record]
) -> tuple[Mapping[ImageId, Evidence], tuple[ExpectedDownload, ...]]:
    known, news, names, now = look.known, look.news, look.names, look.now
    recorded, expected = downloads.from_records(news.recorded_downloads, known.expected, news.events, names, now)
    found = {
        **downloads.from_agent(look.agent.named, names, records, look.seen, now),
        **recorded,
        **downloads.from_events(news.events, names, now),
        **downloads.from_containers(look.seen, now),
    }
    new = {image: evidence for image, evidence in found.items() if image not in known.evidence}
    return (_bounded({**known.evidence, **new}, records) if new else known.evidence), expected


def _bounded(evidence: Mapping[ImageId, Evidence], records: Mapping[ImageId, Record]) -> dict[ImageId, Evidence]:
    gone = sorted((item.since, image) for image, item in evidence.items() if image not in records)
    forgotten = {image for _, image in gone[: max(0, len(gone) - _EVIDENCE_OF_GONE_IMAGES)]}
    return {image: item for image, item in evidence.items() if image not in forgotten}


def _attempts(before: Mapping[AttemptKey, Attempt], seen: Observation) -> Mapping[AttemptKey, Attempt]:
    """Those whose situation has not changed: afterwards there is no reason to wait, even if it changes back."""
    stands = {
        key: attempt
        for key, attempt in before.items()
        if (image := seen.images.get(key[0])) and situation_of(image, seen) == attempt.situation
    }
    return before if len(stands) == len(before) else stands


def _pulls(before: Pulls | None, events: Iterable[Event], now: float) -> Pulls | None:
    """A row that has lasted for long enough is over with this look, whatever is being pulled; the next pull begins
    another one.
    """
    row = before if before and before.goes_on(now) else None
    if row and row.has_lasted(now):
        return None
    is_pulled = any(event.happening is EventKind.PULLED for event in events)
    return Pulls(row.first if row else now, now) if is_pulled else before
