"""Names that move during removals: a removal by name must never remove an image that got the name meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.image.reference import ImageId
from controller.plan.memory.observation import Store
from controller.plan.verdict.removal import Outcome
from tests.builders import HOUR, MINUTE
from tests.daemon.removal.test_requests import Scene, outcomes
from tests.fake_engine import FakeEngine, Kind
from tests.fakes import a_removal
from tests.host import a_host

KINDS = (Kind.D28_GD, Kind.D28_C8D, Kind.PODMAN)

moves: dict[str, Callable[[FakeEngine], object]] = {
    "pull": lambda engine: engine.pull("app:1", content="new"),
    "build": lambda engine: engine.build("app:1", "base:1", "new"),
    "tag": lambda engine: engine.tag("base:1", "app:1"),
    "load": lambda engine: engine.load("app:1", content="new"),
    "load of an image that is there": lambda engine: engine.load("app:1", content="there"),
    "import": lambda engine: engine.import_("app:1"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("move", moves)
def test_an_image_that_gets_a_name_during_the_batch_is_kept(kind: Kind, move: str) -> None:
    scene = Scene(kind)
    scene.engine.load("base:1")
    scene.engine.load(content="there")
    scene.engine.pull("app:1", content="old")

    scene.run(before=lambda: moves[move](scene.engine))

    assert scene.engine.has("app:1")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(Kind), st.integers(0, 9), st.sampled_from(sorted(moves)), st.booleans(), st.sampled_from((1, 2)))
def test_a_tag_that_moves_at_any_moment_keeps_its_new_image(
    kind: Kind, moment: int, move: str, is_late: bool, names: int
) -> None:
    """With one name always, and on the containerd store with two names too. Elsewhere a move between the inspection and
    the request is possible and reported.
    """
    scene = Scene(kind)
    scene.engine.load("base:1")
    scene.engine.load("there:1", content="there")
    scene.engine.pull("app:1", content="old")
    if names == 2:
        scene.engine.tag("app:1", "app:2")
    scene.events.is_late = is_late
    calls, moved = count(), list[ImageId]()

    def on_call(_: str) -> None:
        if next(calls) == moment:
            moves[move](scene.engine)
            moved.append(scene.engine.id_of("app:1"))

    scene.engine.on_call = on_call
    execution = scene.run(only=lambda intent: intent.reference.startswith("app"))
    is_kept = all(map(scene.engine.has, moved))
    has_moment = names == 2 and kind.store is not Store.CONTAINERD
    assert is_kept or (has_moment and Outcome.UNEXPECTED in outcomes(execution).values())


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_is_pulled_by_another_name_keeps_its_old_one(kind: Kind) -> None:
    scene = Scene(kind)
    scene.engine.load("app:1", content="same")

    assert outcomes(scene.run(before=lambda: scene.engine.pull("other:1", content="same"))) == {}


def test_events_during_the_lists_before_the_batch_count_too() -> None:
    scene = Scene()
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")

    def meanwhile(what: str) -> None:
        if what == "images":
            scene.engine.create("app:1")

    scene.engine.on_call = meanwhile
    assert outcomes(scene.run(before=lambda: scene.engine.load("another:1"))) == {}


def test_a_use_before_the_observation_by_a_name_that_was_lost_counts() -> None:
    with a_host() as host:
        old = host.engine.pull("app:1", content="old")
        host.rules(a_removal("*", 60))
        host.live(HOUR - MINUTE)

        def meanwhile(what: str) -> None:
            if what == "images" and host.engine.calls[-1] != "images":
                host.engine.run_briefly("app:1")
                host.engine.pull("app:1", content="new")
                host.engine.on_call = lambda _: None

        host.clock.elapse(2 * MINUTE)
        host.engine.on_call = meanwhile
        host.run_pass()
        assert host.engine.has(old)


def test_our_own_removals_do_not_count_as_moves() -> None:
    scene = Scene()
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")

    assert len(outcomes(scene.run(before=lambda: scene.engine.load("another:1")))) == 2


def test_an_image_that_is_built_upon_during_the_batch_is_kept() -> None:
    scene = Scene(Kind.D28_GD)
    scene.engine.load("base:1")

    scene.run(before=lambda: scene.engine.build("app:1", "base:1", "new"))

    assert scene.engine.has("base:1")
