"""Lists that commands print: `-o`, `--selector`, `--sort-by` and `--watch`, the same for all of them."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click

from controller.cli.completion import names_of
from controller.cli.output.render import FORMATS, TABLES, Column, Sheet, Values, dumped, output_option
from controller.cli.output.selection import Fields, nearest, parse_selection
from controller.errors import ControllerError, InvalidSettings, NotFound
from controller.printable import printable

LOOKS_EVERY_SECONDS = 2.0
_GONE = "gone"


@dataclass(frozen=True, slots=True)
class ListingKind:
    """One kind of list."""

    columns: Sequence[Column]
    name: str
    """The field that names a row: what `-o name` prints."""
    fields: Fields
    """What `--selector` knows."""
    tells: tuple[str, ...]
    """Fields whose change makes `--watch` print a row again; not those that change with every second."""
    key: tuple[str, ...]
    """Fields that tell rows apart."""
    state: str
    """The field in which `--watch` says that a row has gone."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is to be shown."""

    rows: list[Values]
    notes: Sequence[str] = ()
    """Lines for people only; they go to standard error."""
    below: Callable[[], Sequence[str]] = list
    """Lines below a table."""
    around: Values | None = None
    """What JSON and YAML show besides the rows, which then are its `references`."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How somebody wants one kind of list."""

    kind: ListingKind
    form: str = "table"
    selector: str = ""
    sort_by: str = ""
    watch: bool = False
    names: Sequence[str] = ()
    """Only the rows that are called so; none: all."""

    def chosen(self, rows: Iterable[Values]) -> list[Values]:
        """The rows that are wanted, in the order that is wanted. Raises InvalidSettings."""
        conditions = parse_selection(self.selector, self.kind.fields)
        named = [row for row in rows if not self.names or row[self.kind.name] in self.names]
        chosen = [row for row in named if all(condition.holds(row) for condition in conditions)]
        return self._sorted(chosen) if self.sort_by else chosen

    def show(self, read: Callable[[], Rows]) -> list[Values]:
        """Print the list; with `--watch` go on, and print what has changed, until somebody ends it.

        Returns the rows that were printed first. Raises NotFound if one that was named is not there at first.
        """
        shown = read()
        self._check_names(shown.rows)
        rows = self.chosen(shown.rows)
        sheet = Sheet([column for column in self.kind.columns if self.form == "wide" or not column.is_wide])
        if self.form in TABLES:
            self._print_table(rows, shown, sheet)
        elif self.form == "name":
            click.echo("\n".join(printable(str(row[self.kind.name])) for row in rows), nl=bool(rows))
        else:
            click.echo(dumped(rows if shown.around is None else {"references": rows, **shown.around}, self.form))
        if self.watch:
            self._follow(read, rows, sheet)
        return rows

    def _check_names(self, rows: Iterable[Values]) -> None:
        known = {row[self.kind.name] for row in rows} if self.names else set()
        for name in self.names:
            if name not in known:
                raise NotFound(f"there is no {name} here{nearest(name, known)}")

    def _print_table(self, rows: Sequence[Values], shown: Rows, sheet: Sheet) -> None:
        lines = [sheet.cells(row) for row in rows]
        sheet.fit(lines)
        click.echo("\n".join((sheet.title_line(), *map(sheet.line, lines), *map(printable, shown.below()))))
        for note in shown.notes:
            click.echo(printable(note), err=True)

    def _follow(self, read: Callable[[], Rows], rows: Sequence[Values], sheet: Sheet) -> None:
        """What hinders a look is told once, and may be over by the next."""
        known, told = self._by_key(rows), ""
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(LOOKS_EVERY_SECONDS)
                try:
                    rows, trouble = self.chosen(read().rows), ""
                except ControllerError as error:
                    trouble = str(error)
                if trouble and trouble != told:
                    click.echo(f"imagectl: {printable(trouble)}", err=True)
                told = trouble
                known = known if trouble else self._print_changes(known, rows, sheet)

    def _print_changes(
        self, known: Mapping[object, Values], rows: Sequence[Values], sheet: Sheet
    ) -> dict[object, Values]:
        """Print what differs from the known rows; the rows that are known from now on."""
        seen = self._by_key(rows)
        for key, row in seen.items():
            if key not in known or self._state(row) != self._state(known[key]):
                click.echo(self._line(row, sheet))
        for key, row in known.items():
            if key not in seen:
                click.echo(self._line_of_gone(row, sheet))
        return seen

    def _line(self, row: Values, sheet: Sheet) -> str:
        """One row by itself: a line of the table, a line of JSON, a document of YAML."""
        if self.form in TABLES:
            return sheet.line(sheet.cells(row))
        if self.form == "name":
            return printable(str(row[self.kind.name]))
        return json.dumps(row, ensure_ascii=False) if self.form == "json" else f"---\n{dumped(row, self.form)}"

    def _line_of_gone(self, row: Values, sheet: Sheet) -> str:
        """Which row it was, and that it is gone: all else would be of the past."""
        left = {name: row[name] for name in self.kind.key} | {self.kind.state: _GONE}
        if self.form in TABLES:
            return sheet.line(sheet.cells_left(left))
        return f"{self._line(left, sheet)} {_GONE}" if self.form == "name" else self._line(left, sheet)

    def _by_key(self, rows: Iterable[Values]) -> dict[object, Values]:
        return {tuple(row[name] for name in self.kind.key): row for row in rows}

    def _state(self, row: Values) -> object:
        return [row.get(field) for field in self.kind.tells]

    def _sorted(self, rows: list[Values]) -> list[Values]:
        name = self.sort_by.removeprefix("-")
        columns = {column.name: column for column in self.kind.columns}
        if name not in columns:
            raise InvalidSettings(
                f"--sort-by: there is no column {name}{nearest(name, columns)}; use {', '.join(columns)}"
            )
        order = columns[name].order or columns[name].text
        known = [row for row in rows if order(row) is not None]
        unknown = [row for row in rows if order(row) is None]
        return sorted(known, key=order, reverse=self.sort_by.startswith("-")) + unknown


