"""Private engines are isolated: apart from each other, removed with their owner, restartable after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from deploy.local.ping import answers
from tests.with_docker import images
from tests.with_docker.private_engine import SCRIPTS, PrivateEngine, ScriptError, run_script


@pytest.fixture
def second_name(engine: PrivateEngine) -> Iterator[str]:
    """The name of one more engine of the same kind, which is gone after the test."""
    name = f"{engine.kind}.second-{os.getpid()}"
    yield name
    run_script("engine.sh", "down", name)


def test_two_engines_of_one_kind_do_not_see_each_others_images(docker_api: docker.APIClient, second_name: str) -> None:
    images.load_image(docker_api, "app:1")
    host = run_script("engine.sh", "up", second_name, "--owner", str(os.getpid()))
    second = docker.APIClient(host, version="auto")
    assert (len(docker_api.images()), len(second.images())) == (1, 0)
    second.close()


def test_an_engine_that_runs_is_not_started_again(engine: PrivateEngine) -> None:
    process = (engine.folder / "pid").read_text()
    engine.start()
    assert (engine.folder / "pid").read_text() == process


def test_an_engine_ends_with_its_owner_and_leaves_nothing(second_name: str) -> None:
    with subprocess.Popen(["sleep", "infinity"]) as owner:
        host = run_script("engine.sh", "up", second_name, "--owner", str(owner.pid))
        owner.kill()
    folder = Path(host.removeprefix("unix://")).parent
    subprocess.run(["flock", folder / "lock", "true"], check=False)  # waits for its supervisor
    assert not folder.exists()


def test_an_engine_that_was_killed_starts_again_with_its_images(
    docker_api: docker.APIClient, engine: PrivateEngine
) -> None:
    images.load_image(docker_api, "app:1")
    os.kill(int((engine.folder / "pid").read_text()), signal.SIGKILL)
    engine.start()
    assert images.names_of(docker_api) == {"app:1"}


def test_a_stopped_engine_does_not_answer(engine: PrivateEngine) -> None:
    assert answers(engine.host)
    engine.stop()
    assert not answers(engine.host)
    engine.start()
    assert answers(engine.host)


def test_an_unknown_kind_is_one_line_that_names_the_others() -> None:
    with pytest.raises(ScriptError, match=r"^engine.sh: there is no engine 'd99': it is one of debian d20 .*$"):
        run_script("engine.sh", "up", "d99")


@pytest.mark.parametrize(("status", "is_installed"), [("ii ", True), ("rc ", False)])
def test_a_package_is_found_among_more_than_a_pipe_holds(tmp_path: Path, status: str, is_installed: bool) -> None:
    """`grep -q` ended a pipe early, which counts as a failure: Debian's Docker seemed to be of others."""
    query = tmp_path / "dpkg-query"
    query.write_text(f"#!/bin/sh\necho '{status} docker.io'\n[ $# -gt 3 ] || yes 'ii  zlib' | head -n 100000\n")
    query.chmod(0o755)
    script = f"set -euo pipefail; source {SCRIPTS}/packages.sh; is_installed docker.io"
    done = subprocess.run(["bash", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) is is_installed
