"""A real disk that fills up while the controller runs: it never gets full, and no image too many is removed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import docker
import pytest

from tests.deploy.program import rows, running
from tests.deploy.waiting import eventually
from tests.with_docker import containers, images
from tests.with_docker.images import Layer
from tests.with_docker.private_engine import PrivateEngine, small_engine

_MEBIBYTE = 2**20
_SIZE_MEBIBYTES = 160
_INODES = 2_000
_START, _STOP = 0.70, 0.60
_IDLE = [f"site.local/app:{number}" for number in range(7)]
_KEPT = ["site.local/kept:1", "site.local/used:1"]


def _rule(image_name: str, **optional: int) -> dict[str, object]:
    """Without pressure it removes nothing for a week."""
    required = {"image_name": image_name, "delete_after_minutes": 10_080, "agent_downloaded_only": False}
    return {**required, "delete_after_minutes_under_pressure": 0, **optional}


@pytest.fixture
def small(engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """Another engine of the kind, with its data on a disk of its own."""
    with small_engine(engine, _SIZE_MEBIBYTES) as small:
        yield small


@dataclass
class Disk:
    """The disk, and other data on it that grows at 2 MiB a second."""

    folder: Path
    most_used: float = 0.0

    def used(self) -> float:
        """Share of the disk."""
        status = os.statvfs(self.folder)
        used = 1 - status.f_bavail / status.f_blocks
        self.most_used = max(self.most_used, used)
        return used

    def fill(self, share: float) -> None:
        """Write other data until that share is used."""
        with (self.folder / "other").open("ab", buffering=0) as other:
            while self.used() < share:
                other.write(os.urandom(_MEBIBYTE))
                time.sleep(0.5)


def _idle_left(api: docker.APIClient) -> list[str]:
    names = images.names_of(api)
    return [name for name in _IDLE if name in names]


def _is_end_of_idle(left: list[str]) -> bool:
    return left == _IDLE[len(_IDLE) - len(left) :]


def test_a_disk_that_fills_up_loses_the_longest_idle_images_and_no_more(small: PrivateEngine, tmp_path: Path) -> None:
    policies, ledger = tmp_path / "policies", tmp_path / "ledger.db"
    policies.mkdir()
    rules = [_rule("site.local/app:*"), _rule("site.local/used:*"), _rule("site.local/kept:*", keep_last=1)]
    document = {"label": "pressure", "enabled": True, "image_policy": {"removal": rules}}
    (policies / "pressure.json").write_text(json.dumps(document))
    disk, api = Disk(small.folder), small.client()
    marks = ("--disk-pressure-start", f"{_START:.0%}", "--disk-pressure-stop", f"{_STOP:.0%}")
    options = ("--docker-host", small.host, "--disk", str(disk.folder), "--listen", "127.0.0.1:0", "--settle", "2s")
    with running("--ledger", str(ledger), "--policies", str(policies), *options, *marks, environment={}):
        before = disk.used()
        _load_one_after_the_other(api, [*_IDLE, *_KEPT], ledger)
        containers.create(api, "site.local/used:1")
        of_an_image = (disk.used() - before) / len([*_IDLE, *_KEPT])
        left = _IDLE
        for _ in range(2):
            disk.fill(_START)
            eventually(lambda: disk.used() <= _STOP)
            eventually(lambda: _is_end_of_idle(_idle_left(api)))  # Four are removed at a time.
            left = _idle_left(api)
            assert disk.used() > _STOP - of_an_image
            assert set(_KEPT) <= images.names_of(api)
        assert disk.most_used < 0.9
    removals = rows("get", "removals", "--ledger", str(ledger))
    assert {row["reference"] for row in removals} == {*_IDLE} - {*left}
    assert all(row["message"].startswith("disk pressure: ") for row in removals), removals
    api.close()


def test_without_a_free_inode_images_that_are_kept_keep_their_names(engine: PrivateEngine, tmp_path: Path) -> None:
    """Docker answers 500 then and removes only the name: were all images tried, none would have a name."""
    if engine.is_podman:
        pytest.skip("Podman removes nothing without a free inode")
    policies, ledger = tmp_path / "policies", tmp_path / "ledger.db"
    policies.mkdir()
    document = {"label": "pressure", "enabled": True, "image_policy": {"removal": [_rule("site.local/app:*")]}}
    (policies / "pressure.json").write_text(json.dumps(document))
    with small_engine(engine, _SIZE_MEBIBYTES, _INODES) as small:
        api, share = small.client(), partial(_used_inodes, small.folder)
        options = (
            "--docker-host",
            small.host,
            "--disk",
            str(small.folder),
            "--listen",
            "127.0.0.1:0",
            "--settle",
            "2s",
        )
        marks = ("--disk-pressure-start", "99.5%", "--disk-pressure-stop", "98.5%")
        with running("--ledger", str(ledger), "--policies", str(policies), *options, *marks, environment={}):
            _load_one_after_the_other(api, _IDLE, ledger)
            _take_all_inodes(small.folder / "other")
            eventually(lambda: share() <= 0.985)
            eventually(lambda: all(row["reference"] in _IDLE for row in rows("get", "images", "--ledger", str(ledger))))
            left = [name for name in _IDLE if name in images.names_of(api)]
            assert left
            assert len(api.images()) == len(left)
        api.close()


def _used_inodes(folder: Path) -> float:
    status = os.statvfs(folder)
    return 1 - status.f_ffree / status.f_files


def _take_all_inodes(folder: Path) -> None:
    folder.mkdir()
    with suppress(OSError):
        for number in range(_INODES):
            (folder / str(number)).touch()


def _load_one_after_the_other(api: docker.APIClient, names: list[str], ledger: Path) -> None:
    """Each is idle for longer than the next one: the controller has seen it before the next is loaded."""
    for name in names:
        images.load_image(api, name, layers=(Layer(name, 6 * _MEBIBYTE),))
        eventually(partial(_is_seen, name, ledger))


def _is_seen(name: str, ledger: Path) -> bool:
    return name in {row["reference"] for row in rows("get", "images", "--ledger", str(ledger))}
