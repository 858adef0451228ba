"""`imagectl plan`: what a pass would do now, and why; it does nothing."""

from __future__ import annotations

from typing import Any

import click

from controller.cli.columns import PLAN
from controller.cli.options import LOOKING, settings_from, with_settings
from controller.cli.render import FORMATS, dumped, output_option, table
from controller.cli.view import View, live_view
from controller.plan.idleness import Usage
from controller.plan.report import documents, reclaimable, references
from controller.quantity import bytes_in_words

_TURN = {"remove": 0, "wait": 1, "keep": 2}


@click.command()
@with_settings(*LOOKING, "protect", "max_removals_per_pass", "max_bytes_per_hour")
@output_option(*FORMATS)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything would be removed now.")
@click.pass_context
def plan(context: click.Context, /, form: str, exit_code: bool, **given: Any) -> None:
    """Show what `run` would do now: what goes, what goes when, what stays, and why.

    It asks the engine, reads the ledger of a controller if there is one, decides with the same code as `run`, and
    changes nothing. Documents that were put in the folder this moment count as if they had stood still already.
    """
    settings = settings_from(given)
    seen = live_view(settings)
    values = _values(seen, Usage(settings.usage))
    click.echo(_text(values, form) if form in ("table", "wide") else _data(values, form))
    context.exit(1 if exit_code and seen.decision.plan.removals else 0)


def _values(seen: View, usage: Usage) -> dict[str, Any]:
    rows = references(seen.decision, usage)
    return {
        "references": sorted(rows, key=lambda row: (_TURN[row["action"]], row["due_in_seconds"] or 0.0)),
        "documents": documents(seen.decision),
        "reclaimable": reclaimable(seen.decision),
        "folder": {"path": seen.reading.folder, "lost": seen.reading.lost, "revision": seen.reading.revision},
        "node": {"why": seen.decision.node.why, "is_degraded": seen.decision.node.is_degraded},
    }


def _data(values: dict[str, Any], form: str) -> str:
    if form == "name":
        return "\n".join(row["reference"] for row in values["references"] if row["action"] == "remove")
    return dumped(values, form)


def _text(values: dict[str, Any], form: str) -> str:
    rows = values["references"]
    parts = [table(rows, PLAN, form) if rows else "There are no images on this node."]
    parts += [f"! {trouble}" for trouble in _troubles(values)]
    parts.append(_summary(rows, values["reclaimable"]))
    return "\n".join(parts)


def _troubles(values: dict[str, Any]) -> list[str]:
    troubles = [values["folder"]["lost"]] if values["folder"]["lost"] else []
    troubles += [f"node: {values['node']['why']}"] if values["node"]["is_degraded"] else []
    for document in values["documents"]:
        if document["state"] != "in_force":
            troubles.append(f"policy {document['name']} is {document['state'].replace('_', ' ')}: {document['why']}")
            troubles += [f"  {problem}" for problem in document["problems"]]
    return troubles


def _summary(rows: list[dict[str, Any]], freed: dict[str, Any]) -> str:
    count = {action: sum(row["action"] == action for row in rows) for action in _TURN}
    about = "" if freed["is_exact"] else "about "
    later = freed["due_and_waiting_bytes"] - freed["due_bytes"]
    kept = (
        f"; {bytes_in_words(freed['without_evidence_bytes'])} stay because nothing tells that the agent downloaded them"
    )
    return (
        f"{count['remove']} go now ({about}{bytes_in_words(freed['due_bytes'])}), "
        f"{count['wait']} later ({about}{bytes_in_words(later)}), {count['keep']} stay"
        f"{kept if freed['without_evidence_bytes'] else ''}."
    )
