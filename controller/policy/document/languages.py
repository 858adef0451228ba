"""Values with a grammar of their own: image names, constraints, the start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from controller.constraint.doubts import doubts
from controller.constraint.parser import parse as parse_constraint
from controller.constraint.property import PropertyValue
from controller.errors import InvalidConstraint, InvalidSelector
from controller.image.selector import Selector, parse_selector
from controller.pattern import Pattern
from controller.policy.document.findings import Findings
from controller.policy.document.shapes import Shape, Text
from controller.policy.problem import quoted
from controller.policy.text.scalars import Ambiguous
from controller.policy.text.tree import Node, Scalar, plain
from controller.value import dataclass

PATTERN = (
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])([.,][0-9]+)?"
    r"(Z|[+-]([01][0-9]|2[0-4]):([0-5][0-9]|60))"
)
"""Everything but the length of the month. Go accepts a one-digit hour, a decimal comma and offsets up to 24:60."""

_pattern = Pattern(PATTERN)
_earliest = datetime.min.replace(tzinfo=UTC)
_latest = datetime.max.replace(tzinfo=UTC)
_a_leap_year = 4


def parse_rfc3339(text: str) -> datetime | None:
    """The instant in UTC, cut to microseconds; None if upstream refuses the text.

    Years that Go has and Python does not (0000, or moved over either end by an offset) become the earliest or the
    latest instant.
    """
    if not (parts := _pattern.regex.fullmatch(text)):
        return None
    year = int(text[:4])
    month, day, hour, minute, second, fraction, zone, offset_hours, offset_minutes = parts.groups()
    try:
        midnight = datetime(year or _a_leap_year, int(month), int(day), tzinfo=UTC)
    except ValueError:
        return None
    if year == 0:
        return _earliest
    microseconds = int((fraction or ".0")[1:7].ljust(6, "0"))
    time_of_day = timedelta(hours=int(hour), minutes=int(minute), seconds=int(second), microseconds=microseconds)
    ahead_of_utc = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    return _moved(midnight, time_of_day + ahead_of_utc if zone.startswith("-") else time_of_day - ahead_of_utc)


def _moved(midnight: datetime, by: timedelta) -> datetime:
    try:
        return midnight + by
    except OverflowError:
        return _latest if by > timedelta() else _earliest


NOW: Literal["now"] = "now"

_offset_without_colon = Pattern(r"([+-][0-9]{2})([0-9]{2})$")


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
    """Upstream's language; a constraint that matches more than it says is an error, one that matches less a warning."""

    may_be_blank: bool = False
    """True if a blank constraint is only a warning."""

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
        message = "is blank: upstream then matches every node without a pattern and skips all constraints"
        found.error(node, path, message, "write a pattern, or remove patterns")
        return None


@dataclass(frozen=True, slots=True)
class PropertyContent(Shape[PropertyValue]):
    """Any JSON value; `constraint.property` checks which values a property may have."""

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
            found.error(node, path, f"expected {NOW} or an RFC 3339 time, found {quoted(text)}", _probably(text))
        return start


def _probably(text: str) -> str:
    text = text.strip()
    if text.lower() == NOW:
        return f"did you mean {NOW}?"
    with_time = _offset_without_colon.regex.sub(r"\1:\2", text.upper().replace(" ", "T", 1))
    for candidate in (with_time, f"{with_time}Z", f"{with_time}:00Z", f"{with_time}T00:00:00Z"):
        if parse_rfc3339(candidate):
            return f"did you mean {candidate}?"
    return "such as 2027-01-31T22:00:00Z or 2027-01-31T22:00:00+01:00"
