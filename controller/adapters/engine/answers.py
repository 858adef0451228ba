"""Convert an engine's JSON to our values. Differences between engines end here. No requests, no decisions.

An answer may contain anything. An invalid size is unknown; any other value of the wrong form is an error that names its
place, and the pass ends.
"""

from __future__ import annotations

import json
import math
import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from typing import TypeVar

from controller.errors import InvalidReference
from controller.image.image import Container, Image
from controller.image.layers import Layer, layers_of
from controller.image.reference import (
    ImageId,
    Reference,
    image_id,
    is_image_id,
    listed_reference,
    quoted,
    reference_from_engine,
)
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.observation import Engine, Store
from controller.printable import printable
from controller.value import dataclass

KEEP_LABEL = "image-controller.keep"
AGENT_SERVICE_LABEL = "openhorizon.anax.service_name"
AGENT_DEV_LABEL = "openhorizon.anax.dev_service"
"""Labels that the agent sets on its containers (anax container/container.go)."""
_DEV_LABELS = "openhorizon.hzn-dev."
"""Labels of what `hzn dev` starts beside services, such as its object store, start like this."""
SWARM_SERVICE_LABEL = "com.docker.swarm.service.id"

LONGEST_LIST = 250_000
"""Images or containers of one engine."""
_LONGEST_ROW = 4 * 2**20
"""Characters of one element of a list."""
_LONGEST_TEXT = 4_096
_LONGEST_NUMBER = 400
"""Digits."""
_LARGEST_BYTES = 2**60
_LATEST_NANOSECONDS = 2**63
_FALSE = ("false", "0", "no", "off")
_NO_NAME = ("<none>:<none>", "<none>@<none>")
_NO_LABELS: Mapping[str, object] = {}
_YEAR_10000 = 253_402_300_800

Row = Mapping[str, object]
T = TypeVar("T")


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _whole(digits: str) -> int | float:
    """A number; infinity if it has thousands of digits, which Python refuses to convert."""
    if len(digits) <= _LONGEST_NUMBER:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf


_fast = json.JSONDecoder()
_careful = json.JSONDecoder(parse_int=_whole)
"""Three times slower."""
_BLANKS = " \t\n\r"
_skip_blanks: Callable[[str, int], re.Match[str]] = re.compile(rf"[{_BLANKS}]*").match  # type: ignore[assignment]


def _decoded(text: str, at: int) -> tuple[object, int]:
    """The value at this place, and its end. Raises ValueError."""
    with suppress(ValueError, RecursionError):
        return _fast.raw_decode(text, at)
    try:  # Incomplete, invalid, or with a number that Python refuses to convert.
        return _careful.raw_decode(text, at)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def mapping_of(answer: bytes) -> Row:
    """A JSON object. Raises ValueError."""
    return _mapping_of(value_of(answer), "the answer")


def value_of(answer: bytes) -> object:
    """A JSON value. Raises ValueError."""
    with suppress(ValueError, RecursionError):  # Most answers; an event costs a third of the time.
        return _fast.decode(answer.decode())
    scanner = _Scanner([answer])
    value = scanner.value()
    scanner.require_end()
    return value