def listing(kind: ListingKind) -> Callable[[Any], Any]:
    """Give a command the options of a list; it gets them as one `Listing`, called `wanted`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def call(*args: Any, form: str, selector: str, sort_by: str, watch: bool, **given: Any) -> Any:
            return command(*args, wanted=Listing(kind, form, selector, sort_by, watch), **given)

        for option in (_watch, _sort_by(kind), _selector(kind), output_option(*FORMATS)):
            call = option(call)
        return call

    return decorate


def _selector(kind: ListingKind) -> Callable[[Any], Any]:
    text = f"Only rows for which all of these hold: FIELD=VALUE,FIELD!=VALUE. Fields: {', '.join(kind.fields)}."
    return click.option(
        "-l", "--selector", default="", metavar="CONDITIONS", help=text, shell_complete=_fields_of(kind.fields)
    )


def _sort_by(kind: ListingKind) -> Callable[[Any], Any]:
    columns = ", ".join(column.name for column in kind.columns)
    text = f"Sort by this column; -COLUMN turns it round. Columns: {columns}."
    return click.option("--sort-by", default="", metavar="COLUMN", help=text, shell_complete=_columns_of(kind))


def _columns_of(kind: ListingKind) -> Callable[..., list[str]]:
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        return [column.name for column in kind.columns if column.name.startswith(incomplete)]

    return complete


_watch = click.option(
    "-w", "--watch", is_flag=True, help="Go on, and print every row again that changes or goes, until Ctrl-C."
)


def _fields_of(fields: Fields) -> Callable[..., list[str]]:
    """Completes the last condition."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        whole = [f"{name}={word}" for name, words in fields.items() for word in (words() or ("",))]
        if last.startswith("document=") and "document" in fields:
            whole = [f"document={name}" for name in names_of("document")(context, parameter, "")]
        return [f"{before}{comma}{text}" for text in whole if text.startswith(last)]

    return complete
