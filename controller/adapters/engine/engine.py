"""The container engine: list images and containers, measure the store, remove images. Returns our values and errors.

Uses low-level calls only: the object layer of the docker library inspects every image that it lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

import docker
from docker.errors import APIError

from controller.adapters.engine.answers import container_from, engine_from, image_from, layers_from, rows_of
from controller.adapters.engine.connection import Connection, send
from controller.errors import EngineUnavailable, ImageGone, RemovalFailed, RemovalRefused
from controller.image.image import Container, Image
from controller.image.layers import Layer
from controller.image.reference import ImageId
from controller.plan.memory.observation import Engine

_LOST_A_RACE = re.compile(r"unrecognized image ID|no such image|image not known", re.IGNORECASE)
_SEVERAL_NAMES = re.compile(r"more than one tag", re.IGNORECASE)

T = TypeVar("T")


class DockerEngine:
    """An engine with Docker's API: Docker, or Podman's compatible service."""

    def __init__(self, connection: Connection, own_container: str = "") -> None:
        """`own_container` is the ID of the container that this program runs in, or empty."""
        self._connection = connection
        self._own_container = own_container
        self._own_name = ""
        self._images: dict[ImageId, Image] = {}

    @property
    def generation(self) -> int:
        """Changes when another engine may answer."""
        return self._connection.generation

    def identify(self) -> Engine:
        """Identity of the engine. Raises EngineUnavailable, as every call does."""
        return self._sensible("info", lambda client: engine_from(client.info(), client.version()))

    def images(self) -> Mapping[ImageId, Image]:
        """All images, with hidden parents. An unchanged image is the same object as last time."""

        def ask(client: docker.APIClient) -> dict[ImageId, Image]:
            images = map(image_from, rows_of(send(client, "GET", "/images/json?all=1")))
            return {image.id: self._as_known(image) for image in images}

        self._images = self._sensible("list_images", ask)
        return self._images

    def _as_known(self, image: Image) -> Image:
        known = self._images.get(image.id)
        return known if known == image else image

    def containers(self) -> tuple[Container, ...]:
        """All containers, in any state."""
        address = "/containers/json?all=1"
        listed = self._sensible(
            "list_containers", lambda client: list(map(container_from, rows_of(send(client, "GET", address))))
        )
        return tuple(self._as_created(each) if each.id == self._own_container else each for each in listed)

    def _as_created(self, own: Container) -> Container:
        """Our own container with the name that it was created from: Docker lists the ID once that name has moved."""
        if not self._own_name:
            self._own_name = self._sensible(
                "inspect_container", lambda client: str(client.inspect_container(own.id)["Config"]["Image"])
            )
        return replace(own, created_from=self._own_name)

    def service_images(self) -> frozenset[str]:
        """Image names of swarm services; call this on a swarm manager only."""

        def ask(client: Any) -> frozenset[str]:
            specs = (service["Spec"]["TaskTemplate"] for service in client.services())
            return frozenset(spec["ContainerSpec"]["Image"] for spec in specs if "ContainerSpec" in spec)

        return self._sensible("list_services", ask)

    def layers(self, image: ImageId) -> tuple[Layer, ...]:
        """The layers of one image, lowest first. Raises ImageGone too."""

        def ask(client: Any) -> tuple[Layer, ...]:
            return layers_from(client.inspect_image(image), client.history(image))

        return self._sensible("inspect_image", ask)

    def store_bytes(self) -> int:
        """Size of the image store, as the engine counts it."""
        return self._disk_usage("image", _store_total)

    def written_bytes(self) -> int:
        """Size of the writable layers of all containers, as the engine counts it."""
        return self._disk_usage("container", _written_total)

    def _disk_usage(self, of: str, total: Callable[[Mapping[str, Any]], int]) -> int:
        """The docker library always asks for all sizes, with volumes and build cache."""
        address = f"/system/df?type={of}"
        return self._sensible("measure_store", lambda client: total(json.loads(send(client, "GET", address))))

    def remove(self, target: str) -> tuple[str, ...]:
        """Remove one name, or the image with one ID; never with force, never with its parents.

        Returns the IDs that the answer lists as deleted: the image, and on graph drivers each layer. Raises ImageGone,
        RemovalRefused or RemovalFailed for an error answer; EngineUnreachable if no request was sent;
        EngineUnavailable if the result is unknown.
        """
        times_asked = 0

        def ask(client: docker.APIClient) -> tuple[str, ...]:
            nonlocal times_asked
            times_asked += 1
            rows = json.loads(send(client, "DELETE", f"/images/{quote(target, safe='/:')}?force=False&noprune=True"))
            return tuple(deleted for row in rows or () if (deleted := row.get("Deleted")))

        try:
            return self._connection.request("remove_image", ask)
        except APIError as error:
            refusal = _refusal(error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            refusal = EngineUnavailable(f"invalid response to remove_image: {error!r}")
        if times_asked > 1 and isinstance(refusal, ImageGone):
            raise EngineUnavailable(f"the connection broke; the second request got: {refusal}") from refusal
        raise refusal

    def _sensible(self, operation: str, ask: Callable[[docker.APIClient], T]) -> T:
        """A valid answer, or EngineUnavailable: half a list is not a list."""
        try:
            return self._connection.request(operation, ask)
        except APIError as error:
            if error.status_code == 404 and operation == "inspect_image":
                raise ImageGone(_words(error)) from error
            raise EngineUnavailable(
                f"the engine answered {operation} with {error.status_code}: {_words(error)}"
            ) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._connection.drop()
            raise EngineUnavailable(f"invalid response to {operation}: {error!r}") from error


def _store_total(usage: Mapping[str, Any]) -> int:
    """API 1.52 has `ImageUsage`, and the older field is deprecated. An engine leaves out zeros.

    Raises ValueError where the total says nothing: Podman 4.3 always counts 0.
    """
    total = (usage.get("ImageUsage") or {}).get("TotalSize", usage.get("LayersSize", 0))
    images = usage.get("Images") or ()
    if not total and any(image.get("Size") for image in images):
        raise ValueError(f"the engine counts 0 bytes for {len(images)} images")
    return int(total)


def _written_total(usage: Mapping[str, Any]) -> int:
    if "Containers" not in usage:
        return int((usage.get("ContainerUsage") or {}).get("TotalSize", 0))
    return sum(container.get("SizeRw") or 0 for container in usage["Containers"] or ())


def _refusal(error: APIError) -> Exception:
    """The error for an answer other than 200. Engines differ in their codes (measured on six)."""
    words, status = _words(error), error.status_code
    if status == 404 or (status == 500 and _LOST_A_RACE.search(words)):
        return ImageGone(words)
    if status == 409 or (status == 500 and _SEVERAL_NAMES.search(words)):
        return RemovalRefused(words)
    return RemovalFailed(f"{status}: {words}")


def _words(error: APIError) -> str:
    return str(error.explanation or error).strip()
