"""Recorded answers of a real Docker 29.7.2, on both stores, and of Podman 4.3: a field that is left out is zero."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from controller.adapters.engine.address import Address
from controller.adapters.engine.answers import engine_from
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.containers import container_from
from controller.adapters.engine.engine import DockerEngine
from controller.adapters.engine.images import image_from, layers_from
from controller.adapters.host.disk import image_root
from controller.errors import EngineUnavailable, ImageGone, RemovalRefused
from controller.plan.memory.observation import Store

RECORDED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "docker29.json").read_text())
API = "http+docker://localhost/v1.55"
STORES = {"containerd store": Store.CONTAINERD, "overlay2": Store.GRAPH_DRIVER}
Http = responses.RequestsMock


@pytest.fixture(params=list(RECORDED))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def http() -> Iterator[Http]:
    with responses.RequestsMock() as http:
        yield http


@pytest.fixture
def engine() -> DockerEngine:
    return DockerEngine(Connection(Address("unix:///engine.sock"), api_version="1.55"))


def test_an_engine_reports_its_store_and_its_image_root(store: str) -> None:
    recorded = RECORDED[store]
    engine = engine_from(recorded["GET /info (excerpt)"], recorded["GET /version (excerpt)"])
    assert (engine.store, engine.version, engine.totals_are_lower_bounds) == (STORES[store], "29.7.2", False)
    roots = {"containerd store": "/var/lib/docker/containerd/daemon", "overlay2": "/var/lib/docker"}
    assert image_root(engine, lambda: False) == roots[store]


@pytest.mark.parametrize("moment", ["empty", "emptied"])
def test_an_empty_store_has_0_bytes(store: str, moment: str, engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/system/df", json=RECORDED[store][f"{moment}: GET /system/df?type=image"])
    assert engine.store_bytes() == 0


def test_without_containers_nothing_was_written(store: str, engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/system/df", json=RECORDED[store]["empty: GET /system/df?type=container"])
    assert engine.written_bytes() == 0


@pytest.mark.parametrize("version", ["", "1.51: "])
def test_the_total_is_the_same_in_new_and_old_answers(
    store: str, version: str, engine: DockerEngine, http: Http
) -> None:
    http.get(f"{API}/system/df", json=RECORDED[store][f"{version}GET /system/df?type=image"])
    assert engine.store_bytes() == {"containerd store": 18_027, "overlay2": 1_000}[store]


@pytest.mark.parametrize(
    ("usage", "has_cache"),
    [
        ({"BuildCache": [], "BuildCacheUsage": {}}, False),
        ({"BuildCache": None}, False),
        ({"BuildCache": [{"ID": "x", "Type": "regular", "Shared": True}]}, True),
        ({"BuildCacheUsage": {"TotalCount": 3, "TotalSize": 1}}, True),
    ],
)
def test_the_build_cache_is_read_in_new_and_old_answers(
    usage: dict[str, Any], has_cache: bool, engine: DockerEngine, http: Http
) -> None:
    http.get(f"{API}/system/df", json=usage)
    assert engine.has_build_cache() is has_cache


def test_without_builds_there_is_no_build_cache(store: str, engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/system/df", json=RECORDED[store]["empty: GET /system/df"])
    assert not engine.has_build_cache()


def test_all_images_and_containers_are_read(store: str) -> None:
    recorded = RECORDED[store]
    images = {image.id: image for image in map(image_from, recorded["GET /images/json?all=1"])}
    (container,) = map(container_from, recorded["GET /containers/json?all=1"])
    assert sorted(len(image.tags) for image in images.values()) == [1, 2]
    assert container.image in images
    assert len(images[container.image].tags) == 1


def test_an_inspection_with_empty_fields_left_out_has_its_layers(store: str) -> None:
    recorded = RECORDED[store]
    inspected = recorded["GET /images/ID/json (imported image)"]
    assert len(layers_from(inspected, recorded["GET /images/ID/history"])) == len(inspected["RootFS"]["Layers"])


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("DELETE in use, by name", RemovalRefused),
        ("DELETE in use, by ID", RemovalRefused),
        ("DELETE two names, by ID", RemovalRefused),
        ("DELETE again", ImageGone),
    ],
)
def test_a_refusal_is_an_answer(
    store: str, request_: str, error: type[Exception], engine: DockerEngine, http: Http
) -> None:
    answer = RECORDED[store][request_]
    http.delete(f"{API}/images/app:1", status=answer["status"], json=answer["body"])
    with pytest.raises(error):
        engine.remove("app:1")


def test_a_removal_names_what_was_deleted(store: str, engine: DockerEngine, http: Http) -> None:
    answer = RECORDED[store]["DELETE one name left, by ID"]
    http.delete(f"{API}/images/app:2", status=answer["status"], json=answer["body"])
    deleted = engine.remove("app:2")
    assert deleted == tuple(row["Deleted"] for row in answer["body"] if "Deleted" in row)


def test_a_total_of_0_with_images_is_unknown_as_on_podman_4_3(engine: DockerEngine, http: Http) -> None:
    podman = {"LayersSize": 0, "Images": [{"RepoTags": ["1"], "Size": 6_800_000, "SharedSize": 0, "VirtualSize": 0}]}
    http.get(f"{API}/system/df", json=podman)
    with pytest.raises(EngineUnavailable, match="counts 0 bytes for 1 images"):
        engine.store_bytes()
