"""Prints rows as a table, JSON, YAML or names.

Columns are plain and left-aligned, as in kubectl; no text is cut off. Colours are for terminals without NO_COLOR.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Generic, TypeVar

import click

from controller import settings
from controller.json_text import decoded
from controller.plan.report.rows import as_values
from controller.printable import printable
from controller.value import dataclass

R = TypeVar("R", contravariant=True)
FORMATS = ("table", "wide", "json", "yaml", "name")
TABLES = ("table", "wide")
_BETWEEN = "   "


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column of a table."""

    title: str
    text: Callable[[R], str]
    is_wide: bool = False
    """Shown with `-o wide` only."""
    order: Callable[[R], Any] | None = None
    """The value that `--sort-by` uses, if not the text; None comes last."""
    alias: str = ""
    """Another name for `--sort-by`: the one that the column had before."""
    names_row: bool = False
    """True if it identifies the row: `--watch` then shows it for a row that is gone, too."""
    when_gone: str = ""
    """What `--watch` shows in this column for such a row."""
    colours: Mapping[str, str] = field(default_factory=dict)
    """Colours of the words that it may show."""

    @property
    def name(self) -> str:
        """Its name in `--sort-by`: `LAST USED (ABOUT)` is last-used."""
        return self.title.partition(" (")[0].lower().replace(" ", "-")


def output_option(*forms: str) -> Callable[[Any], Any]:
    """`-o`, with the formats of a command."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(forms or FORMATS),
        default="table",
        show_default=True,
        help="Output format.",
    )


def table(rows: Sequence[R], columns: Sequence[Column[R]], form: str = "table") -> str:
    """A table with a line of titles; the last column is not padded."""
    sheet = Sheet([column for column in columns if form == "wide" or not column.is_wide])
    cells = [sheet.cells(row) for row in rows]
    sheet.fit(cells)
    return "\n".join((sheet.title_line(), *map(sheet.line, cells)))


class Sheet(Generic[R]):
    """The columns of one table and their widths; `--watch` adds lines."""

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        self._columns = columns
        self._widths = [len(column.title) for column in columns]
        self._has_colours = has_colours()

    def cells(self, row: R) -> list[str]:
        """The texts of one line."""
        return [printable(column.text(row)) for column in self._columns]

    def cells_of_gone(self, row: R) -> list[str]:
        """The same for a row that is no longer there: its name and that it is gone."""
        cells = (column.text(row) if column.names_row else column.when_gone or "-" for column in self._columns)
        return [printable(cell) for cell in cells]

    def fit(self, lines: Iterable[Sequence[str]]) -> None:
        """Make every column wide enough for these lines."""
        for place, cells in enumerate(zip(*lines, strict=True)):
            self._widths[place] = max(self._widths[place], *map(len, cells))

    def title_line(self) -> str:
        """The first line of the table."""
        titles = (column.title.ljust(width) for column, width in zip(self._columns, self._widths, strict=True))
        return _BETWEEN.join(titles).rstrip()

    def line(self, cells: Sequence[str]) -> str:
        """One line; a text that is wider than its column is printed whole."""
        if not self._has_colours:
            return _BETWEEN.join(map(str.ljust, cells, self._widths)).rstrip()
        return _BETWEEN.join(map(self._painted, cells, self._widths, self._columns)).rstrip()

    def _painted(self, cell: str, width: int, column: Column[R]) -> str:
        colour = column.colours.get(cell)
        return (click.style(cell, fg=colour) if colour else cell) + " " * (width - len(cell))


def has_colours() -> bool:
    """True if standard output is a terminal without NO_COLOR (no-color.org)."""
    environment = settings.environment()
    is_terminal = bool(sys.stdout) and sys.stdout.isatty()  # None after `>&-`.
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def dumped(values: Any, form: str) -> str:
    """JSON or YAML."""
    text = as_json(values, indent=2)
    if form == "json":
        return text
    import yaml

    return yaml.safe_dump(decoded(text), sort_keys=False, allow_unicode=_is_unicode(), width=120).rstrip()


def as_json(values: Any, indent: int | None = None) -> str:
    """JSON, on one line without `indent`."""
    return json.dumps(values, indent=indent, ensure_ascii=not _is_unicode(), default=as_values)


def _is_unicode() -> bool:
    """False if standard output lacks characters: Python's escapes of them are not valid in JSON and YAML."""
    return bool(sys.stdout) and sys.stdout.encoding.lower().startswith("utf")  # None after `>&-`.
