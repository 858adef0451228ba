"""`imagectl plan`: what a pass would do now, or later, and why. It changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from controller.cli.options import READING, settings_from, with_settings
from controller.cli.output.columns import PLAN
from controller.cli.output.listing import Listing, Rows, listing
from controller.cli.reported import last_report
from controller.cli.view import View, later_view, live_view
from controller.daemon.conditions import deciding_settings
from controller.plan.memory.idleness import Usage
from controller.plan.report.report import PlanFrame, plan_frame, shown_references
from controller.plan.report.rows import NodeRow, ReclaimableRow, SettingRow, ShownReference
from controller.plan.report.words import STOPPED, bounded_bytes, disk_pressure_unknown, document_in_words
from controller.quantity import bytes_in_words, count_of, seconds_in_words
from controller.settings import Settings, duration

_LONGEST_SECONDS = 3_653 * 86_400
"""Ten years. It is computed in steps of twenty days."""
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
@with_settings(*READING, "protect", "protect_local", "max_removals_per_pass", "max_bytes_per_hour")
@listing(PLAN)
@click.option(
    "--at",
    metavar="+TIME",
    callback=_from_now,
    help="Show what will be due at that time if nothing happens until then.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if a removal is due.")
@click.pass_context
def plan(context: click.Context, /, wanted: Listing[ShownReference], at: float, exit_code: bool, **given: Any) -> None:
    """Show what `run` would do now: what is removed now, what later, what is kept, and why.

    It reads the engine and the ledger of a controller, if there is one, decides with the same code as `run`, and
    changes nothing. A document that was just put into the folder counts as stable. If the controller ran with other
    settings in its last pass, a note names those that differ.

    VERDICT is the reason why a reference is removed, waits or is kept; `imagectl explain REF` shows more. REMOVAL is
    the time of its removal if nothing happens until then. -o name prints the references that are due.

    Exit code: 0 good, 1 a removal is due and --exit-code was given, 2 invalid settings or usage, 3 the engine, its
    events, the ledger, the policy folder or the node file is not available.

    \b
    Examples:
      imagectl plan
      imagectl plan --policies ./new-policies -l action=remove    # before you deliver them
      imagectl plan --at +2h -o wide
      imagectl plan --exit-code -o name || echo "something is due"
      imagectl plan -o json | jq '.reclaimable'
    """
    settings, views = settings_from(given), list[View]()

    def read() -> Rows[ShownReference]:
        views[:] = [live_view(settings)]
        return _rows(settings, views[0], at, wanted.form)

    rows = wanted.show(read)
    is_due = exit_code and any(row.action == "remove" for row in rows)
    context.exit(3 if views[0].cannot_work else int(is_due))


def _rows(settings: Settings, now: View, at: float, form: str) -> Rows[ShownReference]:
    seen = later_view(settings, now, at) if at else now
    frame = plan_frame(seen.decision, seen.reading, seen.marks)
    shown = shown_references(seen.decision, Usage(settings.usage))
    rows = sorted(shown, key=lambda row: (_TURN[row.action], row.due_in_seconds or 0.0, row.reference, row.image))
    if form == "name":
        rows = [row for row in rows if row.action == "remove"]
    notes = [f"as it will be in {seconds_in_words(at)} if nothing happens until then"] if at else []
    notes += [disk_pressure_unknown(seen.disk, seen.marks)]
    return Rows(
        rows,
        [*filter(None, notes), *_other_settings(replace(settings, docker_host=now.docker_host))],
        lambda: _below(rows, frame),
        frame,
    )


def _other_settings(settings: Settings) -> list[str]:
    """A note with the settings of the controller's last pass that differ from those of this plan."""
    with last_report(settings) as report:
        used = {row.name: row.value for row in report.reader.rows("setting", SettingRow)} if report else {}
    differ = [
        f"{name.replace('_', '-')} {used[name]} (here {here})"
        for name, here in deciding_settings(settings).items()
        if used.get(name, here) != here
    ]
    return [f"the controller ran with other settings in its last pass: {', '.join(differ)}"] if differ else []


def _node_in_words(node: NodeRow) -> str:
    age = node.agent_answer_age_seconds
    return f"node: {node.why}{f' ({seconds_in_words(age)} old)' if age else ''}"


def _below(rows: Sequence[ShownReference], frame: PlanFrame) -> list[str]:
    nothing = [] if rows else ["There are no images on this node."]
    troubles, notes = (f"! {trouble}" for trouble in _troubles(frame)), (f"note: {each}" for each in frame.information)
    return [*nothing, *troubles, *notes, _summary(rows, frame.reclaimable)]


def _troubles(frame: PlanFrame) -> list[str]:
    troubles = [frame.folder.lost] if frame.folder.lost else []
    troubles += [STOPPED] if frame.folder.stopped else []
    troubles += [f"{frame.disk_pressure}: rules may remove images earlier"] if frame.disk_pressure else []
    troubles += [f"{frame.without_events}; nothing is removed"] if frame.without_events else []
    troubles += [_node_in_words(frame.node)] if frame.node.is_degraded else []
    for document in frame.documents:
        if document.state != "in_force":
            troubles.append(document_in_words(document.name, document.state, document.why))
            troubles += [f"  {problem}" for problem in document.problems]
    return troubles


def _summary(rows: Sequence[ShownReference], freed: ReclaimableRow) -> str:
    count = {action: sum(row.action == action for row in rows) for action in _TURN}
    later = freed.due_and_waiting_bytes - freed.due_bytes
    kept = freed.without_evidence_bytes
    without = f"; {bytes_in_words(kept)} are kept: no evidence that the agent downloaded them" if kept else ""
    return (
        f"{count['remove']} due now ({bounded_bytes(freed.due_bytes, freed.bound)}), "
        f"{count['wait']} later ({bounded_bytes(later, freed.bound)}), "
        f"{count['keep']} kept{without}.{_not_pullable(freed)}"
    )


def _not_pullable(freed: ReclaimableRow) -> str:
    count = freed.due_local_images
    due = f"{count_of(count, 'due image')} ({bytes_in_words(freed.due_local_bytes)})"
    return f" {due} cannot be pulled again." if count else ""
