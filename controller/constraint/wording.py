"""Values and constraints for messages: on one line, shortened."""

from __future__ import annotations

import json


def shown(value: object) -> str:
    """A value as JSON, so that the text "5" and the number 5 look different."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # an integer with thousands of digits, or endless nesting
        return "…"
    return shortened(text, 80).encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, most: int) -> str:
    """At most `most` characters of the text, on one line."""
    text = text.replace("\r", " ").replace("\n", " ")
    return text if len(text) <= most else text[: most - 1] + "…"


def quoted(text: str) -> str:
    """Text in double quotes, with invisible characters escaped."""
    short = shortened(text, 40)
    return shown(short) if short.isprintable() else json.dumps(short)
