"""A command's rows → a table, JSON, YAML or names.

Columns are plain and left-aligned, as kubectl's; nothing is cut off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

Values = dict[str, Any]
FORMATS = ("table", "wide", "json", "yaml", "name")
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    text: Callable[[Values], str]
    is_wide: bool = False
    """Shown with `-o wide` only."""


def output_option(*forms: str) -> Callable[[Any], Any]:
    """`-o`, with the forms that a command knows."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(forms or FORMATS),
        default="table",
        show_default=True,
        help="How to print.",
    )


def table(rows: Sequence[Values], columns: Sequence[Column], form: str = "table") -> str:
    """A table with a line of titles; the last column is not padded."""
    shown = [column for column in columns if form == "wide" or not column.is_wide]
    lines = [[column.title for column in shown], *([plain(column.text(row)) for column in shown] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def dumped(values: Any, form: str) -> str:
    """JSON or YAML."""
    if form == "json":
        return json.dumps(values, indent=2, ensure_ascii=False)
    import yaml

    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120).rstrip()


def plain(text: str) -> str:
    """On one line, and without characters that do something to a terminal: names and labels are other people's."""
    return _control.sub("?", text)
