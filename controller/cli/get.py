"""`imagectl get images | policies | removals`: lists from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from controller.adapters.host.clock import SystemClock
from controller.cli.completion import names_of
from controller.cli.options import READING, settings_from, with_settings
from controller.cli.output.columns import IMAGES, POLICIES, REMOVALS, TOTALS
from controller.cli.output.listing import Listing, Rows, listing
from controller.cli.reported import last_report
from controller.errors import InvalidSettings
from controller.plan.report.rows import FolderRow, ListedDocument, ShownDocument, ShownReference, as_values
from controller.plan.report.words import STOPPED
from controller.quantity import date
from controller.settings import Settings, duration

if TYPE_CHECKING:
    from controller.adapters.ledger.history import Total
    from controller.plan.report.history import RemovalRow

_live = click.option(
    "--live", is_flag=True, help="Read the engine and decide now, instead of showing the controller's last pass."
)


@click.group(name="get")
def get() -> None:
    """List images, policies or removals.

    The lists show what the controller observed and decided in its last pass, by its own settings, from its ledger.
    Lists go to standard output, remarks to standard error. No text is cut off.

    \b
    Examples:
      imagectl get images
      imagectl get images -l verdict=DUE -o name
      imagectl get policies -o wide
      imagectl get removals --since 7d --sort-by -freed
    """


@get.command(short_help="References: idle time, origin, verdict.")
@click.argument("references", metavar="[REF]...", nargs=-1, shell_complete=names_of("reference"))
@with_settings(*READING, "protect", "protect_local")
@listing(IMAGES)
@_live
def images(references: tuple[str, ...], wanted: Listing[Any], live: bool, **given: Any) -> None:
    """List the references on the node with idle time, origin and verdict.

    REF is a reference as the list shows it. Without REF all references are listed.

    \b
    Examples:
      imagectl get images
      imagectl get images -l 'verdict in (DUE,BACKING_OFF)' --sort-by -size
      imagectl get images -l document=services -o wide
      imagectl get images --watch
    """
    settings = settings_from(given)
    replace(wanted, names=references).show(lambda: _images(settings, live))


@get.command(short_help="Documents: state, from when, problems.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=names_of("document"))
@with_settings(*READING)
@listing(POLICIES)
@_live
def policies(names: tuple[str, ...], wanted: Listing[Any], live: bool, **given: Any) -> None:
    """List the policy documents: the state of each on this node, from when it is in force, and its problems.

    \b
    Examples:
      imagectl get policies
      imagectl get policies -l state!=in_force
      imagectl get policies services -o json
    """
    settings = settings_from(given)
    replace(wanted, names=names).show(lambda: _policies(settings, live))


@get.command(name="removals", short_help="What was removed, why, and the bytes freed.")
@with_settings("ledger")
@listing(REMOVALS)
@click.option("--since", metavar="TIME", help="Only removals of the last 2h, 7d, ...")
@click.option("--failed", is_flag=True, help="Only removals that were refused or failed.")
@click.option("--summary", is_flag=True, help="Totals since the ledger was created, by policy and outcome.")
def list_removals(wanted: Listing[Any], since: str | None, failed: bool, summary: bool, **given: Any) -> None:
    """List removals with their reason and the bytes they freed, oldest first.

    The ledger keeps the last 20,000 removals; --summary counts all since the ledger was created.

    \b
    Examples:
      imagectl get removals --since 1d
      imagectl get removals --failed -o wide
      imagectl get removals --summary
      imagectl get removals -l document=services --watch
    """
    settings, beginning = settings_from(given), _beginning(since)
    if summary:
        replace(wanted, kind=TOTALS).show(lambda: _totals(settings))
    else:
        wanted.show(lambda: _removals(settings, beginning, failed))


def _images(settings: Settings, live: bool) -> Rows[ShownReference]:
    with last_report(settings) as report:
        if report and not live:
            return Rows(report.references(), report.notes())
    from controller.cli.view import live_view
    from controller.plan.memory.idleness import Usage
    from controller.plan.report.report import shown_references

    seen = live_view(settings)
    rows = shown_references(seen.decision, Usage(settings.usage))
    return Rows(sorted(rows, key=lambda row: (row.reference, row.image)), seen.notes)


def _policies(settings: Settings, live: bool) -> Rows[ListedDocument]:
    with last_report(settings) as report:
        if report and not live:
            summary = report.summary()
            return _listed(report.documents(), summary.folder, summary.information, *report.notes())
    from controller.cli.view import last_view
    from controller.plan.report.report import document_rows, folder_row

    seen = last_view(settings)
    rows = [row.shown(seen.decision.memory.clock) for row in document_rows(seen.decision)]
    stopped = [STOPPED] if seen.reading.is_stopped else []
    return _listed(rows, folder_row(seen.reading), seen.decision.information, *stopped)


def _listed(
    rows: Iterable[ShownDocument], folder: FolderRow, information: Iterable[str], *below: str
) -> Rows[ListedDocument]:
    delivered = [f"as delivered at revision {folder.revision}"] if folder.revision else []
    lost = [folder.lost] if folder.lost else []
    listed = [ListedDocument(**as_values(row), revision=folder.revision or None) for row in rows]
    notes = [f"note: {line}" for line in information]
    return Rows(listed, [*delivered, *lost, *folder.problems, *below], below=lambda: notes)


def _removals(settings: Settings, beginning: float, failed: bool) -> Rows[RemovalRow]:
    from controller.adapters.ledger.history import HistoryReader
    from controller.plan.report.history import removal_rows
    from controller.plan.verdict.removal import Outcome

    outcomes = (Outcome.REFUSED, Outcome.FAILED, Outcome.UNEXPECTED) if failed else tuple(Outcome)
    with closing(HistoryReader(settings.ledger)) as reader:
        marks = [f"{date(mark.wall_seconds)}: {mark.message}" for mark in reader.marks(beginning)]
        return Rows(removal_rows(reader.removals(beginning, outcomes), reader.batches()), marks)


def _totals(settings: Settings) -> Rows[Total]:
    from controller.adapters.ledger.history import HistoryReader

    with closing(HistoryReader(settings.ledger)) as reader:
        return Rows(list(reader.totals()))


def _beginning(since: str | None) -> float:
    if since is None:
        return float("-inf")
    try:
        return SystemClock().now().wall_seconds - duration(since)
    except ValueError as error:
        raise InvalidSettings(f"--since: {since!r}: {error}") from error
