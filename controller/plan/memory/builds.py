"""Images that a running build made or uses.

A classic build creates the container of each step from the ID of an image and commits it to an image without a name,
from which it continues. A later stage may need what an earlier one made, and nothing else shows that: on the
containerd store the parents of an image can be removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.image.image import Container
from controller.image.layers import ChainId, Layer
from controller.image.reference import ImageId, is_image_id
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.memory import Record
from controller.plan.memory.observation import Observation

_LONGEST_BUILD_SECONDS = 86_400.0
"""A container that runs from an image ID may also be no build: so it keeps nothing for longer."""
_RUNNING = ("created", "running", "paused", "restarting")


def images_of_builds(
    seen: Observation,
    events: Iterable[Event],
    records: Mapping[ImageId, Record],
    layers: Mapping[ChainId, Layer],
    now: float,
) -> Iterator[ImageId]:
    """Images that a running build made, and those that they are built on; none if no build runs.

    `records` are those before this observation, `layers` all that are known, `now` is ledger time.
    """
    if not (any(map(_is_step, seen.containers)) or any(map(_is_start_of_step, events))):
        return
    made = [image for image in seen.images if _may_be_made_by_build(seen, image, records.get(image), now)]
    chains = {chain for image in made if image in records for chain in _chains(records[image].tip, layers)}
    yield from made
    yield from (image for image, record in records.items() if record.tip in chains and image in seen.images)


def _is_step(container: Container) -> bool:
    return container.state in _RUNNING and is_image_id(container.created_from)


def _is_start_of_step(event: Event) -> bool:
    return event.kind is EventKind.USED and event.is_creation and is_image_id(event.name)


def _may_be_made_by_build(seen: Observation, image: ImageId, record: Record | None, now: float) -> bool:
    """True for a new image that never had a name, unless it was pulled, loaded or imported."""
    listed = seen.images[image]
    if listed.tags or listed.digests:
        return False
    if record is None:
        return True
    is_built = record.origin in (None, EventKind.BUILT)
    return is_built and not record.names and now - record.first_seen < _LONGEST_BUILD_SECONDS


def _chains(tip: ChainId | None, layers: Mapping[ChainId, Layer]) -> Iterator[ChainId]:
    """The layer and all layers below it."""
    while tip:
        yield tip
        tip = layers[tip].parent if tip in layers else None
