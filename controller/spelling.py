"""Suggestions for words that are written wrong."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str:
    """The known word that is most similar; empty if none is similar enough."""
    from difflib import get_close_matches  # For messages only; a controller without errors does not need its memory.

    return next(iter(get_close_matches(word, list(known), 1, similarity)), "")
