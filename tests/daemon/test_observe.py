"""One observation: complete or failed, with as few requests as possible."""

from __future__ import annotations

import threading

import pytest

from controller.daemon.observe import Observer
from controller.errors import EngineUnavailable, ImageGone
from controller.image.layers import Layer
from controller.image.reference import ImageId
from controller.plan.memory.memory import Memory
from tests.builders import a_memory, a_record
from tests.fake_engine import FakeEngine, Kind
from tests.fakes import FakeClock


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(FakeClock())


@pytest.fixture
def observer(engine: FakeEngine) -> Observer:
    return Observer(engine, FakeClock(), threading.Event())


def test_the_first_observation_identifies_the_engine(engine: FakeEngine, observer: Observer) -> None:
    observer.observe(1)
    assert engine.calls == ["identify", "images", "containers", "has_build_cache"]


def test_a_later_observation_is_two_requests(engine: FakeEngine, observer: Observer) -> None:
    observer.observe(1)
    engine.calls.clear()
    observer.observe(1)
    assert engine.calls == ["images", "containers"]


@pytest.mark.parametrize("who", ["connection", "stream"])
def test_after_a_new_connection_another_engine_may_answer(engine: FakeEngine, observer: Observer, who: str) -> None:
    observer.observe(1)
    engine.calls.clear()
    engine.generation += who == "connection"
    engine.identity = "another"
    seen = observer.observe(2 if who == "stream" else 1)
    assert engine.calls[0] == "identify"
    assert seen.engine.identity.startswith("another")


def test_the_services_of_a_swarm_manager_are_listed_too(engine: FakeEngine, observer: Observer) -> None:
    engine.services = frozenset({"app:1"})
    assert observer.observe(1).service_images == {"app:1"}


@pytest.mark.parametrize("question", ["identify", "images", "containers"])
def test_an_observation_with_a_failed_request_fails(engine: FakeEngine, observer: Observer, question: str) -> None:
    def fail(asked: str) -> None:
        if asked == question:
            raise EngineUnavailable("no")

    engine.on_call = fail
    with pytest.raises(EngineUnavailable):
        observer.observe(1)


def test_it_is_the_same_engine_until_another_answers(engine: FakeEngine, observer: Observer) -> None:
    seen = observer.observe(1)
    assert observer.is_same_engine(seen)
    engine.identity = "another"
    assert not observer.is_same_engine(seen)


# ── the cache of BuildKit ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_build_cache_is_read_where_a_build_may_have_ended(engine: FakeEngine, observer: Observer) -> None:
    assert not observer.observe(1).has_build_cache
    engine.builder_holds_layers = True
    assert not observer.observe(1).has_build_cache

    engine.load("app:1")

    assert observer.observe(1).has_build_cache


def test_a_build_cache_that_cannot_be_read_may_exist(engine: FakeEngine, observer: Observer) -> None:
    def fail(asked: str) -> None:
        if asked == "has_build_cache":
            raise EngineUnavailable("403: forbidden")

    engine.on_call = fail
    assert observer.observe(1).has_build_cache


def test_a_new_connection_alone_is_no_reason_to_read_the_build_cache(engine: FakeEngine, observer: Observer) -> None:
    """A proxy that hangs up on this request would end every pass."""
    observer.observe(1)
    engine.generation += 1
    engine.calls.clear()
    observer.observe(1)
    assert "has_build_cache" not in engine.calls


def test_podman_has_no_build_cache_to_read() -> None:
    engine = FakeEngine(FakeClock(), Kind.PODMAN)
    assert not Observer(engine, FakeClock(), threading.Event()).observe(1).has_build_cache
    assert "has_build_cache" not in engine.calls


# ── layers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_is_inspected_once(engine: FakeEngine, observer: Observer) -> None:
    image = engine.load("app:1", "one")
    seen = observer.observe(1)
    layers = observer.new_layers(seen, Memory())
    memory = a_memory(seen, {image: a_record(tip=layers[image][-1].chain)})
    assert observer.new_layers(seen, memory) == {}
    assert engine.calls.count("layers") == 1


def test_an_image_that_could_not_be_inspected_is_inspected_next_time(engine: FakeEngine, observer: Observer) -> None:
    engine.load("app:1", "one")
    seen = observer.observe(1)
    errors = [ImageGone("gone"), EngineUnavailable("no")]

    def fail(asked: str) -> None:
        if asked == "layers" and errors:
            raise errors.pop()

    engine.on_call = fail
    assert [len(observer.new_layers(seen, Memory())) for _ in range(3)] == [0, 0, 1]


def test_layers_of_another_engine_are_not_used(engine: FakeEngine, observer: Observer) -> None:
    image = engine.load("app:1", "one")
    memory = a_memory(observer.observe(1), {image: a_record(tip="sha256:known")})
    engine.identity = "another"
    assert set(observer.new_layers(observer.observe(2), memory)) == {image}


def test_a_stopping_controller_inspects_no_more(engine: FakeEngine) -> None:
    stopping = threading.Event()
    observer = Observer(engine, FakeClock(), stopping)
    engine.load("app:1", "one")
    seen = observer.observe(1)
    stopping.set()
    assert observer.new_layers(seen, Memory()) == {}


def test_layers_are_those_that_the_engine_reports(engine: FakeEngine, observer: Observer) -> None:
    image = engine.load("app:1", "one", "two")
    found: dict[ImageId, tuple[Layer, ...]] = dict(observer.new_layers(observer.observe(1), Memory()))
    assert found == {image: engine.layers(image)}
