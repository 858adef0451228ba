"""Resolves names to images, recent meanings included: events and agents refer to images by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from controller.image.image import Image
from controller.image.reference import ImageId, image_id, is_image_id, reference_from_engine
from controller.plan.memory.event import Event, EventKind

_HEX = frozenset("0123456789abcdef")
_SHORTEST_ID = 4
_WITH_ANY_NAMES = frozenset({EventKind.LOADED, EventKind.IMPORTED, EventKind.BUILT})
"""They may move names that they do not contain."""

LostNames = Mapping[ImageId, Collection[str]]
"""Canonical names that images lost recently."""


class Names:
    """Names to images over several observations: a tag may have referred to two images since the last one.

    One is made for each observation and few are queried, so the tables are built at the first query.
    """

    def __init__(
        self,
        *observed: Mapping[ImageId, Image],
        lost: LostNames | None = None,
        events: Collection[Event] = (),
        keeps_pulled_digests: bool = False,
    ) -> None:
        """`observed` is in order of time. Events with both ID and name show names that existed between observations.

        `keeps_pulled_digests`: a pulled image keeps a digest of the repository after its tag moved on.
        """
        self._keeps_pulled_digests = keeps_pulled_digests
        self._observed = observed
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
    def _current(self) -> dict[str, set[ImageId]]:
        ids: dict[str, set[ImageId]] = {}
        for image in self._observed[-1].values():
            for reference in (*image.tags, *image.digests):
                ids.setdefault(reference.canonical, set()).add(image.id)
        return ids

    def _images(self) -> Iterable[Image]:
        return (image for images in self._observed for image in images.values())

    def images_named(self, text: str) -> frozenset[ImageId]:
        """Every image that `text` may refer to, rather too many than too few.

        `text` is a name (`latest` if it has no tag), a name with a digest, an ID or the start of one.
        """
        found = {image for spelling in spellings(text) for image in self._ids.get(spelling, ())}
        return frozenset(found | self._by_id(text))

    def images_now_named(self, text: str) -> frozenset[ImageId]:
        """The images that have this name or exactly this ID now, rather too few than too many."""
        if is_image_id(text):
            return frozenset({image_id(text)} & self._observed[-1].keys())
        return frozenset(self._current.get(next(iter(spellings(text)), ""), ()))

    def images_of_all(self, events: Iterable[Event]) -> set[ImageId]:
        """Every image that one of the events may refer to."""
        return {image for event in events for image in self.images_of(event)}

    def images_of(self, event: Event) -> frozenset[ImageId]:
        """Every image that an event may refer to.

        A name without an image may have been added and removed since the last observation. Then it may have belonged
        to any image that lost a name.
        """
        if event.image:
            return frozenset({event.image})
        return self.images_named(event.name) or self._untagged

    def may_have_meant(self, text: str) -> frozenset[ImageId]:
        """More images that a name may have meant for a moment. Docker does not show which image a pull gave the name.
        If the name moved on before the observation, it may have been any image, a known one too.
        """
        if self._pulled_and_moved.isdisjoint(spellings(text)):
            return frozenset()
        if not self._keeps_pulled_digests:
            return frozenset(image.id for image in self._images())
        repository = reference_from_engine(text).repository
        others = (ids for name, ids in self._ids.items() if reference_from_engine(name).repository == repository)
        return self._untagged.union(*others)  # With the tag, Docker removes the digest too.

    @cached_property
    def _pulled_and_moved(self) -> frozenset[str]:
        """Names that an event without an ID pulled, and that no image has now or another event may have moved."""
        pulls: dict[str, set[int]] = {}
        for event in self._events:
            if event.kind is EventKind.PULLED and not event.image and "@" not in event.name:
                pulls.setdefault(next(iter(spellings(event.name)), ""), set()).add(event.at)
        return frozenset(name for name, times in pulls.items() if len(times) > 1 or self._may_have_moved(name))

    def _may_have_moved(self, name: str) -> bool:
        """True if an event other than a pull may have given this name to the image that has it now, or removed it."""
        holders = self._current.get(name, set())
        return not holders or any(
            name in spellings(event.name)
            if event.kind is EventKind.TAGGED
            else event.kind in _WITH_ANY_NAMES and (not event.image or event.image in holders)
            for event in self._events
        )

    def affected_by(self, event: Event) -> frozenset[ImageId]:
        """Every image that an event may refer to, and every image that the event may have taken a name from."""
        return self.images_of(event) | self.images_named(event.name)

    def may_move_others(self, event: Event) -> bool:
        """True if the event may have moved a name that it does not contain, or added a name to a known image."""
        if event.kind is EventKind.PULLED:
            return not self.images_named(event.name)
        return event.kind in _WITH_ANY_NAMES

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
    """Known images that gained a name, lost a name to another image, or became a parent."""
    owners = {name.canonical: image.id for image in before.values() for name in (*image.tags, *image.digests)}
    found: set[ImageId] = set()
    for image in now.values():
        was = before.get(image.id)
        names = {name.canonical for name in (*image.tags, *image.digests)}
        found |= {owners[name] for name in names if owners.get(name, image.id) != image.id}
        if was is None and image.parent:
            found.add(image.parent)
        if was is not None and names - {name.canonical for name in (*was.tags, *was.digests)}:
            found.add(image.id)
    return found


def spellings(text: str) -> tuple[str, ...]:
    """The canonical names that an image with the name `text` may have.

    With both a tag and a digest, an engine resolves the digest, and may keep the tag.
    """
    reference = reference_from_engine(text)
    if not reference.has_name:
        return ()
    if reference.digest is None:
        return (f"{reference.repository}:{reference.tag or 'latest'}",)
    by_digest = f"{reference.repository}@{reference.digest}"
    return (by_digest, f"{reference.repository}:{reference.tag}") if reference.tag else (by_digest,)
