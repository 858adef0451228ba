"""Which engine answers, its totals, and its answers to removals."""

from __future__ import annotations

import re

from controller.adapters.engine import fields
from controller.adapters.engine.fields import Row
from controller.adapters.engine.json_rows import mapping_of, value_of
from controller.image.reference import ImageId, quoted
from controller.plan.memory.observation import Engine, Store


def engine_from(info: Row, version: Row) -> Engine:
    """Which engine this is, from `GET /info` and `GET /version`. Raises ValueError."""
    components = [fields.as_mapping(component, "Components") for component in fields.items(version, "Components")]
    podman = any(component.get("Name") == "Podman Engine" for component in components)
    store = _store(info, podman)
    root, number = fields.text(info, "DockerRootDir"), fields.text(version, "Version")
    if root and (not root.startswith("/") or "\0" in root):
        raise ValueError(f"DockerRootDir is not a path: {quoted(root)}")
    return Engine(
        identity=identity_of(info, podman),
        store=store,
        product="Podman" if podman else "Docker",
        version=number,
        data_root=root,
        driver=fields.text(info, "Driver"),
        containerd_address=fields.text(fields.mapping(info, "Containerd"), "Address"),
        manages_swarm=fields.mapping(info, "Swarm").get("ControlAvailable") is True,
        prunes_parents=podman and not is_at_least(number, 4, 6),
        totals_are_lower_bounds=store is Store.CONTAINERD and number.partition(".")[0] in ("23", "24", "25", "26"),
    )


def identity_of(info: Row, is_podman: bool) -> str:
    """What identifies an engine, from `GET /info`. Raises ValueError."""
    # Podman returns a new random ID with each answer.
    host = fields.text(info, "Name" if is_podman else "ID")
    return f"{host} {_store(info, is_podman).value} {fields.text(info, 'Driver')} {fields.text(info, 'DockerRootDir')}"


def _store(info: Row, is_podman: bool) -> Store:
    pairs = [pair for pair in fields.items(info, "DriverStatus") if isinstance(pair, list)]
    containerd = any(
        pair[0] == "driver-type" and str(pair[1]).startswith("io.containerd.snapshotter")
        for pair in pairs
        if len(pair) >= 2
    )
    return Store.PODMAN if is_podman else Store.CONTAINERD if containerd else Store.GRAPH_DRIVER


def is_at_least(version: str, major: int, minor: int) -> bool:
    """False if the version cannot be read."""
    numbers = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (major, minor)


def store_total(usage: Row) -> int:
    """The size of the image store, in `GET /system/df?type=image`.

    API 1.52 has `ImageUsage`, and the older field is deprecated. An engine leaves out zeros. Raises ValueError, also
    for a total that cannot be right: Podman 4.3 always counts 0.
    """
    total = _total(fields.mapping(usage, "ImageUsage").get("TotalSize", usage.get("LayersSize", 0)))
    images = [fields.as_mapping(image, "Images") for image in fields.items(usage, "Images")]
    if not total and any(image.get("Size") for image in images):
        raise ValueError(f"the engine counts 0 bytes for {len(images)} images")
    return total


def written_total(usage: Row) -> int:
    """The size of all writable layers, in `GET /system/df?type=container`. Raises ValueError."""
    if "Containers" not in usage:
        return _total(fields.mapping(usage, "ContainerUsage").get("TotalSize", 0))
    rows = (fields.as_mapping(container, "Containers") for container in fields.items(usage, "Containers"))
    return sum(_total(row.get("SizeRw") or 0) for row in rows)


def has_build_cache(usage: Row) -> bool:
    """True if BuildKit holds layers, in `GET /system/df?type=build-cache`. Raises ValueError."""
    return bool(fields.items(usage, "BuildCache") or fields.mapping(usage, "BuildCacheUsage").get("TotalCount"))


def _total(value: object) -> int:
    if (total := fields.as_bytes(value)) is None:
        raise ValueError(f"not a size in bytes: {fields.shown(value)}")
    return total


def id_from(inspected: Row) -> ImageId:
    """The ID in `GET /images/{name}/json`. Raises ValueError."""
    return fields.as_id(fields.text(inspected, "Id"), "Id")


def deleted_from(answer: bytes) -> tuple[str, ...]:
    """The IDs that the answer to a removal lists as deleted. Raises ValueError."""
    rows = value_of(answer)
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise ValueError(f"not a list: {fields.shown(rows)}")
    deleted = (fields.text(fields.as_mapping(row, "the element"), "Deleted") for row in rows)
    return tuple(str(fields.as_id(each, "Deleted")) for each in deleted if each)


def removed_by_podman_from(answer: bytes) -> tuple[tuple[str, ...], int, list[str]]:
    """What Podman's own API deleted, its exit code, and its errors. Raises ValueError."""
    row = mapping_of(answer)
    code = row.get("ExitCode")
    if not isinstance(code, int):
        raise ValueError(f"ExitCode is not a number: {fields.shown(code)}")
    errors = fields.texts(row, "Errors")
    if code and not errors:
        raise ValueError(f"exit code {code} without an error")
    return tuple(str(fields.as_id(each, "Deleted")) for each in fields.texts(row, "Deleted")), code, errors
