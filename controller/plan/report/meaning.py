"""Which rows of a report a text means: a name, a name by digest, an image's ID or the beginning of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.image.reference import reference_from_engine
from controller.plan.memory.names import spellings

Values = dict[str, Any]

_HEX = frozenset("0123456789abcdef")
_SHORTEST_ID = 4


def matching_rows(rows: Iterable[Values], text: str) -> list[Values]:
    """All references of every image that `text` means; a name without a tag means `latest`."""
    named = {reference_from_engine(spelling).familiar for spelling in spellings(text)}
    identity = text.removeprefix("sha256:")
    is_id = len(identity) >= _SHORTEST_ID and _HEX.issuperset(identity)
    return [
        row
        for row in rows
        if named.intersection(row["names"]) or (is_id and row["image"].removeprefix("sha256:").startswith(identity))
    ]


def explained_rows(references: Iterable[Values], explanations: Iterable[Values], text: str) -> list[Values]:
    """Every reference that `text` means, with all there is to say of it."""
    rows = {(row["reference"], row["image"]): row for row in references}
    return [{**rows[row["reference"], row["image"]], **row} for row in matching_rows(explanations, text)]
