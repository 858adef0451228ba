"""Which columns the tables have, and how their values are put into words."""

from __future__ import annotations

from controller.cli.render import Column, Values
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


NAME = Column("REFERENCE", _name)
IMAGE = Column("IMAGE ID", lambda row: short_id(row["image"]), is_wide=True)
SIZE = Column("SIZE", lambda row: bytes_in_words(row["size_bytes"] or 0))
FREES = Column("FREES ALONE", lambda row: bytes_in_words(row["frees_alone_bytes"]), is_wide=True)
IDLE = Column("IDLE", _idle)
VERDICT = Column("VERDICT", lambda row: row["verdict"])
WHEN = Column("GOES", _when)
RULE = Column("RULE", _rule)
WHY = Column("WHY", lambda row: row["detail"] or "-")
ORIGIN = Column("ORIGIN", lambda row: "agent" if row["agent_downloaded"] else row["origin"] or "-")
LAST_USED = Column("LAST USED (ABOUT)", lambda row: row["last_used"] or "never seen in use", is_wide=True)

PLAN = (NAME, IMAGE, SIZE, FREES, IDLE, VERDICT, WHEN, RULE, WHY)
IMAGES = (NAME, IMAGE, SIZE, IDLE, LAST_USED, ORIGIN, VERDICT, WHEN)

POLICIES = (
    Column("NAME", lambda row: row["name"]),
    Column("STATE", lambda row: row["state"]),
    Column("RULES", lambda row: str(row["rules"])),
    Column("IN FORCE FROM (ABOUT)", lambda row: row["in_force_from"] or "-"),
    Column("FILE", lambda row: f"{row['file']}:{row['line']}", is_wide=True),
    Column("TEXT", lambda row: row["text_hash"][:12] or "-", is_wide=True),
    Column("WHY", lambda row: row["why"]),
)


def _freed(row: Values) -> str:
    """Bytes that a removal freed; those of a batch stand once for all its removals, in parentheses."""
    if row["freed_bytes"] is not None:
        return bytes_in_words(row["freed_bytes"])
    if row["batch_freed_bytes"] is not None:
        return f"({bytes_in_words(row['batch_freed_bytes'])} with its batch)"
    return "unknown"


REMOVALS = (
    Column("AT", lambda row: row["at"]),
    Column("OUTCOME", lambda row: row["outcome"]),
    NAME,
    IMAGE,
    Column("IDLE", lambda row: seconds_in_words(row["idle_seconds"])),
    Column("FREED", _freed),
    RULE,
    Column("TEXT", lambda row: row["text_hash"][:12], is_wide=True),
    Column("MESSAGE", lambda row: row["message"] or "-"),
)
TOTALS = (
    Column("POLICY", lambda row: row["document"]),
    Column("OUTCOME", lambda row: row["outcome"]),
    Column("REMOVALS", lambda row: str(row["removals"])),
    Column("FREED", lambda row: bytes_in_words(row["freed_bytes"])),
    Column("WITH UNKNOWN BYTES", lambda row: str(row["unknown"])),
)
