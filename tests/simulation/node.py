"""One random node: a host with its controller, failures of both, and the model that checks every request."""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from controller.adapters.ledger.ledger import record_downloads
from controller.daemon.reconcile import PassOptions
from controller.daemon.status import PassResult, Status
from controller.errors import RemovalFailed, RemovalRefused
from controller.image.image import Container, Image
from controller.image.reference import ImageId, is_image_id, reference_from_engine
from controller.image.selector import parse_selector
from controller.plan.memory.disk import DiskMark, ImageDisk, PressureMarks
from controller.plan.memory.event import ReceivedEvents
from controller.plan.memory.idleness import Usage
from controller.plan.memory.observation import Engine
from controller.plan.node.agent import NO_AGENT, NodeAnswer
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits
from controller.plan.verdict.removal import Outcome
from controller.plan.verdict.verdict import Action, Reason, Verdict
from tests.builders import A_NODE, DAY, HOUR, MINUTE
from tests.fake_engine import FakeEngine, Kind, Row
from tests.fakes import FakeDisk, FakeEvents, FakeNode, Plain, a_document, a_removal
from tests.host import Host
from tests.simulation.actions import AGENT, HUB, Actions, layers_begin_with
from tests.simulation.model import LONGEST_BACKOFF_SECONDS, Model, ModelSettings, ObservedState, Rule
from tests.simulation.power import Cut, FragileLedger, PowerCut

_PATTERNS = ("*", "*", "*:*", "app:*", "team/*:*", f"{HUB}/*:*", "app:1", "*/tool:latest")
_MINUTES = (0, 0, 1, 10, 60, 60, 6 * 60, 24 * 60, 7 * 24 * 60)
_PART_OF_LISTS_WITH_A_PULL = 0.05
"""A pull ends while the images are listed, after the pass has taken the events."""
_WITHOUT_EVENTS = (Reason.NO_RULE, Reason.PROTECTED, Reason.IN_USE, Reason.HAS_CHILDREN, Reason.SETTLING)
"""The reasons that are possible without engine events."""
_PROTECTED = ((), (), ("team/*:*",), ("*:latest",))
_DISK_BYTES = 40_000_000
_PRESSURE = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
_YEARS = (0.0, 4_070_908_800.0, 1_800_000_000.0)
"""1970, 2099, 2027."""
_LAST_YEAR = 8_000_000_000.0
"""2223: nanoseconds since 1970 no longer fit into an engine's 64 bits from 2262 on."""


class Violation(AssertionError):
    """The controller did something wrong, or did not do something that it must do."""


