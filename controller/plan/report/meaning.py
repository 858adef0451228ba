"""Finds the rows of a report for a text: a name, a name with a digest, an image ID or the start of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from controller.image.reference import reference_from_engine
from controller.plan.memory.names import spellings
from controller.plan.report.history import RemovalRow, removal_rows
from controller.plan.verdict.removal import Batch, Removal

_HEX = frozenset("0123456789abcdef")
_SHORTEST_ID = 4
_LAST_REMOVALS = 5


class NamedRow(Protocol):
    """A row with the names of its image."""

    @property
    def image(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...


N = TypeVar("N", bound=NamedRow)


def matching_rows(rows: Iterable[N], text: str) -> list[N]:
    """All references of every image that `text` matches; a name without a tag means `latest`."""
    is_meant = _meaning_of(text)
    return [row for row in rows if is_meant(row.image, row.names)]


def rows_without_a_tag(rows: Iterable[N], text: str) -> list[N]:
    """References of images that have only digests in the repository of `text`: any of their tags may be meant."""
    if "@" in text:
        return []
    repositories = {reference_from_engine(spelling).familiar_repository for spelling in spellings(text)}
    return [row for row in rows if row.names and all(_is_digest_in(repositories, name) for name in row.names)]


def _is_digest_in(repositories: set[str], name: str) -> bool:
    repository, at, _ = name.partition("@")
    return bool(at) and repository in repositories


def last_removals_of(text: str, removals: Iterable[Removal], batches: Mapping[str, Batch]) -> list[RemovalRow]:
    """The last successful removals of the reference or the image that `text` matches, oldest first."""
    is_meant = _meaning_of(text)
    meant = [
        each for each in removals if each.outcome.is_success and is_meant(each.intent.image, (each.intent.reference,))
    ]
    return removal_rows(meant[-_LAST_REMOVALS:], batches)


def _meaning_of(text: str) -> Callable[[str, Sequence[str]], bool]:
    """A function that decides whether the text matches an image with these names."""
    named = {reference_from_engine(spelling).familiar for spelling in spellings(text)}
    identity = text.removeprefix("sha256:")
    is_id = len(identity) >= _SHORTEST_ID and _HEX.issuperset(identity)

    def is_meant(image: str, names: Sequence[str]) -> bool:
        return not named.isdisjoint(names) or (is_id and image.removeprefix("sha256:").startswith(identity))

    return is_meant
