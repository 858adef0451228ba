"""`imagectl explain`: all that is known of one image, and what would have to happen for it to go or to stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import click

from controller.cli.completion import names_of
from controller.cli.options import LOOKING, settings_from, with_settings
from controller.cli.output.columns import moment, short_id
from controller.cli.output.render import FORMATS, Values, dumped, output_option
from controller.cli.output.selection import nearest
from controller.cli.reported import last_report
from controller.errors import NotFound
from controller.plan.report.meaning import explained_rows
from controller.printable import printable
from controller.quantity import bytes_in_words, seconds_in_words
from controller.settings import Settings


@click.command()
@click.argument("reference", metavar="REF", shell_complete=names_of("reference"))
@with_settings(*LOOKING, "protect", "protect_local")
@output_option(*FORMATS)
@click.option("--live", is_flag=True, help="Look and decide anew, not as the controller's last pass did.")
def exprintable(reference: str, form: str, live: bool, **given: Any) -> None:
    """Say why an image goes or stays: every rule that touches it, which of them decides, and on what evidence.

    REF is a name, a name by digest, or an image's ID or the beginning of one.

    Exit code: 0 good, 1 there is no such image, 2 wrong usage, 3 the engine or the ledger cannot be reached.

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
        click.echo("\n".join(printable(values["reference"]) for values in found))
    else:
        click.echo("\n\n".join("\n".join(map(printable, _lines(values))) for values in found))
        click.echo(said, err=True)


def _explained(settings: Settings, live: bool, text: str) -> tuple[list[Values], str]:
    """What the controller's last pass says of it, or what a look at the engine does. Raises NotFound."""
    references = None if live else last_report(settings, "reference")
    explanations = None if live else last_report(settings, "explanation")
    if references is None or explanations is None:
        return _looked_at(settings, text), "as the engine says now"
    found = explained_rows(references.at_rest, explanations.at_rest, text)
    return list(map(references.to_display, found)) or _not_found(text, references.at_rest), references.age_in_words


def _looked_at(settings: Settings, text: str) -> list[Values]:
    from controller.cli.view import live_view
    from controller.daemon.conditions import conditions_of
    from controller.plan.report.explanation import explained
    from controller.plan.report.moments import to_display
    from controller.plan.report.report import references_at_rest

    decision, terms = live_view(settings).decision, conditions_of(settings).terms
    found = explained(decision, terms, text) or _not_found(text, references_at_rest(decision, terms.usage))
    return [to_display(row, decision.memory.clock) for row in found]


def _not_found(text: str, rows: Iterable[Values]) -> NoReturn:
    raise NotFound(f"no image on this node is called {text}{nearest(text, [row['reference'] for row in rows])}")


def _lines(values: Values) -> Iterator[str]:
    frees = bytes_in_words(values["frees_alone_bytes"])
    size = bytes_in_words(values["size_bytes"])
    yield f"{values['reference']}  (image {short_id(values['image'])}, {size}; removing it alone frees {frees})"
    yield _said("verdict", f"{values['verdict']}{_deadline(values)}{_detail(values)}")
    for rule in values["rules"]:
        yield _said("rule" if rule is values["rules"][0] else "", _rule(rule))
    yield _said("idle", _idle(values))
    yield from _evidence(values)
    yield _said("to go", values["what_makes_it_go"])
    yield _said("to stay", values["what_keeps_it"])


def _said(title: str, text: str) -> str:
    return f"  {title:<10} {text}"


def _deadline(values: Values) -> str:
    if values["until_seconds"] is None:
        return ""
    return f" {moment(values['until_seconds'])} (about {values['until']})".replace(" in ", " for another ", 1)


def _detail(values: Values) -> str:
    return f": {values['detail']}" if values["detail"] else ""


def _rule(rule: Values) -> str:
    whose = "only what the agent downloaded" if rule["agent_downloaded_only"] else "whoever downloaded it"
    decides = "  <- decides" if rule["decides"] else ""
    when = "" if rule["due_in_seconds"] is None else f", goes {moment(rule['due_in_seconds'])}"
    covers = f"{rule['image_name']} after {rule['delete_after_minutes']} min{_options(rule)}, {whose}"
    return f"{rule['rule']}: {covers}: {rule['says']}{when}{decides}"


def _options(rule: Values) -> str:
    """The optional fields of a rule."""
    options = (
        (rule["lost_tag_only"], ", only images that lost their tag"),
        (rule["keep_last"], f", keeps the last {rule['keep_last']} of each repository"),
    )
    return "".join(text for is_set, text in options if is_set)


def _idle(values: Values) -> str:
    if values["idle_seconds"] is None:
        return f"no: in use by {', '.join(values['containers']) or 'an agreement of the agent'}"
    return f"for {seconds_in_words(values['idle_seconds'])} of watched time"


def _evidence(values: Values) -> Iterator[str]:
    yield _said("evidence", f"first seen about {values['first_seen']}{_origin(values)}")
    used = values["last_used"]
    yield _said("", f"last used about {used}" if used and used != "in use" else used or "never seen in use")
    if values["last_sign"]:
        yield _said("", f"last {values['last_sign']} about {values['last_sign_at']}")
    yield _said("", f"agent: {values['agent_downloaded'] or 'nothing tells that the agent downloaded it'}")
    for name in values["names_remembered"]:
        yield _said("", f"was called {name}")
    for child in values["children"]:
        yield _said("", f"{short_id(child)} is built on it")
    if values["setback"]:
        yield _said("", values["setback"])


def _origin(values: Values) -> str:
    origin = f", {values['origin']}" if values["origin"] else ""
    return f"{origin}; {values['local']}: cannot be pulled again" if values.get("local") else origin
