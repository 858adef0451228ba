"""Collects the problems of one document and detects which of the two spellings it uses."""

from __future__ import annotations

from enum import Enum

from controller.policy.problem import Problem, Severity, quoted
from controller.policy.text.tree import Scalar, SourcePosition

MOST_OF_CONSTRAINTS = 2**16
"""Characters of all constraints of a file. A character takes up to ten microseconds."""


class Spelling(Enum):
    """Two sets of names for the same fields. A document uses one of them."""

    DESIGN = "the design's"
    UPSTREAM = "upstream's"


class Allowance:
    """Limits the characters of constraints that are read per file, because constraints are slow to read."""

    def __init__(self) -> None:
        self._left = MOST_OF_CONSTRAINTS

    def covers(self, text: str) -> bool:
        """Is the text within the limit? After the first one that is not, no further one is."""
        self._left -= len(text)
        return self._left >= 0


class Findings:
    """The problems of one document. Nothing is raised, so that all are reported at once."""

    def __init__(self, file: str, allowance: Allowance | None = None) -> None:
        """`allowance` is shared by all documents of the file."""
        self.file = file
        self.problems: list[Problem] = []
        self.spelling: Spelling | None = None
        self._allowance = allowance or Allowance()
        self._reported_allowance = False

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def error(self, at: SourcePosition, field: str, message: str, hint: str = "") -> None:
        self.add("error", at, field, message, hint)

    def warning(self, at: SourcePosition, field: str, message: str, hint: str = "") -> None:
        self.add("warning", at, field, message, hint)

    def add(
        self, severity: Severity, at: SourcePosition, field: str, message: str, hint: str = "", position: int = 0
    ) -> None:
        """`position` counts characters into a text; the column follows it if the text is written on one line."""
        inset = position + at.inset if position and isinstance(at, Scalar) and at.inset is not None else 0
        self.problems.append(Problem(self.file, at.line, at.column + inset, field, severity, message, hint))

    def may_read(self, constraint: str, at: SourcePosition, field: str) -> bool:
        """Is the constraint within the limit? The first one that is not is an error of its document."""
        if self._allowance.covers(constraint):
            return True
        if not self._reported_allowance:
            message = f"the file has more than {MOST_OF_CONSTRAINTS} characters of constraints; the rest was not read"
            self.error(at, field, message, "divide it into several files")
            self._reported_allowance = True
        return False

    def settle_spelling(self, key: Scalar, field: str, spelling: Spelling, other_name: str) -> None:
        """The first field with two names decides the spelling; a name of the other spelling is an error."""
        if self.spelling is None:
            self.spelling = spelling
        elif self.spelling is not spelling:
            message = f"{quoted(key.text)} is {spelling.value} spelling, but this document uses {self.spelling.value}"
            self.error(key, field, message, f"write {quoted(other_name)}")
