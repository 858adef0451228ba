"""One inputs, and the events before it, turned into memory: memory × observation × news → memory.

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
from controller.plan.memory.disk import DiskUsage
from controller.plan.memory.event import Event, EventKind, ReceivedEvents
from controller.plan.memory.idleness import NO_ACTIVITY, ImageActivity, first_record, updated
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

    received: ReceivedEvents | None = None
    """None: nobody listened for this inputs."""
    layers: Mapping[ImageId, tuple[Layer, ...]] = field(default_factory=dict)
    """The layers of images that were inspected in this pass, lowest first."""
    recorded_downloads: Collection[str] = ()
    """Names given to `record-download` since the last pass."""
    disk: DiskUsage | None = None
    """The disk with the images, as measured now; None if it cannot be measured."""

    @property
    def events(self) -> Sequence[Event]:
        return self.received.events if self.received else ()


@dataclass(frozen=True, slots=True)
class _Inputs:
    """One look with all that it is read against."""

    known: Memory
    seen: Observation
    news: News
    agent: AgentAnswer
    now: float
    names: Names


SWARM_IMAGES_ARE_KEPT_SECONDS = 30 * 86_400.0
"""After the last container of a service: a worker does not know whether the service will start another one here."""


def remember(memory: Memory, seen: Observation, news: News, node: NodeAnswer, resync_seconds: float) -> Memory:
    """The memory after a successful look; `node` is the answer to go by."""
    clock = memory.clock.advanced(seen.at, resync_seconds)
    known = memory if _is_same_engine(memory, seen) else _of_another_engine(memory)
    before = known.seen.images if known.seen else {}
    seen = _with_known_labels(seen, before)
    names = Names(before, seen.images, lost=known.lost_names, events=news.events)
    now = clock.seconds
    inputs = _Inputs(known, seen, news, node.agent, now, names)
    mounted = _mounted(inputs)
    records = _records(inputs, mounted)
    evidence, expected = _evidence(inputs, records)
    return replace(
        known,
        clock=clock,
        seen=seen,
        watch=_watch(inputs, known.gap or memory.clock.gap_before(seen.at, resync_seconds)),
        gap="",
        records=records,
        lost_names=_lost_names(inputs, before),
        layers=_layers(inputs, records),
        evidence=evidence,
        expected=expected,
        attempts=_attempts(known.attempts, seen),
        node=kept_after(known.node, node, now),
        agreements=beginnings_after(known.agreements, node.agent.agreements, _last_heard(known, now), now),
        mounted=mounted,
        swarm=_swarm(inputs),
        pulls=_pulls(known.pulls, news.events, now),
        event_cursor=news.received.cursor if news.received else known.event_cursor,
        event_run=news.received.run if news.received else known.event_run,
    )


def _last_heard(known: Memory, now: float) -> float:
    """When the agent answered last."""
    return known.node.at if known.node else now


def _is_same_engine(memory: Memory, seen: Observation) -> bool:
    return memory.seen is None or memory.seen.engine.identity == seen.engine.identity


def _of_another_engine(memory: Memory) -> Memory:
    """A ledger is bound to its engine: what it knew of another one's images counts for nothing here."""
    return replace(memory, seen=None, records={}, lost_names={}, layers={}, attempts={}, evidence={}, pulls=None)


def _with_known_labels(seen: Observation, before: Mapping[ImageId, Image]) -> Observation:
    """With the keep labels that the engine no longer shows, as on the containerd store once content is missing. The
    labels of an image ID never change.
    """
    kept = (image for image, was in before.items() if was.keep and image in seen.images)
    hidden = {image: replace(seen.images[image], keep=True) for image in kept if not seen.images[image].keep}
    if not hidden:
        return seen
    images = {**seen.images, **hidden}
    return Observation(seen.engine, images, seen.containers, seen.at, seen.service_images, seen.own_container)


