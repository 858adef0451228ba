"""A command's rows → a table, JSON, YAML or names.

Columns are plain and left-aligned, as kubectl's; nothing is cut off. Colour is for terminals, and never with NO_COLOR.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from controller import settings
from controller.printable import printable

Values = dict[str, Any]
FORMATS = ("table", "wide", "json", "yaml", "name")
TABLES = ("table", "wide")
_BETWEEN = "   "


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    text: Callable[[Values], str]
    is_wide: bool = False
    """Shown with `-o wide` only."""
    order: Callable[[Values], Any] | None = None
    """What `--sort-by` goes by, where that is not the text; None comes last."""
    colours: Mapping[str, str] = field(default_factory=dict)
    """Colours of the words that it may show."""

    @property
    def name(self) -> str:
        """How `--sort-by` calls it: `LAST USED (ABOUT)` is last-used."""
        return self.title.partition(" (")[0].lower().replace(" ", "-")


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
    sheet = Sheet([column for column in columns if form == "wide" or not column.is_wide])
    cells = [sheet.cells(row) for row in rows]
    sheet.fit(cells)
    return "\n".join((sheet.title_line(), *map(sheet.line, cells)))


class Sheet:
    """The columns of one table and their widths; lines may be added for as long as somebody watches."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._widths = [len(column.title) for column in columns]
        self._has_colours = has_colours()

    def cells(self, row: Values) -> list[str]:
        """The texts of one line."""
        return [printable(column.text(row)) for column in self._columns]

    def cells_left(self, row: Values) -> list[str]:
        """The same of a row of which only few fields are left."""
        return [_cell_if_known(column, row) for column in self._columns]

    def fit(self, lines: Iterable[Sequence[str]]) -> None:
        """Make every column wide enough for these lines."""
        for cells in lines:
            self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]

    def title_line(self) -> str:
        """The first line of the table."""
        titles = (column.title.ljust(width) for column, width in zip(self._columns, self._widths, strict=True))
        return _BETWEEN.join(titles).rstrip()

    def line(self, cells: Sequence[str]) -> str:
        """One line; a text that is wider than its column stays whole."""
        return _BETWEEN.join(map(self._painted, cells, self._widths, self._columns)).rstrip()

    def _painted(self, cell: str, width: int, column: Column) -> str:
        colour = column.colours.get(cell) if self._has_colours else None
        return (click.style(cell, fg=colour) if colour else cell) + " " * (width - len(cell))


def _cell_if_known(column: Column, row: Values) -> str:
    try:
        return printable(column.text(row))
    except KeyError:
        return "-"


def has_colours() -> bool:
    """Is standard output a terminal whose owner wants colours? See no-color.org."""
    environment = settings.environment()
    is_terminal = bool(sys.stdout) and sys.stdout.isatty()  # There is none after `>&-`.
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def dumped(values: Any, form: str) -> str:
    """JSON or YAML."""
    if form == "json":
        return json.dumps(values, indent=2, ensure_ascii=False)
    import yaml

    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120).rstrip()
