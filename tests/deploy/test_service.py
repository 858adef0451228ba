"""`imagectl run` as a service: a real process that notifies a socket of the test."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.program import running
from tests.with_docker.private_engine import PrivateEngine, free_address

_PATIENCE_SECONDS = 30.0


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(_PATIENCE_SECONDS)
        yield listener


@pytest.fixture
def environment(notices: socket.socket, engine: PrivateEngine, tmp_path: Path) -> dict[str, str]:
    """The environment of the service, from systemd and the settings."""
    (tmp_path / "policies").mkdir()
    return {
        "NOTIFY_SOCKET": str(notices.getsockname()),
        "WATCHDOG_USEC": "900000000",
        "IMAGECTL_POLICIES": str(tmp_path / "policies"),
        "STATE_DIRECTORY": str(tmp_path),
        "IMAGECTL_LISTEN": free_address(),
        "DOCKER_HOST": engine.host,
    }


def notices_until(notices: socket.socket, wanted: str) -> list[str]:
    """All notifications up to the wanted one, with its lines."""
    said: list[str] = []
    while wanted not in said:
        said += notices.recv(4096).decode().split("\n")
    return said


def test_it_is_ready_after_the_first_pass_and_shows_what_is_wrong(
    notices: socket.socket, environment: dict[str, str]
) -> None:
    with running(environment=environment):
        said = notices_until(notices, "READY=1")
    (status,) = [line for line in said if line.startswith("STATUS=")]
    assert status.startswith("STATUS=no policies yet: ")
    assert status.endswith("; policies in force: 0")


def test_the_loop_sends_watchdog_notices_before_and_after_it_is_ready(
    notices: socket.socket, environment: dict[str, str]
) -> None:
    with running(environment=environment):
        assert "WATCHDOG=1" in notices_until(notices, "READY=1")
        notices_until(notices, "WATCHDOG=1")


def test_it_is_ready_even_if_the_engine_is_not_reachable(notices: socket.socket, environment: dict[str, str]) -> None:
    with running(environment={**environment, "DOCKER_HOST": "unix:///nowhere/docker.sock"}):
        said = notices_until(notices, "READY=1")
    assert any(line.startswith("STATUS=cannot connect to the engine at unix:///nowhere/docker.sock") for line in said)


def test_a_reload_lasts_until_everything_was_read_again(notices: socket.socket, environment: dict[str, str]) -> None:
    with running(environment=environment) as process:
        notices_until(notices, "READY=1")
        process.send_signal(signal.SIGHUP)
        notices_until(notices, "RELOADING=1")
        notices_until(notices, "READY=1")


def test_it_announces_its_end_and_exits_with_0(notices: socket.socket, environment: dict[str, str]) -> None:
    with running(environment=environment) as process:
        notices_until(notices, "READY=1")
        process.terminate()
        notices_until(notices, "STOPPING=1")
        assert process.wait(timeout=60) == 0
