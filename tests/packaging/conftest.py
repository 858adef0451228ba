"""The wheel and the sdist, built once, and the wheel installed with each Python that is available."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.deploy.conftest import SOURCE, engine_called
from tests.packaging.python import Installed, find, installed
from tests.with_docker.private_engine import PrivateEngine


@pytest.fixture(scope="session")
def engine() -> Iterator[PrivateEngine]:
    """An engine for all the programs."""
    with engine_called(f"debian.packaging-{os.getpid()}") as started:
        yield started


@pytest.fixture(scope="session")
def docker_api(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    """Its client."""
    api = engine.client()
    yield api
    api.close()


def build(source: Path, into: Path, **environment: str) -> Path:
    """Run the build script of a source tree; returns the folder with what it has made."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    subprocess.run(["env", *variables, source / "deploy" / "build.sh", into], check=True, capture_output=True)
    return into


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist of this tree."""
    return build(SOURCE, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    return next(built.glob("*.tar.gz"))


@pytest.fixture(scope="session", params=["3.11", "3.12", "3.13", "3.14"])
def program(request: pytest.FixtureRequest, wheel: Path, engine: PrivateEngine) -> Installed:
    """Our wheel, installed with this Python; the engine's socket is in the same folder, visible inside."""
    folder = engine.folder / f"python{request.param}"
    folder.mkdir()
    interpreter = find(request.param, folder, engine.folder)
    if interpreter is None:
        pytest.skip(f"there is no Python {request.param} here, and no Debian suite that has it")
    return installed(interpreter, wheel)
