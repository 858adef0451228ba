"""Updates the memory with one observation and the events before it: memory × observation × news → memory.

It is pure: `plan` and `explain` compute the next memory without storing it, and a simulation runs years in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain

from controller.image.image import Container, Image
from controller.image.layers import ChainId, Layer, merge_layers
from controller.image.reference import ImageId, reference_from_engine
from controller.plan.memory import downloads
from controller.plan.memory.arrivals import Arrivals, arrivals_in
from controller.plan.memory.builds import images_of_builds
from controller.plan.memory.disk import ImageDisk
from controller.plan.memory.engines import memory_of_engine
from controller.plan.memory.event import Event, EventCursor, EventKind, ReceivedEvents
from controller.plan.memory.idleness import NO_ACTIVITY, ImageActivity, first_record, updated, with_origin
from controller.plan.memory.memory import (
    IN_USE,
    Attempt,
    AttemptKey,
    Evidence,
    ExpectedDownload,
    Memory,
    Pulls,
    Record,
    Watch,
)
from controller.plan.memory.names import Names
from controller.plan.memory.observation import Observation, Store, situation_of
from controller.plan.node.agent import AgentAnswer, NodeAnswer, beginnings_after, kept_after
from controller.value import dataclass

_EVIDENCE_OF_GONE_IMAGES = 5_000
"""Number of removed images whose evidence is kept, in case they return."""

NO_LAYERS = ChainId("")


@dataclass(frozen=True, slots=True)
class News:
    """What a pass received besides the observation."""

    received: ReceivedEvents | None = None
    """None if no events were read for this observation."""
    layers: Mapping[ImageId, tuple[Layer, ...]] = field(default_factory=dict)
    """Layers of the images inspected in this pass, lowest first."""
    recorded_downloads: Collection[str] = ()
    """Names from `record-download` since the last pass."""
    disk: ImageDisk | None = None
    """The disk with the images, as measured now; None if it was not measured, so that its state is the last one."""

    @property
    def events(self) -> Sequence[Event]:
        return self.received.events if self.received else ()


@dataclass(frozen=True, slots=True)
class _Inputs:
    """One observation, and the data that it is compared with."""

    known: Memory
    seen: Observation
    news: News
    agent: AgentAnswer
    now: float
    names: Names
    arrivals: Arrivals


SWARM_IMAGES_ARE_KEPT_SECONDS = 30 * 86_400.0
"""After the last container of a service: a worker does not know whether the service starts another one here."""


def remember(memory: Memory, seen: Observation, news: News, node: NodeAnswer, resync_seconds: float) -> Memory:
    """The memory after a successful observation; `node` is the answer to use."""
    clock = memory.clock.advanced(seen.at, resync_seconds)
    known = memory_of_engine(memory, seen, clock.seconds)
    before = known.seen.images if known.seen else {}
    seen = _with_known_labels(seen, before)
    names = Names(
        before,
        seen.images,
        lost=known.lost_names,
        events=news.events,
        keeps_pulled_digests=seen.engine.store is Store.GRAPH_DRIVER,
    )
    now = clock.seconds
    arrivals = arrivals_in(known, seen, news.received, names, now)
    inputs = _Inputs(known, seen, news, node.agent, now, names, arrivals)
    mounted = _mounted(inputs)
    records = _records(inputs, mounted)
    evidence, expected = _evidence(inputs, records)
    cursor = _cursor(inputs)
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
        agreements=beginnings_after(known.agreements, node.agent.agreements, _last_answer_at(known, now), now),
        mounted=mounted,
        arriving=arrivals.arriving,
        swarm=_swarm(inputs),
        pulls=_pulls(known.pulls, news.events, now),
        event_cursor=cursor.at,
        event_run=cursor.run,
    )


def _cursor(inputs: _Inputs) -> EventCursor:
    """The cursor after the events received, or the known one if another engine sent them."""
    known, received = inputs.known, inputs.news.received
    if received is None or received.engine not in ("", inputs.seen.engine.identity):
        return EventCursor(known.event_cursor, known.event_run)
    return EventCursor(received.cursor, received.run)


def _last_answer_at(known: Memory, now: float) -> float:
    """Ledger time of the agent's last answer."""
    return known.node.at if known.node else now


