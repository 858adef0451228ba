"""One observation of the engine. It is complete or fails: a failed list is not an empty list."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field

from controller.daemon.ports import EnginePort
from controller.errors import EngineUnavailable, ImageGone
from controller.image.image import Image
from controller.image.layers import Layer
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory.engines import is_same_engine
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Engine, Observation, Store
from controller.value import dataclass

_INSPECTIONS_AT_ONCE = 4
_ATTEMPTS = 2
"""Attempts of one observation, if the connection breaks during it."""


@dataclass
class Observer:
    """Observes one engine. It identifies the engine again only after a new connection."""

    engine: EnginePort
    clock: Clock
    stopping: threading.Event
    own_container: str = ""
    _known: Engine | None = None
    _generation: int = -1
    _images: Mapping[ImageId, Image] = field(default_factory=dict)
    """Those of the last observation."""
    _has_build_cache: bool | None = None
    """None: never asked. Not asked again only because of a new connection: asking may be what broke the last one."""

    def observe(self, stream_generation: int) -> Observation:
        """The engine as it is now: two requests, unless it may be another engine or has new images.

        Raises EngineUnavailable.
        """
        for _ in range(_ATTEMPTS):
            engine, connection = self._identified(stream_generation), self.engine.generation
            images = self.engine.images()
            containers = tuple(self.engine.containers())
            services = self.engine.service_images() if engine.manages_swarm else frozenset[str]()
            if self.engine.generation == connection:  # Else the lists may be those of two engines.
                cache = self._with_build_cache(engine, images)
                return Observation(engine, images, containers, self.clock.now(), services, self.own_container, cache)
        raise EngineUnavailable("the connection to the engine broke while images and containers were listed")

    def _with_build_cache(self, engine: Engine, images: Mapping[ImageId, Image]) -> bool:
        """True if BuildKit may hold layers; also if the engine does not answer. Read again after a build."""
        has_new_image = any(image not in self._images for image in images)
        self._images = images
        if engine.store is Store.PODMAN:
            return False
        if self._has_build_cache is None or has_new_image:
            try:
                self._has_build_cache = self.engine.has_build_cache()
            except EngineUnavailable:
                self._has_build_cache = True
        return self._has_build_cache

    def is_same_engine(self, observation: Observation) -> bool:
        """True if it is still the engine of that observation, in the same role. Checked before each removal batch."""
        self._known = self.engine.identify()
        return self._known == observation.engine

    def _identified(self, stream_generation: int) -> Engine:
        generation = self.engine.generation + stream_generation
        if self._known is None or self._generation != generation:
            self._known = self.engine.identify()
            self._generation = self.engine.generation + stream_generation
        return self._known

    def new_layers(self, observation: Observation, memory: Memory) -> Mapping[ImageId, tuple[Layer, ...]]:
        """The layers of images that were never inspected. One that cannot be inspected is tried again next time."""
        known = memory.records if is_same_engine(memory.seen, observation) else {}
        unknown = [image for image in observation.images if image not in known or known[image].tip is None]
        if not unknown:
            return {}
        ahead = iter(unknown)  # Shared by the threads: one task for each image would cost 1.6 KiB an image.
        shared: dict[Layer, Layer] = {}
        with ThreadPoolExecutor(_INSPECTIONS_AT_ONCE, thread_name_prefix="inspection") as pool:
            parts = [pool.submit(self._inspected, ahead, shared) for _ in range(_INSPECTIONS_AT_ONCE)]
        return {image: layers for part in parts for image, layers in part.result().items()}

    def _inspected(self, ahead: Iterator[ImageId], shared: dict[Layer, Layer]) -> dict[ImageId, tuple[Layer, ...]]:
        """The layers of the images; a layer that many images have is one object."""
        found = ((image, self._layers(image)) for image in ahead)
        return {
            image: tuple(shared.setdefault(layer, layer) for layer in layers)
            for image, layers in found
            if layers is not None
        }

    def _layers(self, image: ImageId) -> tuple[Layer, ...] | None:
        if self.stopping.is_set():
            return None
        try:
            return self.engine.layers(image)
        except (ImageGone, EngineUnavailable):
            return None