def _swarm(inputs: _Inputs) -> Mapping[ImageId, float]:
    """Images that swarm services used within the last 30 days."""
    before, now = inputs.known.swarm, inputs.now
    used = {container.image: now for container in inputs.seen.containers if container.swarm_service}
    if not used and not before:
        return before
    recent = {image: at for image, at in before.items() if now - at < SWARM_IMAGES_ARE_KEPT_SECONDS}
    return {**recent, **used}


def _pinned(inputs: _Inputs) -> dict[ImageId, set[str]]:
    """Names of the form `repo:tag@digest` by image: the engine keeps the digest, and only containers and pulls show the
    tag.
    """
    pinned: dict[ImageId, set[str]] = {}
    for container in inputs.seen.containers:
        if _is_pinned(container.created_from):
            pinned.setdefault(container.image, set()).add(reference_from_engine(container.created_from).canonical)
    for event in inputs.news.events:
        if event.kind in (EventKind.PULLED, EventKind.USED) and _is_pinned(event.name):
            reference = reference_from_engine(event.name)
            for image in inputs.names.bearers_of(f"{reference.repository}@{reference.digest}"):
                pinned.setdefault(image, set()).add(reference.canonical)
    return pinned


def _is_pinned(name: str) -> bool:
    repository, at, _ = name.partition("@")
    return bool(at) and ":" in repository.rpartition("/")[2]


def _watch(inputs: _Inputs, gap: str) -> Watch:
    """Whoever did not watch cannot say what was used; from here on it counts."""
    if not gap and inputs.known.seen and inputs.news.received and not inputs.news.received.is_all:
        refusal = inputs.news.received.refusal
        gap = f"engine events not available: {refusal}" if refusal else "not all events of the engine were heard"
    return Watch(inputs.now, gap) if gap else inputs.known.watch


def _lost_names(inputs: _Inputs, before: Mapping[ImageId, Image]) -> Mapping[ImageId, tuple[str, ...]]:
    """Names that images have lost since the last inputs. An event of before the loss may arrive after the look that
    shows it; one that was not taken in with that look certainly does.
    """
    received = inputs.news.received
    lost = {} if received and received.is_all else dict(inputs.known.lost_names)
    for image_id, image in inputs.seen.images.items():
        was = before.get(image_id)
        if was is not None and was is not image and (names := _names(was) - _names(image)):
            lost[image_id] = (*lost.get(image_id, ()), *sorted(names))
    return inputs.known.lost_names if lost == inputs.known.lost_names else lost


def _names(image: Image) -> set[str]:
    return {name.canonical for name in (*image.tags, *image.digests)}


# ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _records(inputs: _Inputs, mounted: Mapping[str, tuple[ImageId, ...]]) -> dict[ImageId, Record]:
    activities, origins, returned = _activities(inputs, mounted), _origins(inputs), _returned(inputs)
    images_before = inputs.known.seen.images if inputs.known.seen else {}
    pinned = _pinned(inputs)
    records: dict[ImageId, Record] = {}
    for image_id, image in inputs.seen.images.items():
        record = inputs.known.records.get(image_id)
        activity = activities.get(image_id, NO_ACTIVITY)
        if record is None or image_id in returned:
            record = first_record(activity, origins.get(image_id), inputs.now, record)
        else:
            record = updated(record, activity, inputs.now)
        if images_before.get(image_id) is not image or image_id in pinned:
            record = _named(record, image, pinned.get(image_id, set()))
        if image_id in inputs.news.layers:
            record = replace(record, tip=_tip(inputs.news.layers[image_id]))
        records[image_id] = record
    return records | _hidden_but_used(inputs, records, activities)


def _returned(inputs: _Inputs) -> set[ImageId]:
    """Images that were removed and brought back between two looks: they are as new as any other that appears."""
    deleted = {e.image for e in inputs.news.events if e.image and e.kind is EventKind.DELETED}
    if not deleted:
        return set()
    return deleted & inputs.names.images_of_all(event for event in inputs.news.events if event.kind in _ORIGINS)


