"""Containers that appear while the controller is about to remove their images, 200 times on every engine.

The controller must keep every image whose container it can see. Engines check for use only when a delete starts, so a
container that is created during the milliseconds of a delete can lose its image. The tests report how often an image
survived that.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import docker
import pytest
from docker.errors import APIError

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from controller.image.image import Container
from controller.image.reference import ImageId
from tests.with_docker import containers, images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import OnEngine, on_engine
from tests.with_docker.private_engine import PrivateEngine

TIMES, ROUNDS = 200, 10
NAMES = [f"race.local/app:{number}" for number in range(TIMES // ROUNDS)]
SECOND_NAMES = [name.replace("app", "again") for name in NAMES[::2]]
"""Every other image has a second name, whose removal no engine refuses while a container uses the image."""


class Watched(DockerEngine):
    """The adapter, with a callback after containers were listed; it records the time of each removal request."""

    def __init__(self, host: str) -> None:
        super().__init__(Connection(Address(host)))
        self.after_lists: list[Callable[[], None]] = []
        self.asked_at: dict[str, float] = {}

    def containers(self) -> tuple[Container, ...]:
        listed = super().containers()
        if self.after_lists:
            self.after_lists.pop(0)()
        return listed

    def remove(self, target: str) -> tuple[str, ...]:
        image = self._listed.images.get(ImageId(target))  # The last name of an image is removed by its ID.
        for name in (tag.text for tag in image.tags) if image else (target.partition("@")[0],):
            self.asked_at[name] = time.monotonic()
        return super().remove(target)


class Rivals:
    """Several threads that create containers at once, one of each image, each in its own order."""

    def __init__(self, host: str, names: list[str]) -> None:
        self._apis = [docker.APIClient(host, version="auto", timeout=600) for _ in range(4)]
        self._threads = [Thread(target=self._create, args=(api, names[n::4])) for n, api in enumerate(self._apis)]
        self.created_at: dict[str, float] = {}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread, api in zip(self._threads, self._apis, strict=True):
            thread.join()
            api.close()

    def _create(self, api: docker.APIClient, names: list[str]) -> None:
        for name in names:
            with suppress(APIError):  # The image was gone already.
                containers.create(api, name)
                self.created_at[name] = time.monotonic()


@pytest.fixture
def watched(engine: PrivateEngine) -> Watched:
    return Watched(engine.host)


@pytest.fixture
def controller(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path, watched: Watched
) -> Iterator[OnEngine]:
    with on_engine(engine, docker_api, tmp_path, port=watched) as controller:
        yield controller


@pytest.mark.timeout(1200)
def test_a_container_that_appears_between_observation_and_removal_keeps_its_image_and_all_names(
    controller: OnEngine, watched: Watched, record_property: Callable[[str, object], None]
) -> None:
    survived = 0
    for number in range(ROUNDS):
        _fill(controller, number)
        watched.after_lists = [lambda: _create_all(controller.api)]
        controller.run_pass()
        assert set(SECOND_NAMES) <= controller.left
        survived += len(set(NAMES) & controller.left)
        _remove_all_containers(controller.api)
    record_property("container between look and removal", f"{survived} of {TIMES} images survived")
    assert survived == TIMES


@pytest.mark.timeout(1200)
def test_a_container_that_appears_during_a_batch_keeps_its_image_unless_the_engine_accepts_both(
    controller: OnEngine, engine: PrivateEngine, watched: Watched, record_property: Callable[[str, object], None]
) -> None:
    survived = came_first = came_at_once = 0
    dice = random.Random(7)
    for number in range(ROUNDS):
        _fill(controller, number)
        rivals = Rivals(engine.host, dice.sample(NAMES, len(NAMES)))
        watched.after_lists, watched.asked_at = [rivals.start], {}
        controller.run_pass()
        rivals.join()
        left = controller.left
        first = {name for name, at in rivals.created_at.items() if at < watched.asked_at.get(name, at + 1)}
        assert first <= left
        survived += len(left & rivals.created_at.keys())
        came_first += len(first)
        came_at_once += len(rivals.created_at.keys() - first)
        _remove_all_containers(controller.api)
    text = (
        f"{survived} of {came_first + came_at_once} images survived: all {came_first} whose container was there before "
        f"the delete, {survived - came_first} of {came_at_once} whose container came in its very milliseconds"
    )
    record_property("container in the middle of a batch", text)
    print(f"\n{engine.kind}: {text}")


def _fill(controller: OnEngine, number: int) -> None:
    """The images of one round, all due."""
    images.load(controller.api, (Recipe((name,), (Layer("own", 500),), variant=f"{name} {number}") for name in NAMES))
    for name in SECOND_NAMES:
        images.tag(controller.api, name.replace("again", "app"), name)
    controller.catch_up()
    controller.run_pass()
    controller.clock.elapse(3600)


def _create_all(api: docker.APIClient) -> None:
    for name in NAMES:
        containers.create(api, name)


def _remove_all_containers(api: docker.APIClient) -> None:
    for row in api.containers(all=True):
        containers.remove(api, row["Id"])
