"""`--selector verdict=DUE,document!=services`: Kubernetes' syntax on our fields.

A selector is a list of conditions that must all hold; any other text is an error:

    selector  = [ condition { "," condition } ]
    condition = FIELD "=" VALUE | FIELD "!=" VALUE | FIELD " in (" VALUE {"," VALUE} ")" | FIELD " notin (" … ")"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from controller import spelling
from controller.errors import InvalidSettings
from controller.pattern import Pattern
from controller.value import dataclass

Fields = Mapping[str, Callable[[], Iterable[str]]]
"""The fields and the words that each can have; no words: any text."""

_piece = r"(?:[^,()]|\([^()]*\))+"
_pieces = Pattern(_piece)
_selector = Pattern(rf"{_piece}(?:,{_piece})*|")
_condition = Pattern(r"\s*([\w-]+)\s*(?:(!?=)=?\s*(\S*)|\s(in|notin)\s*\(([^)]*)\))\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions."""

    field: str
    values: tuple[str, ...]
    is_negated: bool

    def holds(self, row: object) -> bool:
        """True if the row fulfils the condition."""
        return (str(getattr(row, self.field) or "") in self.values) != self.is_negated


def parse_selection(text: str, fields: Fields) -> tuple[Condition, ...]:
    """The conditions. Raises InvalidSettings, with the nearest known word."""
    if not text:
        return ()
    if not _selector.regex.fullmatch(text):
        raise _not_a_condition(text)
    return tuple(_parse(each, fields) for each in _pieces.regex.findall(text))


def any_text() -> tuple[str, ...]:
    """The words of a field that can have any text."""
    return ()


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing."""
    known = {each.lower(): each for each in words}
    near = spelling.nearest(word.lower(), known)
    return f" (did you mean {known[near]}?)" if near else ""


def listed(what: str, words: Iterable[str]) -> str:
    """` (fields: a, b)`"""
    return f" ({what}: {', '.join(words)})"


def _not_a_condition(text: str) -> InvalidSettings:
    hint = "write field=value, field!=value or field in (value, value)"
    return InvalidSettings(f"--selector: {text.strip()!r}: {hint}")


def _parse(text: str, fields: Fields) -> Condition:
    if not (found := _condition.regex.fullmatch(text)):
        raise _not_a_condition(text)
    name, sign, value, word, several = found.groups()
    if word and not several.strip():
        raise _not_a_condition(text)
    if name not in fields:
        raise InvalidSettings(f"--selector: unknown field {name}{nearest(name, fields) or listed('fields', fields)}")
    values = tuple(each.strip() for each in several.split(",")) if word else (value,)
    known = tuple(fields[name]())
    for each in values:
        if known and each not in known:
            raise InvalidSettings(f"--selector: unknown {name} {each}{nearest(each, known) or listed('known', known)}")
    return Condition(name, values, is_negated=sign == "!=" or word == "notin")
