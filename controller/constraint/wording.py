"""How values and constraints look in a message: on one line, and cut where they are long."""

from __future__ import annotations

import json


def shown(value: object) -> str:
    """A value as JSON writes it, so that the text "5" and the number 5 look different."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list within lists without end
        return "…"
    return shortened(text, 80).encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, most: int) -> str:
    """At most so many characters of the text, in one line."""
    text = text.replace("\r", " ").replace("\n", " ")
    return text if len(text) <= most else text[: most - 1] + "…"
