"""Settings as command-line options, made from their declaration: name, default and help are declared once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controller import settings
from controller.printable import printable
from controller.quantity import seconds_in_words
from controller.settings import DECLARED, REPEATABLE, SWITCHES, Choice, Settings

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

READING = (
    "policies",
    "docker_host",
    "docker_certificates",
    "ledger",
    "node",
    "agent_url",
    "settle",
    "resync",
    "usage",
    "disk",
    "disk_pressure_start",
    "disk_pressure_stop",
)
"""Settings of commands that show the controller's decision and change nothing."""


def with_settings(*names: str) -> Callable[[F], F]:
    """Add these settings to a command as options, and --config."""

    def decorate(command: F) -> F:
        for name in reversed(names):
            command = _option(name)(command)
        config = click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help=_CONFIG_HELP)
        return config(command)

    return decorate


def settings_from(given: dict[str, Any]) -> Settings:
    """The settings from a command's options, the environment and the configuration file.

    Prints a warning for each unknown IMAGECTL_* variable. Raises InvalidSettings, also for an invalid --protect in
    commands that only show its effect.
    """
    for warning in settings.misspelt_variables(settings.environment()):
        click.echo(f"imagectl: warning: {printable(warning)}", err=True)
    found = settings_silently_from(given)
    if "protect" in given and found.protect:
        from controller.daemon.conditions import (
            conditions_of,  # Imports the planner, which is slow and needed only with --protect.
        )

        conditions_of(found)
    return found


def settings_silently_from(given: dict[str, Any]) -> Settings:
    """The same without warnings, for completion. Raises InvalidSettings."""
    config = given.pop("config", None)
    given = {name: value for name, value in given.items() if name in DECLARED}
    found = settings.load(given, settings.environment(), config)
    return replace(found, ledger=_without_link(found.ledger))


def _without_link(ledger: Path) -> Path:
    """The file that a link names. Its log and its lock are beside it: by another name it would have others."""
    try:
        ledger.readlink()
    except OSError:
        return ledger
    return Path(os.path.realpath(ledger))


_CONFIG_HELP = (
    f"Settings as TOML, one for each option. Default: {settings.CONFIG_FILE}.  [env: {settings.CONFIG_VARIABLE}]"
)


def _option(name: str) -> Callable[[F], F]:
    declared = DECLARED[name]
    flag = f"--{name.replace('_', '-')}"
    text = f"{declared.metadata['help']}{_shown_default(declared.default)}  [env: IMAGECTL_{name.upper()}]"
    if name in SWITCHES:
        return click.option(flag, name, is_flag=True, default=None, help=text)
    return click.option(
        flag,
        name,
        metavar=declared.metadata["metavar"],
        multiple=name in REPEATABLE,
        default=None,
        help=text,
        shell_complete=_completes(declared.metadata["parse"]),
    )


def _completes(parse: object) -> Callable[..., list[str] | list[CompletionItem]] | None:
    """Completes a choice; None: as click does."""
    if not isinstance(parse, Choice):
        return None
    choices = parse.choices
    return lambda context, parameter, incomplete: [word for word in choices if word.startswith(incomplete)]


def _shown_default(default: Any) -> str:
    if default in (None, "", (), False, "auto") or default == Path("ledger.db"):
        return ""
    if isinstance(default, float):
        return f"  [default: {seconds_in_words(default)}]"
    if isinstance(default, tuple):
        return f"  [default: {':'.join(map(str, default))}]"
    return f"  [default: {default}]"
