"""Resolves a path and lists the symbolic links on the way: inotify reports a swapped link only in its own folder."""

from __future__ import annotations

from pathlib import Path

from controller.value import dataclass

_MOST_LINKS = 40
"""The kernel's limit (path_resolution(7))."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link on the path."""

    place: Path
    """The link itself; its parent is a path without links, and inotify reports a swap of the link there."""
    target: Path
    """The text of the link."""


@dataclass(frozen=True, slots=True)
class Trail:
    """The links on a path and its end. Equal trails have the same links and the same end."""

    end: Path
    """The path without links; it need not exist."""
    links: tuple[Link, ...] = ()


def trail_of(path: Path) -> Trail:
    """Resolve an absolute path, name by name. Never raises: a missing name counts as one that is not a link."""
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
    """The text of the link; None if it is not a link or was just deleted."""
    try:
        return link.readlink()
    except OSError:
        return None


def _names(path: Path) -> list[str]:
    """The parts of a path, the last one first."""
    return [name for name in reversed(path.parts) if name != "/"]
