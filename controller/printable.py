"""Makes foreign text safe to print: names, error messages and file names must not control a terminal."""

from __future__ import annotations

import unicodedata

from controller.pattern import Pattern

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode: control and format characters (bidi marks, zero width), half characters, private and
unassigned ones, separators of lines and paragraphs.
"""
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
"""Letters and marks that are invisible."""
_INVISIBLE_CHARACTER = Pattern(f"[{_INVISIBLE}]")


def printable(text: str, longest: int | None = None) -> str:
    """The text on one line: hidden characters become escapes such as `\\u000a`. Cut after `longest` characters."""
    if longest is not None and len(text) > longest:
        text = f"{text[: longest - 1]}…"
    if text.isprintable() and (text.isascii() or not _INVISIBLE_CHARACTER.regex.search(text)):
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN and not _INVISIBLE_CHARACTER.regex.search(character):
        return character
    return f"\\u{ord(character):04x}" if character <= "\uffff" else f"\\U{ord(character):08x}"
