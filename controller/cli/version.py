"""`imagectl version`."""

from __future__ import annotations

import platform

import click

from controller import __version__
from controller.cli.output.render import dumped, output_option


@click.command()
@output_option("table", "json", "yaml")
def version(form: str) -> None:
    """Print the version of imagectl and of Python."""
    if form == "table":
        click.echo(in_words())
    else:
        click.echo(dumped({"version": __version__, "python": platform.python_version()}, form))


def in_words() -> str:
    """The line that `imagectl version` and `imagectl --version` print."""
    return f"imagectl {__version__} (Python {platform.python_version()})"
