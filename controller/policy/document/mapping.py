"""Reads a mapping with known fields and reports missing, unknown and duplicate ones, with the nearest known name."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Generic, TypeVar, cast

from controller.policy.document.findings import Findings, Spelling
from controller.policy.document.shapes import Shape, expect_mapping
from controller.policy.problem import Severity, quoted
from controller.policy.text.tree import Mapping, Node, Scalar, Sequence, is_null
from controller.spelling import nearest
from controller.value import dataclass

LONGEST_NAME = 64
"""Characters; no similar name is searched for a longer one."""
MERGE_KEY = "<<"

_simple_name = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Field(Generic[T]):
    """One field; the validator, the JSON Schema and the template are derived from it."""

    name: str
    shape: Shape[T]
    about: str
    """A short description for editors, the template and the message for a missing field."""
    upstream: str = ""
    """Upstream's name, if it differs."""
    if_missing: Severity | None = None
    narrows: bool = False
    """True if the document applies to more nodes, or earlier, without this field: misspelling it is then an error."""
    examples: tuple[object, ...] = ()
    absent_without: str = ""
    """A mapping in which this name is missing, null or an empty text counts as absent."""

    def name_in(self, spelling: Spelling | None) -> str:
        return self.upstream if self.upstream and spelling is Spelling.UPSTREAM else self.name

    def is_absent(self, node: Node) -> bool:
        """`null` equals absent."""
        if not self.absent_without or not isinstance(node, Mapping):
            return is_null(node)
        what_counts = (child for key, child in node.entries if key.text == self.absent_without)
        return all(isinstance(child, Scalar) and child.value in (None, "") for child in what_counts)

    @property
    def spellings(self) -> dict[str, Spelling | None]:
        """Its names; None for one that both spellings use."""
        if not self.upstream:
            return {self.name: None}
        return {self.name: Spelling.DESIGN, self.upstream: Spelling.UPSTREAM}


class Values:
    """The valid values of a mapping by field, and the node and path of each field that is present."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self._values: dict[Field[Any], object] = {}
        self._nodes: dict[Field[Any], Node] = {}
        self._paths: dict[Field[Any], str] = {}

    def __getitem__(self, field: Field[T]) -> T | None:
        return cast("T | None", self._values.get(field))

    def node_of(self, field: Field[Any]) -> Node | None:
        return self._nodes.get(field)

    def path_of(self, field: Field[Any]) -> str:
        """In the spelling of the document."""
        return self._paths[field]

    def add(self, field: Field[T], node: Node, path: str, value: T | None) -> None:
        self._nodes[field], self._paths[field] = node, path
        if value is not None:
            self._values[field] = value


@dataclass(frozen=True, slots=True)
class MappingShape(Shape[Values]):
    title: str
    """Follows `unknown field in`."""
    fields: tuple[Field[Any], ...]
    is_closed: bool = False
    """True if an unknown field is an error."""
    strays: tuple[Field[Any], ...] = ()
    """Fields of the enclosing mapping; one of them here means wrong indentation and is an error."""
    _known: dict[str, tuple[Field[Any], Spelling | None]] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {name: (one, spelling) for one in self.fields for name, spelling in one.spellings.items()}
        object.__setattr__(self, "_known", known)

    def read(self, node: Node, path: str, found: Findings) -> Values | None:
        """The first of duplicate names counts; `check_keys` reports the second."""
        mapping = expect_mapping(node, path, found)
        if mapping is None:
            return None
        values, misspelt = Values(mapping), set[Field[Any]]()
        for key, child in mapping.entries:
            at = joined(path, key.text)
            if key.text in self._known:
                self._read_field(key, child, at, found, values)
            elif key.text != MERGE_KEY and (meant := self._find_unknown(key, at, found)):
                misspelt.add(meant)
        self._find_missing(values, misspelt, path, found)
        return values

    def _read_field(self, key: Scalar, node: Node, path: str, found: Findings, values: Values) -> None:
        field, spelling = self._known[key.text]
        settled = found.spelling
        if spelling and not field.is_absent(node):
            other = Spelling.UPSTREAM if spelling is Spelling.DESIGN else Spelling.DESIGN
            found.settle_spelling(key, path, spelling, field.name_in(other))
            found.spelling = spelling  # no second error for names below
        value = None if is_null(node) else field.shape.read(node, path, found)
        found.spelling = settled or found.spelling
        if not field.is_absent(node) and values.node_of(field) is None:
            values.add(field, node, path, value)

    def _find_missing(self, values: Values, misspelt: set[Field[Any]], path: str, found: Findings) -> None:
        """A misspelt field is not reported as missing too."""
        for field in self.fields:
            is_found = field in misspelt and (self.is_closed or field.if_missing == "warning")
            if field.if_missing and values.node_of(field) is None and not is_found:
                empty = next((key for key, _ in values.mapping.entries if key.text in field.spellings), None)
                name = empty.text if empty else field.name_in(found.spelling)
                message = "has no value" if empty else "is missing"
                found.add(field.if_missing, empty or values.mapping, joined(path, name), message, field.about)

    def _find_unknown(self, key: Scalar, path: str, found: Findings) -> Field[Any] | None:
        """Report an unknown field; returns the known field that was probably meant."""
        if found.is_full:
            found.skip(key)
            return None
        message = f"unknown field in {self.title}"
        if any(_folded(stray.name) == _folded(key.text) for stray in self.strays):
            found.error(key, path, message, "it is a field of the policy itself: check the indentation")
            return None
        meant = self._nearest(key.text)
        severity: Severity = "error" if self.is_closed or (meant and meant.narrows) else "warning"
        hint = f"did you mean {quoted(meant.name_in(found.spelling))}?" if meant else self._names(found.spelling)
        found.add(severity, key, path, message, hint)
        return meant

    def _nearest(self, name: str) -> Field[Any] | None:
        if len(name) > LONGEST_NAME:
            return None
        by_folded = {_folded(known): field for known, (field, _) in self._known.items()}
        return by_folded.get(nearest(_folded(name), by_folded, similarity=0.7))

    def _names(self, spelling: Spelling | None) -> str:
        return f"its fields are {', '.join(one.name_in(spelling) for one in self.fields)}" if self.is_closed else ""


def check_keys(node: Node, path: str, found: Findings) -> None:
    """Report duplicate names in a mapping, and merge keys, anywhere in the tree."""
    check_own_keys(node, path, found)
    if isinstance(node, Mapping):
        for key, child in node.entries:
            if not isinstance(child, Scalar):
                check_keys(child, joined(path, key.text), found)
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            if not isinstance(item, Scalar):
                check_keys(item, f"{path}[{number}]", found)


def check_own_keys(node: Node, path: str, found: Findings) -> None:
    """The same, in this mapping only."""
    first: dict[str, Scalar] = {}
    for key, _ in node.entries if isinstance(node, Mapping) else ():
        if found.is_full and (key.text in first or key.text == MERGE_KEY):
            found.skip(key)
        elif key.text in first:
            message = f"duplicate field, first in line {first[key.text].line}"
            found.error(key, joined(path, key.text), message, "YAML readers disagree on which one counts")
        elif key.text == MERGE_KEY:
            found.error(key, joined(path, key.text), "merge keys are not part of YAML 1.2", "write the fields out")
        first.setdefault(key.text, key)


def joined(path: str, name: str) -> str:
    """`path.name`, or `path["a name/with more"]`."""
    if len(name) > LONGEST_NAME or not _simple_name.fullmatch(name):
        return f"{path}[{quoted(name)}]"
    return f"{path}.{name}" if path else name


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
