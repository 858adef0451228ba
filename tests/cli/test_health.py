"""`imagectl health` against a real server with a controller's answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.adapters.clock import SystemClock
from controller.cli import main
from controller.daemon.http_app import HttpApp, Vitals
from controller.daemon.http_server import HttpServer
from controller.daemon.metrics import Metrics


@pytest.fixture
def vitals() -> Vitals:
    """Of a controller whose loop was just heard of, before its first pass."""
    vitals = Vitals(SystemClock(), threads_alive=lambda: True)
    vitals.beat()
    return vitals


@pytest.fixture
def port(vitals: Vitals) -> Iterator[int]:
    """Where that controller listens."""
    server = HttpServer(HttpApp(vitals, Metrics()), "127.0.0.1", 0)
    yield server.port
    server.stop()


def test_a_controller_that_lives_is_well(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", "--listen", f"127.0.0.1:{port}"]) == 0
    assert capsys.readouterr().out == "ok\n"


def test_one_that_listens_on_every_address_is_asked_on_loopback(port: int) -> None:
    assert main.run(["health", "--listen", f":{port}"]) == 0


def test_a_loop_that_is_silent_is_not_well(port: int, vitals: Vitals, capsys: pytest.CaptureFixture[str]) -> None:
    vitals.last_heartbeat -= 90
    assert main.run(["health", "--listen", f"127.0.0.1:{port}"]) == 1
    assert f"the controller at 127.0.0.1:{port} says: the loop has not been heard of" in capsys.readouterr().err


def test_before_the_first_pass_it_lives_but_is_not_ready(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", "--ready", "--listen", f"127.0.0.1:{port}"]) == 1
    assert "no pass has succeeded yet" in capsys.readouterr().err


def test_where_no_controller_is_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", "--listen", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == "imagectl: no controller answers at 127.0.0.1:1: Connection refused\n"
