"""The rows that the ledger keeps and that commands, the API and the page show.

A `…Row` is a stored row: its times are on the ledger clock, so it changes only if something happens. `shown` makes it a
`Shown…`, a display row: times as seconds from now, and as estimated wall times. The names and the order of the
fields are those of the JSON, which is an interface for scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.report.words import UNKNOWN_DATE, what_keeps, what_removes
from controller.quantity import date
from controller.value import dataclass, types_of

_KEY_PARTS = "\t"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One reference with its verdict and the evidence for it."""

    reference: str
    image: str
    names_remembered: tuple[str, ...]
    size_bytes: int | None
    frees_alone_bytes: int
    verdict: str
    action: str
    detail: str
    document: str | None
    rule: int | None
    until: float | None
    due_at: float | None
    idle_since: float | None
    """None: in use."""
    last_used: float | str | None
    """The text `in use`, or the time of the last use; None: no use was observed."""
    first_seen: float
    last_sign: str | None
    last_sign_at: float | None
    origin: str | None
    local: str | None = field(default=None, kw_only=True)
    """Why the image cannot be pulled again; None if it can."""
    frees_alone_bound: str = field(default="exact", kw_only=True)
    """How `frees_alone_bytes` relates to what is freed: see `ReclaimableRow.bound`."""
    agent_downloaded: str | None

    def shown(self, clock: LedgerClock) -> ShownReference:
        """The row as of the clock's moment."""
        return ShownReference(
            *(self.reference, self.image, self.names_remembered, self.size_bytes, self.frees_alone_bytes),
            *(self.verdict, self.action, self.detail, self.document, self.rule),
            *(seconds_left(self.until, clock), wall_moment(self.until, clock)),
            *(seconds_left(self.due_at, clock), wall_moment(self.due_at, clock)),
            idle_seconds=None if self.idle_since is None else round(clock.seconds - self.idle_since, 1),
            last_used=self._last_use(clock),
            first_seen=wall_moment(self.first_seen, clock),
            last_sign=self.last_sign,
            last_sign_at=wall_moment(self.last_sign_at, clock),
            origin=self.origin,
            local=self.local,
            frees_alone_bound=self.frees_alone_bound,
            agent_downloaded=self.agent_downloaded,
        )

    def _last_use(self, clock: LedgerClock) -> str | None:
        if self.last_used is None or isinstance(self.last_used, str):
            return self.last_used
        return wall_moment(self.last_used, clock) or UNKNOWN_DATE


@dataclass(frozen=True, slots=True)
class ShownReference:
    """A `ReferenceRow` as of one moment."""

    reference: str
    image: str
    names_remembered: tuple[str, ...]
    size_bytes: int | None
    frees_alone_bytes: int
    verdict: str
    action: str
    detail: str
    document: str | None
    rule: int | None
    until_seconds: float | None
    until: str | None
    due_in_seconds: float | None
    due_at: str | None
    idle_seconds: float | None
    last_used: str | None
    first_seen: str | None
    last_sign: str | None
    last_sign_at: str | None
    origin: str | None
    local: str | None
    frees_alone_bound: str
    agent_downloaded: str | None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """The result of one rule for a reference."""

    rule: str
    image_name: str
    delete_after_minutes: int
    agent_downloaded_only: bool
    keep_last: int = field(default=0, kw_only=True)
    lost_tag_only: bool = field(default=False, kw_only=True)
    delete_after_minutes_under_pressure: int | None = field(default=None, kw_only=True)
    says: str
    due_at: float | None
    decides: bool

    def shown(self, clock: LedgerClock) -> ShownFinding:
        """The row as of the clock's moment."""
        left = {"due_in_seconds": seconds_left(self.due_at, clock), "due_at": wall_moment(self.due_at, clock)}
        return ShownFinding(**as_values(self) | left)


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A `FindingRow` as of one moment."""

    rule: str
    image_name: str
    delete_after_minutes: int
    agent_downloaded_only: bool
    keep_last: int = field(default=0, kw_only=True)
    lost_tag_only: bool = field(default=False, kw_only=True)
    delete_after_minutes_under_pressure: int | None = field(default=None, kw_only=True)
    says: str
    due_in_seconds: float | None
    due_at: str | None
    decides: bool


@dataclass(frozen=True, slots=True)
class ExplanationRow:
    """The explanation of a reference, in addition to its `ReferenceRow`."""

    reference: str
    image: str
    names: tuple[str, ...]
    rules: tuple[FindingRow, ...]
    containers: tuple[str, ...]
    children: tuple[str, ...]
    parent: str | None
    setback: str | None

    def shown(self, row: ReferenceRow, clock: LedgerClock) -> ShownExplanation:
        """Both rows of a reference at the time of the clock."""
        reference, rules = row.shown(clock), tuple(rule.shown(clock) for rule in self.rules)
        return ShownExplanation(
            **as_values(reference) | as_values(self) | {"rules": rules},
            what_makes_it_go=what_removes(reference.verdict, reference.until_seconds),
            what_keeps_it=what_keeps(reference.verdict),
        )


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """What an `ExplanationRow` is found by; it is read from the same values in a third of the time."""

    reference: str
    image: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownExplanation(ShownReference):
    """Both rows of a reference at one time."""

    names: tuple[str, ...]
    rules: tuple[ShownFinding, ...]
    containers: tuple[str, ...]
    children: tuple[str, ...]
    parent: str | None
    setback: str | None
    what_makes_it_go: str
    what_keeps_it: str


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One document, and its state on this node."""

    name: str
    label: str
    state: str
    why: str
    rules: int
    in_force_from: float | None
    file: str
    line: int
    text_hash: str
    problems: tuple[str, ...]

    def shown(self, clock: LedgerClock) -> ShownDocument:
        """The row as of the clock's moment."""
        return ShownDocument(**as_values(self) | {"in_force_from": wall_moment(self.in_force_from, clock)})


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """A `DocumentRow` as of one moment."""

    name: str
    label: str
    state: str
    why: str
    rules: int
    in_force_from: str | None
    file: str
    line: int
    text_hash: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedDocument(ShownDocument):
    """A document with the revision at which the folder was delivered."""

    revision: str | None


