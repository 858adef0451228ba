"""What is wrong with a document, and where: values that are collected, never raised at the first.

How problems look as JSON, GitHub annotations or SARIF is in `report`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

LONGEST_QUOTE = 100
"""Characters of a document that a message repeats at most."""

_unprintable = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. Line and column count from 1, in characters; `field` is a path, or empty where no field is meant."""

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
        """What is wrong and what to do, without the place."""
        field = f"{self.field}: " if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return printable(f"{field}{self.message}{hint}")

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


def quoted(text: str) -> str:
    """A piece of a document as a message shows it: in double quotes, on one line, not longer than a line."""
    shown = text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 3]}..."
    return printable(json.dumps(shown, ensure_ascii=False))


def printable(text: str) -> str:
    """The text without characters that move the cursor, colour the screen, hide, or cannot be encoded."""
    return _unprintable.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
