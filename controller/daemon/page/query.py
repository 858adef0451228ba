"""The query of the page's address, and the references that it selects. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from controller.plan.report.rows import ReferenceRow
from controller.plan.verdict.removal import Removal
from controller.value import dataclass

ROWS = 50
"""On one page."""
_LONGEST = 300
_TURN = {"remove": 0, "wait": 1, "keep": 2}


def _soonest(row: ReferenceRow) -> tuple[Any, ...]:
    due_at = row.due_at
    return _TURN[row.action], due_at is None, due_at or 0.0


ORDERS: Mapping[str, Callable[[ReferenceRow], Any]] = {
    "goes": _soonest,
    "reference": lambda row: row.reference,
    "size": lambda row: -(row.size_bytes or 0),
    "idle": lambda row: (row.idle_since is None, row.idle_since or 0.0),
    "verdict": lambda row: row.verdict,
    "rule": lambda row: (row.document is None, row.document or "", row.rule or 0),
}
"""Sort keys."""
LARGEST_FIRST = frozenset(("size", "idle"))
"""The orders that begin with the largest and the longest idle."""


@dataclass(frozen=True, slots=True)
class Query:
    """All values are untrusted text."""

    q: str = ""
    """Searched in the reference, the image ID and the document's name."""
    verdict: str = ""
    document: str = ""
    sort: str = "goes"
    reverse: str = ""
    """Any text: reverse the order."""
    page: str = "1"
    image: str = ""
    """The image to explain."""

    @classmethod
    def parse(cls, text: str) -> Query:
        """From the query of an address; unknown and invalid parts are ignored."""
        known = {each.name for each in fields(cls)}
        given = {name: value[:_LONGEST].strip() for name, value in parse_qsl(text) if name in known}
        if given.get("sort") not in ORDERS:
            given.pop("sort", None)
        return cls(**given)

    @property
    def unusual(self) -> list[tuple[str, str]]:
        """Fields and values that differ from the default."""
        written = ((each.name, str(getattr(self, each.name)), each.default) for each in fields(self))
        return [(name, value) for name, value, default in written if value and value != default]

    def address(self, **changes: str) -> str:
        """The address of the page with this query and these changes; a changed selection begins on its first page."""
        unusual = replace(self, **{"page": "1", **changes}).unusual
        return f"/?{urlencode(unusual)}" if unusual else "/"

    def selection(self, rows: Iterable[ReferenceRow]) -> Selection:
        """The selected rows. No row is kept: there may be thousands."""
        words, counts, keys = self.q.lower().split(), Counter[str](), list[tuple[Any, str, int]]()
        for place, row in enumerate(rows):
            if self.document in ("", row.document) and _has(row, words):
                counts[row.verdict] += 1
                if self.verdict in ("", row.verdict):
                    keys.append((ORDERS[self.sort](row), row.reference, place))
        keys.sort(reverse=bool(self.reverse))
        pages = max(1, -(-len(keys) // ROWS))
        number = int(self.page) if self.page.isascii() and self.page.isdigit() else 1
        number = min(max(number, 1), pages)
        on_page = tuple(place for *_, place in keys[(number - 1) * ROWS : number * ROWS])
        return Selection(counts, len(keys), number, pages, on_page)

    def finds(self, removal: Removal) -> bool:
        """True if the search finds a removal."""
        intent = removal.intent
        return _contains(f"{intent.reference} {intent.image} {intent.document}", self.q.lower().split())


@dataclass(frozen=True, slots=True)
class Selection:
    """One page of the rows that a query selects."""

    counts: Counter[str]
    """Found rows of each verdict, also of those that are not selected."""
    total: int
    """Rows on all pages."""
    number: int
    """Of the page, from 1; the nearest existing one."""
    pages: int
    places: tuple[int, ...]
    """The places of this page's rows among all rows, sorted."""


def _has(row: ReferenceRow, words: Sequence[str]) -> bool:
    return _contains(f"{row.reference} {row.image} {row.document or ''}", words)


def _contains(text: str, words: Sequence[str]) -> bool:
    text = text.lower()
    return all(word in text for word in words)
