"""Tags that move to a new image while the old one is removed, at random moments, on a real engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import docker
import pytest

from controller.adapters.engine.connection import Address, Connection
from controller.adapters.engine.engine import DockerEngine
from controller.image.image import Container
from controller.image.reference import image_id
from tests.fakes import a_removal
from tests.with_docker import images
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine

TIMES = 40


class Moved(DockerEngine):
    """The adapter; tags move at one of three times around each removal."""

    def __init__(self, host: str, move: Callable[[str], None]) -> None:
        super().__init__(Connection(Address(host)))
        self._move = move
        self._random = random.Random(1)

    def containers(self) -> tuple[Container, ...]:
        """The last list before the requests."""
        listed = super().containers()
        for name in self._random.sample(sorted(_names_in(self)), len(_names_in(self)) // 4):
            self._move(name)
        return listed

    def remove(self, target: str) -> tuple[str, ...]:
        names = [tag.text for tag in self._images[image_id(target)].tags] if target in self._images else []
        before, during = self._random.random() < 0.4, self._random.random() < 0.4
        if before:
            self._each(names)
        thread = Thread(target=self._each, args=(names if during and not before else [],))
        thread.start()
        try:
            return super().remove(target)
        finally:
            thread.join()

    def _each(self, names: list[str]) -> None:
        for name in names:
            self._move(name)


def _names_in(engine: Moved) -> set[str]:
    return {tag.text for image in engine._images.values() for tag in image.tags if "move.local" in tag.text}


@pytest.mark.timeout(600)
def test_a_tag_that_moves_during_its_removal_keeps_its_new_image(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path
) -> None:
    names = [f"move.local/app:{number}" for number in range(TIMES)]
    for name in names:
        images.load_image(docker_api, name, variant=f"old {name}", layers=())
    moved: dict[str, str] = {}

    def move(name: str) -> None:
        if name not in moved:
            moved[name] = ""
            moved[name] = images.load_image(docker_api, name, variant=f"new {name}", layers=())

    def move_if_alive(name: str) -> None:
        with suppress(docker.errors.APIError):
            move(name)

    port = Moved(engine.host, move_if_alive)
    rule = a_removal("move.local/*:*")
    with on_engine(engine, docker_api, tmp_path, rule, port=port, settle_seconds=0.0) as controller:
        trouble = controller.reconciler.reconcile().trouble
    # Podman 4 fails to list images while one of them changes; then the pass ends early.
    assert not trouble or engine.is_podman4, trouble
    there = {image_id(row["Id"]) for row in docker_api.images(all=True)}
    assert moved, "no tag moved"
    lost = [name for name, image in moved.items() if not image or image_id(image) not in there]
    not_loaded = sum(not moved[name] for name in lost)
    assert not lost, f"{len(lost)} of {len(moved)} new images are lost, of which {not_loaded} could not be loaded"
