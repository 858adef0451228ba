"""The manual page imagectl(1), from the help of the commands: `python -m deploy.local.manual DATE > imagectl.1`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

import click

from controller import __version__
from controller.cli.main import imagectl


def page(date: str) -> str:
    """The page as troff."""
    lines = [
        f'.TH IMAGECTL 1 "{date}" "imagectl {__version__}" "User Commands"',
        ".SH NAME",
        "imagectl \\- remove unused container images from this node, by policy",
        ".SH SYNOPSIS",
        ".B imagectl",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]...",
        ".SH DESCRIPTION",
        *_help(imagectl),
    ]
    for names, command in _commands(imagectl, ("imagectl",)):
        lines += _section(names, command)
    lines += [
        ".SH FILES",
        *_item("/etc/image-controller/config.toml", "Settings, one line for each option."),
        *_item("/etc/image-controller/policies", "The folder of policy documents."),
        *_item("/var/lib/image-controller/ledger.db", "What the controller remembers; without it all images are new."),
        *_item("/usr/share/image-controller", "JSON Schema, alert rules, dashboard and sample policies."),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        if command := group.get_command(context, name):
            yield (*names, name), command
            if isinstance(command, click.Group):
                yield from _commands(command, (*names, name))


def _section(names: tuple[str, ...], command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=names[-1])
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SH "{_escaped(" ".join(names).upper())}"'
    yield f".B {_escaped(' '.join(names))}"
    yield _escaped(usage)
    yield ".PP"
    yield from _help(command)
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            yield from _item(*record)


def _item(title: str, text: str) -> tuple[str, ...]:
    return (".TP", f"\\fB{_escaped(title)}\\fR", _escaped(" ".join(text.split())))


def _help(command: click.Command) -> Iterator[str]:
    """Paragraphs; those that click keeps as they are (`\\b`) too."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        if paragraph.startswith("\b"):
            yield from (".nf", *map(_escaped, paragraph.removeprefix("\b").strip("\n").split("\n")), ".fi", ".PP")
        else:
            yield from (_escaped(" ".join(paragraph.split())), ".PP")


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    print(page(sys.argv[1]), end="")  # noqa: T201
