"""`imagectl explain`: the evidence about one image, and what would remove it or keep it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import click

from controller.cli.completion import names_of
from controller.cli.options import READING, settings_from, with_settings
from controller.cli.output.render import FORMATS, dumped, output_option
from controller.cli.output.selection import nearest
from controller.cli.reported import last_report
from controller.errors import NotFound
from controller.plan.report.history import RemovalRow, removal_in_words, removed_image_in_words
from controller.plan.report.meaning import last_removals_of, matching_rows, rows_without_a_tag
from controller.plan.report.rows import IdentityRow, ShownExplanation, ShownFinding
from controller.plan.report.words import NO_EVIDENCE, about, bounded_bytes
from controller.printable import printable
from controller.quantity import bytes_in_words, moment, seconds_in_words, short_id
from controller.settings import Settings

_FROM_HISTORY = "from the history of removals: the image is not on this node"


@click.command()
@click.argument("reference", metavar="REF", shell_complete=names_of("reference"))
@with_settings(*READING, "protect", "protect_local")
@output_option(*FORMATS)
@click.option(
    "--live", is_flag=True, help="Read the engine and decide now, instead of showing the controller's last pass."
)
def explain(reference: str, form: str, live: bool, **given: Any) -> None:
    """Show why an image is removed or kept: every rule that covers it, the rule that decides, and the evidence.
    Of an image that was removed: when, by which rule and text, after how long, and what it freed.

    REF is a name, a name by digest, or an image ID or the beginning of one.

    Exit code: 0 good, 1 no such image, 2 invalid settings or usage, 3 engine or ledger not available.

    \b
    Examples:
      imagectl explain registry.local:5000/team/app:1.4
      imagectl explain 3f57d9401f8d
      imagectl explain app:1.4 --live -o json
    """
    found, said = _explained(settings_from(given), live, reference)
    if form in ("json", "yaml"):
        click.echo(dumped(found, form))
    elif form == "name":
        click.echo("\n".join(printable(row.reference) for row in found))
    else:
        click.echo("\n\n".join("\n".join(map(printable, _lines(row))) for row in found))
        click.echo("\n".join(said), err=True)


Found = list[ShownExplanation] | list[RemovalRow]
"""Of an image on this node, or else its removals."""


def _explained(settings: Settings, live: bool, text: str) -> tuple[Found, list[str]]:
    """What the controller's last pass decided, or what would be decided now; of an image that is gone, its removals.
    Raises NotFound.
    """
    with last_report(settings) as report:
        if report is None or live:
            return _decided_now(settings, text)
        known = report.reader.rows("explanation", IdentityRow)
        by_name = matching_rows(known, text)
        if found := by_name or rows_without_a_tag(known, text):
            return report.explanations(found), report.notes() if by_name else [_no_tag_is_known(text)]
        names = [row.reference for row in known]
    return _removed(settings, text, names), [_FROM_HISTORY]


def _decided_now(settings: Settings, text: str) -> tuple[Found, list[str]]:
    from controller.cli.view import live_view
    from controller.daemon.conditions import conditions_of
    from controller.plan.report.explanation import explained
    from controller.plan.report.report import reference_rows

    seen, terms = live_view(settings), conditions_of(settings).terms
    decision = seen.decision
    if found := explained(decision, terms, text):
        shown = [explanation.shown(reference, decision.memory.clock) for reference, explanation in found]
        return shown, seen.notes
    if untagged := explained(decision, terms, text, rows_without_a_tag):
        shown = [explanation.shown(reference, decision.memory.clock) for reference, explanation in untagged]
        return shown, [_no_tag_is_known(text)]
    names = [row.reference for row in reference_rows(decision, terms.usage)]
    return _removed(settings, text, names), [_FROM_HISTORY]


def _no_tag_is_known(text: str) -> str:
    return (
        f"no image has the name {text}; of the images shown no tag is known: of an image that was pulled or run as"
        f" {text}@sha256:…, the engine keeps only the digest"
    )


def _removed(settings: Settings, text: str, names: list[str]) -> list[RemovalRow]:
    """The removals of an image that is not on this node, oldest first. Raises NotFound if there are none."""
    from controller.adapters.ledger.history import HistoryReader

    found = list[RemovalRow]()
    if settings.ledger.exists():
        with closing(HistoryReader(settings.ledger)) as reader:
            found = last_removals_of(text, reader.removals(), reader.batches())
    if not found:
        raise NotFound(f"no image {text} on this node{nearest(text, names)}")
    return found


def _lines(row: ShownExplanation | RemovalRow) -> Iterator[str]:
    return _lines_of_removal(row) if isinstance(row, RemovalRow) else _lines_of_image(row)


def _lines_of_removal(row: RemovalRow) -> Iterator[str]:
    yield f"{row.reference}  ({removed_image_in_words(row)})"
    yield from (_said(title, text) for title, text in removal_in_words(row))


def _lines_of_image(row: ShownExplanation) -> Iterator[str]:
    size, frees = bytes_in_words(row.size_bytes), bounded_bytes(row.frees_alone_bytes, row.frees_alone_bound)
    yield f"{row.reference}  (image {short_id(row.image)}, {size}; removing it alone frees {frees})"
    yield _said("verdict", f"{row.verdict}{_deadline(row)}{_detail(row)}")
    for rule in row.rules:
        yield _said("rule" if rule is row.rules[0] else "", _rule(rule))
    yield _said("idle", _idle(row))
    yield from _evidence(row)
    yield _said("to remove", row.what_makes_it_go)
    yield _said("to keep", row.what_keeps_it)


def _said(title: str, text: str) -> str:
    return f"  {title:<10} {text}"


def _deadline(row: ShownExplanation) -> str:
    if row.until_seconds is None:
        return ""
    wait = f"for another {seconds_in_words(row.until_seconds)}" if row.until_seconds > 0 else "now"
    return f" {wait} (about {row.until})"


def _detail(row: ShownExplanation) -> str:
    return f": {row.detail}" if row.detail else ""


def _rule(rule: ShownFinding) -> str:
    origin = "only images that the agent downloaded" if rule.agent_downloaded_only else "any origin"
    decides = "  <- decides" if rule.decides else ""
    when = "" if rule.due_in_seconds is None else f", removal {moment(rule.due_in_seconds)}"
    covers = f"{rule.image_name} after {rule.delete_after_minutes} min{_options(rule)}, {origin}"
    return f"{rule.rule}: {covers}: {rule.says}{when}{decides}"


def _options(rule: ShownFinding) -> str:
    """The optional fields of a rule."""
    minutes = rule.delete_after_minutes_under_pressure
    options = (
        (minutes is not None, f" ({minutes} min under disk pressure)"),
        (rule.lost_tag_only, ", only images that lost their tag"),
        (rule.keep_last > 0, f", keeps the last {rule.keep_last} of each repository"),
    )
    return "".join(text for is_set, text in options if is_set)


def _idle(row: ShownExplanation) -> str:
    if row.idle_seconds is None:
        return f"no: in use by {', '.join(row.containers) or 'an agreement of the agent'}"
    return f"for {seconds_in_words(row.idle_seconds)} of observed time"


def _evidence(row: ShownExplanation) -> Iterator[str]:
    yield _said("evidence", f"first seen {about(row.first_seen)}{_origin(row)}")
    used = row.last_used
    yield _said("", f"last used {about(used)}" if used and used != "in use" else used or "never seen in use")
    if row.last_sign:
        yield _said("", f"last activity: {row.last_sign} {about(row.last_sign_at)}")
    yield _said("", f"agent: {row.agent_downloaded or NO_EVIDENCE}")
    for name in row.names_remembered:
        yield _said("", f"earlier name: {name}")
    for child in row.children:
        yield _said("", f"parent of image {short_id(child)}")
    if row.setback:
        yield _said("", row.setback)


def _origin(row: ShownExplanation) -> str:
    origin = f", {row.origin}" if row.origin else ""
    return f"{origin}; {row.local}: cannot be pulled again" if row.local else origin
