"""The command table, and the one place where errors become a line and an exit code.

Commands are imported when they are called: one that only reads the ledger must not wait for Docker's library.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from controller import settings
from controller.cli.output.selection import nearest
from controller.cli.shells import VARIABLE, register
from controller.errors import ControllerError, EngineUnavailable, LedgerError, UserError
from controller.printable import printable

COMMANDS = {
    "run": ("controller.cli.run:run", "Watch policies and the engine, and remove what is due."),
    "plan": ("controller.cli.plan:plan", "Show what would go now, what goes when, and what stays."),
    "explain": ("controller.cli.explain:explain", "Say why one image goes or stays."),
    "get": ("controller.cli.get:get", "List images, policies or removals."),
    "nmp": ("controller.cli.nmp:nmp", "Write, check and match policy documents."),
    "sync": ("controller.cli.sync:sync", "Fetch policies into the folder."),
    "record-download": ("controller.cli.record_download:record_download", "Tell what the agent downloaded."),
    "health": ("controller.cli.health:health", "Ask a running controller whether it is well."),
    "completion": ("controller.cli.completion:completion", "Print a script for the completion of a shell."),
    "version": ("controller.cli.version:version", "Print the version."),
}
GOOD, WRONG, USAGE, UNREACHABLE = 0, 1, 2, 3
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EDQUOT)


class _EnoughReadError(Exception):
    """Whoever read our output has had enough. Of a BrokenPipeError click itself would make exit code 1."""


class _Commands(click.Group):
    """Finds commands by name, and only then imports them."""

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Options such as --help print here already."""
        try:
            return super().make_context(*args, **named)
        except BrokenPipeError as error:
            raise _EnoughReadError from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was found."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _EnoughReadError from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name}{nearest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The same for shells."""
        commands = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in commands if item.value.startswith(incomplete)] + options


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=_Commands, context_settings=_SETTINGS)
def imagectl() -> None:
    """Remove container images that this node no longer needs, by policy, and never one that it does.

    `imagectl run` is the controller; `plan`, `explain` and `get` show what it sees and decides, and change nothing;
    `nmp` helps to write policies. `imagectl COMMAND --help` tells more about each.

    Every setting can be given as an option, as IMAGECTL_NAME in the environment, or as a line of the configuration
    file, /etc/image-controller/config.toml; whatever comes first in this list wins.

    \b
    Exit codes:
      0  good
      1  something is wrong in what was checked
      2  wrong usage
      3  the engine or the ledger cannot be reached

    \b
    Examples:
      imagectl run --policies /etc/image-controller/policies
      imagectl plan
      imagectl explain registry.local:5000/team/app:1.4
      imagectl get removals --since 7d
    """


def main() -> None:
    """Run the command line, or complete it for a shell."""
    if VARIABLE in settings.environment():
        register()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code: 0 good, 1 something is wrong in what was checked, 2 usage, 3 engine
    or ledger.
    """
    try:
        code = imagectl.main(arguments, prog_name="imagectl", standalone_mode=False)
        return code if isinstance(code, int) else GOOD  # What a command gives to `context.exit`.
    except click.ClickException as error:
        return _told(error.show, USAGE)
    except click.Abort:
        return _say("interrupted", WRONG)
    except UserError as error:
        return _say(str(error), USAGE)
    except (LedgerError, EngineUnavailable) as error:
        return _say(str(error), UNREACHABLE)
    except ControllerError as error:
        return _say(str(error), WRONG)
    except _EnoughReadError:
        _write_no_more(sys.stdout)
        return GOOD
    except MemoryError:
        return _say("there is not enough memory for this", WRONG)
    except OSError as error:
        _write_no_more(sys.stdout)
        return _say(_in_words(error), WRONG)


def _say(text: str, code: int) -> int:
    lines = "\n".join(map(printable, text.split("\n")))  # All problems of a document are one line each.
    return _told(lambda: click.echo(f"imagectl: {lines}", err=True), code)


def _told(tell: Callable[[], None], code: int) -> int:
    """The exit code, whether or not anybody hears why."""
    try:
        tell()
    except OSError:
        _write_no_more(sys.stderr)
    return code


def _in_words(error: OSError) -> str:
    where = "the output cannot be written" if error.errno in _FULL and not error.filename else error.filename
    return ": ".join(str(part) for part in (where, error.strerror or error) if part)


def _write_no_more(stream: TextIO) -> None:
    """What is still in the buffer goes nowhere: Python would try again at its end, and complain."""
    with suppress(OSError, AttributeError):  # One that is closed is None.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
