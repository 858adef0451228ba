"""Everything seen in one look at the engine: images, containers, and what uses what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from controller.image.image import Container, Image
from controller.image.reference import ImageId
from controller.instant import Instant
from controller.plan.memory.names import Names


class Store(StrEnum):
    """How an engine keeps images; removal and the counting of bytes differ between them."""

    GRAPH_DRIVER = "graph driver"
    CONTAINERD = "containerd"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class Engine:
    """Which engine answers, as far as it matters here."""

    identity: str
    """Changes whenever the same socket leads to other images: another engine, data root or image store."""
    store: Store
    product: str
    version: str
    data_root: str = ""
    containerd_address: str = ""
    """Socket of the containerd that the engine uses; empty if the engine does not say."""
    manages_swarm: bool = False
    """Services may be about to start containers here; their images are asked for."""
    totals_are_lower_bounds: bool = False
    """The store's own total leaves something out (the containerd store of Docker 26)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One complete look. It exists only if every list of it was read successfully."""

    engine: Engine
    images: Mapping[ImageId, Image]
    containers: Sequence[Container]
    at: Instant
    """Read after the lists, so that nothing seen here ended later than this."""
    service_images: frozenset[str] = frozenset()
    """On a swarm manager: the names of images that its services are made from."""
    own_container: str = ""
    """ID of the container in which this program runs, or empty."""
    has_build_cache: bool = False
    """BuildKit may hold layers of images: those are not freed with the images."""
    users: Mapping[ImageId, tuple[Container, ...]] = field(init=False)
    """Which containers, in whatever state, are made from an image or mount it."""
    children: Mapping[ImageId, tuple[ImageId, ...]] = field(init=False)
    """Images by parent, where the engine refuses to remove a parent before its children."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", users_of(self.images, self.containers))
        children = _children_of(self.images) if self.engine.store is Store.GRAPH_DRIVER else {}
        object.__setattr__(self, "children", children)


def users_of(images: Mapping[ImageId, Image], containers: Iterable[Container]) -> dict[ImageId, tuple[Container, ...]]:
    """Containers by the image that they are made from, compared by ID, or that they mount, as far as its name tells."""
    users: dict[ImageId, dict[Container, None]] = {}
    names = Names(images)
    for container in containers:
        users.setdefault(container.image, {})[container] = None
        for name in container.mounted_images:
            for image in names.images_named(name):
                users.setdefault(image, {})[container] = None
    return {image: tuple(who) for image, who in users.items()}


def _children_of(images: Mapping[ImageId, Image]) -> dict[ImageId, tuple[ImageId, ...]]:
    children: dict[ImageId, list[ImageId]] = {}
    for image in images.values():
        if image.parent is not None and image.parent in images:
            children.setdefault(image.parent, []).append(image.id)
    return {parent: tuple(built_on_it) for parent, built_on_it in children.items()}


def situation_of(image: Image, seen: Observation) -> str:
    """Fingerprint of all that an engine may hold against a removal: the image, its names, its containers, its children.

    A setback counts only while this stays the same; an event alone changes nothing (Podman sends one for a refused
    delete).
    """
    names = sorted(name.canonical for name in (*image.tags, *image.digests))
    users = sorted(container.id for container in seen.users.get(image.id, ()))
    parts = (image.id, *names, "|", *users, "|", *sorted(seen.children.get(image.id, ())))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