def _tip(layers: Sequence[Layer]) -> ChainId:
    return layers[-1].chain if layers else NO_LAYERS


def _named(record: Record, image: Image, pinned: set[str]) -> Record:
    """With the names that the image bears now; where it has lost all tags, or all digests, it keeps the last."""
    before = [reference_from_engine(name) for name in record.names]
    tags = image.tags or [name for name in before if name.digest is None]
    digests = image.digests or [name for name in before if name.is_digest]
    pinned = pinned | {name.canonical for name in before if name.tag and name.digest}
    names = (*(name.canonical for name in (*tags, *digests)), *sorted(pinned))
    return replace(record, names=names) if names != record.names else record


def _hidden_but_used(
    inputs: _Inputs, records: Mapping[ImageId, Record], activities: Mapping[ImageId, ImageActivity]
) -> dict[ImageId, Record]:
    """Docker 26's containerd store hides an image in use once its tag has moved; while a container needs it, its
    record goes on.
    """
    before = inputs.known.records
    hidden = [image for image in inputs.seen.users if image in before and image not in records]
    return {image: updated(before[image], activities[image], inputs.now) for image in hidden}


def _activities(inputs: _Inputs, mounted: Mapping[str, tuple[ImageId, ...]]) -> dict[ImageId, ImageActivity]:
    """What this look and the events before it tell, for the images about which they tell anything."""
    activities: dict[ImageId, ImageActivity] = {}
    for event in inputs.news.events:
        for image in inputs.names.images_of(event):
            activities[image] = _with_event(activities.get(image, NO_ACTIVITY), event)
    for image in _built_upon(inputs):
        activities[image] = replace(activities.get(image, NO_ACTIVITY), touch=EventKind.BUILT_UPON)
    for image, users in inputs.seen.users.items():
        activities[image] = _in_use(activities.get(image, NO_ACTIVITY), any(is_of_agent(user) for user in users))
    for image in chain.from_iterable(mounted.values()):
        activities[image] = replace(activities.get(image, NO_ACTIVITY), in_use=True)
    for name in inputs.agent.images_in_use:
        for image in inputs.names.images_named(name) & inputs.seen.images.keys():
            activities[image] = _in_use(activities.get(image, NO_ACTIVITY), by_agent=True)
    return activities


def _mounted(inputs: _Inputs) -> Mapping[str, tuple[ImageId, ...]]:
    """Images by container that mounts them: all that the names of its mounts have meant, for as long as it exists."""
    before = inputs.known.mounted
    mounted: dict[str, tuple[ImageId, ...]] = {}
    for container in inputs.seen.containers:
        if container.mounted_images:
            meant = chain.from_iterable(map(inputs.names.images_named, container.mounted_images))
            known = before[container.id] if container.id in before else _perhaps_mounted(inputs, container)
            mounted[container.id] = tuple(dict.fromkeys((*known, *meant)))
    return before if mounted == before else mounted


def _perhaps_mounted(inputs: _Inputs, container: Container) -> Iterable[ImageId]:
    """What a container that is new to us may have mounted by a name that has moved on before any inputs: images without
    a tag, as far as they may be of that repository.
    """
    repositories = {reference_from_engine(name).repository for name in container.mounted_images}
    for image_id, image in inputs.seen.images.items():
        record = inputs.known.records.get(image_id)
        last = [reference_from_engine(name) for name in record.names] if record else list(image.digests)
        if not image.tags and (not last or any(name.repository in repositories for name in last)):
            yield image_id


def _in_use(activity: ImageActivity, by_agent: bool) -> ImageActivity:
    return replace(activity, in_use=True, in_use_by_agent=activity.in_use_by_agent or by_agent)


