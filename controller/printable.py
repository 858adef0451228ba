"""Text of others, made safe to show: names, error messages and file names are data and never control a terminal."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode: control and format characters (bidi marks, zero width), half characters, private and
unassigned ones, separators of lines and paragraphs.
"""
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that show nothing, besides the variation selectors."""


def printable(text: str, longest: int = 4_096) -> str:
    """The text on one line: hidden characters as escapes (`\\n`, `\\x1b`, `\\u202e`), cut at `longest` characters."""
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def has_hidden(text: str) -> bool:
    """Does the text contain characters that `printable` escapes?"""
    return not (text.isascii() and text.isprintable()) and any(_is_hidden(character) for character in text)


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode() if _is_hidden(character) else character


def _is_hidden(character: str) -> bool:
    if unicodedata.category(character) in _HIDDEN or character in _INVISIBLE:
        return True
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
