"""`imagectl version`."""

from __future__ import annotations

import click

from controller import __version__
from controller.cli.main import PYTHON_VERSION, VERSION
from controller.cli.output.render import dumped, output_option


@click.command()
@output_option("table", "json", "yaml")
def version(form: str) -> None:
    """Print the version of imagectl and of Python."""
    if form == "table":
        click.echo(VERSION)
    else:
        click.echo(dumped({"version": __version__, "python": PYTHON_VERSION}, form))
