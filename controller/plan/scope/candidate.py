"""The images of a node that any document could remove."""

from __future__ import annotations

from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """One unprotected reference on a node."""

    reference: str
    names: tuple[str, ...] = ()
    """The last names of an image that lost its names."""
    downloaded_by_agent: bool = False


@dataclass(frozen=True, slots=True)
class PlanOfNode:
    """The plan of one node."""

    org: str
    id: str
    """Both are empty if the plan does not name the node."""
    candidates: tuple[Candidate, ...]