def is_of_agent(container: Container) -> bool:
    """Does the container belong to a service that the agent runs (and not to `hzn dev`)?"""
    return container.agent_service and not container.agent_dev


def _with_event(activity: ImageActivity, event: Event) -> ImageActivity:
    if event.kind is EventKind.USED:
        return replace(activity, was_used=True, was_used_by_agent=activity.was_used_by_agent or event.by_agent)
    return replace(activity, touch=event.kind) if event.kind.is_activity else activity


def _built_upon(inputs: _Inputs) -> list[ImageId]:
    """Images whose layers are the beginning of a newly appeared image's: somebody builds on them."""
    before = inputs.known.records
    new = (layers for image, layers in inputs.news.layers.items() if image not in before or before[image].tip is None)
    appeared = {layer.chain for layers in new for layer in layers}
    if not appeared:
        return []
    return [image for image in inputs.seen.images if image in before and before[image].tip in appeared]


def _origins(inputs: _Inputs) -> dict[ImageId, EventKind]:
    """How images came here, by the events since the last look; of several the one that proves least."""
    events = inputs.news.events
    named_here = {(e.image, e.name) for e in events if e.kind is EventKind.TAGGED}
    origins: dict[ImageId, EventKind] = {}
    for event in sorted((e for e in events if e.kind in _ORIGINS), key=lambda e: _PROOF.index(e.kind)):
        for image in inputs.names.images_of(event):
            # A pull names no image on Docker: one that bears the name because somebody tagged it was not pulled.
            if event.kind is not EventKind.PULLED or event.image or (image, event.name) not in named_here:
                origins[image] = _ORIGINS[event.kind]
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


def _layers(inputs: _Inputs, records: Mapping[ImageId, Record]) -> Mapping[ChainId, Layer]:
    """The layers of all images that are here, and of no others."""
    new = [layer for layers in inputs.news.layers.values() for layer in layers]
    if not new and records.keys() >= inputs.known.records.keys():
        return inputs.known.layers
    every = merge_layers((*inputs.known.layers.values(), *new))
    needed: dict[ChainId, Layer] = {}
    for record in records.values():
        chain = record.tip
        while chain and chain in every and chain not in needed:
            needed[chain] = every[chain]
            chain = every[chain].parent
    return needed


def _evidence(
    inputs: _Inputs, records: Mapping[ImageId, Record]
) -> tuple[Mapping[ImageId, Evidence], tuple[ExpectedDownload, ...]]:
    known, news, names, now = inputs.known, inputs.news, inputs.names, inputs.now
    recorded, expected = downloads.from_records(news.recorded_downloads, known.expected, news.events, names, now)
    found = {
        **_named_by_agent(inputs, records),
        **recorded,
        **downloads.from_events(news.events, names, now),
        **downloads.from_containers(inputs.seen, now),
    }
    new = {image: evidence for image, evidence in found.items() if image not in known.evidence}
    return (_bounded({**known.evidence, **new}, records) if new else known.evidence), expected


def _named_by_agent(inputs: _Inputs, records: Mapping[ImageId, Record]) -> dict[ImageId, Evidence]:
    before = inputs.known.node
    active = inputs.agent.images_in_use | (before.answer.agent.images_in_use if before else frozenset())
    # Of names of one image an active one decides, because `from_agent` keeps the last.
    named = dict(sorted(inputs.agent.named.items(), key=lambda item: item[0] in active))
    found = downloads.from_agent(named, inputs.names, records, inputs.seen, inputs.now)
    return downloads.without_earlier_pulls(found, active, records, _last_heard(inputs.known, inputs.now))


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
    """A row that has lasted for long enough is over with this inputs, whatever is being pulled; the next pull begins
    another one.
    """
    row = before if before and before.goes_on(now) else None
    if row and row.has_lasted(now):
        return None
    is_pulled = any(event.kind is EventKind.PULLED for event in events)
    return Pulls(row.first if row else now, now) if is_pulled else before
