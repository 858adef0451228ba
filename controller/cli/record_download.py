"""`imagectl record-download`: records in the ledger which images the agent downloaded."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import click

from controller.adapters.ledger.ledger import record_downloads
from controller.cli.options import settings_from, with_settings
from controller.errors import InvalidReference, InvalidSettings
from controller.image.reference import is_image_id, parse_reference
from controller.plan.memory.memory import Memory
from controller.plan.memory.names import Names
from controller.printable import printable
from controller.quantity import count_of


class _Lines(click.File):
    """A file that need not be text. A closed standard input is an error (click raises another one)."""

    def __init__(self) -> None:
        super().__init__(errors="replace")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" and not sys.stdin:
            self.fail("standard input is closed", param, ctx)
        return super().convert(value, param, ctx)


@click.command(name="record-download")
@click.argument("references", metavar="REF...", nargs=-1)
@click.option("--from", "file", type=_Lines(), help="Read more names from FILE (- for standard input), one per line.")
@with_settings("ledger")
def record_download(references: tuple[str, ...], file: TextIO | None, **given: Any) -> None:
    """Record that the agent downloaded these images, so that rules with `agent_downloaded_only` cover them.

    REF is a name (app:1.2), a name by digest or an image ID. It works while a controller runs: the next pass reads the
    names. A name without an image waits for a pull of that name, at most a day of observed time.

    \b
    Examples:
      imagectl record-download registry.local:5000/team/app:1.4
      docker images -q --no-trunc team/app | imagectl record-download --from -
    """
    names = [*references, *_names_in(file)]
    if not names:
        raise click.UsageError("name at least one image, or a file of names with --from")
    for name in names:
        _check(name)
    memory = record_downloads(settings_from(given).ledger, names)
    click.echo(f"recorded {count_of(len(names), 'download')} for the controller's next pass")
    for name in _without_image(names, memory):
        click.echo(f"{printable(name)}: waits for an image of that name, at most a day of observed time")


def _without_image(names: Iterable[str], memory: Memory) -> list[str]:
    """The names that no image of the last pass has; none before the first pass."""
    if memory.seen is None:
        return []
    known = Names(memory.seen.images)
    return [name for name in dict.fromkeys(names) if not known.images_now_named(name)]


def _names_in(file: TextIO | None) -> Iterator[str]:
    return (line.strip() for line in file or () if line.strip() and not line.startswith("#"))


def _check(name: str) -> None:
    if not is_image_id(name):
        try:
            parse_reference(name)
        except InvalidReference as error:
            raise InvalidSettings(f"{name!r} is not an image name: {error}; nothing was recorded") from error
