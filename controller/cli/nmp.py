"""`imagectl nmp`: write and check policy documents, and show where they apply."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from controller.adapters.folder.files import (
    FileContent,
    PolicyFile,
    TooLargeError,
    named_policy_file,
    policy_files_below,
    read_policy_file,
)
from controller.adapters.folder.folder import contents_of
from controller.cli.match import match
from controller.cli.nmp_export import export
from controller.errors import InvalidSettings
from controller.policy.document.parse import Parsed, parse_documents, refuse_duplicates
from controller.policy.problem import Problem
from controller.policy.report import FORMATS, ValidationReport
from controller.policy.schema import json_schema
from controller.policy.template import new_document
from controller.policy.text.source import MOST_BYTES
from controller.printable import printable

STANDARD_INPUT = Path("-")
A_PATH = click.Path(exists=True, readable=False, allow_dash=True, path_type=Path)


@click.group(name="nmp", short_help="Write and check policy documents.")
def nmp() -> None:
    """Write and check policy documents (node management policies), and show where they apply.

    \b
    Examples:
      imagectl nmp new gateways -o policies/gateways.yaml
      imagectl nmp validate policies/
      imagectl nmp match --node node.yaml policies/
    """


nmp.add_command(export)
nmp.add_command(match)


@nmp.command()
@click.argument("name", default="")
@click.option("-o", "--output", "file", metavar="FILE", type=click.Path(path_type=Path), help="Write it to a new file.")
def new(name: str, file: Path | None) -> None:
    """Print a commented template document.

    It is disabled, and invalid exactly where you must choose a value. NAME becomes its label. A FILE that exists is not
    changed.

    \b
    Examples:
      imagectl nmp new
      imagectl nmp new gateways -o policies/gateways.yaml
    """
    if file is None or file == STANDARD_INPUT:
        click.echo(new_document(name), nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(new_document(name))
    except FileExistsError as error:
        raise InvalidSettings(f"{file}: already exists (choose another name, or remove it first)") from error
    except OSError as error:
        raise InvalidSettings(f"{file}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {printable(str(file))}: choose the values, then check it with imagectl nmp validate", err=True)


@nmp.command(short_help="Print the JSON Schema of a document.")
def schema() -> None:
    """Print the JSON Schema of a document, for editors and other tools.

    \b
    Examples:
      imagectl nmp schema > nmp.schema.json
      # yaml-language-server: $schema=nmp.schema.json    as the first line of a document, for editors
    """
    click.echo(schema_text(), nl=False)


def schema_text() -> str:
    """The content of manifests/nmp.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


@nmp.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=A_PATH)
@click.option("-o", "--output", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.pass_context
def validate(context: click.Context, paths: tuple[Path, ...], form: str, strict: bool) -> None:
    """Check documents and report all their problems at once.

    PATH is a file, a folder (searched recursively for .yaml, .yml and .json) or - for standard input.
    Warnings do not change the exit code without --strict.

    \b
    Exit code: 0 no problem, 1 problems found, 2 wrong usage.

    \b
    Examples:
      imagectl nmp validate policies/
      imagectl nmp validate --strict -o github policies/    # in a pull request
      git show main:policies/gateways.yaml | imagectl nmp validate -
    """
    report = _check(paths)
    if text := FORMATS[form](report):
        click.echo(text)
    if form == "text":
        click.echo(report.summary, err=True)
    context.exit(1 if report.errors or (strict and report.warnings) else 0)


def _check(paths: Iterable[Path]) -> ValidationReport:
    """Names must be unique within each folder, and among the named files."""
    problems: list[Problem] = []
    parsed: list[Parsed] = []
    named: list[Parsed] = []
    for path in dict.fromkeys(paths):
        if path.is_dir():
            parsed += refuse_duplicates(_parse_folder(path, problems))
        else:
            named += _parse(_read_named(path), problems)
    parsed += refuse_duplicates(named)
    problems += [problem for file in parsed for problem in file.problems]
    return ValidationReport(sorted(problems), [document for file in parsed for document in file.documents], len(parsed))


def _parse_folder(folder: Path, problems: list[Problem]) -> Iterator[Parsed]:
    try:
        listing = policy_files_below(folder)
    except OSError as error:
        problems.append(Problem(str(folder), 1, 1, "", "error", f"cannot be listed: {error.strerror}"))
        return
    problems += listing.problems
    if not listing.files:
        problems.append(
            Problem(str(folder), 1, 1, "", "warning", "no policy files (.yaml, .yml, .json) in this folder")
        )
    try:
        for content in contents_of(listing.files):
            yield from _parse(content, problems)
    except TooLargeError as error:
        problems.append(Problem(str(folder), 1, 1, "", "error", f"cannot be read: {error.strerror}"))


def _read_named(path: Path) -> FileContent:
    if path != STANDARD_INPUT:
        return read_policy_file(named_policy_file(path))
    return FileContent(PolicyFile(path, "stdin", "stdin"), data=_read_standard_input())


def _read_standard_input() -> bytes:
    if not sys.stdin:  # After `<&-`.
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def _parse(content: FileContent, problems: list[Problem]) -> Iterator[Parsed]:
    if content.problem:
        problems.append(content.problem)
    if content.data is not None:
        yield parse_documents(content.data, content.file.shown, content.file.name)
