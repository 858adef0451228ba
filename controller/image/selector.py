"""Selectors: patterns over image names, which removal rules and protections use.

A selector is `*`, `repository:tag` with a `*` anywhere in either, or `repository@sha256:...`. Nothing is completed or
cut; an incomplete name is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Generic, TypeVar

from controller.errors import InvalidSelector
from controller.image.reference import Reference, quoted, split_reference
from controller.image.selector_grammar import (
    check_characters,
    check_digest_pattern,
    parse_repository_pattern,
    parse_tag_pattern,
)
from controller.image.wildcard import Wildcard, WildcardIndex
from controller.value import dataclass

_MOST_KNOWN = 20_000
"""Cached results."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Selector:
    """A checked pattern from `parse_selector`; equal if the texts are equal."""

    text: str
    repository: Wildcard | None = field(compare=False)
    """None covers every image, those without a name included."""
    is_canonical: bool = field(compare=False, default=False)
    """True: compare the repository with `docker.io/library/nginx`; False: with `nginx`."""
    tag: Wildcard | None = field(compare=False, default=None)
    """None covers every tag, and names without a tag."""
    digest: str | None = field(compare=False, default=None)

    def matches(self, reference: Reference | None) -> bool:
        """True if the selector covers the reference. Only `*` covers None and a bare ID (images without a name)."""
        if self.repository is None:
            return True
        if reference is None or not reference.has_name:
            return False
        name = reference.repository if self.is_canonical else reference.familiar_repository
        return self.repository.matches(name) and self._matches_version_of(reference)

    def _matches_version_of(self, reference: Reference) -> bool:
        if self.digest is not None:
            return reference.digest == self.digest
        return self.tag is None or (reference.tag is not None and self.tag.matches(reference.tag))


def parse_selector(text: str) -> Selector:
    """selector = "*" | repository ":" tag | repository "@" digest

    Raises InvalidSelector; its hint is what was probably meant.
    """
    if text == "*":
        return Selector(text, repository=None)
    check_characters(text)
    name, tag, digest = split_reference(text)
    repository, is_canonical = parse_repository_pattern(name)
    if digest is not None:
        check_digest_pattern(name, tag, digest)
        return Selector(text, repository, is_canonical, digest=digest)
    if tag is None:
        raise InvalidSelector(f"{quoted(text)} has no tag", _completed(text))
    return Selector(text, repository, is_canonical, parse_tag_pattern(tag))


def _completed(text: str) -> str:
    if not text.strip("*"):
        return 'did you mean "*:*" (every name) or "*" (every image, even without a name)?'
    return f"did you mean {quoted(f'{text}:*')} or {quoted(f'{text}:latest')}?"


class SelectorIndex(Generic[T]):
    """An immutable index from references to the values of the selectors that cover them.

    Results are cached, because each pass looks up the same names.
    """

    def __init__(self, items: Iterable[tuple[Selector, T]]) -> None:
        self._known: dict[Reference, tuple[T, ...]] = {}
        self._values: list[T] = []
        self._everything: list[int] = []
        self._by_digest: dict[tuple[str, str], list[int]] = {}
        canonical: dict[Wildcard, dict[Wildcard | None, list[int]]] = {}
        familiar: dict[Wildcard, dict[Wildcard | None, list[int]]] = {}
        for place, (selector, value) in enumerate(items):
            self._values.append(value)
            if selector.repository is None:
                self._everything.append(place)
            elif selector.digest is not None:
                self._by_digest.setdefault((selector.repository.text, selector.digest), []).append(place)
            else:
                tags = (canonical if selector.is_canonical else familiar).setdefault(selector.repository, {})
                tags.setdefault(selector.tag, []).append(place)
        self._canonical = WildcardIndex({repository: _TagIndex(tags) for repository, tags in canonical.items()})
        self._familiar = WildcardIndex({repository: _TagIndex(tags) for repository, tags in familiar.items()})

    def matching(self, reference: Reference | None) -> tuple[T, ...]:
        """The values of all selectors that cover the reference, in their original order."""
        if reference is None or not reference.has_name:
            return self._at(self._everything)
        found = self._known.get(reference)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._at([*self._everything, *self._places_by_name(reference)])
            self._known[reference] = found
        return found

    def _at(self, places: Iterable[int]) -> tuple[T, ...]:
        return tuple(self._values[place] for place in sorted(places))

    def _places_by_name(self, reference: Reference) -> Iterator[int]:
        if reference.digest is not None:
            yield from self._by_digest.get((reference.repository, reference.digest), ())
        for tags in self._canonical.matching(reference.repository):
            yield from tags.places(reference.tag)
        for tags in self._familiar.matching(reference.familiar_repository):
            yield from tags.places(reference.tag)


class _TagIndex:
    """The places of the selectors of one repository, in their original order."""

    def __init__(self, tags: dict[Wildcard | None, list[int]]) -> None:
        self._of_any = tags.get(None, [])
        self._of_some = WildcardIndex({tag: places for tag, places in tags.items() if tag is not None})

    def places(self, tag: str | None) -> Iterator[int]:
        yield from self._of_any
        if tag is not None:
            for places in self._of_some.matching(tag):
                yield from places
