"""A problem of a document and its place. Problems are collected, so that all are reported at once."""

from __future__ import annotations

import json
from typing import Literal

from controller.printable import printable
from controller.value import dataclass

Severity = Literal["error", "warning"]

LONGEST_QUOTE = 100
"""Characters of a document that a message quotes at most."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem. Line and column count characters from 1; `field` is a path, or empty if no field is concerned."""

    file: str
    line: int
    column: int
    field: str
    severity: Severity
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """`file:line:column: error: field: message (hint)`, always one line."""
        return printable(f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.sentence}")

    @property
    def sentence(self) -> str:
        """The problem and the hint, without the place."""
        field = f"{self.field}: " if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return printable(f"{field}{self.message}{hint}")

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


def quoted(text: str) -> str:
    """Text of a document for a message: in double quotes, on one line, shortened."""
    shown = text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 3]}..."
    return printable(json.dumps(shown, ensure_ascii=False))
