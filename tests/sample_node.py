"""A sample node of any size with memory, policies and history, equal in every run.

The real planner makes the decisions; only the observation and the memory are generated.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.ledger.ledger import Ledger
from controller.daemon.report import StatusReport
from controller.daemon.status import PassResult, Status
from controller.image.image import Container, Image
from controller.image.layers import ChainId, Layer
from controller.image.reference import ImageId, Reference, reference_from_engine
from controller.instant import Instant
from controller.plan.memory.event import EventKind
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import IN_USE, Attempt, Evidence, Memory, Record, Setback, Spending
from controller.plan.memory.observation import Engine, Observation, Store, situation_of
from controller.plan.node.agent import KeptAnswer, NodeAnswer, NodeSource
from controller.plan.node.node import Node
from controller.plan.verdict.decision import Conditions, Decision, decide_again
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.removal import Batch, Exactness, Freed, Intent, Outcome, Removal

NOW = Instant(1_795_253_400.0, "sample", 4_060_000.0)
"""Saturday, 21 November 2026, 09:30 UTC."""
WATCHED_SECONDS = 47 * 86_400.0
DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0

_APPLICATIONS = (
    "registry.local:5000/vision/detector",
    "registry.local:5000/vision/recorder",
    "registry.local:5000/line/gateway",
    "registry.local:5000/line/opc-bridge",
    "openhorizon/ibm.helloworld_amd64",
    "openhorizon/ibm.gps_amd64",
    "acme/telemetry",
    "acme/updater",
    "eclipse-mosquitto",
    "redis",
    "grafana/fluent-bit-plugin-loki",
    "debug/toolbox",
)
POLICIES = {
    "services.yaml": """\
label: Old versions of our services
enabled: true
image_policy:
  removal:
    - {image_name: "registry.local:5000/vision/*:*", delete_after_minutes: 20160, agent_downloaded_only: false}
    - {image_name: "registry.local:5000/line/*:*", delete_after_minutes: 43200, agent_downloaded_only: false}
    - {image_name: "acme/*:*", delete_after_minutes: 10080, agent_downloaded_only: false}
""",
    "agent.yaml": """\
label: What the agent has left behind
enabled: true
image_policy:
  removal:
    - {image_name: "openhorizon/*:*", delete_after_minutes: 1440, agent_downloaded_only: true}
""",
    "spring-cleaning.yaml": """\
label: Third-party images unused for three months
enabled: true
start: 2026-12-01T00:00:00Z
startWindow: 86400
image_policy:
  removal:
    - {image_name: "grafana/*:*", delete_after_minutes: 129600, agent_downloaded_only: false}
    - {image_name: "eclipse-mosquitto:*", delete_after_minutes: 129600, agent_downloaded_only: false}
""",
    "site-lyon.yaml": """\
label: Lyon only
enabled: true
constraints: [site == lyon]
image_policy:
  removal:
    - {image_name: "redis:*", delete_after_minutes: 60, agent_downloaded_only: false}
""",
    "toolbox.yaml": """\
label: The toolbox of the night shift
enabled: false
image_policy:
  removal:
    - {image_name: "debug/*:*", delete_after_minutes: 720, agent_downloaded_only: false}
""",
}
A_BROKEN_POLICY = """\
label: A hurried edit
enabled: true
image_policy:
  removal:
    - {image_name: "redis", delete_after_minutes: 14.5, agent_downloaded_only: no way}
"""


def write_policies(folder: Path, **more: str) -> Path:
    """The policies of the node as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in POLICIES.items():
        (folder / name).write_text(text)
    for name, text in more.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@dataclass(frozen=True, slots=True)
class _Made:
    """One image with its record."""

    image: Image
    record: Record
    layers: tuple[Layer, ...]
    evidence: Evidence | None
    users: tuple[Container, ...]


def memory_of(images: int, now: Instant = NOW, seed: int = 7) -> Memory:
    """The memory of a controller on a node with this number of images."""
    made = list(_made(images, random.Random(seed)))
    containers = tuple(container for each in made for container in each.users)
    engine = Engine("sample", Store.GRAPH_DRIVER, "Docker", "28.5.2", "/")
    clock = LedgerClock(WATCHED_SECONDS, now, now.uptime_seconds - 30 * DAY)
    memory = Memory(
        clock=clock,
        seen=Observation(engine, {each.image.id: each.image for each in made}, containers, now),
        records={each.image.id: each.record for each in made},
        layers={layer.chain: layer for each in made for layer in each.layers},
        evidence={each.image.id: each.evidence for each in made if each.evidence},
        node=KeptAnswer(NodeAnswer(Node(org="factory", id="gateway-12"), "as the node file says", "node.yaml"), 1.0),
        spent=(Spending(clock.seconds - 20 * MINUTE, 412_000_000),),
    )
    return replace(memory, attempts=_attempts(memory))


