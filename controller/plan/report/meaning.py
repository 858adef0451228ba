"""Finds the rows of a report for a text: a name, a name with a digest, an image ID or the start of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from controller.image.reference import reference_from_engine
from controller.plan.memory.names import spellings

_HEX = frozenset("0123456789abcdef")
_SHORTEST_ID = 4


class NamedRow(Protocol):
    """A row with the names of its image."""

    @property
    def image(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...


N = TypeVar("N", bound=NamedRow)


def matching_rows(rows: Iterable[N], text: str) -> list[N]:
    """All references of every image that `text` matches; a name without a tag means `latest`."""
    named = {reference_from_engine(spelling).familiar for spelling in spellings(text)}
    identity = text.removeprefix("sha256:")
    is_id = len(identity) >= _SHORTEST_ID and _HEX.issuperset(identity)
    return [
        row
        for row in rows
        if named.intersection(row.names) or (is_id and row.image.removeprefix("sha256:").startswith(identity))
    ]
