"""Values for tests; a test gives only the fields that matter to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

from controller.image.image import Container, Image
from controller.image.layers import Layer, layers_of
from controller.image.reference import ImageId, reference_from_engine
from controller.image.selector import parse_selector
from controller.instant import Instant
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import Memory, Record
from controller.plan.memory.observation import Engine, Observation, Store
from controller.plan.memory.remember import NO_LAYERS
from controller.plan.node.agent import AgentAnswer, Agreement, NodeAnswer, NodeSource
from controller.plan.node.node import Node
from controller.plan.verdict.verdict import Rule

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
A_NODE = Node()
"""A node without pattern and policy."""


def an_id(word: str = "app:1") -> ImageId:
    """Always the same ID for the same word."""
    return ImageId(f"sha256:{sha256(word.encode()).hexdigest()}")


def an_image(
    *tags: str,
    id: str = "",
    digests: Iterable[str] = (),
    parent: str = "",
    size_bytes: int = 1_000_000,
    keep: bool = False,
    created: float = 0.0,
) -> Image:
    """An image with these tags; its ID is made from `id`, else from its first tag. `parent` is such a word too."""
    return Image(
        id=an_id(id or (tags[0] if tags else "nameless")),
        tags=tuple(map(reference_from_engine, tags)),
        digests=tuple(map(reference_from_engine, digests)),
        parent=an_id(parent) if parent else None,
        size_bytes=size_bytes,
        keep=keep,
        created=created,
    )


def a_container(
    image: Image | str = "app:1",
    *,
    name: str = "",
    state: str = "running",
    of_agent: bool = False,
    of_dev: bool = False,
    mounts: Iterable[str] = (),
    created_from: str = "",
) -> Container:
    """A container of an image, or of the image whose ID is made from that word."""
    from_id = image.id if isinstance(image, Image) else an_id(image)
    word = created_from or (image if isinstance(image, str) else image.tags[0].familiar if image.tags else image.id)
    return Container(
        id=sha256(f"container {name or word}".encode()).hexdigest(),
        name=name or "c1",
        image=from_id,
        state=state,
        agent_service=of_agent or of_dev,
        agent_dev=of_dev,
        mounted_images=tuple(mounts),
        created_from=word,
    )


def an_engine(
    store: Store = Store.GRAPH_DRIVER, *, identity: str = "this engine", manages_swarm: bool = False
) -> Engine:
    product = "Podman" if store is Store.PODMAN else "Docker"
    return Engine(identity, store, product, "28.5.2", manages_swarm=manages_swarm)


def an_instant(uptime_seconds: float = 1_000.0, *, boot: str = "boot 1", wall_seconds: float | None = None) -> Instant:
    """Without `wall_seconds` the wall clock advances with the uptime."""
    return Instant(1_800_000_000.0 + uptime_seconds if wall_seconds is None else wall_seconds, boot, uptime_seconds)


def an_observation(
    images: Iterable[Image] = (),
    containers: Iterable[Container] = (),
    *,
    store: Store = Store.GRAPH_DRIVER,
    engine: Engine | None = None,
    at: Instant | None = None,
    services: Iterable[str] = (),
    own_container: str = "",
) -> Observation:
    return Observation(
        engine=engine or an_engine(store),
        images={image.id: image for image in images},
        containers=tuple(containers),
        at=at or an_instant(),
        service_images=frozenset(services),
        own_container=own_container,
    )


def a_record(
    first_seen: float = 1.0,
    *,
    last_used: float | None = None,
    last_used_by_agent: float | None = None,
    last_touched: float | None = None,
    touch: EventKind | None = None,
    origin: EventKind | None = None,
    names: Iterable[str] = (),
    tip: str | None = NO_LAYERS,
) -> Record:
    canonical = tuple(reference_from_engine(name).canonical for name in names)
    touch = touch or (EventKind.PULLED if last_touched else None)
    record = Record(first_seen, last_used, last_used_by_agent, last_touched, touch, origin, canonical)
    return replace(record, tip=None if tip is None else type(NO_LAYERS)(tip))


def a_memory(
    seen: Observation | None = None,
    records: Mapping[ImageId, Record] | None = None,
    *,
    now: float = 10 * DAY,
    **given: object,
) -> Memory:
    """A memory at `now` of the ledger clock; images without a record were first seen when the ledger was created."""
    known = {image.id: a_record(names=_names(image)) for image in (seen.images.values() if seen else ())}
    clock = LedgerClock(now, seen.at if seen else None)
    return replace(Memory(), clock=clock, seen=seen, records={**known, **(records or {})}, **given)  # type: ignore[arg-type]


def _names(image: Image) -> list[str]:
    return [name.canonical for name in (*image.tags, *image.digests)]


def a_rule(
    pattern: str = "*",
    *,
    minutes: float = 0,
    agent_only: bool = False,
    document: str = "doc",
    number: int = 0,
    in_force_from: float | None = 1.0,
    keep_last: int = 0,
    lost_tag_only: bool = False,
    minutes_under_pressure: float | None = None,
) -> Rule:
    return Rule(
        document,
        number,
        parse_selector(pattern),
        minutes * 60.0,
        agent_only,
        "text of " + document,
        in_force_from,
        keep_last=keep_last,
        lost_tag_only=lost_tag_only,
        delete_after_seconds_under_pressure=None if minutes_under_pressure is None else minutes_under_pressure * 60.0,
    )


def an_event(
    kind: EventKind = EventKind.USED,
    name: str = "",
    *,
    image: Image | ImageId | None = None,
    by_agent: bool = False,
    is_creation: bool = False,
    is_replayed: bool = False,
    at: int = 0,
) -> Event:
    """An event that names an image by text, by ID, or both."""
    image = image.id if isinstance(image, Image) else image
    return Event(kind, image, name, by_agent, is_creation, is_replayed, at)


def an_agreement(id: str = "agreement 1", *images: str) -> Agreement:
    return Agreement(id, images)


def an_answer(
    *agreements: Agreement,
    named: Mapping[str, NodeSource] | None = None,
    node: Node | None = A_NODE,
    is_silence: bool = False,
    source: str = "http://agent",
) -> NodeAnswer:
    """An answer about the node."""
    return NodeAnswer(node, "in words", source, is_silence, AgentAnswer(agreements, named or {}))


def some_layers(*words: str, size_bytes: int = 1_000) -> tuple[Layer, ...]:
    """Layers on top of each other, lowest first; images whose first words are equal share them."""
    return layers_of([f"sha256:{sha256(word.encode()).hexdigest()}" for word in words], [size_bytes] * len(words))
