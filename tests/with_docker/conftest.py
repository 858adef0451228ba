"""A private engine for the whole session, wiped before every test that uses it.

IMAGECTL_TEST_ENGINES names the kinds to run on (see `deploy/local/engine.sh list`), `debian` if it is not set. An
engine that cannot be started fails its tests. A test that does not apply to an engine is skipped, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import docker
import pytest

from tests.with_docker.private_engine import (
    PrivateEngine,
    drop_registry,
    free_address,
    start_engine,
    start_registry,
    wipe,
)
from tests.with_docker.results import ENGINE

_KINDS = os.environ.get("IMAGECTL_TEST_ENGINES", "debian").replace(",", " ").split()


@pytest.fixture(scope="session")
def registry_address() -> str:
    """The address of the registry, which the first test that needs it starts."""
    return free_address()


@pytest.fixture(scope="session", params=_KINDS)
def engine(request: pytest.FixtureRequest, registry_address: str) -> Iterator[PrivateEngine]:
    """The engine; with `docker_api` a test has it empty."""
    started = start_engine(request.param, registry_address)
    yield started
    started.drop()


@pytest.fixture(scope="session")
def engine_client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    """One low-level client for all tests."""
    api = engine.client()
    yield api
    api.close()


@pytest.fixture
def docker_api(engine_client: docker.APIClient) -> docker.APIClient:
    """The client of an engine without images and containers."""
    wipe(engine_client)
    return engine_client


@pytest.fixture(scope="session")
def registry(registry_address: str) -> Iterator[str]:
    """The address of a registry that every engine here trusts."""
    start_registry(registry_address)
    yield registry_address
    drop_registry(registry_address)


@pytest.fixture(scope="session")
def engine_title(engine: PrivateEngine, engine_client: docker.APIClient) -> str:
    """The engine for display: product, version, image store."""
    rights = ", rootless" if engine.is_rootless else ""
    if engine.is_podman:
        return f"Podman {engine_client.version()['Version']}{rights}"
    info = engine_client.info()
    is_containerd = any("io.containerd" in value for _, value in info["DriverStatus"] or ())
    store = "containerd store" if is_containerd else info["Driver"]
    return f"Docker {info['ServerVersion'].partition('+')[0]}, {store}{rights}"


@pytest.fixture(autouse=True)
def _tells_its_engine(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Record the engine for the table of results."""
    if "engine" in request.fixturenames:
        record_property(ENGINE, request.getfixturevalue("engine_title"))
