"""A use counts for every image that a name has meant since the last pass. Docker's pull events do not say which one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from tests.fake_engine import Kind
from tests.fakes import a_removal
from tests.host import Host, a_host


@pytest.fixture(params=[Kind.DEBIAN, Kind.D28_GD, Kind.D28_C8D, Kind.PODMAN])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    conditions = Conditions(Terms(settle_seconds=600.0), resync_seconds=300.0)
    with a_host(request.param, conditions) as host:
        host.rules(a_removal("*app:*", minutes=60))
        yield host


@pytest.mark.parametrize("then", ["pull", "load", "tag", "rmi"])
@pytest.mark.parametrize("is_mount", [False, True])
@pytest.mark.parametrize("known_as", ["app:stable", "mirror/app:1"])
def test_a_pull_of_a_known_image_whose_new_name_moves_on_after_a_use(
    host: Host, known_as: str, then: str, is_mount: bool
) -> None:
    host.engine.pull("app:edge", content="0")
    known = host.engine.pull(known_as, content="1")
    host.engine.pull("app:2", content="2")
    host.engine.create("app:2")
    host.live(3_500)
    host.engine.pull("app:edge", content="1")
    if is_mount:
        host.engine.create("app:2", mounts="app:edge")
    else:
        host.engine.run_briefly("app:edge")
    if then == "pull":
        host.engine.pull("app:edge", content="2")
    elif then == "load":
        host.engine.load("app:edge", content="3")
    elif then == "tag":
        host.engine.tag("app:2", "app:edge")
    else:
        host.engine.rmi("app:edge")
    host.clock.elapse(2.0)
    host.run_pass()
    host.live(200)
    assert host.engine.has(known)


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_rollback_and_the_way_forward_between_two_passes(host: Host, is_stopped: bool) -> None:
    old = host.engine.pull("app:1", "base", "old", content="old")
    host.run_pass()
    host.engine.pull("app:1", "base", "new", content="new")
    new_container = host.engine.run("app:1", name="app")
    host.live(3_500)
    if is_stopped:
        host.stop()
    host.engine.rm(new_container)
    assert host.engine.pull("app:1", "base", "old", content="old") == old
    old_container = host.engine.run("app:1", name="app")
    host.clock.elapse(60.0)
    host.engine.rm(old_container)
    host.engine.pull("app:1", "base", "new", content="new")
    host.engine.run("app:1", name="app")
    host.clock.elapse(10.0)
    if is_stopped:
        host.start()
    host.run_pass()
    host.live(120)
    assert host.engine.has(old)