class _Scanner:
    """Reads JSON values one by one from text that arrives in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = getincrementaldecoder("utf-8")()
        self._text = ""
        self._began = self._at = 0
        self._has_ended = False

    def sign(self) -> str:
        """The next character that is not blank, without reading past it; empty at the end."""
        while True:
            sign = self._text[self._at : self._at + 1]
            if sign and sign not in _BLANKS:
                return sign
            self._at = _skip_blanks(self._text, self._at).end()
            if self._at == len(self._text) and not self._more():
                return ""

    def skip(self, *expected: str) -> str:
        """Read past one of these signs, and return it. Raises ValueError."""
        if (sign := self.sign()) not in expected or not sign:
            raise ValueError(f"expected {' or '.join(expected)}, found {quoted(sign) if sign else 'the end'}")
        self._at += 1
        return sign

    def value(self) -> object:
        """The next value. Raises ValueError."""
        self.sign()
        while True:
            try:
                value, end = _decoded(self._text, self._at)
            except ValueError:
                if len(self._text) - self._at > _LONGEST_ROW or not self._more():
                    raise
            else:
                if end < len(self._text) or isinstance(value, (dict, list)) or not self._more():
                    self._began, self._at = self._at, end
                    return value
                # A number may continue.

    def text(self) -> str:
        """The text of the last value."""
        return self._text[self._began : self._at]

    def elements(self) -> Iterator[Row]:
        """The elements of a list of objects. Raises ValueError."""
        self.skip("[")
        if self.sign() == "]":
            self.skip("]")
            return
        for _ in range(LONGEST_LIST):
            yield _mapping_of(self.value(), "the element")
            if self.skip(",", "]") == "]":
                return
        raise ValueError(f"more than {LONGEST_LIST} elements")

    def members(self) -> Iterator[str]:
        """The keys of an object; after each of them its value must be read. Raises ValueError."""
        self.skip("{")
        if self.sign() == "}":
            self.skip("}")
            return
        while True:
            key = _text_of(self.value(), "the key")
            self.skip(":")
            yield key
            if self.skip(",", "}") == "}":
                return

    def require_end(self) -> None:
        """Raises ValueError if there is more text."""
        if sign := self.sign():
            raise ValueError(f"text after the end: {quoted(sign)}")

    def _more(self) -> bool:
        """Read another piece; False at the end."""
        if self._has_ended:
            return False
        piece = next(self._pieces, None)
        self._has_ended = piece is None
        self._text = self._text[self._at :] + self._decoder.decode(piece or b"", final=piece is None)
        self._at = 0
        return True


def rows_of(pieces: Iterable[bytes]) -> Iterator[Row]:
    """The elements of a JSON list of objects, one by one: a parsed list of thousands of images takes many megabytes.

    Raises ValueError if this is not exactly one complete list.
    """
    scanner = _Scanner(pieces)
    yield from scanner.elements()
    scanner.require_end()


def _numbered(rows: Iterable[Row], convert: Callable[[Row], T], kind: str) -> Iterator[T]:
    """Convert each row; an error says which row it was."""
    count = 0
    try:
        for row in rows:
            count += 1
            yield convert(row)
    except ValueError as error:
        raise ValueError(f"{kind} {count or 1} of the list: {error}") from error


# ── values of a row ──────────────────────────────────────────────────────────────────────────────────────────────────


def _mapping_of(value: object, place: str) -> Row:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is not an object: {_shown(value)}")
    return value


def _mapping(row: Row, key: str) -> Row:
    """An object; empty if it is missing."""
    value = row.get(key)
    return _NO_LABELS if value is None else _mapping_of(value, key)


def _list(row: Row, key: str) -> list[object]:
    """A list; empty if it is missing."""
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list: {_shown(value)}")
    return value


def _text(row: Row, key: str) -> str:
    """A text; empty if it is missing."""
    value = row.get(key)
    return "" if value is None else _text_of(value, key)


def _texts(row: Row, key: str) -> list[str]:
    return [_text_of(value, key) for value in _list(row, key)]


def _text_of(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{place} is not a text: {_shown(value)}")
    if len(value) > _LONGEST_TEXT:
        raise ValueError(f"{place} is longer than {_LONGEST_TEXT} characters")
    if not value.isascii() and not value.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{place} contains half a character: {quoted(value)}")
    return value


def _id(text: str, place: str) -> ImageId:
    if not is_image_id(text):
        raise ValueError(f"{place} is not an ID of 64 hexadecimal digits: {quoted(text)}")
    return image_id(text)


def _bytes(value: object) -> int | None:
    """A size in bytes; None if it is invalid."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_BYTES:
        return value
    return None


