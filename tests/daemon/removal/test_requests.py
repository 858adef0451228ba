"""Requests of removals: their order, what stops all of them, and what keeps one image."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import pytest

from controller.daemon.removal.answers import Expectation
from controller.daemon.removal.checks import Checks, Position
from controller.daemon.removal.requests import Execution, RemovalContext, Task, tasks_of, waves_of
from controller.errors import (
    EngineUnavailable,
    EngineUnreachable,
    ImageGone,
    ObservationOutdated,
    RemovalFailed,
    RemovalRefused,
)
from controller.image.layers import merge_layers
from controller.image.reference import ImageId
from controller.plan.memory.observation import Observation
from controller.plan.verdict.removal import FREED_IN_BATCH, NOTHING_FREED, UNKNOWN_BYTES, Exactness, Intent, Outcome
from tests.builders import an_id, an_instant
from tests.fake_engine import FakeEngine, Kind
from tests.fakes import FakeClock, FakeEvents

# ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def an_intent(reference: str, image: ImageId, target: str = "") -> Intent:
    return Intent(image, reference, target or reference, "doc", 0, "text", 1.0, 1)


def a_task(image: str, *children: str) -> Task:
    return Task(an_id(image), (an_intent(image, an_id(image)),), frozenset(map(an_id, children)))


def test_all_names_of_an_image_are_one_task() -> None:
    one, two = an_id("one"), an_id("two")
    intents = [an_intent("a:1", one), an_intent("b:1", two), an_intent("a:2", one)]
    assert [[intent.reference for intent in task.intents] for task in tasks_of(intents, lambda _: ())] == [
        ["a:1", "a:2"],
        ["b:1"],
    ]


def test_children_that_are_kept_do_not_belong_to_a_task() -> None:
    """The planner keeps the parents of kept children; a removed parent waits only for removed children."""
    parent, removed, kept = map(an_id, ("parent", "removed", "kept"))
    children = {parent: [removed, kept]}
    tasks = tasks_of([an_intent("g", removed), an_intent("p", parent)], lambda image: children.get(image, []))
    assert tasks[1].removed_before == {removed}


def test_unrelated_images_are_in_one_wave() -> None:
    assert [len(wave) for wave in waves_of([a_task("a"), a_task("b"), a_task("c")])] == [3]


def test_an_image_is_in_a_later_wave_than_its_children() -> None:
    tasks = [a_task("grandchild"), a_task("other"), a_task("child", "grandchild"), a_task("parent", "child", "other")]
    waves = [[task.image for task in wave] for wave in waves_of(tasks)]
    assert waves == [[an_id("grandchild"), an_id("other")], [an_id("child")], [an_id("parent")]]


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Scene:
    """A fake engine, an observation of it, and removals of all observed images."""

    def __init__(self, kind: Kind = Kind.DEBIAN, parallel: int = 1) -> None:
        self.engine = FakeEngine(FakeClock(), kind)
        self.events = FakeEvents(self.engine)
        self.stopping = threading.Event()
        self.beats = threading.Semaphore(0)
        self._parallel = parallel

    def observe(self) -> Observation:
        images, containers = dict(self.engine.images_now()), tuple(self.engine.containers_now())
        return Observation(self.engine.identify(), images, containers, an_instant())

    def run(
        self, *, before: Callable[[], object] = lambda: None, only: Callable[[Intent], bool] = lambda _: True
    ) -> Execution:
        """Remove every observed name, or only some; `before` happens between the observation and the removal."""
        position = Position(self.events.mark(), self.events.generation, self.engine.generation)
        layers = merge_layers(layer for image in self.engine.images_now() for layer in self.engine.layers_now(image))
        seen = self.observe()
        before()
        self.engine.calls.clear()
        context = RemovalContext(self.engine, self.events, self.stopping, self._beat, self._parallel)
        sizes = {layer.chain: layer.size_bytes for layer in layers.values()}
        execution = Execution(context, Checks(self.engine, self.events, seen, position), Expectation(seen, sizes))
        execution.run(tasks_of(filter(only, _all_of(seen)), seen.removed_before))
        return execution

    def _beat(self) -> None:
        self.beats.release()


def _all_of(seen: Observation) -> list[Intent]:
    names = [(image, name) for image in seen.images.values() for name in image.removable_references or (None,)]
    names.sort(key=lambda pair: pair[0].parent is None)
    return [an_intent(n.familiar if n else i.id, i.id, n.text if n else i.id) for i, n in names]


def outcomes(execution: Execution) -> dict[str, Outcome]:
    return {answer.intent.reference: answer.outcome for answer in execution.answers}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_unused_image_is_removed(scene: Scene) -> None:
    scene.engine.load("app:1")
    assert outcomes(scene.run()) == {"app:1": Outcome.REMOVED}
    assert scene.engine.names == []


def test_the_last_of_several_names_removes_the_image(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    assert list(outcomes(scene.run()).values()) == [Outcome.UNTAGGED, Outcome.REMOVED]


def test_a_container_that_was_created_since_the_observation_keeps_its_image(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    execution = scene.run(before=lambda: scene.engine.create("app:1"))
    assert execution.answers == []
    assert not any(call.startswith("remove") for call in scene.engine.calls)


def test_a_container_without_an_event_keeps_its_image(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    scene.events.loses_events = True
    assert scene.run(before=lambda: scene.engine.create("app:2")).answers == []


def test_containers_are_listed_again_before_one_of_several_names_is_removed(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    scene.engine.tag("app:1", "app:3")
    scene.events.loses_events = True
    _when(scene.engine, "remove app:1", lambda: scene.engine.create("app:2"))
    assert list(outcomes(scene.run())) == ["app:1"]
    assert scene.engine.names == ["app:2", "app:3"]


@pytest.mark.parametrize("action", ["pull", "tag", "create"])
def test_an_image_with_activity_during_the_batch_is_kept(scene: Scene, action: str) -> None:
    scene.engine.load("first:1", content="1")
    scene.engine.load("second:1", content="2")
    actions: dict[str, Callable[[], object]] = {
        "pull": lambda: scene.engine.pull("second:1", content="2"),
        "tag": lambda: scene.engine.tag("second:1", "second:2"),
        "create": lambda: scene.engine.create("second:1"),
    }
    _when(scene.engine, "remove first:1", actions[action])
    assert list(outcomes(scene.run())) == ["first:1"]
    assert scene.engine.has("second:1")


def test_on_podman_a_pull_during_the_batch_stops_the_rest_of_it() -> None:
    """The next pull may share layers with the remaining images, and would fail."""
    scene = Scene(Kind.PODMAN)
    scene.engine.load("first:1", content="1")
    scene.engine.load("second:1", content="2")
    _when(scene.engine, f"remove {scene.engine.names[0]}", lambda: scene.engine.pull("other:1", content="3"))
    assert len(scene.run().answers) == 1


def test_a_container_made_during_the_batch_keeps_what_it_mounts(scene: Scene) -> None:
    """Engines remove a mounted image without an error, and the event names only the container's own image."""
    for name in ("first:1", "second:1", "third:1"):
        scene.engine.load(name, content=name)
    first, second, third = scene.engine.names
    _when(scene.engine, f"remove {first}", lambda: scene.engine.create(third, mounts=second))
    assert list(outcomes(scene.run())) == [first]
    assert scene.engine.names == [second, third]


