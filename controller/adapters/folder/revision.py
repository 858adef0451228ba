"""Which delivery a folder shows, told by the links that lead to it and through it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.folder.symlinks import Trail, target_of, trail_of

_commit = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Two equal ones are the same; files edited in place make no new one."""

    trail: Trail
    is_link: bool
    """The folder itself is one, not only something above it."""
    data: Path | None
    """In a volume of Kubernetes the target of `..data`: all its files are links through that."""

    @property
    def revision(self) -> str:
        """What the deliverer calls it; empty if its links do not tell.

        A volume of Kubernetes bears a time. git-sync and our own delivery name a tree by its commit, and the folder may
        be any folder in that tree. By hand, a link to the folder may lead to `v2`.
        """
        if self.data is not None:
            return self.data.name.lstrip(".")
        parts = [part for link in self.trail.links for part in link.target.parts]
        commits = [part for part in parts if _commit.fullmatch(part)]
        return commits[-1] if commits else self.trail.end.name.lstrip(".") if self.is_link else ""


def delivery_of(folder: Path) -> Delivery:
    """The delivery at this moment. Never raises."""
    return Delivery(trail_of(folder.absolute()), target_of(folder) is not None, target_of(folder / "..data"))
