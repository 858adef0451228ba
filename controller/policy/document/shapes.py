"""What the value of a field may be: each shape converts a node of the tree into a typed value or reports a problem."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from controller.policy.document.findings import Findings
from controller.policy.problem import quoted
from controller.policy.text.scalars import Ambiguous
from controller.policy.text.tree import Mapping, Node, Scalar, Sequence, plain
from controller.spelling import nearest
from controller.value import dataclass

LONGEST_WORD = 64
LONGEST_TEXT = 2**16
"""Characters; keeps every check of a text fast."""

_duration = re.compile(r"([0-9]{1,15}) ?(s|m|min|h|d|w)")
_seconds = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Shape(ABC, Generic[T_co]):
    @abstractmethod
    def read(self, node: Node, path: str, found: Findings) -> T_co | None:
        """The value; None, with a problem in `found`, if the node has another shape."""


@dataclass(frozen=True, slots=True)
class Anything(Shape[object]):
    """A known field whose content is ignored."""

    def read(self, node: Node, path: str, found: Findings) -> object | None:
        return plain(node)


@dataclass(frozen=True, slots=True)
class Text(Shape[str]):
    may_be_blank: bool = True
    longest: int = LONGEST_TEXT
    pattern: str = ""
    """A regular expression for the whole text; `says` describes it in messages."""
    says: str = ""

    def read(self, node: Node, path: str, found: Findings) -> str | None:
        text = _read_text(node, path, found)
        if text is None:
            return None
        if len(text) > self.longest:
            found.error(node, path, f"longer than {self.longest} characters")
        elif not self.may_be_blank and not text.strip():
            found.error(node, path, "is blank")
        elif self.pattern and not re.fullmatch(self.pattern, text):
            found.error(node, path, f"{quoted(text)} is not {self.says}")
        else:
            return text
        return None


@dataclass(frozen=True, slots=True)
class Flag(Shape[bool]):
    def read(self, node: Node, path: str, found: Findings) -> bool | None:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        found.error(node, path, f"must be true or false, not {_kind(node)}", self._hint(node))
        return None

    @staticmethod
    def _hint(node: Node) -> str:
        if not isinstance(node, Scalar):
            return ""
        if isinstance(node.value, Ambiguous):
            return f"write {node.value.plainly}" if node.value.plainly in ("true", "false") else ""
        return "remove the quotation marks" if node.text in ("true", "false") else ""


@dataclass(frozen=True, slots=True)
class Whole(Shape[int]):
    """A whole number in decimal digits, from 0."""

    most: int
    unit: str
    unit_seconds: int
    """0: the unit is not a time."""

    def read(self, node: Node, path: str, found: Findings) -> int | None:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            message = f"must be a whole number of {self.unit} in decimal digits, not {_kind(node)}"
            found.error(node, path, message, self._hint(node))
        elif value < 0:
            found.error(node, path, f"must be 0 or more, not the number {value}")
        elif value > self.most:
            found.error(node, path, f"must be at most {self.most}, not the number {value}")
        else:
            return value
        return None

    def _hint(self, node: Node) -> str:
        if not isinstance(node, Scalar):
            return ""
        if isinstance(node.value, Ambiguous):
            return f"write {node.value.plainly}" if node.value.plainly.isdigit() else ""
        if isinstance(node.value, float):
            return f"write {int(node.value)}" if node.value.is_integer() and abs(node.value) <= self.most else ""
        return self._hint_on_text(node.text)

    def _hint_on_text(self, text: str) -> str:
        if re.fullmatch(r"0|[1-9][0-9]{0,15}", text):
            return f"write {text}, without quotation marks"
        if self.unit_seconds and (duration := _duration.fullmatch(text.strip())):
            amount, rest = divmod(int(duration[1]) * _seconds[duration[2]], self.unit_seconds)
            return "" if rest else f"{text} is {amount} {self.unit}: write {amount}"
        return ""


@dataclass(frozen=True, slots=True)
class Listed(Shape[tuple[T, ...]]):
    """A list; items that cannot be read are reported and left out."""

    item: Shape[T]

    def read(self, node: Node, path: str, found: Findings) -> tuple[T, ...] | None:
        if not isinstance(node, Sequence):
            found.error(node, path, f"must be a list, not {_kind(node)}", 'start each item with "- "')
            return None
        values = (self.item.read(item, f"{path}[{number}]", found) for number, item in enumerate(node.items))
        return tuple(value for value in values if value is not None)


@dataclass(frozen=True, slots=True)
class OneOf(Shape[str]):
    """One word of several."""

    words: tuple[str, ...]

    def read(self, node: Node, path: str, found: Findings) -> str | None:
        text = Text().read(node, path, found)
        if text is None or text in self.words:
            return text
        close = nearest(text[:LONGEST_WORD], self.words)
        all_words = " or ".join(quoted(word) for word in self.words)
        hint = f"did you mean {quoted(close)}?" if close else f"write {all_words}"
        found.error(node, path, f"unknown value {quoted(text)}", hint)
        return None


@dataclass(frozen=True, slots=True)
class ByName(Shape[Mapping]):
    """A mapping of names to items, which are read one by one, so that an invalid one does not affect the others."""

    item: Shape[Any]

    def read(self, node: Node, path: str, found: Findings) -> Mapping | None:
        return expect_mapping(node, path, found)


def expect_mapping(node: Node, path: str, found: Findings) -> Mapping | None:
    if isinstance(node, Mapping):
        return node
    hint = "put a blank after the colon" if isinstance(node, Scalar) and re.match(r"[A-Za-z_]+:\S", node.text) else ""
    found.error(node, path, f"must be a mapping (name: value), not {_kind(node)}", hint)
    return None


def _read_text(node: Node, path: str, found: Findings) -> str | None:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.value
    hint = ""
    if isinstance(node, Mapping):
        hint = 'text that contains ": " needs quotes'
    elif isinstance(node, Scalar) and node.value is not None:
        hint = f"write {quoted(node.text)}, in quotes"
    found.error(node, path, f"must be text, not {_kind(node)}", hint)
    return None


def _kind(node: Node) -> str:
    """The kind of the node; follows `not` in messages."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    match node.value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(node.value).lower()}"
        case int() | float():
            return f"the number {node.text[:40]}"
        case str():
            return f"the text {quoted(node.text[:40])}"
        case Ambiguous(text, reading):
            return f"{text[:40]}, which is {reading}"
