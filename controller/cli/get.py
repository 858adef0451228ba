"""`imagectl get images | policies | removals`: lists, from the ledger."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import click

from controller.adapters.host.clock import SystemClock
from controller.cli.completion import names_of
from controller.cli.options import LOOKING, settings_from, with_settings
from controller.cli.output.columns import IMAGES, POLICIES, REMOVALS, TOTALS
from controller.cli.output.listing import Listing, Rows, listing
from controller.cli.reported import last_report
from controller.errors import InvalidSettings
from controller.settings import Settings, duration

_live = click.option("--live", is_flag=True, help="Look and decide anew, not as the controller's last pass did.")


@click.group(name="get")
def get() -> None:
    """List images, policies or removals.

    What a controller has seen and decided is read from its ledger: at once, and by its own settings. Lists go to
    standard output, what is to be said about them to standard error. Nothing is ever cut off.

    \b
    Examples:
      imagectl get images
      imagectl get images -l verdict=DUE -o name
      imagectl get policies -o wide
      imagectl get removals --since 7d --sort-by -freed
    """


@get.command(short_help="References: idle time, origin, verdict.")
@click.argument("references", metavar="[REF]...", nargs=-1, shell_complete=names_of("reference"))
@with_settings(*LOOKING, "protect", "protect_local")
@listing(IMAGES)
@_live
def images(references: tuple[str, ...], wanted: Listing, live: bool, **given: Any) -> None:
    """List the references on the node: how long each has been idle, where it came from, what will become of it.

    REF is a reference as the list shows it; without one, all are listed.

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
@with_settings(*LOOKING)
@listing(POLICIES)
@_live
def policies(names: tuple[str, ...], wanted: Listing, live: bool, **given: Any) -> None:
    """List the policy documents: what each amounts to on this node, from when, and what is wrong with it.

    \b
    Examples:
      imagectl get policies
      imagectl get policies -l state!=in_force
      imagectl get policies services -o json
    """
    settings = settings_from(given)
    replace(wanted, names=names).show(lambda: _policies(settings, live))


@get.command(name="removals", short_help="What went, why, and what it freed.")
@with_settings("ledger")
@listing(REMOVALS)
@click.option("--since", metavar="TIME", help="Only those of the last 2h, 7d, ...")
@click.option("--failed", is_flag=True, help="Only those that were refused or failed.")
@click.option("--summary", is_flag=True, help="Totals since the ledger began, by policy and outcome.")
def list_removals(wanted: Listing, since: str | None, failed: bool, summary: bool, **given: Any) -> None:
    """List what was removed, why, and what it really freed; oldest first.

    The last 20,000 are kept one by one; --summary counts all since the ledger began.

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


def _images(settings: Settings, live: bool) -> Rows:
    reported = None if live else last_report(settings, "reference")
    if reported is not None:
        return Rows(reported.rows, [reported.age_in_words])
    from controller.cli.view import live_view
    from controller.plan.memory.idleness import Usage
    from controller.plan.report.report import references

    return Rows(references(live_view(settings).decision, Usage(settings.usage)), ["as the engine says now"])


def _policies(settings: Settings, live: bool) -> Rows:
    reported, summary = last_report(settings, "document"), last_report(settings, "summary")
    if reported is not None and summary is not None and not live:
        folder, age = summary.at_rest[0]["folder"], [reported.age_in_words]
        rows = reported.rows
    else:
        from controller.cli.view import last_view
        from controller.plan.report.report import documents, folder_values

        seen = last_view(settings)
        folder, age = folder_values(seen.reading), []
        rows = documents(seen.decision)
    delivered = [f"as delivered at revision {folder['revision']}"] if folder["revision"] else []
    lost = [folder["lost"]] if folder["lost"] else []
    rows = [{**row, "revision": folder["revision"] or None} for row in rows]
    return Rows(rows, [*delivered, *lost, *folder["problems"], *age])


def _removals(settings: Settings, beginning: float, failed: bool) -> Rows:
    from controller.adapters.ledger.history import HistoryReader
    from controller.plan.report.history import removals
    from controller.plan.verdict.removal import Outcome

    outcomes = (Outcome.REFUSED, Outcome.FAILED, Outcome.UNEXPECTED) if failed else tuple(Outcome)
    reader = HistoryReader(settings.ledger)
    try:
        return Rows(removals(reader.removals(beginning, outcomes), reader.batches()))
    finally:
        reader.close()


def _totals(settings: Settings) -> Rows:
    from controller.adapters.ledger.history import HistoryReader

    reader = HistoryReader(settings.ledger)
    try:
        return Rows([asdict(total) for total in reader.totals()])
    finally:
        reader.close()


def _beginning(since: str | None) -> float:
    if since is None:
        return float("-inf")
    try:
        return SystemClock().now().wall_seconds - duration(since)
    except ValueError as error:
        raise InvalidSettings(f"--since: {since!r}: {error}") from error
