"""The containers and swarm services in the answers of an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.adapters.engine import fields
from controller.adapters.engine.fields import Row
from controller.adapters.engine.json_rows import numbered
from controller.image.image import Container
from controller.image.reference import ImageId

AGENT_SERVICE_LABEL = "openhorizon.anax.service_name"
AGENT_DEV_LABEL = "openhorizon.anax.dev_service"
"""Labels that the agent sets on its containers (anax container/container.go)."""
_NO_ID = "sha256:"
"""The ImageID of a container without an image on Podman: one of `podman run --rootfs`."""
_DEV_LABELS = "openhorizon.hzn-dev."
"""Labels of what `hzn dev` starts beside services, such as its object store, start like this."""
SWARM_SERVICE_LABEL = "com.docker.swarm.service.id"


def containers_from(rows: Iterable[Row]) -> list[Container]:
    """The answer to `GET /containers/json?all=1`. Raises ValueError."""
    return list(numbered(rows, container_from, "container"))


def container_from(row: Row) -> Container:
    """One row of `GET /containers/json?all=1`. Raises ValueError for a row of the wrong form."""
    identity = fields.text(row, "Id")
    fields.as_id(identity, "Id")
    labels = fields.mapping(row, "Labels")
    made_from, created_from = fields.text(row, "ImageID"), fields.text(row, "Image")
    if not (made_from or created_from):
        raise ValueError("neither Image nor ImageID says which image the container uses")
    # Without an ID the image is protected by its name, as a mounted image is.
    made_from = "" if made_from == _NO_ID else made_from
    by_name = (created_from,) if created_from and not made_from else ()
    return Container(
        id=identity,
        name=next(iter(fields.texts(row, "Names")), identity[:12]).removeprefix("/"),
        image=fields.as_id(made_from, "ImageID") if made_from else ImageId(""),
        state=fields.text(row, "State") or "unknown",
        agent_service=AGENT_SERVICE_LABEL in labels,
        agent_dev=is_of_development(labels),
        mounted_images=(*_mounted_images(fields.items(row, "Mounts")), *by_name),
        created_from=created_from,
        swarm_service=SWARM_SERVICE_LABEL in labels,
    )


def _mounted_images(mounts: Iterable[object]) -> Iterator[str]:
    for value in mounts:
        mount = fields.as_mapping(value, "Mounts")
        if mount.get("Type") == "image":
            yield from filter(None, (fields.text(mount, "Source"), fields.text(mount, "Name")))


def created_from(inspected: Row) -> str:
    """The name that a container was created from, in `GET /containers/ID/json`. Raises ValueError."""
    return fields.text(fields.mapping(inspected, "Config"), "Image")


def service_image(service: Row) -> str:
    """The name of the image of one swarm service, in `GET /services`; empty for a plugin. Raises ValueError."""
    task = fields.mapping(fields.mapping(service, "Spec"), "TaskTemplate")
    return fields.text(fields.mapping(task, "ContainerSpec"), "Image")


def services_from(rows: Iterable[Row]) -> frozenset[str]:
    """The answer to `GET /services`: names of images. Raises ValueError."""
    return frozenset(filter(None, numbered(rows, service_image, "service")))


def is_of_development(labels: Row) -> bool:
    """True if the container was started by `hzn dev` and not by the agent."""
    return AGENT_DEV_LABEL in labels or any(label.startswith(_DEV_LABELS) for label in labels)