def _with_known_labels(seen: Observation, before: Mapping[ImageId, Image]) -> Observation:
    """Add known keep labels: the containerd store does not show labels when content is missing.

    The labels of an image ID never change.
    """
    kept = (image for image, was in before.items() if was.keep and image in seen.images)
    hidden = {image: replace(seen.images[image], keep=True) for image in kept if not seen.images[image].keep}
    if not hidden:
        return seen
    images = {**seen.images, **hidden}
    return replace(seen, images=images)


def _swarm(inputs: _Inputs) -> Mapping[ImageId, float]:
    """Images that swarm services used within the last 30 days. Nothing changes, and is written, while they use them."""
    before, now = inputs.known.swarm, inputs.now
    used = [container.image for container in inputs.seen.containers if container.swarm_service]
    last_used = {image: now if at == IN_USE else at for image, at in before.items()}
    recent = {image: at for image, at in last_used.items() if now - at < SWARM_IMAGES_ARE_KEPT_SECONDS}
    after = {**recent, **dict.fromkeys(used, IN_USE)}
    return before if after == before else after


def _pinned(inputs: _Inputs) -> dict[ImageId, set[str]]:
    """Names of the form `repo:tag@digest` by image: only containers and pull events show the tag."""
    pinned: dict[ImageId, set[str]] = {}
    for container in inputs.seen.containers:
        if _is_pinned(container.created_from):
            pinned.setdefault(container.image, set()).add(reference_from_engine(container.created_from).canonical)
    for event in inputs.news.events:
        if event.kind in (EventKind.PULLED, EventKind.USED) and _is_pinned(event.name):
            reference = reference_from_engine(event.name)
            for image in inputs.names.images_now_named(f"{reference.repository}@{reference.digest}"):
                pinned.setdefault(image, set()).add(reference.canonical)
    return pinned


def _is_pinned(name: str) -> bool:
    repository, at, _ = name.partition("@")
    return bool(at) and ":" in repository.rpartition("/")[2]


def _watch(inputs: _Inputs, gap: str) -> Watch:
    """Start a new period of observation after a gap, because uses in the gap went unnoticed."""
    known, received = inputs.known.watch, inputs.news.received
    if received and not received.is_up:
        gap = f"engine events not available: {received.refusal or 'the event stream is down'}"
        return known if known.is_blind and known.gap == gap else Watch(inputs.now, gap, is_blind=True)
    if received and known.is_blind:
        return Watch(inputs.now, "engine events were not available")
    if not gap and inputs.known.seen and received and not received.is_all:
        gap = "some engine events were missed"
    return Watch(inputs.now, gap) if gap else known


def _lost_names(inputs: _Inputs, before: Mapping[ImageId, Image]) -> Mapping[ImageId, tuple[str, ...]]:
    """Names that images lost recently: an event from before the loss may arrive after the observation that shows it."""
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


def _records(inputs: _Inputs, mounted: Mapping[str, tuple[ImageId, ...]]) -> Mapping[ImageId, Record]:
    activities, arrivals = _activities(inputs, mounted), inputs.arrivals
    images_before = inputs.known.seen.images if inputs.known.seen else {}
    pinned = _pinned(inputs)
    records: dict[ImageId, Record] = {}
    for image_id, image in inputs.seen.images.items():
        record = inputs.known.records.get(image_id)
        activity = activities.get(image_id, NO_ACTIVITY)
        if record is None or arrivals.is_before(record, image_id):
            is_back_bare = record is not None and not image.tags
            record = first_record(activity, arrivals.origins.get(image_id), inputs.now, record)
            record = replace(record, has_returned_bare=True) if is_back_bare else record
        else:
            record = with_origin(updated(record, activity, inputs.now), arrivals.origins.get(image_id))
        if images_before.get(image_id) is not image or image_id in pinned:
            record = _named(record, image, pinned.get(image_id, set()))
        if image_id in inputs.news.layers:
            record = replace(record, tip=_tip(inputs.news.layers[image_id]))
        records[image_id] = record
    records |= _hidden_but_used(inputs, records, activities)
    return inputs.known.records if records == inputs.known.records else records


