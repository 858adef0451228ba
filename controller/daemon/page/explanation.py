"""Why one image is removed or kept, or was removed: what `imagectl explain` prints, as an article."""

from __future__ import annotations

from collections.abc import Sequence

from controller.daemon.page.html import Child, Html, el
from controller.daemon.page.words import breakable, verdict
from controller.plan.report.history import RemovalRow, removal_in_words, removed_image_in_words
from controller.plan.report.rows import ShownExplanation, ShownFinding
from controller.plan.report.words import NO_EVIDENCE, VERDICTS, about, bounded_bytes
from controller.quantity import bytes_in_words, from_now, name_of, short_id, span


def explanation(found: Sequence[ShownExplanation] | Sequence[RemovalRow]) -> Html:
    """One article for each reference of the image, or for each of its removals."""
    return el("div", map(_article, found), id="explanation")


def _article(row: ShownExplanation | RemovalRow) -> Html:
    return _of_removal(row) if isinstance(row, RemovalRow) else _of_image(row)


def _of_removal(row: RemovalRow) -> Html:
    facts = [(el("dt", title.capitalize()) if title else None, el("dd", said)) for title, said in removal_in_words(row)]
    return el(
        "article",
        el("h2", breakable(name_of(row.reference, row.image))),
        el("p", removed_image_in_words(row), class_="aside"),
        el("dl", facts),
    )


def _of_image(row: ShownExplanation) -> Html:
    frees = bounded_bytes(row.frees_alone_bytes, row.frees_alone_bound)
    size = bytes_in_words(row.size_bytes)
    facts = [_fact(title, said) for title, said in _facts(row) if said]
    return el(
        "article",
        el("h2", breakable(name_of(row.reference, row.image))),
        el("p", f"image {short_id(row.image)}, {size}; removing it alone frees {frees}", class_="aside"),
        el("p", verdict(row.verdict), " ", _sentence(row), class_="said"),
        _rules(row.rules),
        el("dl", facts),
    )


def _sentence(row: ShownExplanation) -> str:
    meaning = VERDICTS.get(row.verdict, "")
    until = f", for another {span(row.until_seconds)}" if row.until_seconds else ""
    return f"{meaning}{until}{': ' if row.detail else ''}{row.detail}"


def _rules(rules: Sequence[ShownFinding]) -> Html | None:
    if not rules:
        return None
    head = el(
        "tr", (el("th", title, scope="col") for title in ("Rule", "Covers", "Once idle for", "Verdict", "Removal"))
    )
    return el("table", el("thead", head), el("tbody", map(_rule, rules)), class_="rules")


def _rule(rule: ShownFinding) -> Html:
    whose = ", if the agent downloaded it" if rule.agent_downloaded_only else ""
    when = from_now(rule.due_in_seconds)
    return el(
        "tr",
        el("th", rule.rule, scope="row"),
        el("td", el("code", rule.image_name), whose),
        el("td", span(rule.delete_after_minutes * 60.0), _under_pressure(rule), class_="limit"),
        el("td", rule.says, " ", el("strong", "decides") if rule.decides else None),
        el("td", when),
        class_="decides" if rule.decides else None,
    )


def _under_pressure(rule: ShownFinding) -> str:
    minutes = rule.delete_after_minutes_under_pressure
    return "" if minutes is None else f" ({span(minutes * 60.0)} under disk pressure)"


def _fact(title: str, said: Child) -> tuple[Html, Html]:
    return el("dt", title), el("dd", said)


def _facts(row: ShownExplanation) -> list[tuple[str, Child]]:
    idle = "in use" if row.idle_seconds is None else f"{span(row.idle_seconds)} of observed time"
    origin = f", {row.origin}" if row.origin else ""
    used = row.last_used or "never seen in use"
    activity = f"{row.last_sign} {about(_date(row.last_sign_at))}" if row.last_sign else ""
    return [
        ("Idle for", idle),
        ("Used by", ", ".join(row.containers)),
        ("Last used", used if row.last_used in (None, "in use") else about(_date(used))),
        ("First seen", f"{about(_date(row.first_seen))}{origin}"),
        ("Pulled again", f"not possible: {row.local}" if row.local else ""),
        ("Last activity", activity),
        ("From the agent", row.agent_downloaded or NO_EVIDENCE),
        ("Names", ", ".join(row.names)),
        ("Earlier names", ", ".join(row.names_remembered)),
        ("Parent of", ", ".join(short_id(child) for child in row.children)),
        ("Earlier tries", row.setback),
        ("To remove it", row.what_makes_it_go),
        ("To keep it", row.what_keeps_it),
    ]


def _date(moment: str | None) -> str | None:
    """`2026-11-21 09:30 UTC`"""
    return moment.replace("T", " ")[:16] + " UTC" if moment and "T" in moment else moment