def _made(count: int, jitter: random.Random) -> Iterator[_Made]:
    per_application = max(1, -(-count // len(_APPLICATIONS)))
    for number in range(count):
        application = _APPLICATIONS[number // per_application]
        version = number % per_application
        yield _one(application, version, per_application - version, jitter)


def _one(application: str, version: int, versions_behind: int, jitter: random.Random) -> _Made:
    name = f"{application}:{1 + version // 20}.{version % 20}"
    identity = ImageId(_hash(name))
    base = Layer(ChainId(_hash(f"base of {application.split('/')[0]}")), None, 74_800_000)
    own = Layer(ChainId(_hash(f"layer of {name}")), base.chain, jitter.randrange(2_000_000, 260_000_000))
    is_newest = versions_behind == 1
    is_hand_made = application.startswith("debug")
    tags: tuple[Reference, ...] = (reference_from_engine(name),)
    digests = (reference_from_engine(f"{application}@{_hash('digest of ' + name)}"),)
    has_lost_its_tag = application == "acme/updater" and version % 5 == 2
    last_used = WATCHED_SECONDS - versions_behind * jitter.uniform(1.5 * DAY, 4.5 * DAY) + 2 * DAY
    last_used = min(max(last_used, 60.0), WATCHED_SECONDS - 4 * MINUTE)
    first_seen = max(1.0, last_used - jitter.uniform(2 * DAY, 20 * DAY))
    origin = EventKind.BUILT if is_hand_made else EventKind.PULLED
    record = Record(
        first_seen=first_seen,
        last_used=IN_USE if is_newest else last_used,
        last_used_by_agent=None,
        last_touched=first_seen + 1,
        touch=origin,
        origin=origin,
        names=tuple(reference.canonical for reference in (*tags, *digests)),
        tip=own.chain,
    )
    image = Image(
        id=identity,
        tags=() if has_lost_its_tag else tags,
        digests=() if is_hand_made or has_lost_its_tag else digests,
        parent=None,
        size_bytes=(base.size_bytes or 0) + (own.size_bytes or 0),
        keep=application == "redis" and version == 0,
    )
    is_of_agent = application.startswith("openhorizon") and version % 3 != 1
    evidence = Evidence(NodeSource.AGENT_CONTAINER, f"container {_service(application)}", first_seen)
    users = (_container(application, identity, is_of_agent),) if is_newest else ()
    return _Made(image, record, (base, own), evidence if is_of_agent else None, users)


def _container(application: str, image: ImageId, is_of_agent: bool) -> Container:
    return Container(
        id=_hash(f"container of {application}").removeprefix("sha256:"),
        name=_service(application),
        image=image,
        state="running",
        agent_service=is_of_agent,
        agent_dev=False,
        mounted_images=(),
        created_from=application,
    )


def _service(application: str) -> str:
    return application.rpartition("/")[2].replace(".", "-")


def _hash(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def _attempts(memory: Memory) -> dict[tuple[ImageId, str], Attempt]:
    """One image that the engine refused to remove."""
    seen = memory.seen
    if seen is None:
        return {}
    for image in seen.images.values():
        if image.tags and image.tags[0].familiar == "acme/telemetry:1.0":
            why = "conflict: unable to remove repository reference (must force): it has dependent child images"
            retry_at = memory.clock.seconds + 21 * MINUTE
            attempt = Attempt(Setback.REFUSED, why, 2, retry_at, situation_of(image, seen))
            return {(image.id, image.tags[0].familiar): attempt}
    return {}


def decision_on(memory: Memory, policies: Path) -> Decision:
    """The planner's decision; the texts are known and stable."""
    reading, conditions = PolicyFolder(policies).read(), Conditions(trust_new_texts=True)
    node = memory.node.answer if memory.node else NodeAnswer()
    early = replace(memory, clock=replace(memory.clock, seconds=memory.clock.seconds - 20 * DAY))
    texts = decide_again(Decision(memory=early, node=node), reading, conditions).memory.texts
    return decide_again(Decision(memory=replace(memory, texts=texts), node=node), reading, conditions)


def status_of(decision: Decision, policies: Path, now: Instant = NOW) -> Status:
    """The status of a pass that ended a few seconds ago."""
    reading = PolicyFolder(policies).read()
    return Status(
        at=now,
        result=PassResult.NOTHING_DUE,
        duration_seconds=0.184,
        decision=decision,
        reading=reading,
        last_success=now,
    )


def history(days: int = 24, now: Instant = NOW, seed: int = 11) -> tuple[tuple[Removal, ...], tuple[Batch, ...]]:
    """The removals of the days before, oldest first, and the measured batches."""
    jitter = random.Random(seed)
    removals = [
        _removal(now.wall_seconds - day * DAY - 40 * MINUTE * (number + 1), jitter)
        for day in range(days, -1, -1)
        for number in range(jitter.choice((0, 1, 1, 2, 3, 5)) if day else 3)
    ]
    removals.sort(key=lambda removal: removal.wall_seconds)
    return tuple(removals), (Batch("a-batch", "services", Freed(311_000_000, Exactness.EXACT)),)


def _removal(wall_seconds: float, jitter: random.Random) -> Removal:
    application = jitter.choice(_APPLICATIONS[:4] + _APPLICATIONS[6:8])
    name = f"{application}:0.{jitter.randrange(1, 60)}"
    size = jitter.randrange(20_000_000, 310_000_000)
    rule = 0 if "vision" in application else 1 if "line" in application else 2
    idle = jitter.uniform(7 * DAY, 31 * DAY)
    intent = Intent(ImageId(_hash(name)), name, name, "services", rule, _hash("text")[7:], idle, size + 74_800_000)
    if jitter.random() < 0.06:
        refusal = "conflict: unable to delete (must be forced): image is being used by stopped container 6f1b2c3d4e5f"
        return Removal(intent, Outcome.REFUSED, Freed(0, Exactness.EXACT), wall_seconds, refusal)
    if jitter.random() < 0.08:
        return Removal(intent, Outcome.REMOVED, Freed(None, Exactness.IN_BATCH), wall_seconds, batch="a-batch")
    return Removal(intent, Outcome.REMOVED, Freed(size, Exactness.EXACT), wall_seconds)


def write_ledger(file: Path, status: Status, removals: Sequence[Removal] = (), batches: Sequence[Batch] = ()) -> Path:
    """The ledger of a controller that published this status."""
    ledger = Ledger(file)
    try:
        ledger.save(status.decision.memory)
        report = StatusReport(status, Terms())
        ledger.report(report.summary, report.rows)
        ledger.record(removals)
        for batch in batches:
            ledger.record((), batch)
    finally:
        ledger.close()
    return file
