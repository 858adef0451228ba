"""`imagectl nmp export --exchange`: write policy documents in the form that the Exchange can store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote

import click

from controller.adapters.folder.files import named_policy_file, read_policy_file
from controller.errors import DeliveryFailed
from controller.policy.document.document import NodeManagementPolicy
from controller.policy.document.exchange_answer import file_name
from controller.policy.document.image_property import folded, text_for_hzn
from controller.policy.document.parse import Parsed, parse_documents, refuse_duplicates
from controller.printable import printable

STOCK_AGENTS = (
    "note: a stock Open Horizon agent that such a policy applies to takes it for an upgrade policy; "
    'its upgrade job ends with "no action required"'
)


@click.command(short_help="Write documents for the Exchange.")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--exchange", is_flag=True, required=True, help="Use the form that an Open Horizon Exchange stores.")
@click.option("--into", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder for the files.")
def export(files: tuple[Path, ...], exchange: bool, into: Path | None) -> None:
    """Check policy documents and write them for an Open Horizon Exchange.

    The Exchange has no field for an image policy, so it is written as JSON text into the string property image_policy;
    imagectl sync exchange reads it. One document is written to standard output; with --into each becomes one file.
    Nothing is written if any document has an error.

    \b
    Exit code: 0 written, 1 problems found, 2 wrong usage.

    The command that posts each file is printed, too. Do not write the property by hand: hzn removes what it takes for
    comments from it.

    \b
    Example:
      imagectl nmp export --exchange sweep.yaml > sweep.json
    """
    policies = _policies(_parse(files))
    if not policies:
        click.echo("nothing was written", err=True)
        raise click.exceptions.Exit(1)
    if into is None and len(policies) > 1:
        raise click.UsageError(f"{len(policies)} documents: choose a folder with --into")
    click.echo(STOCK_AGENTS, err=True)
    for name, policy in _names_for_hzn(policies).items():
        text, file = text_for_hzn(folded(policy)), f"{file_name(name)}.json"
        if into is None:
            click.echo(text, nl=False)
        else:
            _write(into / file, text)
        click.echo(_command(name, policy, Path(file) if into is None else into / file), err=True)


def _names_for_hzn(policies: Iterable[NodeManagementPolicy]) -> dict[str, NodeManagementPolicy]:
    """The policies by a name that `hzn` can post: it cuts a name at `#`, and the organisation is not part of it."""
    named: dict[str, NodeManagementPolicy] = {}
    for policy in policies:
        name = printable(policy.name).rpartition("/")[2].replace("#", "-").replace("%", "-")
        if name in named:
            raise click.UsageError(f"{named[name].name} and {policy.name} would both be posted as {name}: rename one")
        named[name] = policy
    return named


def _command(name: str, policy: NodeManagementPolicy, file: Path) -> str:
    bare = "" if policy.constraints or policy.patterns else " --no-constraints"
    return f"post it with: hzn exchange nmp add {quote(name)} -f {quote(str(file))}{bare}"


def _parse(files: Iterable[Path]) -> Iterator[Parsed]:
    for path in dict.fromkeys(files):
        content = read_policy_file(named_policy_file(path))
        if content.data is None:
            yield Parsed(content.file.shown, (), tuple(filter(None, [content.problem])))
        else:
            yield parse_documents(content.data, content.file.shown, path.stem)


def _policies(parsed: Iterable[Parsed]) -> list[NodeManagementPolicy]:
    """All documents, or none if one is invalid or has no image policy. Problems are printed."""
    files = refuse_duplicates(parsed)
    problems = [problem for file in files for problem in file.problems]
    policies = [policy for file in files for policy in file.policies]
    others = [policy.name for policy in policies if policy.removal is None]
    for problem in problems:
        click.echo(problem, err=True)
    for name in others:
        click.echo(f"{printable(name)} has no image policy: pass it to hzn unchanged", err=True)
    return [] if others or any(problem.is_error for problem in problems) else policies


def _write(file: Path, text: str) -> None:
    """Raises DeliveryFailed."""
    try:
        file.write_text(text, encoding="ascii")
    except OSError as error:
        raise DeliveryFailed(f"{file} cannot be written: {error.strerror}") from error
    click.echo(printable(str(file)))
