"""A reference model of a simulated node, independent of the controller: the last activity of each image.

Every action is recorded when it happens, for the image that it really affected. The model has two times for each image,
in observed time: the last activity that could be known, which is the earliest start of the idle time, and the latest
start that a cautious controller may use. A removal that is too early by the first, or an image that is kept too long by
the second, is a violation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from controller.image.image import Image
from controller.image.reference import ImageId, Reference, image_id
from controller.instant import Instant
from controller.plan.memory.observation import Store
from controller.plan.node.agent import AgentAnswer, NodeAnswer
from tests.fake_engine import Row

EPSILON_SECONDS = 1e-3
AN_HOUR_SECONDS = 3600.0
A_DAY_SECONDS = 24 * AN_HOUR_SECONDS
PULLS_END_SECONDS = 600.0
LONGEST_BACKOFF_SECONDS = 1800.0 * 1.2


@dataclass(frozen=True)
class Rule:
    """One rule of a document that was read twice, two seconds apart."""

    pattern: str
    seconds: float
    agent_only: bool
    keep_last: int = 0
    lost_tag_only: bool = False
    seconds_under_pressure: float | None = None

    @property
    def is_plain(self) -> bool:
        """True if it has none of the optional fields, which only prevent removals or depend on the disk."""
        return not (self.keep_last or self.lost_tag_only)


@dataclass(frozen=True)
class ModelSettings:
    """The settings of the controller."""

    store: Store
    resync: float
    settle: float
    by_agent_only: bool
    most_removals: int | None
    protected: tuple[str, ...] = ()
    protects_local: bool = False


@dataclass
class ModelActivity:
    """An action that is activity of an image."""

    image: ImageId
    at: Instant
    rows: frozenset[int]
    """The events that report it."""
    name: str
    """The image name in these events; empty if they have the image's ID."""
    by_agent: bool
    is_birth: bool
    is_return: bool = False
    """The engine did not have the image before."""
    is_received: bool = False
    is_taken: bool = False
    """A pass has started since it was reported."""
    time: float | None = None
    """Its time in observed time; known from the first observation after it."""


@dataclass
class ImageState:
    """One image of the engine, at the last observation."""

    since: float
    """The last activity that could be known."""
    since_agent: float
    latest: float
    """The latest start of the idle time for a cautious controller."""
    latest_agent: float
    names: tuple[Reference, ...]
    """Its names; if it lost all tags (or all digests), the last ones."""
    is_used: bool = False
    is_used_by_agent: bool = False
    is_perhaps_used: bool = False
    """An agreement may refer to it by a name that it lost."""
    first_seen: float = 0.0
    """The observation that found it first, or again after it was gone."""
    excused_until: float = 0.0
    """After a refused or failed removal."""


@dataclass
class Heard:
    """The names that the agent needs by its answers in one pass."""

    active: frozenset[str]
    at: float | None = None
    """The time of the first observation after it."""


@dataclass
class ObservedState:
    """The images and uses of one observation."""

    images: Mapping[ImageId, Image]
    used: Collection[ImageId]
    used_by_agent: Collection[ImageId]
    perhaps_used: Collection[ImageId]
    """Used by a name that they lost meanwhile."""
    named: Collection[str]
    """Names in agreements."""
    built_upon: Collection[ImageId]
    identity: str


@dataclass
class EngineState:
    """What was known of an engine when another one answered."""

    left_at: float
    states: dict[ImageId, ImageState]
    downloaded: set[ImageId]
    surely_downloaded: set[ImageId]
    names_seen: list[dict[str, set[ImageId]]]