def _size(row: Row, key: str = "Size") -> int | None:
    """A size in bytes; a missing one is 0, because engines leave out zeros."""
    return _bytes(row.get(key, 0))


def _shown(value: object) -> str:
    return printable(repr(value), longest=100)


# ── images and containers ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HeldImages:
    """Images that Podman's store needs, which its list of images does not show."""

    read_only: frozenset[ImageId] = frozenset()
    """In an additional, read-only store."""
    listed: Mapping[str, str] = field(default_factory=dict)
    """The manifest list that contains an image, by the digest of the image."""

    def why(self, image: Image) -> str:
        """Why the store needs the image, for display; empty if it does not."""
        if image.id in self.read_only:
            return "in a read-only image store"
        lists = (self.listed.get(name.digest or "") for name in image.digests)
        return next((f"part of the manifest list {name}" for name in lists if name), "")


def ids_from(rows: Iterable[Row]) -> dict[ImageId, str]:
    """IDs of an answer to `GET /libpod/images/json`, each with a name or its ID. Raises ValueError."""
    return {(identity := _id(_text(row, "Id"), "Id")): next(iter(_texts(row, "RepoTags")), identity) for row in rows}


def members_from(manifest_list: Row) -> list[str]:
    """The digests in the answer to `GET /libpod/manifests/{name}/json`. Raises ValueError."""
    return [_text(_mapping_of(each, "manifests"), "digest") for each in _list(manifest_list, "manifests")]


@dataclass(frozen=True, slots=True)
class ImageList:
    """The images of one list, and the image of each row by the hash of its text: few rows change between two lists."""

    images: Mapping[ImageId, Image] = field(default_factory=dict)
    by_row: Mapping[int, Image] = field(default_factory=dict)


def images_from(pieces: Iterable[bytes], known: ImageList, held: HeldImages | None = None) -> ImageList:
    """The answer to `GET /images/json?all=1`. An unchanged image is the one in `known`. Raises ValueError."""
    scanner = _Scanner(pieces)
    listed = _listed_images(scanner, known, held)
    scanner.require_end()
    return listed


def _listed_images(scanner: _Scanner, known: ImageList, held: HeldImages | None = None) -> ImageList:
    images: dict[ImageId, Image] = {}
    by_row: dict[int, Image] = {}
    for mark, image in _numbered(scanner.elements(), lambda row: _marked_image(row, scanner, known), "image"):
        by_row[mark] = image
        other = images.get(image.id)
        # The containerd store of Docker 23 and 24 has a row for each name.
        listed = _unchanged(_merged(other, image) if other else image, known.images)
        images[listed.id] = listed  # At once, so that a list of thousands is not there twice.
    if held is not None:
        for image in images.values():
            if why := held.why(image):
                images[image.id] = _unchanged(replace(image, held=why), known.images)
    if images == known.images:
        return ImageList(known.images, by_row)
    _check_names(images)
    _check_parents(images)
    return ImageList(images, by_row)


def _unchanged(image: Image, known: Mapping[ImageId, Image]) -> Image:
    """The known object, if it is equal."""
    before = known.get(image.id)
    return before if before and before == image else image


def _marked_image(row: Row, scanner: _Scanner, known: ImageList) -> tuple[int, Image]:
    """The image of a row, and the hash of the row's text."""
    mark, identity = hash(scanner.text()), row.get("Id")
    image = known.by_row.get(mark)
    if image is None or not isinstance(identity, str) or image.id != image_id(identity):
        image = _unchanged(image_from(row), known.images)
    return mark, image


