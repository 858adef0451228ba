"""`imagectl nmp export --exchange`: policy documents in the form that today's Exchange can store.

What that form is stands in `controller.policy.image_property`; here files are read and written.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from controller.adapters.policy_files import named_policy_file, read_policy_file
from controller.policy.document import NodeManagementPolicy
from controller.policy.exchange_answer import file_name
from controller.policy.image_property import folded, text_for_hzn
from controller.policy.parse import Parsed, parse_documents, refuse_duplicates
from controller.policy.problem import printable

STOCK_AGENTS = (
    "Warning: a stock Open Horizon agent that such a policy applies to takes it for an upgrade policy, "
    "and starts an upgrade job that fails"
)


@click.command(short_help="Write documents for the Exchange.")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--exchange", is_flag=True, required=True, help="In the form that an Open Horizon Exchange stores.")
@click.option("--into", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Write files there.")
def export(files: tuple[Path, ...], exchange: bool, into: Path | None) -> None:
    """Check policy documents and write them for an Open Horizon Exchange.

    The Exchange has no field for an image policy, so it is written as JSON text into the string property image_policy;
    imagectl sync exchange reads it from there. One document goes to standard output; with --into each goes into a file
    of its own. Nothing is written if any document has an error.

    \b
    Exit code: 0 written, 1 problems found, 2 wrong usage.

    \b
    Example:
      imagectl nmp export --exchange sweep.yaml > sweep.json
      hzn exchange nmp add sweep -f sweep.json     # with --no-constraints if it has none, and no patterns
    """
    policies = _policies(_parse(files))
    if into is None and len(policies) > 1:
        raise click.UsageError(f"{len(policies)} documents: name a folder for them with --into")
    click.echo(STOCK_AGENTS, err=True)
    for policy in policies:
        text = text_for_hzn(folded(policy))
        if into is None:
            click.echo(text, nl=False)
        else:
            _write(into / f"{file_name(policy.name)}.json", text)


def _parse(files: Iterable[Path]) -> tuple[Parsed, ...]:
    """Raises ClickException if a file cannot be read."""
    read = []
    for path in dict.fromkeys(files):
        content = read_policy_file(named_policy_file(path))
        if content.data is None:
            raise click.ClickException(str(content.problem))
        read.append(parse_documents(content.data, content.file.shown, path.stem))
    return refuse_duplicates(read)


def _policies(parsed: Iterable[Parsed]) -> list[NodeManagementPolicy]:
    """All documents; their problems are printed. Raises ClickException unless each is valid and has an image policy."""
    documents = [document for file in parsed for document in file.documents]
    problems = [problem for file in parsed for problem in file.problems]
    for problem in problems:
        click.echo(problem, err=True)
    others = [document.name for document in documents if document.policy and document.policy.removal is None]
    for name in others:
        click.echo(f"{printable(name)} has no image policy: give it to hzn as it is", err=True)
    policies = [document.policy for document in documents if document.policy]
    if others or not policies or any(problem.is_error for problem in problems):
        raise click.ClickException("nothing was written")
    return policies


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="ascii")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    click.echo(str(file))
