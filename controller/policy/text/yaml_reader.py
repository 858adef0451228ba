"""Convert YAML text into trees from the events of PyYAML's parser, with libyaml or without.

The Builder checks the limits event by event: `yaml.load` composes recursively and crashes on deep nesting. Frequent
mistakes get messages of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from controller.errors import InvalidText
from controller.policy.problem import quoted
from controller.policy.text.scalars import read_plain
from controller.policy.text.tree import NO_CHARACTER, Builder, Node, Scalar

PURE: Any = yaml.SafeLoader
FAST: Any = getattr(yaml, "CSafeLoader", PURE)
"""PyYAML for 32-bit ARM and RISC-V has no libyaml."""

# libyaml accepts some tabs, question marks, and comments right after | and > that PyYAML refuses or reads differently.
_read_differently = re.compile(r"[\t?]|[|>][-+0-9]*#")


def read_yaml(text: str, builder: Builder, first_line: int = 1) -> list[Node]:
    """Every document in the text. Raises InvalidText if any cannot be read.

    libyaml is only a faster path. Where it refuses a text, PyYAML decides, so that all nodes give one answer.
    """
    try:
        if not _read_differently.search(text):
            return list(_documents(FAST(text), builder, first_line))
    except (yaml.YAMLError, ValueError, OverflowError):
        builder.start()
    loader = PURE(text)
    try:
        return list(_documents(loader, builder, first_line))
    except yaml.MarkedYAMLError as error:
        raise _explained(error, first_line) from None
    except (ValueError, OverflowError):
        # PyYAML does not check the number in an escape or a directive.
        mark = loader.get_mark()
        raise InvalidText(NO_CHARACTER, mark.line + first_line, mark.column + 1) from None


def _documents(loader: Any, builder: Builder, first_line: int) -> Iterator[Node]:
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, yaml.NodeEvent):
            mark: Any = event.start_mark
            _build(event, builder, mark.line + first_line, mark.column + 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            builder.end()
        elif isinstance(event, yaml.DocumentEndEvent):
            yield builder.finish()


def _build(event: Any, builder: Builder, line: int, column: int) -> None:
    if isinstance(event, yaml.AliasEvent):
        builder.alias(str(event.anchor), line, column)
    elif event.tag is not None:
        hint = "remove it; text that starts with ! needs quotes"
        raise InvalidText(f"unexpected tag {quoted(event.tag)}: tags are not supported", line, column, hint)
    elif isinstance(event, yaml.ScalarEvent):
        builder.scalar(_scalar(event, line, column), event.anchor)
    else:
        builder.begin(isinstance(event, yaml.MappingStartEvent), line, column, event.anchor)


def _scalar(event: Any, line: int, column: int) -> Scalar:
    text, is_plain = event.value, event.implicit[0]
    inset = 0 if is_plain else 1
    begin, end = event.start_mark, event.end_mark
    is_simple = begin.line == end.line and end.column - begin.column == len(text) + 2 * inset
    return Scalar(read_plain(text) if is_plain else text, text, line, column, inset if is_simple else None)


_EXPLANATIONS = (
    ("scanning an alias", "unexpected *", 'text that starts with * needs quotes: "*", "*:latest"'),
    (
        "mapping values are not allowed",
        'unexpected ":"',
        'text that contains ": " needs quotes; or check the indentation',
    ),
    (
        "cannot start any token",
        "unexpected character",
        "text that starts with @, % or ` needs quotes; tabs cannot indent",
    ),
    ("quoted scalar found unexpected", "missing closing quotation mark", ""),
    ("invalid Unicode character", NO_CHARACTER, ""),
    ("escape", "unknown escape sequence", r"in double quotes \ starts an escape; single quotes have no escapes"),
    (
        "could not find expected ':'",
        'expected "name: value"',
        "put a blank after the colon",
    ),
    ("parsing a flow", "missing comma or closing bracket", ""),
    (
        "parsing a block",
        "this line does not fit the lines above",
        "fields of one mapping start in the same column; check the indentation",
    ),
    ("document start", "unexpected text after the end of the document", "check indentation, quotes and brackets"),
)
_shown_where_it_begins = (
    "quoted scalar found unexpected",
    "could not find expected ':'",
    "parsing a flow",
    "invalid Unicode character",
    "escape",
)


def _explained(error: yaml.MarkedYAMLError, first_line: int) -> InvalidText:
    said = f"{error.context or ''} {error.problem or ''}"
    needle, message, hint = next(
        (row for row in _EXPLANATIONS if row[0] in said), ("", f"invalid YAML: {said.strip()}", "")
    )
    mark = error.context_mark if needle in _shown_where_it_begins and error.context_mark else error.problem_mark
    line, column = (mark.line + first_line, mark.column + 1) if mark else (first_line, 1)
    return InvalidText(message, line, column, hint)
