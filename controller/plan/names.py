"""Which images a piece of text has meant lately: event streams and agents name images by text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from controller.image.image import Image
from controller.image.reference import ImageId, reference_from_engine
from controller.plan.event import Event

_HEX = frozenset("0123456789abcdef")
_SHORTEST_ID = 4


class Names:
    """Text to images, over several looks at the engine (a tag may have meant two images since the last one).

    Made with every look and asked after few, so nothing is prepared before the first question.
    """

    def __init__(self, *looks: Mapping[ImageId, Image]) -> None:
        self._looks = looks

    @cached_property
    def _ids(self) -> dict[str, set[ImageId]]:
        ids: dict[str, set[ImageId]] = {}
        for image in self._images():
            for reference in (*image.tags, *image.digests):
                ids.setdefault(reference.canonical, set()).add(image.id)
        return ids

    @cached_property
    def _by_hex(self) -> dict[str, ImageId]:
        return {image.id.removeprefix("sha256:"): image.id for image in self._images()}

    def _images(self) -> Iterable[Image]:
        return (image for look in self._looks for image in look.values())

    def meant(self, text: str) -> frozenset[ImageId]:
        """Every image that `text` has meant: a name (`latest` if it has no tag), a name by digest, an ID or the
        beginning of one.
        """
        reference = reference_from_engine(text)
        found = set(self._ids.get(reference.canonical, ()))
        if reference.tag is None and reference.digest is None:
            found |= self._ids.get(f"{reference.repository}:latest", set())
        if reference.digest is not None:
            found |= self._ids.get(f"{reference.repository}@{reference.digest}", set())
            found |= self._ids.get(f"{reference.repository}:{reference.tag}", set()) if reference.tag else set()
        return frozenset(found | self._by_id(text.removeprefix("sha256:")))

    def all_meant(self, events: Iterable[Event]) -> set[ImageId]:
        """Every image that one of the events is about."""
        return {image for event in events for image in ([event.image] if event.image else self.meant(event.name))}

    def _by_id(self, text: str) -> set[ImageId]:
        if len(text) < _SHORTEST_ID or not _HEX.issuperset(text):
            return set()
        if text in self._by_hex:
            return {self._by_hex[text]}
        return {image for hexadecimal, image in self._by_hex.items() if hexadecimal.startswith(text)}
