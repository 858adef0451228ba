"""The lists of `plan` and `get`: columns, selectable fields, and fields that `--watch` compares.

The names of columns are an interface for scripts: `tests/cli/test_get.py` has them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from controller.cli.output.listing import GONE, ListingKind
from controller.cli.output.render import Column
from controller.cli.output.selection import any_text
from controller.plan.report.rows import ListedDocument, ShownReference
from controller.plan.report.words import bounded_bytes
from controller.quantity import bytes_in_words, moment, name_of, seconds_in_words, short_id

if TYPE_CHECKING:
    from controller.adapters.ledger.history import Total
    from controller.plan.report.history import RemovalRow


class NamedImage(Protocol):
    """A row about one reference."""

    @property
    def reference(self) -> str: ...

    @property
    def image(self) -> str: ...


class Ruled(Protocol):
    """A row with the rule that decided it."""

    @property
    def document(self) -> str | None: ...

    @property
    def rule(self) -> int | None: ...


def _when(row: ShownReference) -> str:
    """The time of the removal, as far as it is known."""
    return "now" if row.action == "remove" else moment(row.due_in_seconds)


def _idle(row: ShownReference) -> str:
    return "in use" if row.idle_seconds is None else seconds_in_words(row.idle_seconds)


def _name(row: NamedImage) -> str:
    return name_of(row.reference, row.image)


def _rule(row: Ruled) -> str:
    return f"{row.document}#{row.rule}" if row.document else "-"


def _origin(row: ShownReference) -> str:
    origin = "agent" if row.agent_downloaded else row.origin
    return ", ".join(filter(None, (origin, "local" if row.local else ""))) or "-"


def _why(row: ShownReference) -> str:
    """The evidence; an image that cannot be pulled again is marked."""
    return "; ".join(filter(None, (row.detail, f"local ({row.local})" if row.local else ""))) or "-"


def _soonest(row: ShownReference) -> float | None:
    return float("-inf") if row.action == "remove" else row.due_in_seconds


_VERDICT_COLOURS = {
    "DUE": "yellow",
    "BACKING_OFF": "red",
    "PARENT_NOT_DUE": "cyan",
    "HELD_BACK": "cyan",
    "NOT_IDLE_LONG_ENOUGH": "cyan",
    "NOT_STARTED": "cyan",
    "SETTLING": "cyan",
}
_STATE_COLOURS = {"in_force": "green", "waiting": "cyan", "invalid": "red"}
_OUTCOME_COLOURS = {"refused": "red", "failed": "red", "unexpected": "red"}

NAME: Column[NamedImage] = Column("REFERENCE", _name, names_row=True)
IMAGE: Column[NamedImage] = Column("IMAGE ID", lambda row: short_id(row.image), is_wide=True, names_row=True)
RULE: Column[Ruled] = Column("RULE", _rule)
SIZE: Column[ShownReference] = Column(
    "SIZE", lambda row: bytes_in_words(row.size_bytes), order=lambda row: row.size_bytes or 0
)
FREES: Column[ShownReference] = Column(
    "FREES ALONE",
    lambda row: bounded_bytes(row.frees_alone_bytes, row.frees_alone_bound),
    True,
    lambda row: row.frees_alone_bytes,
)
IDLE: Column[ShownReference] = Column("IDLE", _idle, order=lambda row: row.idle_seconds)
VERDICT: Column[ShownReference] = Column("VERDICT", lambda row: row.verdict, colours=_VERDICT_COLOURS, when_gone=GONE)
WHEN: Column[ShownReference] = Column("REMOVAL", _when, order=_soonest, alias="goes")
WHY: Column[ShownReference] = Column("WHY", _why)
ORIGIN: Column[ShownReference] = Column("ORIGIN", _origin)
LAST_USED: Column[ShownReference] = Column(
    "LAST USED (ABOUT)", lambda row: row.last_used or "never seen in use", is_wide=True
)

POLICY_COLUMNS: tuple[Column[ListedDocument], ...] = (
    Column("NAME", lambda row: row.name, names_row=True),
    Column("STATE", lambda row: row.state, colours=_STATE_COLOURS, when_gone=GONE),
    Column("RULES", lambda row: str(row.rules), order=lambda row: row.rules),
    Column("IN FORCE FROM (ABOUT)", lambda row: row.in_force_from or "-"),
    Column("FILE", lambda row: f"{row.file}:{row.line}", is_wide=True),
    Column("TEXT", lambda row: row.text_hash[:12] or "-", is_wide=True),
    Column("REVISION", lambda row: (row.revision or "-")[:12], is_wide=True),
    Column("WHY", lambda row: row.why),
)


def _freed(row: RemovalRow) -> str:
    """Bytes that a removal freed; in parentheses those of its whole batch."""
    if row.freed_bytes is not None:
        return bytes_in_words(row.freed_bytes)
    if row.batch_freed_bytes is not None:
        return f"({bytes_in_words(row.batch_freed_bytes)} with its batch)"
    return "unknown"


REMOVAL_COLUMNS: tuple[Column[RemovalRow], ...] = (
    Column("AT", lambda row: row.at, names_row=True),
    Column("OUTCOME", lambda row: row.outcome, colours=_OUTCOME_COLOURS, when_gone=GONE),
    NAME,
    IMAGE,
    Column("IDLE", lambda row: seconds_in_words(row.idle_seconds), order=lambda row: row.idle_seconds),
    Column("FREED", _freed, order=lambda row: row.freed_bytes),
    RULE,
    Column("TEXT", lambda row: row.text_hash[:12], is_wide=True),
    Column("MESSAGE", lambda row: row.message or "-"),
)
TOTAL_COLUMNS: tuple[Column[Total], ...] = (
    Column("POLICY", lambda row: row.document, names_row=True),
    Column("OUTCOME", lambda row: row.outcome, colours=_OUTCOME_COLOURS, names_row=True),
    Column("REMOVALS", lambda row: str(row.removals), order=lambda row: row.removals, when_gone=GONE),
    Column("FREED", lambda row: bytes_in_words(row.freed_bytes), order=lambda row: row.freed_bytes),
    Column("WITH UNKNOWN BYTES", lambda row: str(row.unknown), order=lambda row: row.unknown),
)


def _verdicts() -> Iterable[str]:
    from controller.plan.verdict.verdict import Reason  # Needed only with --selector.

    return [reason.value for reason in Reason]


def _states() -> Iterable[str]:
    from controller.plan.scope.in_force import DocumentState

    return [state.value for state in DocumentState]


def _outcomes() -> Iterable[str]:
    from controller.plan.verdict.removal import Outcome

    return [outcome.value for outcome in Outcome]


_OF_REFERENCES = {
    "verdict": _verdicts,
    "action": lambda: ("remove", "wait", "keep"),
    "document": any_text,
    "origin": any_text,
}
_COMPARED = ("verdict", "detail", "document", "rule", "size_bytes", "agent_downloaded")
_REFERENCE = ("reference", "image")
PLAN: ListingKind[ShownReference] = ListingKind(
    (NAME, IMAGE, SIZE, FREES, IDLE, VERDICT, WHEN, RULE, WHY),
    name="reference",
    fields=_OF_REFERENCES,
    compared=_COMPARED,
    key=_REFERENCE,
    state="verdict",
)
IMAGES = replace(PLAN, columns=(NAME, IMAGE, SIZE, IDLE, LAST_USED, ORIGIN, VERDICT, WHEN))
POLICIES = ListingKind(
    POLICY_COLUMNS,
    name="name",
    fields={"state": _states},
    compared=("state", "why", "text_hash", "problems"),
    key=("name", "file"),
    state="state",
)
REMOVALS = ListingKind(
    REMOVAL_COLUMNS,
    name="reference",
    fields={"outcome": _outcomes, "document": any_text},
    compared=("outcome", "freed_bytes"),
    key=("at", "reference", "image"),
    state="outcome",
)
TOTALS = ListingKind(
    TOTAL_COLUMNS,
    name="document",
    fields=REMOVALS.fields,
    compared=("removals", "freed_bytes"),
    key=("document", "outcome"),
    state="removals",
)
