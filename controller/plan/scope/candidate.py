"""What could be removed from a node, whatever its documents say now."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reference on a node that nothing protects."""

    reference: str
    names: tuple[str, ...] = ()
    """Names that the image bore last, if it has lost them."""
    downloaded_by_agent: bool = False


@dataclass(frozen=True, slots=True)
class PlanOfNode:
    """What one node's plan shows."""

    org: str
    id: str
    """Both are empty where the plan does not say."""
    candidates: tuple[Candidate, ...]