def test_a_parent_is_not_removed_unless_all_its_children_were(scene: Scene) -> None:
    scene.engine.load("base:1")
    scene.engine.build("app:1", "base:1", "one")
    scene.engine.troubles["app:1"] = deque([RemovalFailed("500: no")])
    assert outcomes(scene.run()) == {"app:1": Outcome.FAILED}
    assert scene.engine.has("base:1")


def test_a_name_that_is_refused_keeps_the_other_names(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    scene.engine.troubles["app:1"] = deque([RemovalRefused("409")])
    assert outcomes(scene.run()) == {"app:1": Outcome.REFUSED}


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (ImageGone("404"), Outcome.GONE),
        (RemovalRefused("409"), Outcome.REFUSED),
        (RemovalFailed("500"), Outcome.FAILED),
    ],
)
def test_one_failed_removal_does_not_stop_the_others(scene: Scene, trouble: Exception, outcome: Outcome) -> None:
    scene.engine.load("a:1", content="1")
    scene.engine.load("b:1", content="2")
    scene.engine.troubles["a:1"] = deque([trouble])
    assert outcomes(scene.run()) == {"a:1": outcome, "b:1": Outcome.REMOVED}


def test_only_a_removal_without_an_answer_is_marked_so(scene: Scene) -> None:
    scene.engine.load("a:1", content="1")
    scene.engine.load("b:1", content="2")
    scene.engine.troubles = {"a:1": deque([RemovalFailed("500")]), "b:1": deque([EngineUnavailable("no answer")])}
    assert [answer.is_unanswered for answer in scene.run().answers] == [False, True]


