"""The case for which this program exists: no byte is free on the disk of the images and the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from controller.plan.verdict.removal import Outcome
from tests.with_docker import images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine, small_engine

_MEBIBYTE = 2**20


@pytest.fixture
def small(engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """Another engine of the kind, with its data on a disk of its own of 96 MiB."""
    with small_engine(engine, 96) as small:
        yield small


def test_a_full_disk_is_cleaned_and_the_history_has_it(small: PrivateEngine) -> None:
    api = docker.APIClient(small.host, version="auto", timeout=600)
    disk = small.folder
    recipes = [Recipe((f"site.local/app:{n}",), (Layer(f"own{n}", 2 * _MEBIBYTE),)) for n in range(8)]
    images.load(api, recipes, images_per_archive=1)
    with on_engine(small, api, _folder(disk / "controller")) as controller:
        controller.catch_up()
        controller.run_pass()
        _fill(disk)
        controller.clock.elapse(3600)
        controller.run_pass()
    assert set(controller.came_of.values()) == {Outcome.REMOVED}
    assert images.names_of(api) == set()
    assert _free_bytes(disk) > 8 * 2 * _MEBIBYTE
    api.close()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _fill(disk: Path) -> None:
    """Use all free bytes, also those reserved for root."""
    with (disk / "filling").open("ab", buffering=0) as filling:
        size = _MEBIBYTE
        while size:
            try:
                filling.write(b"x" * size)
            except OSError:
                size //= 2
    assert _free_bytes(disk) == 0


def _free_bytes(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bfree * status.f_frsize