def _tip(layers: Sequence[Layer]) -> ChainId:
    return layers[-1].chain if layers else NO_LAYERS


def _named(record: Record, image: Image, pinned: set[str]) -> Record:
    """Update the names of a record; if the image lost all tags (or all digests), the last ones are kept."""
    before = [reference_from_engine(name) for name in record.names]
    tags = image.tags or [name for name in before if name.digest is None]
    digests = image.digests or [name for name in before if name.is_digest]
    pinned = pinned | {name.canonical for name in before if name.tag and name.digest}
    names = (*(name.canonical for name in (*tags, *digests)), *sorted(pinned))
    if image.tags and record.has_returned_bare:
        record = replace(record, has_returned_bare=False)
    return replace(record, names=names) if names != record.names else record


def _hidden_but_used(
    inputs: _Inputs, records: Mapping[ImageId, Record], activities: Mapping[ImageId, ImageActivity]
) -> dict[ImageId, Record]:
    """Records of images that are not listed but in use: Docker 26's containerd store hides them after the tag moved."""
    before = inputs.known.records
    hidden = [image for image in inputs.seen.users if image in before and image not in records]
    return {image: updated(before[image], activities[image], inputs.now) for image in hidden}


def _activities(inputs: _Inputs, mounted: Mapping[str, tuple[ImageId, ...]]) -> dict[ImageId, ImageActivity]:
    """Activity by image in this observation and the events before it."""
    activities: dict[ImageId, ImageActivity] = {}
    for event in inputs.news.events:
        others = frozenset[ImageId]() if event.image else inputs.names.may_have_meant(event.name)
        for image in inputs.names.images_of(event) | others:
            activities[image] = _with_event(activities.get(image, NO_ACTIVITY), event)
    known, seen = inputs.known, inputs.seen
    building = images_of_builds(seen, inputs.news.events, known.records, known.layers, inputs.now)
    for image in (*_built_upon(inputs), *building):
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
    """Mounted images by container: all images that its mount names have referred to since it exists."""
    before = inputs.known.mounted
    mounted: dict[str, tuple[ImageId, ...]] = {}
    for container in inputs.seen.containers:
        if container.mounted_images:
            meant = chain.from_iterable(map(inputs.names.images_named, container.mounted_images))
            known = before[container.id] if container.id in before else _perhaps_mounted(inputs, container)
            mounted[container.id] = tuple(dict.fromkeys((*known, *meant)))
    return before if mounted == before else mounted


def _perhaps_mounted(inputs: _Inputs, container: Container) -> Iterable[ImageId]:
    """Images that a new container may mount by a name that has moved since: untagged images of that repository, and
    all that a pulled name may have meant.
    """
    yield from chain.from_iterable(map(inputs.names.may_have_meant, container.mounted_images))
    repositories = {reference_from_engine(name).repository for name in container.mounted_images}
    for image_id, image in inputs.seen.images.items():
        record = inputs.known.records.get(image_id)
        last = [reference_from_engine(name) for name in record.names] if record else list(image.digests)
        if not image.tags and (not last or any(name.repository in repositories for name in last)):
            yield image_id


def _in_use(activity: ImageActivity, by_agent: bool) -> ImageActivity:
    return replace(activity, in_use=True, in_use_by_agent=activity.in_use_by_agent or by_agent)


def is_of_agent(container: Container) -> bool:
    """True if the container belongs to a service of the agent and not to `hzn dev`."""
    return container.agent_service and not container.agent_dev


