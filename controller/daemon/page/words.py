"""Verdicts and rules as the page shows them."""

from __future__ import annotations

import re

from controller.daemon.page.html import Child, Html, el
from controller.plan.report.words import VERDICTS


def verdict(word: str) -> Html:
    """A verdict as a badge; the colour adds no information."""
    return el("span", word, class_=f"verdict {word.lower()}", title=VERDICTS.get(word, ""))


def breakable(name: str) -> list[Child]:
    """A name that wraps after slashes, dots of the registry and before the tag or digest; never before a port."""
    registry, slash, path = name.rpartition("/")
    parts = _BREAKS.split(f"{registry}{slash}") if slash else []
    name_and_tag, at, digest = path.partition("@")
    parts += [*_TAG.split(name_and_tag), at + digest]
    return [child for part in parts if part for child in (part, el("wbr"))][:-1]


_BREAKS = re.compile(r"(?<=[/.])")
_TAG = re.compile(r"(?=:)")


def rule_name(document: str | None, rule: int | None) -> str:
    """`services#2`"""
    return f"{document}#{rule}" if document else "–"