def image_from(row: Row) -> Image:
    """One row of `GET /images/json`. Raises ValueError for a row of the wrong form."""
    names = [name for name in _texts(row, "RepoTags") if name not in _NO_NAME]
    # The containerd store, and Podman, list names by digest among the tags.
    tags = tuple(_named(name, "RepoTags") for name in names if "@" not in name)
    by_digest = (name for name in (*names, *_texts(row, "RepoDigests")) if "@" in name and name not in _NO_NAME)
    parent = _text(row, "ParentId")
    return Image(
        id=_id(_text(row, "Id"), "Id"),
        tags=tags,
        digests=tuple(dict.fromkeys(_named(name, "RepoDigests") for name in by_digest)),
        parent=_id(parent, "ParentId") if parent else None,
        size_bytes=_size(row),
        keep=_keeps(_mapping(row, "Labels")),
        created=_date(row.get("Created")),
    )


def _keeps(labels: Row) -> bool:
    """Every value keeps the image, also an empty one, except an explicit false."""
    return KEEP_LABEL in labels and str(labels[KEEP_LABEL]).strip().lower() not in _FALSE


def _date(value: object) -> float:
    """Unix time; 0 for anything else, such as the year 1 of a build without a date."""
    return float(value) if type(value) is int and 0 < value < _YEAR_10000 else 0.0


def _named(text: str, place: str) -> Reference:
    try:
        return listed_reference(text)
    except InvalidReference as error:
        raise ValueError(f"{place}: {error}") from error


def _merged(one: Image, other: Image) -> Image:
    return replace(
        one,
        tags=tuple(dict.fromkeys((*one.tags, *other.tags))),
        digests=tuple(dict.fromkeys((*one.digests, *other.digests))),
        parent=one.parent or other.parent,
        size_bytes=one.size_bytes if one.size_bytes == other.size_bytes else None,
        keep=one.keep or other.keep,
    )


def _check_names(images: Mapping[ImageId, Image]) -> None:
    """A tag names one image: with two, a removal by name could remove the wrong one."""
    owners: dict[Reference, ImageId] = {}
    for image in images.values():
        for tag in image.tags:
            if owners.setdefault(tag, image.id) != image.id:
                raise ValueError(f"two images have the name {quoted(tag.text)}")


def _check_parents(images: Mapping[ImageId, Image]) -> None:
    """No image is its own ancestor."""
    checked: set[ImageId] = set()
    for start in images:
        path: set[ImageId] = set()
        image: ImageId | None = start
        while image and image in images and image not in checked:
            if image in path:
                raise ValueError(f"the image {image} is its own ancestor (ParentId)")
            path.add(image)
            image = images[image].parent
        checked |= path


def containers_from(rows: Iterable[Row]) -> list[Container]:
    """The answer to `GET /containers/json?all=1`. Raises ValueError."""
    return list(_numbered(rows, container_from, "container"))


def container_from(row: Row) -> Container:
    """One row of `GET /containers/json?all=1`. Raises ValueError for a row of the wrong form."""
    identity = _text(row, "Id")
    _id(identity, "Id")
    labels = _mapping(row, "Labels")
    made_from, created_from = _text(row, "ImageID"), _text(row, "Image")
    if not (made_from or created_from):
        raise ValueError("neither Image nor ImageID says which image the container uses")
    # Without an ID the image is protected by its name, as a mounted image is.
    by_name = () if made_from else (created_from,)
    return Container(
        id=identity,
        name=next(iter(_texts(row, "Names")), identity[:12]).removeprefix("/"),
        image=_id(made_from, "ImageID") if made_from else ImageId(""),
        state=_text(row, "State") or "unknown",
        agent_service=AGENT_SERVICE_LABEL in labels,
        agent_dev=_is_of_development(labels),
        mounted_images=(*_mounted_images(_list(row, "Mounts")), *by_name),
        created_from=created_from,
        swarm_service=SWARM_SERVICE_LABEL in labels,
    )


def _mounted_images(mounts: Iterable[object]) -> Iterator[str]:
    for value in mounts:
        mount = _mapping_of(value, "Mounts")
        if mount.get("Type") == "image":
            yield from filter(None, (_text(mount, "Source"), _text(mount, "Name")))


def created_from(inspected: Row) -> str:
    """The name that a container was created from, in `GET /containers/ID/json`. Raises ValueError."""
    return _text(_mapping(inspected, "Config"), "Image")


