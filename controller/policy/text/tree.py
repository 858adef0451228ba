"""Trees of plain values with source positions: the output of both readers and the input of every check.

The Builder receives nodes in the order of the text. It refuses a document that is too deep or too large before any
recursive code runs on it.
"""

from __future__ import annotations

from dataclasses import field
from typing import NamedTuple, Protocol

from controller.errors import InvalidText
from controller.pattern import Pattern
from controller.policy.problem import quoted
from controller.policy.text.scalars import Ambiguous, Value
from controller.value import dataclass

MOST_NODES = 10_000
MOST_NODES_OF_A_FILE = 50_000
"""Reading them takes PyYAML without libyaml less than a second."""
MOST_LEVELS = 50

NO_CHARACTER = "an escape sequence that is not a valid character"
_surrogate = Pattern(r"[\ud800-\udfff]")


class SourcePosition(Protocol):
    """A position in a file; line and column count from 1."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class Scalar(NamedTuple):
    """A word, a number or a text."""

    value: Value
    text: str
    line: int
    column: int
    inset: int | None = None
    """Columns before the text itself (1 for a quotation mark); None if characters do not map to columns."""


class Sequence(NamedTuple):
    items: tuple[Node, ...]
    line: int
    column: int
    nodes: int
    levels: int


class Mapping(NamedTuple):
    entries: tuple[tuple[Scalar, Node], ...]
    """In the order of the text, duplicate keys included."""
    line: int
    column: int
    nodes: int
    """This node and all below it, keys included, aliases expanded."""
    levels: int


Node = Scalar | Sequence | Mapping


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(node: Node) -> Plain:
    """The node as JSON values; for an ambiguous scalar its text."""
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.text if isinstance(node.value, Ambiguous) else node.value


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not closed yet."""

    is_mapping: bool
    line: int
    column: int
    anchor: str | None
    children: list[Node] = field(default_factory=list)
    nodes: int = 1
    levels: int = 1

    def as_node(self) -> Node:
        if not self.is_mapping:
            return Sequence(tuple(self.children), self.line, self.column, self.nodes, self.levels)
        keys, values = self.children[::2], self.children[1::2]
        entries = tuple((_as_key(key), value) for key, value in zip(keys, values, strict=True))
        return Mapping(entries, self.line, self.column, self.nodes, self.levels)


class Builder:
    """Builds the documents of one file, one after the other. Raises InvalidText where it stops reading."""

    def __init__(self) -> None:
        self._nodes_of_file = 0
        self.start()

    def start(self) -> None:
        """Start a document and discard the previous one, complete or not."""
        self._root: Node | None = None
        self._nodes = 0
        self._open: list[_Open] = []
        self._anchored: dict[str, Node | None] = {}

    def finish(self) -> Node:
        """The complete document."""
        assert self._root is not None
        root = self._root
        self.start()
        return root

    @property
    def is_exhausted(self) -> bool:
        """True if the file exceeds its limit of nodes."""
        return self._nodes_of_file > MOST_NODES_OF_A_FILE

    def begin(self, is_mapping: bool, line: int, column: int, anchor: str | None = None) -> None:
        self._allow(line, column, levels=1)
        if anchor:
            self._anchored[anchor] = None
        self._open.append(_Open(is_mapping, line, column, anchor))

    def end(self) -> None:
        closed = self._open.pop()
        self._add(closed.as_node(), closed.anchor)

    def scalar(self, scalar: Scalar, anchor: str | None = None) -> None:
        self._allow(scalar.line, scalar.column)
        if not scalar.text.isascii() and _surrogate.regex.search(scalar.text):
            raise InvalidText(NO_CHARACTER, scalar.line, scalar.column)
        self._add(scalar, anchor)

    def alias(self, name: str, line: int, column: int) -> None:
        if name not in self._anchored:
            alias = quoted(f"*{name}")
            hint = f"text that starts with * needs quotes: {alias}"
            raise InvalidText(f"undefined alias {alias}", line, column, hint)
        node = self._anchored[name]
        if node is None:
            raise InvalidText(f"the alias {quoted(f'*{name}')} contains itself", line, column)
        self._allow(line, column, _nodes(node), _levels(node))
        self._add(node)

    def _allow(self, line: int, column: int, nodes: int = 1, levels: int = 0) -> None:
        self._nodes += nodes
        self._nodes_of_file += nodes
        if self.is_exhausted:
            hint = "divide it into several files"
            raise InvalidText(
                f"more than {MOST_NODES_OF_A_FILE} nodes in one file, aliases expanded", line, column, hint
            )
        if self._nodes > MOST_NODES:
            hint = "divide it into several documents"
            raise InvalidText(f"more than {MOST_NODES} nodes in one document, aliases expanded", line, column, hint)
        if len(self._open) + levels > MOST_LEVELS:
            raise InvalidText(f"nested more than {MOST_LEVELS} levels deep", line, column)

    def _add(self, node: Node, anchor: str | None = None) -> None:
        if anchor:
            self._anchored[anchor] = node
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.children.append(node)
        parent.nodes += _nodes(node)
        parent.levels = max(parent.levels, 1 + _levels(node))


def _nodes(node: Node) -> int:
    return 1 if isinstance(node, Scalar) else node.nodes


def _levels(node: Node) -> int:
    return 0 if isinstance(node, Scalar) else node.levels


def _as_key(node: Node) -> Scalar:
    if not isinstance(node, Scalar):
        raise InvalidText("a field name must be a word, not a list or mapping", node.line, node.column)
    return node
