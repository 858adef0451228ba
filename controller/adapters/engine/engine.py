"""The container engine: list images and containers, measure the store, remove images. Returns our values and errors.

An answer of the wrong form ends the pass. Only a valid ID or a valid name becomes part of a request path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

from controller.adapters.engine.answers import (
    deleted_from,
    engine_from,
    has_build_cache,
    id_from,
    is_at_least,
    removed_by_podman_from,
    store_total,
    written_total,
)
from controller.adapters.engine.client import Client, ErrorAnswer
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.containers import containers_from, created_from, services_from
from controller.adapters.engine.fields import Row
from controller.adapters.engine.images import HeldImages, ImageList, ids_from, images_from, layers_from, members_from
from controller.adapters.engine.json_rows import mapping_of, rows_of
from controller.errors import EngineUnavailable, ImageGone, InvalidReference, RemovalFailed, RemovalRefused
from controller.image.image import Container, Image
from controller.image.layers import Layer
from controller.image.reference import ImageId, is_image_id, listed_reference
from controller.pattern import Pattern
from controller.plan.memory.observation import Engine, Store

_LOST_A_RACE = Pattern(r"unrecognized image ID|no such image|image not known", re.IGNORECASE)
_SEVERAL_NAMES = Pattern(r"more than one tag", re.IGNORECASE)

T = TypeVar("T")
_LIBPOD_API = "4.0.0"
"""Podman's own API, whose paths need a version; later versions serve it too."""
_PODMAN_WITH_NOPRUNE = 4, 3
_NO_NOPRUNE = (
    "no request was sent: Podman {} may also delete an image that this one is built on, while that is being pulled; "
    "update Podman to 4.3 or newer"
)
_STATUS_OF_EXIT_CODE = {1: 404, 2: 409}
"""Of Podman's own API: the image is not known; it is in use."""


class DockerEngine:
    """An engine with Docker's API: Docker, or Podman's compatible service."""

    def __init__(self, connection: Connection, own_container: str = "", machine: str = "") -> None:
        """`own_container` is the ID of the container that this program runs in, or empty; `machine` is a hash of this
        machine's ID, which counts if the engine is on it.
        """
        self._connection = connection
        self._machine = machine if connection.address.url.startswith("unix:") else ""
        self._own_container = own_container
        self._own_name = ""
        self._is_podman = False
        self._old_podman = ""
        """The version, if Docker's API of this Podman deletes parents too."""
        self._listed = ImageList()

    @property
    def generation(self) -> int:
        """Changes when another engine may answer."""
        return self._connection.generation

    def identify(self) -> Engine:
        """Identity of the engine. Raises EngineUnavailable, as every call does."""
        found = self._valid("info", lambda client: engine_from(_object(client, "/info"), _object(client, "/version")))
        self._is_podman = found.store is Store.PODMAN
        self._old_podman = (found.version or "of an unknown version") if found.prunes_parents else ""
        return replace(found, address=self._connection.address.url, machine=self._machine)

    def images(self) -> Mapping[ImageId, Image]:
        """All images, with hidden parents. An unchanged image is the same object as in the last call."""

        known, held = self._listed, self._held() if self._is_podman else None

        def send(client: Client) -> ImageList:
            with client.answer("GET", "/images/json?all=1") as pieces:
                return images_from(pieces, known, held)

        self._listed = self._valid("list_images", send)
        return self._listed.images

    def _held(self) -> HeldImages:
        """What only Podman's own API shows: images of a read-only store, and members of manifest lists."""

        def send(client: Client) -> HeldImages:
            own = replace(client, api_version=_LIBPOD_API)
            lists = ids_from(_objects(own, _libpod_images("manifest")))
            listed = {
                digest: name
                for identity, name in lists.items()
                for digest in members_from(_object(own, f"/libpod/manifests/{identity.removeprefix('sha256:')}/json"))
            }
            return HeldImages(frozenset(ids_from(_objects(own, _libpod_images("readonly")))), listed)

        return self._valid("list_images", send)

    def containers(self) -> tuple[Container, ...]:
        """All containers, in any state."""
        listed = self._list("list_containers", "/containers/json?all=1", containers_from)
        return tuple(self._as_created(each) if each.id == self._own_container else each for each in listed)

    def _as_created(self, own: Container) -> Container:
        """Our own container with the name that it was created from. Docker lists an ID after that name has moved."""
        if not self._own_name:
            path = f"/containers/{own.id}/json"
            self._own_name = self._valid("inspect_container", lambda client: created_from(_object(client, path)))
        return replace(own, created_from=self._own_name)

    def service_images(self) -> frozenset[str]:
        """Image names of swarm services; call this on a swarm manager only."""
        return self._list("list_services", "/services", services_from)

    def layers(self, image: ImageId) -> tuple[Layer, ...]:
        """The layers of one image, lowest first. Raises also ImageGone."""

        path = _image_path(image)

        def send(client: Client) -> tuple[Layer, ...]:
            inspected = _object(client, f"{path}/json")
            with client.answer("GET", f"{path}/history") as history:
                return layers_from(inspected, rows_of(history))

        return self._valid("inspect_image", send)

    def image_named(self, name: str) -> ImageId:
        """The image that has this name now. Raises also ImageGone."""
        path = f"{_image_path(name)}/json"
        return self._valid("inspect_image", lambda client: id_from(_object(client, path)))

    def store_bytes(self) -> int:
        """Size of the image store, as the engine counts it."""
        return self._disk_usage("image", store_total)

    def written_bytes(self) -> int:
        """Size of the writable layers of all containers, as the engine counts it."""
        return self._disk_usage("container", written_total)

    def has_build_cache(self) -> bool:
        """True if BuildKit holds layers of its own."""
        return self._disk_usage("build-cache", has_build_cache)

    def _disk_usage(self, of: str, read: Callable[[Row], T]) -> T:
        return self._valid("measure_store", lambda client: read(_object(client, f"/system/df?type={of}")))

    def remove(self, target: str) -> tuple[str, ...]:
        """Remove one name, or the image with one ID; never with force, never with its parents. It is sent once.

        Returns the IDs that the answer lists as deleted: the image, and on graph drivers each layer. Raises ImageGone,
        RemovalRefused or RemovalFailed for an error answer; EngineUnreachable if no request was sent;
        EngineUnavailable if the result is unknown.
        """
        path = f"{_image_path(target)}?force=False&noprune=True"

        def send(client: Client) -> tuple[str, ...]:
            with client.answer("DELETE", path) as pieces:
                return deleted_from(b"".join(pieces))

        def send_to_podman(client: Client) -> tuple[str, ...]:
            own = replace(client, api_version=_LIBPOD_API)
            with own.answer("DELETE", _libpod_removal(target)) as pieces:
                return _deleted_by_podman(b"".join(pieces))

        if self._old_podman and not is_at_least(self._old_podman, *_PODMAN_WITH_NOPRUNE):
            raise RemovalRefused(_NO_NOPRUNE.format(self._old_podman))
        try:
            return self._connection.request(
                "remove_image", send_to_podman if self._old_podman else send, sends_again=False
            )
        except ErrorAnswer as error:
            raise _refusal(error) from error
        except ValueError as error:
            raise EngineUnavailable(f"invalid response to remove_image: {error}") from error

    def _list(self, operation: str, path: str, convert: Callable[[Iterable[Row]], T]) -> T:
        def send(client: Client) -> T:
            with client.answer("GET", path) as pieces:
                return convert(rows_of(pieces))

        return self._valid(operation, send)

    def _valid(self, operation: str, send: Callable[[Client], T]) -> T:
        """A valid and complete answer. Raises EngineUnavailable.

        An invalid answer causes no reconnect: invalid layers must not end the removals of a pass.
        """
        try:
            return self._connection.request(operation, send)
        except ErrorAnswer as error:
            if error.status == 404 and operation == "inspect_image":
                raise ImageGone(str(error)) from error
            raise EngineUnavailable(f"the engine answered {operation} with {error.status}: {error}") from error
        except ValueError as error:
            raise EngineUnavailable(f"invalid response to {operation}: {error}") from error


