"""What of the list of references somebody wants to see: the query of the page's address, and what it chooses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

Values = dict[str, Any]
ROWS = 50
"""On one page."""
_LONGEST = 300
_TURN = {"remove": 0, "wait": 1, "keep": 2}


def _soonest(row: Values) -> tuple[Any, ...]:
    due_at = row["due_at"]
    return _TURN[row["action"]], due_at is None, due_at or 0.0


ORDERS: Mapping[str, Callable[[Values], Any]] = {
    "goes": _soonest,
    "reference": lambda row: row["reference"],
    "size": lambda row: -(row["size_bytes"] or 0),
    "idle": lambda row: (row["idle_since"] is None, row["idle_since"] or 0.0),
    "verdict": lambda row: row["verdict"],
    "rule": lambda row: (row["document"] is None, row["document"] or "", row["rule"] or 0),
}
"""By what rows are sorted; the largest and the longest idle come first."""


@dataclass(frozen=True, slots=True)
class Query:
    """All of it is text from a stranger."""

    q: str = ""
    """To be found in the reference, the image's ID or the document's name."""
    verdict: str = ""
    document: str = ""
    sort: str = "goes"
    reverse: str = ""
    """Anything: turn the order round."""
    page: str = "1"
    image: str = ""
    """Of which an explanation is wanted."""

    @classmethod
    def parse(cls, text: str) -> Query:
        """From the query of an address; what is unknown or senseless does not count."""
        known = {each.name for each in fields(cls)}
        given = {name: value[:_LONGEST].strip() for name, value in parse_qsl(text) if name in known}
        if given.get("sort") not in ORDERS:
            given.pop("sort", None)
        return cls(**given)

    @property
    def unusual(self) -> list[tuple[str, str]]:
        """Fields and values that are not as they are by default."""
        written = ((each.name, str(getattr(self, each.name)), each.default) for each in fields(self))
        return [(name, value) for name, value, default in written if value and value != default]

    def address(self, **changes: str) -> str:
        """The address of the page with this query, changed so; another choice begins on its first page."""
        unusual = replace(self, **{"page": "1", **changes}).unusual
        return f"/?{urlencode(unusual)}" if unusual else "/"

    def found(self, rows: Sequence[Values]) -> list[Values]:
        """The rows that are wanted, whatever their verdict."""
        words = self.q.lower().split()
        return [row for row in rows if self.document in ("", row["document"]) and _has(row, words)]

    def chosen(self, found: Sequence[Values]) -> list[Values]:
        """Of those that were found, the ones with the verdict that is wanted, in order."""
        wanted = [row for row in found if self.verdict in ("", row["verdict"])]
        wanted.sort(key=lambda row: row["reference"])
        return sorted(wanted, key=ORDERS[self.sort], reverse=bool(self.reverse))

    def page_of(self, chosen: Sequence[Values]) -> tuple[int, int]:
        """The number of the page, from 1, and how many there are."""
        pages = max(1, -(-len(chosen) // ROWS))
        number = int(self.page) if self.page.isascii() and self.page.isdigit() else 1
        return min(max(number, 1), pages), pages


def _has(row: Values, words: Sequence[str]) -> bool:
    text = f"{row['reference']} {row['image']} {row['document'] or ''}".lower()
    return all(word in text for word in words)
