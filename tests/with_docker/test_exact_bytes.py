"""The bytes that the controller reports as freed are those that left the engine's store, exactly.

Two hundred random sequences over images that share layers in all ways: trees of layers, the same content on different
parents, twins, images with several names, in use or not; the sum of the reported bytes equals the decrease of the
store's own total. On the containerd store and Podman the reported bytes are themselves a difference of readings: there
the test proves that a batch is distinguished from everything else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from controller.image.reference import ImageId, image_id
from controller.plan.verdict.removal import Exactness, Freed, Outcome
from tests.fakes import a_removal
from tests.with_docker import containers, images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import OnEngine, on_engine
from tests.with_docker.private_engine import PrivateEngine

SEQUENCES = 200
_MANY_IMAGES = 20
_SIZES = {"a": 40_000, "b": 12_345, "c": 7, "d": 65_536, "e": 4_096, "f": 100_001}


@dataclass
class Tally:
    """The reported bytes and the real ones."""

    sequences: int = 0
    removals: int = 0
    reported: int = 0
    fell: int = 0
    unknown: int = 0
    lower_bounds: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, freed: list[Freed], fell: int) -> None:
        reported = sum(each.bytes or 0 for each in freed)
        self.sequences += 1
        self.reported += reported
        self.fell += fell
        self.unknown += sum(each.exactness is Exactness.UNKNOWN for each in freed)
        self.lower_bounds += sum(each.exactness is Exactness.LOWER_BOUND for each in freed)
        if reported != fell:
            self.differences.append(f"sequence {self.sequences}: reported {reported}, fell {fell}")

    def __str__(self) -> str:
        return (
            f"{self.sequences} sequences, {self.removals} removals: reported {self.reported:,} bytes, "
            f"the store fell by {self.fell:,}; {self.unknown} unknown, {self.lower_bounds} lower bounds"
        )


@pytest.fixture
def controller(engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path) -> Iterator[OnEngine]:
    with on_engine(engine, docker_api, tmp_path, settle_seconds=0.0) as controller:
        yield controller


@pytest.mark.timeout(3600)
def test_the_sum_of_the_reported_bytes_is_the_decrease_of_the_stores_total(
    controller: OnEngine, engine: PrivateEngine, record_property: Callable[[str, object], None]
) -> None:
    if _total_is_always_0(controller.api):
        record_property("exact bytes", "not known: this engine counts 0 bytes for any image")
        pytest.skip("this engine counts 0 bytes for any image, so no figure is known")
    dice, tally, total = random.Random(20_27), Tally(), 0
    while tally.sequences < SEQUENCES:
        total += 1
        _change_something(controller.api, dice, total)
        controller.rules(*map(a_removal, _patterns(controller.api, dice)))
        controller.catch_up()
        before, mark = _store_total(controller.api), controller.events.mark()
        controller.run_pass()
        after = _store_total(controller.api)
        if not controller.removals:
            continue
        removed = {r.intent.image for r in controller.removals if r.outcome is Outcome.REMOVED}
        tally.removals += len(controller.removals)
        tally.add([*(r.freed for r in controller.removals), *_batches(controller, removed, mark)], before - after)
    record_property("exact bytes", str(tally))
    print(f"\n{engine.kind}: {tally}")
    assert not tally.differences
    assert tally.unknown == 0


def test_where_the_stores_total_is_always_0_the_freed_bytes_are_unknown(controller: OnEngine) -> None:
    """Podman 4.3."""
    if not _total_is_always_0(controller.api):
        pytest.skip("this engine counts the bytes of its images")
    image = images.load_image(controller.api, "site.local/app:1")
    controller.catch_up()
    mark = controller.events.mark()

    controller.run_pass()

    assert controller.came_of == {"site.local/app:1": "removed"}
    assert [removal.freed.bytes for removal in controller.removals] == [None]
    figures = [*(batch.freed for batch in controller.last.batches), *_batches(controller, {image_id(image)}, mark)]
    assert {figure.exactness for figure in figures} == {Exactness.UNKNOWN}


def _total_is_always_0(api: docker.APIClient) -> bool:
    images.load_image(api, "site.local/counted:1")
    total = _store_total(api)
    api.remove_image("site.local/counted:1")
    return total == 0


def _batches(controller: OnEngine, removed: set[ImageId], mark: int) -> list[Freed]:
    """The measurements of the last pass's batches, final after their own events and a quiet second."""
    if controller.is_graph_driver or not removed:
        return []
    controller.hear_of_removals(removed, mark)
    controller.clock.elapse(1.1)
    return [batch.freed for batch in controller.reconciler.reconcile().batches]


def _change_something(api: docker.APIClient, dice: random.Random, number: int) -> None:
    """Add a few images; start and remove containers."""
    images.load(api, [_recipe(dice, number * 10 + n) for n in range(dice.randint(1, 4))])
    for row in api.containers(all=True):
        if dice.random() < 0.5:
            containers.remove(api, row["Id"])
    names = sorted(images.names_of(api))
    if dice.random() < 0.5:
        containers.create(api, dice.choice(names))
    if dice.random() < 0.3:
        images.tag(api, dice.choice(names), f"site{number}.local/a1:1")


def _patterns(api: docker.APIClient, dice: random.Random) -> list[str]:
    """A few of all repositories; everything if there are many images."""
    if len(api.images(all=True)) > _MANY_IMAGES:
        return ["*"]
    return [f"*/{dice.choice('abc')}{dice.choice('123*')}:*" for _ in range(dice.randint(1, 2))]


def _recipe(dice: random.Random, number: int) -> Recipe:
    layers = tuple(Layer(name, _SIZES[name]) for name in dice.choices("abcdef", k=dice.randint(0, 5)))
    tags = tuple(f"site{number}.local/{dice.choice('abc')}{dice.choice('123')}:{n}" for n in range(dice.randint(1, 2)))
    return Recipe(tags, layers, variant=str(number) if dice.random() < 0.8 else "twin")


def _store_total(api: docker.APIClient) -> int:
    """`docker system df`, without the bytes written by containers."""
    answer = api.get(f"{api.base_url}/v{api.api_version}/system/df", params={"type": "image"})
    answer.raise_for_status()
    usage = answer.json()
    return int(usage.get("ImageUsage", {}).get("TotalSize", usage.get("LayersSize", 0)))
