"""Lists that commands print: `-o`, `--selector`, `--sort-by` and `--watch`, the same for all lists."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

import click

from controller.adapters.host import heap
from controller.cli.completion import names_of
from controller.cli.output.render import FORMATS, TABLES, Column, Sheet, as_json, dumped, output_option
from controller.cli.output.selection import Fields, listed, nearest, parse_selection
from controller.errors import ControllerError, InvalidSettings, NotFound
from controller.plan.report.rows import as_values
from controller.printable import printable
from controller.value import dataclass

READ_EVERY_SECONDS = 2.0
GONE = "gone"

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ListingKind(Generic[R]):
    """One kind of list."""

    columns: Sequence[Column[R]]
    name: str
    """The field that `-o name` prints."""
    fields: Fields
    """The fields of `--selector`."""
    compared: tuple[str, ...]
    """Fields whose change makes `--watch` print a row again; not those that change every second."""
    key: tuple[str, ...]
    """Fields that identify a row."""
    state: str
    """The field in which `--watch` says that a row is gone."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """What a list shows."""

    rows: list[R]
    notes: Sequence[str] = ()
    """Lines for people only; they go to standard error."""
    below: Callable[[], Sequence[str]] = list
    """Lines below a table."""
    around: object | None = None
    """What JSON and YAML show besides the rows, which then are its `references`."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """The options of one list."""

    kind: ListingKind[R]
    form: str = "table"
    selector: str = ""
    sort_by: str = ""
    watch: bool = False
    names: Sequence[str] = ()
    """Only the rows of these names; empty: all."""

    def chosen(self, rows: Iterable[R]) -> list[R]:
        """The selected rows, sorted. Raises InvalidSettings."""
        conditions = parse_selection(self.selector, self.kind.fields)
        named = [row for row in rows if not self.names or self._name(row) in self.names]
        chosen = [row for row in named if all(condition.holds(row) for condition in conditions)]
        return self._sorted(chosen) if self.sort_by else chosen

    def show(self, read: Callable[[], Rows[R]]) -> list[R]:
        """Print the list; with `--watch` also print every change until Ctrl-C.

        Returns the rows that were printed first. Raises NotFound if a named row does not exist.
        """
        shown = read()
        self._check_names(shown.rows)
        rows = self.chosen(shown.rows)
        sheet = Sheet([column for column in self.kind.columns if self.form == "wide" or not column.is_wide])
        if self.form in TABLES:
            self._print_table(rows, shown, sheet)
        elif self.form == "name":
            click.echo("\n".join(printable(self._name(row)) for row in rows), nl=bool(rows))
        else:
            click.echo(
                dumped(rows if shown.around is None else {"references": rows} | as_values(shown.around), self.form)
            )
        if self.watch:
            self._follow(read, rows, sheet)
        return rows

    def _check_names(self, rows: Iterable[R]) -> None:
        known = {self._name(row) for row in rows} if self.names else set()
        for name in self.names:
            if name not in known:
                raise NotFound(f"{name}: not found{nearest(name, known)}")

    def _print_table(self, rows: Sequence[R], shown: Rows[R], sheet: Sheet[R]) -> None:
        lines = [sheet.cells(row) for row in rows]
        sheet.fit(lines)
        click.echo("\n".join((sheet.title_line(), *map(sheet.line, lines), *map(printable, shown.below()))))
        for note in shown.notes:
            click.echo(printable(note), err=True)

    def _follow(self, read: Callable[[], Rows[R]], rows: Sequence[R], sheet: Sheet[R]) -> None:
        """An error is printed once; reading continues."""
        heap.expect_garbage()
        known, printed = self._by_key(rows), ""
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(READ_EVERY_SECONDS)
                try:
                    rows, trouble = self.chosen(read().rows), ""
                except ControllerError as error:
                    trouble = str(error)
                if trouble and trouble != printed:
                    click.echo(f"imagectl: {printable(trouble)}", err=True)
                printed = trouble
                known = known if trouble else self._print_changes(known, rows, sheet)

    def _print_changes(self, known: dict[object, R], rows: Sequence[R], sheet: Sheet[R]) -> dict[object, R]:
        """Print what differs from the known rows; returns the new ones."""
        seen = self._by_key(rows)
        for key, row in seen.items():
            if key not in known or self._state(row) != self._state(known[key]):
                click.echo(self._line(row, sheet))
        for key, row in known.items():
            if key not in seen:
                click.echo(self._line_of_gone(row, sheet))
        return seen

    def _line(self, row: R, sheet: Sheet[R]) -> str:
        """One row: a line of the table, a line of JSON, a document of YAML."""
        if self.form in TABLES:
            return sheet.line(sheet.cells(row))
        return printable(self._name(row)) if self.form == "name" else self._dumped(row)

    def _line_of_gone(self, row: R, sheet: Sheet[R]) -> str:
        """The row's name and that it is gone."""
        if self.form in TABLES:
            return sheet.line(sheet.cells_of_gone(row))
        left = {name: getattr(row, name) for name in self.kind.key} | {self.kind.state: GONE}
        return f"{printable(self._name(row))} {GONE}" if self.form == "name" else self._dumped(left)

    def _dumped(self, row: object) -> str:
        """One row for programs: a line of JSON, or a document of YAML."""
        if self.form == "json":
            return as_json(row)
        return f"---\n{dumped(row, self.form)}"

    def _name(self, row: R) -> str:
        return str(getattr(row, self.kind.name))

    def _by_key(self, rows: Iterable[R]) -> dict[object, R]:
        return {tuple(getattr(row, name) for name in self.kind.key): row for row in rows}

    def _state(self, row: R) -> object:
        return [getattr(row, field) for field in self.kind.compared]

    def _sorted(self, rows: list[R]) -> list[R]:
        name = self.sort_by.removeprefix("-")
        columns = {name: column for column in self.kind.columns for name in (column.name, column.alias) if name}
        if name not in columns:
            raise InvalidSettings(
                f"--sort-by: unknown column {name}{nearest(name, columns) or listed('columns', columns)}"
            )
        order = columns[name].order or columns[name].text
        known = [row for row in rows if order(row) is not None]
        unknown = [row for row in rows if order(row) is None]
        return sorted(known, key=order, reverse=self.sort_by.startswith("-")) + unknown


