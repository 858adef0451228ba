"""The table of commands, and the one place where errors become a line and an exit code.

Commands are imported when they are called: a command that only reads the ledger does not import Docker's library.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

import click

from controller import __version__, settings
from controller.errors import ControllerError, EngineUnavailable, LedgerError, UserError
from controller.printable import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "run": ("controller.cli.run:run", "Watch policies and the engine, and remove what is due."),
    "plan": ("controller.cli.plan:plan", "Show what would be removed now, what later, and what is kept."),
    "explain": ("controller.cli.explain:explain", "Show why an image is removed or kept."),
    "get": ("controller.cli.get:get", "List images, policies or removals."),
    "nmp": ("controller.cli.nmp:nmp", "Write, check and match policy documents."),
    "sync": ("controller.cli.sync:sync", "Fetch policies into the folder."),
    "record-download": ("controller.cli.record_download:record_download", "Record which images the agent downloaded."),
    "health": ("controller.cli.health:health", "Check a running controller."),
    "completion": ("controller.cli.completion:completion", "Print a completion script for a shell."),
    "version": ("controller.cli.version:version", "Print the version."),
}
PYTHON_VERSION = sys.version.partition(" ")[0]
VERSION = f"imagectl {__version__} (Python {PYTHON_VERSION})"
"""The line that `imagectl version` and `imagectl --version` print."""
GOOD, WRONG, USAGE, UNREACHABLE = 0, 1, 2, 3
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EDQUOT)


class _OutputClosedError(Exception):
    """The reader of our output closed it. For a BrokenPipeError click would exit with 1."""


class _Commands(click.Group):
    """Imports a command when it is called."""

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Options such as --help print here."""
        try:
            return super().make_context(*args, **named)
        except BrokenPipeError as error:
            raise _OutputClosedError from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _OutputClosedError from error

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
            from controller.cli.output.selection import nearest

            ctx.fail(f"unknown command {name}{nearest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands; none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The same for completion."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in commands if item.value.startswith(incomplete)] + options


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=_Commands, context_settings=_SETTINGS)
@click.version_option(__version__, message=VERSION, help="Print the version.")
def imagectl() -> None:
    """Remove unused container images from this node, by policy.

    `imagectl run` is the controller. `plan`, `explain` and `get` show what it observes and decides, and change nothing.
    `nmp` helps to write policies. `imagectl COMMAND --help` describes each command.

    Every setting can be given as an option, as IMAGECTL_NAME in the environment, or as a line of the configuration
    file, /etc/image-controller/config.toml (or --config FILE, IMAGECTL_CONFIG); the first in this order wins.

    \b
    Exit codes:
      0  good
      1  removals failed, or something that was checked is wrong
      2  invalid settings or usage
      3  cannot work now: engine, its events, ledger, policy folder or node file not available

    \b
    Examples:
      imagectl run --policies /etc/image-controller/policies
      imagectl plan
      imagectl explain registry.local:5000/team/app:1.4
      imagectl get removals --since 7d
    """


def main() -> None:
    """Run the command line, or complete it for a shell."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # None after `>&-`.
        sys.stdout.reconfigure(errors="backslashreplace")  # A locale may lack characters of names, labels and files.
    if settings.COMPLETION_VARIABLE in settings.environment():
        from controller.cli.shells import register

        register()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code (see the help of `imagectl`)."""
    try:
        code = imagectl.main(arguments, prog_name="imagectl", standalone_mode=False)
        return code if isinstance(code, int) else GOOD  # The argument of `context.exit`.
    except click.ClickException as error:
        return _after(error.show, USAGE)
    except click.Abort:
        return _say("interrupted", WRONG)
    except UserError as error:
        return _say(str(error), USAGE)
    except (LedgerError, EngineUnavailable) as error:
        return _say(str(error), UNREACHABLE)
    except ControllerError as error:
        return _say(str(error), WRONG)
    except _OutputClosedError:
        _write_no_more(sys.stdout)
        return GOOD
    except MemoryError:
        return _say("out of memory", WRONG)
    except OSError as error:
        _write_no_more(sys.stdout)
        return _say(_in_words(error), WRONG)


def _say(text: str, code: int) -> int:
    lines = "\n".join(map(printable, text.split("\n")))  # All problems of a document are one line each.
    return _after(lambda: click.echo(f"imagectl: {lines}", err=True), code)


def _after(show: Callable[[], None], code: int) -> int:
    """The exit code, after the message, which may fail to be printed."""
    try:
        show()
    except OSError:
        _write_no_more(sys.stderr)
    return code


def _in_words(error: OSError) -> str:
    where = "cannot write the output" if error.errno in _FULL and not error.filename else error.filename
    return ": ".join(str(part) for part in (where, error.strerror or error) if part)


def _write_no_more(stream: TextIO) -> None:
    """Discard what is in the buffer; Python would try to write it again at exit, and print an error."""
    with suppress(OSError, AttributeError):  # A closed stream is None.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
