"""A private engine of Debian's own Docker for what is deployed on one, and the controller's image built there.

The base image is a root file system of Debian with Python, because no registry is available here.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests.with_docker.private_engine import PrivateEngine, run_script

SOURCE = Path(__file__).parents[2]
BASE = "debian-with-python:13"
IMAGE = "image-controller:0.2.0"
_LEFT_OUT = ("./proc/*", "./sys/*", "./dev/*", "./var/cache/*", "./var/lib/apt/lists/*", "./usr/share/doc/*")
_TRUST = "./etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="session")
def engine() -> Iterator[PrivateEngine]:
    """The engine; it ends with this process."""
    with engine_called(f"debian.deploy-{os.getpid()}") as started:
        yield started


@contextmanager
def engine_called(name: str) -> Iterator[PrivateEngine]:
    """An engine for the length of a block, or of this process if that is shorter."""
    host = run_script("engine.sh", "up", name, "--owner", str(os.getpid()))
    yield PrivateEngine("debian", host, registry="")
    run_script("engine.sh", "down", name)


@pytest.fixture(scope="session")
def docker_api(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    """Its client; this engine is never emptied."""
    api = engine.client()
    yield api
    api.close()


@pytest.fixture(scope="session")
def controller_image(docker_api: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the image built from deploy/Dockerfile."""
    repository, _, tag = BASE.partition(":")
    archive = archive_of("python", tmp_path_factory.mktemp("base"))
    docker_api.import_image_from_file(str(archive), repository, tag)
    answers = docker_api.build(
        path=str(SOURCE),
        dockerfile="deploy/Dockerfile",
        tag=IMAGE,
        buildargs={"BASE": BASE},
        network_mode="host",
        rm=True,
        decode=True,
    )
    said = [dict(answer) for answer in answers]
    assert "errorDetail" not in said[-1], said[-5:]
    return IMAGE


def archive_of(name: str, folder: Path) -> Path:
    """A root file system as an archive that trusts what this machine trusts, so that pip finds its index."""
    root, archive = run_script("root.sh", name), folder / "root.tar"
    without = [f"--exclude={path}" for path in (*_LEFT_OUT, _TRUST)]
    subprocess.run(["tar", "-C", root, *without, "-cf", archive, "."], check=True)
    trusted = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    (folder / "pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
    with tarfile.open(archive, "a") as tar:
        tar.add(Path(trusted).resolve(), _TRUST)
        tar.add(folder / "pip.conf", "./etc/pip.conf")
    return archive
