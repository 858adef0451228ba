"""Texts with a language of their own: names of images, constraints, the start. Whoever owns a language reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from controller.constraint.doubts import doubts
from controller.constraint.parser import parse as parse_constraint
from controller.constraint.property import PropertyValue
from controller.errors import InvalidConstraint, InvalidSelector
from controller.image.selector import Selector, parse_selector
from controller.policy.findings import Findings
from controller.policy.problem import quoted
from controller.policy.rfc3339 import parse_rfc3339
from controller.policy.scalars import Ambiguous
from controller.policy.shapes import Shape, Text
from controller.policy.tree import Node, Scalar, plain

NOW: Literal["now"] = "now"

_offset_without_colon = re.compile(r"([+-][0-9]{2})([0-9]{2})$")


_some_text = Text()
_no_blank_text = Text(may_be_blank=False)


@dataclass(frozen=True, slots=True)
class ImageName(Shape[Selector]):
    def read(self, node: Node, path: str, found: Findings) -> Selector | None:
        text = _some_text.read(node, path, found)
        try:
            return None if text is None else parse_selector(text)
        except InvalidSelector as fault:
            found.error(node, path, fault.message, fault.hint)
            return None


@dataclass(frozen=True, slots=True)
class Constraint(Shape[str]):
    """Upstream's language; what would match more than it says is an error, what would match less a warning."""

    may_be_blank: bool = False
    """Is one that restricts nothing only doubtful?"""

    def read(self, node: Node, path: str, found: Findings) -> str | None:
        text = (_some_text if self.may_be_blank else _no_blank_text).read(node, path, found)
        if text is None or not found.may_read(text, node, path):
            return None
        try:
            parse_constraint(text)
        except InvalidConstraint as fault:
            found.add("error", node, path, fault.message, position=fault.position)
            return None
        for doubt in doubts(text):
            found.add(doubt.severity, node, path, doubt.message, doubt.hint, doubt.position)
        return text


@dataclass(frozen=True, slots=True)
class PatternName(Shape[str]):
    def read(self, node: Node, path: str, found: Findings) -> str | None:
        text = _some_text.read(node, path, found)
        if text is None or text.strip():
            return text
        message = "is blank: upstream takes that for every node without a pattern, and skips all constraints"
        found.error(node, path, message, "name a pattern, or leave patterns out")
        return None


@dataclass(frozen=True, slots=True)
class PropertyContent(Shape[PropertyValue]):
    """Whatever JSON can hold; what may be the value of a property is said by the owner of properties."""

    def read(self, node: Node, path: str, found: Findings) -> PropertyValue:
        if isinstance(node, Scalar) and isinstance(node.value, Ambiguous):
            meant = f" or {node.value.plainly}" if node.value.plainly else ""
            message = f"{node.text[:100]} is {node.value.reading}"
            found.error(node, path, message, f"write {quoted(node.text)}{meant}")
            return None
        return plain(node)


@dataclass(frozen=True, slots=True)
class Start(Shape[datetime | Literal["now"]]):
    def read(self, node: Node, path: str, found: Findings) -> datetime | Literal["now"] | None:
        is_ambiguous = isinstance(node, Scalar) and isinstance(node.value, Ambiguous)
        text = node.text if isinstance(node, Scalar) and is_ambiguous else _some_text.read(node, path, found)
        if text is None:
            return None
        if text == NOW:
            return NOW
        if (start := parse_rfc3339(text)) is None:
            found.error(node, path, f"{quoted(text)} is neither now nor a time as RFC 3339 writes it", _probably(text))
        return start


def _probably(text: str) -> str:
    text = text.strip()
    if text.lower() == NOW:
        return f"did you mean {NOW}?"
    with_time = _offset_without_colon.sub(r"\1:\2", text.upper().replace(" ", "T", 1))
    for candidate in (with_time, f"{with_time}Z", f"{with_time}:00Z", f"{with_time}T00:00:00Z"):
        if parse_rfc3339(candidate):
            return f"did you mean {candidate}?"
    return "such as 2027-01-31T22:00:00Z or 2027-01-31T22:00:00+01:00"
