"""The N most recently used images of each repository, which a rule with `keep_last: N` never removes.

The order is by use, never by tag: after a rollback the running image is not the newest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.image.reference import ImageId
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class CoveredImage:
    """One image that the selector of a rule covers."""

    image: ImageId
    repositories: tuple[str, ...]
    """Repositories, as displayed, of the names that the selector covers."""
    in_use: bool
    idle_since: float
    """Ledger time; not valid while the image is in use."""
    was_used: bool
    """True if a use was observed."""
    created: float
    """Build date in Unix time. It is used only if no use was observed."""

    @property
    def age(self) -> tuple[float, float, ImageId]:
        """Ascending: most recently used first."""
        if self.in_use:
            return float("-inf"), 0.0, self.image
        return -self.idle_since, 0.0 if self.was_used else -self.created, self.image


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of an image in one repository, from 1."""

    place: int
    of: int
    repository: str
    kept: int
    was_used: bool

    def __str__(self) -> str:
        place = "most" if self.place == 1 else f"{_ordinal(self.place)} most"
        rank = f"{place} recently used of {self.of} in {self.repository}; the rule keeps {self.kept}"
        return rank if self.was_used else f"{rank} (no use was observed)"


def kept_as_recent(candidates: Iterable[CoveredImage], keep_last: int) -> Mapping[ImageId, Rank]:
    """The images that are among the last `keep_last` of at least one repository, each with its best place."""
    by_repository: dict[str, list[CoveredImage]] = {}
    for candidate in candidates:
        for repository in candidate.repositories:
            by_repository.setdefault(repository, []).append(candidate)
    kept: dict[ImageId, Rank] = {}
    for repository, members in sorted(by_repository.items()):
        recent = sorted(members, key=lambda member: member.age)[:keep_last]
        for place, member in enumerate(recent, start=1):
            rank = Rank(place, len(members), repository, keep_last, member.in_use or member.was_used)
            kept[member.image] = min(kept.get(member.image, rank), rank, key=lambda each: each.place)
    return kept


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
