"""Moments, names and verdicts as the page says them."""

from __future__ import annotations

from typing import Any

from controller.daemon.page.html import Html, el

VERDICTS = {
    "DUE": "goes now",
    "SETTLING": "settling",
    "NOT_STARTED": "its policy has not started",
    "NOT_IDLE_LONG_ENOUGH": "not idle long enough",
    "BACKING_OFF": "the engine said no; will be tried again",
    "HELD_BACK": "held back by a limit",
    "IN_USE": "in use",
    "PROTECTED": "protected",
    "HAS_CHILDREN": "other images are built on it",
    "KEPT_AS_RECENT": "among the most recent of its repository",
    "NOT_DOWNLOADED_BY_AGENT": "not downloaded by the agent",
    "NO_RULE": "no rule covers it",
}
"""What a verdict means, in the order in which the page counts them."""


def verdict(word: str) -> Html:
    """A verdict as a badge; its colour only repeats what it says."""
    return el("span", word, class_=f"verdict {word.lower()}", title=VERDICTS.get(word, ""))


def span(seconds: float) -> str:
    """`42 s`, `12 min`, `5 h 12 min`, `3 d 4 h`: no more exact than anybody needs."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1_440:
        return _two(*divmod(minutes, 60), "h", "min")
    return _two(*divmod(round(minutes / 60), 24), "d", "h")


def _two(many: int, few: int, unit: str, lesser: str) -> str:
    return f"{many} {unit} {few} {lesser}" if few else f"{many} {unit}"


def from_now(seconds: float | None) -> str:
    """`in 12 min`, `now`, or a dash."""
    return "–" if seconds is None else f"in {span(seconds)}" if seconds > 0 else "now"


def ago(seconds: float) -> str:
    """`12 min ago`"""
    return "in the future" if seconds < -60 else f"{span(max(0.0, seconds))} ago"


def short_id(image: str) -> str:
    """As `docker images` prints it."""
    return image.removeprefix("sha256:")[:12]


def name(row: dict[str, Any]) -> str:
    """The reference, or a short ID of an image without one."""
    reference = str(row["reference"])
    return f"<none> {short_id(reference)}" if reference == row["image"] else reference


def rule(row: dict[str, Any]) -> str:
    """`services#2`"""
    return f"{row['document']}#{row['rule']}" if row["document"] else "–"
