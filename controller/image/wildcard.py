"""Wildcards, in which `*` matches any characters, and an index over thousands of them.

No regular expressions, so that every pattern takes linear time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from typing import Generic, TypeVar

from controller.value import dataclass

_GRAM_LENGTH = 4
_FEW = 8
"""Up to this number, testing each wildcard is faster than an index."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A pattern. Without a `*` it matches only its own text."""

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
        """True if there is no `*` in it."""
        return self._first == self.text

    def matches(self, name: str) -> bool:
        """Find each literal piece once, as far left as possible; if that fails, no other position matches."""
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
        """Substrings of one length (at most four) that every matching name contains."""
        pieces = (self._first, *self._inner, self._last)
        length = min(_GRAM_LENGTH, max(map(len, pieces)))
        return {gram for piece in pieces for gram in _grams(piece, length)}


class WildcardIndex(Generic[T]):
    """An index from names to the values of the wildcards that match them.

    Literals are in a dict. Each of the others is stored under its rarest gram, unless they are few; only wildcards
    stored under a gram of the name are tested.
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
        """The values of all wildcards that match `name`, in any order."""
        found = [self._literal[name]] if name in self._literal else []
        found += [value for wildcard, value in self._few if wildcard.matches(name)]
        for length in self._lengths:
            for gram in self._by_gram.keys() & _grams(name, length):
                found += [value for wildcard, value in self._by_gram[gram] if wildcard.matches(name)]
        return found


def _grams(text: str, length: int) -> set[str]:
    return {text[start : start + length] for start in range(len(text) - length + 1)}