@dataclass
class Tally:
    """The totals of a run."""

    seconds: float = 0.0
    passes: int = 0
    failed_passes: int = 0
    events: int = 0
    removals: int = 0
    restarts: int = 0
    power_cuts: int = 0
    reboots: int = 0
    clock_steps: int = 0
    unknowable: int = 0
    """Uses that no event showed unambiguously."""
    nodes: Counter[Kind] = field(default_factory=Counter)
    """Number of nodes by kind of engine."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    def __str__(self) -> str:
        return (
            f"{self.seconds / DAY:,.0f} node-days, {self.events:,} events, {self.passes:,} passes "
            f"({self.failed_passes:,} failed), {self.removals:,} removals; {self.restarts:,} restarts, "
            f"{self.power_cuts:,} power cuts, {self.reboots:,} reboots, {self.clock_steps:,} clock steps; nodes: "
            f"{', '.join(f'{kind} {count}' for kind, count in sorted(self.nodes.items()))}"
        )


class RecordedEvents(FakeEvents):
    """An event stream; the model records which events a pass takes."""

    def __init__(self, engine: FakeEngine, cursor: int, run: str, model: Model) -> None:
        self._model = model
        super().__init__(engine, cursor, run, model.received)

    def connect(self) -> None:
        super().connect()
        self._model.has_hole |= not self.is_complete

    def _hides(self, row: Row) -> bool:
        hides = super()._hides(row)
        self._model.has_hole |= hides
        return hides

    def take(self) -> ReceivedEvents:
        self._model.taken()
        return super().take()


@dataclass
class RecordedNode(FakeNode):
    """The source of the node; the model records the answers that a pass gets."""

    model: Model = None  # type: ignore[assignment]

    def ask(self) -> NodeAnswer:
        answer = super().ask()
        self.model.asks(answer)
        return answer

    def ask_again(self, may_wait: Callable[[], bool]) -> NodeAnswer | None:
        answer = super().ask_again(may_wait)
        if answer is not None:
            self.model.asks(answer, again=True)
        return answer


@dataclass
class RecordedDisk(FakeDisk):
    """A disk; the model records what each measurement shows."""

    model: Model = None  # type: ignore[assignment]

    def measure(self, engine: Engine) -> ImageDisk:
        disk = super().measure(engine)
        if disk.usage is None or disk.usage.used_share <= 0.75:
            self.model.is_under_pressure = False
        elif disk.usage.used_share >= 0.85:
            self.model.is_under_pressure = True
        return disk


@dataclass
class RecordedHost(Host):
    """A host whose ledger may lose power, and whose events are recorded in the model."""

    random: Random = None  # type: ignore[assignment]
    model: Model = None  # type: ignore[assignment]

    def open_ledger(self) -> FragileLedger:
        return FragileLedger(self.ledger_file, self.random)

    def make_disk(self) -> FakeDisk:
        return RecordedDisk(self.engine, model=self.model)

    def listen(self, cursor: int, run: str) -> FakeEvents:
        return RecordedEvents(self.engine, cursor, run, self.model)

    def stop(self) -> None:
        self.events.close()
        if isinstance(self.ledger, FragileLedger):
            self.ledger.close()


class SimulatedNode:
    """Runs random steps. Raises Violation with the history in its message."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.story: list[str] = []
        kind = self.random.choice((*Kind, Kind.PODMAN))
        self._part_of_agent_rules = self.random.choice((0.3, 0.3, 0.8))
        self.tally = Tally(nodes=Counter([kind]))
        conditions = self._conditions()
        self.conditions = ModelSettings(
            kind.store,
            conditions.resync_seconds,
            conditions.terms.settle_seconds,
            conditions.terms.usage is Usage.AGENT,
            conditions.limits.removals_per_pass,
            self._protected,
            conditions.terms.protect_local,
        )
        self.model = Model(self.conditions)
        options = PassOptions(conditions, parallel_removals=1)
        self.host = RecordedHost(
            folder / "ledger.sqlite",
            kind,
            options,
            node=RecordedNode(model=self.model),
            random=self.random,
            model=self.model,
        )
        self.engine, self.clock = self.host.engine, self.host.clock
        self.actions = Actions(self.random, self.clock, self.engine, self.host.node, self.model)
        if self.random.random() < 0.4:
            self.host.node.answer = NodeAnswer(A_NODE, "", AGENT, has_agent=True)
        self.engine.on_call = self._on_call
        self.host.disk.size_bytes = self.random.choice((0, _DISK_BYTES))
        self._is_running = True
        self._interrupts = 0.0
        self._was_interrupted = False
        self._asked: list[str] = []
        self._must_go: list[tuple[ImageId, str]] = []
        self._observed = 0
        self._images: dict[ImageId, Image] = {}
        self._texts_read: dict[tuple[str, str], tuple[int, float]] = {}
        self._perhaps_mounted: dict[str, set[ImageId]] = {}
        self._snapshots: list[Model] = []
        self._stood_last: dict[str, tuple[str, str]] = {}
        self._process = 0
        self._last_call = ""
        self._stream_stood = True
        for _ in range(self.random.randint(1, 6)):
            self.actions.one()
        self._write_documents()

    def _conditions(self) -> Conditions:
        choose = self.random.choice
        usage = choose((Usage.ANY, Usage.ANY, Usage.AGENT))
        self._protected = choose(_PROTECTED)
        patterns = tuple(map(parse_selector, self._protected))
        settle, is_local = choose((600.0, 600.0, 600.0, 60.0, 0.0)), self.random.random() < 0.2
        terms = Terms(settle, usage, patterns, is_local, _PRESSURE if self.random.random() < 0.5 else None)
        limits = Limits(removals_per_pass=choose((None, None, None, 1, 3)))
        return Conditions(terms, limits, choose((300.0, *3 * (HOUR,), *8 * (3 * HOUR,), *8 * (12 * HOUR,))))

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def live(self, days: float) -> Tally:
        """Simulate days of the node's own time."""
        while self.tally.seconds < days * DAY:
            self._something_happens()
            self._elapse(self._pause())
        self.tally.events = self.engine.rows_sent
        self.tally.unknowable = self.model.unknowable
        self.host.stop()
        return self.tally

    def _pause(self) -> float:
        """Seconds to days; often about a settle time or an hour."""
        spans = (
            (0.01, 3),
            (1, 60),
            (60, 1200),
            (600, 7200),
            (600, 7200),
            (3600, 30_000),
            (3600, 30_000),
            (DAY, 3 * DAY),
        )
        return self.random.uniform(*self.random.choice(spans))

    def _something_happens(self) -> None:
        happenings: Sequence[tuple[int, Callable[[], None]]] = (
            (60, self._actions),
            (4, self._write_documents),
            (2, self._cut_pass),
            (2, self._restart),
            (1, self._reboot),
            (2, self._stop_for_long),
            (2, self._set_the_clock),
            (1, self._suspend),
            (2, self._break_the_stream),
            (1, self._lose_events),
            (1, self._repeat_events),
            (1, self._engine_goes_away),
            (1, self._another_engine),
            (2, self._trouble_ahead),
            (1, self._record_downloads),
            (3, self._fill_the_disk),
            (1, self._stop_or_allow_removals),
        )
        weights, actions = zip(*happenings, strict=True)
        action = self.random.choices(actions, weights)[0]
        self.story.append(f"{self.tally.seconds / HOUR:.2f} h: {action.__name__.strip('_')}")
        action()

    def _actions(self) -> None:
        self.actions.choose_another_name()
        for _ in range(self.random.choice((1, 1, 2, 3, 6))):
            self.actions.one()

    def _elapse(self, seconds: float) -> None:
        """Advance the time, with a pass a second after each event, at each deadline, and at each resync."""
        until = self.tally.seconds + seconds
        if self._is_running and self.model.received_rows:
            self._pass_time(1.0)
            self._pass()
        while self._is_running and (left := until - self.tally.seconds) > 0:
            self._pass_time(min(self._until_next_pass(), left))
            self._pass()
        self._pass_time(max(until - self.tally.seconds, 0.0))

    def _until_next_pass(self) -> float:
        wake_at = self.host.last.next_change_at if hasattr(self.host, "last") else None
        if wake_at is None or self.host.last.result is PassResult.FAILED:
            return self.conditions.resync
        return min(self.conditions.resync, max(wake_at - self.clock.now().uptime_seconds, 0.5))

    def _pass_time(self, seconds: float) -> None:
        self.clock.elapse(seconds)
        self.tally.seconds += seconds

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────

    def _write_documents(self) -> None:
        files = self.host.folder.files
        for name in ("a.json", "b.json", "c.json"):
            fate = self.random.random()
            if fate < 0.35:
                files[name] = self._document()
            elif fate < 0.5:
                files.pop(name, None)
            elif fate < 0.55 and name in files:
                files[name] = str(files[name])[:-20]

    def _document(self) -> Plain:
        return a_document(*(self._a_rule() for _ in range(self.random.randint(1, 3))))

    def _a_rule(self) -> Plain:
        optional: dict[str, object] = {}
        minutes = self.random.choice(_MINUTES)
        if self.random.random() < 0.2:
            optional["keep_last"] = self.random.randint(1, 3)
        if self.random.random() < 0.15:
            optional["lost_tag_only"] = True
        if minutes and self.random.random() < 0.3:
            optional["delete_after_minutes_under_pressure"] = self.random.randrange(minutes)
        is_of_agent = self.random.random() < self._part_of_agent_rules
        return a_removal(self.random.choice(_PATTERNS), minutes, is_of_agent, **optional)

    def _cut_pass(self) -> None:
        """The controller is killed, or the power fails, between two writes or within one."""
        if not self._is_running or not isinstance(self.host.ledger, FragileLedger):
            return
        self.host.ledger.cut = Cut(self.random.randrange(4), self.random.random() < 0.5)
        saved = self.host.ledger.saves
        self._snapshots = [copy.deepcopy(self.model)]
        try:
            self._pass()
        except PowerCut:
            self.tally.power_cuts += 1
            saves = self.host.ledger.saves - saved
            self._wind_back(self._snapshots[min(saves, len(self._snapshots) - 1)])
            self.host.events.close()
            self.host.ledger.lose_power()
            if self.random.random() < 0.5:
                self._power_up()
            self._process += 1
            self.host.start()
        else:
            self.host.ledger.cut = None
        self._snapshots = []

    def _wind_back(self, remembered: Model) -> None:
        """Reset the model to the state that the ledger has."""
        for name in remembered.__dataclass_fields__:
            setattr(self.model, name, getattr(remembered, name))
        self.model.forgotten()

    def _restart(self) -> None:
        self.tally.restarts += 1
        self._stop()
        self._start()

    def _stop(self) -> None:
        self.host.stop()
        self.model.forgotten()
        self._is_running = False

    def _start(self) -> None:
        self._process += 1
        self.host.start()
        self._is_running = True
        self._pass()

    def _reboot(self) -> None:
        self._stop()
        self._power_up()
        self._start()

    def _power_up(self) -> None:
        self.tally.reboots += 1
        self.engine.restart()
        self.clock.reboot(self.random.choice((30.0, HOUR, 5 * DAY)), self.random.uniform(5, 300))
        if self.random.random() < 0.5:
            self.clock.set_wall(self.random.choice(_YEARS))

    def _stop_for_long(self) -> None:
        """The controller is stopped for days, while images are used and released."""
        self._stop()
        for _ in range(self.random.randint(0, 5)):
            self._actions()
            self._elapse(self.random.uniform(1, DAY))
        if self.random.random() < 0.3:
            self._pass_time(self.random.uniform(0, 3 * DAY))
        if self.random.random() < 0.3:
            self.engine.restart()
        self.tally.restarts += 1
        self._start()

    def _set_the_clock(self) -> None:
        self.tally.clock_steps += 1
        step = self.random.choice((-50 * 365 * DAY, 50 * 365 * DAY, -HOUR, HOUR, -1.5, 1.5))
        if self.random.random() < 0.4:
            self.clock.set_wall(self.random.choice(_YEARS))
        else:
            self.clock.set_wall(min(max(0.0, self.clock.now().wall_seconds + step), _LAST_YEAR))

    def _suspend(self) -> None:
        self.clock.suspend(self.random.uniform(1, 30 * DAY))

    def _break_the_stream(self) -> None:
        self.host.events.disconnect()
        for _ in range(self.random.randint(0, 3)):
            self._actions()
            self._elapse(self.random.uniform(0.1, HOUR))
        self.host.events.connect()

    def _lose_events(self) -> None:
        """Events are lost without notice."""
        self.host.events.loses_events = True
        self._actions()
        self.host.events.loses_events = False

    def _repeat_events(self) -> None:
        rows = list(self.engine.history)
        self.host.events.deliver(self.random.sample(rows, min(len(rows), 5)))

    def _engine_goes_away(self) -> None:
        self._disconnected(self.random.choice((2.0, 600.0, 5 * HOUR)))
        if self.random.random() < 0.5:
            self.actions.agree()
            self._elapse(1.0)
            self.actions.agent_stops_or_resumes()
        if self.random.random() < 0.5:
            self.engine.restart()
        self._connected()

    def _another_engine(self) -> None:
        """Another data root behind the same socket, and back."""
        self._disconnected(5.0)
        mine = self.engine.identity
        self.engine.identity = "another engine"
        self.engine.generation += 1
        self._connected()
        self._elapse(self.random.choice((1.0, HOUR)))
        self.engine.identity = mine
        self.engine.generation += 1

    def _disconnected(self, seconds: float) -> None:
        self.engine.is_down = True
        self.host.events.disconnect()
        self._elapse(seconds)

    def _connected(self) -> None:
        self.engine.is_down = False
        self.host.events.connect()

    def _trouble_ahead(self) -> None:
        """The next removals of something fail, are refused, or report success without a removal."""
        images = list(self.engine.images_now().values())
        if images:
            image = self.random.choice(images)
            target = self.random.choice([name.text for name in image.removable_references] or [image.id])
            troubles = (RemovalFailed("500: broken"), RemovalRefused("409: no"), None)
            outcomes = self.random.choices(troubles, k=self.random.randint(1, 4))
            self.engine.troubles.setdefault(target, deque()).extend(outcomes)

    def _record_downloads(self) -> None:
        names, self.actions.recorded = self.actions.recorded, []
        record_downloads(self.host.ledger_file, names)
        self.model.recorded |= dict.fromkeys(map(_familiar, names))

    def _fill_the_disk(self) -> None:
        """Other data need more space, or less."""
        self.host.disk.other_bytes = self.random.randrange(_DISK_BYTES)

    def _stop_or_allow_removals(self) -> None:
        self.host.folder.is_stopped = not self.host.folder.is_stopped

    # ── passes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pass(self) -> None:
        if not self._is_running:
            return
        self._observed, self._asked, self._must_go, self._was_interrupted = 0, [], [], False
        self.host.receive_events()
        self._stream_stood = self.host.events.is_up
        self._read_documents()
        self._interrupts = 0.2 if not self._snapshots and self.random.random() < 0.1 else 0.0
        status = self.host.run_pass()
        self.tally.passes += 1
        if status.result is PassResult.FAILED:
            self.tally.failed_passes += 1
            return
        self._check(status)
        self.tally.removals += sum(removal.outcome.is_success for removal in status.removals)

    def _read_documents(self) -> None:
        """The rules that may act, and those that must: texts that were first read at least two seconds ago."""
        may: list[Rule] = []
        must: list[Rule] = []
        now = self.clock.now()
        texts = {}
        for file, content in self.host.folder.files.items():
            if isinstance(content, str):
                continue
            key = (file, str(content))
            process, at = texts[key] = self._texts_read.get(key, (self._process, now.uptime_seconds))
            rules = [_rule(each) for each in content["image_policy"]["removal"]]
            has_stood = process == self._process and now.uptime_seconds - at >= 2.0
            may += rules if has_stood or process != self._process or self._stood_last.get(file) == key else []
            must += rules if has_stood else []
            if has_stood:
                self._stood_last[file] = key
        self._texts_read = texts
        self.model.rules, self.model.sure_rules = tuple(may), () if self.host.folder.is_stopped else tuple(must)

    def _on_call(self, what: str) -> None:
        if what.startswith("remove "):
            self._check_removal(what.removeprefix("remove "))
        was_images = self._last_call == "images"
        if was_images and what == "containers":
            self._images = dict(self.engine.images_now())
        self._last_call = what
        if what == "images" and not self._snapshots and self.random.random() < _PART_OF_LISTS_WITH_A_PULL:
            self._was_interrupted = True
            self.actions.pull()
        # The model's time is that of the lists; this request follows before the controller reads its clock.
        if what != "has_build_cache" and self.random.random() < self._interrupts:
            self._interrupt()
        if was_images and what == "containers" and not self.engine.is_down:
            self._observe()

    def _interrupt(self) -> None:
        self._was_interrupted = True
        kind = self.random.random()
        if kind < 0.6:
            self.actions.one()
        elif kind < 0.8:
            self._set_the_clock()
        else:
            self._pass_time(self.random.uniform(0, 5))

    def _observe(self) -> None:
        """The controller has both lists and reads the clock."""
        self._observed += 1
        containers = self.engine.containers_now()
        used = {container.image for container in containers} | {
            image for container in containers for image in self.actions.mounted.get(container.id, ())
        }
        by_agent = {each.image for each in containers if each.agent_service and not each.agent_dev}
        last_answer = self.model.last_answer or NO_AGENT
        bearers = _bearers(self._images)
        named = {_familiar(name) for agreement in last_answer.agreements for name in agreement.images}
        by_agreement = {image for name in named for image in bearers.get(name, ())}
        observed = ObservedState(
            images=self._images,
            used=used | by_agreement,
            used_by_agent=by_agent | by_agreement,
            perhaps_used=self._perhaps_mounted_by(
                {container.id: container.mounted_images for container in containers}, bearers
            ),
            named=named,
            built_upon=self._built_upon() | self._perhaps_of_a_build(containers),
            identity=self.engine.identity,
        )
        imageless = {agreement.id for agreement in last_answer.agreements if not agreement.images}
        self.model.observe(
            self.clock.now(), observed, imageless, opens_pass=self._observed == 1, is_up=self._stream_stood
        )
        self._downloads(by_agent, bearers)
        if self._snapshots:
            self._snapshots.append(copy.deepcopy(self.model))
        if self._observed == 1:
            self._must_go = [
                (image.id, target)
                for image in self._images.values()
                for target in [name.text for name in image.removable_references] or [image.id]
                if self.model.must_be_removed(image, target) and not self._has_children(image.id)
            ]

    def _perhaps_mounted_by(self, mounts: dict[str, tuple[str, ...]], bearers: dict[str, set[ImageId]]) -> set[ImageId]:
        known = self._perhaps_mounted
        self._perhaps_mounted = {
            container: {
                *known.get(container, self._without_a_tag() if names else ()),
                *(image for name in names for image in bearers.get(_familiar(name), ())),
                *self.model.perhaps_named([_familiar(name) for name in names]),
            }
            for container, names in mounts.items()
        }
        return {image for images in (*known.values(), *self._perhaps_mounted.values()) for image in images}

    def _without_a_tag(self) -> set[ImageId]:
        return {image.id for image in self._images.values() if not image.tags}

    def _built_upon(self) -> set[ImageId]:
        new = [image for image in self._images if image not in self.model.states]
        here = self.engine.images_now()
        layers = {image: self.engine.layers_now(image) for image in self._images if image in here} if new else {}
        return {
            image
            for image in layers
            for other in new
            if other in layers and image != other and layers_begin_with(layers[other], layers[image])
        }

    def _perhaps_of_a_build(self, containers: Iterable[Container]) -> set[ImageId]:
        """New images without a name, and those below them, while a container runs that was created from an ID."""
        is_step = any(each.state != "exited" and is_image_id(each.created_from) for each in containers)
        if not is_step and not any(_starts_from_an_id(row) for row in self.model.taken_rows):
            return set()
        here = self.engine.images_now()
        layers = {image: self.engine.layers_now(image) for image in self._images if image in here}
        nameless = (image for image in layers if not self._images[image].removable_references)
        made = [image for image in nameless if self.model.may_be_of_build(image)]
        return {image for image in layers for other in made if layers_begin_with(layers[other], layers[image])}

    def _downloads(self, by_agent: set[ImageId], bearers: dict[str, set[ImageId]]) -> None:
        self.model.downloads(by_agent)
        self.model.surely_downloaded |= by_agent
        named = {_familiar(name) for name in (self.model.last_answer or NO_AGENT).named}
        active = self.model.active_lately()
        recorded = self.model.recorded_names()
        self.model.downloads({image for name in recorded for image in bearers.get(name, ())})
        self.model.downloaded |= {
            image
            for name in named
            for image in bearers.get(name, ())
            if image in self.actions.pulled
            if image not in self.model.arrived or (name in active and self.model.was_pulled_lately(image))
        }

    def _has_children(self, image: ImageId) -> bool:
        return any(other.parent == image for other in self._images.values())

    # ── what must be so ───────────────────────────────────────────────────────────────────────────────────────────────

    def _check_removal(self, target: str) -> None:
        self._asked.append(target)
        if not self.engine.has(target):
            return
        image = self.engine.id_of(target)
        listed = self.engine.images_now()[image]
        in_use = self.engine.is_used(image) or any(image in mounted for mounted in self.actions.mounted.values())
        if why := self.model.why_not(image, target, listed, in_use):
            self._violated(f"{target} was requested to be removed: {why}", image)
        if self.host.folder.is_stopped:
            self._violated(f"{target} was requested to be removed: removals are stopped", image)
        if self.conditions.protects_local and image not in self.actions.pulled:
            self._violated(f"{target} was requested to be removed: it cannot be pulled again", image)
        if self.model.is_without_agent and image in self._named_by_agent():
            self._violated(f"{target} was requested to be removed: the silent agent once named it", image)
        if self._is_needed_by_agent(listed):
            self._violated(f"{target} was requested to be removed: the agent needs it", image)
        if self.conditions.most_removals is not None and len(self._asked) > self.conditions.most_removals:
            self._violated(f"{len(self._asked)} removals in one pass")

    def _is_needed_by_agent(self, listed: Image) -> bool:
        """True if the last answer names it as in use; the answer may be newer than the observation."""
        needed = {_familiar(name) for name in (self.model.last_answer or NO_AGENT).images_in_use}
        return not needed.isdisjoint(name.familiar for name in (*listed.tags, *listed.digests))

    @property
    def has_agent(self) -> bool:
        return bool(self.host.node.answer.source)

    def _named_by_agent(self) -> set[ImageId]:
        """Images that the agent ever named, by a name of now or a last one."""
        return self._with_a_name_in((self.model.last_answer or NO_AGENT).named)

    def _with_a_name_in(self, names: Iterable[str]) -> set[ImageId]:
        named = {_familiar(name) for name in names}
        return {
            image
            for image, state in self.model.states.items()
            if not named.isdisjoint(name.familiar for name in state.names)
        }

    def _check(self, status: Status) -> None:
        for removal in status.removals:
            if removal.outcome in (Outcome.REFUSED, Outcome.FAILED) and removal.intent.image in self.model.states:
                state = self.model.states[removal.intent.image]
                state.excused_until = self.model.time + LONGEST_BACKOFF_SECONDS
        self._check_verdicts(status)
        if status.trouble or self._was_interrupted:
            return
        if self.conditions.most_removals is not None and not self._is_below_cap(status):
            return
        excused = {image for image, state in self.model.states.items() if state.excused_until > self.model.time}
        if self.model.is_without_agent:
            excused |= self.model.downloaded | self._named_by_agent()
        for image, target in self._must_go:
            if target not in self._asked and image not in excused:
                kept = [verdict for verdict in status.decision.plan.verdicts if verdict.target == target]
                self._violated(f"{target} was not requested to be removed: {kept}", image)

    def _is_below_cap(self, status: Status) -> bool:
        """True if the cap held nothing back. After a failure, the other planned removals may have been skipped."""
        assert self.conditions.most_removals is not None
        has_failed = any(not removal.outcome.is_success for removal in status.removals)
        return len(self._asked) < self.conditions.most_removals and not has_failed

    def _waits_for_others(self, verdict: Verdict) -> bool:
        """True for an image that waits without a time, because engine events or the agent's answer are missing."""
        if self.model.is_blind:
            return verdict.detail.startswith("engine events not available")
        return self.model.is_without_agent and verdict.image in self.model.downloaded | self._named_by_agent()

    def _check_blind(self, verdict: Verdict) -> None:
        """Without engine events every covered image waits without a time (design, section 7)."""
        if verdict.reason not in _WITHOUT_EVENTS or (verdict.reason is Reason.SETTLING and verdict.until is not None):
            self._violated(f"{verdict} without engine events")

    def _check_verdicts(self, status: Status) -> None:
        """Every reference has exactly one verdict, and no image is kept without a reason."""
        seen = status.decision.memory.seen
        assert seen is not None
        expected = sorted(
            (image.id, target)
            for image in seen.images.values()
            for target in [name.text for name in image.removable_references] or [image.id]
        )
        verdicts = status.decision.plan.verdicts
        if sorted((verdict.image, verdict.target) for verdict in verdicts) != expected:
            self._violated("not exactly one verdict for every reference")
        for verdict in verdicts:
            waits = verdict.action is Action.WAIT and verdict.reason not in (Reason.NOT_STARTED, Reason.HELD_BACK)
            if self.model.is_blind:
                self._check_blind(verdict)
            if verdict.until is None and verdict.reason is Reason.SETTLING and self._waits_for_others(verdict):
                continue
            if waits and (verdict.until is None or verdict.until <= status.decision.plan.now):
                self._violated(f"{verdict} waits for nothing")

    def _violated(self, what: str, image: ImageId | None = None) -> None:
        memory = self.host.ledger.load()
        lines = [f"seed {self.seed}, {self.host.kind}, {self.conditions}: {what}"]
        if image:
            lines.append(f"model: {self.model.time:.1f} {self.model.states.get(image)}")
            lines.append(f"ledger: {memory.clock.seconds:.1f} {memory.records.get(image)} {memory.evidence.get(image)}")
        raise Violation("\n  ".join((*lines, "after", *self.story[-12:])))


def _rule(plain: Plain) -> Rule:
    under_pressure = plain.get("delete_after_minutes_under_pressure")
    return Rule(
        plain["image_name"],
        plain["delete_after_minutes"] * MINUTE,
        plain["agent_downloaded_only"],
        plain.get("keep_last", 0),
        plain.get("lost_tag_only", False),
        None if under_pressure is None else under_pressure * MINUTE,
    )


def _bearers(images: dict[ImageId, Image]) -> dict[str, set[ImageId]]:
    bearers: dict[str, set[ImageId]] = {}
    for image in images.values():
        for name in (*image.tags, *image.digests):
            bearers.setdefault(name.familiar, set()).add(image.id)
    return bearers


def _starts_from_an_id(row: Row) -> bool:
    """The event of a new container that was created from the ID of an image."""
    return row["Action"] == "create" and is_image_id(row["Actor"]["Attributes"].get("image", ""))


def _familiar(name: str) -> str:
    reference = reference_from_engine(name)
    return reference.familiar if reference.tag or reference.digest else f"{reference.familiar}:latest"
