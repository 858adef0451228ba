"""The lists of the page: every reference, the policies, the last removals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, islice

from controller.daemon.overview import LAST_REMOVALS, Picture, PlannedRemoval, Published
from controller.daemon.page.html import Html, el
from controller.daemon.page.query import LARGEST_FIRST, ROWS, Query, Selection
from controller.daemon.page.words import breakable, rule_name, verdict
from controller.plan.report.rows import ShownDocument, ShownReference
from controller.plan.report.words import VERDICTS, state_in_words
from controller.plan.verdict.removal import Exactness, Freed, Removal
from controller.plan.verdict.verdict import Reason
from controller.quantity import ago, bytes_in_words, count_of, from_now, name_of, short_id, span

PROBLEMS = "policies-title"
"""The place on the page where the problems of policies are shown."""
_NAMES_OF_A_MOMENT = 3
_LONG_RULE = 40
"""Characters; the name of a longer one may wrap."""
_BEGINS = {"in_force": " since about ", "waiting": ", begins about "}
_COLUMNS = (
    ("reference", "Reference", "by name"),
    ("verdict", "Verdict", "by verdict"),
    ("goes", "Removal", "by the time of removal"),
    ("idle", "Idle", "the longest idle first"),
    ("size", "Size", "the largest first"),
    ("rule", "Rule", "by policy"),
)


# ── references ───────────────────────────────────────────────────────────────────────────────────────────────────────


def references(picture: Picture, published: Published, query: Query) -> Html:
    """The references that the query selects, with their verdicts, one page of them."""
    chosen = query.selection(published.report.references())
    rows = [row.shown(picture.clock) for row in published.report.references(chosen.places)]
    return el(
        "section",
        el("h2", "Images", id="references-title"),
        _search(query),
        _verdicts(chosen.counts, query),
        _table(rows, query) if rows else el("p", _nothing(published, query), class_="nothing"),
        _pages(chosen, query),
        _removed(picture, published, query),
        id="references",
        aria_labelledby="references-title",
        data_live=True,
    )


def _nothing(published: Published, query: Query) -> str:
    if not published.status.decision.plan.verdicts:
        return "There are no images on this node."
    return f"No image on this node matches “{query.q}”." if query.q else "No reference matches."


def _removed(picture: Picture, published: Published, query: Query) -> Html | None:
    """Recent removals that the search finds, the newest first: the image may no longer be on the node."""
    removed = (each for each in published.history.removals if each.outcome.is_success)
    found = [each for each in removed if query.finds(each)][::-1] if query.q else []
    if not found:
        return None
    more = len(found) - LAST_REMOVALS
    lines = [_removal(each, published, picture.now.wall_seconds) for each in found[:LAST_REMOVALS]]
    rest = el("li", f"and {more:,} more: imagectl get removals", class_="aside") if more > 0 else None
    return el("div", el("h3", "Removed in the last 14 days"), el("ul", lines, rest, class_="removals"), id="removed")


def _search(query: Query) -> Html:
    kept = [el("input", type="hidden", name=field, value=value) for field, value in query.unusual if field != "q"]
    word = el(
        "input",
        type="search",
        id="q",
        name="q",
        value=query.q,
        placeholder="Search name, ID or policy",
        aria_label="Search references",
        autocomplete="off",
        spellcheck="false",
        maxlength=200,
    )
    of_policy = (
        el("a", f"policy {query.document} ✕", href=query.address(document=""), class_="chip chosen", data_view=True)
        if query.document
        else None
    )
    button = el("button", "Search", type="submit")
    return el("form", word, kept, button, of_policy, method="get", action="/", role="search", class_="search")


def _verdicts(counts: Counter[str], query: Query) -> Html:
    """The number of references of each verdict, each a link that shows only those."""
    chips = [_chip("all", "", counts.total(), query)]
    chips += [_chip(word, word, counts[word], query) for word in VERDICTS if counts[word] or word == query.verdict]
    return el("nav", el("ul", (el("li", chip) for chip in chips)), class_="chips", aria_label="By verdict")


def _chip(text: str, word: str, count: int, query: Query) -> Html:
    is_chosen = query.verdict == word
    return el(
        "a",
        text,
        " ",
        el("span", f"{count:,}", class_="count"),
        href=query.address(verdict=word),
        class_="chip chosen" if is_chosen else "chip",
        aria_current="true" if is_chosen else None,
        title=VERDICTS.get(word),
        data_view=True,
    )


def _table(rows: Sequence[ShownReference], query: Query) -> Html:
    head = el("tr", (_heading(field, title, text, query) for field, title, text in _COLUMNS), role="row")
    return el(
        "table",
        el("caption", "References, their verdicts and reasons", class_="unseen"),
        el("thead", head, role="rowgroup"),
        el("tbody", map(_row, rows), role="rowgroup"),
        role="table",
        class_="references",
    )


def _heading(field: str, title: str, text: str, query: Query) -> Html:
    is_sorted = query.sort == field
    reverse = "" if query.reverse or not is_sorted else "1"
    is_descending = bool(query.reverse) != (field in LARGEST_FIRST)
    order = ("descending" if is_descending else "ascending") if is_sorted else None
    link = el(
        "a",
        title,
        href=query.address(sort=field, reverse=reverse),
        title=f"Sort {text}" if not is_sorted else "Reverse the order",
        data_view=True,
    )
    return el("th", link, scope="col", role="columnheader", aria_sort=order, class_=f"by-{field}")


def _row(row: ShownReference) -> Html:
    why = el(
        "a",
        breakable(name_of(row.reference, row.image)),
        href=_address_of(row.image),
        class_="why",
        title="Why?",
        data_explain=True,
    )
    rule = rule_name(row.document, row.rule)
    idle = "in use" if row.idle_seconds is None else span(row.idle_seconds)
    when = "now" if row.action == "remove" else from_now(row.due_in_seconds)
    return el(
        "tr",
        el("th", why, _local(row), _protected(row), scope="row", role="rowheader", class_="reference"),
        el("td", verdict(row.verdict), role="cell", class_="verdict-cell", title=row.detail or None),
        el("td", _moment(when, row.due_at), role="cell", class_="goes", data_label="Removal"),
        el("td", idle, role="cell", class_="idle" if row.idle_seconds is not None else "idle used", data_label="Idle"),
        el("td", bytes_in_words(row.size_bytes), role="cell", class_="size", data_label="Size"),
        el("td", rule, role="cell", class_="rule long" if len(rule) > _LONG_RULE else "rule", data_label="Rule"),
        role="row",
    )


def _local(row: ShownReference) -> Html | None:
    return el("span", "local", class_="local", title=f"cannot be pulled again: {row.local}") if row.local else None


def _protected(row: ShownReference) -> Html | None:
    """A mark for an image that no rule covers and that is protected as well: a new rule would not remove it."""
    if row.verdict != Reason.NO_RULE or not row.detail:
        return None
    return el("span", "protected", class_="local", title=row.detail)


def _address_of(image: str) -> str:
    return f"/explain?image={image}"


def _moment(text: str, date: str | None) -> Html:
    return el("time", text, datetime=date, title=f"about {date}") if date else el("span", text)


def _pages(chosen: Selection, query: Query) -> Html | None:
    if chosen.pages == 1:
        return None
    number = chosen.number
    first, last = (number - 1) * ROWS + 1, min(number * ROWS, chosen.total)
    return el(
        "nav",
        _turn("Previous", number - 1, number > 1, query),
        el("span", f"{first:,}–{last:,} of {chosen.total:,}"),
        _turn("Next", number + 1, number < chosen.pages, query),
        class_="pages",
        aria_label="Pages",
    )


def _turn(text: str, number: int, is_there: bool, query: Query) -> Html:
    if not is_there:
        return el("span", text, class_="off")
    return el("a", text, href=query.address(page=str(number)), data_view=True)


# ── next removals ────────────────────────────────────────────────────────────────────────────────────────────────────


def next_to_go(picture: Picture, published: Published, most: int) -> Html:
    """The first few moments at which something is removed, and what."""
    moments = groupby(published.planned_removals, lambda each: from_now(picture.seconds_until(each.due_at)))
    groups = [(when, list(removals)) for when, removals in islice(moments, most)]
    more = len(published.planned_removals) - sum(len(removals) for _, removals in groups)
    rest = el("li", f"and {more:,} more after that", class_="more") if more else None
    return el("ol", (_moment_of(when, removals) for when, removals in groups), rest, class_="next")


def _why(reference: str, image: str) -> Html:
    return el("a", breakable(name_of(reference, image)), href=_address_of(image), data_explain=True)


def _moment_of(when: str, removals: Sequence[PlannedRemoval]) -> Html:
    names = [(_why(each.reference, each.image), el("br")) for each in removals[:_NAMES_OF_A_MOMENT]]
    more = len(removals) - len(names)
    return el(
        "li",
        el("span", when, class_="when"),
        el("span", names, el("span", f"and {more:,} more", class_="aside") if more else None),
        el("span", f"frees {bytes_in_words(sum(each.frees_bytes for each in removals))}", class_="frees"),
    )


# ── policies ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def policies(picture: Picture, published: Published) -> Html:
    """Every document: its state on this node, and its problems."""
    rows = [row.shown(picture.clock) for row in published.report.documents()]
    folder = published.report.summary.folder
    where = [el("code", folder.path), f" at revision {folder.revision[:12]}" if folder.revision else None]
    others = [problem for problem in folder.problems if not any(problem in row.problems for row in rows)]
    return el(
        "section",
        el("h2", "Policies", id="policies-title"),
        el("p", "from ", where, class_="aside"),
        el("ul", map(_policy, rows), class_="policies")
        if rows
        else el("p", "No policy is in force, so nothing is removed.", class_="nothing"),
        _problems(others),
        _information(published.report.summary.information),
        id="policies",
        aria_labelledby="policies-title",
        data_live=True,
    )


def _policy(row: ShownDocument) -> Html:
    rules = count_of(row.rules, "rule")
    begins = _BEGINS.get(row.state) if row.in_force_from else None
    date = el("time", row.in_force_from[:10]) if begins and row.in_force_from else None
    return el(
        "li",
        el(
            "div",
            el("a", row.name, href=Query(document=row.name).address() + "#references", class_="name"),
            el("span", state_in_words(row.state), class_=f"state {row.state}"),
            class_="line",
        ),
        el("p", row.label) if row.label else None,
        el("p", f"{rules}; {row.why}", begins, date, class_="aside"),
        _problems(row.problems),
    )


def _information(lines: Sequence[str]) -> Html | None:
    return el("ul", (el("li", line) for line in lines), class_="aside") if lines else None


def _problems(problems: Sequence[str]) -> Html | None:
    return el("ul", (el("li", el("code", problem)) for problem in problems), class_="problems") if problems else None


# ── removals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def last_removals(picture: Picture, published: Published) -> Html:
    """The last removals, their reasons, and the bytes they freed."""
    history = published.history
    removals = list(history.removals[-LAST_REMOVALS:])[::-1]
    lines = [_removal(each, published, picture.now.wall_seconds) for each in removals]
    nothing = el("p", "Nothing was removed in the last 14 days.", class_="nothing")
    return el(
        "section",
        el("h2", "Last removals", id="removals-title"),
        el("ul", lines, class_="removals") if lines else nothing,
        id="removals",
        aria_labelledby="removals-title",
        data_live=True,
    )


def _removal(removal: Removal, published: Published, now: float) -> Html:
    intent, batch = removal.intent, published.history.batches.get(removal.batch)
    figure = f"{_freed(batch.freed)} with its batch" if batch else _freed(removal.freed)
    result = (figure, "") if removal.outcome.is_success else (removal.outcome.value, f" {removal.outcome.value}")
    name = (
        _why(intent.reference, intent.image)
        if removal.outcome.is_success
        else breakable(name_of(intent.reference, intent.image))
    )
    rule = rule_name(intent.document, intent.rule)
    why = (
        f"idle for {span(intent.idle_seconds)}, by {rule}, text {intent.text_hash[:12]}; image {short_id(intent.image)}"
    )
    return el(
        "li",
        el("span", ago(now - removal.wall_seconds), class_="when"),
        el("span", name, class_="name"),
        el("span", result[0], class_=f"frees{result[1]}"),
        el("p", why, class_="aside"),
        el("p", removal.message, class_="message") if removal.message else None,
    )


def _freed(freed: Freed) -> str:
    if freed.bytes is None:
        return "unknown" if freed.exactness is Exactness.UNKNOWN else "to be measured"
    return f"{'at least ' * (freed.exactness is Exactness.LOWER_BOUND)}{bytes_in_words(freed.bytes)}"
