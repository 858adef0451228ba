"""The wheel with each Python: checks of documents, and one pass on a real engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import docker
import pytest

from controller import __version__
from tests.deploy.conftest import SOURCE
from tests.packaging.python import Installed
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine

MOST_DISTRIBUTIONS = 14
POLICY = {
    "label": "one tag",
    "enabled": True,
    "image_policy": {
        "removal": [{"image_name": "old:*", "delete_after_minutes": 0, "agent_downloaded_only": False}],
    },
}
_COUNT = "from importlib.metadata import distributions as all; print(*sorted({each.name.lower() for each in all()}))"
_WITHOUT_LIBYAML = "import sys; sys.modules['yaml._yaml'] = None  # type: ignore[assignment]\n"


@pytest.fixture
def samples(program: Installed) -> Path:
    """The sample policies in a folder that the program can read."""
    return Path(shutil.copytree(SOURCE / "manifests", program.interpreter.folder / "manifests", dirs_exist_ok=True))


def test_it_prints_its_version(program: Installed) -> None:
    done = program.run("imagectl", "version")
    assert done.stdout.startswith(f"imagectl {__version__} (Python 3."), done.stderr


def test_it_needs_few_distributions(program: Installed) -> None:
    names = set(program.run("python", "-c", _COUNT).stdout.split()) - {"pip", "setuptools"}
    assert "edge-image-controller" in names
    assert len(names) <= MOST_DISTRIBUTIONS, names


def test_it_checks_documents(program: Installed, samples: Path) -> None:
    done = program.run("imagectl", "nmp", "validate", "--strict", samples / "policies")
    assert (done.returncode, done.stderr) == (0, "6 files, 6 documents: 0 errors, 0 warnings\n")


def test_without_libyaml_it_finds_the_same_in_documents(program: Installed, samples: Path) -> None:
    (samples / "site" / "x").mkdir(parents=True, exist_ok=True)
    (samples / "site" / "sitecustomize.py").write_text(_WITHOUT_LIBYAML)
    (samples / "wrong.yaml").write_text("enabled: perhaps\nimage_policy: {removal: [{image_name: nginx}]}\n")
    hidden = {"PYTHONPATH": samples / "site"}
    code = "import yaml; print(yaml.__with_libyaml__)"
    assert program.run("python", "-c", code).stdout == "True\n"
    assert program.run("python", "-c", code, **hidden).stdout == "False\n"
    with_it, without = (
        program.run("imagectl", "nmp", "validate", samples / "policies", samples / "wrong.yaml", **variables)
        for variables in ({}, hidden)
    )
    assert (without.returncode, without.stdout) == (1, with_it.stdout)
    assert "wrong.yaml:1:10: error: enabled" in with_it.stdout


def test_one_pass_removes_what_is_due(program: Installed, engine: PrivateEngine, docker_api: docker.APIClient) -> None:
    images.load_image(docker_api, "old:1")
    folder = program.interpreter.folder
    (folder / "policies").mkdir()
    (folder / "policies" / "old.json").write_text(json.dumps(POLICY))
    options = ("--docker-host", engine.host, "--policies", folder / "policies", "--ledger", folder / "ledger.db")
    done = program.run("imagectl", "run", "--once", "--settle", "0", *options)
    assert done.returncode == 0, done.stderr
    assert "old:1" not in images.names_of(docker_api)
