"""Test images for any engine, from nothing: archives made in memory, then loaded, imported, built, pushed or pulled.

Content depends on names and sizes only, so equal recipes give equal images, and equal layers are shared by all.
Every image holds /wait and /end (see `deploy.local.waiting`), so a container of it runs without any base image.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import docker

from deploy.local.waiting import architecture, ending_program, waiting_program

_BUILT_AT = 1_700_000_000
_PROGRAMS = {"wait": waiting_program(), "end": ending_program()}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of random bytes."""

    name: str
    size_bytes: int = 1_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """The content of an image. Without tags it has no name; `variant` distinguishes equal ones."""

    tags: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = (Layer("base", 20_000),)
    labels: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""


class StreamError(Exception):
    """The engine answered 200 and reported an error in the stream."""


# ── loading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def load(api: docker.APIClient, recipes: Iterable[Recipe], images_per_archive: int = 100) -> None:
    """Load any number of images, quickly."""
    remaining = iter(recipes)
    while batch := list(islice(remaining, images_per_archive)):
        _load_archive(api, archive(batch))


def load_image(api: docker.APIClient, *tags: str, **recipe: Any) -> str:
    """Load one image and return its ID; keywords are the fields of `Recipe`."""
    said = _load_archive(api, archive([Recipe(tags, **recipe)]))
    if tags:
        return image_id(api, tags[0])
    return str(_DIGEST.findall(said)[-1])


def archive(recipes: Sequence[Recipe]) -> bytes:
    """The images in the form of `docker save`, which every engine since Docker 1.10 reads."""
    files: dict[str, bytes] = {}
    manifest = []
    for recipe in recipes:
        layers = [tar_of(_PROGRAMS), *(_random_layer(layer) for layer in recipe.layers)]
        configuration = _configuration(recipe, [_sha256(layer) for layer in layers])
        files.update({f"{_sha256(layer)}.tar": layer for layer in layers})
        files[f"{_sha256(configuration)}.json"] = configuration
        manifest.append(
            {
                "Config": f"{_sha256(configuration)}.json",
                "RepoTags": list(recipe.tags) or None,
                "Layers": [f"{_sha256(layer)}.tar" for layer in layers],
            }
        )
    return tar_of(files | {"manifest.json": json.dumps(manifest).encode()})


def _load_archive(api: docker.APIClient, images: bytes) -> str:
    return _text_of(api.load_image(images, quiet=True))  # type: ignore[no-untyped-call]


def _configuration(recipe: Recipe, layer_digests: Sequence[str]) -> bytes:
    settings = {"Cmd": ["/wait"], "Labels": dict(recipe.labels), "Env": [f"VARIANT={recipe.variant}"]}
    created = "2023-11-14T22:13:20Z"
    configuration = {
        "architecture": architecture(),
        "os": "linux",
        "created": created,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layer_digests]},
        "history": [{"created": created, "created_by": f"layer {digest}"} for digest in layer_digests],
    }
    return json.dumps(configuration, sort_keys=True).encode()


@lru_cache(maxsize=64)
def _random_layer(layer: Layer) -> bytes:
    return tar_of(_random_files([layer]))


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of executable files, the same bytes every time."""
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o755, _BUILT_AT
            tar.addfile(entry, io.BytesIO(content))
    return archived.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ── the other ways an image comes to a host ───────────────────────────────────────────────────────────────────────────


def import_image(api: docker.APIClient, tag: str, *layers: Layer) -> str:
    """`docker import`: a root file system becomes an image of one layer; returns its ID."""
    root = tar_of(_PROGRAMS | _random_files(layers))
    _text_of(api.import_image_from_data(root, *split(tag), changes=['CMD ["/wait"]']))
    return image_id(api, tag)


def build(api: docker.APIClient, tag: str, base: str, *layers: Layer) -> str:
    """A classic build on `base` (or `scratch`), one COPY for each layer; all but the last leave a bare parent."""
    programs = "COPY wait end /\n" if base == "scratch" else ""
    copies = "".join(f"COPY {layer.name} /{layer.name}\n" for layer in layers)
    dockerfile = f"FROM {base}\n{programs}{copies}".encode()
    context = io.BytesIO(tar_of({"Dockerfile": dockerfile} | _PROGRAMS | _random_files(layers)))
    _text_of(api.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True))
    return image_id(api, tag)


def tag(api: docker.APIClient, image: str, name: str) -> None:
    """Give an image one more name."""
    api.tag(image, *split(name))


def push(api: docker.APIClient, name: str) -> str:
    """Push to a registry; returns the digest under which the registry has it."""
    said = _text_of(api.push(*split(name), stream=True, auth_config={"username": "", "password": ""}))
    return str(_DIGEST.findall(said)[-1])


def pull(api: docker.APIClient, name: str) -> str:
    """Pull by `repo:tag` or `repo@digest`; returns the ID of the image."""
    _text_of(api.pull(*split(name), stream=True))
    return image_id(api, name)


def _random_files(layers: Iterable[Layer]) -> dict[str, bytes]:
    return {
        layer.name: random.Random(f"{layer.name}/{layer.size_bytes}").randbytes(layer.size_bytes) for layer in layers
    }


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def image_id(api: docker.APIClient, name: str) -> str:
    """The ID in the engine's list."""
    return str(inspect(api, name)["Id"])


def inspect(api: docker.APIClient, name: str) -> dict[str, Any]:
    """The engine's inspection of one image."""
    return dict(api.inspect_image(name))  # type: ignore[no-untyped-call]


def names_of(api: docker.APIClient) -> set[str]:
    """All names with a tag on this engine, without Podman's prefix for names without a registry."""
    rows = api.images()
    return {
        name.removeprefix("localhost/") for row in rows for name in row["RepoTags"] or [] if name != "<none>:<none>"
    }


def split(name: str) -> tuple[str, str]:
    """Repository, and tag or digest, as the API requires them."""
    separator = "@" if "@" in name else ":"
    repository, _, rest = name.rpartition(separator)
    return repository, rest


def _text_of(answer: Iterator[Any] | str | bytes) -> str:
    """The text of a stream. Raises `StreamError` if it contains an error."""
    parts = [answer] if isinstance(answer, str | bytes) else answer
    said = "".join(_as_text(part) for part in parts)
    if '"errorDetail"' in said or '"error"' in said:
        raise StreamError(said[-500:])
    return said


def _as_text(part: object) -> str:
    if isinstance(part, bytes):
        return part.decode(errors="replace")
    return part if isinstance(part, str) else json.dumps(part)