@dataclass
class Model:
    """The model of one node."""

    conditions: ModelSettings
    time: float = 1.0
    states: dict[ImageId, ImageState] = field(default_factory=dict)
    activities: list[ModelActivity] = field(default_factory=list)
    downloaded: set[ImageId] = field(default_factory=set)
    """Images that the agent may have downloaded."""
    surely_downloaded: set[ImageId] = field(default_factory=set)
    """Images that an agent container used at an observation, and that were not gone since."""
    arrived: set[ImageId] = field(default_factory=set)
    """Images whose arrival the controller surely observed."""
    returning: set[ImageId] = field(default_factory=set)
    """Images that are back, while the events of their return were not taken: the next pass takes them."""
    downloaded_since: set[ImageId] = field(default_factory=set)
    """Images that an agent container used since they are there, or that `record-download` named."""
    pulled_at: dict[ImageId, float] = field(default_factory=dict)
    """The time at which the last pull was observed."""
    heard: list[Heard] = field(default_factory=list)
    """The last two answers of the agent."""
    recorded: dict[str, float | None] = field(default_factory=dict)
    """Names from `record-download`, with the time of the first observation after it."""
    last_answer: AgentAnswer | None = None
    """The last answer of the agent or the node file."""
    is_without_agent: bool = False
    """An agent is configured and did not answer the last question."""
    rules: tuple[Rule, ...] = ()
    """Rules that may act."""
    sure_rules: tuple[Rule, ...] = ()
    """Rules that must act."""
    observing_since: float = -1e9
    """The end of the last gap in observation."""
    cautious_since: float = -1e9
    """The latest end of that gap for a cautious controller."""
    is_blind: bool = False
    """This pass has no engine events, so nothing may be removed."""
    has_hole: bool = False
    """The event stream was reconnected, and the engine had dropped events meanwhile."""
    has_taken_hole: bool = False
    """A pass has taken the events around the gap."""
    is_under_pressure: bool = False
    """By the last measurements of the disk: the start mark was reached, and since then not the stop mark."""
    hold_began: dict[str, float] = field(default_factory=dict)
    """Time of the first observation of each agreement without an image."""
    last_pull: float = -1e9
    series_of_pulls_began: float = -1e9
    is_in_series: bool = False
    unknowable: int = 0
    observations: int = 0
    received_rows: list[Row] = field(default_factory=list)
    """Since the start of the last pass."""
    taken_rows: list[Row] = field(default_factory=list)
    """Before the start of the last pass."""
    names_seen: list[dict[str, set[ImageId]]] = field(default_factory=list)
    """Images by name, at each observation since the one before the last pass."""
    last: Instant | None = None
    identity: str = ""
    away: dict[str, EngineState] = field(default_factory=dict)
    """What was known of each engine when another one answered."""

    # ── actions ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def record(
        self,
        image: ImageId,
        at: Instant,
        rows: Iterable[Row],
        name: str = "",
        *,
        by_agent: bool = False,
        birth: bool,
        is_return: bool = False,
    ) -> None:
        """Record activity of an image."""
        numbers = frozenset(row["serial"] for row in rows)
        received = {row["serial"] for row in self.received_rows}
        self.activities.append(
            ModelActivity(image, at, numbers, name, by_agent, birth, is_return, bool(numbers & received))
        )

    def received(self, row: Row) -> None:
        """The controller receives an event."""
        self.received_rows.append(row)
        for activity in self.activities:
            activity.is_received |= row["serial"] in activity.rows

    def asks(self, answer: NodeAnswer, *, again: bool = False) -> None:
        """A pass reads the node; some read it again before a removal."""
        self.is_without_agent = answer.is_without_agent
        if answer.is_silence:
            return
        self.last_answer, active = answer.agent, frozenset(map(_plain, answer.agent.images_in_use))
        if self.heard and (again or self.heard[-1].at is None):
            self.heard[-1] = Heard(self.heard[-1].active | active, self.heard[-1].at)
        else:
            self.heard = [*self.heard[-1:], Heard(active)]

    def taken(self) -> None:
        """A pass starts; it uses the events so far."""
        self.taken_rows += self.received_rows
        self.received_rows = []
        self.has_taken_hole |= self.has_hole
        self.has_hole = False
        for activity in self.activities:
            activity.is_taken |= activity.is_received

    def forgotten(self) -> None:
        """The controller's process ended before it stored its events."""
        self.received_rows, self.taken_rows = [], []
        self.has_hole = self.has_taken_hole = False
        for activity in self.activities:
            activity.is_received = activity.is_taken = False

    # ── observations ──────────────────────────────────────────────────────────────────────────────────────────────────

    def observe(
        self, at: Instant, observed: ObservedState, imageless: Collection[str], *, opens_pass: bool, is_up: bool
    ) -> None:
        """The controller has observed; `imageless` are the agreements that name no image yet."""
        was_blind = self.is_blind
        if opens_pass:
            self.is_blind = not is_up
        is_up &= not self.has_taken_hole
        left_at = self.time
        if self._watch(at, is_up or not opens_pass):
            self.observing_since = self.cautious_since = self.time
        if was_blind:  # The settle time may start again when events are available again.
            self.cautious_since = self.time
        if observed.identity != self.identity:
            self._change_engine(observed.identity, left_at)
        self.names_seen.append(_bearers(observed.images))
        before = self.states
        self.states = {
            image: self._state(image, before.get(image), listed) for image, listed in observed.images.items()
        }
        for image in observed.used:  # Hidden images in use remain.
            if image in before:
                self.states.setdefault(image, before[image])
        self._use(observed)
        self._end_evidence(before, has_all_events=opens_pass and is_up)
        self.heard = [Heard(each.active, self.time if each.at is None else each.at) for each in self.heard]
        self._count(before)
        self._touch()
        self.hold_began = {name: self.hold_began.get(name, self.time) for name in imageless}
        if opens_pass:
            self.taken_rows, self.has_taken_hole = [], False
        if opens_pass and is_up:
            self.names_seen = self.names_seen[-2:]
        self.observations += 1

    def _change_engine(self, identity: str, left_at: float) -> None:
        """Its images are as idle as when it was left, and nothing was time meanwhile."""
        self.away[self.identity] = EngineState(
            left_at, self.states, self.downloaded, self.surely_downloaded, self.names_seen
        )
        known = self.away.pop(identity, EngineState(self.time, {}, set(), set(), []))
        self.states, self.surely_downloaded = known.states, known.surely_downloaded
        self.names_seen = known.names_seen
        self.returning = set()
        self.downloaded = known.downloaded | self._used_by_agent_meanwhile()
        for state in self.states.values():
            state.since += self.time - known.left_at
            state.since_agent += self.time - known.left_at
            state.latest += self.time - known.left_at
            state.latest_agent += self.time - known.left_at
            state.first_seen += self.time - known.left_at
            self.observing_since = self.cautious_since = self.time
        self.identity = identity

    def _used_by_agent_meanwhile(self) -> set[ImageId]:
        return {activity.image for activity in self.activities if activity.by_agent}

    def _end_evidence(self, before: Mapping[ImageId, ImageState], *, has_all_events: bool) -> None:
        """Evidence ends when an image that was gone is pulled, loaded, built or imported (design, section 6).

        It surely ends if the controller observed both, the return at the latest in the next pass that has all events.
        """
        deleted = {image_id(row["Actor"]["ID"]) for row in self.taken_rows if row["Action"] == "delete"}
        back = {image for image in self.states if image not in before or image in deleted}
        returns = {
            activity.image: activity.time or self.time
            for activity in self.activities
            if activity.is_return and activity.is_taken and self._could_be_known(activity)
        }
        for image in back:
            self.states[image].first_seen = self.time
        self.downloaded_since -= back - self._used_by_agent_meanwhile()
        self.surely_downloaded -= back
        observed = (back | self.returning) & returns.keys() & self.states.keys()
        for image in observed:  # It is first seen again.
            self.states[image].since_agent = max(self.states[image].since_agent, returns[image])
        self.arrived = self.arrived - back | observed
        self.downloaded -= observed - self._used_by_agent_meanwhile() - self.downloaded_since
        self.returning = ((set() if has_all_events else self.returning) | back) - observed

    def downloads(self, images: Collection[ImageId]) -> None:
        """The agent downloaded these images; no arrival ended that."""
        self.downloaded.update(images)
        self.downloaded_since.update(images)

    def _watch(self, at: Instant, stream_stood: bool) -> bool:
        """Advance the observed time; true if there was a gap in observation."""
        last, self.last = self.last, at
        gained, gap = 0.0, not stream_stood
        if last is not None and last.boot == at.boot:
            away = max(at.uptime_seconds - last.uptime_seconds, 0.0)
            gained = min(away, self.conditions.resync)
            gap |= away > 2 * self.conditions.resync
        elif last is not None:
            gap = True
        self.time += gained
        for activity in self.activities:
            if activity.time is None:
                after = at.uptime_seconds - activity.at.uptime_seconds if activity.at.boot == at.boot else 0.0
                activity.time = self.time - min(gained, max(after, 0.0))
        return gap

    def _state(self, image: ImageId, before: ImageState | None, listed: Image) -> ImageState:
        births = [
            activity.time or self.time for activity in self.activities if activity.image == image and activity.is_birth
        ]
        if before is None:
            born = max(births, default=self.time)
            before = ImageState(born, born, self.time, self.time, (), first_seen=self.time)
        tags = listed.tags or tuple(name for name in before.names if not name.is_digest)
        digests = listed.digests or tuple(name for name in before.names if name.is_digest)
        before.names = (*tags, *digests)
        return before

    def active_lately(self) -> frozenset[str]:
        """Names that the agent needed by one of its last two answers."""
        return frozenset(name for each in self.heard for name in each.active)

    def was_pulled_lately(self, image: ImageId) -> bool:
        """True if its last pull was observed at the earlier of the last two answers, or later."""
        since = next((each.at for each in self.heard if each.at is not None), 0.0)
        return self.pulled_at.get(image, 0.0) >= since - EPSILON_SECONDS

    def may_be_of_build(self, image: ImageId) -> bool:
        """True for a new image that never had a name: a build that runs may have made it, for at most a day."""
        state = self.states.get(image)
        return state is None or (not state.names and self.time - state.first_seen < A_DAY_SECONDS)

    def recorded_names(self) -> list[str]:
        """The recorded names that an image may still have, or get by a pull (design, section 6)."""
        self.recorded = {name: self.time if at is None else at for name, at in self.recorded.items()}
        return [name for name, at in self.recorded.items() if at is None or self.time - at <= A_DAY_SECONDS]

    def _use(self, observed: ObservedState) -> None:
        perhaps = {*observed.perhaps_used, *self.perhaps_named(observed.named)}
        for image, state in self.states.items():
            if state.is_used or state.is_perhaps_used or image in {*observed.used, *perhaps, *observed.built_upon}:
                state.latest = self.time
            if image in observed.used:
                state.since = self.time
            if state.is_used_by_agent or state.is_perhaps_used or image in {*observed.used_by_agent, *perhaps}:
                state.latest_agent = self.time
            if image in observed.used_by_agent:
                state.since_agent = self.time
            state.is_used, state.is_used_by_agent = image in observed.used, image in observed.used_by_agent
            state.is_perhaps_used = image in perhaps

    def perhaps_named(self, names: Collection[str]) -> set[ImageId]:
        """Images that had one of these names recently, also between two observations, as far as known."""
        had_names = {image for names_seen in self.names_seen for name in names for image in names_seen.get(name, ())}
        given = {
            row["Actor"]["ID"] for row in self.taken_rows if _plain(row["Actor"]["Attributes"].get("name", "")) in names
        }
        return {*had_names, *(image_id(text) for text in given)}

    def _count(self, before: Mapping[ImageId, ImageState]) -> None:
        """All activity that could be known now counts from its real time."""
        waiting: list[ModelActivity] = []
        for activity in self.activities:
            state = self.states.get(activity.image)
            if state is None or (activity.image not in before and (activity.is_taken or not activity.is_return)):
                continue
            if not activity.is_taken:
                waiting.append(activity)
            elif self._could_be_known(activity):
                state.since = max(state.since, activity.time or 0.0)
                if activity.by_agent:
                    state.since_agent = max(state.since_agent, activity.time or 0.0)
            else:
                self.unknowable += 1
        self.activities = [activity for activity in waiting if activity.time is None or self.time - activity.time < 1e6]

    def _could_be_known(self, activity: ModelActivity) -> bool:
        return not activity.name or any(
            activity.image in names_seen.get(activity.name, ()) for names_seen in self.names_seen
        )

    def _touch(self) -> None:
        """All activity that an event may have meant may count from now."""
        self._count_pulls()
        untagged = {row["Actor"]["ID"] for row in self.taken_rows if row["Action"] == "untag"}
        for row in self.taken_rows:
            actor, attributes = row["Actor"]["ID"], row["Actor"]["Attributes"]
            texts = {actor, f"sha256:{actor}", attributes.get("name", ""), attributes.get("image", "")}
            meant = {image for text in texts for names in self.names_seen for image in names.get(_plain(text), ())}
            meant |= {image for image in self.states if image in texts or image.removeprefix("sha256:") in texts}
            if not meant:
                meant = {image for image in self.states if {image, image.removeprefix("sha256:")} & untagged}
            if row["Action"] == "pull":
                self.pulled_at |= dict.fromkeys(meant, self.time)
            for image in meant & self.states.keys():
                self.states[image].latest = self.time
                self.states[image].latest_agent = self.time

    def _count_pulls(self) -> None:
        continues = self.time - self.last_pull < PULLS_END_SECONDS
        is_pulled = any(row["Action"] == "pull" for row in self.taken_rows)
        if self.is_in_series and continues and self.time - self.series_of_pulls_began >= PULLS_END_SECONDS:
            self.is_in_series = False
        elif is_pulled and not (self.is_in_series and continues):
            self.is_in_series, self.series_of_pulls_began = True, self.time
        if is_pulled:
            self.last_pull = self.time

    # ── verdicts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def why_not(self, image: ImageId, target: str, listed: Image, in_use: bool) -> str:
        """Why the requested removal is wrong; empty if it is right."""
        state = self.states.get(image)
        if state is None:
            return "no observation has found it"
        if listed.keep:
            return "its label says keep"
        if any(_covers(pattern, name) for pattern in self.conditions.protected for name in state.names):
            return "it is protected"
        if in_use or state.is_used:
            return "it is in use"
        if self.is_blind:
            return "engine events are not available"
        if any(
            activity.image == image and activity.is_received and self._could_be_known(activity)
            for activity in self.activities
        ):
            return "it had recent activity"
        idle, idle_agent = self.time - state.since, self.time - state.since_agent
        if idle + EPSILON_SECONDS < self.conditions.settle:
            return f"it was wanted {idle:.1f} s ago and has not settled"
        if self.time - self.observing_since + EPSILON_SECONDS < self.conditions.settle:
            return "there was a recent gap in observation"
        if self._is_held(state.since):
            return "a young agreement may need it"
        if self.conditions.store is Store.PODMAN and self._pauses():
            return "a pull was seen just now"
        names = _names_for_rules(listed, state, target)
        counted = idle_agent if self.conditions.by_agent_only else idle
        covering = [
            rule for rule in self.rules_in_force(self.rules) if any(_covers(rule.pattern, name) for name in names)
        ]
        allowed = [
            rule
            for rule in covering
            if (not rule.agent_only or image in self.downloaded)
            and (not rule.lost_tag_only or _has_lost_tag(listed, state))
            and not self._is_surely_recent(image, rule)
        ]
        if not any(counted + EPSILON_SECONDS >= self._limit(rule) for rule in allowed):
            return f"it was idle for {counted:.1f} s, and of its rules {covering} none lets it go"
        return ""

    def _limit(self, rule: Rule) -> float:
        under_pressure = rule.seconds_under_pressure if self.is_under_pressure else None
        return rule.seconds if under_pressure is None else under_pressure

    def _is_surely_recent(self, image: ImageId, rule: Rule) -> bool:
        """True if the image is one of the most recently used ones that the rule keeps, even if all others were used
        later of which the last use is not certain.
        """
        since, repositories = self._since(image), self._repositories_of(image, rule)
        perhaps_later: dict[str, int] = dict.fromkeys(repositories, 0)
        for other, state in self.states.items():
            if other != image and (state.is_used or state.is_perhaps_used or self._latest(other) >= since - 1.0):
                for repository in repositories & self._repositories_of(other, rule):
                    perhaps_later[repository] += 1
        return any(later < rule.keep_last for later in perhaps_later.values())

    def _repositories_of(self, image: ImageId, rule: Rule) -> set[str]:
        return {name.repository for name in self.states[image].names if _covers(rule.pattern, name)}

    def _since(self, image: ImageId) -> float:
        state = self.states[image]
        return state.since_agent if self.conditions.by_agent_only else state.since

    def _latest(self, image: ImageId) -> float:
        state = self.states[image]
        return state.latest_agent if self.conditions.by_agent_only else state.latest

    def must_be_removed(self, image: Image, target: str) -> bool:
        """True if a cautious controller has no reason to keep it in this pass, at the observation."""
        state = self.states[image.id]
        idle = self.time - state.latest
        if (
            image.keep
            or state.is_used
            or state.is_perhaps_used
            or self.is_blind
            or idle < self.conditions.settle
            or self.time < state.excused_until
            or self.conditions.protects_local
            or any(_covers(pattern, name) for pattern in self.conditions.protected for name in state.names)
        ):
            return False
        if self.time - self.cautious_since < self.conditions.settle:
            return False
        if self._is_held(self.time, AN_HOUR_SECONDS + EPSILON_SECONDS):
            return False
        if self.conditions.store is Store.PODMAN and self.time - self.last_pull < self.conditions.settle:
            return False
        counted = self.time - state.latest_agent if self.conditions.by_agent_only else idle
        names = _names_for_rules(image, state, target)
        return any(
            counted - EPSILON_SECONDS >= rule.seconds
            and rule.is_plain
            and (not rule.agent_only or image.id in self.surely_downloaded)
            for rule in self.rules_in_force(self.sure_rules)
            if any(_covers(rule.pattern, name) for name in names)
        )

    def rules_in_force(self, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """Of these rules, those that may act: none if the node is not known (design, section 4)."""
        return () if self.last_answer is None else rules

    def _pauses(self) -> bool:
        series_continues = self.time < self.series_of_pulls_began + PULLS_END_SECONDS
        return self.is_in_series and series_continues and self.time < self.last_pull + self.conditions.settle

    def _is_held(self, since: float, within: float = AN_HOUR_SECONDS - EPSILON_SECONDS) -> bool:
        young = (began for began in self.hold_began.values() if self.time - began < within)
        return any(since >= began - EPSILON_SECONDS for began in young)


def _bearers(images: Mapping[ImageId, Image]) -> dict[str, set[ImageId]]:
    bearers: dict[str, set[ImageId]] = {}
    for image in images.values():
        for name in (*image.tags, *image.digests):
            bearers.setdefault(name.familiar, set()).add(image.id)
    return bearers


def _plain(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def _names_for_rules(listed: Image, state: ImageState, target: str) -> list[Reference | None]:
    own = [name for name in (*listed.tags, *listed.digests) if name.text == target]
    if not own:
        return [None, *state.names]
    lost = [] if listed.tags else [name for name in state.names if name.tag and name.repository == own[0].repository]
    return [*own, *lost]


def _has_lost_tag(listed: Image, state: ImageState) -> bool:
    return not listed.tags and any(not name.is_digest for name in state.names)


def _covers(pattern: str, name: Reference | None) -> bool:
    """`*`, `repository:tag` or `repository:*`, whose repository may have a wildcard."""
    if pattern == "*":
        return True
    if name is None:
        return False
    repository, _, tag = pattern.rpartition(":")
    if not fnmatchcase(name.familiar_repository, repository):
        return False
    return tag == "*" or (name.tag is not None and fnmatchcase(name.tag, tag))
