"""Which lists there are: their columns, how values are put into words, what they are selected and watched by.

The names of columns are promised to scripts: `tests/cli/test_get.py` has them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from controller.cli.output.listing import ListingKind
from controller.cli.output.render import Column, Values
from controller.cli.output.selection import any_text
from controller.quantity import bytes_in_words, seconds_in_words


def moment(seconds: float | None) -> str:
    """`in 12m 5s`, or `-` if there is no such moment."""
    return "-" if seconds is None else f"in {seconds_in_words(seconds)}" if seconds > 0 else "now"


def _when(row: Values) -> str:
    """When the reference goes, as far as that is known."""
    return "now" if row["action"] == "remove" else moment(row["due_in_seconds"])


def _idle(row: Values) -> str:
    return "in use" if row["idle_seconds"] is None else seconds_in_words(row["idle_seconds"])


def _rule(row: Values) -> str:
    return f"{row['document']}#{row['rule']}" if row["document"] else "-"


def short_id(image: str) -> str:
    """As `docker images` prints it."""
    return image.removeprefix("sha256:")[:12]


def _name(row: Values) -> str:
    reference = str(row["reference"])
    return f"<none> {short_id(reference)}" if reference == row["image"] else reference


def _soonest(row: Values) -> Any:
    return float("-inf") if row["action"] == "remove" else row["due_in_seconds"]


_VERDICT_COLOURS = {
    "DUE": "yellow",
    "BACKING_OFF": "red",
    "HELD_BACK": "cyan",
    "NOT_IDLE_LONG_ENOUGH": "cyan",
    "NOT_STARTED": "cyan",
    "SETTLING": "cyan",
}
_STATE_COLOURS = {"in_force": "green", "waiting": "cyan", "invalid": "red"}
_OUTCOME_COLOURS = {"refused": "red", "failed": "red", "unexpected": "red"}

NAME = Column("REFERENCE", _name)
IMAGE = Column("IMAGE ID", lambda row: short_id(row["image"]), is_wide=True)
SIZE = Column("SIZE", lambda row: bytes_in_words(row["size_bytes"]), order=lambda row: row["size_bytes"] or 0)
FREES = Column(
    "FREES ALONE", lambda row: bytes_in_words(row["frees_alone_bytes"]), True, lambda row: row["frees_alone_bytes"]
)
IDLE = Column("IDLE", _idle, order=lambda row: row["idle_seconds"])
VERDICT = Column("VERDICT", lambda row: row["verdict"], colours=_VERDICT_COLOURS)
WHEN = Column("GOES", _when, order=_soonest)
RULE = Column("RULE", _rule)
WHY = Column("WHY", lambda row: row["detail"] or "-")
ORIGIN = Column("ORIGIN", lambda row: "agent" if row["agent_downloaded"] else row["origin"] or "-")
LAST_USED = Column("LAST USED (ABOUT)", lambda row: row["last_used"] or "never seen in use", is_wide=True)

POLICY_COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("STATE", lambda row: row["state"], colours=_STATE_COLOURS),
    Column("RULES", lambda row: str(row["rules"]), order=lambda row: row["rules"]),
    Column("IN FORCE FROM (ABOUT)", lambda row: row["in_force_from"] or "-"),
    Column("FILE", lambda row: f"{row['file']}:{row['line']}", is_wide=True),
    Column("TEXT", lambda row: row["text_hash"][:12] or "-", is_wide=True),
    Column("REVISION", lambda row: (row["revision"] or "-")[:12], is_wide=True),
    Column("WHY", lambda row: row["why"]),
)


def _freed(row: Values) -> str:
    """Bytes that a removal freed; those of a batch stand once for all its removals, in parentheses."""
    if row["freed_bytes"] is not None:
        return bytes_in_words(row["freed_bytes"])
    if row["batch_freed_bytes"] is not None:
        return f"({bytes_in_words(row['batch_freed_bytes'])} with its batch)"
    return "unknown"


REMOVAL_COLUMNS = (
    Column("AT", lambda row: row["at"]),
    Column("OUTCOME", lambda row: row["outcome"], colours=_OUTCOME_COLOURS),
    NAME,
    IMAGE,
    Column("IDLE", lambda row: seconds_in_words(row["idle_seconds"]), order=lambda row: row["idle_seconds"]),
    Column("FREED", _freed, order=lambda row: row["freed_bytes"]),
    RULE,
    Column("TEXT", lambda row: row["text_hash"][:12], is_wide=True),
    Column("MESSAGE", lambda row: row["message"] or "-"),
)
TOTAL_COLUMNS = (
    Column("POLICY", lambda row: row["document"]),
    Column("OUTCOME", lambda row: row["outcome"], colours=_OUTCOME_COLOURS),
    Column("REMOVALS", lambda row: str(row["removals"]), order=lambda row: row["removals"]),
    Column("FREED", lambda row: bytes_in_words(row["freed_bytes"]), order=lambda row: row["freed_bytes"]),
    Column("WITH UNKNOWN BYTES", lambda row: str(row["unknown"]), order=lambda row: row["unknown"]),
)


def _verdicts() -> Iterable[str]:
    from controller.plan.verdict.verdict import Reason  # Only who selects needs them.

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
_TELLING = ("verdict", "detail", "document", "rule", "size_bytes", "agent_downloaded")
_REFERENCE = ("reference", "image")
PLAN = ListingKind(
    (NAME, IMAGE, SIZE, FREES, IDLE, VERDICT, WHEN, RULE, WHY),
    name="reference",
    fields=_OF_REFERENCES,
    tells=_TELLING,
    key=_REFERENCE,
    state="verdict",
)
IMAGES = replace(PLAN, columns=(NAME, IMAGE, SIZE, IDLE, LAST_USED, ORIGIN, VERDICT, WHEN))
POLICIES = ListingKind(
    POLICY_COLUMNS,
    name="name",
    fields={"state": _states},
    tells=("state", "why", "text_hash", "problems"),
    key=("name", "file"),
    state="state",
)
REMOVALS = ListingKind(
    REMOVAL_COLUMNS,
    name="reference",
    fields={"outcome": _outcomes, "document": any_text},
    tells=("outcome", "freed_bytes"),
    key=("at", "reference", "image"),
    state="outcome",
)
TOTALS = ListingKind(
    TOTAL_COLUMNS,
    name="document",
    fields=REMOVALS.fields,
    tells=("removals", "freed_bytes"),
    key=("document", "outcome"),
    state="removals",
)