def test_after_a_removal_without_an_answer_no_other_is_requested(scene: Scene) -> None:
    """The request may still run, and the next one would be sent over a new connection."""
    scene.engine.load("a:1", content="1")
    scene.engine.load("b:1", content="2")
    scene.engine.troubles["a:1"] = deque([EngineUnavailable("no answer in 600 s")])
    execution = scene.run()
    assert outcomes(execution) == {"a:1": Outcome.FAILED}
    assert isinstance(execution.trouble, ObservationOutdated)
    assert scene.engine.has("b:1")


def test_an_engine_that_is_gone_stops_everything(scene: Scene) -> None:
    scene.engine.load("a:1", content="1")
    scene.engine.load("b:1", content="2")
    scene.engine.troubles["a:1"] = deque([EngineUnreachable("no engine")])
    execution = scene.run()
    assert (execution.answers, execution.in_flight) == ([], set())
    assert str(execution.trouble) == "no engine"
    assert scene.engine.has("b:1")


def test_a_bug_is_not_hidden(scene: Scene) -> None:
    scene.engine.load("a:1")
    scene.engine.troubles["a:1"] = deque([ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        scene.run()


# ── by ID ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_with_one_name_is_removed_by_its_id(scene: Scene) -> None:
    image = scene.engine.load("app:1")
    scene.run()
    assert scene.engine.targets == [image]


def test_an_image_with_a_tag_and_a_digest_of_the_same_repository_is_removed_by_its_id(scene: Scene) -> None:
    image = scene.engine.pull("app:1")
    scene.run()
    assert scene.engine.targets == [image]


def test_of_several_names_the_last_is_removed_by_id(scene: Scene) -> None:
    image = scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    scene.run()
    assert scene.engine.targets == ["app:1", image]


def test_a_name_whose_image_keeps_others_is_removed_by_name(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    assert outcomes(scene.run(only=lambda intent: intent.reference == "app:1")) == {"app:1": Outcome.UNTAGGED}
    assert scene.engine.targets == ["app:1"]


@pytest.mark.parametrize("kind", Kind)
def test_a_tag_that_moves_as_the_request_is_sent_keeps_its_new_image(kind: Kind) -> None:
    scene = Scene(kind)
    scene.engine.pull("app:1", content="old")
    _when(scene.engine, "remove app:1", lambda: scene.engine.pull("app:1", content="new"))
    scene.run()
    assert scene.engine.has("app:1")


def test_a_name_that_moved_without_an_event_keeps_its_new_image(scene: Scene) -> None:
    scene.engine.load("app:1", content="old")
    scene.engine.tag("app:1", "app:2")
    scene.engine.load("base:1", content="new")
    scene.events.loses_events = True
    only = lambda intent: intent.reference == "app:1"  # noqa: E731
    assert outcomes(scene.run(before=lambda: scene.engine.tag("base:1", "app:1"), only=only)) == {}
    assert scene.engine.names == ["app:1", "app:2", "base:1"]


# ── interruptions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _connect_again(scene: Scene) -> None:
    scene.events.disconnect()
    scene.events.connect()


interruptions: dict[str, Callable[[Scene], object]] = {
    "the event stream is down": lambda scene: scene.events.disconnect(),
    "the event stream was connected again": _connect_again,
    "the engine was connected again": lambda scene: setattr(scene.engine, "generation", 2),
}


@pytest.mark.parametrize("kind", [Kind.DEBIAN, Kind.D28_C8D, Kind.PODMAN])
@pytest.mark.parametrize("interruption", interruptions)
def test_after_an_interruption_nothing_is_requested(kind: Kind, interruption: str) -> None:
    scene = Scene(kind)
    scene.engine.load("app:1")
    execution = scene.run(before=lambda: interruptions[interruption](scene))
    assert isinstance(execution.trouble, ObservationOutdated)
    assert scene.engine.targets == []


@pytest.mark.parametrize("interruption", interruptions)
def test_an_interruption_ends_a_batch_before_its_next_request(scene: Scene, interruption: str) -> None:
    for number in range(3):
        scene.engine.load(f"app:{number}", content=str(number))
    _when(scene.engine, "remove app:0", lambda: interruptions[interruption](scene))
    execution = scene.run()
    assert outcomes(execution) == {"app:0": Outcome.REMOVED}
    assert isinstance(execution.trouble, ObservationOutdated)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_name_whose_removal_deletes_an_image_with_other_names_is_unexpected(scene: Scene) -> None:
    image = scene.engine.load("app:1")
    scene.engine.tag("app:1", "app:2")
    _when(scene.engine, "remove app:1", lambda: scene.engine.rmi("app:2"))
    execution = scene.run(only=lambda intent: intent.reference == "app:1")
    assert outcomes(execution) == {"app:1": Outcome.UNEXPECTED}
    assert image in execution.answers[0].message


def test_another_known_image_in_the_answer_is_unexpected(scene: Scene) -> None:
    image, other = scene.engine.load("app:1"), scene.engine.load("other:1")
    remove = scene.engine.remove
    scene.engine.remove = lambda target: (*remove(target), other)  # type: ignore[method-assign]
    execution = scene.run(only=lambda intent: intent.image == image)
    assert outcomes(execution) == {"app:1": Outcome.UNEXPECTED}
    assert other in execution.answers[0].message


def test_on_podman_an_unknown_id_in_the_answer_is_an_image_and_unexpected() -> None:
    """One that was pulled after the observation: Podman lists no layers."""
    scene = Scene(Kind.PODMAN)
    scene.engine.load("app:1")
    remove = scene.engine.remove
    scene.engine.remove = lambda target: (*remove(target), an_id("new"))  # type: ignore[method-assign]
    execution = scene.run()
    assert outcomes(execution) == {"app:1": Outcome.UNEXPECTED}
    assert an_id("new") in execution.answers[0].message


def test_an_unknown_id_in_the_answer_makes_the_bytes_unknown(scene: Scene) -> None:
    scene.engine.load("app:1")
    remove = scene.engine.remove
    scene.engine.remove = lambda target: (*remove(target), an_id("a layer"))  # type: ignore[method-assign]
    (answer,) = scene.run().answers
    assert (answer.outcome, answer.freed) == (Outcome.REMOVED, UNKNOWN_BYTES)


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stopping_controller_requests_nothing_more(scene: Scene) -> None:
    for number in range(5):
        scene.engine.load(f"app:{number}", content=str(number))
    _when(scene.engine, "remove app:1", scene.stopping.set)
    assert outcomes(scene.run()) == {"app:0": Outcome.REMOVED, "app:1": Outcome.REMOVED}


def test_a_request_without_an_answer_in_time_is_in_flight(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.daemon.removal.requests.IN_FLIGHT_GETS_SECONDS", 0.01)
    answered = threading.Event()
    scene.engine.load("slow:1", content="1")
    scene.engine.load("next:1", content="2")

    def slow(call: str) -> None:
        if call.startswith("remove"):
            scene.stopping.set()
            assert answered.wait(60)

    scene.engine.on_call = slow
    execution = scene.run()
    assert [intent.reference for intent in execution.in_flight] == ["slow:1"]
    assert execution.answers == []
    answered.set()


def test_a_long_removal_sends_heartbeats(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.daemon.removal.requests._HEARTBEAT_SECONDS", 0.001)
    scene.engine.load("app:1")
    received: list[bool] = []
    _when(scene.engine, "remove app:1", lambda: received.extend(scene.beats.acquire(timeout=60) for _ in range(3)))
    scene.run()
    assert received == [True, True, True]


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_graph_driver_reports_what_each_removal_freed() -> None:
    scene = Scene()
    scene.engine.load("app:1", "base", "one")
    scene.engine.load("app:2", "base", "two")
    before = scene.engine.store_bytes()
    freed = [answer.freed for answer in scene.run().answers]
    assert {each.exactness for each in freed} == {Exactness.EXACT}
    assert sum(each.bytes or 0 for each in freed) == before - scene.engine.store_bytes()


@pytest.mark.parametrize("kind", [Kind.D28_C8D, Kind.PODMAN])
def test_other_stores_report_it_only_for_the_whole_batch(kind: Kind) -> None:
    scene = Scene(kind)
    scene.engine.load("app:1")
    assert [answer.freed for answer in scene.run().answers] == [FREED_IN_BATCH]


def test_podman_reports_a_parent_only_as_untagged() -> None:
    scene = Scene(Kind.PODMAN)
    scene.engine.load("app:1")
    scene.engine.troubles["app:1"] = deque([None])
    assert outcomes(scene.run()) == {"app:1": Outcome.REMOVED}


def test_what_is_refused_frees_nothing(scene: Scene) -> None:
    scene.engine.load("app:1")
    scene.engine.troubles["app:1"] = deque([RemovalRefused("409")])
    assert scene.run().answers[0].freed == NOTHING_FREED


def _when(engine: FakeEngine, call: str, *actions: Callable[[], object]) -> None:
    """Run these functions, one at each such call, before it is answered."""
    left = list(actions)

    def on_call(what: str) -> None:
        if what == call and left:
            left.pop(0)()

    engine.on_call = on_call


# ── how many requests are in flight ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("prunes_parents", "most"), [(False, 3), (True, 1)])
def test_where_images_are_listed_before_each_request_one_is_in_flight(prunes_parents: bool, most: int) -> None:
    """Podman 4.3 answers 500 to a list of images while it removes one."""
    scene = Scene(Kind.PODMAN, parallel=3)
    scene.engine.prunes_parents = prunes_parents
    for number in range(6):
        scene.engine.load(f"app:{number}", content=f"{number}")
    meeting, now, highest, lock = threading.Barrier(most, timeout=10), [0], [0], threading.Lock()

    def remove(what: str) -> None:
        if not what.startswith("remove"):
            return
        with lock:
            now[0] += 1
            highest[0] = max(highest[0], now[0])
        meeting.wait()
        with lock:
            now[0] -= 1

    scene.engine.on_call = remove
    assert set(outcomes(scene.run()).values()) == {Outcome.REMOVED}
    assert highest[0] == most


def test_checks_end_although_a_container_is_created_during_each_list() -> None:
    """Each may mount any image. The next pass continues."""
    scene = Scene()
    scene.engine.load("busy:1")
    scene.engine.create("busy:1")
    scene.engine.load("app:1", content="app")

    def create_another(what: str) -> None:
        if what == "containers" and scene.engine.calls.count("containers") < 100:
            scene.engine.run_briefly("busy:1")

    scene.engine.on_call = create_another
    execution = scene.run(before=lambda: scene.engine.run_briefly("busy:1"), only=lambda it: it.reference == "app:1")
    assert isinstance(execution.trouble, ObservationOutdated)
    assert not [call for call in scene.engine.calls if call.startswith("remove")]
    assert scene.engine.calls.count("containers") <= 20
