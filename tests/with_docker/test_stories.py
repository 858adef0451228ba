"""The stories whose steps are possible on a real engine, run there; only the clock is fake."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import docker
import pytest

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.events import EventStream
from controller.adapters.ledger.ledger import Ledger
from controller.daemon.reconcile import PassOptions
from controller.image.reference import image_id
from controller.plan.memory.event import Event, EventKind, ReceivedEvents
from tests.host import Host
from tests.stories.runner import ONLY_FAKE, StoryRunner
from tests.stories.story import Story, stories
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine
from tests.with_docker.real_engine import RealEngine

_PATIENCE_SECONDS = 60.0
_MARKER = "marker.local/marker:1"
REAL = [story for story in stories() if not story.words & ONLY_FAKE]


class _WithoutMarkers(EventStream):
    """Without the loads of our own image: on Podman 4 their events name no image, so that beside a pull each may have
    moved any name.
    """

    def take(self) -> ReceivedEvents:
        received = super().take()
        pairs = pairwise((*received.events, None))
        return replace(
            received, events=tuple(event for event, following in pairs if event and not _loads(event, following))
        )


def _loads(event: Event, following: Event | None) -> bool:
    """True for the load of our own image, whose name is removed next."""
    is_load = event.kind is EventKind.LOADED and event.image is None
    return is_load and following is not None and (following.kind, following.name) == (EventKind.UNTAGGED, _MARKER)


@dataclass
class RealHost(Host):
    """A host on which the engine and its events are real."""

    world: RealEngine = field(kw_only=True)
    api: docker.APIClient = field(kw_only=True)
    address: str = field(kw_only=True)

    def make_engine(self) -> RealEngine:  # type: ignore[override]
        return self.world

    def listen(self, cursor: int, run: str) -> EventStream:  # type: ignore[override]
        self._rang = threading.Event()
        self._stream = _WithoutMarkers(Connection(Address(self.address)), self._rang.set, cursor, run)
        self._stream.start(_PATIENCE_SECONDS)
        return self._stream

    def stop(self) -> None:
        self._stream.stop()
        if isinstance(self.ledger, Ledger):
            self.ledger.close()

    def receive_events(self) -> None:
        """Create and remove an image of our own: after its event all earlier events have arrived."""
        mark = self.events.mark()
        marker = image_id(images.load_image(self.api, _MARKER, variant="marker", layers=()))
        self.api.remove_image(_MARKER)
        while marker not in {event.image for event in self._after(mark) if event.kind is EventKind.DELETED}:
            assert self._rang.wait(_PATIENCE_SECONDS), "no event arrives"
            self._rang.clear()

    def _after(self, mark: int) -> tuple[Event, ...]:
        return self._stream.after(mark)[0]


_NOT_ON_PODMAN_4 = {
    "build_date": "the event of a load names no image, so the detail is another one",
    "child_over_its_parent": "the engine would delete the parent too, so the child waits",
}

_NOT_ON_REAL = {"clock_set_back_on_podman": "a real engine has the clock of this machine, which is not set"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("story", REAL, ids=lambda story: story.name)
def test_a_story_of_a_node(
    story: Story, engine: PrivateEngine, docker_api: docker.APIClient, registry: str, tmp_path: Path
) -> None:
    kind = engine.fake_kind
    if kind not in story.kinds:
        pytest.skip(f"this story is about other engines than {kind.value}")
    if reason := _NOT_ON_REAL.get(story.name):
        pytest.skip(reason)
    if engine.is_podman4 and (reason := _NOT_ON_PODMAN_4.get(story.name)):
        pytest.skip(reason)
    world = RealEngine(kind, engine.host, docker_api, registry)
    options = PassOptions(story.conditions, parallel_removals=1)
    host = RealHost(tmp_path / "ledger.db", kind, options, world=world, api=docker_api, address=engine.host)
    try:
        StoryRunner(host, story).run_story()
    finally:
        host.stop()
        world.close()
