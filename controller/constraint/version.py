"""Versions such as 1.2 or 1.2.3-rc.1, and ranges such as [1.0.0,2.0.0), in upstream's order. Nothing here raises.

Upstream: anax semanticversion/version.go.
"""

from __future__ import annotations

from controller.pattern import Pattern
from controller.value import dataclass

INFINITY = "INFINITY"

# Upstream lowers the case of a pre-release first, so the Kelvin sign and the dotted capital I pass.
_VERSION = Pattern(r"[0-9]+(?:\.[0-9]+){0,2}(?:-[0-9A-Za-z.\u212a\u0130-]*)?")
_PLAIN_VERSION = Pattern(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){0,2}")
_NUMBER = Pattern(r"-?[0-9]+")
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class VersionRange:
    """From `start` to `end`, both normalised; each end is included or not."""

    start: str
    includes_start: bool
    end: str
    includes_end: bool

    def __str__(self) -> str:
        return f"{'[' if self.includes_start else '('}{self.start},{self.end}{']' if self.includes_end else ')'}"

    def __contains__(self, version: str) -> bool:
        """Ends are compared as text first: 02.0.0 is in [1.0.0,2.0.0), because its text is not 2.0.0."""
        if not is_version(version):
            return False
        wanted = normalised(version)
        if (wanted == self.start and self.includes_start) or (wanted == self.end and self.includes_end):
            return True
        if wanted in (self.start, self.end):
            return False
        return compare(self.start, wanted) <= 0 and compare(self.end, wanted) >= 0


def is_version(text: str) -> bool:
    """The lenient test of matching: leading zeros and a pre-release are allowed."""
    return text == INFINITY or _VERSION.regex.fullmatch(text) is not None


def is_plain_version(text: str) -> bool:
    """The strict test, which a property of the type version must pass (property_list.go)."""
    return text == INFINITY or _PLAIN_VERSION.regex.fullmatch(text) is not None


def is_range(text: str) -> bool:
    """Whether `in` reads the text as a range: one comma between two versions, a bracket on at least one side."""
    start, comma, end = text.partition(",")
    if not (comma and start and end) or not (text[0] in "[(" or text[-1] in "])"):
        return False
    # Upstream drops one byte at each end; half of a two-byte character would remain.
    return (text[0] + text[-1]).isascii() and is_version(start[1:]) and is_version(end[:-1])


def parse_range(text: str) -> VersionRange | None:
    """A range; 1.0.0 alone is [1.0.0,INFINITY). None if upstream reports an error or crashes on a bracket."""
    if is_version(text):
        return VersionRange(normalised(text), True, INFINITY, False)
    if len(text) < 2 or text[0] not in "[(" or text[-1] not in "])":
        return None
    start, _, end = text[1:-1].partition(",")
    if not (is_version(start) and is_version(end)):
        return None
    return VersionRange(normalised(start), text[0] == "[", normalised(end), text[-1] == "]")


def normalised(version: str) -> str:
    """With three numbers: 1-rc becomes 1.0.0-rc."""
    if version == INFINITY:
        return version
    numbers, _, prerelease = version.partition("-")
    return numbers + ".0" * (2 - numbers.count(".")) + (f"-{prerelease}" if prerelease else "")


def compare(a: str, b: str) -> int:
    """-1, 0 or 1 as version a is lower than, equal to or higher than version b."""
    low, high = _order(a), _order(b)
    return (low > high) - (low < high)


def _order(version: str) -> tuple[object, ...]:
    """The sort key: INFINITY last, then the numbers; a version without a pre-release is above one with it."""
    if version == INFINITY:
        return (1,)
    numbers, _, prerelease = normalised(version).partition("-")
    return (0, *map(_number, numbers.split(".")), not prerelease, *map(_field_order, prerelease.split(".")))


def _field_order(field: str) -> tuple[object, ...]:
    """Numbers are lower than texts; a number beyond 64 bits is a text. Texts are compared as bytes."""
    if _NUMBER.regex.fullmatch(field) and abs(number := _unlimited(field)) <= _LARGEST + (number < 0):
        return (0, number)
    return (1, field)


def _number(digits: str) -> int:
    return min(_unlimited(digits), _LARGEST)


def _unlimited(digits: str) -> int:
    """int() of digits that may be too many for int(); a value far beyond 64 bits need not be exact."""
    negative = digits.startswith("-")
    magnitude = int(digits.lstrip("-").lstrip("0")[:20] or "0")
    return -magnitude if negative else magnitude