def _libpod_images(wanted: str) -> str:
    return f"/libpod/images/json?all=true&filters={quote(json.dumps({wanted: ['true']}))}"


def _libpod_removal(target: str) -> str:
    """Without `images` the request would remove every image, so the target was checked before. A name is sent in full:
    Podman would look for a short one in other registries too.
    """
    name = target.removeprefix("sha256:") if is_image_id(target) else listed_reference(target).canonical
    return f"/libpod/images/remove?images={quote(name, safe='')}&force=false&noprune=true"


def _deleted_by_podman(answer: bytes) -> tuple[str, ...]:
    """The IDs in the answer of Podman's own API, which has status 200 for a refusal too. Raises ErrorAnswer."""
    deleted, code, errors = removed_by_podman_from(answer)
    if errors:
        raise ErrorAnswer(_STATUS_OF_EXIT_CODE.get(code, 500), "; ".join(errors))
    return deleted


def _objects(client: Client, path: str) -> list[Row]:
    with client.answer("GET", path) as pieces:
        return list(rows_of(pieces))


def _object(client: Client, path: str) -> Row:
    return mapping_of(client.get(path))


def _image_path(target: str) -> str:
    """The path of an ID or a name. Raises RemovalFailed for any other text: it could address something else."""
    try:
        if not is_image_id(target):
            listed_reference(target)
    except InvalidReference as error:
        raise RemovalFailed(f"no request was sent: {error}") from error
    return f"/images/{quote(target, safe='/:')}"


def _refusal(error: ErrorAnswer) -> Exception:
    """The error for an answer other than 200. Engines differ in their codes (measured on six)."""
    words, status = str(error), error.status
    if status == 404 or (status == 500 and _LOST_A_RACE.regex.search(words)):
        return ImageGone(words)
    if status == 409 or (status == 500 and _SEVERAL_NAMES.regex.search(words)):
        return RemovalRefused(words)
    return RemovalFailed(f"{status}: {words}")
