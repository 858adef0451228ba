"""`imagectl explain`: all that is known of one image, and what would have to happen for it to go or to stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from controller.cli.columns import moment, short_id
from controller.cli.get import age_in_words
from controller.cli.options import LOOKING, settings_from, with_settings
from controller.cli.render import Values, dumped, output_option, plain
from controller.cli.view import fitting_view
from controller.daemon.terms import conditions_of
from controller.plan.explanation import explained, similar_names
from controller.quantity import bytes_in_words, seconds_in_words


@click.command()
@click.argument("reference", metavar="REF")
@with_settings(*LOOKING, "protect")
@output_option("table", "wide", "json", "yaml")
@click.option("--live", is_flag=True, help="Ask the engine, instead of explaining what the controller saw last.")
@click.pass_context
def explain(context: click.Context, /, reference: str, form: str, live: bool, **given: Any) -> None:
    """Say why an image goes or stays: every rule that touches it, which of them decides, and on what evidence.

    REF is a name, a name by digest, or an image's ID or the beginning of one. Exit code 1 if there is no such image.
    """
    settings = settings_from(given)
    seen = fitting_view(settings, live)
    found = explained(seen.decision, conditions_of(settings).terms, reference)
    if not found:
        near = similar_names(seen.decision, reference)[:5]
        hint = f"; there are {', '.join(near)}" if near else ""
        click.echo(f"imagectl: no image on this node is called {reference}{hint}", err=True)
        context.exit(1)
    if form in ("json", "yaml"):
        click.echo(dumped(found, form))
        return
    click.echo("\n\n".join("\n".join(map(plain, _lines(values))) for values in found))
    click.echo(age_in_words(seen), err=True)


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
    covers = f"{rule['image_name']} after {rule['delete_after_minutes']} min, {whose}"
    return f"{rule['rule']}: {covers}: {rule['says']}{when}{decides}"


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
    return f", {values['origin']}" if values["origin"] else ""
