"""Containers in every state, created from test images: without network and volumes, quick to remove."""

from __future__ import annotations

import array
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10


def create(
    api: docker.APIClient,
    image: str,
    *,
    command: str = "/wait",
    labels: Mapping[str, str] | None = None,
    name: str | None = None,
    mounted_image: str | None = None,
) -> str:
    """A container that was never started; returns its ID. For `mounted_image` see `can_mount_images`."""
    host_config = api.create_host_config(network_mode="none")
    if mounted_image:
        host_config["Mounts"] = [{"Type": "image", "Source": mounted_image, "Target": "/mounted"}]
    made = api.create_container(image, [command], labels=dict(labels or {}), name=name, host_config=host_config)
    return str(made["Id"])


def can_mount_images(api: docker.APIClient) -> bool:
    """True for Docker from API 1.48 on, and for Podman with any API version."""
    version = api.version()
    is_podman = any(component["Name"] == "Podman Engine" for component in version["Components"])
    return is_podman or tuple(map(int, version["ApiVersion"].split("."))) >= (1, 48)


def run(api: docker.APIClient, image: str, *, labels: Mapping[str, str] | None = None) -> str:
    """A container that runs until it is stopped."""
    container = create(api, image, labels=labels)
    api.start(container)
    return container


def run_briefly(api: docker.APIClient, image: str, *, labels: Mapping[str, str] | None = None) -> str:
    """A container that has ended."""
    container = create(api, image, command="/end", labels=labels)
    api.start(container)
    api.wait(container)
    return container


def pause(api: docker.APIClient, container: str) -> None:
    """Pause a running container. Skips the test where the engine has no control groups, as a rootless one may."""
    try:
        api.pause(container)
    except APIError as error:
        if "cgroup" not in str(error):
            raise
        pytest.skip(f"this engine cannot pause a container: {error.explanation}")


def stop(api: docker.APIClient, container: str) -> None:
    """Stop a container; it remains as an exited one."""
    api.stop(container, timeout=5)


def remove(api: docker.APIClient, container: str) -> None:
    """Remove it in any state."""
    api.remove_container(container, force=True, v=True)


def commit(api: docker.APIClient, container: str, tag: str) -> str:
    """Commit a container: the image is a child of the container's image; returns its ID."""
    repository, _, version = tag.rpartition(":")
    return str(api.commit(container, repository, version)["Id"])


def state_of(api: docker.APIClient, container: str) -> str:
    """The state in the engine's list; Podman has `stopped` first where Docker has `exited`."""
    state = next(str(row["State"]) for row in api.containers(all=True) if row["Id"] == container)
    return "exited" if state == "stopped" else state


@contextmanager
def dead(api: docker.APIClient, container: str, data: Path) -> Iterator[None]:
    """A container that Docker failed to remove, for the duration of a block; `data` is the engine's data folder.

    A file that cannot be deleted makes the removal fail. Podman has no such state.
    """
    obstacle = data / "containers" / container / "obstacle"
    obstacle.touch()
    _set_immutable(obstacle, True)
    try:
        _fail_to_remove(api, container)
        yield
    finally:
        _set_immutable(obstacle, False)
    remove(api, container)


def _fail_to_remove(api: docker.APIClient, container: str) -> None:
    try:
        remove(api, container)
    except APIError:
        return
    raise AssertionError("the engine removed a container that should be stuck")


def _set_immutable(path: Path, immutable: bool) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(file, _FS_IOC_GETFLAGS, flags)
        flags[0] = flags[0] | _FS_IMMUTABLE_FL if immutable else flags[0] & ~_FS_IMMUTABLE_FL
        fcntl.ioctl(file, _FS_IOC_SETFLAGS, flags)
    finally:
        os.close(file)
