"""Runs a story on a host and checks it. Each step of a story is one method here.

Names are written without a registry: all images of a story are in the registry that its engine pulls from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from controller.adapters.ledger.ledger import record_downloads
from controller.errors import EngineUnavailable, RemovalFailed, RemovalRefused
from controller.image.reference import ImageId, reference_from_engine
from controller.plan.node.agent import AgentAnswer, Agreement, NodeAnswer, NodeSource
from controller.plan.verdict.removal import Intent
from controller.plan.verdict.verdict import Verdict
from controller.settings import duration, size
from tests.builders import A_NODE
from tests.fake_engine import AGENT_LABELS, DEV_LABELS, FakeEngine
from tests.fakes import a_document, a_removal
from tests.host import Host
from tests.stories.story import Story

AGENT = "http://agent"
YEARS = {"1970": 0.0, "2027": 1_800_000_000.0, "2099": 4_070_908_800.0}
ONLY_FAKE = {"reboot", "engine away", "engine restarts", "another engine", "the same engine", "events are lost"}
ONLY_FAKE |= {"next removals", "the list fails", "ledger is lost", "disk"}
"""Steps that are not possible on a real engine, or not in reasonable time."""

Labels = Mapping[str, str]
_LABELS: dict[str, Labels] = {"agent": AGENT_LABELS, "hzn dev": DEV_LABELS}


class StoryRunner:
    """One run. Every removal must be in a step `removed`, in its order; there must be no other removal."""

    def __init__(self, host: Host, story: Story) -> None:
        self._host = host
        self._story = story
        self._images: dict[str, ImageId] = {}
        self._containers: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        """Images pulled as `repo@content`, by the name that the engine gave them."""
        self._removed: list[Intent] = []
        self._said = AgentAnswer()

    def run_story(self) -> None:
        for word, value in self._story.moments:
            method = getattr(self, word.replace(" ", "_"))
            method(value) if value is not None else method()
        self.removed([])

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def one_pass(self) -> None:
        """One pass."""
        self._take_down(self._host.run_pass())

    def after(self, span: str) -> None:
        """Advance the time, with a pass whenever one is due."""
        for status in self._host.live(duration(span)):
            self._take_down(status)

    def unwatched(self, span: str) -> None:
        """Advance the time without a pass."""
        self._host.clock.elapse(duration(span))

    def clock(self, year: int) -> None:
        self._host.clock.set_wall(YEARS[str(year)])

    def clock_steps(self, span: str) -> None:
        sign = -1 if span.startswith("-") else 1
        self._host.clock.step_wall(sign * duration(span.removeprefix("-")))

    def suspend(self, span: str) -> None:
        self._host.clock.suspend(duration(span))

    def reboot(self) -> None:
        self._host.reboot()

    def _take_down(self, status: Any) -> None:
        done = [removal for removal in status.removals if removal.outcome.is_success]
        self._removed += [removal.intent for removal in done]

    # ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, what: str | dict[str, Any]) -> None:
        self._came(what, lambda name, content, labels: self._engine.load(name, labels=labels, content=content))

    def pull(self, what: str | dict[str, Any]) -> None:
        self._came(what, lambda name, content, labels: self._engine.pull(name, labels=labels, content=content))

    def import_(self, what: str) -> None:
        self._came(what, lambda name, content, _: self._engine.import_(name, content))

    def build(self, what: dict[str, Any]) -> None:
        """Build `name` on the image `upon`, with `layers` of its own. Each layer but the last is a bare parent; the
        parent of the image is called `parent`.
        """
        layers = [f"{what['name']} {number}" for number in range(what.get("layers", 1))]
        made = self._engine.build(self._full(what["name"]), self._full(what["upon"]), *layers)
        self._images[what["name"]] = made
        if "parent" in what:
            self._images[what["parent"]] = self._engine.port.images()[made].parent

    def tag(self, what: dict[str, str]) -> None:
        """Add a name to an image."""
        for image, name in what.items():
            self._engine.tag(self._text(image), self._full(name))

    def untag(self, name: str) -> None:
        """Another process removes a name."""
        self._engine.rmi(self._text(name))

    def _came(self, what: str | dict[str, Any], how: Any) -> None:
        given = {"name": what} if isinstance(what, str) else what
        labels = {"image-controller.keep": "true"} if given.get("keep") else {}
        name = given.get("name", "")
        image = how(self._full(name) if name else "", str(given.get("content", name or given["as"])), labels)
        self._images[given.get("as", name)] = image
        if "@" in name:
            self._digests[name] = self._engine.port.images()[image].digests[0].text

    # ── containers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, what: dict[str, str]) -> None:
        """Start a container of an image; `by` is its owner."""
        self._made(what, self._engine.run)

    def create(self, what: dict[str, str]) -> None:
        """Create a container without starting it."""
        self._made(what, self._engine.create)

    def run_briefly(self, what: str | dict[str, str]) -> None:
        """Start a container that ends and is removed."""
        image, by = (what, "") if isinstance(what, str) else (what["image"], what["by"])
        self._engine.run_briefly(self._text(image), labels=_LABELS.get(by))

    def stop(self, container: str) -> None:
        self._engine.stop(self._containers[container])

    def start(self, container: str) -> None:
        self._engine.start(self._containers[container])

    def remove(self, container: str) -> None:
        self._engine.rm(self._containers.pop(container))

    def _made(self, what: dict[str, str], how: Any) -> None:
        labels = _LABELS.get(what.get("by", ""))
        for container, image in what.items():
            if container != "by":
                self._containers[container] = how(self._text(image), labels=labels)

    # ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def agent(self, says: str) -> None:
        """The agent `answers`, or is `silent`."""
        answers = {
            "silent": NodeAnswer(None, "no answer", AGENT, is_silence=True, has_agent=True),
            "unconfiguring": NodeAnswer(None, "its state is unconfiguring", AGENT, has_agent=True),
            "answers": NodeAnswer(A_NODE, "", AGENT, agent=self._said, has_agent=True),
        }
        self._host.node.answer = answers[says]

    def agreement(self, what: dict[str, list[str]]) -> None:
        """An agreement starts, or names its images."""
        others = [each for each in self._said.agreements if each.id not in what]
        now = [Agreement(id, tuple(map(self._full, images))) for id, images in what.items()]
        self._says([*others, *now])

    def end_of_agreement(self, id: str) -> None:
        self._says([each for each in self._said.agreements if each.id != id])

    def service(self, image: str) -> None:
        """The agent has a service of this image."""
        named = {**self._said.named, self._full(image): NodeSource.SERVICE}
        self._said = replace(self._said, named=named)
        self.agent("answers")

    def definition(self, image: str) -> None:
        """A service definition of this image becomes active."""
        self._said = replace(self._said, needed=(*self._said.needed, self._full(image)))
        self.service(image)

    def end_of_definition(self, image: str) -> None:
        """The definition is archived."""
        self._said = replace(self._said, needed=tuple(each for each in self._said.needed if each != self._full(image)))
        self.agent("answers")

    def _says(self, agreements: Iterable[Agreement]) -> None:
        agreements = tuple(agreements)
        named = {name: NodeSource.AGREEMENT for each in agreements for name in each.images}
        self._said = replace(self._said, agreements=agreements, named={**self._said.named, **named})
        self.agent("answers")

    def record_download(self, name: str) -> None:
        record_downloads(self._host.ledger_file, [self._full(name)])

    # ── the operator ──────────────────────────────────────────────────────────────────────────────────────────────────

    def policy(self, rules: list[dict[str, Any]]) -> None:
        """Replace the only document; it is in force after two seconds."""
        removals = [self._removal(**rule) for rule in rules]
        self._host.folder.files["policy.json"] = a_document(*removals)

    def _removal(self, image: str, minutes: int, agent_only: bool = False, **optional: object) -> Mapping[str, Any]:
        return a_removal(self._pattern(image), minutes, agent_only, **optional)

    def broken_policy(self) -> None:
        """The document is half-written."""
        self._host.folder.files["policy.json"] = '{"label": "half", "image_policy": {"remo'

    def stop_file(self, is_there: bool) -> None:
        """A file STOP in the policy folder."""
        self._host.folder.is_stopped = is_there

    def no_policy(self) -> None:
        self._host.folder.files.clear()

    def disk(self, what: dict[str, str]) -> None:
        """The disk with the images: its `size`, or none, and how much of it `other` data uses."""
        self._host.disk.size_bytes = size(what.get("size", "0"))
        self._host.disk.other_bytes = size(what.get("other", "0"))

    # ── the controller and the engine ─────────────────────────────────────────────────────────────────────────────────

    def controller_restarts(self) -> None:
        self._host.restart()

    def controller_stops(self) -> None:
        self._host.stop()

    def controller_starts(self) -> None:
        self._host.start()

    def ledger_is_lost(self) -> None:
        self._host.stop()
        self._host.ledger_file.write_bytes(b"no ledger")
        for log in self._host.ledger_file.parent.glob("*-wal"):
            log.unlink()
        self._host.start()

    def engine_away(self, span: str) -> None:
        """The engine's process is stopped for this time; containers end."""
        engine = self._fake
        engine.is_down = True
        self._host.events.disconnect()
        self.after(span)
        engine.is_down = False
        self.engine_restarts()

    def engine_restarts(self) -> None:
        self._host.events.disconnect()
        self._fake.restart()
        self._host.events.connect()

    def another_engine(self) -> None:
        """Another data root, with images of the same IDs, behind the same socket."""
        self._fake.identity = "another"
        self._fake.generation += 1

    def the_same_engine(self) -> None:
        self._fake.identity = "engine"
        self._fake.generation += 1

    def events_are_lost(self, yes: bool) -> None:
        self._host.events.loses_events = yes

    def next_removals(self, what: dict[str, list[str]]) -> None:
        """The next answers to the removal of a name: `refused`, `failed`, or `lies` (success without a removal)."""
        answers = {"refused": RemovalRefused("409: conflict"), "failed": RemovalFailed("500: broken"), "lies": None}
        for name, outcomes in what.items():
            self._fake.troubles[self._text(name)] = deque(answers[outcome] for outcome in outcomes)

    def the_list_fails(self, yes: bool) -> None:
        """The engine answers all requests but the list of containers."""

        def answer(what: str) -> None:
            if yes and what == "containers":
                raise EngineUnavailable("no list")

        self._fake.on_call = answer

    # ── what must be so ───────────────────────────────────────────────────────────────────────────────────────────────

    def expect(self, verdicts: dict[str, str]) -> None:
        """The verdict on each name, or on each name of an image; after a colon, a part of its detail."""
        for name, expected in verdicts.items():
            reason, _, detail = expected.partition(": ")
            given = self._verdicts_on(name)
            assert given, f"{name} has no verdict"
            for verdict in given:
                assert verdict.reason.value == reason, f"{name}: {verdict}"
                assert detail in verdict.detail, f"{name}: {verdict.detail}"

    def removed(self, names: list[str]) -> None:
        """Exactly these were removed since the last such step, in this order."""
        removed, self._removed = self._removed, []
        are_these = len(removed) == len(names) and all(map(self._is_of, removed, names))
        assert are_these, [intent.reference for intent in removed]

    def here(self, names: list[str]) -> None:
        missing = [name for name in names if self._shown(name) not in self._engine.names]
        assert not missing, f"{missing} are not among {self._engine.names}"

    def asked(self, what: dict[str, int]) -> None:
        """The number of removal requests since the last such step."""
        calls = [call.removeprefix("remove ") for call in self._engine.calls if call.startswith("remove ")]
        assert {name: calls.count(self._text(name)) for name in what} == what
        self._engine.calls.clear()

    def degraded(self, text: str) -> None:
        assert any(text in trouble for trouble in self._host.last.degraded), self._host.last.degraded

    def _is_of(self, intent: Intent, name: str) -> bool:
        """An image that lost its tag is removed by its digest or by its ID, depending on the store."""
        return self._shown(name) == (intent.reference if _is_name(name) else intent.image)

    def _verdicts_on(self, name: str) -> list[Verdict]:
        verdicts = self._host.last.decision.plan.verdicts
        by_name = [verdict for verdict in verdicts if verdict.reference == self._shown(name)]
        return by_name or [verdict for verdict in verdicts if verdict.image == self._images.get(name)]

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _engine(self) -> Any:
        return self._host.engine

    @property
    def _fake(self) -> FakeEngine:
        assert isinstance(self._host.engine, FakeEngine)
        return self._host.engine

    def _full(self, name: str) -> str:
        return self._digests.get(name, f"{self._engine.hub}/{name}")

    def _pattern(self, pattern: str) -> str:
        return pattern if pattern == "*" else self._full(pattern)

    def _text(self, name: str) -> str:
        """The name for the engine, or the ID of an image with an alias."""
        return self._full(name) if _is_name(name) else self._images[name]

    def _shown(self, name: str) -> str:
        return reference_from_engine(self._text(name)).familiar if _is_name(name) else self._images[name]


def _is_name(text: str) -> bool:
    """True for a name; false for an alias of a story."""
    return ":" in text or "@" in text
