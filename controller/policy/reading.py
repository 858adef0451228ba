"""One reading of the policy folder: its documents, its problems, and whether it could be read at all."""

from __future__ import annotations

from dataclasses import dataclass

from controller.policy.parse import Document
from controller.policy.problem import Problem


@dataclass(frozen=True, slots=True)
class Reading:
    """What the folder held at one moment."""

    folder: str
    documents: tuple[Document, ...] = ()
    """Valid or not, in the order of their files; one whose name is taken is invalid."""
    problems: tuple[Problem, ...] = ()
    """All of them: those of the documents, and of files that hold none."""
    lost: str = ""
    """Why there is nothing to read, in words; empty if there was. A lost folder puts nothing in force."""
    revision: str = ""
    """The commit or version that was delivered, where the delivery tells."""
    at: float | None = None
    """Uptime at which it began; whoever has a clock says so. The look at the engine may come seconds later."""
