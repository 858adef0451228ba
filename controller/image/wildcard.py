"""Text in which `*` stands for any run of characters, and an index that asks thousands of them at once.

Nothing here is a regular expression: no pattern, however odd, takes more than linear time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_GRAM_LENGTH = 4
_FEW = 8
"""Wildcards that are quicker asked than filed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A pattern. Without a `*` in it, it matches itself alone."""

    text: str
    _first: str = field(init=False, compare=False, repr=False)
    _inner: tuple[str, ...] = field(init=False, compare=False, repr=False)
    _last: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        first, *inner = self.text.split("*")
        last = inner.pop() if inner else ""
        object.__setattr__(self, "_first", first)
        object.__setattr__(self, "_inner", tuple(filter(None, inner)))
        object.__setattr__(self, "_last", last)

    @property
    def is_literal(self) -> bool:
        """Is there no `*` in it?"""
        return self._first == self.text

    def matches(self, name: str) -> bool:
        """Each literal piece is looked for once, as far left as it will go: if that fails, so does every other way."""
        if self.is_literal:
            return name == self.text
        at, end = len(self._first), len(name) - len(self._last)
        if at > end or not name.startswith(self._first) or not name.endswith(self._last):
            return False
        for piece in self._inner:
            found = name.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    def grams(self) -> set[str]:
        """Runs of characters, all of one length of at most four, that every name it matches must contain."""
        pieces = (self._first, *self._inner, self._last)
        length = min(_GRAM_LENGTH, max(map(len, pieces)))
        return {gram for piece in pieces for gram in _grams(piece, length)}


class WildcardIndex(Generic[T]):
    """Values by wildcard, found by name without asking every wildcard.

    Literals are in a dict. Of the others, if they are not just a few, each is filed under one of its grams, the one
    that it shares with the fewest; only those filed under a gram of the name are asked.
    """

    def __init__(self, values: Mapping[Wildcard, T]) -> None:
        self._literal = {wildcard.text: value for wildcard, value in values.items() if wildcard.is_literal}
        others = [(wildcard, value) for wildcard, value in values.items() if not wildcard.is_literal]
        self._few = others if len(others) <= _FEW else []
        self._by_gram: dict[str, list[tuple[Wildcard, T]]] = {}
        grams = {wildcard: wildcard.grams() for wildcard, _ in others[len(self._few) :]}
        popularity = Counter(gram for of_one in grams.values() for gram in of_one)
        for wildcard, of_one in grams.items():
            rarest = min(of_one, key=lambda gram: (popularity[gram], gram))
            self._by_gram.setdefault(rarest, []).append((wildcard, values[wildcard]))
        self._lengths = {len(gram) for gram in self._by_gram}

    def matching(self, name: str) -> list[T]:
        """The values of all wildcards that match `name`, in no particular order."""
        found = [self._literal[name]] if name in self._literal else []
        found += [value for wildcard, value in self._few if wildcard.matches(name)]
        for length in self._lengths:
            for gram in self._by_gram.keys() & _grams(name, length):
                found += [value for wildcard, value in self._by_gram[gram] if wildcard.matches(name)]
        return found


def _grams(text: str, length: int) -> set[str]:
    return {text[start : start + length] for start in range(len(text) - length + 1)}
