"""A container engine in memory that answers like each of the six real ones.

`tests/with_docker/test_engine_contract.py` checks that. Actions of others (pull, run, build, ...) are methods with the
names of Docker's commands; requests of the controller are those of `EnginePort`. Every change has an event in the
engine's own form.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from controller.adapters.engine.containers import AGENT_DEV_LABEL, AGENT_SERVICE_LABEL
from controller.adapters.engine.event_rows import event_from
from controller.errors import EngineUnreachable, ImageGone, RemovalRefused
from controller.image.image import Container, Image
from controller.image.layers import Layer, layers_of
from controller.image.reference import ImageId, Reference, image_id, is_image_id, reference_from_engine
from controller.instant import Clock
from controller.plan.memory.event import Event
from controller.plan.memory.observation import Engine, Store

AGENT_LABELS = {AGENT_SERVICE_LABEL: "service"}
DEV_LABELS = {AGENT_SERVICE_LABEL: "service", AGENT_DEV_LABEL: "true"}

Row = dict[str, Any]


class Kind(StrEnum):
    """The engines that were measured; the words are those of deploy/local/engine.sh."""

    DEBIAN = "debian"
    D20 = "d20"
    D26_GD = "d26-gd"
    D26_C8D = "d26-c8d"
    D28_GD = "d28-gd"
    D28_C8D = "d28-c8d"
    PODMAN = "podman"

    @property
    def store(self) -> Store:
        if self is Kind.PODMAN:
            return Store.PODMAN
        return Store.CONTAINERD if self in (Kind.D26_C8D, Kind.D28_C8D) else Store.GRAPH_DRIVER


@dataclass
class _Stored:
    """An image in the store."""

    id: ImageId
    layers: tuple[Layer, ...]
    labels: Mapping[str, str]
    parent: ImageId | None = None
    names: list[Reference] = field(default_factory=list)
    """Tags and digests, in the order in which they were added."""

    @property
    def tags(self) -> list[Reference]:
        return [name for name in self.names if not name.is_digest]

    @property
    def digests(self) -> list[Reference]:
        return [name for name in self.names if name.is_digest]

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes or 0 for layer in self.layers)

    def is_only(self, name: Reference) -> bool:
        """True if this is the only reference. One tag and the digests of its repository count as one."""
        return all(other == name or (other.is_digest and other.repository == name.repository) for other in self.names)


def _nothing(_: str) -> None:
    """The default of `FakeEngine.on_call`."""


class FakeEngine:
    """One engine with its images and containers; the time is that of the clock."""

    def __init__(self, clock: Clock, kind: Kind = Kind.DEBIAN, identity: str = "engine") -> None:
        self.kind = kind
        self.identity = identity
        self.generation = 1
        self.prunes_parents = False
        """As Podman 4.3 does: with an image it deletes each parent that has neither a name nor another child."""
        self.is_down = False
        self.services: frozenset[str] = frozenset()
        self.builder_holds_layers = False
        self.written_by_containers = 0
        """Bytes in their own layers, which the total of the containerd store includes."""
        self.calls: list[str] = []
        """The requests of the controller; `remove app:1` has the name of the image also where its ID is sent."""
        self.on_call: Callable[[str], None] = _nothing
        """Called with the same words before each answer, to simulate concurrent changes."""
        self.troubles: dict[str, deque[Exception | None]] = {}
        """By name of an image, or ID of one without a name: an error as the answer to its removal, or None for an
        answer without an effect; one each time.
        """
        self.targets: list[str] = []
        """The names and IDs in the removal requests."""
        self.hub = "registry.local:5000"
        """The registry that it pulls from."""
        self.history: deque[Row] = deque(maxlen=256)
        """The events that `since` can replay."""
        self.process = 1
        """Number of starts."""
        self.rows_sent = 0
        """Number of events so far; each row has its number, unlike real ones."""
        self.listeners: list[Callable[[Row], None]] = []
        self._clock = clock
        self._images: dict[ImageId, _Stored] = {}
        self._hidden: dict[ImageId, _Stored] = {}
        self._containers: dict[str, tuple[Container, dict[str, str]]] = {}
        self._shown: dict[ImageId, Image] = {}
        self._count = 0
        self._told: list[Row] = []
        self._lock = threading.RLock()

    @property
    def port(self) -> FakeEngine:
        """The engine as a port of the controller."""
        return self

    # ── requests of the controller ────────────────────────────────────────────────────────────────────────────────────

    def identify(self) -> Engine:
        self._called("identify")
        product = "Podman" if self.kind is Kind.PODMAN else "Docker"
        version = {Kind.D20: "20.10.24", Kind.DEBIAN: "20.10.24", Kind.PODMAN: "5.4.2"}.get(self.kind, "28.5.2")
        version = "4.2.1" if self.prunes_parents else version
        version = "26.1.5" if self.kind in (Kind.D26_C8D, Kind.D26_GD) else version
        store = self.kind.store
        return Engine(
            f"{self.identity} {store.value}",
            store,
            product,
            version,
            "/var/lib/docker",
            manages_swarm=bool(self.services),
            totals_are_lower_bounds=self.kind is Kind.D26_C8D,
            prunes_parents=self.prunes_parents,
        )

    def images(self) -> Mapping[ImageId, Image]:
        self._called("images")
        return self.images_now()

    def containers(self) -> tuple[Container, ...]:
        self._called("containers")
        return self.containers_now()

    def service_images(self) -> frozenset[str]:
        self._called("service_images")
        return self.services

    def layers(self, image: ImageId) -> tuple[Layer, ...]:
        self._called("layers")
        with self._lock:
            if image not in self._images:
                raise ImageGone(f"No such image: {image}")
            return self._images[image].layers

    def store_bytes(self) -> int:
        self._called("store_bytes")
        return self.used_bytes() + (self.written_by_containers if self.kind.store is Store.CONTAINERD else 0)

    def used_bytes(self) -> int:
        """What all layers need on the disk."""
        with self._lock:
            everything = [*self._images.values(), *self._hidden.values()]
            layers = {layer.chain: layer.size_bytes or 0 for stored in everything for layer in stored.layers}
            return sum(layers.values())

    def written_bytes(self) -> int:
        self._called("written_bytes")
        return self.written_by_containers

    def has_build_cache(self) -> bool:
        self._called("has_build_cache")
        return self.builder_holds_layers

    def image_named(self, name: str) -> ImageId:
        self._called("image_named")
        return self.id_of(name)

    def remove(self, target: str) -> tuple[str, ...]:
        word = self._word_for(target)
        self._called(f"remove {word}")
        with self._lock:
            self.targets.append(target)
            if outcomes := self.troubles.get(word):
                trouble = outcomes.popleft()
                if trouble is not None:
                    raise trouble
                return ()
            return tuple(row["Deleted"] for row in self._delete(target) if "Deleted" in row)

    def _word_for(self, target: str) -> str:
        """The word for a removal in tests: the first name of the image whose ID is the target."""
        with self._lock:
            stored = self._images.get(ImageId(target))
            names = self._image(stored).removable_references if stored else ()
            return names[0].text if names else _without_digest(target)

    def _called(self, what: str) -> None:
        self.on_call(what)
        self.calls.append(what)
        if self.is_down:
            raise EngineUnreachable("the engine is down")

    def _image(self, stored: _Stored) -> Image:
        digests = stored.digests
        if self.kind.store is not Store.GRAPH_DRIVER:  # They also name every image by its own digest.
            own = (f"{tag.repository}@{self._digest(stored)}" for tag in stored.tags)
            digests = list(dict.fromkeys([*digests, *map(reference_from_engine, own)]))
        parent = stored.parent if stored.parent in self._images else None
        keep = stored.labels.get("image-controller.keep") == "true"
        named = () if self.kind.store is Store.GRAPH_DRIVER else tuple(stored.digests)
        tags = tuple(stored.tags)
        return Image(stored.id, tags, tuple(digests), parent, stored.size_bytes, keep, named_digests=named)

    # ── actions of others ─────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, name: str = "", *layers: str, labels: Mapping[str, str] | None = None, content: str = "") -> ImageId:
        """Load an image with these layers from an archive; another `content` makes it another image."""
        with self._lock:
            image = self._store(name, layers, labels or {}, content or name).id
            self._name(name, image)
            if self.kind is Kind.PODMAN:
                self._image_event("loadfromarchive", image, "/var/tmp/archive")
            else:
                self._image_event("load", image, image)
            return image

    def import_(self, name: str, content: str = "") -> ImageId:
        """`docker import`: a file system becomes an image of one layer."""
        with self._lock:
            image = self._store(name, (f"root of {content or name}",), {}, content or name).id
            self._name(name, image)
            if self.kind is not Kind.D26_C8D:
                self._image_event("tag", image, name)
            if self.kind is not Kind.PODMAN:
                self._image_event("import", image, image)
            return image

    def pull(self, name: str, *layers: str, labels: Mapping[str, str] | None = None, content: str = "") -> ImageId:
        """Pull by tag or, as `repo@content`, by digest. `content` is what the registry has under a tag."""
        repository, _, pinned = name.partition("@")
        with self._lock:
            stored = self._store(repository, layers, labels or {}, pinned or content or repository)
            digest = reference_from_engine(f"{reference_from_engine(repository).repository}@{self._digest(stored)}")
            if pinned:
                asked = f"{repository}@{digest.digest}"
                self._add(stored, digest)
            else:
                asked = repository
                self._name(repository, stored.id)
                if self.kind.store is Store.GRAPH_DRIVER:
                    self._add(stored, digest)
            if self.kind is Kind.PODMAN:
                self._image_event("pull", stored.id, asked)
            else:
                self._event("image", "pull", asked, {"name": asked.partition("@")[0].rpartition(":")[0] or asked})
            return stored.id

    def build(self, name: str, base: str, *layers: str, labels: Mapping[str, str] | None = None) -> ImageId:
        """A classic build of one COPY for each layer on `base`; each but the last leaves a bare parent."""
        with self._lock:
            below = self._images[self.id_of(base)]
            for layer in layers:
                own_labels = labels if layer == layers[-1] else None
                made = _Stored(
                    _an_id(f"{below.id} {layer} {own_labels}"), _on_top(below.layers, layer), own_labels or {}, below.id
                )
                below = self._images.setdefault(made.id, made)
                if self.kind in (Kind.D28_GD, Kind.D28_C8D):
                    self._image_event("create", below.id, below.id)
            self._name(name, below.id)
            if self.kind is Kind.PODMAN:
                self._event("image", "build", "", {"name": below.id.removeprefix("sha256:")})
            else:
                self._image_event("tag", below.id, name)
            return below.id

    def tag(self, image: str, name: str) -> None:
        with self._lock:
            self._name(name, self.id_of(image))
            self._image_event("tag", self.id_of(image), name)

    def push(self, image: str, digest: Reference) -> None:
        """Push an image, which gets this digest in the registry."""
        with self._lock:
            stored = self._images[self.id_of(image)]
            self._add(stored, digest)
            self._event("image", "push", stored.tags[0].familiar, {"name": digest.familiar_repository})

    def create(
        self,
        image: str,
        *,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        mounts: str = "",
        written: str = "",
    ) -> str:
        """A container that was never started; returns its ID."""
        with self._lock:
            self._count += 1
            identity = sha256(f"container {self._count}".encode()).hexdigest()
            made_from = self.id_of(image)
            container = Container(
                id=identity,
                name=name or f"c{self._count}",
                image=made_from,
                state="created",
                agent_service=AGENT_SERVICE_LABEL in (labels or {}),
                agent_dev=AGENT_DEV_LABEL in (labels or {}),
                mounted_images=(mounts,) if mounts else (),
                created_from=written or self._as_written(image),
            )
            self._containers[identity] = container, dict(labels or {})
            self._container_event("create", identity)
            return identity

    def start(self, container: str) -> None:
        with self._lock:
            self._in_state(container, "running")
            self._container_event("start", container)

    def stop(self, container: str) -> None:
        with self._lock:
            self._in_state(container, "exited")
            self._container_event("die", container)

    def rm(self, container: str) -> None:
        """Stop and remove a container."""
        with self._lock:
            if self._containers[container][0].state == "running":
                self.stop(container)
            self._container_event("remove" if self.kind is Kind.PODMAN else "destroy", container)
            hidden = self._containers.pop(container)[0].image
            if hidden in self._hidden and not self._users(hidden):
                del self._hidden[hidden]

    def run(self, image: str, *, name: str = "", labels: Mapping[str, str] | None = None) -> str:
        """A container that runs until it is stopped."""
        with self._lock:
            container = self.create(image, name=name, labels=labels)
            self.start(container)
            return container

    def run_briefly(self, image: str, *, labels: Mapping[str, str] | None = None) -> None:
        """`docker run --rm` of a short command."""
        with self._lock:
            self.rm(self.run(image, labels=labels))

    def rmi(self, target: str) -> None:
        """Another process removes an image."""
        with self._lock:
            self._delete(target)

    def restart(self) -> None:
        """The engine's process restarts: containers stop, and no past event can be replayed."""
        with self._lock:
            for identity, (container, _) in list(self._containers.items()):
                if container.state == "running":
                    self._in_state(identity, "exited")
            self.history.clear()
            self.process += 1
            self.generation += 1

    def id_of(self, text: str) -> ImageId:
        """The image with that name or ID. Raises ImageGone."""
        found = self._find(text)
        if found is None:
            raise ImageGone(f"No such image: {text}")
        return found.id

    def has(self, text: str) -> bool:
        """True if there is an image with that name or ID."""
        return self._find(text) is not None

    @property
    def names(self) -> list[str]:
        """All tags, and the IDs of images without a name, sorted; for assertions."""
        with self._lock:
            every = list(self._images.values())
        tags = [tag.familiar for stored in every for tag in stored.tags]
        digests = [name.familiar for stored in every if not stored.tags for name in stored.digests]
        return sorted([*tags, *digests, *(stored.id for stored in every if not stored.names)])

    def images_now(self) -> Mapping[ImageId, Image]:
        """The answer of `images`, for assertions; not a request."""
        with self._lock:
            shown = {image: self._image(stored) for image, stored in self._images.items()}
            self._shown = {image: _same(self._shown.get(image), new) for image, new in shown.items()}
            return self._shown

    def layers_now(self, image: ImageId) -> tuple[Layer, ...]:
        """The answer of `layers`, for assertions; not a request."""
        with self._lock:
            return self._images[image].layers

    def is_used(self, image: ImageId) -> bool:
        """True if a container was created from it."""
        with self._lock:
            return bool(self._users(image))

    def containers_now(self) -> tuple[Container, ...]:
        """The answer of `containers`, for assertions; not a request."""
        with self._lock:
            return tuple(container for container, _ in self._containers.values())

    # ── how deletes are answered (engines.md has the measurements) ────────────────────────────────────────────────────

    def _delete(self, target: str) -> list[Row]:
        found = self._find(target)
        if self.kind.store is Store.CONTAINERD and target != _without_digest(target):
            target, digest = target.split("@")  # Compare and swap.
            found = self._find(target)
            found = found if found and found.id == digest else None
        if found is None:
            raise ImageGone(f"No such image: {target}")
        if is_image_id(target) or found.id == target:
            return self._delete_by_id(found)
        name = next(n for n in (*found.names, *self._image(found).digests) if n == reference_from_engine(target))
        return self._delete_by_name(found, name)

    def _delete_by_name(self, stored: _Stored, name: Reference) -> list[Row]:
        takes_tags_along = name.is_digest and self.kind.store is not Store.GRAPH_DRIVER
        going = [n for n in stored.names if n == name or (takes_tags_along and n.repository == name.repository)]
        left = [n for n in stored.names if n not in going]
        if stored.is_only(name) or not left:
            self._refuse_if_used(stored, name.familiar)
        is_last_tag = not any(not n.is_digest and n.repository == name.repository for n in left)
        if is_last_tag and self.kind is not Kind.PODMAN:
            going += [n for n in left if n.is_digest and n.repository == name.repository]
        for each in dict.fromkeys(going):
            self._untag(stored, each)
        rows: list[Row] = [{"Untagged": each.familiar} for each in dict.fromkeys(going)]
        if stored.names or self._has_children(stored) or self._users(stored.id):
            return rows
        if self._is_kept_for_children(stored):
            self._image_event("delete", stored.id, stored.id)
            return [*rows, {"Deleted": stored.id}]
        return rows + self._drop(stored)

    def _is_kept_for_children(self, stored: _Stored) -> bool:
        """The containerd store reports a deletion and lists the image without a name until its removal by ID."""
        return self.kind.store is Store.CONTAINERD and self._is_parent(stored)

    def _delete_by_id(self, stored: _Stored) -> list[Row]:
        if self._has_children(stored):
            raise RemovalRefused(f"conflict: unable to delete {stored.id[7:19]} - image has dependent child images")
        if self.kind is Kind.PODMAN and len(stored.names) > 1:
            raise RemovalRefused(f"unable to delete image {stored.id[7:]!r} by digest with more than one tag")
        repositories = {name.repository for name in stored.names}
        if len(stored.tags) > 1 or len(repositories) > 1:
            raise RemovalRefused(f"conflict: unable to delete {stored.id[7:19]} - referenced in multiple repositories")
        self._refuse_if_used(stored, stored.id[7:19])
        rows: list[Row] = [{"Untagged": name.familiar} for name in stored.names]
        for name in list(stored.names):
            self._untag(stored, name)
        return rows + self._drop(stored)

    def _refuse_if_used(self, stored: _Stored, by: str) -> None:
        if users := self._users(stored.id):
            if self.kind is Kind.PODMAN:
                self._image_event("delete", stored.id, by)
            raise RemovalRefused(f"conflict: unable to remove {by} - container {users[0].id[:12]} is using it")

    def _untag(self, stored: _Stored, name: Reference) -> None:
        stored.names.remove(name)
        names_what = name.familiar if self.kind.store is not Store.GRAPH_DRIVER else stored.id
        self._image_event("untag", stored.id, names_what)
        if self.kind is Kind.PODMAN and stored.names:
            self._image_event("delete", stored.id, names_what)

    def _drop(self, stored: _Stored) -> list[Row]:
        del self._images[stored.id]
        self._image_event("delete", stored.id, stored.id)
        rows: list[Row]
        if self.kind.store is Store.PODMAN:
            rows = [] if self._is_parent(stored) else [{"Deleted": stored.id.removeprefix("sha256:")}]
            return rows + self._pruned_with(stored)
        rows = [{"Deleted": stored.id}]
        if self.kind.store is Store.GRAPH_DRIVER:
            held = {layer.chain for other in self._images.values() for layer in other.layers}
            rows += [{"Deleted": layer.chain} for layer in reversed(stored.layers) if layer.chain not in held]
        return rows

    def _pruned_with(self, stored: _Stored) -> list[Row]:
        parent = self._images.get(stored.parent) if stored.parent and self.prunes_parents else None
        if parent is None or parent.names or self._is_parent(parent):
            return []
        self._refuse_if_used(parent, parent.id)
        return self._drop(parent)

    def _has_children(self, stored: _Stored) -> bool:
        return self.kind.store is Store.GRAPH_DRIVER and self._is_parent(stored)

    def _is_parent(self, stored: _Stored) -> bool:
        return any(other.parent == stored.id for other in self._images.values())

    def _users(self, image: ImageId) -> list[Container]:
        """Containers created from it; one that only mounts it prevents no removal on any engine."""
        return [container for container, _ in self._containers.values() if container.image == image]

    # ── the store ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _store(self, name: str, layers: Sequence[str], labels: Mapping[str, str], content: str) -> _Stored:
        """The image with that content; the existing one if there is one."""
        made = _Stored(_an_id(f"{content} {layers} {sorted(labels.items())}"), _layers(layers or (content,)), labels)
        if made.id in self._hidden:
            self._images[made.id] = self._hidden.pop(made.id)
        return self._images.setdefault(made.id, made)

    def _name(self, name: str, image: ImageId) -> None:
        """Add a tag to an image; another image may lose it."""
        if not name:
            return
        reference = reference_from_engine(name)
        for other in list(self._images.values()):
            if other.id != image and reference in other.names:
                other.names.remove(reference)
                self._has_lost_a_name(other)
        self._add(self._images[image], reference)

    def _has_lost_a_name(self, stored: _Stored) -> None:
        """The containerd store of Docker 26 hides an image whose tag has moved, and keeps it only for containers."""
        if self.kind is Kind.D26_C8D and not stored.names:
            del self._images[stored.id]
            if self._users(stored.id):
                self._hidden[stored.id] = stored

    def _add(self, stored: _Stored, name: Reference) -> None:
        if name not in stored.names:
            stored.names.append(name)

    def _digest(self, stored: _Stored) -> str:
        """Its digest in a registry: on the containerd store its ID."""
        if self.kind.store is Store.CONTAINERD:
            return stored.id
        return f"sha256:{sha256(f'manifest of {stored.id}'.encode()).hexdigest()}"

    def _find(self, text: str) -> _Stored | None:
        with self._lock:
            if is_image_id(text):
                return self._images.get(image_id(text))
            reference = reference_from_engine(text)
            for stored in self._images.values():
                if reference in stored.names or reference in self._image(stored).digests:
                    return stored
            return None

    def _as_written(self, image: str) -> str:
        """Podman replaces an ID by a name."""
        tags = self._images[self.id_of(image)].tags
        return tags[0].text if self.kind is Kind.PODMAN and is_image_id(image) and tags else image

    def _in_state(self, container: str, state: str) -> None:
        known, labels = self._containers[container]
        changed = Container(
            known.id,
            known.name,
            known.image,
            state,
            known.agent_service,
            known.agent_dev,
            known.mounted_images,
            known.created_from,
        )
        self._containers[container] = changed, labels

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _container_event(self, action: str, container: str) -> None:
        known, labels = self._containers[container]
        self._event("container", action, container, {**labels, "image": known.created_from, "name": known.name})

    def _image_event(self, action: str, image: ImageId, name: str) -> None:
        actor = image.removeprefix("sha256:") if self.kind is Kind.PODMAN else image
        self._event("image", action, actor, {"name": name})

    def _event(self, type_: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        self.rows_sent += 1
        nanoseconds = self.now_nanoseconds()
        row: Row = {
            "Type": type_,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": dict(attributes)},
            "time": nanoseconds // 10**9,
            "timeNano": nanoseconds,
            "serial": self.rows_sent,
        }
        self.history.append(row)
        self._told.append(row)
        for listener in self.listeners:
            listener(row)

    def take_events(self) -> list[Event]:
        """The events since the last call, equal events once, as our values."""
        events = [event for row in self._told if (event := event_from(row))]
        self._told = []
        return list(dict.fromkeys(events))

    def event_cursor(self) -> tuple[int, str]:
        """The start of a first stream: the last event, else the current time in this process."""
        if self.history:
            return max(row["timeNano"] for row in self.history), ""
        return self.now_nanoseconds(), f"process {self.process}"

    def now_nanoseconds(self) -> int:
        """Its time; two events never have the same."""
        return int(self._clock.now().wall_seconds * 1e9) + self.rows_sent

    def wall_clock(self) -> float:
        """Seconds from the uptime to the wall time."""
        now = self._clock.now()
        return now.wall_seconds - now.uptime_seconds

    def is_same_run(self, run: str, since_nanoseconds: int) -> bool:
        """True if the process has kept all events since that time, as far as its replay shows."""
        kept = self.replay(since_nanoseconds)
        now = self.now_nanoseconds()
        return run == f"process {self.process}" and now >= since_nanoseconds and len(kept) < (self.history.maxlen or 0)

    def replay(self, since_nanoseconds: int) -> list[Row]:
        """The events since that time that are still kept."""
        return list(reversed(list(_until_older(reversed(self.history), since_nanoseconds))))


def _without_digest(target: str) -> str:
    """`repo:tag` of `repo:tag@digest`; any other text as it is."""
    name = reference_from_engine(target)
    return target.partition("@")[0] if name.tag and name.digest else target


def _until_older(newest_first: Iterable[Row], since: int) -> Iterator[Row]:
    for row in newest_first:
        if row["timeNano"] < since:
            return
        yield row


def _an_id(word: str) -> ImageId:
    return ImageId(f"sha256:{sha256(word.encode()).hexdigest()}")


def _same(known: Image | None, new: Image) -> Image:
    return known if known is not None and known == new else new


def _layers(words: Iterable[str]) -> tuple[Layer, ...]:
    """Each word is a layer with a unique size, so that a sum identifies its layers."""
    words = list(words)
    digests = [f"sha256:{sha256(word.encode()).hexdigest()}" for word in words]
    return layers_of(digests, [_size(word) for word in reversed(words)])


def _on_top(below: Sequence[Layer], word: str) -> tuple[Layer, ...]:
    chain = _an_id(f"{below[-1].chain if below else ''} {word}")
    (top,) = layers_of([chain], [_size(word)])
    return (*below, Layer(top.chain, below[-1].chain if below else None, top.size_bytes))


def _size(word: str) -> int:
    return 1_000_000 + int(sha256(word.encode()).hexdigest()[:4], 16)
