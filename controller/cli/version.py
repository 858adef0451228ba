"""`imagectl version`."""

from __future__ import annotations

import platform

import click

from controller import __version__


@click.command()
def version() -> None:
    """Print the version of imagectl and of the Python that runs it."""
    click.echo(f"imagectl {__version__} (Python {platform.python_version()})")
