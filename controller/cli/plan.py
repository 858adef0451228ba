"""`imagectl plan`: what a pass would do now, or later, and why; it does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from controller.cli.options import LOOKING, settings_from, with_settings
from controller.cli.output.columns import PLAN
from controller.cli.output.listing import Listing, Rows, listing
from controller.cli.output.render import Values
from controller.cli.view import later_view, live_view
from controller.plan.memory.idleness import Usage
from controller.plan.report.moments import wall_moment
from controller.plan.report.report import report_values
from controller.quantity import bytes_in_words, seconds_in_words
from controller.settings import Settings, duration

_LONGEST_SECONDS = 3_653 * 86_400
"""Ten years. Nobody plans further ahead, and every twenty days on the way are decided one by one."""
_TURN = {"remove": 0, "wait": 1, "keep": 2}


def _from_now(context: click.Context, parameter: click.Parameter, value: str | None) -> float:
    try:
        seconds = 0.0 if value is None else duration(value.removeprefix("+"))
    except ValueError as error:
        raise click.BadParameter(f"{error}, from now: +2h") from None
    if seconds > _LONGEST_SECONDS:
        raise click.BadParameter(f"{value} is more than ten years from now")
    return seconds


@click.command()
@with_settings(*LOOKING, "protect", "protect_local", "max_removals_per_pass", "max_bytes_per_hour")
@listing(PLAN)
@click.option("--at", metavar="+TIME", callback=_from_now, help="What will be due then, if nothing happens until then.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything is due.")
@click.pass_context
def plan(context: click.Context, /, wanted: Listing, at: float, exit_code: bool, **given: Any) -> None:
    """Show what `run` would do now: what goes, what goes when, what stays, and why.

    It asks the engine, reads the ledger of a controller if there is one, decides with the same code as `run`, and
    changes nothing. Documents that were put in the folder this moment count as if they had stood still already.

    VERDICT is why a reference goes, waits or stays; `imagectl explain REF` tells more. GOES is when it goes if nothing
    happens until then. -o name prints the references that are due.

    Exit code: 0 good, 1 something is due and --exit-code was given, 2 wrong usage, 3 the engine or the ledger cannot be
    reached.

    \b
    Examples:
      imagectl plan
      imagectl plan --policies ./new-policies -l action=remove    # before you deliver them
      imagectl plan --at +2h -o wide
      imagectl plan --exit-code -o name || echo "something is due"
      imagectl plan -o json | jq '.reclaimable'
    """
    settings = settings_from(given)
    rows = wanted.show(lambda: _rows(settings, at, wanted.form))
    context.exit(1 if exit_code and any(row["action"] == "remove" for row in rows) else 0)


def _rows(settings: Settings, at: float, form: str) -> Rows:
    now = live_view(settings)
    seen = later_view(settings, now, at) if at else now
    values = report_values(seen.decision, seen.reading, Usage(settings.usage))
    clock = seen.decision.memory.clock
    values["at"] = wall_moment(clock.seconds, clock)
    rows = sorted(values.pop("references"), key=lambda row: (_TURN[row["action"]], row["due_in_seconds"] or 0.0))
    if form == "name":
        rows = [row for row in rows if row["action"] == "remove"]
    notes = [f"as it will be {seconds_in_words(at)} from now, if nothing happens until then"] if at else []
    return Rows(rows, notes, lambda: _below(rows, values), values)


def _below(rows: Sequence[Values], values: Values) -> list[str]:
    nothing = [] if rows else ["There are no images on this node."]
    return [*nothing, *(f"! {trouble}" for trouble in _troubles(values)), _summary(rows, values["reclaimable"])]


def _troubles(values: Values) -> list[str]:
    troubles = [values["folder"]["lost"]] if values["folder"]["lost"] else []
    troubles += ["all removals are stopped: the policy folder has a file STOP"] if values["folder"]["stopped"] else []
    troubles += [f"node: {values['node']['why']}"] if values["node"]["is_degraded"] else []
    for document in values["documents"]:
        if document["state"] != "in_force":
            troubles.append(f"policy {document['name']} is {document['state'].replace('_', ' ')}: {document['why']}")
            troubles += [f"  {problem}" for problem in document["problems"]]
    return troubles


def _summary(rows: Sequence[Values], freed: Values) -> str:
    count = {action: sum(row["action"] == action for row in rows) for action in _TURN}
    about = "" if freed["is_exact"] else "about "
    later = freed["due_and_waiting_bytes"] - freed["due_bytes"]
    kept = (
        f"; {bytes_in_words(freed['without_evidence_bytes'])} stay because nothing tells that the agent downloaded them"
    )
    return (
        f"{count['remove']} go now ({about}{bytes_in_words(freed['due_bytes'])}), "
        f"{count['wait']} later ({about}{bytes_in_words(later)}), {count['keep']} stay"
        f"{kept if freed['without_evidence_bytes'] else ''}.{_cannot_be_pulled_again(freed)}"
    )


def _cannot_be_pulled_again(freed: Values) -> str:
    count = freed["due_local_images"]
    if not count:
        return ""
    return f" {count} of the due images ({bytes_in_words(freed['due_local_bytes'])}) cannot be pulled again."
