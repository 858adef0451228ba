"""`imagectl completion`, and completion of references and documents from the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from controller.cli.options import settings_silently_from
from controller.cli.reported import reported_names
from controller.errors import ControllerError
from controller.settings import COMPLETION_VARIABLE

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script with which SHELL completes commands, options, references and documents.

    \b
    Examples:
      source <(imagectl completion bash)                                     # in this shell
      imagectl completion bash > /etc/bash_completion.d/imagectl             # for all users
      imagectl completion zsh > "${fpath[1]}/_imagectl"
      imagectl completion fish > ~/.config/fish/completions/imagectl.fish
    """
    from click.shell_completion import get_completion_class

    from controller.cli.shells import register

    register()
    if kind := get_completion_class(shell):
        click.echo(kind(context.find_root().command, {}, "imagectl", COMPLETION_VARIABLE).source())


def names_of(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the names of a kind of rows: reference or document."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            names = reported_names(settings_silently_from(_given(context)), kind)
        except ControllerError:
            return []  # Completion prints no errors.
        return [name for name in names if name.startswith(incomplete)]

    return complete


def _given(context: click.Context) -> dict[str, Any]:
    return {name: value for name, value in context.params.items() if name in ("ledger", "config")}
