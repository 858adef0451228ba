"""An engine that deletes parents without a name along with an image: what is not due is never lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.plan.verdict.removal import Outcome
from controller.plan.verdict.verdict import Reason
from tests.builders import HOUR, MINUTE
from tests.daemon.removal.test_requests import Scene, outcomes
from tests.fake_engine import FakeEngine, Kind
from tests.fakes import a_removal
from tests.host import Host, a_host


def build(engine: FakeEngine) -> None:
    """`app:1` on two parents without a name, on `base:1`."""
    engine.load("base:1")
    engine.build("app:1", "base:1", "one", "two", "three")


def an_old_podman(host: Host) -> Host:
    host.engine.prunes_parents = True
    return host


def test_parents_that_no_rule_covers_keep_their_child() -> None:
    with a_host(Kind.PODMAN) as host:
        build(an_old_podman(host).engine)
        before = host.engine.names
        host.rules(a_removal("app:*", 10))
        host.live(HOUR)
        assert host.engine.names == before
        assert host.reason("app:1") is Reason.PARENT_NOT_DUE


def test_parents_that_are_due_are_removed_by_requests_of_their_own() -> None:
    with a_host(Kind.PODMAN) as host:
        build(an_old_podman(host).engine)
        host.rules(a_removal("*", 10))
        passes = host.live(HOUR)
        assert host.engine.names == []
        removed = [removal.outcome for status in passes for removal in status.removals]
        assert removed == [Outcome.REMOVED] * 4


def unname(engine: FakeEngine) -> None:
    engine.load("parent:1", content="new")


def remove_the_other_child(engine: FakeEngine) -> None:
    engine.rmi("other:1")


@pytest.mark.parametrize("change", [unname, remove_the_other_child])
def test_a_parent_that_would_be_lost_since_the_observation_keeps_its_child(
    change: Callable[[FakeEngine], None],
) -> None:
    scene = Scene(Kind.PODMAN)
    scene.engine.prunes_parents = True
    if change is unname:
        scene.engine.load("parent:1", content="old")
        scene.engine.build("app:1", "parent:1", "one")
    else:
        build(scene.engine)
        scene.engine.build("other:1", "base:1", "one", "two", "four")
    parent = scene.engine.images_now()[scene.engine.id_of("app:1")].parent
    assert parent is not None
    execution = scene.run(before=lambda: change(scene.engine), only=lambda intent: intent.reference == "app:1")
    assert scene.engine.has(parent)
    assert outcomes(execution) == {}


def test_a_parent_that_the_engine_deletes_all_the_same_is_an_alarm() -> None:
    scene = Scene(Kind.PODMAN)
    build(scene.engine)

    def prune(what: str) -> None:
        scene.engine.prunes_parents = what.startswith("remove")

    scene.engine.on_call = prune
    execution = scene.run(only=lambda intent: intent.reference == "app:1")
    assert outcomes(execution) == {"app:1": Outcome.UNEXPECTED}


steps = st.sampled_from(
    ("build", "build on a parent", "retag", "run", "rm", "rmi", "live", "rule for all", "rule for apps")
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=4, max_size=14), st.randoms(use_true_random=False))
def test_nothing_is_removed_but_by_its_own_request(names: list[str], random: object) -> None:
    with a_host(Kind.PODMAN) as host:
        engine = an_old_podman(host).engine
        engine.load("base:1")
        containers: list[str] = []
        for number, step in enumerate(names):
            tags = [name for name in engine.names if ":" in name and not name.startswith("sha256:")] or [
                engine.load("base:1")
            ]
            tag = random.choice(tags)  # type: ignore[attr-defined]
            match step:
                case "build":
                    engine.build(f"app:{number}", tag, f"a{number}", f"b{number}")
                case "build on a parent":
                    engine.build(f"other:{number}", tag, f"c{number}")
                case "retag":
                    engine.load(tag, content=f"new {number}")
                case "run":
                    containers.append(engine.run(tag))
                case "rm" if containers:
                    engine.rm(containers.pop())
                case "rmi":
                    engine.prunes_parents = False  # Another client uses --no-prune.
                    if not engine.is_used(engine.id_of(tag)):
                        engine.rmi(tag)
                    engine.prunes_parents = True
                case "rule for all":
                    host.rules(a_removal("*", 30))
                case "rule for apps":
                    host.rules(a_removal("app:*", 30))
                case "live":
                    before = set(engine.images_now())
                    passes = host.live(40 * MINUTE)
                    requested = {removal.intent.image for status in passes for removal in status.removals}
                    assert before - set(engine.images_now()) <= requested
                    assert all(r.outcome is not Outcome.UNEXPECTED for status in passes for r in status.removals)
