"""Image and Container: what is known of them, the same for every engine. Nothing of an engine's JSON is here."""

from __future__ import annotations

from dataclasses import dataclass

from controller.image.reference import ImageId, Reference


@dataclass(frozen=True, slots=True)
class Image:
    """One image of an engine, hidden parents of other images included."""

    id: ImageId
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    """Repositories that the image was pulled from or pushed to, each with the digest it has there."""
    parent: ImageId | None
    """Set only where an image was built or committed here, and not by every engine."""
    size_bytes: int
    """As the engine says; layers that are shared with other images count in each of them."""
    keep: bool
    """Labelled `image-controller.keep=true`."""
    created: float = 0.0
    """Build date in Unix time, as the engine reports it; 0 if it does not. It makes no image older."""

    @property
    def removable_references(self) -> tuple[Reference, ...]:
        """The names by which the image can be removed, tags first, each kind in order; none means: by its ID.

        A digest beside a tag of the same repository is not one of them: a delete by that digest takes the tags along on
        the containerd store and Podman, and on a graph driver the last tag takes the digest along.
        """
        tagged = {reference.repository for reference in self.tags}
        digests = (reference for reference in self.digests if reference.repository not in tagged)
        return (*sorted(self.tags), *sorted(digests))


@dataclass(frozen=True, slots=True)
class Container:
    """One container, in whatever state."""

    id: str
    name: str
    image: ImageId
    """The image it is made from; that stays right when the name moves on to another image."""
    state: str
    """The engine's word: created, running, paused, restarting, exited, dead, ..."""
    agent_service: bool
    """Labelled `openhorizon.anax.service_name`: the agent runs it, or a developer with `hzn dev`."""
    agent_dev: bool
    """Labelled `openhorizon.anax.dev_service`: started with `hzn dev`."""
    mounted_images: tuple[str, ...]
    """Names or IDs of images that it mounts."""
    created_from: str
    """The name or ID that it was created from, as written then; an engine may since have put the ID in its place."""
