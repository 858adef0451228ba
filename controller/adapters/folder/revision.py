"""The delivery that a folder shows, from the links on the path to it and in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.folder.symlinks import Trail, target_of, trail_of

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
        parts = [part for link in self.trail.links for part in link.target.parts]
        commits = [part for part in parts if _commit.fullmatch(part)]
        return commits[-1] if commits else self.trail.end.name.lstrip(".") if self.is_link else ""


def delivery_of(folder: Path) -> Delivery:
    """The present delivery. Never raises."""
    return Delivery(trail_of(folder.absolute()), target_of(folder) is not None, target_of(folder / "..data"))
