"""`imagectl get images | policies | removals`: lists, from the ledger and the folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from controller.adapters.clock import SystemClock
from controller.adapters.ledger import LedgerReader
from controller.cli.columns import IMAGES, POLICIES, REMOVALS, TOTALS
from controller.cli.options import LOOKING, settings_from, with_settings
from controller.cli.render import FORMATS, Column, Values, dumped, output_option, table
from controller.cli.view import View, fitting_view, last_view
from controller.errors import InvalidSettings
from controller.plan.idleness import Usage
from controller.plan.removal import Outcome
from controller.plan.report import documents, references, removals
from controller.quantity import seconds_in_words
from controller.settings import duration


@click.group(name="get")
def get() -> None:
    """List images, policies or removals."""


@get.command()
@with_settings(*LOOKING, "protect")
@output_option(*FORMATS)
@click.option("--live", is_flag=True, help="Ask the engine, instead of showing what the controller saw last.")
def images(form: str, live: bool, **given: Any) -> None:
    """List every reference on the node: how long it has been idle, where it came from, what will become of it."""
    settings = settings_from(given)
    seen = fitting_view(settings, live)
    _print(references(seen.decision, Usage(settings.usage)), IMAGES, form, "reference")
    if form in ("table", "wide"):
        click.echo(age_in_words(seen), err=True)


@get.command()
@with_settings(*LOOKING)
@output_option(*FORMATS)
def policies(form: str, **given: Any) -> None:
    """List the policy documents: what each amounts to on this node, from when, and what is wrong with it."""
    seen = last_view(settings_from(given))
    _print(documents(seen.decision), POLICIES, form, "name")
    if form in ("table", "wide"):
        for trouble in (seen.reading.lost, *seen.reading.problems):
            if trouble:
                click.echo(str(trouble), err=True)


@get.command(name="removals")
@with_settings("ledger")
@output_option(*FORMATS)
@click.option("--since", metavar="TIME", help="Only those of the last 2h, 7d, ...")
@click.option("--failed", is_flag=True, help="Only those that were refused or failed.")
@click.option("--summary", is_flag=True, help="Totals since the ledger began, by policy and outcome.")
def list_removals(form: str, since: str | None, failed: bool, summary: bool, **given: Any) -> None:
    """List what was removed, why, and what it really freed; oldest first."""
    reader = LedgerReader(settings_from(given).ledger)
    try:
        if summary:
            _print([asdict(total) for total in reader.totals()], TOTALS, form, "document")
        else:
            outcomes = (Outcome.REFUSED, Outcome.FAILED) if failed else tuple(Outcome)
            history = reader.removals(_beginning(since), outcomes)
            _print(removals(history, reader.batches()), REMOVALS, form, "reference")
    finally:
        reader.close()


def _beginning(since: str | None) -> float:
    if since is None:
        return float("-inf")
    try:
        return SystemClock().now().wall_seconds - duration(since)
    except ValueError as error:
        raise InvalidSettings(f"--since: {since!r}: {error}") from error


def _print(rows: Sequence[Values], columns: Sequence[Column], form: str, name: str) -> None:
    if form == "name":
        click.echo("\n".join(row[name] for row in rows), nl=bool(rows))
    elif form in ("table", "wide"):
        click.echo(table(rows, columns, form))
    else:
        click.echo(dumped(rows, form))


def age_in_words(seen: View) -> str:
    """How fresh what was shown is."""
    if seen.is_live:
        return "as the engine says now"
    age = seen.age_seconds
    when = "before the last reboot" if age is None else f"{seconds_in_words(age)} ago"
    return f"as the controller's last pass saw it, {when}; --live asks the engine"
