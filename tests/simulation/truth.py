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
from controller.plan.node.agent import AgentAnswer
from tests.fake_engine import Row

EPSILON_SECONDS = 1e-3
AN_HOUR_SECONDS = 3600.0
A_ROW_OF_PULLS_ENDS_SECONDS = 600.0
LONGEST_BACKOFF_SECONDS = 1800.0 * 1.2


@dataclass(frozen=True)
class Rule:
    """One rule of a document that was read twice, two seconds apart."""

    pattern: str
    seconds: float
    agent_only: bool


@dataclass(frozen=True)
class Deal:
    """The settings of the controller."""

    store: Store
    resync: float
    settle: float
    by_agent_only: bool
    most_removals: int | None


@dataclass
class Sign:
    """An action that is activity of an image."""

    image: ImageId
    at: Instant
    rows: frozenset[int]
    """The events that report it."""
    name: str
    """The image name in these events; empty if they have the image's ID."""
    by_agent: bool
    is_birth: bool
    is_told: bool = False
    is_taken: bool = False
    """A pass has started since it was reported."""
    watched: float | None = None
    """Its time in observed time; known from the first observation after it."""


@dataclass
class Life:
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
    excused_until: float = 0.0
    """After a refused or failed removal."""


@dataclass
class Look:
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
class Truth:
    """The model of one node."""

    deal: Deal
    watched: float = 1.0
    lives: dict[ImageId, Life] = field(default_factory=dict)
    signs: list[Sign] = field(default_factory=list)
    downloaded: set[ImageId] = field(default_factory=set)
    """Images that the agent may have downloaded."""
    surely_downloaded: set[ImageId] = field(default_factory=set)
    heard: AgentAnswer | None = None
    """The last answer of the agent or the node file."""
    rules: tuple[Rule, ...] = ()
    """Rules that may act."""
    sure_rules: tuple[Rule, ...] = ()
    """Rules that must act."""
    watch_began: float = -1e9
    has_hole: bool = False
    """The event stream was reconnected, and the engine had dropped events meanwhile."""
    has_taken_hole: bool = False
    """A pass has taken the events around the gap."""
    hold_began: dict[str, float] = field(default_factory=dict)
    """Time of the first observation of each agreement without an image."""
    last_pull: float = -1e9
    row_of_pulls_began: float = -1e9
    is_in_row: bool = False
    unknowable: int = 0
    looks: int = 0
    told_rows: list[Row] = field(default_factory=list)
    """Since the start of the last pass."""
    taken_rows: list[Row] = field(default_factory=list)
    """Before the start of the last pass."""
    bore: list[dict[str, set[ImageId]]] = field(default_factory=list)
    """Images by name, at each observation since the one before the last pass."""
    last: Instant | None = None
    identity: str = ""
    away: dict[str, tuple[float, dict[ImageId, Life], set[ImageId]]] = field(default_factory=dict)
    """By engine: when it was left, what was known of its images, and which of them the agent surely downloaded."""

    # ── actions ────────────────────────────────────────────────────────────────────────────────────────────────── ─

    def deed(
        self, image: ImageId, at: Instant, rows: Iterable[Row], name: str = "", *, by_agent: bool = False, birth: bool
    ) -> None:
        """Record activity of an image."""
        numbers = frozenset(row["serial"] for row in rows)
        told = {row["serial"] for row in self.told_rows}
        self.signs.append(Sign(image, at, numbers, name, by_agent, birth, bool(numbers & told)))

    def told(self, row: Row) -> None:
        """The controller receives an event."""
        self.told_rows.append(row)
        for sign in self.signs:
            sign.is_told |= row["serial"] in sign.rows

    def taken(self) -> None:
        """A pass starts; it uses the events so far."""
        self.taken_rows += self.told_rows
        self.told_rows = []
        self.has_taken_hole |= self.has_hole
        self.has_hole = False
        for sign in self.signs:
            sign.is_taken |= sign.is_told

    def forgotten(self) -> None:
        """The controller's process ended before it stored its events."""
        self.told_rows, self.taken_rows = [], []
        self.has_hole = self.has_taken_hole = False
        for sign in self.signs:
            sign.is_told = sign.is_taken = False

    # ── looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, at: Instant, look: Look, imageless: Collection[str], *, opens_pass: bool, is_up: bool) -> None:
        """The controller has observed; `imageless` are the agreements that name no image yet."""
        is_up &= not self.has_taken_hole
        left_at = self.watched
        if self._watch(at, is_up or not opens_pass):
            self.watch_began = self.watched
        if look.identity != self.identity:
            self._change_engine(look.identity, left_at)
        self.bore.append(_bearers(look.images))
        before = self.lives
        self.lives = {image: self._life(image, before.get(image), listed) for image, listed in look.images.items()}
        for image in look.used:  # Hidden images in use remain.
            if image in before:
                self.lives.setdefault(image, before[image])
        self._use(look)
        self._count(before)
        self._touch()
        self.hold_began = {name: self.hold_began.get(name, self.watched) for name in imageless}
        if opens_pass:
            self.taken_rows, self.has_taken_hole = [], False
        if opens_pass and is_up:
            self.bore = self.bore[-2:]
        self.looks += 1

    def _change_engine(self, identity: str, left_at: float) -> None:
        """Its images are as idle as when it was left, and nothing was watched meanwhile."""
        self.away[self.identity] = (left_at, self.lives, self.surely_downloaded)
        since, self.lives, self.surely_downloaded = self.away.pop(identity, (self.watched, {}, set()))
        for life in self.lives.values():
            life.since += self.watched - since
            life.since_agent += self.watched - since
            life.latest += self.watched - since
            life.latest_agent += self.watched - since
            self.watch_began = self.watched
        self.identity = identity

    def _watch(self, at: Instant, stream_stood: bool) -> bool:
        """Advance the observed time; true if there was a gap in observation."""
        last, self.last = self.last, at
        gained, gap = 0.0, not stream_stood
        if last is not None and last.boot == at.boot:
            away = max(at.uptime_seconds - last.uptime_seconds, 0.0)
            gained = min(away, self.deal.resync)
            gap |= away > 2 * self.deal.resync
        elif last is not None:
            gap = True
        self.watched += gained
        for sign in self.signs:
            if sign.watched is None:
                after = at.uptime_seconds - sign.at.uptime_seconds if sign.at.boot == at.boot else 0.0
                sign.watched = self.watched - min(gained, max(after, 0.0))
        return gap

    def _life(self, image: ImageId, before: Life | None, listed: Image) -> Life:
        births = [sign.watched or self.watched for sign in self.signs if sign.image == image and sign.is_birth]
        if before is None:
            born = max(births, default=self.watched)
            before = Life(born, born, self.watched, self.watched, ())
        tags = listed.tags or tuple(name for name in before.names if not name.is_digest)
        digests = listed.digests or tuple(name for name in before.names if name.is_digest)
        before.names = (*tags, *digests)
        return before

    def _use(self, look: Look) -> None:
        perhaps = {*look.perhaps_used, *self.perhaps_named(look.named)}
        for image, life in self.lives.items():
            if life.is_used or life.is_perhaps_used or image in {*look.used, *perhaps, *look.built_upon}:
                life.latest = self.watched
            if image in look.used:
                life.since = self.watched
            if life.is_used_by_agent or life.is_perhaps_used or image in {*look.used_by_agent, *perhaps}:
                life.latest_agent = self.watched
            if image in look.used_by_agent:
                life.since_agent = self.watched
            life.is_used, life.is_used_by_agent = image in look.used, image in look.used_by_agent
            life.is_perhaps_used = image in perhaps

    def perhaps_named(self, names: Collection[str]) -> set[ImageId]:
        """Images that had one of these names recently, also between two observations, as far as known."""
        borne = {image for bore in self.bore for name in names for image in bore.get(name, ())}
        given = {
            row["Actor"]["ID"] for row in self.taken_rows if _plain(row["Actor"]["Attributes"].get("name", "")) in names
        }
        return {*borne, *(image_id(text) for text in given)}

    def _count(self, before: Mapping[ImageId, Life]) -> None:
        """All activity that could be known now counts from its real time."""
        waiting: list[Sign] = []
        for sign in self.signs:
            life = self.lives.get(sign.image)
            if life is None or sign.image not in before:
                continue
            if not sign.is_taken:
                waiting.append(sign)
            elif self._could_be_known(sign):
                life.since = max(life.since, sign.watched or 0.0)
                if sign.by_agent:
                    life.since_agent = max(life.since_agent, sign.watched or 0.0)
            else:
                self.unknowable += 1
        self.signs = [sign for sign in waiting if sign.watched is None or self.watched - sign.watched < 1e6]

    def _could_be_known(self, sign: Sign) -> bool:
        return not sign.name or any(sign.image in bore.get(sign.name, ()) for bore in self.bore)

    def _touch(self) -> None:
        """All activity that an event may have meant may count from now."""
        self._count_pulls()
        untagged = {row["Actor"]["ID"] for row in self.taken_rows if row["Action"] == "untag"}
        for row in self.taken_rows:
            actor, attributes = row["Actor"]["ID"], row["Actor"]["Attributes"]
            texts = {actor, f"sha256:{actor}", attributes.get("name", ""), attributes.get("image", "")}
            meant = {image for text in texts for bore in self.bore for image in bore.get(_plain(text), ())}
            meant |= {image for image in self.lives if image in texts or image.removeprefix("sha256:") in texts}
            if not meant:
                meant = {image for image in self.lives if {image, image.removeprefix("sha256:")} & untagged}
            for image in meant & self.lives.keys():
                self.lives[image].latest = self.watched
                self.lives[image].latest_agent = self.watched

    def _count_pulls(self) -> None:
        goes_on = self.watched - self.last_pull < A_ROW_OF_PULLS_ENDS_SECONDS
        is_pulled = any(row["Action"] == "pull" for row in self.taken_rows)
        if self.is_in_row and goes_on and self.watched - self.row_of_pulls_began >= A_ROW_OF_PULLS_ENDS_SECONDS:
            self.is_in_row = False
        elif is_pulled and not (self.is_in_row and goes_on):
            self.is_in_row, self.row_of_pulls_began = True, self.watched
        if is_pulled:
            self.last_pull = self.watched

    # ── verdicts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def why_not(self, image: ImageId, target: str, listed: Image, in_use: bool) -> str:
        """Why the requested removal is wrong; empty if it is right."""
        life = self.lives.get(image)
        if life is None:
            return "no look has found it"
        if listed.keep:
            return "its label says keep"
        if in_use or life.is_used:
            return "it is in use"
        if any(sign.image == image and sign.is_told and self._could_be_known(sign) for sign in self.signs):
            return "it had recent activity"
        idle, idle_agent = self.watched - life.since, self.watched - life.since_agent
        if idle + EPSILON_SECONDS < self.deal.settle:
            return f"it was wanted {idle:.1f} s ago and has not settled"
        if self.watched - self.watch_began + EPSILON_SECONDS < self.deal.settle:
            return "there was a recent gap in observation"
        if self._is_held(life.since):
            return "a young agreement may need it"
        if self.deal.store is Store.PODMAN and self._pauses():
            return "a pull was seen just now"
        names = _names_for_rules(listed, life, target)
        counted = idle_agent if self.deal.by_agent_only else idle
        covering = [rule for rule in self.rules if any(_covers(rule.pattern, name) for name in names)]
        allowed = [rule for rule in covering if not rule.agent_only or image in self.downloaded]
        if not any(counted + EPSILON_SECONDS >= rule.seconds for rule in allowed):
            return f"it was idle for {counted:.1f} s, and of its rules {covering} none lets it go"
        return ""

    def must_go(self, image: Image, target: str) -> bool:
        """True if a cautious controller has no reason to keep it in this pass, at the observation."""
        life = self.lives[image.id]
        idle = self.watched - life.latest
        if (
            image.keep
            or life.is_used
            or life.is_perhaps_used
            or idle < self.deal.settle
            or self.watched < life.excused_until
        ):
            return False
        if self.watched - self.watch_began < self.deal.settle or self._is_held(self.watched):
            return False
        if self.deal.store is Store.PODMAN and self.watched - self.last_pull < self.deal.settle:
            return False
        counted = self.watched - life.latest_agent if self.deal.by_agent_only else idle
        names = _names_for_rules(image, life, target)
        return any(
            counted - EPSILON_SECONDS >= rule.seconds and (not rule.agent_only or image.id in self.surely_downloaded)
            for rule in self.sure_rules
            if any(_covers(rule.pattern, name) for name in names)
        )

    def _pauses(self) -> bool:
        row_goes_on = self.watched < self.row_of_pulls_began + A_ROW_OF_PULLS_ENDS_SECONDS
        return self.is_in_row and row_goes_on and self.watched < self.last_pull + self.deal.settle

    def _is_held(self, since: float) -> bool:
        young = (began for began in self.hold_began.values() if self.watched - began < AN_HOUR_SECONDS)
        return any(since >= began - EPSILON_SECONDS for began in young)


def _bearers(images: Mapping[ImageId, Image]) -> dict[str, set[ImageId]]:
    bearers: dict[str, set[ImageId]] = {}
    for image in images.values():
        for name in (*image.tags, *image.digests):
            bearers.setdefault(name.familiar, set()).add(image.id)
    return bearers


def _plain(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def _names_for_rules(listed: Image, life: Life, target: str) -> list[Reference | None]:
    own = [name for name in (*listed.tags, *listed.digests) if name.text == target]
    if not own:
        return [None, *life.names]
    lost = [] if listed.tags else [name for name in life.names if name.tag and name.repository == own[0].repository]
    return [*own, *lost]


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
