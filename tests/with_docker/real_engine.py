"""A real engine with the methods of the fake one, so that contracts and stories run on both."""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections.abc import Mapping
from hashlib import sha256

import docker
import requests

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from controller.adapters.engine.events import EventStream
from controller.image.reference import ImageId, image_id, reference_from_engine
from controller.plan.memory.event import Event
from tests.fake_engine import Kind
from tests.with_docker import containers, images
from tests.with_docker.images import Layer, Recipe

_MARKER = "marker.local/marker"
_PATIENCE_SECONDS = 60.0


class _Noted(DockerEngine):
    """The adapter, which records its removal requests."""

    def __init__(self, host: str, calls: list[str]) -> None:
        super().__init__(Connection(Address(host)))
        self._calls = calls

    def remove(self, target: str) -> tuple[str, ...]:
        image = self._listed.images.get(ImageId(target))
        names = image.removable_references if image else ()
        self._calls.append(f"remove {names[0].text if names else target}")
        return super().remove(target)


class RealEngine:
    """Actions of others on an engine, and the adapter that the controller uses."""

    def __init__(self, kind: Kind, host: str, api: docker.APIClient, registry: str) -> None:
        self.kind = kind
        self.hub = registry
        self.calls: list[str] = []
        """The removals that were requested; `remove app:1` has the name of the image also where its ID is sent."""
        self.port = _Noted(host, self.calls)
        self.port.identify()
        self._api = api
        self._rang = threading.Event()
        self.stream = EventStream(Connection(Address(host)), self._rang.set)
        self.stream.start(_PATIENCE_SECONDS)
        self._marks = 0

    def close(self) -> None:
        self.stream.stop()

    # ── actions of others ─────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, name: str = "", *layers: str, labels: Mapping[str, str] | None = None, content: str = "") -> ImageId:
        recipe = _recipe(layers, labels, content or name)
        tags = (name,) if name else ()
        return image_id(
            images.load_image(self._api, *tags, layers=recipe.layers, labels=labels or {}, variant=recipe.variant)
        )

    def import_(self, name: str, content: str = "") -> ImageId:
        return image_id(images.import_image(self._api, name, _layer(f"root of {content or name}")))

    def pull(self, name: str, *layers: str, labels: Mapping[str, str] | None = None, content: str = "") -> ImageId:
        repository, _, pinned = name.partition("@")
        recipe = _recipe(layers, labels, pinned or content or repository)
        digest = publish(recipe, f"{repository}:pinned" if pinned else repository)
        return image_id(images.pull(self._api, f"{repository}@{digest}" if pinned else repository))

    def build(self, name: str, base: str, *layers: str, labels: Mapping[str, str] | None = None) -> ImageId:
        assert not labels
        return image_id(images.build(self._api, name, base, *map(_layer, layers)))

    def tag(self, image: str, name: str) -> None:
        images.tag(self._api, image, name)

    def create(self, image: str, *, name: str = "", labels: Mapping[str, str] | None = None, mounts: str = "") -> str:
        return containers.create(self._api, image, labels=labels, name=name or None, mounted_image=mounts or None)

    def start(self, container: str) -> None:
        self._api.start(container)

    def stop(self, container: str) -> None:
        containers.stop(self._api, container)

    def rm(self, container: str) -> None:
        containers.remove(self._api, container)

    def run(self, image: str, *, name: str = "", labels: Mapping[str, str] | None = None) -> str:
        container = self.create(image, name=name, labels=labels)
        self.start(container)
        return container

    def run_briefly(self, image: str, *, labels: Mapping[str, str] | None = None) -> None:
        self.rm(containers.run_briefly(self._api, image, labels=labels))

    def rmi(self, target: str) -> None:
        self._api.remove_image(target, noprune=True)

    def id_of(self, text: str) -> ImageId:
        return image_id(images.image_id(self._api, text))

    @property
    def names(self) -> list[str]:
        """All names, and the IDs of images without a name, sorted, as in the fake engine."""
        seen = [image for image in self.port.images().values() if not any(t.path == "marker" for t in image.tags)]
        return sorted(name.familiar if name else i.id for i in seen for name in i.removable_references or (None,))

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def take_events(self) -> list[Event]:
        """The events since the last call, equal events once; a tag event of our own marks the end."""
        self._marks += 1
        self._rang.clear()
        marker = f"{_MARKER}:{self._marks}"
        images.tag(self._api, self._marked(), marker)
        events: dict[Event, None] = {}
        while not any(reference_from_engine(event.name).familiar == marker for event in events):
            assert self._rang.wait(_PATIENCE_SECONDS), "no event arrives"
            self._rang.clear()
            events |= dict.fromkeys(self.stream.take().events)
        return [event for event in events if _MARKER not in event.name and event.image != self._marked()]

    def _marked(self) -> ImageId:
        if not self._marks or not images.names_of(self._api) & {f"{_MARKER}:0"}:
            return self.load(f"{_MARKER}:0", content="marker")
        return self.id_of(f"{_MARKER}:0")


def _recipe(layers: tuple[str, ...], labels: Mapping[str, str] | None, content: str) -> Recipe:
    """Without layers the image gets one of its own: equal images would look like builds on each other."""
    return Recipe((), tuple(map(_layer, layers or (content,))), labels or {}, content)


def _layer(text: str) -> Layer:
    """A layer whose file has a valid name."""
    return Layer(re.sub(r"[^\w.-]", "-", text))


def publish(recipe: Recipe, name: str) -> str:
    """Put an image into its registry without an engine; returns its digest there."""
    address, _, rest = name.partition("/")
    repository, _, version = rest.partition(":")
    base = f"http://{address}/v2/{repository}"
    with tarfile.open(fileobj=io.BytesIO(images.archive([recipe]))) as archive:
        (described,) = json.loads(_file(archive, "manifest.json"))
        kinds = {described["Config"]: "container.image.v1+json"}
        kinds |= dict.fromkeys(described["Layers"], "image.rootfs.diff.tar")
        parts = [_upload(base, _file(archive, file), f"application/vnd.docker.{kind}") for file, kind in kinds.items()]
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": parts[0], "layers": parts[1:]})
    answer = requests.put(f"{base}/manifests/{version}", manifest, headers={"Content-Type": media_type}, timeout=60)
    answer.raise_for_status()
    return _digest(manifest.encode())


def _file(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _upload(base: str, data: bytes, media_type: str) -> dict[str, object]:
    place = requests.post(f"{base}/blobs/uploads/", timeout=60)
    place.raise_for_status()
    answer = requests.put(place.headers["Location"], data, params={"digest": _digest(data)}, timeout=60)
    answer.raise_for_status()
    return {"mediaType": media_type, "size": len(data), "digest": _digest(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"
