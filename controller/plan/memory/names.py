"""Which images a piece of text has meant lately: event streams and agents name images by text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from controller.image.image import Image
from controller.image.reference import ImageId, image_id, is_image_id, reference_from_engine
from controller.plan.memory.event import Event, EventKind

_HEX = frozenset("0123456789abcdef")
_SHORTEST_ID = 4

LostNames = Mapping[ImageId, Collection[str]]
"""Canonical names that images bore until a moment ago."""


class Names:
    """Text to images, over several looks at the engine (a tag may have meant two images since the last one).

    Made with every look and asked after few, so nothing is prepared before the first question.
    """

    def __init__(
        self, *looks: Mapping[ImageId, Image], lost: LostNames | None = None, events: Iterable[Event] = ()
    ) -> None:
        """The last look is the latest. Events that name an image both by ID and by text tell of names that came and
        went between two looks.
        """
        self._looks = looks
        self._lost = lost or {}
        self._events = events

    @cached_property
    def _ids(self) -> dict[str, set[ImageId]]:
        ids: dict[str, set[ImageId]] = {}
        for image in self._images():
            for reference in (*image.tags, *image.digests):
                ids.setdefault(reference.canonical, set()).add(image.id)
        for lost_by, names in self._lost.items():
            for name in names:
                ids.setdefault(name, set()).add(lost_by)
        for event in self._events:
            if event.image and event.name:
                ids.setdefault(reference_from_engine(event.name).canonical, set()).add(event.image)
        return ids

    @cached_property
    def _by_hex(self) -> dict[str, ImageId]:
        return {image.id.removeprefix("sha256:"): image.id for image in self._images()}

    @cached_property
    def _bearers(self) -> dict[str, set[ImageId]]:
        ids: dict[str, set[ImageId]] = {}
        for image in self._looks[-1].values():
            for reference in (*image.tags, *image.digests):
                ids.setdefault(reference.canonical, set()).add(image.id)
        return ids

    def _images(self) -> Iterable[Image]:
        return (image for look in self._looks for image in look.values())

    def images_named(self, text: str) -> frozenset[ImageId]:
        """Every image that `text` has meant: a name (`latest` if it has no tag), a name by digest, an ID or the
        beginning of one. It errs on the side of too many.
        """
        found = {image for spelling in spellings(text) for image in self._ids.get(spelling, ())}
        return frozenset(found | self._by_id(text))

    def bearers_of(self, text: str) -> frozenset[ImageId]:
        """The images that bear this name now, or have exactly this ID. It errs on the side of too few."""
        if is_image_id(text):
            return frozenset({image_id(text)} & self._looks[-1].keys())
        return frozenset(self._bearers.get(next(iter(spellings(text)), ""), ()))

    def images_of_all(self, events: Iterable[Event]) -> set[ImageId]:
        """Every image that one of the events is about."""
        return {image for event in events for image in self.images_of(event)}

    def images_of(self, event: Event) -> frozenset[ImageId]:
        """Every image that an event may be about.

        A name that nobody bears may have been given and taken away since the last look: then it meant one of those
        that lost a name.
        """
        if event.image:
            return frozenset({event.image})
        return self.images_named(event.name) or self._untagged

    def affected_by(self, event: Event) -> frozenset[ImageId]:
        """The same, and every image whose name the event may have given to another."""
        return self.images_of(event) | self.images_named(event.name)

    def may_move_others(self, event: Event) -> bool:
        """May the event have moved a name that it does not tell, or given a second one to an image that we know?"""
        if event.kind is EventKind.PULLED:
            return not self.images_named(event.name)
        return event.kind in (EventKind.LOADED, EventKind.IMPORTED, EventKind.BUILT)

    @cached_property
    def _untagged(self) -> frozenset[ImageId]:
        return frozenset(e.image for e in self._events if e.image and e.kind is EventKind.UNTAGGED)

    def _by_id(self, text: str) -> set[ImageId]:
        digest = reference_from_engine(text).digest
        known = {ImageId(digest)} & {*self._by_hex.values()} if digest else set[ImageId]()
        text = text.removeprefix("sha256:")
        if len(text) < _SHORTEST_ID or not _HEX.issuperset(text):
            return known
        if text in self._by_hex:
            return {self._by_hex[text]}
        return {image for hexadecimal, image in self._by_hex.items() if hexadecimal.startswith(text)}


def renamed(before: Mapping[ImageId, Image], now: Mapping[ImageId, Image]) -> set[ImageId]:
    """Images of before that have gained a name, that another image bears a name of, or that one is built on."""
    bearers = {name.canonical: image.id for image in before.values() for name in (*image.tags, *image.digests)}
    found: set[ImageId] = set()
    for image in now.values():
        was = before.get(image.id)
        names = {name.canonical for name in (*image.tags, *image.digests)}
        found |= {bearers[name] for name in names if bearers.get(name, image.id) != image.id}
        if was is None and image.parent:
            found.add(image.parent)
        if was is not None and names - {name.canonical for name in (*was.tags, *was.digests)}:
            found.add(image.id)
    return found


def spellings(text: str) -> tuple[str, ...]:
    """The canonical names under which an image may be known of which somebody wrote `text`.

    Where both a tag and a digest are written, an engine goes by the digest, and may have kept the tag.
    """
    reference = reference_from_engine(text)
    if not reference.has_name:
        return ()
    if reference.digest is None:
        return (f"{reference.repository}:{reference.tag or 'latest'}",)
    by_digest = f"{reference.repository}@{reference.digest}"
    return (by_digest, f"{reference.repository}:{reference.tag}") if reference.tag else (by_digest,)