def listing(kind: ListingKind[Any]) -> Callable[[Any], Any]:
    """Add the options of a list to a command; it gets them as one `Listing`, `wanted`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def call(*args: Any, form: str, selector: str, sort_by: str, watch: bool, **given: Any) -> Any:
            return command(*args, wanted=Listing(kind, form, selector, sort_by, watch), **given)

        for option in (_watch, _sort_by(kind), _selector(kind), output_option(*FORMATS)):
            call = option(call)
        return call

    return decorate


def _selector(kind: ListingKind[Any]) -> Callable[[Any], Any]:
    text = f"Only rows that meet all of these: FIELD=VALUE,FIELD!=VALUE. Fields: {', '.join(kind.fields)}."
    return click.option(
        "-l", "--selector", default="", metavar="CONDITIONS", help=text, shell_complete=_fields_of(kind.fields)
    )


def _sort_by(kind: ListingKind[Any]) -> Callable[[Any], Any]:
    columns = ", ".join(column.name for column in kind.columns)
    text = f"Sort by this column; -COLUMN reverses the order. Columns: {columns}."
    return click.option("--sort-by", default="", metavar="COLUMN", help=text, shell_complete=_columns_of(kind))


def _columns_of(kind: ListingKind[Any]) -> Callable[..., list[str]]:
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        return [column.name for column in kind.columns if column.name.startswith(incomplete)]

    return complete


_watch = click.option(
    "-w", "--watch", is_flag=True, help="Keep running, and print every row that changes or disappears, until Ctrl-C."
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
