"""Bytes freed by a batch, from the store's own total, and everything that makes the figure unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from controller.daemon.removal.answers import Expectation, RemovalRequest
from controller.daemon.removal.measurement import Measurement, StoreReading, fall, reading_after, reading_before
from controller.errors import EngineUnavailable
from controller.image.layers import ChainId
from controller.image.reference import ImageId
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.observation import Store
from controller.plan.verdict.reclaim import own_top_layers
from controller.plan.verdict.removal import UNKNOWN_BYTES, Batch, Exactness, Freed, Intent
from tests.builders import an_event, an_id, an_image, an_observation
from tests.fake_engine import FakeEngine, Kind
from tests.fakes import FakeClock
from tests.host import a_host

OWN, OTHER = an_id("own"), an_id("other")

DIGEST = "sha256:" + "d" * 64


def a_measurement(fell: int | None = 5, is_lower_bound: bool = False, images: Iterable[ImageId] = ()) -> Measurement:
    return Measurement("batch 1", "doc", fell, tuple(images), 0, 10.0, is_lower_bound)


# ── readings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_figure_is_the_decrease_between_two_readings() -> None:
    assert fall(StoreReading(12, 3), StoreReading(5, 3)) == 7


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (StoreReading(12, 3), StoreReading(5, 4)),  # a container has written
        (StoreReading(12, 0), StoreReading(13, 0)),  # an image was added
        (None, StoreReading(5, 0)),
        (StoreReading(12, 0), None),
    ],
)
def test_two_readings_that_do_not_agree_give_no_figure(before: StoreReading | None, after: StoreReading | None) -> None:
    assert fall(before, after) is None


def test_bytes_written_by_containers_are_read_outside_of_the_totals_that_include_them() -> None:
    engine = FakeEngine(FakeClock(), Kind.D28_C8D)
    reading_before(engine, Store.CONTAINERD)
    reading_after(engine, Store.CONTAINERD)
    assert engine.calls == ["written_bytes", *4 * ["store_bytes"], "written_bytes"]


class SharingEngine(FakeEngine):
    """As Docker: a request that comes during that of another client gets the answer to that one."""

    asked_before: int | None = None

    def store_bytes(self) -> int:
        answer, self.asked_before = self.asked_before, None
        return super().store_bytes() if answer is None else answer


def test_a_total_for_which_another_client_asked_before_the_removals_is_not_used() -> None:
    engine = SharingEngine(FakeClock(), Kind.D28_C8D)
    engine.load("app:1")
    before = reading_before(engine, Store.CONTAINERD)
    engine.asked_before = engine.used_bytes()
    engine.rmi("app:1")
    assert before is not None
    assert fall(before, reading_after(engine, Store.CONTAINERD)) == before.total_bytes


def test_bytes_written_by_containers_are_not_read_where_totals_exclude_them() -> None:
    engine = FakeEngine(FakeClock(), Kind.PODMAN)
    assert reading_before(engine, Store.PODMAN) == StoreReading(0, 0)
    assert engine.calls == ["store_bytes"]


def test_an_engine_without_a_total_gives_no_reading() -> None:
    engine = FakeEngine(FakeClock(), Kind.D28_C8D)
    engine.is_down = True
    assert reading_before(engine, Store.CONTAINERD) is None
    assert reading_after(engine, Store.CONTAINERD) is None


# ── what makes it invalid ─────────────────────────────────────────────────────────────────────────────────────────────


def figure_after(*events: Event) -> Freed:
    return a_measurement().with_events(events, 7, {OWN}).batch.freed


@pytest.mark.parametrize("kind", [EventKind.DELETED, EventKind.UNTAGGED])
def test_our_own_removals_do_not_invalidate_it(kind: EventKind) -> None:
    assert figure_after(an_event(kind, image=OWN)) == Freed(5, Exactness.EXACT)


@pytest.mark.parametrize(
    "event",
    [
        an_event(EventKind.DELETED, image=OTHER),
        an_event(EventKind.UNTAGGED, image=OTHER),
        an_event(EventKind.PULLED, "app:1"),
        an_event(EventKind.LOADED, image=OWN),
        an_event(EventKind.TAGGED, image=OWN),
        an_event(EventKind.IMPORTED, image=OTHER),
        an_event(EventKind.BUILT, image=OTHER),
        an_event(EventKind.DELETED),  # a prune
    ],
)
def test_foreign_changes_of_the_store_invalidate_it(event: Event) -> None:
    assert figure_after(event) == UNKNOWN_BYTES


def test_containers_do_not_invalidate_it() -> None:
    """If the total includes them, the bytes that they have written are read as well."""
    assert figure_after(an_event(EventKind.USED, "app:1")) == Freed(5, Exactness.EXACT)


def test_an_invalid_measurement_is_never_valid_again() -> None:
    invalid = a_measurement().with_events([an_event(EventKind.PULLED, "app:1")], 7, {OWN})
    assert invalid.with_events([], 8, {OWN}).batch.freed == UNKNOWN_BYTES


def test_images_that_appear_or_disappear_without_an_event_invalidate_it() -> None:
    measurement = a_measurement(images=[OWN, OTHER])
    assert not measurement.with_images([OTHER], {OWN}).is_invalid
    assert measurement.with_images([OWN], {OWN}).is_invalid
    assert measurement.with_images([OTHER, an_id("new")], {OWN}).is_invalid


# ── its result ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_incomplete_total_makes_it_a_lower_bound() -> None:
    assert a_measurement(is_lower_bound=True).batch == Batch("batch 1", "doc", Freed(5, Exactness.LOWER_BOUND))


def test_no_readings_make_it_unknown() -> None:
    assert a_measurement(fell=None).batch.freed == UNKNOWN_BYTES


def test_any_error_of_the_engine_is_no_reading() -> None:
    class Busy(FakeEngine):
        def store_bytes(self) -> int:
            raise EngineUnavailable("the engine answered measure_store with 404: snapshot does not exist")

    assert reading_after(Busy(FakeClock(), Kind.D28_C8D), Store.CONTAINERD) is None


# ── layers that something else holds ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("has_cache", "exactness"), [(False, Exactness.UNKNOWN), (True, Exactness.EXACT)])
def test_own_layers_that_no_answer_names_are_of_unknown_size(has_cache: bool, exactness: Exactness) -> None:
    """During a push Docker answers with the image alone and frees its layers later."""
    image = an_image("app:1")
    observation = replace(an_observation([image]), has_build_cache=has_cache)
    expectation = Expectation(observation, {}, {image.id: ChainId(DIGEST)})
    request = RemovalRequest(Intent(image.id, "app:1", "app:1", "doc", 0, "text", 1.0, 1), is_last_name=True)
    assert expectation.checked(request, [image.id]).freed.exactness is exactness
    whole = replace(expectation, sizes={ChainId(DIGEST): 5}).checked(request, [image.id, DIGEST])
    assert whole.freed == Freed(5, Exactness.EXACT)


def test_a_top_layer_is_an_images_own_if_no_other_image_has_it() -> None:
    with a_host() as host:
        host.engine.load("base:1", "a")
        app, other = host.engine.load("app:1", "a", "b"), host.engine.load("other:1", "a", "c")
        host.run_pass()
        memory = host.last.decision.memory
    assert own_top_layers(memory) == {image: memory.records[image].tip for image in (app, other)}
