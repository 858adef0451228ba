"""Collects the problems of one document and detects which of the two spellings it uses."""

from __future__ import annotations

from enum import Enum

from controller.policy.problem import Problem, Severity, quoted
from controller.policy.text.tree import Scalar, SourcePosition

MOST_OF_CONSTRAINTS = 2**16
"""Characters of all constraints of a file. A character takes up to ten microseconds."""
MOST_PROBLEMS = 100
"""Problems of a file that are reported in full. A hint takes longer than the rest of a field."""


class Spelling(Enum):
    """Two sets of names for the same fields. A document uses one of them."""

    DESIGN = "the design's"
    UPSTREAM = "upstream's"


class Allowance:
    """Limits the characters of constraints that are read per file, because constraints are slow to read."""

    def __init__(self) -> None:
        self._left = MOST_OF_CONSTRAINTS
        self.problems_left = MOST_PROBLEMS

    def covers(self, text: str) -> bool:
        """True if the text is within the limit. After the first one that is not, no further one is."""
        self._left -= len(text)
        return self._left >= 0


class Findings:
    """The problems of one document. Nothing is raised, so that all are reported at once."""

    def __init__(self, file: str, allowance: Allowance | None = None) -> None:
        """`allowance` is shared by all documents of the file."""
        self.file = file
        self._problems: list[Problem] = []
        self._first_skipped: SourcePosition | None = None
        self._skipped = 0
        self.spelling: Spelling | None = None
        self._allowance = allowance or Allowance()
        self._reported_allowance = False

    @property
    def problems(self) -> list[Problem]:
        """All problems in full, and one for the rest: an error, because nothing was checked any more."""
        if self._first_skipped is None:
            return self._problems
        more = f"{self._skipped} more problem{'s' * (self._skipped != 1)} from here on"
        at, message = self._first_skipped, f"{more}; only {MOST_PROBLEMS} of a file are reported in full"
        rest = Problem(self.file, at.line, at.column, "", "error", message, "correct the others first")
        return [*self._problems, rest]

    @property
    def is_full(self) -> bool:
        """True if further problems of the file are only counted."""
        return self._allowance.problems_left <= 0

    def skip(self, at: SourcePosition) -> None:
        """Count a problem."""
        self._first_skipped = self._first_skipped or at
        self._skipped += 1

    @property
    def has_errors(self) -> bool:
        return self._skipped > 0 or any(problem.is_error for problem in self._problems)

    def error(self, at: SourcePosition, field: str, message: str, hint: str = "") -> None:
        self.add("error", at, field, message, hint)

    def warning(self, at: SourcePosition, field: str, message: str, hint: str = "") -> None:
        self.add("warning", at, field, message, hint)

    def add(
        self, severity: Severity, at: SourcePosition, field: str, message: str, hint: str = "", position: int = 0
    ) -> None:
        """`position` counts characters into a text; the column follows it if the text is written on one line."""
        if self.is_full:
            self.skip(at)
            return
        self._allowance.problems_left -= 1
        inset = position + at.inset if position and isinstance(at, Scalar) and at.inset is not None else 0
        self._problems.append(Problem(self.file, at.line, at.column + inset, field, severity, message, hint))

    def may_read(self, constraint: str, at: SourcePosition, field: str) -> bool:
        """True if the constraint is within the limit. The first one that is not is an error of its document."""
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
