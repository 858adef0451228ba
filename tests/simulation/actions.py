"""Random actions of people, services and the agent on an engine; each is recorded in the model as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from controller.errors import ImageGone, RemovalRefused
from controller.image.image import Container, Image
from controller.image.layers import Layer
from controller.image.reference import ImageId, is_image_id, reference_from_engine
from controller.instant import Clock
from controller.plan.node.agent import AgentAnswer, Agreement, NodeAnswer, NodeSource
from tests.builders import A_NODE
from tests.fake_engine import AGENT_LABELS, DEV_LABELS, FakeEngine, Kind, Row
from tests.fakes import FakeNode
from tests.simulation.model import Model

AGENT = "http://agent"
HUB = "registry.local:5000"
REPOSITORIES = ("app", "team/tool", f"{HUB}/app")
TAGS = ("1", "latest")
CONTENTS = ("a", "b", "c")
KEEP = {"image-controller.keep": "true"}


@dataclass
class Actions:
    """All actors but the controller."""

    random: Random
    clock: Clock
    engine: FakeEngine
    node: FakeNode
    model: Model
    pulled: set[ImageId] = field(default_factory=set)
    """Images that were ever pulled from a registry."""
    mounted: dict[str, set[ImageId]] = field(default_factory=dict)
    """Mounted images by container."""
    recorded: list[str] = field(default_factory=list)
    """Names for `record-download`."""

    def __post_init__(self) -> None:
        self._rows: list[Row] = []
        self._agent_answer, self._answers = AgentAnswer(), True
        self._focus = ""
        self.choose_another_name()
        self.engine.listeners.append(self._rows.append)

    def one(self) -> None:
        """Run one random action."""
        weighted: Sequence[tuple[int, Callable[[], None]]] = (
            (8, self.pull),
            (3, self.pull_by_digest),
            (2, self.load),
            (1, self.import_),
            (3, self.build),
            (3, self.tag),
            (2, self.remove_a_name),
            (6, self.run),
            (7, self.run_briefly),
            (2, self.create_only),
            (2, self.mount),
            (3, self.stop),
            (12, self.remove_a_container),
            (2, self.replace),
            (3, self.agree),
            (3, self.end_an_agreement),
            (3, self.agent_stops_or_resumes),
            (1, self.record_a_download),
        )
        weights, actions = zip(*weighted, strict=True)
        with suppress(ImageGone, RemovalRefused):
            self.random.choices(actions, weights)[0]()

    # ── images come and go ────────────────────────────────────────────────────────────────────────────────────────────

    def pull(self) -> None:
        name, content = self._name(), self.random.choice(CONTENTS)
        self._pull(name, f"{name} {content}", *self._layers(name, content))

    def pull_by_digest(self) -> None:
        name = f"{self.random.choice(REPOSITORIES)}@{self.random.choice(CONTENTS)}"
        self._pull(name, "", *self._layers(name, ""))

    def _pull(self, name: str, content: str, *layers: str) -> None:
        at, first, there = self.clock.now(), len(self._rows), self.engine.images_now()
        image = self.engine.pull(name, *layers, content=content)
        asked = "" if self.engine.kind is Kind.PODMAN else _short(self._rows[-1]["Actor"]["ID"])
        self.model.record(image, at, self._rows[first:], asked, birth=True, is_return=image not in there)
        self.pulled.add(image)

    def load(self) -> None:
        name, labels = self.random.choice((self._name(), "")), self.random.choice(({}, {}, {}, KEEP))
        content = f"loaded {self.random.choice(CONTENTS)}"
        with self._recorded("", birth=True) as concerned:
            concerned.append(self.engine.load(name, *self._layers(name, content), labels=labels, content=content))

    def import_(self) -> None:
        with self._recorded("", birth=True) as concerned:
            concerned.append(self.engine.import_(self._name(), f"imported {self.random.choice(CONTENTS)}"))

    def build(self) -> None:
        base = self._existing()
        with self._recorded("", birth=True) as concerned:
            steps = [f"step {self.random.choice(CONTENTS)}" for _ in range(self.random.randint(1, 2))]
            concerned.append(self.engine.build(self._name(), base, *steps))

    def tag(self) -> None:
        image = self._existing()
        with self._recorded("", birth=False) as concerned:
            concerned.append(self.engine.id_of(image))
            self.engine.tag(image, self._name())

    def remove_a_name(self) -> None:
        self.engine.rmi(self._existing())

    # ── containers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        self._use(lambda image, labels: self.engine.start(self.engine.create(image, labels=labels)))

    def run_briefly(self) -> None:
        self._use(lambda image, labels: self.engine.run_briefly(image, labels=labels))

    def create_only(self) -> None:
        self._use(lambda image, labels: self.engine.create(image, labels=labels))

    def mount(self) -> None:
        mounted = self._existing()
        if is_image_id(mounted):
            return
        image, user = self.engine.id_of(mounted), self._existing()
        with self._recorded("" if is_image_id(user) else _short(user), birth=False) as concerned:
            concerned.append(self.engine.id_of(user))
            container = self.engine.create(user, mounts=mounted)
        self.mounted[container] = {image}

    def stop(self) -> None:
        if running := [each for each in self.engine.containers_now() if each.state == "running"]:
            container = self.random.choice(running)
            with self._recorded(_name_of(container), birth=False, by_agent=_is_of_agent(container)) as concerned:
                concerned.append(container.image)
                self.engine.stop(container.id)

    def remove_a_container(self) -> None:
        if containers := self.engine.containers_now():
            self._remove(self.random.choice(containers))

    def replace(self) -> None:
        """`compose up` after a change: a new container of the same image replaces the old one."""
        if containers := [each for each in self.engine.containers_now() if not each.mounted_images]:
            container = self.random.choice(containers)
            self._remove(container)
            labels = AGENT_LABELS if _is_of_agent(container) else DEV_LABELS if container.agent_dev else {}
            self._use(lambda image, labels: self.engine.run(image, labels=labels), container.created_from, labels)

    def _use(
        self,
        how: Callable[[str, Mapping[str, str]], object],
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        name = name or self._existing()
        labels = labels or self.random.choice(({}, {}, AGENT_LABELS, DEV_LABELS))
        by_agent = labels is AGENT_LABELS
        with self._recorded("" if is_image_id(name) else _short(name), birth=False, by_agent=by_agent) as concerned:
            image = self.engine.id_of(name)
            concerned.append(image)
            how(name, labels)
        if by_agent:
            self.model.downloads([image])

    def _remove(self, container: Container) -> None:
        with self._recorded(_name_of(container), birth=False, by_agent=_is_of_agent(container)) as concerned:
            concerned.append(container.image)
            self.engine.rm(container.id)
        self.mounted.pop(container.id, None)

    # ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def agree(self) -> None:
        """An agreement starts without images, or a started one names its images."""
        agreements = list(self._agent_answer.agreements)
        imageless = [each for each in agreements if not each.images]
        if imageless and self.random.random() < 0.7:
            agreements.remove(imageless[0])
            agreements.append(Agreement(imageless[0].id, (self._name(),)))
        else:
            agreements.append(Agreement(f"agreement {self.random.randrange(10**6)}"))
        self._say(agreements)

    def end_an_agreement(self) -> None:
        agreements = list(self._agent_answer.agreements)
        if agreements:
            agreements.pop(self.random.randrange(len(agreements)))
            self._say(agreements)

    def agent_stops_or_resumes(self) -> None:
        """The agent stops answering, or answers again."""
        if self.node.answer.source:
            self._answers = not self._answers
            self._answer()

    def record_a_download(self) -> None:
        self.recorded.append(self.random.choice((self._name(), self._name().rpartition(":")[0])))

    def _say(self, agreements: Sequence[Agreement]) -> None:
        named = {name: NodeSource.AGREEMENT for each in agreements for name in each.images}
        if self.random.random() < 0.2:
            named[self._name()] = NodeSource.SERVICE
        self._agent_answer = AgentAnswer(tuple(agreements), {**self._agent_answer.named, **named})
        self._answer()

    def _answer(self) -> None:
        if self.node.answer.source:
            says, silence = (
                NodeAnswer(A_NODE, "", AGENT, agent=self._agent_answer, has_agent=True),
                NodeAnswer(None, "", AGENT, is_silence=True, has_agent=True),
            )
            self.node.answer = says if self._answers else silence

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def choose_another_name(self) -> None:
        """The next actions use another name."""
        self._focus = f"{self.random.choice(REPOSITORIES)}:{self.random.choice(TAGS)}"

    def _name(self) -> str:
        if self.random.random() < 0.4:
            self.choose_another_name()
        return self._focus

    def _existing(self) -> str:
        """A name or an ID of an existing image. Raises ImageGone."""
        names = [name for image in self.engine.images_now().values() for name in _texts(image)]
        if not names:
            raise ImageGone("there are no images")
        focus = [name for name in names if _short(name) == self._focus]
        return self.random.choice(focus if focus and self.random.random() < 0.4 else names)

    def _layers(self, name: str, content: str) -> tuple[str, ...]:
        return ("base", *([f"{name} below"] * self.random.randint(0, 1)), f"{name} {content}")

    @contextmanager
    def _recorded(self, name: str, *, birth: bool, by_agent: bool = False) -> Iterator[list[ImageId]]:
        """Record in the model what happens in the block to the image that the block adds to the list."""
        concerned: list[ImageId] = []
        at, first, there = self.clock.now(), len(self._rows), self.engine.images_now()
        yield concerned
        for image in concerned:
            rows, is_return = self._rows[first:], birth and image not in there
            self.model.record(image, at, rows, name, by_agent=by_agent, birth=birth, is_return=is_return)
        self._rows.clear()


def layers_begin_with(layers: Sequence[Layer], others: Sequence[Layer]) -> bool:
    """True if one image is built on another, judged by their layers."""
    return not others or (len(layers) >= len(others) and layers[len(others) - 1].chain == others[-1].chain)


def _texts(image: Image) -> list[str]:
    return [name.text for name in image.removable_references] or [image.id]


def _name_of(container: Container) -> str:
    """The image name in its events; empty if they have an ID."""
    return "" if is_image_id(container.created_from) else _short(container.created_from)


def _short(name: str) -> str:
    return reference_from_engine(name).familiar


def _is_of_agent(container: Container) -> bool:
    return container.agent_service and not container.agent_dev
