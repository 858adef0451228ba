"""The delivery that a folder shows, from the links on the path to it and in it."""

from __future__ import annotations

import re
from pathlib import Path

from controller.adapters.folder.symlinks import Trail, target_of, trail_of
from controller.value import dataclass

MARK = "delivered"
"""`deliver.sh` sets the date of this file, beside its link, at each success."""
_commit = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Equal values mean the same delivery; files that are edited in place do not make a new one."""

    trail: Trail
    is_link: bool
    """The folder itself is a link, not only a folder above it."""
    data: Path | None
    """In a Kubernetes volume the target of `..data`, through which all its files are links."""

    @property
    def revision(self) -> str:
        """The deliverer's name of the delivery; empty if no link shows one.

        A Kubernetes volume has a time. git-sync and our own delivery name a tree by its commit, and the folder may be
        any folder in that tree. A link made by hand may lead to `v2`.
        """
        if self.data is not None:
            return self.data.name.lstrip(".")
        return self.commit or (self.trail.end.name.lstrip(".") if self.is_link else "")

    @property
    def commit(self) -> str:
        """The commit after which a tree is named; empty if no link shows one."""
        parts = [part for link in self.trail.links for part in link.target.parts]
        return next((part for part in reversed(parts) if _commit.fullmatch(part)), "")

    @property
    def succeeded_at(self) -> float | None:
        """Wall time of the last run of `deliver.sh` that succeeded: the date of its mark beside the link."""
        marks = (link.place.with_name(MARK) for link in self.trail.links if _is_tree(link.target))
        dates = [date for mark in marks if (date := date_of(mark)) is not None]
        return max(dates, default=None)


def _is_tree(target: Path) -> bool:
    """True if the text is that of a link of `deliver.sh`: `tree.XXXXXXXX/COMMIT`."""
    return len(target.parts) == 2 and target.parts[0].startswith("tree.") and bool(_commit.fullmatch(target.name))


def date_of(file: Path) -> float | None:
    """The date of a file; None if it does not exist."""
    try:
        return file.lstat().st_mtime
    except OSError:
        return None


def delivery_of(folder: Path) -> Delivery:
    """The present delivery. Never raises."""
    return Delivery(trail_of(folder.absolute()), target_of(folder) is not None, target_of(folder / "..data"))
