"""What `imagectl plan` reads: the events since the last pass of a controller, without a stream."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.events import events_since
from controller.adapters.engine.replay import KnownCursors
from controller.plan.memory.event import EventCursor, EventKind, ReceivedEvents
from tests.with_docker.private_engine import PrivateEngine
from tests.with_docker.real_engine import RealEngine

APP = "site.local/app:1"


@pytest.fixture
def world(engine: PrivateEngine, docker_api: docker.APIClient, registry: str) -> Iterator[RealEngine]:
    world = RealEngine(engine.fake_kind, engine.host, docker_api, registry)
    world.load(APP)
    world.take_events()
    yield world
    world.close()


def seen_from(engine: PrivateEngine, cursor: EventCursor) -> ReceivedEvents:
    return events_since(Connection(Address(engine.host)), KnownCursors(cursor))


def test_a_use_since_the_last_pass_is_seen_and_none_is_missing(world: RealEngine, engine: PrivateEngine) -> None:
    known = world.stream.take()
    cursor = EventCursor(known.cursor, known.run)
    assert (seen_from(engine, cursor).events, seen_from(engine, cursor).is_all) == ((), True)
    world.run_briefly(APP)
    world.take_events()
    received = seen_from(engine, cursor)
    assert received.is_all
    assert APP in {event.name for event in received.events if event.kind is EventKind.USED}


def test_events_may_be_missing_since_an_event_that_the_engine_no_longer_has(
    world: RealEngine, engine: PrivateEngine
) -> None:
    known = world.stream.take()
    received = seen_from(engine, EventCursor(known.cursor - 1, known.run))
    assert (received.is_up, received.has_hole) == (True, True)
