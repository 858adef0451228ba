"""One observation of the engine: images, containers, and which container uses which image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from hashlib import sha256

from controller.image.image import Container, Image
from controller.image.reference import ImageId
from controller.instant import Instant
from controller.plan.memory.names import Names
from controller.value import dataclass


class Store(StrEnum):
    """How an engine stores images; removal and the measurement of bytes depend on it."""

    GRAPH_DRIVER = "graph driver"
    CONTAINERD = "containerd"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine's identity and properties."""

    identity: str
    """Changes when the socket leads to other images: another engine, data root or image store."""
    store: Store
    product: str
    version: str
    data_root: str = ""
    driver: str = ""
    machine: str = ""
    """Hash of the ID of the machine that both this program and the engine run on; empty if it is not known."""
    containerd_address: str = ""
    """Socket of the engine's containerd; empty if the engine does not report it."""
    manages_swarm: bool = False
    """A swarm manager: the images of its services are listed too."""
    address: str = ""
    """The URL where it answers; empty if an older version wrote this."""
    totals_are_lower_bounds: bool = False
    """The store's own total is incomplete (the containerd store of Docker 26)."""
    prunes_parents: bool = False
    """A removal through Docker's API deletes parents without a name too: Podman before 4.6 ignores `noprune` there.
    Podman's own API respects it from 4.3 on. Removals are sent to that; the parents are checked all the same.
    """


@dataclass(frozen=True, slots=True)
class Observation:
    """One complete observation; it exists only if every list was read successfully."""

    engine: Engine
    images: Mapping[ImageId, Image]
    containers: Sequence[Container]
    at: Instant
    """Read after the lists, so that no observed use ended later."""
    service_images: frozenset[str] = frozenset()
    """On a swarm manager: the image names of its services."""
    own_container: str = ""
    """ID of the container in which this program runs, or empty."""
    has_build_cache: bool = False
    """BuildKit may hold layers of images: those are not freed with the images."""
    users: Mapping[ImageId, tuple[Container, ...]] = field(init=False)
    """Containers, in any state, that were created from an image or mount it."""
    children: Mapping[ImageId, tuple[ImageId, ...]] = field(init=False)
    """Images by parent, where the engine refuses to remove a parent before its children."""
    bare_parents: Mapping[ImageId, ImageId] = field(init=False)
    """The parent of each image, if it has no name, where the engine prunes parents."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", users_of(self.images, self.containers))
        children = _children_of(self.images) if self.engine.store is Store.GRAPH_DRIVER else {}
        object.__setattr__(self, "children", children)
        object.__setattr__(self, "bare_parents", _bare_parents(self.images) if self.engine.prunes_parents else {})

    def removed_before(self, image: ImageId) -> tuple[ImageId, ...]:
        """Images that must be removed before this one: its children, or its parent where the engine prunes that."""
        parent = self.bare_parents.get(image)
        return self.children.get(image, ()) if parent is None else (parent,)


def users_of(images: Mapping[ImageId, Image], containers: Iterable[Container]) -> dict[ImageId, tuple[Container, ...]]:
    """Containers by image: the image they were created from (by ID), and those they mount (by name)."""
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


def _bare_parents(images: Mapping[ImageId, Image]) -> dict[ImageId, ImageId]:
    return {image.id: parent.id for image in images.values() if (parent := bare_parent(image, images))}


def bare_parent(image: Image, images: Mapping[ImageId, Image]) -> Image | None:
    """The parent of an image, if it is listed and has no name."""
    parent = images.get(image.parent) if image.parent else None
    return None if parent is None or parent.tags or parent.digests else parent


def pruned_with(image: ImageId, images: Mapping[ImageId, Image]) -> ImageId | None:
    """The parent that an engine which prunes parents would delete with this image: one without a name and without
    another child.
    """
    parent = bare_parent(images[image], images) if image in images else None
    if parent is None or any(each.parent == parent.id and each.id != image for each in images.values()):
        return None
    return parent.id


def situation_of(image: Image, seen: Observation) -> str:
    """Fingerprint of everything that can make the engine refuse a removal: image, names, containers, children.

    A setback is valid while the fingerprint is the same. An event alone changes nothing: Podman sends one for a
    refused delete.
    """
    names = sorted(name.canonical for name in (*image.tags, *image.digests))
    users = sorted(container.id for container in seen.users.get(image.id, ()))
    parts = (image.id, *names, "|", *users, "|", *sorted(seen.children.get(image.id, ())))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
