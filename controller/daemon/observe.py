"""Look once at the engine. A look is complete or it is none: a list that failed is not an empty list."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from controller.daemon.ports import EnginePort
from controller.errors import EngineUnavailable, ImageGone
from controller.image.layers import Layer
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Engine, Observation

_INSPECTIONS_AT_ONCE = 4


@dataclass
class Observer:
    """Looks at one engine again and again; knows which engine it is, so that it need not ask each time."""

    engine: EnginePort
    clock: Clock
    stopping: threading.Event
    own_container: str = ""
    _known: Engine | None = None
    _generation: int = -1

    def look(self, streams_generation: int) -> Observation:
        """Everything as it is now: two calls, unless the engine may have changed. Raises EngineUnavailable."""
        engine = self._identified(streams_generation)
        images = self.engine.images()
        containers = tuple(self.engine.containers())
        services = self.engine.service_images() if engine.manages_swarm else frozenset[str]()
        return Observation(engine, images, containers, self.clock.now(), services, self.own_container)

    def is_same_engine(self, seen: Observation) -> bool:
        """Is it still the engine of that look, in the same role? Asked before anything is removed from it."""
        self._known = self.engine.identify()
        return self._known == seen.engine

    def _identified(self, streams_generation: int) -> Engine:
        generation = self.engine.generation + streams_generation
        if self._known is None or self._generation != generation:
            self._known = self.engine.identify()
            self._generation = self.engine.generation + streams_generation
        return self._known

    def new_layers(self, seen: Observation, memory: Memory) -> Mapping[ImageId, tuple[Layer, ...]]:
        """The layers of images that were never inspected. One that cannot be inspected is asked for again next time."""
        known = memory.records if memory.seen and memory.seen.engine.identity == seen.engine.identity else {}
        unknown = [image for image in seen.images if image not in known or known[image].tip is None]
        if not unknown:
            return {}
        with ThreadPoolExecutor(_INSPECTIONS_AT_ONCE, thread_name_prefix="inspection") as pool:
            inspected = pool.map(self._layers, unknown)
            return {image: layers for image, layers in zip(unknown, inspected, strict=True) if layers is not None}

    def _layers(self, image: ImageId) -> tuple[Layer, ...] | None:
        if self.stopping.is_set():
            return None
        try:
            return self.engine.layers(image)
        except (ImageGone, EngineUnavailable):
            return None
