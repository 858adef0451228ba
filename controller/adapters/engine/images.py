"""The images, and their layers, in the answers of an engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from controller.adapters.engine import fields
from controller.adapters.engine.fields import Row
from controller.adapters.engine.json_rows import JsonScanner, numbered
from controller.errors import InvalidReference
from controller.image.image import Image
from controller.image.layers import Layer, layers_of
from controller.image.reference import ImageId, Reference, image_id, listed_reference, quoted
from controller.value import dataclass

KEEP_LABEL = "image-controller.keep"
_FALSE = ("false", "0", "no", "off")
_NO_NAME = ("<none>:<none>", "<none>@<none>")
_YEAR_10000 = 253_402_300_800


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
    return {
        (identity := fields.as_id(fields.text(row, "Id"), "Id")): next(iter(fields.texts(row, "RepoTags")), identity)
        for row in rows
    }


def members_from(manifest_list: Row) -> list[str]:
    """The digests in the answer to `GET /libpod/manifests/{name}/json`. Raises ValueError."""
    return [
        fields.text(fields.as_mapping(each, "manifests"), "digest") for each in fields.items(manifest_list, "manifests")
    ]


@dataclass(frozen=True, slots=True)
class ImageList:
    """The images of one list, and the image of each row by the hash of its text: few rows change between two lists."""

    images: Mapping[ImageId, Image] = field(default_factory=dict)
    by_row: Mapping[int, Image] = field(default_factory=dict)


def images_from(pieces: Iterable[bytes], known: ImageList, held: HeldImages | None = None) -> ImageList:
    """The answer to `GET /images/json?all=1`. An unchanged image is the one in `known`. Raises ValueError."""
    scanner = JsonScanner(pieces)
    listed = _listed_images(scanner, known, held)
    scanner.require_end()
    return listed


def _listed_images(scanner: JsonScanner, known: ImageList, held: HeldImages | None = None) -> ImageList:
    images: dict[ImageId, Image] = {}
    by_row: dict[int, Image] = {}
    for mark, image in numbered(scanner.elements(), lambda row: _marked_image(row, scanner, known), "image"):
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


def _marked_image(row: Row, scanner: JsonScanner, known: ImageList) -> tuple[int, Image]:
    """The image of a row, and the hash of the row's text."""
    mark, identity = hash(scanner.text()), row.get("Id")
    image = known.by_row.get(mark)
    if image is None or not isinstance(identity, str) or image.id != image_id(identity):
        image = _unchanged(image_from(row), known.images)
    return mark, image


def image_from(row: Row) -> Image:
    """One row of `GET /images/json`. Raises ValueError for a row of the wrong form."""
    names = [name for name in fields.texts(row, "RepoTags") if name not in _NO_NAME]
    # The containerd store, and Podman, list names by digest among the tags.
    tags = tuple(_named(name, "RepoTags") for name in names if "@" not in name)
    named_digests = tuple(_named(name, "RepoTags") for name in names if "@" in name)
    listed_digests = (name for name in fields.texts(row, "RepoDigests") if "@" in name and name not in _NO_NAME)
    parent = fields.text(row, "ParentId")
    return Image(
        id=fields.as_id(fields.text(row, "Id"), "Id"),
        tags=tags,
        digests=tuple(dict.fromkeys((*named_digests, *(_named(name, "RepoDigests") for name in listed_digests)))),
        named_digests=named_digests,
        parent=fields.as_id(parent, "ParentId") if parent else None,
        size_bytes=fields.size(row),
        keep=_keeps(fields.mapping(row, "Labels")),
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
        named_digests=tuple(dict.fromkeys((*one.named_digests, *other.named_digests))),
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


def layers_from(inspected: Row, history: Iterable[Row]) -> tuple[Layer, ...]:
    """The layers of one image, lowest first, from its inspection and its history. Raises ValueError."""
    diffs = [
        str(fields.as_id(diff, "RootFS.Layers")) for diff in fields.texts(fields.mapping(inspected, "RootFS"), "Layers")
    ]
    sizes = [fields.size(entry) for entry in history]
    layers = layers_of(diffs, [size or 0 for size in sizes])
    # An invalid size could belong to any layer.
    return tuple(replace(layer, size_bytes=None) for layer in layers) if None in sizes else layers
