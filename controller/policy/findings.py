"""The problems of one document while it is being read, and which of the two spellings it uses."""

from __future__ import annotations

from enum import Enum

from controller.policy.problem import Problem, Severity, quoted
from controller.policy.tree import Place, Scalar


class Spelling(Enum):
    """Two sets of names for the same fields. A document uses one of them."""

    DESIGN = "the design's"
    UPSTREAM = "upstream's"


class Findings:
    """Collects; nothing is raised, so that everything is heard of at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.spelling: Spelling | None = None

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def error(self, at: Place, field: str, message: str, hint: str = "") -> None:
        self.add("error", at, field, message, hint)

    def warning(self, at: Place, field: str, message: str, hint: str = "") -> None:
        self.add("warning", at, field, message, hint)

    def add(self, severity: Severity, at: Place, field: str, message: str, hint: str = "", position: int = 0) -> None:
        """`position` counts characters into a text; the column follows it if the text stands on one line as it is."""
        inset = position + at.inset if position and isinstance(at, Scalar) and at.inset is not None else 0
        self.problems.append(Problem(self.file, at.line, at.column + inset, field, severity, message, hint))

    def settle_spelling(self, key: Scalar, field: str, spelling: Spelling, other_name: str) -> None:
        """The first field that has two names decides for the document; a name of the other spelling is an error."""
        if self.spelling is None:
            self.spelling = spelling
        elif self.spelling is not spelling:
            message = f"{quoted(key.text)} is {spelling.value} spelling, and this document uses {self.spelling.value}"
            self.error(key, field, message, f"write {quoted(other_name)}")