def service_image(service: Row) -> str:
    """The name of the image of one swarm service, in `GET /services`; empty for a plugin. Raises ValueError."""
    task = _mapping(_mapping(service, "Spec"), "TaskTemplate")
    return _text(_mapping(task, "ContainerSpec"), "Image")


def services_from(rows: Iterable[Row]) -> frozenset[str]:
    """The answer to `GET /services`: names of images. Raises ValueError."""
    return frozenset(filter(None, _numbered(rows, service_image, "service")))


def layers_from(inspected: Row, history: Iterable[Row]) -> tuple[Layer, ...]:
    """The layers of one image, lowest first, from its inspection and its history. Raises ValueError."""
    diffs = [str(_id(diff, "RootFS.Layers")) for diff in _texts(_mapping(inspected, "RootFS"), "Layers")]
    sizes = [_size(entry) for entry in history]
    layers = layers_of(diffs, [size or 0 for size in sizes])
    # An invalid size could belong to any layer.
    return tuple(replace(layer, size_bytes=None) for layer in layers) if None in sizes else layers


# ── the engine itself ────────────────────────────────────────────────────────────────────────────────────────────────


def engine_from(info: Row, version: Row) -> Engine:
    """Which engine this is, from `GET /info` and `GET /version`. Raises ValueError."""
    components = [_mapping_of(component, "Components") for component in _list(version, "Components")]
    podman = any(component.get("Name") == "Podman Engine" for component in components)
    store = _store(info, podman)
    root, number = _text(info, "DockerRootDir"), _text(version, "Version")
    if root and (not root.startswith("/") or "\0" in root):
        raise ValueError(f"DockerRootDir is not a path: {quoted(root)}")
    return Engine(
        identity=identity_of(info, podman),
        store=store,
        product="Podman" if podman else "Docker",
        version=number,
        data_root=root,
        driver=_text(info, "Driver"),
        containerd_address=_text(_mapping(info, "Containerd"), "Address"),
        manages_swarm=_mapping(info, "Swarm").get("ControlAvailable") is True,
        prunes_parents=podman and not is_at_least(number, 4, 6),
        totals_are_lower_bounds=store is Store.CONTAINERD and number.partition(".")[0] in ("23", "24", "25", "26"),
    )


def identity_of(info: Row, is_podman: bool) -> str:
    """What identifies an engine, from `GET /info`. Raises ValueError."""
    # Podman returns a new random ID with each answer.
    host = _text(info, "Name" if is_podman else "ID")
    return f"{host} {_store(info, is_podman).value} {_text(info, 'Driver')} {_text(info, 'DockerRootDir')}"


def _store(info: Row, is_podman: bool) -> Store:
    pairs = [pair for pair in _list(info, "DriverStatus") if isinstance(pair, list)]
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
    total = _total(_mapping(usage, "ImageUsage").get("TotalSize", usage.get("LayersSize", 0)))
    images = [_mapping_of(image, "Images") for image in _list(usage, "Images")]
    if not total and any(image.get("Size") for image in images):
        raise ValueError(f"the engine counts 0 bytes for {len(images)} images")
    return total


def written_total(usage: Row) -> int:
    """The size of all writable layers, in `GET /system/df?type=container`. Raises ValueError."""
    if "Containers" not in usage:
        return _total(_mapping(usage, "ContainerUsage").get("TotalSize", 0))
    rows = (_mapping_of(container, "Containers") for container in _list(usage, "Containers"))
    return sum(_total(row.get("SizeRw") or 0) for row in rows)


def has_build_cache(usage: Row) -> bool:
    """True if BuildKit holds layers, in `GET /system/df?type=build-cache`. Raises ValueError."""
    return bool(_list(usage, "BuildCache") or _mapping(usage, "BuildCacheUsage").get("TotalCount"))


