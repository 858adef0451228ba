"""The status page: health, disk use, bytes freed, the next removals, and why an image is removed or kept.

It needs no script: search, order and explanations are links and a form. The script fetches the same pages.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller import __version__
from controller.daemon.overview import Health, Picture, Published
from controller.daemon.page import assets
from controller.daemon.page.charts import days_chart, disk_bar, timeline
from controller.daemon.page.explanation import explanation
from controller.daemon.page.html import Child, Html, el
from controller.daemon.page.lists import PROBLEMS, last_removals, next_to_go, policies, references
from controller.daemon.page.query import Query
from controller.log_events import LogEvent
from controller.plan.memory.disk import PressureMarks
from controller.plan.report.history import RemovalRow
from controller.plan.report.rows import ReclaimableRow, ShownExplanation
from controller.plan.report.words import STOPPED, bounded_bytes
from controller.quantity import ago, bytes_in_words, count_of, from_now, seconds_in_words

_NEXT = 6
_SHOWN_WITH_POLICIES = (LogEvent.POLICY_ERRORS, LogEvent.POLICY_UNSTABLE)
"""What is wrong is shown in the list of policies; the line at the top links to it."""
_SAYS = {
    Health.STARTING: "Starting: the first pass has not ended yet",
    Health.HEALTHY: "Healthy",
    Health.DEGRADED: "Works, with problems",
    Health.FAILING: "Does not work",
}


def status_page(picture: Picture, query: Query) -> str:
    """The whole page."""
    published = picture.published
    body = _body(picture, published, query) if published else ()
    return _document(
        _title(picture),
        el("header", _name(picture), _health(picture), class_="top"),
        el("main", _troubles(picture), _notices(published), body),
        _foot(published),
        script=True,
    )


def explanation_page(found: Sequence[ShownExplanation] | Sequence[RemovalRow]) -> str:
    """Why one image is removed or kept, or was removed, on a page of its own; the script shows the same in a window."""
    back = el("p", el("a", "All images", href="/"), class_="back")
    return _document("Why?", el("main", back, explanation(found)), script=False)


def _document(title: str, *body: Child, script: bool) -> str:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("link", rel="icon", href=assets.address("/icon.svg"), type="image/svg+xml"),
        el("link", rel="stylesheet", href=assets.address("/page.css")),
        el("script", src=assets.address("/page.js"), defer=True) if script else None,
        el("noscript", el("meta", http_equiv="refresh", content="60")) if script else None,
    )
    return f"<!doctype html>\n{el('html', head, el('body', body), lang='en')}\n"


def _title(picture: Picture) -> str:
    mark = {Health.HEALTHY: "", Health.STARTING: "… "}.get(picture.health, "! ")
    return f"{mark}Image controller{f' · {picture.node}' if picture.node else ''}"


def _name(picture: Picture) -> Html:
    node = el("span", picture.node, class_="node") if picture.node else None
    return el("h1", el("a", "Image controller", href="/"), node)


def _health(picture: Picture) -> Html:
    dry = "dry run, nothing is removed" if picture.published and picture.published.status.dry_run else ""
    return el(
        "div",
        el("p", _SAYS[picture.health], class_=f"state {picture.health.value}", role="status", id="state"),
        el("p", _last_pass(picture), el("strong", dry) if dry else None, class_="aside"),
        id="health",
        class_="health",
        data_live=True,
    )


def _last_pass(picture: Picture) -> str:
    if picture.published is None:
        return ""
    status = picture.published.status
    last = f"last pass {ago(picture.now.uptime_seconds - status.at.uptime_seconds)}"
    change = status.decision.plan.next_change_at
    until = f"; next change {from_now(picture.seconds_until(change))}" if change is not None else ""
    node = status.decision.node
    is_old = node.is_without_agent and node.age_seconds > 0
    agent = f"; the agent's last answer was {seconds_in_words(node.age_seconds)} old" if is_old else ""
    return f"{last}, took {status.duration_seconds:.1f} s{until}{agent}"


def _troubles(picture: Picture) -> Html:
    degradations = picture.published.status.degradations if picture.published else ()
    linked = {each.text for each in degradations if each.event in _SHOWN_WITH_POLICIES}
    texts = (el("li", el("a", text, href=f"#{PROBLEMS}") if text in linked else text) for text in picture.troubles)
    lines = el("ul", texts) if picture.troubles else None
    return el("div", lines, id="troubles", class_=f"troubles {picture.health.value}", data_live=True)


def _notices(published: Published | None) -> Html:
    """States that need no repair: a file STOP, and disk pressure."""
    summary = published.report.summary if published else None
    lines = []
    if summary and summary.folder.stopped:
        lines.append(f"{STOPPED[:1].upper()}{STOPPED[1:]}. Delete it to continue.")
    if summary and published and summary.disk_pressure:
        lines.append(_pressure(summary.disk_pressure, published.status.pressure_marks))
    shown = el("ul", (el("li", line) for line in lines)) if lines else None
    return el("div", shown, id="notices", class_="notices", data_live=True)


def _pressure(words: str, marks: PressureMarks | None) -> str:
    until = f" Rules with delete_after_minutes_under_pressure use that limit until {marks.stop}." if marks else ""
    return f"{words[:1].upper()}{words[1:]}.{until}"


def _body(picture: Picture, published: Published, query: Query) -> tuple[Html, ...]:
    figures = el("div", _store(picture, published), _freed(published), id="figures", class_="figures", data_live=True)
    return (
        figures,
        _next(picture, published),
        references(picture, published, query),
        el("div", policies(picture, published), last_removals(picture, published), class_="columns"),
        el("dialog", id="why", aria_label="Why?"),
    )


def _store(picture: Picture, published: Published) -> Html:
    summary, images = published.report.summary, published.report.summary.image_store_bytes
    bar: Child = el("p", picture.disk.why_unknown, class_="aside") if picture.disk.why_unknown else None
    if usage := picture.disk.usage:
        size, available = usage.size_bytes, usage.available_bytes
        bar = [disk_bar(images, usage, published.status.pressure_marks), _key(images, size, available)]
    return el(
        "section",
        el("h2", "Image store"),
        el("p", el("strong", bytes_in_words(images)), " in ", count_of(summary.images, "image"), class_="big"),
        el("p", _reclaimable(summary.reclaimable), class_="aside") if images else None,
        el("p", f"without {summary.image_store_without}", class_="aside") if summary.image_store_without else None,
        bar,
        class_="card",
    )


def _reclaimable(freed: ReclaimableRow) -> str:
    kept, most = freed.without_evidence_bytes, bounded_bytes(freed.due_and_waiting_bytes, freed.bound)
    without = f"; {bytes_in_words(kept)} are kept: no evidence that the agent downloaded them" if kept else ""
    later = f"{most} of it will be removed, now or later{without}"
    count = freed.due_local_images
    local = f"{count_of(count, 'due image')} ({bytes_in_words(freed.due_local_bytes)}) cannot be pulled again"
    return f"{later}. {local}." if count else later


def _key(images: int, size: int, available: int) -> Html:
    parts = (("images", images), ("other", max(0, size - available - images)), ("free", available))
    return el("p", (el("span", f"{bytes_in_words(count)} {word}", class_=word) for word, count in parts), class_="key")


def _freed(published: Published) -> Html:
    days, history = published.days, published.history
    week = sum(day.freed_bytes for day in days[-7:])
    unknown = f", {history.total_unknown:,} measurements unknown" if history.total_unknown else ""
    return el(
        "section",
        el("h2", "Freed"),
        el("p", el("strong", bytes_in_words(days[-1].freed_bytes)), " today", class_="big"),
        days_chart(days),
        el(
            "p",
            el("span", f"{bytes_in_words(week)} in 7 days"),
            el("span", f"{bytes_in_words(history.total_bytes)} in all{unknown}"),
            class_="key",
        ),
        class_="card",
    )


def _next(picture: Picture, published: Published) -> Html:
    removals, reclaimable = published.planned_removals, published.report.summary.reclaimable
    due = sum(picture.seconds_until(each.due_at) == 0 for each in removals)
    later = reclaimable.due_and_waiting_bytes - reclaimable.due_bytes
    lead = el("p", _lead(due, len(removals) - due, reclaimable, later), class_="big")
    chart = [timeline(removals, picture), next_to_go(picture, published, _NEXT)] if removals else None
    return el(
        "section",
        el("h2", "Next removals"),
        lead,
        chart,
        id="next",
        class_="card",
        data_live=True,
    )


def _lead(due: int, waiting: int, freed: ReclaimableRow, later_bytes: int) -> list[Child]:
    due_bytes = bounded_bytes(freed.due_bytes, freed.bound)
    now: list[Child] = [el("strong", due_bytes), f" now, in {count_of(due, 'reference')}"] if due else []
    then = f"{bounded_bytes(later_bytes, freed.bound)} later, in {count_of(waiting, 'reference')}"
    if not (due or waiting):
        return ["Nothing is due or waiting."]
    return [*now, "; " if due and waiting else None, then if waiting else None]


def _foot(published: Published | None) -> Html:
    engine = published.report.summary.engine if published else None
    beside = f" with {engine.product} {engine.version}" if engine else ""
    links = [el("a", "Status as JSON", href="/api/status"), " ", el("a", "Metrics", href="/metrics")]
    return el("footer", el("p", f"imagectl {__version__}{beside}. This page is read-only."), el("p", links), id="foot")
