"""Where a path leads at this moment, and by which symbolic links: a delivery that swaps a link shows only in the
folder that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MOST_LINKS = 40
"""After so many the kernel gives up as well (path_resolution(7))."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link on the way."""

    place: Path
    """Its parent is without links: there a swap of this link would show."""
    target: Path
    """As it is written in the link."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Two equal trails lead through the same links to the same place."""

    end: Path
    """Without links; nothing need be there."""
    links: tuple[Link, ...] = ()


def trail_of(path: Path) -> Trail:
    """Follow an absolute path, name by name. Never raises: what is missing is taken for a plain name."""
    at, ahead, links = Path("/"), _names(path), list[Link]()
    while ahead:
        name = ahead.pop()
        target = target_of(at / name) if len(links) < _MOST_LINKS else None
        if target is not None:
            links.append(Link(at / name, target))
            at = Path("/") if target.is_absolute() else at
            ahead += _names(target)
        else:
            at = at.parent if name == ".." else at / name
    return Trail(at, tuple(links))


def target_of(link: Path) -> Path | None:
    """What is written in the link; None if it is none, or has just gone."""
    try:
        return link.readlink()
    except OSError:
        return None


def _names(path: Path) -> list[str]:
    """The parts of a path, the last one first."""
    return [name for name in reversed(path.parts) if name != "/"]
