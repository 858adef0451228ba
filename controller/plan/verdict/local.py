"""Images that cannot be pulled again: built, loaded or imported on this node."""

from __future__ import annotations

from controller.image.image import Image
from controller.plan.memory.event import EventKind
from controller.plan.memory.memory import Record
from controller.plan.memory.observation import Store


def why_local(image: Image, record: Record, store: Store) -> str:
    """Why the image cannot be pulled again, for display; empty if it can.

    An unknown origin counts as local, except on a graph driver where the image has a digest of a registry. On the other
    stores built images have digests as well.
    """
    if record.origin is EventKind.PULLED:
        return ""
    if record.origin is not None:
        return f"{record.origin.value} on this node"
    return "" if store is Store.GRAPH_DRIVER and image.digests else "of unknown origin"