def _with_event(activity: ImageActivity, event: Event) -> ImageActivity:
    if event.kind is EventKind.USED:
        return replace(activity, was_used=True, was_used_by_agent=activity.was_used_by_agent or event.by_agent)
    return replace(activity, touch=event.kind) if event.kind.is_activity else activity


def _built_upon(inputs: _Inputs) -> list[ImageId]:
    """Images whose layers are the first layers of a new image, which was built on them."""
    before = inputs.known.records
    new = (layers for image, layers in inputs.news.layers.items() if image not in before or before[image].tip is None)
    appeared = {layer.chain for layers in new for layer in layers}
    if not appeared:
        return []
    return [image for image in inputs.seen.images if image in before and before[image].tip in appeared]


# ── the rest of what is remembered ───────────────────────────────────────────────────────────────────────────────────


def _layers(inputs: _Inputs, records: Mapping[ImageId, Record]) -> Mapping[ChainId, Layer]:
    """The layers of all images on the node, without unused ones."""
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
    before = _evidence_before(inputs)
    new = {image: evidence for image, evidence in found.items() if image not in before}
    return (_bounded({**before, **new}, records) if new else before), expected


def _evidence_before(inputs: _Inputs) -> Mapping[ImageId, Evidence]:
    """The evidence so far, without that of images that an observed pull, load, build or import brought back."""
    known, arrivals = inputs.known, inputs.arrivals
    ended = {
        image
        for image, arrival in arrivals.arrived.items()
        if (evidence := known.evidence.get(image))
        if arrival.has_old_evidence or (evidence.is_by_name and arrivals.origins.get(image) in downloads.MADE_HERE)
    }
    return {image: each for image, each in known.evidence.items() if image not in ended} if ended else known.evidence


def _named_by_agent(inputs: _Inputs, records: Mapping[ImageId, Record]) -> dict[ImageId, Evidence]:
    before = inputs.known.node
    active = inputs.agent.images_in_use | (before.answer.agent.images_in_use if before else frozenset())
    # Active names come last, because `from_agent` keeps the last name of an image.
    named = dict(sorted(inputs.agent.named.items(), key=lambda item: item[0] in active))
    found = downloads.from_agent(named, inputs.names, records, inputs.seen, inputs.now, inputs.agent.records)
    # Of an open arrival without an event it is not known yet whether its pull was observed.
    open_ = inputs.arrivals.arriving
    found = {i: evidence for i, evidence in found.items() if i not in open_ or records[i].origin}
    return downloads.without_earlier_pulls(found, active, records, _last_answer_at(inputs.known, inputs.now))


def _bounded(evidence: Mapping[ImageId, Evidence], records: Mapping[ImageId, Record]) -> dict[ImageId, Evidence]:
    gone = sorted((item.since, image) for image, item in evidence.items() if image not in records)
    forgotten = {image for _, image in gone[: max(0, len(gone) - _EVIDENCE_OF_GONE_IMAGES)]}
    return {image: item for image, item in evidence.items() if image not in forgotten}


def _attempts(before: Mapping[AttemptKey, Attempt], seen: Observation) -> Mapping[AttemptKey, Attempt]:
    """Attempts whose situation has not changed; the others are forgotten, even if it changes back."""
    valid = {
        key: attempt
        for key, attempt in before.items()
        if (image := seen.images.get(key[0])) and situation_of(image, seen) == attempt.situation
    }
    return before if len(valid) == len(before) else valid


def _pulls(before: Pulls | None, events: Iterable[Event], now: float) -> Pulls | None:
    """The series of pulls after this observation. A series that lasted long enough ends."""
    row = before if before and before.continues_at(now) else None
    if row and row.has_lasted(now):
        return None
    is_pulled = any(event.kind is EventKind.PULLED for event in events)
    return Pulls(row.first if row else now, now) if is_pulled else before
