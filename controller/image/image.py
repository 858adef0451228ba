"""Image and Container, the same for every engine."""

from __future__ import annotations

from controller.image.reference import ImageId, Reference
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Image:
    """One image, which may be a hidden parent of others."""

    id: ImageId
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    """Repositories that the image was pulled from or pushed to, each with the digest it has there."""
    parent: ImageId | None
    """Set only for images built or committed on this host, and not by every engine."""
    size_bytes: int | None
    """From the engine; shared layers count in each image. None if the engine's figure is invalid."""
    keep: bool
    """Has the label `image-controller.keep`, with any value but an explicit false."""
    created: float = 0.0
    """Build date in Unix time, as the engine reports it; 0 if it does not. It makes no image older."""
    named_digests: tuple[Reference, ...] = ()
    """Those of `digests` that are names of the image, where the engine lists them among the names. Podman combines each
    name with each digest of the image: its own one, and that of the manifest list that was pulled.
    """
    held: str = ""
    """Why the engine's store needs it, for display: Podman does not list that with the images. Empty: it does not."""

    @property
    def removable_references(self) -> tuple[Reference, ...]:
        """The names by which the image can be removed: sorted tags, then sorted digests; none means by its ID.

        A digest beside a tag of the same repository is not included: on the containerd store and Podman a delete by
        that digest also removes the tags, and on a graph driver the last tag removes the digest. Nor is a digest beside
        one that is a name: a delete by it removes that name.
        """
        tagged = {reference.repository for reference in self.tags}
        named = tagged.union(reference.repository for reference in self.named_digests)
        digests = (
            reference
            for reference in self.digests
            if reference.repository not in (tagged if reference in self.named_digests else named)
        )
        return (*sorted(self.tags), *sorted(digests))

    @property
    def names_on_podman(self) -> int:
        """The number of names as Podman counts them; with several it refuses a removal by ID. A digest that is a name
        counts also beside a tag of its repository.
        """
        return max(len(self.tags) + len(self.named_digests), len(self.removable_references))


@dataclass(frozen=True, slots=True)
class Container:
    """One container, in any state."""

    id: str
    name: str
    image: ImageId
    """The image it was created from, by ID, also after the name has moved to another image."""
    state: str
    """The engine's word: created, running, paused, restarting, exited, dead, ..."""
    agent_service: bool
    """Labelled `openhorizon.anax.service_name`: started by the agent or with `hzn dev`."""
    agent_dev: bool
    """Labelled `openhorizon.anax.dev_service`: started with `hzn dev`."""
    mounted_images: tuple[str, ...]
    """Names or IDs of images that it mounts."""
    created_from: str
    """The name or ID it was created from, as written; some engines replace the name by the ID later."""
    swarm_service: bool = False
    """Labelled `com.docker.swarm.service.id`: it belongs to a swarm service."""
