"""Builds markup: everything that is not `Html` is text and is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from controller.printable import printable


class Html(str):
    """Markup."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
"""Markup, text, None, or several of these."""
Attribute = str | int | float | bool | None

_VOID = frozenset(("meta", "link", "input", "br", "wbr"))


def el(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """An element. `class_` is class, `aria_label` is aria-label; None and False leave an attribute out."""
    opened = "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    return Html(f"<{tag}{opened}>" if tag in _VOID else f"<{tag}{opened}>{joined(children)}</{tag}>")


def joined(children: Child) -> Html:
    """Several children as one piece of markup."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, str):
        return Html(escape(printable(children)))
    return Html("".join(map(joined, children)))


def _attribute(name: str, value: Attribute) -> str:
    if value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(printable(str(value)))}"'
