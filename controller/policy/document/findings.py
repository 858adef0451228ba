"""The problems of one document while it is being read, and which of the two spellings it uses."""

from __future__ import annotations

from enum import Enum

from controller.policy.problem import Problem, Severity, quoted
from controller.policy.text.tree import Scalar, SourcePosition

MOST_OF_CONSTRAINTS = 2**16
"""Characters of all constraints of a file. The worst take ten microseconds each."""


class Spelling(Enum):
    """Two sets of names for the same fields. A document uses one of them."""

    DESIGN = "the design's"
    UPSTREAM = "upstream's"


class Allowance:
    """How much of the constraints of one file is still read: a constraint costs more than any other text as long."""

    def __init__(self) -> None:
        self._left = MOST_OF_CONSTRAINTS

    def covers(self, text: str) -> bool:
        """Is there room for one more? Once there is not, there is none for a shorter one either."""
        self._left -= len(text)
        return self._left >= 0


class Findings:
    """Collects; nothing is raised, so that everything is heard of at once."""

    def __init__(self, file: str, allowance: Allowance | None = None) -> None:
        """`allowance` is shared by all documents of the file."""
        self.file = file
        self.problems: list[Problem] = []
        self.spelling: Spelling | None = None
        self._allowance = allowance or Allowance()
        self._is_told_of_allowance = False

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
        """`position` counts characters into a text; the column follows it if the text stands on one line as it is."""
        inset = position + at.inset if position and isinstance(at, Scalar) and at.inset is not None else 0
        self.problems.append(Problem(self.file, at.line, at.column + inset, field, severity, message, hint))

    def may_read(self, constraint: str, at: SourcePosition, field: str) -> bool:
        """Is something left of the allowance? The first constraint that stays unread is an error of its document."""
        if self._allowance.covers(constraint):
            return True
        if not self._is_told_of_allowance:
            message = f"with this there are more than {MOST_OF_CONSTRAINTS} characters of constraints in the file"
            self.error(at, field, f"{message}; the rest was not read", "divide it into several files")
            self._is_told_of_allowance = True
        return False

    def settle_spelling(self, key: Scalar, field: str, spelling: Spelling, other_name: str) -> None:
        """The first field that has two names decides for the document; a name of the other spelling is an error."""
        if self.spelling is None:
            self.spelling = spelling
        elif self.spelling is not spelling:
            message = f"{quoted(key.text)} is {spelling.value} spelling, and this document uses {self.spelling.value}"
            self.error(key, field, message, f"write {quoted(other_name)}")