@dataclass(frozen=True, slots=True)
class FolderRow:
    """The policy folder and its problems."""

    path: str
    lost: str
    stopped: bool = field(default=False, kw_only=True)
    revision: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeRow:
    """The identity of this node, as far as it is known."""

    name: str
    org: str
    id: str
    why: str
    is_degraded: bool
    agent_answer_age_seconds: int | None = None
    """As of the last pass; None without an agent."""


@dataclass(frozen=True, slots=True)
class ReclaimableRow:
    """Bytes that would be freed by removing all that is due, and all that is due or waits; shared layers count once."""

    due_bytes: int
    due_and_waiting_bytes: int
    is_exact: bool
    without_evidence_bytes: int
    """Kept only because there is no evidence that the agent downloaded it."""
    due_local_images: int = 0
    """Due images that cannot be pulled again."""
    due_local_bytes: int = 0
    bound: str = "exact"
    """`exact`, `at least`, `at most` or `about`: how the bytes relate to what is freed."""


@dataclass(frozen=True, slots=True)
class EngineRow:
    """The engine that was observed."""

    product: str
    version: str


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The part of a report that exists once."""

    version: str
    result: str
    degraded: tuple[str, ...]
    dry_run: bool
    engine: EngineRow | None
    images: int
    image_store_bytes: int
    reclaimable: ReclaimableRow
    folder: FolderRow
    node: NodeRow
    disk_pressure: str = ""
    """In words; empty without pressure."""
    image_store_without: str = ""
    """What `image_store_bytes` leaves out, in words."""
    without_events: str = ""
    """Why engine events are not available; empty if they are."""
    information: tuple[str, ...] = ()
    """Patterns that match nothing, and other things that are no trouble."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of the controller that its decisions depend on, for display."""

    name: str
    value: str


# ── moments ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def seconds_left(at: float | None, clock: LedgerClock) -> float | None:
    """Seconds until `at` on the ledger clock; negative if it has passed."""
    return None if at is None else round(at - clock.seconds, 1)


def wall_moment(at: float | None, clock: LedgerClock) -> str | None:
    """The estimated wall time."""
    wall = None if at is None else clock.known_wall_at(at)
    return None if wall is None else date(wall)


# ── keys and values ──────────────────────────────────────────────────────────────────────────────────────────────────


def key_of(name: str, *apart: object) -> str:
    """The key of a row among those of its kind: its name, and values that distinguish rows of one name."""
    return _KEY_PARTS.join((name, *map(str, apart)))


def name_in(key: str) -> str:
    """The name of the row that has this key."""
    return key.partition(_KEY_PARTS)[0]


def as_values(row: Any) -> dict[str, Any]:
    """The fields of a row, for JSON (`json.dumps(…, default=as_values)` does those inside it). Raises TypeError."""
    return {name: getattr(row, name) for name in _names(row.__class__)}


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def row_from(kind: Callable[..., T], values: object) -> T:
    """The row with these values from JSON; unknown fields are ignored. Raises ValueError."""
    if not isinstance(values, Mapping):
        raise ValueError(f"a row is not an object: {values!r:.80}")
    read = {
        name: value if type(value := values[name]) in plain else _read(value, *types)
        for name, plain, types in _types(kind)
        if name in values
    }
    try:
        return kind(**read)
    except TypeError as error:
        raise ValueError(f"a row is incomplete: {error}") from error


Types = tuple[type, ...]


def _read(value: Any, allowed: Types, inner: Types) -> Any:
    if type(value) not in allowed:
        raise ValueError(f"a row has {value!r:.80}")
    if type(value) is list:
        return tuple(_read(each, inner, ()) for each in value) if inner == (str,) else _rows(inner[0], value)
    return row_from(inner[0], value) if type(value) is dict else value


def _rows(kind: Callable[..., T], values: list[object]) -> tuple[T, ...]:
    return tuple(row_from(kind, each) for each in values)


@cache
def _types(kind: type) -> tuple[tuple[str, Types, tuple[Types, Types]], ...]:
    """For each field: the types of values that need no conversion, all that JSON may have, those of its elements."""
    allowed = {name: _allowed(of) for name, of in types_of(kind).items()}
    return tuple((name, tuple(each for each in of[0] if each not in (list, dict)), of) for name, of in allowed.items())


def _allowed(hint: Any) -> tuple[Types, Types]:
    if get_origin(hint) is tuple:
        return (list,), (get_args(hint)[0],)
    kinds = get_args(hint) or (hint,)
    inner = tuple(each for each in kinds if hasattr(each, "__dataclass_fields__"))
    plain = tuple(each for each in kinds if each not in inner)
    return (*plain, *((dict,) if inner else ()), *((int,) if float in plain else ())), inner