def _total(value: object) -> int:
    if (total := _bytes(value)) is None:
        raise ValueError(f"not a size in bytes: {_shown(value)}")
    return total


def id_from(inspected: Row) -> ImageId:
    """The ID in `GET /images/{name}/json`. Raises ValueError."""
    return _id(_text(inspected, "Id"), "Id")


def deleted_from(answer: bytes) -> tuple[str, ...]:
    """The IDs that the answer to a removal lists as deleted. Raises ValueError."""
    rows = value_of(answer)
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise ValueError(f"not a list: {_shown(rows)}")
    deleted = (_text(_mapping_of(row, "the element"), "Deleted") for row in rows)
    return tuple(str(_id(each, "Deleted")) for each in deleted if each)


def removed_by_podman_from(answer: bytes) -> tuple[tuple[str, ...], int, list[str]]:
    """What Podman's own API deleted, its exit code, and its errors. Raises ValueError."""
    row = mapping_of(answer)
    code = row.get("ExitCode")
    if not isinstance(code, int):
        raise ValueError(f"ExitCode is not a number: {_shown(code)}")
    errors = _texts(row, "Errors")
    if code and not errors:
        raise ValueError(f"exit code {code} without an error")
    return tuple(str(_id(each, "Deleted")) for each in _texts(row, "Deleted")), code, errors


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_CONTAINER_EVENTS = {
    "create": EventKind.USED,
    "start": EventKind.USED,
    "die": EventKind.USED,
    "destroy": EventKind.USED,
    "remove": EventKind.USED,
}
_IMAGE_EVENTS = {
    "pull": EventKind.PULLED,
    "tag": EventKind.TAGGED,
    "save": EventKind.SAVED,
    "push": EventKind.PUSHED,
    "load": EventKind.LOADED,
    "loadfromarchive": EventKind.LOADED,
    "import": EventKind.IMPORTED,
    "build": EventKind.BUILT,
    "create": EventKind.BUILT,
    "untag": EventKind.UNTAGGED,
    "delete": EventKind.DELETED,
    "prune": EventKind.DELETED,
}
EVENT_FILTER = {"type": ["container", "image"], "event": sorted(_CONTAINER_EVENTS.keys() | _IMAGE_EVENTS.keys())}
"""Life-cycle events only: health checks would fill the engine's buffer of 256 events."""


def _is_of_development(labels: Row) -> bool:
    """True if the container was started by `hzn dev` and not by the agent."""
    return AGENT_DEV_LABEL in labels or any(label.startswith(_DEV_LABELS) for label in labels)


def event_from(row: Row) -> Event | None:
    """One row of `GET /events` in the form of API 1.52 (`Type`, `Action`, `Actor`), which older versions send too.

    Raises ValueError.
    """
    actor = _mapping(row, "Actor")
    attributes = _mapping(actor, "Attributes")
    kind, action = _text(row, "Type"), _text(row, "Action")
    if kind == "container" and action in _CONTAINER_EVENTS:
        by_agent = AGENT_SERVICE_LABEL in attributes and not _is_of_development(attributes)
        return Event(EventKind.USED, None, _text(attributes, "image"), by_agent, action == "create")
    if kind == "image" and action in _IMAGE_EVENTS:
        return _image_event(_IMAGE_EVENTS[action], _text(actor, "ID"), _text(attributes, "name"))
    return None


def _image_event(kind: EventKind, actor: str, name: str) -> Event:
    """The actor is the image ID, except for a pull on Docker: there it is the name that was pulled, with its tag."""
    if not is_image_id(actor) and reference_from_engine(actor).has_name:
        return Event(kind, None, actor)
    return Event(kind, image_id(actor) if actor else None, name)


def event_time_nanoseconds(row: Row) -> int:
    """The engine's time of the event; 0 if it is missing. Raises ValueError."""
    at = row.get("timeNano") or 0
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < _LATEST_NANOSECONDS:
        raise ValueError(f"timeNano is not a time: {_shown(at)}")
    return at
