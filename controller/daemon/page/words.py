"""Verdicts and rules as the page shows them."""

from __future__ import annotations

from controller.daemon.page.html import Html, el
from controller.plan.report.words import VERDICTS


def verdict(word: str) -> Html:
    """A verdict as a badge; the colour adds no information."""
    return el("span", word, class_=f"verdict {word.lower()}", title=VERDICTS.get(word, ""))


def rule_name(document: str | None, rule: int | None) -> str:
    """`services#2`"""
    return f"{document}#{rule}" if document else "–"
