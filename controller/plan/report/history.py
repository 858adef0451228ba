"""The history of removals as rows, and the bytes freed on each day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from controller.plan.verdict.removal import Batch, Exactness, Freed, Removal
from controller.quantity import bytes_in_words, date, seconds_in_words, short_id
from controller.value import dataclass

A_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class RemovalRow:
    """One removal of the history, with the measured bytes of its batch."""

    at: str
    reference: str
    image: str
    outcome: str
    idle_seconds: float
    freed_bytes: int | None
    exactness: str
    batch: str | None
    batch_freed_bytes: int | None
    batch_exactness: str | None
    size_bytes: int | None
    document: str
    rule: int
    text_hash: str
    message: str | None


def removal_rows(history: Iterable[Removal], batches: Mapping[str, Batch]) -> list[RemovalRow]:
    """A row for each removal, in the same order."""
    return [_removal(removal, batches) for removal in history]


def _removal(removal: Removal, batches: Mapping[str, Batch]) -> RemovalRow:
    intent, batch = removal.intent, batches.get(removal.batch)
    return RemovalRow(
        at=date(removal.wall_seconds),
        reference=intent.reference,
        image=intent.image,
        outcome=removal.outcome.value,
        idle_seconds=round(intent.idle_seconds, 1),
        freed_bytes=removal.freed.bytes,
        exactness=removal.freed.exactness.value,
        batch=removal.batch or None,
        batch_freed_bytes=batch.freed.bytes if batch else None,
        batch_exactness=(batch.freed.exactness if batch else Exactness.UNKNOWN).value if removal.batch else None,
        size_bytes=intent.size_bytes,
        document=intent.document,
        rule=intent.rule,
        text_hash=intent.text_hash,
        message=removal.message or None,
    )


def removed_image_in_words(row: RemovalRow) -> str:
    """The image of a removal, in an aside after its reference."""
    size = "" if row.size_bytes is None else f", {bytes_in_words(row.size_bytes)}"
    return f"image {short_id(row.image)}{size}; not on this node"


def removal_in_words(row: RemovalRow) -> Iterator[tuple[str, str]]:
    """When, by which rule and text, after how long idle, and what it freed: titles and sentences.

    A sentence with an empty title continues the one before.
    """
    yield "removed", f"{row.at} ({row.outcome}) by {row.document}#{row.rule}, text {row.text_hash[:12]}"
    yield "idle", f"for {seconds_in_words(row.idle_seconds)} of observed time before its removal"
    yield "freed", _freed_in_words(row.freed_bytes, row.exactness)
    if row.batch:
        batch = _freed_in_words(row.batch_freed_bytes, row.batch_exactness or "")
        yield "", f"{batch} by all removals that were measured together"
    if row.message:
        yield "", row.message


def _freed_in_words(freed: int | None, exactness: str) -> str:
    return exactness if freed is None else f"{bytes_in_words(freed)} ({exactness})"


@dataclass(frozen=True, slots=True)
class Day:
    """The removals of one day of the host's time zone."""

    date: str
    freed_bytes: int
    """The known part."""
    removals: int
    """References that were removed."""
    unknown: int
    """Measurements whose bytes are unknown."""


def day_by_day(history: Iterable[Removal], batches: Mapping[str, Batch], today: Today, days: int) -> list[Day]:
    """The last days including today; a batch counts on the day of its last removal."""
    removals: Counter[int] = Counter()
    freed: dict[str, tuple[int, Freed]] = {}
    for number, removal in enumerate(history):
        day = today.days_ago(removal.wall_seconds)
        removals[day] += removal.outcome.is_success
        batch = batches.get(removal.batch)
        freed[removal.batch or str(number)] = (day, batch.freed if batch else removal.freed)
    known, unknown = Counter[int](), Counter[int]()
    for day, figure in freed.values():
        known[day] += figure.bytes or 0
        unknown[day] += figure.exactness is Exactness.UNKNOWN
    return [Day(today.date(ago), known[ago], removals[ago], unknown[ago]) for ago in range(days - 1, -1, -1)]


@dataclass(frozen=True, slots=True)
class Today:
    """The current day of the host."""

    wall_seconds: float
    utc_offset_seconds: float = 0.0

    def days_ago(self, wall_seconds: float) -> int:
        """0 is today; negative is a day in the future, from a wrong clock."""
        return self._day(self.wall_seconds) - self._day(wall_seconds)

    def date(self, days_ago: int) -> str:
        """`2026-11-21`"""
        return date((self._day(self.wall_seconds) - days_ago) * A_DAY_SECONDS)[:10]

    def beginning(self, days_ago: int) -> float:
        """Wall time of the start of that day."""
        return (self._day(self.wall_seconds) - days_ago) * A_DAY_SECONDS - self.utc_offset_seconds

    def _day(self, wall_seconds: float) -> int:
        return int((wall_seconds + self.utc_offset_seconds) // A_DAY_SECONDS)
