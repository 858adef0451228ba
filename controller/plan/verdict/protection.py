"""Images that no rule may remove (design, section 7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from controller.image.image import Image
from controller.image.reference import DOCKER_HUB, ImageId, Reference, looks_like_registry, reference_from_engine
from controller.image.selector import Selector, SelectorIndex, parse_selector
from controller.plan.memory.names import spellings
from controller.plan.memory.observation import Observation, Store
from controller.value import dataclass

_OF_AGENT = ("openhorizon/*_anax:*", "openhorizon/*_cloud-sync-service:*", "openhorizon/*_edge-sync-service:*")
AGENT_IMAGES = (*_OF_AGENT, *(f"localhost/{pattern}" for pattern in _OF_AGENT))
"""The agent in a container and the object store that it starts (anax, anax-in-container and the scripts of the
management hub). Podman adds `localhost/` to the names of loaded images.
"""


@dataclass(frozen=True, slots=True)
class Protection:
    """What is protected on this node, and why."""

    patterns: SelectorIndex[str]
    names: dict[str, str]
    """Canonical names that something on this node needs to start again, and the reason."""
    repositories: frozenset[str]
    """Repositories of the image that this controller runs from."""
    under_any_registry: SelectorIndex[str] | None = None
    """On Podman, patterns without a registry: the engine itself means `localhost/app:1` by `app:1`."""
    swarm: Collection[ImageId] = ()
    """On a swarm worker, images that services used within the last 30 days."""

    def reason_for(self, image: Image, names: Sequence[Reference]) -> str:
        """Why the image is protected, for display; empty if it is not. One protected name protects all."""
        if image.held:
            return image.held
        if image.keep:
            return "label image-controller.keep"
        if image.id in self.swarm:
            return "used by a swarm service within the last 30 days; a swarm worker does not know the services"
        for name in names:
            if name.repository in self.repositories:
                return f"{name.familiar_repository} is the repository of this controller's own image"
            if name.canonical in self.names:
                return self.names[name.canonical]
        by_pattern = (why for name in names or (None,) for why in self.patterns.matching(name))
        return next(by_pattern, "") or self._reason_under_any_registry(names)

    def _reason_under_any_registry(self, names: Sequence[Reference]) -> str:
        if self.under_any_registry is None:
            return ""
        return next((why for name in names for why in self.under_any_registry.matching(on_docker_hub(name))), "")


def on_docker_hub(name: Reference) -> Reference:
    """The same name without its registry, as a pattern without a registry is compared."""
    path = name.path if "/" in name.path else f"library/{name.path}"
    return replace(name, domain=DOCKER_HUB, path=path)


def protection_on(seen: Observation, protected: Iterable[Selector], swarm: Collection[ImageId] = ()) -> Protection:
    """Everything that is protected on this node: by the operator, for the agent, for the swarm, for this controller."""
    of_swarm = {name: "used by a swarm service" for text in seen.service_images for name in spellings(text)}
    own, patterns = _own_repositories(seen), tuple(protected)
    anywhere = _patterns_without_registry(patterns) if seen.engine.store is Store.PODMAN else None
    # A manager knows its services.
    on_worker = () if seen.engine.manages_swarm else swarm
    return Protection(_patterns(patterns), of_swarm, own, anywhere, on_worker)


def has_registry(pattern: str) -> bool:
    """True if the pattern starts with a registry."""
    first, slash, _ = pattern.partition("/")
    return bool(slash) and looks_like_registry(first)


@lru_cache(maxsize=1)
def _patterns_without_registry(protected: tuple[Selector, ...]) -> SelectorIndex[str]:
    """Cached: the operator's patterns never change."""
    patterns = (selector for selector in protected if selector.repository and not has_registry(selector.text))
    return SelectorIndex([(selector, f"protected by --protect {selector.text}") for selector in patterns])


@lru_cache(maxsize=1)
def _patterns(protected: tuple[Selector, ...]) -> SelectorIndex[str]:
    """Cached: the operator's patterns never change."""
    by_operator = [(selector, f"protected by --protect {selector.text}") for selector in protected]
    of_agent = [(parse_selector(text), f"image of the Open Horizon agent ({text})") for text in AGENT_IMAGES]
    return SelectorIndex([*by_operator, *of_agent])


def _own_repositories(seen: Observation) -> frozenset[str]:
    own = [container for container in seen.containers if container.id == seen.own_container]
    images = [seen.images[container.image] for container in own if container.image in seen.images]
    by_name = {name.repository for image in images for name in (*image.tags, *image.digests)}
    as_created = {
        reference_from_engine(container.created_from).repository for container in own if container.created_from
    }
    return frozenset(by_name | as_created)
